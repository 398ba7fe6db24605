// SPDX-License-Identifier: MIT
/*
 * Unmodified clients in front of a real Ollama: through the gateway they see what they see from the node
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before } from 'node:test';
import { promisify } from 'node:util';
import { Ollama } from 'ollama';
import { CLIENTS, ODD_BODIES, atBoth, post } from '../lib/clients.mjs';
import { assertSame } from '../lib/compare.mjs';
import { OllamaNode, TINY, gatewayFor, realOllama } from '../lib/ollama.mjs';
import { pythonCalls, pythonClient } from '../lib/python.mjs';
import { file, test } from '../lib/test.mjs';

const real = realOllama();
const skip = real.missing && `SKIPPED, no real Ollama: ${real.missing}`;
const MODELS = { model: TINY, embedModel: TINY };
const run = promisify(execFile);

let node, gateway;

before(async () => {
    if (skip)
        return;
    node = await OllamaNode.start(file, real);
    await new Ollama({ host: node.url }).generate({ model: TINY, prompt: '' }); /* loaded, so that /api/ps is the same for both */
    gateway = await gatewayFor(file, [node]);
});

for (const client of CLIENTS) {
    for (const [name, call] of Object.entries(client.calls)) {
        test(`${client.name}: ${name}: the same as from the node`, { skip }, async () => {
            const { direct, through } = await atBoth(client, call, node.url, gateway.url, MODELS);
            assert.ok('value' in direct, `the node answers: ${JSON.stringify(direct)}`);
            assertSame(through, direct);
        });
    }
    for (const [name, call] of Object.entries(client.errors)) {
        test(`${client.name}: ${name}: the node's own error`, { skip }, async () => {
            const { direct, through } = await atBoth(client, call, node.url, gateway.url, MODELS);
            assert.ok('thrown' in direct, `the node refuses: ${JSON.stringify(direct)}`);
            assertSame(through, direct);
        });
    }
}

for (const odd of ODD_BODIES) {
    test(`${odd.path} with ${odd.name}: the node's own answer`, { skip }, async () => {
        const body = odd.body.replace('MODEL', TINY);
        const direct = await post(node.url, odd.path, body);
        const through = await post(gateway.url, odd.path, body);
        assert.equal(through.status, direct.status);
        assert.deepEqual(Object.keys(through.body), Object.keys(direct.body));
        if (odd.text !== false)
            assertSame(through, direct);
    });
}

test('python ollama: every call gives the same as from the node', { skip, timeout: 180_000 }, (t) => {
    const client = pythonClient();
    if (client.missing) {
        t.skip(`SKIPPED: ${client.missing}`);
        return;
    }
    const direct = pythonCalls(client.python, node.url, TINY);
    const through = pythonCalls(client.python, gateway.url, TINY);
    assert.equal(direct['chat, streamed'].value.at(-1).done, true);
    for (const name of Object.keys(direct))
        assertSame(through[name], direct[name], name);
});

const CURLS = {
    'a streamed generate': ['-N', '/api/generate', '-d', JSON.stringify({ model: TINY, prompt: 'hi', options: { num_predict: 8 } })],
    'a chat that is not streamed': ['/api/chat', '-d', JSON.stringify({ model: TINY, messages: [{ role: 'user', content: 'hi' }], stream: false })],
    'a body of unknown length': ['-H', 'Transfer-Encoding: chunked', '/api/show', '-d', JSON.stringify({ model: TINY })],
    'the list by HTTP/1.0': ['--http1.0', '/api/tags'],
    'an unknown model': ['/api/chat', '-d', '{"model":"nope"}'],
};

async function curl(url, args) {
    const { stdout } = await run('curl', ['-sS', '--max-time', '8', '-w', '\n%{http_code} %{content_type}',
                                          ...args.map((arg) => (arg.startsWith('/') ? url + arg : arg))]);
    const lines = stdout.split('\n');
    const status = lines.pop();
    return { status, records: lines.filter((line) => line !== '').map((line) => JSON.parse(line)) };
}

for (const [name, args] of Object.entries(CURLS)) {
    test(`curl: ${name}: the same as from the node`, { skip }, async () => {
        assertSame(await curl(gateway.url, args), await curl(node.url, args));
    });
}

test('curl -I: HEAD is answered as the node answers it', { skip }, async () => {
    for (const path of ['/', '/api/version', '/api/tags']) {
        for (const { url } of [node, gateway])
            assert.match((await run('curl', ['-sSI', '--max-time', '8', url + path])).stdout, /^HTTP\/1\.1 200 /);
    }
});
