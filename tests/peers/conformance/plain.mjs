// SPDX-License-Identifier: MIT
/* §4: the plain profile */
import assert from 'node:assert/strict';
import { raw } from '../hand.mjs';
import { EXT, LIMIT, MORE, TYPE } from '../mcp.mjs';
import { Probe } from './kit.mjs';

const { frame } = raw, FULL = 129;
const plain = (run) => async (target) => {
    const probe = await Probe.dial(target);
    probe.response = async () => {
        const { type, id, payload } = await probe.frame('a RESPONSE');
        assert.equal(type, TYPE.RESPONSE);
        return { id, ...raw.readPlain('Response', payload) };
    };
    await run(probe, target);
    probe.close();
};
const echoes = async (probe, id = 1) => {
    probe.send(raw.plainRequest(id, 'echo', Buffer.from('Hi')));
    const answer = await probe.response();
    assert.deepEqual([answer.id, answer.status, `${answer.body}`, `${answer.error}`], [id, 200, 'Hi', '']);
};

export default [
    ['each REQUEST has one RESPONSE with its SeqID, any u32 [M-8] [M-9]', plain(async (probe) => {
        for (const id of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff])
            await echoes(probe, id);
    })],
    ['many at once, frames cut anywhere [M-2] [M-8]', plain(async (probe) => {
        const bytes = raw.cat(...Array.from({ length: 100 }, (_, id) => raw.plainRequest(id, 'echo', Buffer.from(`${id}`)))), seen = new Set();
        for (let at = 0; at < bytes.length; at += 7)
            probe.send(bytes.subarray(at, at + 7));
        for (let n = 0; n < 100; n++) {
            const { id, body } = await probe.response();
            assert.equal(`${body}`, `${id}`);
            seen.add(id);
        }
        assert.equal(seen.size, 100);
    })],
    ['the largest body that fits comes back [M-12] [M-129]', plain(async (probe) => {
        const body = Buffer.alloc(LIMIT.payload - 10, 'x');
        probe.send(raw.plainRequest(5, 'echo', body));
        assert.ok((await probe.response()).body.equals(body));
    })],
    ['unknown fields are skipped, of two the last counts [M-6]', plain(async (probe) => {
        probe.send(frame(TYPE.REQUEST, 1, Buffer.from('0a01780a046563686f18052201ff2900000000000000003500000000120161120162', 'hex')));
        const { status, body } = await probe.response();
        assert.deepEqual([status, `${body}`], [200, 'b']);
    })],
    ['a malformed Request is 400, and the connection goes on [M-7]', plain(async (probe) => {
        for (const wrong of ['0a', '0a056563686f', '08c801', '0b', '0c', '0200', '12ffffffffffffffffffff01', `18${'ff'.repeat(9)}02`,
            '0a80808080808080808080']) {
            probe.send(frame(TYPE.REQUEST, 1, Buffer.from(wrong, 'hex')));
            assert.equal((await probe.response()).status, 400, wrong);
        }
        await echoes(probe);
    })],
    ['an unknown service, or none, is 404 [M-11]', plain(async (probe) => {
        for (const service of ['nope', '', 'ECHO', 'echo ', 'x'.repeat(1000)]) {
            probe.send(raw.plainRequest(1, service, Buffer.from('Hi')));
            const { status, error } = await probe.response();
            assert.equal(status, 404, service);
            assert.ok(error.length > 0);
        }
        await echoes(probe);
    })],
    ['an id in use closes [M-9]', plain(async (probe, target) => {
        const { method, body } = target.records(100_000);
        probe.send(raw.plainRequest(1, method, body), raw.plainRequest(1, method, body));
        await probe.closes();
    })],
    ['more than 128 requests in flight are 429 [M-10]', plain(async (probe, target) => {
        const { method, body } = target.records(100_000);
        probe.send(...Array.from({ length: FULL }, (_, id) => raw.plainRequest(id, method, body)));
        for (;;)
            if ((await probe.response()).status === 429)
                break;
    })],
    ['another type, a bit, the other direction close [M-13]', async (target) => {
        for (const type of [TYPE.RESPONSE, TYPE.CHUNK, TYPE.PING, TYPE.BATCH, 0x20, TYPE.REQUEST | MORE, TYPE.REQUEST | EXT, TYPE.HELLO])
            for (const isFirst of [true, false].slice(type === TYPE.HELLO ? 1 : 0))
                await plain(async (probe) => {
                    if (!isFirst)
                        await echoes(probe);
                    probe.send(frame(type, 1, Buffer.alloc(8)));
                    await probe.closes();
                })(target);
    }],
    ['a stream is one body [M-15]', plain(async (probe, target) => {
        const { method, body } = target.records(5);
        probe.send(raw.plainRequest(1, method, body));
        const answer = await probe.response();
        assert.equal(answer.status, 200, `${answer.error}`);
        assert.ok(answer.body.length > 0);
        await echoes(probe);
    })],
    ['the end of file ends the calls and the connection [M-119]', plain(async (probe, target) => {
        const { method, body } = target.records(100_000);
        await echoes(probe);
        probe.send(raw.plainRequest(1, method, body));
        probe.peer.shutdown();
        await probe.closes();
    })],
];
