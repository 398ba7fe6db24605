// SPDX-License-Identifier: MIT
/*
 * models.aliases: clients ask for an alias, nodes for the model that it stands for
 */
import assert from 'node:assert/strict';
import { Gateway, Sim, SIM_EMBED_MODEL, SIM_MODEL } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { exchange, request } from '../lib/raw.mjs';
import { file, test, until } from '../lib/test.mjs';
import { connect } from '../peers/mcp.mjs';

const ALIASES = { fast: SIM_MODEL, vectors: SIM_EMBED_MODEL, 'twice:1': 'fast' };

const sim = await Sim.start(file, { tokens: 5 });
const gateway = await Gateway.start(file, { nodes: [sim], settings: { aliases: ALIASES } });

const post = (t, target, body, port = gateway.port) => exchange(t, port, request('POST', target, { body }));
const MESSAGES = [{ role: 'user', content: 'hi' }];

const CALLS = {
    '/api/generate': ['fast', { prompt: 'hi' }],
    '/api/chat': ['FAST:latest', { messages: MESSAGES }],
    '/api/show': ['fast', {}],
    '/api/embed': ['vectors', { input: 'hi' }],
    '/v1/chat/completions': ['fast', { messages: MESSAGES }],
    '/v1/completions': ['fast', { prompt: 'hi' }],
    '/v1/embeddings': ['vectors', { input: 'hi' }],
};

for (const [target, [model, fields]] of Object.entries(CALLS)) {
    test(`${target} takes an alias; the access line has it, the answer the model`, async (t) => {
        const answer = await post(t, target, { model, stream: false, ...fields });
        assert.equal(answer.status, 200, answer.text);
        if (target !== '/api/show')
            assert.equal(answer.json.model, ALIASES[model] ?? SIM_MODEL);
        assert.equal((await gateway.accessLine(answer.get('x-request-id'))).model, model);
    });
}

test('/v1/models/{model} takes an alias', async (t) => {
    const answer = await exchange(t, gateway.port, request('GET', '/v1/models/fast'));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.id, SIM_MODEL);
});

test('over MCP too', async (t) => {
    const one = await connect({ port: gateway.mcpPort });
    t.after(() => one.close());
    await one.ready;
    const call = one.call('ollama.chat', JSON.stringify({ model: 'fast', messages: MESSAGES, stream: false }), { codec: 1 });
    assert.equal(JSON.parse((await call.response).body).model, SIM_MODEL);
});

test('metrics count the model, and no alias', async (t) => {
    await post(t, '/api/generate', { model: 'fast', prompt: 'hi' });
    await until(async () => [...(await gateway.metrics()).keys()].some((key) => key.includes(`model="${SIM_MODEL}"`)), 'a sample of the model');
    assert.ok(![...(await gateway.metrics()).keys()].some((key) => key.includes('model="fast"')));
});

test('an alias of an alias is a model that is nowhere', async (t) => {
    const answer = await post(t, '/api/generate', { model: 'twice:1', prompt: 'hi' });
    assert.equal(answer.status, 404);
    assert.match(answer.json.error, /fast/);
});

test('listings show what nodes have', async (t) => {
    const answer = await exchange(t, gateway.port, request('GET', '/api/tags'));
    assert.ok(!answer.text.includes('fast'));
});

test('nothing else of the body is changed', async (t) => {
    const node = await FakeNode.start(t);
    const own = await Gateway.start(t, { nodes: [node], settings: { aliases: { fast: node.model } } });
    const body = '{ "prompt" : "fast", "model":\n"\\u0066ast", "x": [1.0, {"model": "fast"}] }';
    const bytes = request('POST', '/api/generate', { body });
    assert.equal((await exchange(t, own.port, bytes)).status, 200);
    assert.equal(node.last.text, body.replace('\\u0066ast', node.model));
    assert.equal(node.last.headers['content-length'], String(node.last.text.length));
});

test('an answer to an alias goes on where a node died', async (t) => {
    const sims = [await Sim.start(t, { tokens: 40 }), await Sim.start(t, { tokens: 40 })];
    const own = await Gateway.start(t, { nodes: sims, settings: { aliases: ALIASES } });
    const whole = await post(t, '/api/chat', { model: SIM_MODEL, messages: MESSAGES }, own.port);
    for (const one of sims)
        await one.fault('cut', { after: 7, count: 1 });
    const answer = await post(t, '/api/chat', { model: 'fast', messages: MESSAGES }, own.port);
    assert.ok((await own.accessLine(answer.get('x-request-id'))).resumes >= 1);
    const text = (a) => a.records.map((r) => r.message.content).join('');
    assert.equal(text(answer), text(whole));
});
