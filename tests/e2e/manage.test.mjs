// SPDX-License-Identifier: MIT
/*
 * Managing models over the fleet: pull, create, copy, delete, push and blobs, and who may
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { Gateway, Sim, SIM_MODEL, temporaryDirectory } from '../lib/chasqui.mjs';
import { file, test, until } from '../lib/test.mjs';

const post = (url, where, body, { method = 'POST', headers = {}, signal } = {}) =>
    fetch(url + where, { method, headers, signal, body: typeof body === 'object' ? JSON.stringify(body) : body });
const lines = (text) => text.trim().split('\n').map((line) => JSON.parse(line));
const names = async (url) => (await (await fetch(`${url}/api/tags`)).json()).models.map((model) => model.name).sort();
const has = async (node, name) => (await names(node.url)).includes(name);

function config(t, tree) {
    const at = path.join(temporaryDirectory(t), 'chasqui.yaml');
    writeFileSync(at, JSON.stringify(tree));
    return ['--config', at];
}

/* Two nodes with different models each, and a gateway. */
async function fleet(t, { models = {}, sims = [{}, {}], settings = {}, ...options } = {}) {
    const nodes = [];
    for (const sim of sims)
        nodes.push(await Sim.start(t, sim));
    const gateway = await Gateway.start(t, { nodes, args: config(t, { models, ...settings }), ...options });
    return { nodes, gateway, url: gateway.url };
}

/* Answers as a node's own */

const CALLS = [
    ['pull, streamed', '/api/pull', { model: 'new' }],
    ['pull, not streamed', '/api/pull', { model: 'new', stream: false }],
    ['pull by its old name', '/api/pull', { name: 'new', stream: false }],
    ['pull of what is nowhere', '/api/pull', { model: 'missing' }],
    ['the same, not streamed', '/api/pull', { model: 'missing', stream: false }],
    ['pull without a name', '/api/pull', {}],
    ['pull without a body', '/api/pull', ''],
    ['pull of half a body', '/api/pull', '{'],
    ['create from a model', '/api/create', { model: 'new', from: 'sim' }],
    ['create, not streamed', '/api/create', { model: 'new', from: 'sim', stream: false }],
    ['create from nothing', '/api/create', { model: 'new' }],
    ['create from nothing, not streamed', '/api/create', { model: 'new', stream: false }],
    ['copy', '/api/copy', { source: 'sim', destination: 'new' }],
    ['copy to nowhere', '/api/copy', { source: 'sim' }],
    ['copy of what is not there', '/api/copy', { source: 'nope', destination: 'new' }],
    ['copy without a body', '/api/copy', ''],
    ['delete', '/api/delete', { model: 'sim' }, 'DELETE'],
    ['delete by its old name', '/api/delete', { name: 'sim' }, 'DELETE'],
    ['delete of what is not there', '/api/delete', { model: 'nope' }, 'DELETE'],
    ['delete of nothing', '/api/delete', {}, 'DELETE'],
];

for (const [what, where, body, method] of CALLS) {
    test(`one node: ${what} is answered as the node itself does`, async (t) => {
        const { url } = await fleet(t, { sims: [{}] });
        const direct = await Sim.start(t);
        const answers = [];
        for (const base of [direct.url, url]) {
            const answer = await post(base, where, body, { method });
            answers.push({ status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() });
        }
        assert.deepEqual(answers[1].text && answers[1], answers[0].text && answers[0]);
        assert.equal(answers[1].status, answers[0].status);
    });
}

/* Where things go */

test('a new model goes to the node with the most free room', async (t) => {
    const { nodes, url } = await fleet(t, { sims: [{ models: ['sim', 'other'] }, { models: ['sim', 'other'] }] });
    await post(nodes[0].url, '/api/generate', { model: 'other', prompt: 'hi', options: { num_predict: 1 } });
    const answer = await post(url, '/api/pull', { model: 'new', stream: false });
    /* until a probe has seen the loaded model, both are equals */
    assert.equal(answer.status, 200);
    await until(async () => (await names(url)).includes('new:latest'), 'the model in the list');
    assert.equal((await has(nodes[0], 'new:latest')) + (await has(nodes[1], 'new:latest')), 1);
});

test('of two nodes with nothing loaded the one with fewer models gets the new one', async (t) => {
    const { nodes, url } = await fleet(t, { sims: [{ models: ['a', 'b', 'c'] }, { models: ['a'] }] });
    await post(url, '/api/pull', { model: 'new', stream: false });
    assert.deepEqual([await has(nodes[0], 'new:latest'), await has(nodes[1], 'new:latest')], [false, true]);
});

test('placement all: every node pulls, in one merged stream that ends once', async (t) => {
    const { nodes, url } = await fleet(t, { models: { placement: 'all' } });
    const answer = await post(url, '/api/pull', { model: 'new' });
    const records = lines(await answer.text());
    assert.equal(answer.headers.get('content-type'), 'application/x-ndjson');
    assert.equal(records.filter((r) => r.status === 'pulling manifest').length, 1);
    assert.equal(records.filter((r) => r.status === 'success').length, 1);
    assert.deepEqual(records.at(-1), { status: 'success' });
    const bars = records.filter((r) => r.digest);
    assert.equal(bars.at(-1).total, 2_000_000_000);
    assert.equal(bars.at(-1).completed, bars.at(-1).total);
    for (const node of nodes)
        assert.ok(await has(node, 'new:latest'));
});

test('placement by names', async (t) => {
    const sims = [await Sim.start(t), await Sim.start(t)];
    const tree = { nodes: sims.map((sim, i) => ({ name: `n${i}`, url: sim.url })), models: { placement: ['n1'] } };
    const gateway = await Gateway.start(t, { args: config(t, tree), untilUp: 2 });
    assert.equal((await post(gateway.url, '/api/pull', { model: 'new', stream: false })).status, 200);
    assert.deepEqual([await has(sims[0], 'new:latest'), await has(sims[1], 'new:latest')], [false, true]);
});

test('copy and delete go to every node that has the model', async (t) => {
    const { nodes, url } = await fleet(t, { sims: [{ models: ['x'] }, { models: ['x', 'y'] }, { models: ['y'] }] });
    const copy = await post(url, '/api/copy', { source: 'x', destination: 'z' });
    assert.deepEqual([copy.status, await copy.text()], [200, '']);
    assert.deepEqual(await Promise.all(nodes.map((node) => has(node, 'z:latest'))), [true, true, false]);
    const gone = await post(url, '/api/delete', { model: 'x' }, { method: 'DELETE' });
    assert.deepEqual([gone.status, await gone.text()], [200, '']);
    assert.deepEqual(await Promise.all(nodes.map((node) => has(node, 'x:latest'))), [false, false, false]);
});

test('a model that was pulled can be asked at once, and one that was deleted is gone', async (t) => {
    const { url } = await fleet(t);
    await post(url, '/api/pull', { model: 'new', stream: false });
    const ask = () => post(url, '/api/generate', { model: 'new', prompt: 'hi', stream: false, options: { num_predict: 1 } });
    assert.equal((await ask()).status, 200);
    await post(url, '/api/delete', { model: 'new' }, { method: 'DELETE' });
    const answer = await ask();
    assert.deepEqual([answer.status, await answer.text()], [404, '{"error":"model \'new\' not found"}']);
});

test('create from a model goes where that model is', async (t) => {
    const { nodes, url } = await fleet(t, { sims: [{ models: ['x'] }, { models: ['x', 'base'] }] });
    const answer = await post(url, '/api/create', { model: 'new', from: 'base', stream: false });
    assert.deepEqual([answer.status, await answer.text()], [200, '{"status":"success"}']);
    assert.deepEqual([await has(nodes[0], 'new:latest'), await has(nodes[1], 'new:latest')], [false, true]);
});

test('one line for each node that failed, and no success', async (t) => {
    const { url } = await fleet(t, { models: { placement: 'all' } });
    const streamed = lines(await (await post(url, '/api/pull', { model: 'missing' })).text());
    const errors = streamed.filter((r) => r.error);
    assert.equal(errors.length, 2);
    for (const { error } of errors)
        assert.match(error, /^node 127\.0\.0\.1:\d+: pull model manifest: file does not exist$/);
    assert.ok(!streamed.some((r) => r.status === 'success'));
    const whole = await post(url, '/api/pull', { model: 'missing', stream: false });
    assert.equal(whole.status, 500);
    assert.equal((await whole.json()).error.split('\n').length, 2);
});

test('a node that dies in a pull is one error line, the other goes on', async (t) => {
    const { nodes, url } = await fleet(t, { models: { placement: 'all' }, sims: [{ tokenInterval: '40ms' }, { tokenInterval: '40ms' }] });
    const answer = await post(url, '/api/pull', { model: 'new' });
    const reader = answer.body.getReader();
    let text = Buffer.from((await reader.read()).value).toString();
    await nodes[0].kill();
    for (let part = await reader.read(); !part.done; part = await reader.read())
        text += Buffer.from(part.value).toString();
    const records = lines(text);
    assert.deepEqual(records.filter((r) => r.error).length, 1);
    assert.ok(records.at(-1).error);
    assert.ok(await has(nodes[1], 'new:latest'));
});

/* Single flight */

test('a second client joins a pull, also one that wants no stream', async (t) => {
    const { nodes, url } = await fleet(t, { sims: [{ tokenInterval: '50ms' }] });
    const first = post(url, '/api/pull', { model: 'new' });
    await nodes[0].untilState((s) => s.pulls === 1, 'the pull begun');
    const second = post(url, '/api/pull', { model: 'NEW:latest', stream: false });
    const third = post(url, '/api/pull', { model: 'new' });
    assert.deepEqual(lines(await (await first).text()).at(-1), { status: 'success' });
    assert.equal(await (await second).text(), '{"status":"success"}');
    assert.deepEqual(lines(await (await third).text()).at(-1), { status: 'success' });
    assert.equal((await nodes[0].state()).pulls, 1);
});

test('a pull goes on for those who stay, and ends when the last one leaves', async (t) => {
    const { nodes, gateway, url } = await fleet(t, { sims: [{ tokenInterval: '50ms' }] });
    const leaver = new AbortController();
    const first = post(url, '/api/pull', { model: 'new' }, { signal: leaver.signal });
    await nodes[0].untilState((s) => s.pulls === 1, 'the pull begun');
    const second = post(url, '/api/pull', { model: 'new', stream: false });
    await until(async () => (await gateway.metrics()).get('chasqui_requests_in_flight') === 2, 'two requests');
    await (await first).body.cancel();
    leaver.abort();
    assert.equal(await (await second).text(), '{"status":"success"}');

    const alone = new AbortController();
    const third = post(url, '/api/pull', { model: 'other' }, { signal: alone.signal });
    await (await third).body.getReader().read();
    alone.abort();
    await gateway.untilIdle();
    await nodes[0].untilState((s) => s.changing === 0, 'no pull');
    assert.ok(!(await has(nodes[0], 'other:latest')));
});

test('SIGTERM in a pull: an error record after the drain time', async (t) => {
    const { gateway, nodes, url } = await fleet(t, { sims: [{ tokenInterval: '500ms' }], settings: { drain_timeout: '10ms' } });
    const answer = post(url, '/api/pull', { model: 'new' });
    await nodes[0].untilState((s) => s.pulls === 1, 'the pull begun');
    const text = (await answer).text().catch(() => 'broken off');
    await gateway.stop();
    assert.match(await text, /shutting down|broken off/);
});

/* Blobs */

const digestOf = (data) => `sha256:${createHash('sha256').update(data).digest('hex')}`;
const GGUF = Buffer.from('GGUF of few bytes');

/* @size bytes in pieces, as a stream of unknown length, and their digest. */
function bigFile(size) {
    const piece = Buffer.alloc(1 << 20, 'chasqui');
    const hash = createHash('sha256');
    for (let at = 0; at < size; at += piece.length)
        hash.update(piece);
    async function *pieces() {
        for (let at = 0; at < size; at += piece.length)
            yield piece;
    }
    return { digest: `sha256:${hash.digest('hex')}`, pieces, piece };
}

const upload = (url, digest, body, headers = {}) =>
    fetch(`${url}/api/blobs/${digest}`, { method: 'POST', body, headers, duplex: 'half' });
const ask = (url, digest) => fetch(`${url}/api/blobs/${digest}`, { method: 'HEAD' });

test('a blob is asked for, uploaded, asked for again, and a model is made of it where it is', async (t) => {
    const { nodes, url } = await fleet(t, { sims: [{ models: ['x', 'y'] }, { models: ['x'] }] });
    const digest = digestOf(GGUF);
    assert.equal((await ask(url, digest)).status, 404);
    assert.equal((await upload(url, digest, GGUF)).status, 201);
    assert.equal((await ask(url, digest)).status, 200);
    assert.equal((await upload(url, digest, GGUF)).status, 200);
    const made = await post(url, '/api/create', { model: 'new', files: { 'a.gguf': digest }, stream: false });
    assert.deepEqual([made.status, await made.text()], [200, '{"status":"success"}']);
    assert.deepEqual([await has(nodes[0], 'new:latest'), await has(nodes[1], 'new:latest')], [false, true]);
});

test('a blob that was uploaded to a node itself is found by asking, and used', async (t) => {
    const { nodes, url } = await fleet(t);
    const digest = digestOf(GGUF);
    const made = () => post(url, '/api/create', { model: 'new', files: { 'a.gguf': digest }, stream: false });
    assert.equal((await made()).status, 400);
    await upload(nodes[1].url, digest, GGUF);
    assert.equal((await ask(url, digest)).status, 200);
    assert.equal((await made()).status, 200);
    assert.ok(await has(nodes[1], 'new:latest'));
});

test('placement all: an upload goes to every node', async (t) => {
    const { nodes, url } = await fleet(t, { models: { placement: 'all' } });
    const { digest, pieces } = bigFile(8 << 20);
    await upload(nodes[0].url, digestOf(GGUF), GGUF);
    assert.equal((await ask(url, digestOf(GGUF))).status, 404, 'one of two is not enough');
    assert.equal((await upload(url, digest, pieces())).status, 201);
    for (const node of nodes)
        assert.equal((await ask(node.url, digest)).status, 200);
    assert.equal((await post(url, '/api/create', { model: 'new', files: { 'a.gguf': digest }, stream: false })).status, 200);
    for (const node of nodes)
        assert.ok(await has(node, 'new:latest'));
});

test('what is wrong with a blob the node says', async (t) => {
    const { nodes, url } = await fleet(t, { sims: [{}] });
    for (const [digest, body] of [['foo', 'x'], [`sha256:${'0'.repeat(64)}`, 'x'], [`sha256:${'0'.repeat(64)}`, '']]) {
        const [direct, through] = [await upload(nodes[0].url, digest, body), await upload(url, digest, body)];
        assert.deepEqual([through.status, await through.text()], [direct.status, await direct.text()]);
        assert.equal(through.headers.get('content-type'), direct.headers.get('content-type'));
    }
});

for (const [form, headers, size] of [['of unknown length', {}, 40 << 20], ['of known length', { 'Content-Length': String(24 << 20) }, 24 << 20]]) {
    test(`a large upload ${form} passes in little memory`, { timeout: 60_000 }, async (t) => {
        const { gateway, url } = await fleet(t, { sims: [{}] });
        const { digest, piece } = bigFile(size);
        await upload(url, digestOf(GGUF), GGUF); /* all is warm */
        const before = gateway.residentKiB;
        let most = 0;
        async function *watched() {
            for (let at = 0; at < size; at += piece.length) {
                most = Math.max(most, gateway.residentKiB);
                yield piece;
            }
        }
        assert.equal((await upload(url, digest, watched(), headers)).status, 201);
        most = Math.max(most, gateway.residentKiB);
        t.diagnostic(`${size >> 20} MiB: ${most - before} KiB more`);
        assert.ok(most - before < 10 * 1024, `${most - before} KiB more`);
    });
}

test('a node that stops reading holds the client back, and not for ever', async (t) => {
    const sim = await Sim.start(t);
    const node = createServer((socket) => {
        socket.on('error', () => {});
        t.after(() => socket.destroy());
        socket.once('data', (head) => {
            if (String(head).startsWith('POST')) {
                socket.pause(); /* and reads no more */
                return;
            }
            socket.unshift(head);
            socket.pipe(connect(sim.port, '127.0.0.1').on('error', () => {})).pipe(socket);
        });
    });
    t.after(() => node.close());
    await new Promise((resolve) => node.listen(0, '127.0.0.1', resolve));
    const gateway = await Gateway.start(t, { nodes: [`http://127.0.0.1:${node.address().port}`], args: config(t, { timeouts: { send: '300ms' } }) });
    const total = 256;
    let sent = 0;
    async function *pieces() {
        for (; sent < total; sent++)
            yield Buffer.alloc(1 << 20);
    }
    const answer = await upload(gateway.url, `sha256:${'0'.repeat(64)}`, pieces()).catch((error) => error);
    assert.ok(answer instanceof Error || answer.status === 504, `${answer.status}`);
    assert.ok(sent < total / 2, `${sent} MiB`);
    await gateway.untilIdle();
});

test('a node that dies in an upload is told, and not blamed on the client', async (t) => {
    const { nodes, url } = await fleet(t, { sims: [{}] });
    async function *pieces() {
        for (let i = 0; i < 4; i++)
            yield Buffer.alloc(1 << 20);
        await nodes[0].kill();
        for (let i = 0; i < 64; i++)
            yield Buffer.alloc(1 << 20);
    }
    const answer = await upload(url, `sha256:${'0'.repeat(64)}`, pieces()).catch((error) => error);
    assert.ok(answer instanceof Error || answer.status === 502, `${answer.status}`);
});

/* Who may */

const KEYS = 'root:secret-of-root-0001:admin\nann:secret-of-ann-00001:use\n';

async function withKeys(t, models = {}) {
    const keys = path.join(temporaryDirectory(t), 'keys');
    writeFileSync(keys, KEYS, { mode: 0o600 });
    return fleet(t, { sims: [{}], models, keysFile: keys, adminKey: 'secret-of-root-0001' });
}

const as = (key) => ({ Authorization: `Bearer ${key}` });

test('with keys, managing needs the scope admin', async (t) => {
    const { url } = await withKeys(t);
    for (const [where, method] of [['/api/pull', 'POST'], ['/api/create', 'POST'], ['/api/copy', 'POST'], ['/api/delete', 'DELETE'],
                                   [`/api/blobs/sha256:${'0'.repeat(64)}`, 'POST']]) {
        const answer = await post(url, where, { model: 'x' }, { method, headers: as('secret-of-ann-00001') });
        assert.equal(answer.status, 403, where);
        assert.match((await answer.json()).error, /scope admin/);
    }
    const pull = await post(url, '/api/pull', { model: 'new', stream: false }, { headers: as('secret-of-root-0001') });
    assert.equal(pull.status, 200);
});

test('without keys, a web page of an allowed origin may use models and not manage them', async (t) => {
    const { url } = await fleet(t, { sims: [{}] });
    const answer = await post(url, '/api/pull', { model: 'new' }, { headers: { Origin: 'http://localhost:3000' } });
    assert.equal(answer.status, 403);
});

test('push, me, signout and experimental routes are off, also for admins', async (t) => {
    const { url } = await fleet(t, { sims: [{}] });
    for (const [where, method] of [['/api/push', 'POST'], ['/api/me', 'POST'], ['/api/signout', 'POST'], ['/api/user/keys/x', 'DELETE'],
                                   ['/api/experimental/web_search', 'POST']]) {
        const answer = await post(url, where, { model: SIM_MODEL }, { method });
        assert.equal(answer.status, 403, where);
        assert.match((await answer.json()).error, /models\.routes/);
    }
});

test('push works where it is switched on, on one node that has the model', async (t) => {
    const { url } = await fleet(t, { sims: [{}], models: { routes: ['push'] } });
    const records = lines(await (await post(url, '/api/push', { model: SIM_MODEL })).text());
    assert.equal(records[0].status, 'retrieving manifest');
    assert.deepEqual(records.at(-1), { status: 'success' });
});

/* One model of the OpenAI listing */

test('/v1/models/{model} is answered by a node that has it', async (t) => {
    const { url } = await fleet(t, { sims: [{ models: ['x'] }, { models: ['y'] }] });
    for (const name of ['x', 'y:latest']) {
        const answer = await fetch(`${url}/v1/models/${name}`);
        assert.equal(answer.status, 200);
        assert.equal((await answer.json()).id, name);
    }
    const missing = await fetch(`${url}/v1/models/nope`);
    assert.equal(missing.status, 404);
    assert.equal(await missing.text(), '{"error":{"message":"model \'nope\' not found","type":"api_error","param":null,"code":null}}\n');
});
