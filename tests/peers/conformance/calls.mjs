// SPDX-License-Identifier: MIT
/* §8, §12, §13, §14, §16, §20: calls, their ends, deadlines, lanes, batches */
import assert from 'node:assert/strict';
import { raw } from '../hand.mjs';
import { CODE, FEATURE, MORE, ORIGIN, TYPE } from '../mcp.mjs';
import { eachDies, Probe, withProbe } from './kit.mjs';

const echo = { method: 'echo' }, zeros = (n) => Buffer.alloc(n), ENDLESS = 100_000;
const u16 = raw.u16, entry = (id, body = '') => raw.cat(raw.u32(id), u16(body.length), body);
const batchOf = (inner, zero, count, ...entries) =>
    raw.frame(TYPE.BATCH | 0x40, 0, raw.cat(raw.writeBlock(echo), raw.u8(inner), raw.u8(zero), u16(count), ...entries));

const calls = [
    ['a stream is its records, and the last one the RESPONSE [M-59] [M-60] [M-61]', withProbe(async (probe) => {
        const { chunks, body, error } = await probe.answer(probe.records(20));
        assert.equal(error, undefined);
        assert.equal(chunks.length, 20);
        assert.ok(body.length > 0);
        await probe.lives();
    })],
    ['hundreds of calls on one connection, each with one end [M-59] [M-62]', withProbe(async (probe) => {
        for (let round = 0; round < 4; round++) {
            const ids = Array.from({ length: Math.min(200, probe.ack.maxCalls) }, (_, n) => probe.request(echo, Buffer.from(`${n}`)));
            for (const [n, id] of ids.entries())
                assert.equal(`${(await probe.answer(id)).body}`, `${n}`);
        }
    })],
    ['a call over max calls in flight is OVERLOADED, and only that [M-62]', withProbe(async (probe) => {
        const lane = 7, first = probe.records(ENDLESS, { lane });
        await probe.chunk(first);
        const waiting = Array.from({ length: probe.ack.maxCalls - 1 }, () => probe.request({ ...echo, lane }, zeros(1)));
        const { codeName, error } = await probe.answer(probe.request(echo));
        assert.equal(codeName, 'OVERLOADED');
        assert.ok(error.notProcessed);
        probe.send(raw.cancel(first));
        for (const id of waiting)
            assert.equal((await probe.answer(id)).error, undefined);
    })],
    ['CANCEL of a stream: one ERROR CANCELLED with PARTIAL, and nothing more [M-98] [M-64] [M-59] [M-60]', withProbe(async (probe) => {
        const id = probe.records(ENDLESS);
        await probe.chunk(id);
        probe.send(raw.cancel(id));
        const { error } = await probe.answer(id);
        assert.deepEqual([error.codeName, error.partial, error.notProcessed], ['CANCELLED', true, false]);
        await probe.lives();
    })],
    ['CANCEL twice, for a finished call, and with any reason [M-97]', withProbe(async (probe) => {
        for (const reason of [0, 1, 2, 3, 255]) {
            const id = probe.records(ENDLESS);
            probe.send(raw.cancel(id, reason), raw.cancel(id, reason));
            assert.equal((await probe.answer(id)).codeName, 'CANCELLED');
            probe.send(raw.cancel(id, reason));
            await probe.lives();
        }
    })],
    ['errors of the protocol have the origin transport [M-87] [M-90]', withProbe(async (probe) => {
        const { error } = await probe.answer(probe.request({}));
        assert.deepEqual([error.code, error.origin], [CODE.INVALID_ARGUMENT, ORIGIN.TRANSPORT]);
        const cancelled = probe.records(ENDLESS), late = probe.request({ ...echo, deadlineMs: 0 });
        probe.send(raw.cancel(cancelled));
        for (const id of [cancelled, late])
            assert.equal((await probe.answer(id)).error.origin, ORIGIN.TRANSPORT);
    })],
    ['a deadline of 0 is over at once [M-94]', withProbe(async (probe) => probe.refuses(probe.request({ ...echo, deadlineMs: 0 }), 'DEADLINE_EXCEEDED'))],
    ['a deadline ends a stream that is on its way, not before it is over [M-93] [M-94]', withProbe(async (probe) => {
        const begun = performance.now(), { error, chunks } = await probe.answer(probe.records(ENDLESS, { deadlineMs: 300 }));
        assert.equal(error.codeName, 'DEADLINE_EXCEEDED');
        assert.equal(error.partial, chunks.length > 0);
        assert.ok(performance.now() - begun >= 295);
        await probe.lives();
    })],
    ['and a request that is not complete, and one that waits for its lane [M-93] [M-107]', withProbe(async (probe) => {
        const holder = probe.records(ENDLESS, { lane: 3 });
        const late = [probe.request({ ...echo, totalLength: 9000, deadlineMs: 100 }, zeros(2000), MORE),
            probe.request({ ...echo, lane: 3, deadlineMs: 100 })];
        for (const id of late)
            await probe.refuses(id, 'DEADLINE_EXCEEDED');
        assert.ok(!probe.calls.get(holder).over);
    })],
    ['a long deadline changes nothing', withProbe(async (probe) =>
        assert.equal((await probe.answer(probe.request({ ...echo, deadlineMs: 0xffffffff }))).error, undefined))],
    ['a lane runs in order, others pass [M-106] [M-61]', withProbe(async (probe) => {
        const order = [], first = probe.records(30, { lane: 5 }), second = probe.request({ ...echo, lane: 5 }), free = probe.request(echo),
            other = probe.request({ ...echo, lane: 6 });
        const done = () => { for (const [id, { over }] of probe.calls) if (over && !order.includes(id)) order.push(id); return order.length === 4; };
        await probe.until(done, 'all four');
        assert.deepEqual(order.slice(2), [first, second]);
        assert.ok(order.includes(free) && order.includes(other));
    })],
    ['CANCEL ends a call that waits for its lane [M-107]', withProbe(async (probe) => {
        const first = probe.records(ENDLESS, { lane: 5 }), second = probe.request({ ...echo, lane: 5 }), third = probe.request({ ...echo, lane: 5 });
        probe.send(raw.cancel(second));
        await probe.refuses(second, 'CANCELLED');
        assert.ok(!probe.calls.get(third).over);
        probe.send(raw.cancel(first));
        assert.equal((await probe.answer(third)).error, undefined);
    })],
];

const batches = [
    ['256 entries are 256 calls [M-120]', async (target) => {
        const probe = await Probe.open(target), n = Math.min(256, probe.ack.maxCalls),
            ids = probe.batch(echo, Array.from({ length: n }, (_, i) => `${i}`));
        for (const [i, id] of ids.entries())
            assert.equal(`${(await probe.answer(id)).body}`, `${i}`);
        probe.close();
    }],
    ['a malformed BATCH begins none [M-120]', eachDies([
        batchOf(2, 0, 1, entry(1)), batchOf(0, 0, 1, entry(1)), batchOf(TYPE.BATCH, 0, 1, entry(1)), batchOf(0x41, 0, 1, entry(1)),
        batchOf(1, 1, 1, entry(1)), batchOf(1, 0, 0), batchOf(1, 0, 0, entry(1)), batchOf(1, 0, 0xffff, entry(1)),
            batchOf(1, 0, 257, ...Array.from({ length: 257 }, (_, i) => entry(i + 1))), batchOf(1, 0, 2, entry(1)),
        batchOf(1, 0, 1, entry(1), entry(2)), batchOf(1, 0, 1, raw.cat(raw.u32(1), u16(9), 'x')),
            raw.frame(TYPE.BATCH | 0x40, 0, raw.cat(u16(900), zeros(9))),
    ])],
    ['ids of a BATCH: calls\' own, free, each once [M-121]',
        eachDies([batchOf(1, 0, 1, entry(0)), batchOf(1, 0, 1, entry(0x80000000)), batchOf(1, 0, 2, entry(3), entry(3)), batchOf(1, 0, 1, entry(1))],
        'PROTOCOL', [raw.message(TYPE.REQUEST | MORE, 1, { ...echo, totalLength: 9000 }, zeros(2000))])],
    ['BATCH that was not agreed [M-122]', async (target) => {
        const probe = await Probe.open(target, { features: FEATURE.BASIC });
        probe.send(batchOf(1, 0, 1, entry(1)));
        await probe.dies();
    }],
    ['TOTAL_LEN and COMPRESSION have no place in it [M-123]', withProbe(async (probe) => {
        for (const wrong of [{ totalLength: 1 }, { compression: [0, 1] }])
            for (const id of probe.batch({ ...echo, ...wrong }, ['a', 'b']))
                await probe.refuses(id, 'INVALID_ARGUMENT');
    })],
    ['what is wrong in the block is the error of each entry [M-124]', withProbe(async (probe) => {
        for (const [fields, code] of [[undefined, 'INVALID_ARGUMENT'], [{ codec: 1 }, 'INVALID_ARGUMENT'],
            [{ method: 'nope' }, 'UNIMPLEMENTED'], [{ ...echo, deadlineMs: 0 }, 'DEADLINE_EXCEEDED'],
                                      [{ ...echo, codec: 99 }, 'UNIMPLEMENTED']])
            for (const id of probe.batch(fields, ['a', 'b', 'c']))
                await probe.refuses(id, code);
    })],
    ['with a lane the entries run in their order [M-125]', withProbe(async (probe) => {
        const ids = probe.batch({ ...echo, lane: 4 }, Array.from({ length: 50 }, (_, i) => `${i}`)), order = [];
        while (order.length < ids.length)
            order.push((await probe.next('the answers')).id);
        assert.deepEqual(order, ids);
    })],
];

export { calls, batches };
