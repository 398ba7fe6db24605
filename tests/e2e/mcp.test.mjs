// SPDX-License-Identifier: MIT
/*
 * The gateway's MCP door: what comes through it is what comes through the HTTP door, and the protocol holds
 *
 * The client is the independent peer of tests/peers, which shares no line with the gateway.
 */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { before } from 'node:test';
import { Gateway, ROOT, Sim, SIM_EMBED_MODEL, SIM_MODEL, temporaryDirectory } from '../lib/chasqui.mjs';
import { assertSame } from '../lib/compare.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { file, slow, test, until, within } from '../lib/test.mjs';
import { SECTIONS, runSection, targetOf } from '../peers/conformance.mjs';
import { dial, raw } from '../peers/hand.mjs';
import { BASE, COMPRESSION, FEATURE, FLAG, ORIGIN, TYPE, connect, plainConnect, serve } from '../peers/mcp.mjs';
import { Schema } from '../peers/protobuf.mjs';

const PROTOBUF = 0, JSON_CODEC = 1, ENDLESS = 100_000;
const OPTIONS = { num_predict: 12, temperature: 0, seed: 7 };
const GENERATE = { model: SIM_MODEL, prompt: 'hello', options: OPTIONS };
const CHAT = { model: SIM_MODEL, messages: [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'why' }], options: OPTIONS };
const ENDLESS_GENERATE = { ...GENERATE, options: { num_predict: ENDLESS } };
const MORE_THAN_IT_KEEPS = 16 * 1024; /* KiB unsent for one connection */
const KEY = 'use-0123456789abcdef';
const IN_A_MOOD = process.env.CHASQUI_FAULT_IO !== undefined; /* tools/run-fault: byte by byte, no clock holds */

/* METHOD: its body, path of the same at the HTTP door, and what its records are called in proto/chasqui.proto. */
const SERVICES = {
    'ollama.generate': { body: GENERATE, path: '/api/generate', request: 'GenerateRequest', record: 'GenerateRecord' },
    'ollama.chat': { body: CHAT, path: '/api/chat', request: 'ChatRequest', record: 'ChatRecord' },
    'ollama.embed': { body: { model: SIM_EMBED_MODEL, input: ['one', 'two'] }, path: '/api/embed' },
    'ollama.tags': { path: '/api/tags' },
    'ollama.ps': { path: '/api/ps' },
    'ollama.show': { body: { model: SIM_MODEL }, path: '/api/show' },
    'ollama.version': { path: '/api/version' },
};

const schema = new Schema(readFileSync(path.join(ROOT, 'proto/chasqui.proto'), 'utf8'));
let sim, gateway;

before(async () => {
    sim = await Sim.start(file);
    gateway = await Gateway.start(file, { nodes: [sim] });
    await warm(gateway);
});

async function client(t, at = gateway, options = {}) {
    const one = await connect({ port: at.mcpPort, ...options });
    t.after(() => one.close());
    await one.ready;
    return one;
}
/* A model that may be loading keeps its request when the client leaves: so that it is known to be loaded. */
async function warm(at) {
    await fetch(`${at.url}/api/generate`, { method: 'POST', body: JSON.stringify({ ...GENERATE, stream: false }) }).then((answer) => answer.text());
    await at.untilIdle();
}
async function overHttp(service, body = SERVICES[service].body) {
    const init = body && { method: 'POST', body: JSON.stringify(body) };
    const text = await (await fetch(gateway.url + SERVICES[service].path, init)).text();
    return text.trim().split('\n').map((line) => JSON.parse(line));
}
const json = (body) => (body === undefined ? '' : JSON.stringify(body));
const ask = (one, service, body, options) => one.call(service, json(body), { codec: JSON_CODEC, ...options });
async function collect(call) {
    const bodies = [];
    for await (const { body } of call.chunks)
        bodies.push(body);
    return [...bodies, (await call.response).body];
}
const records = async (call) => (await collect(call)).map((body) => JSON.parse(body));
const firstChunk = (call) => within(call.chunks.next(), 'the first record');
async function failure(call) {
    return within(call.response.then(() => assert.fail('an answer'), (error) => error), 'an error');
}
const metadataOf = (error) => Object.fromEntries(error.metadata);
const lineOf = (at, error) => at.accessLine(metadataOf(error)['request-id']);

/* Services and codecs */

for (const [service, { body }] of Object.entries(SERVICES))
    test(`${service} in JSON is what HTTP gives, record by record`, async (t) => {
        const answer = await records(ask(await client(t), service, body));
        assertSame(answer, await overHttp(service));
        assert.equal(answer.length > 1, service === 'ollama.generate' || service === 'ollama.chat');
    });

for (const service of ['ollama.generate', 'ollama.chat'])
    test(`${service} in Protobuf loses nothing [M-42]`, async (t) => {
        const { request, record, body } = SERVICES[service], one = await client(t);
        const answer = await collect(one.call(service, schema.encode(request, body), { codec: PROTOBUF }));
        const read = answer.map((bytes) => {
            const { extra_json: rest = '{}', ...fields } = schema.decode(record, bytes);
            return { ...fields, ...JSON.parse(rest) };
        });
        assertSame(read, await overHttp(service));
    });

test('a request that wants no stream gets the RESPONSE alone', async (t) => {
    for (const service of ['ollama.generate', 'ollama.chat']) {
        const body = { ...SERVICES[service].body, stream: false }, answer = await records(ask(await client(t), service, body));
        assert.equal(answer.length, 1);
        assertSame(answer, await overHttp(service, body));
    }
});

test('echo gives the same bytes, in both codecs [M-129]', async (t) => {
    const one = await client(t), body = Buffer.alloc(200_000, Buffer.from([0xff, 0, 1, 2]));
    for (const codec of [PROTOBUF, JSON_CODEC])
        assert.ok((await one.call('echo', body, { codec }).response).body.equals(body));
});

test('health, in both codecs', async (t) => {
    const one = await client(t), expected = { status: 'ok', nodes_up: 1, nodes: 1 };
    assert.deepEqual(JSON.parse((await ask(one, 'health').response).body), expected);
    assert.deepEqual(schema.decode('Health', (await one.call('health').response).body), expected);
});

test('the gateway takes Protobuf and JSON, and says so [M-54] [M-41]', async (t) => {
    const one = await client(t);
    assert.deepEqual((await one.ready).codecs, [PROTOBUF, JSON_CODEC]);
    for (const service of ['echo', 'health', 'ollama.chat'])
        assert.equal((await failure(one.call(service, '', { codec: 2 }))).codeName, 'UNIMPLEMENTED');
});

/* Plain profile */

const plainly = async (t, at = gateway) => {
    const plain = await plainConnect({ port: at.mcpPort });
    t.after(() => plain.close());
    return plain;
};

for (const [service, { body }] of Object.entries(SERVICES))
    test(`plain ${service} is one body: as if stream were false [M-15]`, async (t) => {
        const plain = await plainly(t);
        for (const asked of [body, body && { ...body, stream: true }]) {
            const { status, body: answer } = await plain.call(service, json(asked));
            assert.equal(status, 200);
            assertSame([JSON.parse(answer)], await overHttp(service, body && { ...body, stream: false }));
        }
    });

test('plain statuses: 404, 400, 413, and health [M-11] [M-12]', async (t) => {
    const fast = await Sim.start(t, { tokenInterval: '0ms' }), at = await Gateway.start(t, { nodes: [fast] }), plain = await plainly(t, at);
    const long = { ...GENERATE, options: { num_predict: 30_000 } };
    const statuses = [];
    for (const [service, body] of [['nope', ''], ['ollama.generate', json({ model: 'nope', prompt: 'x' })], ['ollama.generate', '{'],
        ['ollama.generate', json(long)], ['health', '']])
        statuses.push((await plain.call(service, body)).status);
    assert.deepEqual(statuses, [404, 404, 400, 413, 200]);
});

/* Errors */

test('errors of the gateway: code, reason, origin, NOT_PROCESSED, and the id of the access log [M-87]', async (t) => {
    const one = await client(t), dead = await Gateway.start(t, { nodes: ['http://127.0.0.1:1'], untilUp: 0 }), noNode = await client(t, dead);
    for (const [at, on, body, codec, code, reason] of [
        [gateway, one, json({ model: 'nope', prompt: 'x' }), JSON_CODEC, 'NOT_FOUND', 'no_model'],
        [gateway, one, Buffer.from([0xff]), PROTOBUF, 'INVALID_ARGUMENT', 'bad_request'],
        [dead, noNode, json(GENERATE), JSON_CODEC, 'UNAVAILABLE', 'no_node'],
    ]) {
        const error = await failure(on.call('ollama.generate', body, { codec }));
        assert.deepEqual([error.codeName, metadataOf(error).reason], [code, reason]);
        assert.deepEqual([error.origin, error.notProcessed, (error.flags & FLAG.TRANSIENT) !== 0],
            [ORIGIN.GATEWAY, true, code === 'UNAVAILABLE']);
        assert.equal((await lineOf(at, error)).reason, reason);
        assert.ok(error.message.length > 0);
    }
});

test('what a node refuses has the origin node', async (t) => {
    const node = await FakeNode.start(t, (_req, res) => { res.statusCode = 400; res.end('{"error":"no such thing"}'); });
    const at = await Gateway.start(t, { nodes: [node] }),
        error = await failure(ask(await client(t, at), 'ollama.generate', { model: node.model, prompt: 'x' }));
    assert.deepEqual([error.codeName, error.origin, error.notProcessed, error.message], ['INVALID_ARGUMENT', ORIGIN.NODE, false, 'no such thing']);
});

test('a node that breaks off in the middle is told with PARTIAL [M-64]', async (t) => {
    const own = await Sim.start(t), at = await Gateway.start(t, { nodes: [own], settings: { resume: 'off' } }), one = await client(t, at);
    await own.fault('cut', { after: 3 });
    const call = ask(one, 'ollama.generate', ENDLESS_GENERATE);
    await firstChunk(call);
    const error = await failure(call);
    assert.deepEqual([error.codeName, error.flags & (FLAG.PARTIAL | FLAG.NOT_PROCESSED)], ['BACKEND_LOST', FLAG.PARTIAL]);
    assert.match(metadataOf(error).reason, /^node_(reset|incomplete)$/);
});

test('a call that passed too many gateways is refused', async (t) => {
    const one = await client(t), hops = (n) => ask(one, 'ollama.generate', GENERATE, { metadata: [['hops', n]] });
    for (const [n, code, reason] of [['99', 'FAILED_PRECONDITION', 'loop'], ['x', 'INVALID_ARGUMENT', 'bad_request']]) {
        const error = await failure(hops(n));
        assert.deepEqual([error.codeName, metadataOf(error).reason], [code, reason]);
    }
    assert.ok((await records(hops('1'))).length > 1);
});

/* Deadline and cancel, here and behind two gateways */

async function tiers(t) {
    const own = await Sim.start(t), centre = await Gateway.start(t, { nodes: [own] });
    await warm(centre);
    const edge = await Gateway.start(t, { nodes: [{ url: `mcp://127.0.0.1:${centre.mcpPort}` }] });
    await warm(edge);
    return { own, edge };
}
const single = async (t) => {
    const own = await Sim.start(t), edge = await Gateway.start(t, { nodes: [own] });
    await warm(edge);
    return { own, edge };
};
for (const [where, start] of [['one gateway', single], ['two gateways', tiers]]) {
    test(`a deadline ends the call and the node's work through ${where} [M-94]`, async (t) => {
        const { own, edge } = await start(t), one = await client(t, edge, { timing: { tick: 20 } });
        const begun = performance.now(), call = ask(one, 'ollama.generate', ENDLESS_GENERATE, { deadlineMs: 300 });
        await firstChunk(call);
        assert.equal((await failure(call)).codeName, 'DEADLINE_EXCEEDED');
        const stopped = own.untilState((s) => s.active === 0 && s.cancelled === 1, 'the node has stopped');
        assert.equal((await within(call.closed, 'the terminal frame')).partial, true);
        await stopped;
        const took = performance.now() - begun;
        assert.ok(took >= 295 && took < 300 + slow(1_000), `${took} ms`);
        await edge.untilIdle();
    });
    test(`cancel stops the node through ${where} [M-98]`, async (t) => {
        const { own, edge } = await start(t), one = await client(t, edge), call = ask(one, 'ollama.chat', { ...CHAT, options: { num_predict: ENDLESS } });
        await firstChunk(call);
        const begun = performance.now();
        call.cancel();
        await own.untilState((s) => s.active === 0 && s.cancelled === 1, 'the node has stopped');
        assert.ok(performance.now() - begun < slow(1_000));
        const terminal = await within(call.closed, 'the terminal frame');
        assert.deepEqual([terminal.codeName, terminal.partial], ['CANCELLED', true]);
        await edge.untilIdle();
    });
    test(`a client that goes away stops the node through ${where} [M-119]`, async (t) => {
        const { own, edge } = await start(t), one = await client(t, edge);
        await firstChunk(ask(one, 'ollama.generate', ENDLESS_GENERATE));
        one.destroy();
        await own.untilState((s) => s.active === 0 && s.cancelled === 1, 'the node has stopped');
    });
}

/* A node that is the peer's server, so that the test sees what a gateway sends. */
async function peerNode(t, generate) {
    const tags = { models: [{ name: 'peer:latest', model: 'peer:latest', modified_at: '2025-01-01T00:00:00Z', size: 1,
        digest: 'f'.repeat(64), details: {} }] };
    const answers = { health: { status: 'ok', nodes_up: 1, nodes: 1 }, 'ollama.tags': tags, 'ollama.ps': { models: [] },
        'ollama.version': { version: '0.11.4' } };
    const handlers = Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, async () => JSON.stringify(answer)]));
    const server = await serve({ handlers: { ...handlers, 'ollama.generate': generate } });
    t.after(() => server.close());
    return { url: `mcp://127.0.0.1:${server.port}` };
}

test('a gateway passes on what is left of the deadline, one hop more, the trace and the session [M-96] [M-92]', async (t) => {
    let seen;
    const node = await peerNode(t, async (request) => { seen = request; return '{"model":"peer:latest","response":"","done":true}'; });
    const one = await client(t, await Gateway.start(t, { nodes: [node] })),
        trace = Buffer.from('4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b701', 'hex');
    await ask(one, 'ollama.generate', { model: 'peer:latest', prompt: 'x' },
        { deadlineMs: 5_000, trace, session: 's1', metadata: [['hops', '1']] }).response;
    assert.ok(seen.deadlineMs > 0 && seen.deadlineMs <= 5_000, `${seen.deadlineMs}`);
    assert.deepEqual(seen.trace.subarray(0, 16), trace.subarray(0, 16));
    assert.equal(Object.fromEntries(seen.metadata).hops, '2');
});

test('traceparent reaches a node, and the access log', async (t) => {
    const node = await FakeNode.start(t), at = await Gateway.start(t, { nodes: [node] });
    const trace = Buffer.from('4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b701', 'hex');
    await ask(await client(t, at), 'ollama.generate', { model: node.model, prompt: 'x' }, { trace }).response;
    assert.equal(node.last.headers.traceparent, '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
    const line = await until(() => at.accessLog.find(({ method }) => method === 'MCP'), 'its line');
    assert.deepEqual([line.route, line.trace_id, line.status, line.model], ['/api/generate', '4bf92f3577b34da6a3ce929d0e0e4736', 200, node.model]);
});

test('requests over MCP are counted, and leave nothing behind', async (t) => {
    const count = async () => [...await gateway.metrics()].filter(([name]) => name.startsWith('chasqui_requests_total{') && name.includes('"/api/chat"'))
        .reduce((sum, [, value]) => sum + value, 0);
    const one = await client(t), earlier = await count();
    await records(ask(one, 'ollama.chat', CHAT));
    await until(async () => await count() === earlier + 1, 'one more');
    await gateway.untilIdle();
});

/* Keys */

function guarded(t) {
    const keysFile = path.join(temporaryDirectory(t), 'keys');
    writeFileSync(keysFile, `alice:${KEY}:use\nroot:admin-0123456789abcdef:admin\n`);
    chmodSync(keysFile, 0o600);
    return Gateway.start(t, { nodes: [sim], keysFile, adminKey: 'admin-0123456789abcdef' });
}

test('keys: HELLO with the right one; without, or plain, nothing is served; no log has one [M-57] [M-58] [M-14]', async (t) => {
    const wrong = 'wrong-0123456789abcdef', at = await guarded(t);
    const served = (await sim.state()).served, right = await client(t, at, { key: KEY });
    assert.ok((await records(ask(right, 'ollama.generate', GENERATE))).length > 1);
    for (const key of [wrong, undefined, '', `${KEY}x`]) {
        const other = await connect({ port: at.mcpPort, key }), error = await failure(ask(other, 'ollama.generate', GENERATE));
        assert.deepEqual([error.codeName, error.notProcessed], ['UNAUTHENTICATED', true]);
    }
    assert.equal((await (await plainly(t, at)).call('echo', 'Hi')).status, 401);
    assert.equal((await sim.state()).served, served + 1);
    const line = await until(() => at.accessLog.find(({ method }) => method === 'MCP'), 'its line');
    assert.equal(line.key, 'alice');
    const logs = at.proc.errText + at.proc.out.join('\n');
    assert.ok(!logs.includes(KEY) && !logs.includes(wrong));
});

/* Many calls, and ends */

test('200 streams on one connection are whole while one consumer stalls [M-86]', async (t) => {
    const fast = await Sim.start(t, { tokenInterval: '0ms', slots: 300 }), at = await Gateway.start(t, { nodes: [fast] });
    await warm(at);
    const one = await client(t, at), stalled = ask(one, 'ollama.generate', ENDLESS_GENERATE, { streamLimit: 8_192 });
    await firstChunk(stalled);
    const all = await Promise.all(Array.from({ length: 200 }, () => records(ask(one, 'ollama.generate', GENERATE))));
    assert.ok(all.every((answer) => answer.length === OPTIONS.num_predict + 1 && answer.at(-1).done));
    assert.equal(stalled.settled, false);
    stalled.cancel();
    await within(stalled.closed, 'its end');
});

test('a client that reads nothing for a while loses none of a hundred streams', { timeout: 60_000, skip: IN_A_MOOD }, async (t) => {
    const fast = await Sim.start(t, { tokenInterval: '0ms', slots: 300 }), at = await Gateway.start(t, { nodes: [fast] }), n = 3_000;
    await warm(at);
    const before = at.residentKiB; /* much may be kept already when the client stops reading */
    const window = 2 ** 31 - 1, one = await client(t, at, { hello: { connectionLimit: window, callLimit: window } }), { socket } = one;
    const calls = Array.from({ length: 100 }, () => ask(one, 'ollama.generate', { ...GENERATE, options: { num_predict: n } }));
    await Promise.all(calls.map(firstChunk));
    socket.pause();
    await until(() => at.residentKiB > before + MORE_THAN_IT_KEEPS, 'the gateway keeps what it may', 30_000);
    socket.resume();
    for (const call of calls)
        assert.equal((await collect(call)).length, n);
});

test('an answer that is longer than the client takes is TOO_LARGE, and the node stops [M-68]', async (t) => {
    const { own, edge } = await single(t), one = await client(t, edge, { hello: { maxMessage: 50 } });
    for (const [service, body] of [['ollama.generate', ENDLESS_GENERATE], ['ollama.tags', undefined]])
        assert.equal((await failure(ask(one, service, body))).codeName, 'TOO_LARGE');
    await own.untilState((s) => s.active === 0 && s.cancelled === 1, 'the node has stopped');
    await edge.untilIdle();
});

test('a session of bytes that no header can hold costs the call nothing', async (t) => {
    const node = await Sim.start(t, { tokenInterval: '0ms' });
    const own = await Gateway.start(t, { nodes: [node] });
    const one = await connect({ port: own.mcpPort });
    t.after(() => one.destroy());
    for (const session of ['a\u0000b', 'a\u0001b', '\r\n', '\u007f'])
        await collect(one.call('ollama.generate', json({ model: SIM_MODEL, prompt: 'x', options: { num_predict: 1 } }),
            { codec: JSON_CODEC, session }));
});

test('SIGTERM: a drain time below a second is as long as it says, and then tells why', { skip: IN_A_MOOD }, async (t) => {
    const node = await Sim.start(t, { tokenInterval: '5ms' });
    const own = await Gateway.start(t, { nodes: [node], settings: { drain: '700ms' } });
    const one = await connect({ port: own.mcpPort });
    t.after(() => one.destroy());
    const calls = [40, 100_000].map((n) => one.call('ollama.generate',
        json({ model: SIM_MODEL, prompt: 'x', options: { num_predict: n } }), { codec: JSON_CODEC }));
    await Promise.all(calls.map((call) => call.chunks.next()));
    const endless = failure(calls[1]);
    const stopped = own.stop();
    await collect(calls[0]);
    assert.match((await endless).message, /shutting down/);
    await stopped;
});

test('SIGTERM: GOAWAY, what is open goes on, what is new is NOT_PROCESSED, then the end [M-114]', async (t) => {
    const own = await Sim.start(t, { tokenInterval: '10ms' }), at = await Gateway.start(t, { nodes: [own] }), one = await client(t, at);
    const call = ask(one, 'ollama.generate', { ...GENERATE, options: { num_predict: 100 } });
    await firstChunk(call);
    at.proc.child.kill('SIGTERM');
    await until(() => one.goneAway, 'GOAWAY');
    assert.deepEqual([one.goneAway.reason, one.goneAway.last], [1, call.id]);
    const late = await failure(one.call('echo', 'Hi'));
    assert.deepEqual([late.codeName, late.notProcessed], ['UNAVAILABLE', true]);
    const rest = await records(call);
    assert.equal(rest.length, 100);
    assert.equal(rest.at(-1).done, true);
    await until(() => one.isGone, 'the end of the connection');
    assert.equal((await within(at.proc.exited, 'the end of the gateway')).code, 0);
});

test('a gateway that is killed in the middle: every call has exactly one end', async (t) => {
    const own = await Sim.start(t, { slots: 40 }), at = await Gateway.start(t, { nodes: [own] }), one = await client(t, at);
    const calls = Array.from({ length: 30 }, () => ask(one, 'ollama.generate', ENDLESS_GENERATE));
    const ends = calls.map(() => 0);
    calls.forEach((call, n) => { call.response.then(() => { ends[n] += 1; }, () => { ends[n] += 1; }); });
    await Promise.all(calls.map(firstChunk));
    at.proc.wasKilled = true;
    at.proc.child.kill('SIGKILL');
    for (const call of calls) {
        const { codeName, notProcessed } = await failure(call);
        assert.deepEqual([codeName, notProcessed], ['UNAVAILABLE', false]);
        await within(call.closed, 'the id is free');
    }
    assert.ok(ends.every((n) => n === 1));
});

/* Conformance: the gateway, and the peer that asks */

const SECTION_MS = 120_000;
const gatewayTarget = () => targetOf({ port: gateway.mcpPort, pid: gateway.pid });
const peerTarget = () => targetOf({ port: peer.port });
const conform = (who, target) => {
    for (const section of Object.keys(SECTIONS).filter((name) => name !== 'liveness'))
        test(`${who} conforms: ${section}`, { timeout: SECTION_MS }, async (t) => {
            await runSection(section, target(), (claim, error) => t.test(claim, () => { if (error) throw error; }));
        });
};

let peer;
async function generate({ body, signal }, send) {
    const { options } = JSON.parse(body);
    for (let n = 0; n < options.num_predict && !signal.aborted && !peer.isOver; n++) {
        await send('{"response":"x"}');
        await new Promise((resolve) => { setTimeout(resolve, 1); });
    }
    return '{"done":true}';
}
before(async () => {
    peer = await serve({ handlers: { echo: async ({ body }) => body, 'ollama.generate': generate } });
    file.after(() => {
        peer.isOver = true;
        return peer.close();
    });
});
conform('the gateway', gatewayTarget);
test('a gateway with keys conforms: hello [M-57] [M-14]', { timeout: SECTION_MS }, async (t) => {
    const at = await guarded(t);
    await runSection('hello', targetOf({ port: at.mcpPort, key: KEY }), (claim, error) => t.test(claim, () => { if (error) throw error; }));
});
conform('the independent peer', peerTarget);
test('both conform: liveness', { timeout: SECTION_MS }, async (t) => { /* waits for time-outs, so all of them at once */
    const report = (who) => (claim, error) => t.test(`${who}: ${claim}`, () => { if (error) throw error; });
    await Promise.all([runSection('liveness', gatewayTarget(), report('the gateway')), runSection('liveness', peerTarget(), report('the peer'))]);
});

const COMPRESSED = { features: FEATURE.BASIC | FEATURE.COMPRESSION, compressions: [COMPRESSION.NONE, COMPRESSION.GZIP, COMPRESSION.ZSTD] };

test('long messages travel compressed where both agreed, short ones as they are [M-55]', async (t) => {
    const sizes = [];
    const tap = (direction, type, id, payload) => {
        if (direction === 'in' && (type & BASE) === TYPE.RESPONSE)
            sizes.push(payload.length);
    };
    const client = await connect({ port: gateway.mcpPort, hello: { ...COMPRESSED, compressions: [COMPRESSION.NONE, COMPRESSION.GZIP] }, tap });
    t.after(() => client.close());
    const long = Buffer.alloc(60_000, 'all work and no play makes a dull boy, '), short = Buffer.alloc(1000, 'x');
    await client.ready;
    for (const body of [long, short])
        assert.ok((await client.call('echo', body, { compression: COMPRESSION.GZIP }).response).body.equals(body));
    assert.ok(sizes[0] < 2000 && sizes[1] >= 1000, `${sizes}`);
});

test('what does not inflate to what it says costs its call and nothing else [M-72] [M-73]', async (t) => {
    const peer = await dial({ port: gateway.mcpPort });
    t.after(() => peer.close());
    peer.send(raw.hello(COMPRESSED));
    assert.equal((await peer.next()).type, TYPE.HELLO_ACK);
    const bomb = gzipSync(Buffer.alloc(32 * 2 ** 20));
    const rows = [
        [COMPRESSION.GZIP, 60_000, gzipSync(Buffer.alloc(60_001))],
        [COMPRESSION.GZIP, 60_000, gzipSync(Buffer.alloc(59_999))],
        [COMPRESSION.GZIP, 60_000, Buffer.from('no gzip at all')],
        [COMPRESSION.GZIP, 2, raw.cat(gzipSync('Hi'), Buffer.from('more'))],
        [COMPRESSION.GZIP, 32 * 2 ** 20, bomb],
        [COMPRESSION.ZSTD, 2, Buffer.from('no zstd')],
        [COMPRESSION.ZSTD, 1, Buffer.from('28b52ffd00a809000078', 'hex')], /* a window of 2 GiB */
    ];
    const terminal = async () => {
        for (;;) {
            const frame = await peer.next();
            if (frame.type !== TYPE.CREDIT)
                return frame;
        }
    };
    for (const [i, [algorithm, length, body]] of rows.entries()) {
        peer.send(raw.message(TYPE.REQUEST, i + 1, { method: 'echo', compression: [algorithm, length] }, body));
        const { type, id, payload } = await terminal();
        assert.deepEqual([type & BASE, id], [TYPE.ERROR, i + 1]);
        const error = raw.readError(type, payload);
        assert.deepEqual([error.codeName, error.flags], ['INVALID_ARGUMENT', FLAG.NOT_PROCESSED], `row ${i}`);
    }
    peer.send(raw.message(TYPE.REQUEST, 99, { method: 'echo' }, Buffer.from('alive')));
    assert.equal((await terminal()).payload.toString(), 'alive');
});
