// SPDX-License-Identifier: MIT
/*
 * Unmodified clients get from the gateway what they get from the node
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before } from 'node:test';
import { promisify } from 'node:util';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { Gateway, Sim, SIM_EMBED_MODEL, SIM_MODEL } from '../lib/chasqui.mjs';
import { CLIENTS, ODD_BODIES, atBoth, post } from '../lib/clients.mjs';
import { assertSame } from '../lib/compare.mjs';
import { assertOneRecordAChunk, assertSpread, stream } from '../lib/one-by-one.mjs';
import { Raw, request } from '../lib/raw.mjs';
import { file, test } from '../lib/test.mjs';

const MODELS = { model: SIM_MODEL, embedModel: SIM_EMBED_MODEL };
const TOKEN_MS = 20;
const run = promisify(execFile);

let sim, slowSim, gateway, slowGateway;

before(async () => {
    sim = await Sim.start(file);
    gateway = await Gateway.start(file, { nodes: [sim] });
    slowSim = await Sim.start(file, { tokenInterval: `${TOKEN_MS}ms`, slots: 4 });
    slowGateway = await Gateway.start(file, { nodes: [slowSim] });
    for (const model of Object.values(MODELS)) /* loaded, so that both sides find the same /api/ps */
        await new Ollama({ host: sim.url }).embed({ model, input: 'x' });
});

for (const client of CLIENTS) {
    for (const [name, call] of Object.entries(client.calls)) {
        test(`${client.name}: ${name}: the same as from the node`, async () => {
            const { direct, through } = await atBoth(client, call, sim.url, gateway.url, MODELS);
            assert.ok('value' in direct, `the node answers: ${JSON.stringify(direct)}`);
            assertSame(through, direct);
        });
    }
    for (const [name, call] of Object.entries(client.errors)) {
        test(`${client.name}: ${name}: the node's own error`, async () => {
            const { direct, through } = await atBoth(client, call, sim.url, gateway.url, MODELS);
            assert.ok('thrown' in direct, `the node refuses: ${JSON.stringify(direct)}`);
            assertSame(through, direct);
        });
    }
}

for (const odd of ODD_BODIES) {
    test(`${odd.path} with ${odd.name}: the node's own answer`, async () => {
        const body = odd.body.replace('MODEL', SIM_MODEL);
        const direct = await post(sim.url, odd.path, body);
        const through = await post(gateway.url, odd.path, body);
        assert.equal(through.status, direct.status);
        assert.deepEqual(Object.keys(through.body), Object.keys(direct.body));
        if (odd.text !== false)
            assertSame(through, direct);
    });
}

/* Leaves after three records. @iterate yields them, @abort leaves. */
async function leaveAfterThree(iterate, abort) {
    let n = 0;
    await assert.rejects(async () => {
        for await (const record of iterate) {
            assert.ok(record);
            if (++n === 3)
                abort();
        }
    }, /abort/i);
    assert.ok(n >= 3);
}

test('npm ollama: abort() frees the slot of the node', async () => {
    const before = await slowSim.state();
    const client = new Ollama({ host: slowGateway.url });
    const answer = await client.generate({ model: SIM_MODEL, prompt: 'on and on', stream: true, options: { num_predict: 5000 } });
    await leaveAfterThree(answer, () => answer.abort());
    await slowSim.untilState((s) => s.active === 0 && s.cancelled === before.cancelled + 1, 'the slot is free');
});

test('npm openai: an aborted stream frees the slot of the node', async () => {
    const before = await slowSim.state();
    const client = new OpenAI({ baseURL: `${slowGateway.url}/v1`, apiKey: 'unused' });
    const answer = await client.chat.completions.create({
        model: SIM_MODEL, messages: [{ role: 'user', content: 'on' }], stream: true, max_tokens: 5000,
    });
    for await (const _ of answer)
        break; /* leaving the loop aborts the request */
    await slowSim.untilState((s) => s.active === 0 && s.cancelled === before.cancelled + 1, 'the slot is free');
});

const STREAMS = [
    { path: '/api/generate', separator: '\n', type: 'application/x-ndjson', body: { prompt: 'hi', options: { num_predict: 10 } } },
    { path: '/api/chat', separator: '\n', type: 'application/x-ndjson',
      body: { messages: [{ role: 'user', content: 'hi' }], options: { num_predict: 10 } } },
    { path: '/v1/chat/completions', separator: '\n\n', type: 'text/event-stream',
      body: { messages: [{ role: 'user', content: 'hi' }], max_tokens: 10, stream: true } },
    { path: '/v1/completions', separator: '\n\n', type: 'text/event-stream', body: { prompt: 'hi', max_tokens: 10, stream: true } },
];

for (const { path, separator, type, body } of STREAMS) {
    test(`${path}: each record arrives alone and in its time`, async (t) => {
        const answer = await stream(t, slowGateway.port, path, { model: SIM_MODEL, ...body });
        assert.equal(answer.status, 200);
        assert.equal(answer.get('content-type'), type);
        assert.ok(answer.chunks.length >= 10, `${answer.chunks.length} records`);
        assertOneRecordAChunk(answer, separator);
        assertSpread(answer, 8 * TOKEN_MS * 0.8);
    });
}

test('a record is at the client while the node still computes the next', async (t) => {
    const raw = await Raw.connect(t, slowGateway.port);
    await raw.send(request('POST', '/api/generate', { body: { model: SIM_MODEL, prompt: 'hi', options: { num_predict: 400 } } }));
    const answer = await raw.head();
    const first = JSON.parse(await raw.chunk(answer));
    assert.equal(first.done, false);
    assert.ok((await slowSim.state()).active >= 1, 'the node is still at work');
    raw.socket.destroy();
});

test('records are relayed byte for byte', async (t) => {
    const body = { model: SIM_MODEL, prompt: 'bytes', options: { num_predict: 8, seed: 3 } };
    const direct = await stream(t, sim.port, '/api/generate', body);
    const through = await stream(t, gateway.port, '/api/generate', body);
    const masked = (text) => text.replaceAll(/"created_at":"[^"]*"|"[a-z_]*_duration":\d+/g, '');
    assert.equal(masked(through.text), masked(direct.text));
});

test('a long prompt and a long answer pass whole', async () => {
    const body = JSON.stringify({ model: SIM_MODEL, prompt: 'word '.repeat(200_000), stream: false, options: { num_predict: 1500 } });
    assertSame(await post(gateway.url, '/api/generate', body), await post(sim.url, '/api/generate', body));
});

async function curl(t, ...args) {
    try {
        return (await run('curl', ['-sS', '--max-time', '8', ...args])).stdout;
    } catch (error) {
        if (error.code !== 'ENOENT')
            throw error;
        t.skip('SKIPPED: curl is not installed (apt install curl)');
        return undefined;
    }
}

test('curl: a streamed chat ends with done', async (t) => {
    const body = JSON.stringify({ model: SIM_MODEL, messages: [{ role: 'user', content: 'hi' }], options: { num_predict: 5 } });
    const text = await curl(t, '-N', `${gateway.url}/api/chat`, '-d', body);
    if (text === undefined)
        return;
    const records = text.trimEnd().split('\n').map((line) => JSON.parse(line));
    assert.equal(records.at(-1).done, true);
    assert.ok(records.slice(0, -1).every((record) => record.done === false));
});

test('curl: HTTP/1.0, HEAD and a body of unknown length', async (t) => {
    const old = await curl(t, '--http1.0', `${gateway.url}/`);
    if (old === undefined)
        return;
    assert.equal(old, 'Ollama is running');
    assert.match(await curl(t, '-I', `${gateway.url}/`), /^HTTP\/1\.1 200 /);
    const body = JSON.stringify({ model: SIM_MODEL, prompt: 'x', stream: false, options: { num_predict: 2 } });
    const chunked = await curl(t, '-H', 'Transfer-Encoding: chunked', `${gateway.url}/api/generate`, '-d', body);
    assert.equal(JSON.parse(chunked).done, true);
});
