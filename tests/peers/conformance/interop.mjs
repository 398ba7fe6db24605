// SPDX-License-Identifier: MIT
/* §8, §9, §15, §20: what a client does all day, one claim for each shape of it */
import assert from 'node:assert/strict';
import { raw } from '../hand.mjs';
import { LIMIT, MAX_ID, TYPE } from '../mcp.mjs';
import { Probe, withProbe } from './kit.mjs';

const echo = { method: 'echo' }, hi = Buffer.from('Hi'), ENDLESS = 100_000, NEAR_THE_WRAP = 0x7ffffff0;
const pattern = (n) => Buffer.from(Array.from({ length: n }, (_, i) => (i * 11) & 0xff));

/* A call whose CANCEL follows after @frames other frames: one end, whichever it is. */
async function cancelRace(probe, fields, body, frames) {
    const id = probe.request(fields, body);
    probe.send(...Array.from({ length: frames }, (_, n) => raw.ping(Buffer.alloc(8, n))), raw.cancel(id));
    const call = probe.calls.get(id);
    await probe.until(() => call.over, 'its end');
    assert.ok(!call.error || call.codeName === 'CANCELLED', call.codeName);
}

export default [
    ['a call has its answer [M-59] [M-129]', withProbe(async (probe) => {
        const { body, chunks, error } = await probe.answer(probe.request(echo, hi));
        assert.deepEqual([`${body}`, chunks.length, error], ['Hi', 0, undefined]);
    })],
    ['answers come in any order: a later call does not wait [M-61]', withProbe(async (probe) => {
        const first = probe.records(ENDLESS), second = probe.request(echo, hi);
        assert.equal(`${(await probe.answer(second)).body}`, 'Hi');
        assert.ok(!probe.calls.get(first).over);
    })],
    ['a payload of max frame is served, and answered within ours [M-3]', withProbe(async (probe) => {
        const { maxFrame } = probe.ack, body = pattern(maxFrame - raw.writeBlock(echo).length);
        assert.ok((await probe.answer(probe.request(echo, body))).body.equals(body));
    })],
    ['one byte over max frame ends the connection, where a frame can have it [M-3]', withProbe(async (probe) => {
        if (probe.ack.maxFrame === LIMIT.payload)
            return;
        probe.send(raw.frame(TYPE.REQUEST, 1, Buffer.alloc(probe.ack.maxFrame + 1)));
        await probe.dies();
    })],
    ['a message in 1 to 9 fragments is the same message [M-66]', withProbe(async (probe) => {
        const body = pattern(18_000);
        for (let n = 1; n <= 9; n++) {
            const id = await probe.sendMessage(echo, body, Math.ceil(body.length / n) + (n === 1 ? 100 : 0));
            assert.ok((await probe.answer(id)).body.equals(body), `${n} fragments`);
        }
    })],
    ['every length around a fragment, a frame and a window', withProbe(async (probe) => {
        for (const edge of [LIMIT.minFragment, LIMIT.small, LIMIT.fragment, 2 * LIMIT.fragment, LIMIT.payload])
            for (const length of [edge - 15, edge - 1, edge, edge + 1]) {
                const { body } = await probe.answer(await probe.sendMessage(echo, pattern(length)));
                assert.ok(body.equals(pattern(length)), `${length}`);
            }
    })],
    ['a stream that has one record is a RESPONSE, maybe behind chunks [M-59]', withProbe(async (probe) => {
        const { body, error } = await probe.answer(probe.records(1));
        assert.equal(error, undefined);
        assert.ok(body.length > 0);
    })],
    ['CANCEL that races with the answer: one end, RESPONSE or CANCELLED [M-98] [M-59]', withProbe(async (probe) => {
        for (let n = 0; n < 100; n++)
            await cancelRace(probe, echo, hi, n % 4);
        const { method, codec, body } = probe.target.records(3);
        for (let n = 0; n < 20; n++)
            await cancelRace(probe, { method, codec }, body, n);
        await probe.lives();
    })],
    ['CANCEL directly behind the request [M-98]', withProbe(async (probe) => {
        const { method, codec, body } = probe.target.records(ENDLESS), id = probe.opens();
        probe.send(raw.cat(raw.message(TYPE.REQUEST, id, { method, codec }, body), raw.cancel(id)));
        assert.equal((await probe.answer(id)).codeName, 'CANCELLED');
        await probe.lives();
    })],
    ['a thousand calls at once, on four connections [M-59]', async (target) => {
        const probes = await Promise.all(Array.from({ length: 4 }, () => Probe.open(target)));
        const asked = probes.map((probe) => Array.from({ length: Math.min(250, probe.ack.maxCalls) }, (_, n) =>
            [n, probe.request(echo, Buffer.from(`${n}`))]));
        await Promise.all(probes.map(async (probe, at) => {
            for (const [n, id] of asked[at])
                assert.equal(`${(await probe.answer(id)).body}`, `${n}`);
            probe.close();
        }));
    }],
    ['ids count over the wrap, and open ones are skipped [M-102] [M-103]', withProbe(async (probe) => {
        probe.nextId = NEAR_THE_WRAP;
        const open = probe.records(ENDLESS);
        for (let n = 0; n < 40; n++)
            await probe.lives();
        assert.equal(probe.nextId, NEAR_THE_WRAP + 41 - MAX_ID);
        probe.send(raw.cancel(open));
        assert.equal((await probe.answer(open)).codeName, 'CANCELLED');
    })],
    ['a BATCH in which one entry fails serves the others [M-124] [M-59]', withProbe(async (probe) => {
        const { method, codec, body } = probe.target.records(1), [good, bad, alsoGood] = probe.batch({ method, codec }, [body, '{', body]);
        assert.equal((await probe.answer(good)).error, undefined);
        assert.notEqual((await probe.answer(bad)).error, undefined);
        assert.equal((await probe.answer(alsoGood)).error, undefined);
    })],
    ['a BATCH over max calls in flight: what fits runs, the rest is OVERLOADED [M-62] [M-124]', withProbe(async (probe) => {
        const lane = 7, first = probe.records(ENDLESS, { lane });
        await probe.chunk(first);
        for (let n = probe.ack.maxCalls - 3; n > 0; n--)
            probe.request({ ...echo, lane }, Buffer.alloc(1));
        const ids = probe.batch({ ...echo, lane }, ['a', 'b', 'c', 'd']);
        for (const id of ids.slice(2)) {
            const { codeName, error } = await probe.answer(id);
            assert.deepEqual([codeName, error.notProcessed], ['OVERLOADED', true]);
        }
        probe.send(raw.cancel(first));
        for (const [n, id] of ids.slice(0, 2).entries())
            assert.equal(`${(await probe.answer(id)).body}`, 'ab'[n]);
    })],
];
