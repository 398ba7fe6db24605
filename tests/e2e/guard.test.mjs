// SPDX-License-Identifier: MIT
/*
 * Who may reach the gateway: web pages, other machines, keys, and the gateway itself
 */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before } from 'node:test';
import { Gateway, Sim, SIM_MODEL, freePort, runChasqui, temporaryDirectory } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { exchange, request } from '../lib/raw.mjs';
import { file, test } from '../lib/test.mjs';

const GENERATE = { model: SIM_MODEL, prompt: 'hi', stream: false, options: { num_predict: 2 } };
const USE_KEY = 'use-0123456789abcdef';
const ADMIN_KEY = 'admin-0123456789abcdef';
const KEYS = `# a comment\nalice:${USE_KEY}:use\nroot:${ADMIN_KEY}:admin\n`;

let sim, gateway, keyGateway;

function writeKeys(owner, text = KEYS, mode = 0o600) {
    const name = path.join(temporaryDirectory(owner), 'keys');
    writeFileSync(name, text);
    chmodSync(name, mode);
    return name;
}

before(async () => {
    sim = await Sim.start(file);
    gateway = await Gateway.start(file, { nodes: [sim], env: { OLLAMA_ORIGINS: 'https://good.example,http://*.wild.example' } });
    keyGateway = await Gateway.start(file, { nodes: [sim], keysFile: writeKeys(file), adminKey: ADMIN_KEY });
});

const get = (t, target, fields, port = gateway.port) => exchange(t, port, request('GET', target, { fields }));
const generate = (t, fields, port = gateway.port) => exchange(t, port, request('POST', '/api/generate', { fields, body: GENERATE }));

/* Origins */

const FOREIGN = ['http://evil.example', 'https://localhost.evil.example', 'http://evil-localhost', 'null', 'http://good.example',
                 'https://good.example.evil.example', 'https://good.example:444', 'http://127.0.0.1.evil.example', 'chrome-extension://abc',
                 'http://localhost@evil.example', ''];
const FRIENDLY = ['http://localhost', 'http://localhost:3000', 'https://localhost:3000', 'http://127.0.0.1:8080', 'http://0.0.0.0',
                  'app://chat', 'file://x', 'tauri://localhost', 'vscode-webview://abc', 'vscode-file://abc', 'https://good.example',
                  'http://a.wild.example'];

for (const origin of FOREIGN) {
    test(`a page of ${JSON.stringify(origin)} gets 403 and triggers nothing`, async (t) => {
        const before = await sim.state();
        for (const answer of [await generate(t, { Origin: origin }), await get(t, '/api/tags', { Origin: origin }),
                              await get(t, '/', { Origin: origin })]) {
            assert.equal(answer.status, 403);
            assert.ok(answer.json.error);
            assert.equal(answer.get('access-control-allow-origin'), undefined);
        }
        assert.equal((await sim.state()).served, before.served);
    });
}

for (const origin of FRIENDLY) {
    test(`a page of ${origin} is served and may read`, async (t) => {
        const answer = await generate(t, { Origin: origin });
        assert.equal(answer.status, 200);
        assert.ok([origin, '*'].includes(answer.get('access-control-allow-origin')), answer.get('access-control-allow-origin'));
    });
}

test('errors for a friendly page can be read by it', async (t) => {
    const answer = await get(t, '/nope', { Origin: 'http://localhost' });
    assert.equal(answer.status, 404);
    assert.ok(answer.get('access-control-allow-origin'));
});

const preflight = (t, origin, method = 'POST') => exchange(t, gateway.port, request('OPTIONS', '/api/chat', { fields: {
    'Origin': origin, 'Access-Control-Request-Method': method, 'Access-Control-Request-Headers': 'content-type,authorization',
} }));

test('a preflight of a friendly page is answered', async (t) => {
    const answer = await preflight(t, 'https://good.example');
    assert.ok([200, 204].includes(answer.status), String(answer.status));
    assert.ok(['https://good.example', '*'].includes(answer.get('access-control-allow-origin')));
    assert.match(answer.get('access-control-allow-methods'), /POST/);
    assert.match(answer.get('access-control-allow-headers'), /content-type/i);
    assert.match(answer.get('access-control-allow-headers'), /authorization/i);
});

test('a preflight of a foreign page gets 403', async (t) => {
    const answer = await preflight(t, 'http://evil.example');
    assert.equal(answer.status, 403);
    assert.equal(answer.get('access-control-allow-origin'), undefined);
});

test('a second Origin does not hide behind a friendly one', async (t) => {
    const bytes = request('GET', '/api/version', { fields: { Origin: 'http://localhost' } }).replace('\r\n\r\n', '\r\nOrigin: http://evil.example\r\n\r\n');
    assert.equal((await exchange(t, gateway.port, bytes)).status, 403);
});

/* Hosts on a loopback listener */

for (const host of ['evil.example', 'evil.example:11435', 'localhost.evil.example', '8.8.8.8', '127.0.0.1.evil.example']) {
    test(`Host ${host} on a loopback listener: 403`, async (t) => {
        const before = await sim.state();
        const answer = await generate(t, { Host: host });
        assert.equal(answer.status, 403);
        assert.ok(answer.json.error);
        assert.equal((await sim.state()).served, before.served);
    });
}

for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1:11435', '[::1]:11435', '192.168.1.5', '10.0.0.1:80', 'box.local', 'a.localhost', 'ai.internal']) {
    test(`Host ${host} on a loopback listener is served`, async (t) => {
        assert.equal((await get(t, '/api/version', { Host: host })).status, 200);
    });
}

/* Keys */

const bearer = (key) => ({ Authorization: `Bearer ${key}` });

test('without a key: 401 in the shape of each API', async (t) => {
    const ollama = await generate(t, {}, keyGateway.port);
    assert.equal(ollama.status, 401);
    assert.equal(typeof ollama.json.error, 'string');
    assert.match(ollama.get('www-authenticate'), /^Bearer/);
    const openai = await get(t, '/v1/models', {}, keyGateway.port);
    assert.equal(openai.status, 401);
    assert.equal(typeof openai.json.error.message, 'string');
    const anthropic = await exchange(t, keyGateway.port, request('POST', '/v1/messages', { body: GENERATE }));
    assert.equal(anthropic.status, 401);
    assert.equal(anthropic.json.type, 'error');
});

const WRONG = { 'a wrong key': bearer('use-0123456789abcdeX'), 'half a key': bearer(USE_KEY.slice(0, -1)), 'a longer key': bearer(`${USE_KEY}0`),
                'an empty key': bearer(''), 'the name of a key': bearer('alice'), 'another scheme': { Authorization: `Basic ${USE_KEY}` },
                'a wrong x-api-key': { 'x-api-key': 'nope' } };

for (const [name, fields] of Object.entries(WRONG)) {
    test(`${name}: 401, and the node hears nothing`, async (t) => {
        const before = await sim.state();
        assert.equal((await generate(t, fields, keyGateway.port)).status, 401);
        assert.equal((await sim.state()).served, before.served);
    });
}

for (const [name, fields] of Object.entries({ 'Authorization': bearer(USE_KEY), 'authorization in small letters': { authorization: `bearer ${USE_KEY}` },
                                              'x-api-key': { 'x-api-key': USE_KEY }, 'an admin key': bearer(ADMIN_KEY) })) {
    test(`a key in ${name} is let in`, async (t) => {
        assert.equal((await generate(t, fields, keyGateway.port)).status, 200);
    });
}

test('the log names the key, never its secret', async (t) => {
    const answer = await generate(t, bearer(USE_KEY), keyGateway.port);
    await generate(t, bearer('a-secret-that-is-wrong'), keyGateway.port);
    assert.equal((await keyGateway.accessLine(answer.get('x-request-id'))).key, 'alice');
    const everything = keyGateway.proc.errText + keyGateway.proc.out.join('\n');
    for (const secret of [USE_KEY, ADMIN_KEY, 'a-secret-that-is-wrong'])
        assert.ok(!everything.includes(secret));
});

test('a key of the gateway is not handed to the node', async (t) => {
    const node = await FakeNode.start(t);
    const own = await Gateway.start(t, { nodes: [node], keysFile: writeKeys(t), adminKey: ADMIN_KEY });
    const body = { model: node.model, prompt: 'hi' };
    const answer = await exchange(t, own.port, request('POST', '/api/generate', { fields: { 'x-api-key': USE_KEY, ...bearer(USE_KEY) }, body }));
    assert.equal(answer.status, 200);
    assert.ok(!JSON.stringify(node.last.rawHeaders).includes(USE_KEY));
});

test('the admin API needs an admin key once there are keys', async () => {
    const status = async (headers) => (await fetch(`${keyGateway.adminUrl}/admin/nodes`, { headers })).status;
    assert.equal(await status({}), 401);
    assert.equal(await status(bearer(USE_KEY)), 403);
    assert.equal(await status(bearer(ADMIN_KEY)), 200);
    assert.equal((await fetch(`${keyGateway.adminUrl}/livez`)).status, 200);
});

test('a request with an Origin is no local admin', async (t) => {
    const port = Number(new URL(gateway.adminUrl).port);
    assert.equal((await get(t, '/admin/nodes', {}, port)).status, 200);
    assert.equal((await get(t, '/admin/nodes', { Origin: 'http://localhost' }, port)).status, 403);
    assert.equal((await get(t, '/admin/nodes', { Host: 'evil.example' }, port)).status, 403);
});

/* Refusals to start */

async function assertRefusesToStart(t, args, texts, env) {
    const run = await runChasqui(t, ['serve', '--admin', '127.0.0.1:0', ...args], env);
    assert.equal(run.code, 1, run.errText);
    for (const text of texts)
        assert.match(run.errText, text);
}

const NODE = () => ['--node', sim.url];

test('a keys file that others can read is refused, with the chmod that mends it', async (t) => {
    const keys = writeKeys(t, KEYS, 0o644);
    await assertRefusesToStart(t, ['--listen', '127.0.0.1:0', ...NODE(), '--keys-file', keys], [/chmod/, new RegExp(keys)]);
});

test('all faults of a keys file are told in one run, with their lines', async (t) => {
    const keys = writeKeys(t, `short:abc:use\nno colons\nx:0123456789abcdefgh:fly\n`);
    await assertRefusesToStart(t, ['--listen', '127.0.0.1:0', ...NODE(), '--keys-file', keys], [/:1:/, /:2:/, /:3:/]);
});

test('a keys file that is not there is refused by name', async (t) => {
    await assertRefusesToStart(t, ['--listen', '127.0.0.1:0', ...NODE(), '--keys-file', '/nonexistent/keys'], [/\/nonexistent\/keys/]);
});

for (const address of ['0.0.0.0:0', '[::]:0']) {
    test(`listening on ${address} without keys is refused, with the two ways out`, async (t) => {
        await assertRefusesToStart(t, ['--listen', address, ...NODE()], [/keys.file/, /allow_anonymous/]);
    });
}

test('listening on 0.0.0.0 works with keys, and with allow_anonymous', async (t) => {
    const withKeys = await Gateway.start(t, { nodes: [sim], listen: ['0.0.0.0:0'], keysFile: writeKeys(t), adminKey: ADMIN_KEY });
    assert.equal((await generate(t, {}, withKeys.port)).status, 401);
    const anonymous = await Gateway.start(t, { nodes: [sim], listen: ['0.0.0.0:0'], settings: { allowAnonymous: true } });
    assert.equal((await generate(t, {}, anonymous.port)).status, 200);
});

/* OLLAMA_HOST, and the gateway itself */

for (const host of ['0.0.0.0:PORT', 'http://0.0.0.0:PORT', '127.0.0.1:PORT', 'http://localhost:PORT/', ' "127.0.0.1:PORT" ']) {
    test(`OLLAMA_HOST=${host} is the node on this machine`, async (t) => {
        const own = await Gateway.start(t, { env: { OLLAMA_HOST: host.replace('PORT', sim.port) }, untilUp: 1 });
        assert.equal((await generate(t, {}, own.port)).status, 200);
    });
}

for (const host of ['127.0.0.1', 'localhost', '0.0.0.0']) {
    test(`a gateway whose OLLAMA_HOST is itself (${host}) refuses to start`, async (t) => {
        const port = await freePort();
        await assertRefusesToStart(t, ['--listen', `127.0.0.1:${port}`], [/itself/, new RegExp(String(port))], { OLLAMA_HOST: `${host}:${port}` });
    });
}

test('a gateway as its own --node refuses to start', async (t) => {
    const port = await freePort();
    await assertRefusesToStart(t, ['--listen', `127.0.0.1:${port}`, '--node', `http://127.0.0.1:${port}`], [/itself/]);
});

test('a request that comes round again is refused: 508', async (t) => {
    const node = await FakeNode.start(t);
    const own = await Gateway.start(t, { nodes: [node] });
    const body = { model: node.model, prompt: 'hi' };
    assert.equal((await exchange(t, own.port, request('POST', '/api/generate', { body }))).status, 200);
    const fields = { ...node.last.headers, host: '127.0.0.1' }; /* as the gateway sent it on */
    const again = await exchange(t, own.port, request('POST', '/api/generate', { fields, body: node.last.text }));
    assert.equal(again.status, 508);
    assert.match(again.json.error, /loop|before|itself/);
    assert.equal((await own.accessLine(again.get('x-request-id'))).reason, 'loop');
});

test('two gateways that are each other\'s node end every request', async (t) => {
    const ports = [await freePort(), await freePort()];
    const url = (i) => `http://127.0.0.1:${ports[i]}`;
    const start = (i, nodes) => Gateway.start(t, { listen: [`127.0.0.1:${ports[i]}`], nodes, untilUp: 0 });
    const first = await start(0, [url(1)]);
    const second = await start(1, [url(0), sim.url]);
    await second.untilUp(1);
    await first.untilUp(1);
    for (let i = 0; i < 8; i++) {
        const answer = await generate(t, {}, first.port);
        assert.ok([200, 404, 503, 508].includes(answer.status), String(answer.status));
    }
    assert.equal((await get(t, '/api/tags', {}, first.port)).status, 200);
    await first.untilIdle();
    await second.untilIdle();
});
