// SPDX-License-Identifier: MIT
/*
 * A request cannot make the gateway hold more than four times the limits that are set for it
 *
 * Resident memory, so with the release binary. tools/run-fault runs this.
 */
import assert from 'node:assert/strict';
import { Gateway, Sim, SIM_MODEL } from '../lib/chasqui.mjs';
import { Raw, request } from '../lib/raw.mjs';
import { RawNode } from '../lib/raw-node.mjs';
import { test, until } from '../lib/test.mjs';

const KIB = 1024;
const HEAD = 32 * KIB, BODY = 256 * KIB, PIPELINE = 64 * KIB, UNSENT = 64 * KIB, RECORD = 64 * KIB; /* RECORD: of the node below */
const TIMES = 4;
const N = 100;

const POST = 'POST /api/generate HTTP/1.1\r\nHost: x.local\r\n';
const ENDLESS = request('POST', '/api/generate', { body: { model: SIM_MODEL, prompt: 'on', options: { num_predict: 10_000_000 } } });

/* What each of N clients sends, and what the limits allow it to make us hold. */
const HOLDERS = [
    ['a head that does not end', HEAD, POST + 'A: b\r\n'.repeat(100) + 'B: ' + 'c'.repeat(31 * KIB)],
    ['a head of many short fields', HEAD, POST + 'A:\r\n'.repeat(7_000)],
    ['a body that does not end', HEAD + BODY, `${POST}Content-Length: ${BODY}\r\n\r\n${'a'.repeat(BODY - 1)}`],
    ['a body in chunks of one byte', HEAD + BODY, `${POST}Transfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(60 * KIB)}`],
    ['a body in chunks with extensions and no end', HEAD + BODY, `${POST}Transfer-Encoding: chunked\r\n\r\n${`1;${'e'.repeat(900)}\r\na\r\n`.repeat(30)}`],
    ['a pipeline behind a stream', HEAD + PIPELINE + UNSENT, ENDLESS + request('GET', '/api/version').repeat(20_000)],
    ['a stream that is not read', HEAD + UNSENT, ENDLESS],
];

/* Grown by what the clients hold, once it grows no more. */
async function growth(gateway, before) {
    let last = -1;
    await until(async () => {
        await gateway.metrics(); /* a turn of the loop, at least */
        const now = gateway.residentKiB;
        const isStill = now === last;
        last = now;
        return isStill;
    }, 'memory stands still');
    return (last - before) * KIB;
}

async function assertBounded(t, gateway, allowed, begin) {
    const idle = [];
    for (let i = 0; i < N; i++)
        idle.push(await Raw.connect(t, gateway.port));
    const before = gateway.residentKiB;
    for (const raw of idle) {
        raw.socket.pause();
        begin(raw);
    }
    const each = await growth(gateway, before) / N;
    t.diagnostic(`${Math.round(each / KIB)} KiB each; the limits allow ${Math.round(allowed / KIB)} KiB`);
    assert.ok(each <= TIMES * allowed, `${each} bytes each, ${TIMES} times ${allowed} are promised`);
    idle.forEach((raw) => raw.socket.destroy());
}

for (const [name, allowed, bytes] of HOLDERS) {
    test(`${name}: no more than ${TIMES} times its limits are held`, { timeout: 60_000 }, async (t) => {
        const sim = await Sim.start(t, { slots: 2 * N, tokenInterval: '1ms' });
        const gateway = await Gateway.start(t, { nodes: [sim], args: ['--workers', '1'], settings: { body: '256KiB' } });
        await assertBounded(t, gateway, allowed, (raw) => raw.socket.write(bytes));
    });
}

test(`a record that does not end, and a client that reads nothing: no more than ${TIMES} times the record is held`, { timeout: 60_000 }, async (t) => {
    const begin = 'HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{"response":"';
    const node = await RawNode.start(t, (_req, connection) => connection.socket.write(begin + 'a'.repeat(RECORD)));
    const gateway = await Gateway.start(t, { nodes: [node], args: ['--workers', '1'] });
    await assertBounded(t, gateway, HEAD + UNSENT + RECORD, (raw) => raw.socket.write(request('POST', '/api/generate', { body: { model: 'm' } })));
});
