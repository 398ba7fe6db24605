// SPDX-License-Identifier: MIT
/*
 * A real browser: a page of a foreign origin can neither read nor trigger anything through a loopback gateway
 *
 * All names resolve to 127.0.0.1 inside the browser, so what protects is the gateway and not the network.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { Gateway, Sim, SIM_MODEL } from '../lib/chasqui.mjs';
import { file, slow, test } from '../lib/test.mjs';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const HAS_CHROMIUM = existsSync(CHROMIUM);
const TIMEOUT = 30_000; /* the first page of a cold browser */
const ASK = { model: SIM_MODEL, prompt: 'hi', stream: false, options: { num_predict: 3 } };

let sim, gateway, browser, server, pagePort;

before(async () => {
    if (!HAS_CHROMIUM)
        return;
    server = createServer((_req, res) => res.setHeader('Content-Type', 'text/html').end('<!doctype html><title>page</title>'));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    pagePort = server.address().port;
    sim = await Sim.start(file);
    gateway = await Gateway.start(file, { nodes: [sim], env: { OLLAMA_ORIGINS: `http://good.example:${pagePort}` } });
    browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu', '--host-resolver-rules=MAP *.example 127.0.0.1'],
        timeout: slow(TIMEOUT),
    });
});

after(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
});

/** A test with a page of http://@host, skipped loudly without a browser. */
function pageTest(name, host, fn) {
    test(name, { timeout: TIMEOUT }, async (t) => {
        if (!HAS_CHROMIUM) {
            t.skip(`SKIPPED: no browser at ${CHROMIUM} (apt install chromium, or set CHROMIUM)`);
            return;
        }
        const page = await browser.newPage();
        t.after(() => page.close());
        await page.goto(`http://${host}:${pagePort}/`);
        await fn(page, t);
    });
}

/* Runs in the page: what a fetch gives. */
async function fetchInPage({ url, options }) {
    try {
        const answer = await fetch(url, options);
        return { type: answer.type, status: answer.status, text: await answer.text() };
    } catch (error) {
        return { failed: String(error) };
    }
}

const ask = (page, path, options) => page.evaluate(fetchInPage, { url: gateway.url + path, options });

const JSON_POST = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(ASK) };
const PLAIN_POST = { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: JSON.stringify(ASK) };
const BLIND_POST = { ...PLAIN_POST, mode: 'no-cors' };

/** The node must not notice what @fn does. */
async function assertTriggersNothing(fn) {
    const before = await sim.state();
    await fn();
    await gateway.untilIdle();
    const { served, active, loads, cancelled } = await sim.state();
    assert.deepEqual({ served, active, loads, cancelled },
        { served: before.served, active: before.active, loads: before.loads, cancelled: before.cancelled });
}

pageTest('a foreign page cannot read the list of models', 'evil.example', async (page) => {
    assert.ok((await ask(page, '/api/tags')).failed);
    assert.ok((await ask(page, '/')).failed);
});

pageTest('a foreign page cannot read a blind answer', 'evil.example', async (page) => {
    const answer = await ask(page, '/api/tags', { mode: 'no-cors' });
    assert.ok(answer.failed || (answer.type === 'opaque' && answer.text === ''), JSON.stringify(answer));
});

for (const [kind, options] of Object.entries({ 'a JSON request': JSON_POST, 'a simple request': PLAIN_POST, 'a blind request': BLIND_POST })) {
    pageTest(`a foreign page cannot trigger a generation by ${kind}`, 'evil.example', async (page) => {
        await assertTriggersNothing(async () => {
            const answer = await ask(page, '/api/generate', options);
            assert.ok(answer.failed || answer.type === 'opaque', JSON.stringify(answer));
        });
    });
}

pageTest('a foreign page cannot trigger a generation by a form', 'evil.example', async (page) => {
    await assertTriggersNothing(async () => {
        const answered = page.waitForResponse((response) => response.url().includes('/api/generate'));
        await page.evaluate(({ url, ask }) => { /* the classic: a text/plain form whose body is JSON */
            const [head, tail] = JSON.stringify({ ...ask, pad: 'SPLIT' }).split('SPLIT');
            const form = Object.assign(document.createElement('form'), { method: 'POST', action: url, enctype: 'text/plain' });
            form.append(Object.assign(document.createElement('input'), { name: head, value: tail }));
            document.body.append(form);
            form.submit();
        }, { url: `${gateway.url}/api/generate`, ask: ASK });
        assert.equal((await answered).status(), 403);
    });
});

pageTest('a foreign page cannot trigger a generation by a beacon', 'evil.example', async (page) => {
    await assertTriggersNothing(async () => {
        const failed = page.waitForEvent('requestfinished', (r) => r.url().includes('/api/chat')).catch(() => {});
        await page.evaluate(({ url, body }) => navigator.sendBeacon(url, body), { url: `${gateway.url}/api/chat`, body: JSON.stringify(ASK) });
        await failed;
    });
});

pageTest('a name that is rebound to 127.0.0.1 is refused', 'evil.example', async (page) => {
    const answer = await page.goto(`http://rebind.example:${gateway.port}/api/tags`);
    assert.equal(answer.status(), 403);
    await assertTriggersNothing(async () => { /* now same-origin: no CORS, no Origin on GET */
        const post = await page.evaluate(fetchInPage, { url: '/api/generate', options: JSON_POST });
        assert.equal(post.status, 403);
        const get = await page.evaluate(fetchInPage, { url: '/api/tags' });
        assert.equal(get.status, 403);
    });
});

pageTest('a foreign page cannot reach the admin listener', 'evil.example', async (page) => {
    for (const path of ['/admin/nodes', '/metrics']) {
        const answer = await page.evaluate(fetchInPage, { url: gateway.adminUrl + path });
        assert.ok(answer.failed, JSON.stringify(answer));
    }
});

pageTest('a page of an allowed origin reads and generates', 'good.example', async (page) => {
    const tags = await ask(page, '/api/tags');
    assert.ok(JSON.parse(tags.text).models.some((model) => model.name === SIM_MODEL));
    const answer = await ask(page, '/api/generate', JSON_POST); /* with a preflight */
    assert.equal(JSON.parse(answer.text).done, true);
});

pageTest('a page of an allowed origin reads an error', 'good.example', async (page) => {
    const answer = await ask(page, '/api/generate', { ...JSON_POST, body: '{"model":"nope","prompt":"x"}' });
    assert.equal(answer.status, 404);
    assert.match(JSON.parse(answer.text).error, /nope/);
});

pageTest('a page of an allowed origin reads a stream record by record', 'good.example', async (page) => {
    const records = await page.evaluate(async ({ url, body }) => {
        const answer = await fetch(url, { method: 'POST', body });
        return (await answer.text()).trimEnd().split('\n').map((line) => JSON.parse(line));
    }, { url: `${gateway.url}/api/generate`, body: JSON.stringify({ ...ASK, stream: true }) });
    assert.equal(records.at(-1).done, true);
    assert.ok(records.length >= 3);
});

pageTest('a page on localhost is a friend by default', '127.0.0.1', async (page) => {
    const answer = await ask(page, '/api/generate', JSON_POST);
    assert.equal(answer.status, 200);
});
