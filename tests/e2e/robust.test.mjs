// SPDX-License-Identifier: MIT
/*
 * Clients that hold what they do not use, and a gateway that runs out of things
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { before } from 'node:test';
import { Gateway, Sim, SIM_MODEL } from '../lib/chasqui.mjs';
import { Raw, exchange, request } from '../lib/raw.mjs';
import { RawNode, answerOf } from '../lib/raw-node.mjs';
import { file, test, until } from '../lib/test.mjs';

const VERSION = request('GET', '/api/version');
const ENDLESS = request('POST', '/api/generate', { body: { model: SIM_MODEL, prompt: 'x'.repeat(2_000) } });
const GENERATE = request('POST', '/api/generate', { body: { model: SIM_MODEL, prompt: 'hi', stream: false, options: { num_predict: 1 } } });

/* Of this process only, and only the limit that counts: it may be raised again. */
const limitDescriptors = (gateway, n) => execFileSync('prlimit', ['--pid', String(gateway.pid), `--nofile=${n}:`]);

let sim;

before(async () => {
    sim = await Sim.start(file, { slots: 4, tokenInterval: '0ms' });
});

test('a body that trickles is refused, however steadily it does', async (t) => {
    const gateway = await Gateway.start(t, { nodes: [sim], settings: { bodyIdle: '500ms', bodyRate: '1MiB' } });
    const raw = await Raw.connect(t, gateway.port);
    await raw.send('POST /api/generate HTTP/1.1\r\nHost: x.local\r\nContent-Length: 100000\r\n\r\n');
    const trickle = setInterval(() => raw.socket.write('a'), 20);
    t.after(() => clearInterval(trickle));
    const answer = await raw.answer();
    clearInterval(trickle);
    assert.equal(answer.status, 408);
    assert.equal((await exchange(t, gateway.port, GENERATE)).status, 200);
});

test('a client that takes nothing of its answer is cut off, and its node is free', async (t) => {
    const gateway = await Gateway.start(t, { nodes: [sim], settings: { send: '300ms' } });
    const earlier = (await sim.state()).cancelled;
    const raw = await Raw.connect(t, gateway.port);
    raw.socket.pause();
    await raw.send(ENDLESS);
    await sim.untilState((s) => s.active === 0 && s.cancelled === earlier + 1, 'the slot is free');
    await gateway.untilIdle();
});

test('out of descriptors: who comes is told so, who watches gets in, and it passes', async (t) => {
    const gateway = await Gateway.start(t, { nodes: [sim], args: ['--workers', '1'] });
    limitDescriptors(gateway, gateway.nDescriptors + 24);
    const crowd = [];
    let refusal;
    for (let i = 0; i < 200 && refusal === undefined; i++) {
        const raw = await Raw.connect(t, gateway.port);
        crowd.push(raw);
        await raw.send(VERSION);
        const answer = await raw.answer();
        if (answer.status !== 200)
            refusal = answer;
    }
    assert.equal(refusal?.status, 503);
    assert.match(refusal.json.error, /connections/);
    assert.equal(refusal.get('connection'), 'close');
    assert.equal((await gateway.admin('/livez')).status, 200);
    /* Those that are in are served, with a node too: what is kept is enough for it. */
    await crowd[0].send(GENERATE);
    assert.equal((await crowd[0].answer()).status, 200);
    crowd.forEach((raw) => raw.socket.destroy());
    await until(async () => (await exchange(t, gateway.port, VERSION)).status === 200, 'served again');
    assert.equal((await gateway.nodes())[0].state, 'up');
});

test('no descriptor left at all: connections end, the gateway does not, and blames no node', async (t) => {
    const gateway = await Gateway.start(t, { nodes: [sim], args: ['--workers', '1'] });
    limitDescriptors(gateway, gateway.nDescriptors);
    for (let i = 0; i < 20; i++) {
        const raw = await Raw.connect(t, gateway.port);
        raw.socket.write(GENERATE);
        await until(() => raw.end !== undefined || raw.bytes.length > 0, 'the gateway says something or hangs up');
        raw.socket.destroy();
    }
    limitDescriptors(gateway, 1024);
    assert.equal((await exchange(t, gateway.port, GENERATE)).status, 200);
    assert.equal((await gateway.nodes())[0].state, 'up');
});

test('a head that one gateway takes is taken by those behind it', async (t) => {
    const node = await RawNode.start(t, (_req, connection) => connection.socket.write(answerOf({ done: true })));
    const inner = await Gateway.start(t, { nodes: [node] });
    const outer = await Gateway.start(t, { nodes: [inner] });
    const many = Array.from({ length: 115 }, (_, i) => `A${i}: b`);
    const long = `A: ${'b'.repeat(31_300)}`;
    for (const fields of [many, [long]]) {
        const answer = await exchange(t, outer.port, request('POST', '/api/generate', { fields, body: { model: 'm' } }));
        assert.equal(answer.status, 200, answer.text);
    }
});
