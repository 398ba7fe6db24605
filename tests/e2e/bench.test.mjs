// SPDX-License-Identifier: MIT
/*
 * The load generator: what it sends is what the node got, what it reports is what happened
 */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before } from 'node:test';
import { Gateway, Sim, SIM_MODEL, freePort, spawnChasqui, temporaryDirectory } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { file, test, within } from '../lib/test.mjs';

const KEY = 'use-0123456789abcdef';
const CLEAN = { CHASQUI_HOST: undefined, CHASQUI_API_KEY: undefined, OLLAMA_API_KEY: undefined };
const TOKENS = 10;

let sim, gateway;
let doors; /* name → URL */

before(async () => {
    sim = await Sim.start(file, { tokens: TOKENS, slots: 64 });
    gateway = await Gateway.start(file, { nodes: [sim] });
    doors = { mcp: mcp(gateway), http: gateway.url, node: sim.url };
});

const mcp = (g) => `mcp://127.0.0.1:${g.mcpPort}`;
const start = (t, host, ...args) => spawnChasqui(t, ['bench', '--model', SIM_MODEL, '--host', host, ...args.map(String)], CLEAN);

async function ended(run) {
    await within(run.exited, `end of ${run.args.join(' ')}`, 15_000);
    return { code: run.code, out: run.out.join('\n'), err: run.errText };
}

/** A run's report; it must end with this code. */
async function report(t, host, args, code = 0) {
    const run = await ended(start(t, host, '-o', 'json', ...args));
    assert.equal(run.code, code, run.err);
    return JSON.parse(run.out);
}

test('at every door each request is sent once and each token counted', async (t) => {
    for (const [name, url] of Object.entries(doors)) {
        const before = (await sim.state()).served;
        const got = await report(t, url, ['--requests', 40, '--connections', 8, '--threads', 2]);
        assert.deepEqual([got.good, got.failed, got.unsent, got.tokens], [40, 0, 0, 40 * TOKENS], name);
        assert.equal((await sim.state()).served - before, 41, `${name}: and one to try`);
        assert.equal(got.latency_ms.n, 40);
        assert.equal(got.first_token_ms.n, 40);
        assert.equal(got.between_tokens_ms.n, 40 * (TOKENS - 1));
        assert.ok(got.first_token_ms.p50 < got.latency_ms.p50);
        assert.ok(got.latency_ms.least <= got.latency_ms.p50 && got.latency_ms.p99_9 <= got.latency_ms.greatest);
    }
});

test('all APIs, streamed and whole, and a body of one\'s own', async (t) => {
    const body = path.join(temporaryDirectory(t), 'body.json');
    writeFileSync(body, JSON.stringify({ model: SIM_MODEL, messages: [{ role: 'user', content: 'x' }], stream: false }));
    const rows = [
        [['--api', 'chat'], '/api/chat', true, TOKENS],
        [['--api', 'chat', '--tokens', '3'], '/api/chat', true, 3],
        [['--api', 'chat', '--body', body], '/api/chat', false, TOKENS],
        [['--no-stream'], '/api/generate', false, TOKENS],
        [['--api', 'v1', '--no-stream', '--tokens', '4'], '/v1/chat/completions', false, 4],
    ];
    for (const [args, at, isStream, tokens] of rows) {
        const got = await report(t, doors.http, ['--requests', 5, ...args]);
        assert.deepEqual([got.path, got.stream, got.good, got.tokens], [at, isStream, 5, 5 * tokens], args.join(' '));
        assert.equal('first_token_ms' in got, isStream);
    }
    const got = await report(t, doors.node, ['--requests', 5, '--api', 'v1']);
    assert.equal(got.good, 5);
    assert.ok(got.tokens >= 5 * TOKENS);
});

test('an open loop counts from when a request was due, and what it could not send', async (t) => {
    const slow = await Sim.start(t, { tokens: 1, tokenInterval: '20ms', slots: 1 });
    const got = await report(t, slow.url, ['--no-stream', '--rate', 200, '--duration', '500ms', '--connections', 1]);
    assert.equal(got.good + got.unsent, 100);
    assert.ok(got.unsent >= 70, `${got.unsent} unsent`);
    assert.equal(got.latency_ms.n, 100);
    assert.equal(got.service_ms.n, got.good);
    assert.ok(got.latency_ms.p50 > 4 * got.service_ms.p50, JSON.stringify([got.latency_ms, got.service_ms]));
});

test('an open loop sends as many as the rate says', async (t) => {
    const before = (await sim.state()).served;
    const got = await report(t, doors.node, ['--rate', 100, '--duration', '500ms', '--warmup', '200ms', '--threads', 3]);
    assert.deepEqual([got.good, got.failed], [50, 0]);
    assert.equal((await sim.state()).served - before, 71);
});

test('failures are told by reason', async (t) => {
    const node = await Sim.start(t, { tokens: 3 });
    const run = async (args = []) => {
        const { good, failures, statuses } = await report(t, node.url, ['--requests', 6, '--connections', 1, ...args]);
        return { good, reasons: failures.map(({ reason, n }) => [reason, n]), first: failures[0]?.first, statuses };
    };
    await node.fault('503', { count: 3 }); /* one for the request that tries */
    const full = await run();
    assert.deepEqual([full.good, full.reasons, full.statuses], [4, [['status', 2]], { 503: 2 }]);
    assert.match(full.first, /busy/);
    await node.fault('cut', { after: 1, count: 3 });
    assert.deepEqual((await run()).reasons, [['reset', 2]]);
    await node.fault('stall', { after: 1, count: 2 });
    const late = await run(['--timeout', '100ms']);
    assert.deepEqual([late.good, late.reasons], [5, [['timeout', 1]]]);
});

test('a stream that ends early, or with an error, is no answer', async (t) => {
    const endings = ['{"response":"a","done":false}\n', '{"response":"a","done":false}\n{"error":"out of memory"}\n'];
    let n = 0;
    const node = await FakeNode.start(t, (req, res) => {
        res.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
        res.end(endings[n++ % 2]);
    });
    const got = await report(t, node.url, ['--requests', 4, '--connections', 1], 1);
    assert.deepEqual(got.failures.map(({ reason, n: count }) => [reason, count]), [['error', 2], ['incomplete', 2]]);
    assert.match(got.failures[0].first, /out of memory/);
});

test('header fields of one\'s own go with each request', async (t) => {
    const node = await FakeNode.start(t);
    const got = await report(t, node.url, ['--requests', 2, '--header', 'X-Session-Id: a b', '--header', 'x-other:c']);
    assert.equal(got.good, 2);
    assert.deepEqual(node.requests.map(({ headers }) => [headers['x-session-id'], headers['x-other']]), Array(3).fill(['a b', 'c']));
    const wrong = await ended(start(t, node.url, '--header', 'no field'));
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /Name: value/);
});

test('what would fail a million times is told after one request', async (t) => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const none = await ended(start(t, nobody));
    assert.deepEqual([none.code, none.out], [3, '']);
    assert.match(none.err, /refused/i);
    const before = (await sim.state()).served;
    const unknown = await ended(spawnChasqui(t, ['bench', '--host', doors.mcp, '--model', 'nowhere'], CLEAN));
    assert.deepEqual([unknown.code, unknown.out], [1, '']);
    assert.match(unknown.err, /status 404.*nowhere[^]*chasqui list/);
    assert.equal((await sim.state()).served, before);
    for (const args of [['--host', doors.mcp], ['--host', 'ftp://x', '--model', 'm'], ['--rate', 'fast', '--model', 'm']]) {
        const wrong = await ended(spawnChasqui(t, ['bench', ...args], CLEAN));
        assert.deepEqual([wrong.code, wrong.out], [2, ''], args.join(' '));
        assert.notEqual(wrong.err, '');
    }
    const v1 = await ended(start(t, doors.mcp, '--api', 'v1'));
    assert.equal(v1.code, 1);
    assert.match(v1.err, /http:/);
});

test('a key opens both doors', async (t) => {
    const keys = path.join(temporaryDirectory(t), 'keys');
    writeFileSync(keys, `alice:${KEY}:use\nroot:admin-0123456789abcdef:admin\n`);
    chmodSync(keys, 0o600);
    const locked = await Gateway.start(t, { nodes: [sim], keysFile: keys, adminKey: 'admin-0123456789abcdef' });
    for (const url of [locked.url, mcp(locked)]) {
        const without = await ended(start(t, url));
        assert.equal(without.code, 4, without.err);
        assert.match(without.err, /CHASQUI_API_KEY/);
        assert.equal((await report(t, url, ['--requests', 5, '--key', KEY])).good, 5);
    }
});

test('Ctrl-C ends the run, and what there is is reported', async (t) => {
    const node = await Sim.start(t, { tokens: TOKENS, slots: 8 });
    const run = start(t, node.url, '-o', 'json', '--duration', '1h', '--connections', 4, '--threads', 2);
    await node.untilState((state) => state.served >= 20, 'answers');
    run.child.kill('SIGINT');
    const { code, out } = await ended(run);
    assert.equal(code, 130);
    const got = JSON.parse(out);
    assert.equal(got.interrupted, true);
    assert.ok(got.good >= 15);
    await node.untilState((state) => state.active === 0, 'nobody asks any more');
});

test('people get a table', async (t) => {
    const { code, out } = await ended(start(t, doors.node, '--requests', 10));
    assert.equal(code, 0);
    assert.match(out, /^requests +10 good, 0 failed/m);
    assert.match(out, /^latency( +[\d.]+ (ns|us|ms|s)){8}$/m);
    assert.match(out, /^first token /m);
    assert.match(out, /^between tokens /m);
});
