// SPDX-License-Identifier: MIT
/*
 * Chasqui to Chasqui: a gateway whose node is another gateway, over MCP. The client at the edge sees what it would see at the centre.
 */
import assert from 'node:assert/strict';
import { Gateway, Sim, SIM_MODEL, freePort } from '../lib/chasqui.mjs';
import { CLIENTS, atBoth } from '../lib/clients.mjs';
import { assertSame } from '../lib/compare.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { Raw, exchange, request } from '../lib/raw.mjs';
import { test, until } from '../lib/test.mjs';
import { connect } from '../peers/mcp.mjs';

const STREAM = { model: SIM_MODEL, prompt: 'hi', options: { num_predict: 10 } };
const ENDLESS = { model: SIM_MODEL, prompt: 'on and on', options: { num_predict: 100_000 } };
const NATIVE = CLIENTS.find((client) => client.name === 'npm ollama');
const WITHOUT_SERVICE = new Set(['embeddings, the old way']); /* MCP has no service for it */
const WITH_NODE_NAMES = new Set(['ps']); /* each gateway adds the name of its node */

const mcp = (gateway) => ({ url: `mcp://127.0.0.1:${gateway.mcpPort}` });
const post = (t, gateway, path, body, fields) => exchange(t, gateway.port, request('POST', path, { body, fields }));

async function tiers(t, { sim = {}, edge = {}, centre: at = {}, nodes } = {}) {
    const node = nodes ? undefined : await Sim.start(t, sim);
    const centre = await Gateway.start(t, { nodes: nodes ?? [node], ...at });
    return { sim: node, centre, edge: await Gateway.start(t, { nodes: [mcp(centre)], ...edge }) };
}

test('the native API through two gateways is the native API', async (t) => {
    const { sim, edge } = await tiers(t);
    for (const [name, call] of Object.entries({ ...NATIVE.calls, ...NATIVE.errors })) {
        if (WITHOUT_SERVICE.has(name) || WITH_NODE_NAMES.has(name) || name.startsWith('embeddings with'))
            continue;
        const { direct, through } = await atBoth(NATIVE, call, sim.url, edge.url, { model: SIM_MODEL, embedModel: 'sim-embed:latest' });
        assertSame(through, direct, name);
    }
});

test('each record is a chunk of its own, in the turn in which it came', async (t) => {
    const { edge } = await tiers(t, { sim: { tokenInterval: '5ms' } });
    const answer = await post(t, edge, '/api/generate', STREAM);
    assert.equal(answer.records.length, 11);
    assert.equal(answer.chunks.length, 11);
});

test('a client that leaves the edge stops the node behind both', async (t) => {
    const { sim, edge } = await tiers(t, { sim: { tokenInterval: '5ms' } });
    const raw = await Raw.connect(t, edge.port);
    await raw.send(request('POST', '/api/generate', { body: ENDLESS }));
    await raw.chunk(await raw.head());
    raw.socket.destroy();
    await sim.untilState((s) => s.active === 0 && s.cancelled === 1, 'the slot is free');
    await edge.untilIdle();
});

test('trace and hops travel', async (t) => {
    const node = await FakeNode.start(t, (_req, res) => res.end('{"model":"fake:latest","response":"a","done":true}'));
    const { edge } = await tiers(t, { nodes: [node] });
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await post(t, edge, '/api/generate', { model: node.model, prompt: 'x', stream: false }, { traceparent });
    const seen = node.requests.find((req) => req.url === '/api/generate');
    assert.equal(seen.headers.traceparent, traceparent);
    assert.equal(seen.headers.via.match(/chasqui-/g).length, 2);
});

test('a centre that dies in the middle of an answer is told honestly', async (t) => {
    const { centre, edge } = await tiers(t, { sim: { tokenInterval: '5ms' } });
    const raw = await Raw.connect(t, edge.port);
    await raw.send(request('POST', '/api/generate', { body: ENDLESS }));
    const answer = await raw.head();
    await raw.chunk(answer);
    centre.proc.wasKilled = true;
    centre.proc.child.kill('SIGKILL');
    await raw.body(answer);
    assert.equal(answer.isComplete, false);
    assert.ok(answer.records.at(-1).error);
});

test('a centre that is away is replaced by another', async (t) => {
    const sim = await Sim.start(t);
    const centres = [await Gateway.start(t, { nodes: [sim] }), await Gateway.start(t, { nodes: [sim] })];
    const edge = await Gateway.start(t, { nodes: centres.map(mcp) });
    centres[0].proc.wasKilled = true;
    centres[0].proc.child.kill('SIGKILL');
    for (let i = 0; i < 6; i++)
        assert.equal((await post(t, edge, '/api/generate', STREAM)).status, 200);
});

test('/v1 has no way over MCP and says so', async (t) => {
    const { edge } = await tiers(t);
    const answer = await post(t, edge, '/v1/chat/completions', { model: SIM_MODEL, messages: [] });
    assert.equal(answer.status, 503);
    assert.equal(answer.json.error.code, 'no_node');
});

test('two gateways that are each other\'s node over MCP end every request', async (t) => {
    const port = await freePort();
    const first = await Gateway.start(t, { nodes: [{ url: `mcp://127.0.0.1:${port}` }], untilUp: 0 });
    const second = await Gateway.start(t, { nodes: [mcp(first)], args: ['--mcp', `127.0.0.1:${port}`], untilUp: 0 });
    const answer = await post(t, second, '/api/generate', { model: 'x', prompt: 'x' });
    assert.ok(answer.status >= 400);
    await until(async () => (await first.metrics()).get('chasqui_requests_in_flight') === 0, 'nothing goes round');
});

test('a slow client at the edge pauses the node behind both and loses nothing', async (t) => {
    const { sim, edge } = await tiers(t, { sim: { tokenInterval: '0ms' } });
    const n = 100_000;
    const raw = await Raw.connect(t, edge.port);
    raw.socket.pause();
    await raw.send(request('POST', '/api/generate', { body: { ...STREAM, options: { num_predict: n } } }));
    await sim.untilState((s) => s.active === 1, 'the node is at work');
    raw.socket.resume();
    const answer = await raw.answer();
    assert.equal(answer.records.length, n + 1);
    assert.equal(answer.records.at(-1).done, true);
});

test('a burst through an edge that has no connections yet waits for the centre to greet', async (t) => {
    const { edge } = await tiers(t, { sim: { slots: 250 } });
    const one = await connect({ port: edge.mcpPort });
    t.after(() => one.destroy());
    await one.ready;
    const ask = async () => {
        const call = one.call('ollama.generate', JSON.stringify({ ...STREAM, options: { num_predict: 2 } }), { codec: 1 });
        for await (const _ of call.chunks);
        await call.response;
    };
    /* more than four connections may carry before their ACKs */
    await Promise.all(Array.from({ length: 200 }, ask));
});

test('more calls than the connections to the centre carry wait for their turn', async (t) => {
    const carried = 4 * 256;
    const n = carried + 76;
    const held = [];
    let isReleased = false;
    const node = await FakeNode.start(t, (_req, res) => (isReleased ? FakeNode.answerDone(_req, res) : held.push(() => FakeNode.answerDone(_req, res))));
    const { edge } = await tiers(t, { nodes: [node], centre: { settings: { nodeSlots: 2000 } }, edge: { args: ['--workers', '1'] } });
    const clients = await Promise.all(Array.from({ length: 5 }, async () => {
        const client = await connect({ port: edge.mcpPort });
        t.after(() => client.destroy());
        await client.ready;
        return client;
    }));
    const answers = Array.from({ length: n }, (_, i) =>
        clients[i % 5].call('ollama.generate', JSON.stringify({ model: node.model, prompt: 'x', stream: false }), { codec: 1 }).response);
    await until(async () => held.length === carried, 'the connections are full');
    assert.equal((await edge.metrics()).get('chasqui_requests_in_flight'), n);
    isReleased = true;
    held.forEach((answer) => answer());
    await Promise.all(answers);
    const asked = node.requests.filter((req) => req.url === '/api/generate');
    assert.equal(asked.length, n);
    const attempts = [...await edge.metrics()].filter(([name]) => name.startsWith('chasqui_attempts_total'));
    assert.deepEqual(attempts.map(([name, n]) => [/outcome="(\w+)"/.exec(name)[1], n]), [['ok', n]]);
});
