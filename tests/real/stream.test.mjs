// SPDX-License-Identifier: MIT
/*
 * Streams of a real Ollama: one by one, byte for byte, and given up at once when the client leaves
 */
import assert from 'node:assert/strict';
import { before } from 'node:test';
import { Ollama } from 'ollama';
import { post } from '../lib/clients.mjs';
import { assertSame } from '../lib/compare.mjs';
import { ENDLESS, MODELS, OllamaNode, PARROT, TINY, gatewayFor, realOllama } from '../lib/ollama.mjs';
import { assertOneRecordAChunk, stream } from '../lib/one-by-one.mjs';
import { Raw, request } from '../lib/raw.mjs';
import { file, slow, test } from '../lib/test.mjs';

const real = realOllama();
const skip = real.missing && `SKIPPED, no real Ollama: ${real.missing}`;
/* The endless answer takes seconds; a freed slot is there within this. */
const SLOT_FREE_MS = 1_500;

let node, gateway;

before(async () => {
    if (skip)
        return;
    node = await OllamaNode.start(file, real);
    gateway = await gatewayFor(file, [node]);
    for (const model of [TINY, ENDLESS, PARROT])
        await new Ollama({ host: node.url }).generate({ model, prompt: '' });
});

const generate = (model, n) => ({ model, prompt: 'hi', options: { num_predict: n } });

const STREAMS = [
    ['/api/generate', '\n', { prompt: 'hi', options: { num_predict: 40 } }],
    ['/api/chat', '\n', { messages: [{ role: 'user', content: 'hi' }], options: { num_predict: 40 } }],
    ['/v1/chat/completions', '\n\n', { messages: [{ role: 'user', content: 'hi' }], max_tokens: 40, stream: true, temperature: 0, seed: 1 }],
];

const MASKED = /"(created_at|id)":"[^"]*"|"(created|[a-z_]*_duration)":\d+/g;

for (const [path, separator, body] of STREAMS) {
    test(`${path}: the bytes of the node, each record in a chunk of its own`, { skip }, async (t) => {
        const ask = { model: ENDLESS, ...body };
        const direct = await stream(t, node.port, path, ask);
        const through = await stream(t, gateway.port, path, ask);
        assert.ok(direct.chunks.length >= 40, `${direct.chunks.length} records`);
        assert.equal(through.get('content-type'), direct.get('content-type'));
        assert.equal(through.text.replaceAll(MASKED, ''), direct.text.replaceAll(MASKED, ''));
        assertOneRecordAChunk(through, separator);
    });
}

test('the first record is here long before the last', { skip }, async (t) => {
    const answer = await stream(t, gateway.port, '/api/generate', generate(ENDLESS, 1500));
    const total_ms = answer.records.at(-1).eval_duration / 1e6;
    const seen_ms = answer.chunks.at(-1).at - answer.chunks[0].at;
    assert.ok(seen_ms > total_ms * 0.5, `seen over ${seen_ms.toFixed(0)} ms, computed over ${total_ms.toFixed(0)} ms`);
});

/** Whether the node's only slot takes a request of one token in time. */
async function isSlotFree(url) {
    const signal = AbortSignal.timeout(slow(SLOT_FREE_MS));
    try {
        const answer = await fetch(`${url}/api/generate`, { method: 'POST', body: JSON.stringify(generate(ENDLESS, 1)), signal });
        return (await answer.text()).includes('"done":true');
    } catch (error) {
        if (error.name !== 'TimeoutError')
            throw error;
        return false;
    }
}

async function abortAfterFive(url) {
    const answer = await new Ollama({ host: url }).generate({ ...generate(ENDLESS, 5000), stream: true });
    let n = 0;
    await assert.rejects(async () => {
        for await (const _ of answer) {
            if (++n === 5)
                answer.abort();
        }
    }, /abort/i);
}

/*
 * Ollama 0.11.4 itself loses a slot for good in about one of thirty aborts of a model this quick, with or without a gateway: it stops
 * writing while the next record waits to be written. So there are three tries, each on a node of its own.
 */
const TRIES = real.url ? 1 : 3;

test('npm ollama: abort() frees the only slot', { skip, timeout: 60_000 }, async (t) => {
    for (let i = 0; i < TRIES; i++) {
        const own = await OllamaNode.start(t, real, { [ENDLESS]: MODELS[ENDLESS] });
        await abortAfterFive((await gatewayFor(t, [own])).url);
        if (await isSlotFree(own.url))
            return;
        t.diagnostic(`try ${i + 1}: the slot was not free within ${slow(SLOT_FREE_MS)} ms`);
    }
    assert.fail('the slot was never free');
});

test('a client that resets while a whole answer is computed frees the only slot', { skip }, async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(request('POST', '/api/generate', { body: { ...generate(ENDLESS, 5000), stream: false } }));
    await fetch(`${gateway.url}/api/ps`); /* a round trip later the request is at the node */
    raw.socket.resetAndDestroy();
    assert.ok(await isSlotFree(node.url));
});

/* Ollama ends an answer that repeats one token some thirty times, without a done record. */
test('an answer that the repetition guard ends is passed on as far as it came', { skip }, async (t) => {
    const direct = await stream(t, node.port, '/api/generate', generate(PARROT, 200));
    assert.ok(direct.records.every((record) => !record.done), 'the guard has ended it');
    const through = await stream(t, gateway.port, '/api/generate', generate(PARROT, 200));
    const texts = (answer) => answer.records.filter((record) => !record.error).map((record) => record.response);
    assert.deepEqual(texts(through), texts(direct));
});

test('the same answer, not streamed, is the node\'s: 200 with done false', { skip }, async () => {
    const body = JSON.stringify({ ...generate(PARROT, 200), stream: false });
    const direct = await post(node.url, '/api/generate', body);
    assert.equal(direct.body.done, false);
    assertSame(await post(gateway.url, '/api/generate', body), direct);
});
