// SPDX-License-Identifier: MIT
/*
 * Nodes fail and clients leave: what had not begun succeeds elsewhere, what had begun ends honestly, nothing is left behind
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { Gateway, Sim, SIM_MODEL, freePort } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { Raw, exchange, request } from '../lib/raw.mjs';
import { test, until } from '../lib/test.mjs';

const STREAM = { model: SIM_MODEL, prompt: 'hi', options: { num_predict: 10 } };
const WHOLE = { ...STREAM, stream: false };
const ENDLESS = { model: SIM_MODEL, prompt: 'on and on', options: { num_predict: 100_000 } };
const CHAT = { model: SIM_MODEL, messages: [{ role: 'user', content: 'hi' }], max_tokens: 10 };

const post = (t, gateway, path, body) => exchange(t, gateway.port, request('POST', path, { body }));

async function start(t, { n = 1, sim = {}, gateway = {} } = {}) {
    const sims = [];
    for (let i = 0; i < n; i++)
        sims.push(await Sim.start(t, sim));
    return { sims, gateway: await Gateway.start(t, { nodes: sims, ...gateway }) };
}

const lineOf = (gateway, answer) => gateway.accessLine(answer.get('x-request-id'));

/* Before the first record: retried, and nobody sees it */

test('a node that refuses connections is replaced by another', async (t) => {
    const { sims, gateway } = await start(t, { n: 2 });
    await sims[0].kill();
    for (let i = 0; i < 6; i++) {
        const answer = await post(t, gateway, '/api/generate', STREAM);
        assert.equal(answer.status, 200);
        assert.equal(answer.records.at(-1).done, true);
    }
});

test('a node that answers 503 twice is asked again', async (t) => {
    const { sims: [sim], gateway } = await start(t);
    await sim.fault('503', { count: 2 });
    const answer = await post(t, gateway, '/api/generate', STREAM);
    assert.equal(answer.status, 200);
    assert.equal((await lineOf(gateway, answer)).attempts, 3);
});

test('503 of one node is no reason to wait while another is idle', async (t) => {
    const { sims, gateway } = await start(t, { n: 2 });
    for (const sim of sims)
        await sim.fault('503', { count: 1 });
    for (let i = 0; i < 4; i++)
        assert.equal((await post(t, gateway, '/api/generate', WHOLE)).status, 200);
});

test('503 that does not end is passed on after five retries at most', async (t) => {
    const { sims: [sim], gateway } = await start(t);
    await sim.fault('503', { count: 1000 });
    const answer = await post(t, gateway, '/api/generate', STREAM);
    assert.equal(answer.status, 503);
    assert.ok(answer.json.error);
    const line = await lineOf(gateway, answer);
    assert.ok(line.attempts >= 2 && line.attempts <= 6, `${line.attempts} attempts`);
});

for (const [name, body] of Object.entries({ streamed: STREAM, whole: WHOLE })) {
    test(`a node that dies before the first record of a ${name} answer is replaced invisibly`, async (t) => {
        const { sims, gateway } = await start(t, { n: 2 });
        const answers = [];
        await sims[0].fault('die', { after: 0 });
        for (let i = 0; i < 4; i++) /* one of them meets the fault */
            answers.push(await post(t, gateway, '/api/generate', body));
        await sims[0].proc.exited;
        for (const answer of answers) {
            assert.equal(answer.status, 200);
            assert.ok(answer.isComplete);
            assert.ok(!answer.text.includes('"error"'));
        }
    });
}

for (const path of ['/api/generate', '/v1/chat/completions']) {
    test(`${path}: half of a whole answer is nobody's: another node gives all of it`, async (t) => {
        const { sims, gateway } = await start(t, { n: 2, sim: { tokens: 800 } });
        const body = { ...WHOLE, messages: CHAT.messages, options: {} };
        for (const sim of sims)
            await sim.fault('cut', { after: 300, count: 1 });
        const answer = await post(t, gateway, path, body);
        const line = await lineOf(gateway, answer);
        assert.equal(answer.status, 200);
        assert.ok(answer.isComplete);
        assert.ok(line.attempts >= 2 && line.resumes === 0, JSON.stringify(line));
        const textOf = ({ json }) => json.response ?? json.choices[0].message.content;
        assert.equal(textOf(answer), textOf(await post(t, sims[0], path, body)));
        assert.ok([...(await gateway.metrics()).keys()].some((key) => key.includes('outcome="half_answer"')));
    });
}

test('a whole answer that is always cut is an error, and nothing of it reaches the client', async (t) => {
    const { sims: [sim], gateway } = await start(t, { gateway: { settings: { maxRetries: 1 } } });
    await sim.fault('cut', { after: 3, count: 100 });
    const answer = await post(t, gateway, '/api/generate', WHOLE);
    assert.equal(answer.status, 502);
    assert.deepEqual(Object.keys(answer.json), ['error']);
    assert.equal((await lineOf(gateway, answer)).reason, 'node_reset');
});

test('a whole answer that is too long to be kept flows, and one that breaks then is seen to', async (t) => {
    const node = await FakeNode.start(t, (_req, res) => {
        res.setHeader('Content-Type', 'application/json');
        res.write(`{"embeddings":[[${'0.25,'.repeat(400_000)}`, () => res.destroy());
    });
    const gateway = await Gateway.start(t, { nodes: [node] });
    const answer = await post(t, gateway, '/api/embed', { model: node.model, input: 'a' });
    assert.equal(answer.status, 200);
    assert.equal(answer.isComplete, false);
});

test('a pooled connection that the node closes on the next request is replaced at once', async (t) => {
    const seen = new Map(); /* requests by socket */
    const node = await FakeNode.start(t, (req, res) => {
        const n = (seen.get(req.socket) ?? 0) + 1;
        seen.set(req.socket, n);
        if (n > 1)
            req.socket.destroy();
        else
            FakeNode.answerDone(req, res);
    });
    const gateway = await Gateway.start(t, { nodes: [node] });
    for (let i = 0; i < 5; i++)
        assert.equal((await post(t, gateway, '/api/generate', { ...STREAM, model: node.model })).status, 200);
});

test('a pooled connection that was closed while idle is not used', async (t) => {
    const node = await FakeNode.start(t);
    const gateway = await Gateway.start(t, { nodes: [node] });
    const ask = () => post(t, gateway, '/api/generate', { ...STREAM, model: node.model });
    assert.equal((await ask()).status, 200);
    node.server.closeIdleConnections();
    await until(() => node.last.socket.destroyed, 'the idle connection is closed');
    const answer = await ask();
    assert.equal(answer.status, 200);
    assert.equal(node.requests.length, 2, 'each request reached the node once');
});

test('connections to a node are used again', async (t) => {
    const node = await FakeNode.start(t);
    const gateway = await Gateway.start(t, { nodes: [node], args: ['--workers', '1'] });
    for (let i = 0; i < 20; i++)
        await post(t, gateway, '/api/generate', { ...STREAM, model: node.model });
    assert.equal(new Set(node.requests.map((req) => req.socket)).size, 1);
});

test('the caller\'s fault is answered once and blames nobody', async (t) => {
    const node = await FakeNode.start(t, (_req, res) => {
        res.statusCode = 400;
        res.end('{"error":"bad format"}');
    });
    const gateway = await Gateway.start(t, { nodes: [node] });
    for (let i = 0; i < 6; i++) {
        const answer = await post(t, gateway, '/api/generate', { ...STREAM, model: node.model });
        assert.equal(answer.status, 400);
        assert.equal(answer.text, '{"error":"bad format"}');
    }
    assert.equal(node.requests.length, 6);
    assert.equal((await gateway.nodes())[0].state, 'up');
});

test('an answer that is no HTTP is a 502, never relayed', async (t) => {
    const node = await FakeNode.start(t, (req) => req.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'));
    const gateway = await Gateway.start(t, { nodes: [node] });
    const answer = await post(t, gateway, '/api/generate', { ...STREAM, model: node.model });
    assert.equal(answer.status, 502);
    assert.ok(answer.json.error);
});

/* After the first record: an honest end */

/** The stream is broken: whole records, then one that tells the error, then no proper end. */
function assertBrokenNdjson(answer) {
    assert.equal(answer.status, 200);
    assert.equal(answer.isComplete, false, 'the transfer does not end as if all were well');
    const records = answer.records;
    assert.equal(typeof records.at(-1).error, 'string');
    assert.ok(records.length >= 2);
    assert.ok(records.slice(0, -1).every((record) => record.done === false));
    return records;
}

const UNRESUMED = { gateway: { settings: { resume: 'off' } } };

test('a node that dies in the middle: an error record and a broken transfer', async (t) => {
    const { sims: [sim], gateway } = await start(t, UNRESUMED);
    await sim.fault('die', { after: 3 });
    const answer = await post(t, gateway, '/api/generate', STREAM);
    assert.equal(assertBrokenNdjson(answer).length, 4, 'the three records that were sent, and the error');
    assert.match((await lineOf(gateway, answer)).reason, /^node_(reset|incomplete)$/);
});

test('a node that dies in the middle of a /v1 stream: an error event, no [DONE]', async (t) => {
    const { sims: [sim], gateway } = await start(t, UNRESUMED);
    await sim.fault('die', { after: 3 });
    const answer = await post(t, gateway, '/v1/chat/completions', { ...CHAT, stream: true });
    assert.equal(answer.status, 200);
    assert.equal(answer.isComplete, false);
    assert.ok(!answer.text.includes('[DONE]'));
    const events = answer.text.trimEnd().split('\n\n');
    const error = JSON.parse(events.at(-1).replace(/^data: /, '')).error;
    assert.equal(typeof error.message, 'string');
});

test('a connection cut in the middle of a record: the half of it never reaches the client', async (t) => {
    const { sims: [sim], gateway } = await start(t, UNRESUMED);
    await sim.fault('cut', { after: 3 });
    const answer = await post(t, gateway, '/api/chat', { model: SIM_MODEL, messages: CHAT.messages });
    assertBrokenNdjson(answer); /* every line of it parses */
    assert.match((await lineOf(gateway, answer)).reason, /^node_(reset|incomplete)$/);
});

test('a clean end without done is no end: the client is told', async (t) => {
    const node = await FakeNode.start(t, (_req, res) => {
        res.setHeader('Content-Type', 'application/x-ndjson');
        res.write('{"model":"fake:latest","response":"a","done":false}\n');
        res.end(); /* chunked, and the last chunk is there */
    });
    const gateway = await Gateway.start(t, { nodes: [node] });
    const answer = await post(t, gateway, '/api/generate', { ...STREAM, model: node.model });
    assertBrokenNdjson(answer);
    assert.equal((await lineOf(gateway, answer)).reason, 'node_incomplete');
});

test('a node that stalls between records: the deadline ends it', async (t) => {
    const { sims: [sim], gateway } = await start(t, { gateway: { settings: { betweenTokens: '300ms', resume: 'off' } } });
    await sim.fault('stall', { after: 3 });
    const answer = await post(t, gateway, '/api/generate', STREAM);
    const records = assertBrokenNdjson(answer);
    assert.equal(records.length, 4);
    assert.equal((await lineOf(gateway, answer)).reason, 'between_tokens_timeout');
    await sim.untilState((s) => s.active === 0, 'the node is released');
});

test('a node that stalls before the first record: 504', async (t) => {
    const { sims: [sim], gateway } = await start(t, { gateway: { settings: { firstToken: '300ms' } } });
    await sim.fault('stall', { after: 0 });
    const answer = await post(t, gateway, '/api/generate', STREAM);
    assert.equal(answer.status, 504);
    assert.ok(answer.json.error);
    assert.equal((await lineOf(gateway, answer)).reason, 'first_token_timeout');
});

test('a node that never answers as a whole: 504, later than a stream would be', async (t) => {
    const { sims: [sim], gateway } = await start(t, { gateway: { settings: { firstToken: '100ms' } } });
    await sim.fault('stall', { after: 0 });
    const answer = await post(t, gateway, '/api/generate', WHOLE);
    assert.equal(answer.status, 504);
    assert.equal((await lineOf(gateway, answer)).reason, 'first_token_timeout');
    assert.ok((await lineOf(gateway, answer)).total_ms >= 600);
});

/* No node */

const NO_NODE = [
    ['/api/generate', STREAM, (json) => typeof json.error === 'string'],
    ['/api/chat', STREAM, (json) => typeof json.error === 'string'],
    ['/api/embed', STREAM, (json) => typeof json.error === 'string'],
    ['/v1/chat/completions', CHAT, (json) => typeof json.error.message === 'string' && json.error.code === 'no_node'],
    ['/v1/embeddings', CHAT, (json) => typeof json.error.message === 'string' && json.error.code === 'no_node'],
    ['/v1/messages', CHAT, (json) => json.type === 'error' && json.error.type === 'overloaded_error'],
];

test('all nodes down: 503 no_node in the shape of each API', async (t) => {
    const { sims, gateway } = await start(t, { n: 2, gateway: { settings: { probes: '100ms' } } });
    for (const sim of sims)
        await sim.kill();
    await until(async () => (await gateway.nodes()).every((node) => node.state !== 'up'), 'both are seen as down');
    for (const [path, body, hasShape] of NO_NODE) {
        const answer = await post(t, gateway, path, body);
        assert.equal(answer.status, 503, path);
        assert.ok(hasShape(answer.json), `${path}: ${answer.text}`);
        assert.equal((await lineOf(gateway, answer)).reason, 'no_node');
    }
});

test('a node that comes back is used again', async (t) => {
    const port = await freePort();
    const first = await Sim.start(t, { port });
    const gateway = await Gateway.start(t, { nodes: [first], settings: { probes: '100ms' } });
    await first.kill();
    await until(async () => (await gateway.nodes())[0].state !== 'up', 'it is seen as down');
    await Sim.start(t, { port });
    await gateway.untilUp(1);
    assert.equal((await post(t, gateway, '/api/generate', WHOLE)).status, 200);
});

test('a hung node delays neither listings nor other nodes', async (t) => {
    const sim = await Sim.start(t);
    const sockets = new Set();
    const hung = createServer((socket) => sockets.add(socket.on('error', () => {})));
    t.after(() => {
        hung.close();
        sockets.forEach((socket) => socket.destroy());
    });
    await new Promise((resolve) => hung.listen(0, '127.0.0.1', resolve));
    const nodes = [sim, { url: `http://127.0.0.1:${hung.address().port}` }];
    const gateway = await Gateway.start(t, { nodes, untilUp: 1 });
    const before = performance.now();
    const tags = await exchange(t, gateway.port, request('GET', '/api/tags'));
    assert.ok(tags.json.models.some((model) => model.name === SIM_MODEL));
    assert.equal((await post(t, gateway, '/api/generate', WHOLE)).status, 200);
    assert.ok(performance.now() - before < 3_500, 'not longer than the metadata time-out and a little');
});

/* The client leaves */

test('a client that leaves while streaming frees the slot', async (t) => {
    const { sims: [sim], gateway } = await start(t, { sim: { tokenInterval: '5ms' } });
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(request('POST', '/api/generate', { body: ENDLESS }));
    await raw.chunk(await raw.head());
    raw.socket.destroy();
    await sim.untilState((s) => s.active === 0 && s.cancelled === 1, 'the slot is free');
    await gateway.untilIdle();
    await until(() => gateway.accessLog.some((line) => line.reason === 'client_gone'), 'it is logged as client_gone');
});

test('a client that resets while a whole answer is computed frees the slot', async (t) => {
    const { sims: [sim], gateway } = await start(t, { sim: { tokenInterval: '5ms' }, gateway: { settings: { probes: '100ms' } } });
    await post(t, gateway, '/api/generate', WHOLE);
    await until(async () => (await gateway.nodes())[0].loaded.length === 1, 'it is known that nothing loads any more');
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(request('POST', '/api/generate', { body: { ...ENDLESS, stream: false } }));
    await sim.untilState((s) => s.active === 1, 'the node is at work');
    raw.socket.resetAndDestroy();
    await sim.untilState((s) => s.active === 0 && s.cancelled === 1, 'the slot is free');
});

test('a client that leaves while the model loads does not kill the load', async (t) => {
    const { sims: [sim], gateway } = await start(t, { sim: { loadTime: '700ms' } });
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(request('POST', '/api/generate', { body: STREAM }));
    await sim.untilState((s) => s.loads === 1, 'the load has begun');
    raw.socket.destroy();
    await sim.untilState((s) => s.loaded.includes(SIM_MODEL), 'the model is loaded all the same');
    assert.equal((await post(t, gateway, '/api/generate', WHOLE)).status, 200);
    assert.equal((await sim.state()).loads, 1);
    await gateway.untilIdle();
});

test('a client that leaves the node\'s queue leaves no trace in it', async (t) => {
    const { sims: [sim], gateway } = await start(t, { sim: { slots: 1, tokenInterval: '5ms' } });
    const [busy, waiting] = [await Raw.connect(t, gateway.port), await Raw.connect(t, gateway.port)];
    await busy.send(request('POST', '/api/generate', { body: ENDLESS }));
    await busy.chunk(await busy.head());
    await waiting.send(request('POST', '/api/generate', { body: ENDLESS }));
    await until(async () => (await gateway.metrics()).get('chasqui_requests_in_flight') === 2, 'both are in flight');
    waiting.socket.destroy();
    await sim.untilState((s) => s.waiting === 0 && s.active === 1, 'only the first is there');
    busy.socket.destroy();
    await sim.untilState((s) => s.active === 0, 'none is there');
    await gateway.untilIdle();
});

test('a slow client pauses its node and loses nothing', { timeout: 40_000 }, async (t) => {
    const n = 300_000; /* more than sockets hold on the way */
    const { sims: [sim], gateway } = await start(t, { sim: { tokenInterval: '0ms', slots: 2 } });
    const raw = await Raw.connect(t, gateway.port);
    raw.socket.pause();
    await raw.send(request('POST', '/api/generate', { body: { ...ENDLESS, options: { num_predict: n } } }));
    await sim.untilState((s) => s.active === 1, 'the node is at work');
    const quick = await post(t, gateway, '/api/generate', WHOLE); /* others go on meanwhile */
    assert.equal(quick.status, 200);
    assert.equal((await sim.state()).active, 1, 'the node waits for the client');
    raw.socket.resume();
    const answer = await raw.answer();
    assert.ok(answer.isComplete);
    assert.equal(answer.chunks.length, n + 1);
    assert.equal(JSON.parse(answer.chunks.at(-1).data).eval_count, n);
});
