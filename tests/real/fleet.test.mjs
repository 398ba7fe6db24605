// SPDX-License-Identifier: MIT
/*
 * Two real nodes seen as one
 */
import assert from 'node:assert/strict';
import { before } from 'node:test';
import { Ollama } from 'ollama';
import { IS_SELF, OllamaNode, TINY, gatewayFor, realOllama } from '../lib/ollama.mjs';
import { file, test } from '../lib/test.mjs';

const real = realOllama();
const skip = real.missing ? `SKIPPED, no real Ollama: ${real.missing}`
    : real.url ? 'SKIPPED: two nodes are needed, REAL_OLLAMA_URL is one'
    : IS_SELF ? 'SKIPPED: a node is no fleet' : false;

const OTHER = 'other:1b';

let nodes, gateway, client;

before(async () => {
    if (skip)
        return;
    nodes = [await OllamaNode.start(file, real, { [TINY]: {} }), await OllamaNode.start(file, real, { [TINY]: {}, [OTHER]: { seed: 9 } })];
    gateway = await gatewayFor(file, nodes);
    client = new Ollama({ host: gateway.url });
});

test('the lists of both are one, each model once', { skip }, async () => {
    assert.deepEqual((await client.list()).models.map((model) => model.name).sort(), [OTHER, TINY]);
    const listed = await (await fetch(`${gateway.url}/v1/models`)).json();
    assert.deepEqual(listed.data.map((model) => model.id).sort(), [OTHER, TINY]);
});

test('a model that only one node has is asked there', { skip }, async () => {
    for (let i = 0; i < 4; i++)
        assert.equal((await client.generate({ model: OTHER, prompt: 'hi', options: { num_predict: 3 } })).done, true);
    assert.equal((await client.show({ model: OTHER })).details.family, 'llama');
});

test('what runs is told with its node', { skip }, async () => {
    for (const node of nodes) /* the gateway alone would keep to the one that is warm */
        await new Ollama({ host: node.url }).generate({ model: TINY, prompt: 'hi', options: { num_predict: 3 } });
    const { models } = await client.ps();
    const running = models.filter((model) => model.name === TINY);
    assert.equal(running.length, 2, 'both nodes have it loaded');
    assert.equal(new Set(running.map((model) => model.node)).size, 2);
});

test('both nodes say the same for the same question', { skip }, async () => {
    const answers = new Set();
    for (let i = 0; i < 6; i++)
        answers.add((await client.generate({ model: TINY, prompt: 'the same', options: { num_predict: 20 } })).response);
    assert.equal(answers.size, 1);
});
