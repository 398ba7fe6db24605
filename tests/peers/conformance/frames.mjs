// SPDX-License-Identifier: MIT
/* §3, §5: headers, directions, SeqIDs, what is ignored, where a call's frames may stand */
import assert from 'node:assert/strict';
import { raw } from '../hand.mjs';
import { EXT, MAX_ID, MORE, TYPE } from '../mcp.mjs';
import { eachDies, Probe, withProbe } from './kit.mjs';

const { frame, u8 } = raw, zeros = (n) => Buffer.alloc(n), hi = Buffer.from('Hi');
const first = (id, total = 9000) => raw.message(TYPE.REQUEST | MORE, id, { method: 'echo', totalLength: total }, zeros(2000));
const echo = (id) => raw.message(TYPE.REQUEST, id, { method: 'echo' }, hi);

export default [
    ['frames cut at every byte are whole again [M-2]', async (target) => {
        const probe = await Probe.open(target);
        for (const byte of echo(probe.opens()))
            probe.send(u8(byte));
        assert.equal(`${(await probe.answer(1)).body}`, 'Hi');
        probe.close();
    }],
    ['many frames in one write are as many answers [M-2] [M-8]', withProbe(async (probe) => {
        const ids = Array.from({ length: 30 }, () => probe.opens());
        probe.send(...ids.map(echo));
        for (const id of ids)
            assert.equal(`${(await probe.answer(id)).body}`, 'Hi');
    })],
    ['a byte that is no version closes, as soon as it is seen [M-1]', async (target) => {
        const fresh = await Probe.dial(target), known = await Probe.open(target);
        for (const probe of [fresh, known]) {
            probe.send(u8(2));
            await probe.closes();
        }
    }],
    ['frames of the other direction [M-16]', eachDies([frame(TYPE.RESPONSE, 1), frame(TYPE.CHUNK, 1), raw.goaway(0, 1, 0), raw.ack()])],
    ['SeqIDs that a type does not have [M-17]',
        eachDies([frame(TYPE.REQUEST | EXT, 0, zeros(2)), echo(MAX_ID + 1), raw.cancel(0), frame(TYPE.PING, 1, zeros(8)),
        frame(TYPE.PONG, 1, zeros(8)), frame(TYPE.CREDIT, 1, zeros(8)), frame(TYPE.BATCH, 1, zeros(8)), frame(TYPE.HELLO, 1, zeros(32))])],
    ['MORE and EXT where they may not be [M-18]',
        eachDies([frame(TYPE.CANCEL | MORE, 1, zeros(1)), frame(TYPE.CANCEL | EXT, 1, zeros(1)), frame(TYPE.PING | EXT, 0, zeros(8)),
        frame(TYPE.CREDIT | MORE, 0, zeros(8)), frame(TYPE.BATCH | MORE, 0, zeros(8)), frame(TYPE.ERROR | MORE, 0, zeros(10))])],
    ['lengths that a type does not have [M-19]',
        eachDies([frame(TYPE.CANCEL, 1), frame(TYPE.CANCEL, 1, zeros(2)), frame(TYPE.PING, 0, zeros(7)), frame(TYPE.PONG, 0, zeros(9)),
        frame(TYPE.CREDIT, 0), frame(TYPE.CREDIT, 0, zeros(12)), frame(TYPE.CREDIT, 0, zeros(520)), frame(TYPE.BATCH, 0, zeros(3)),
            frame(TYPE.ERROR, 0, zeros(9))])],
    ['reserved types [M-20]', eachDies([0x00, 0x05, 0x0d, 0x0f, 0x10, 0x1f].map((type) => frame(type, 0)))],
    ['unknown types are ignored, whatever their bits and SeqID [M-21]', withProbe(async (probe) => {
        for (let type = 0x20; type < 0x40; type++)
            for (const bits of [0, EXT, MORE, MORE | EXT])
                probe.send(frame(type | bits, 0xffffffff - type, zeros(type)));
        await probe.lives();
    })],
    ['also between the fragments of a message [M-21]', withProbe(async (probe) => {
        const id = probe.opens();
        probe.send(first(id, 3000), frame(0x3f | MORE | EXT, id, zeros(99)), frame(TYPE.REQUEST, id, zeros(1000)));
        assert.equal((await probe.answer(id)).body.length, 3000);
    })],
    ['ERROR of a client on a call [M-22]', eachDies([raw.error(1, { code: 1 })], 'PROTOCOL', [first(1)])],
    ['a second HELLO [M-23]', eachDies([raw.hello()])],
    ['the first frame of a call on an id in use [M-24] [M-26]', eachDies([echo(1), first(1)], 'PROTOCOL', [first(1)])],
    ['a fragment behind the last one of a call that runs [M-25]', withProbe(async (probe) => {
        const id = probe.records(100_000);
        await probe.chunk(id);
        probe.send(frame(TYPE.REQUEST, id, zeros(5)));
        await probe.dies();
    })],
    ['ids that were never opened [M-28]', eachDies([raw.cancel(9), frame(TYPE.REQUEST, 9, zeros(5)), raw.credit([[9, 2 ** 20]]),
        raw.credit([[MAX_ID + 1, 2 ** 20]])])],
    ['frames for a finished id are ignored, and credited [M-29]', withProbe(async (probe) => {
        await probe.lives();
        probe.sent = 0;
        for (let n = 0; n < 60; n++) { /* more than any connection window of ours */
            const late = frame(TYPE.REQUEST, 1, zeros(0xffff));
            await probe.until(() => probe.granted(0, probe.ack.connectionLimit) - probe.sent > 2 * 0xffff, 'credit');
            probe.send(late, raw.cancel(1), raw.credit([[1, 2 ** 20]]));
            probe.sent += 0xffff;
        }
        await probe.lives();
    })],
    ['a finished id may be opened again [M-29] [M-104]', withProbe(async (probe) => {
        for (let n = 0; n < 3; n++) {
            await probe.lives();
            probe.nextId = 1;
        }
    })],
    ['a PONG without PING is ignored [M-30]', withProbe(async (probe) => {
        probe.send(raw.pong(zeros(8)));
        await probe.lives();
    })],
    ['PONG has the bytes of the PING, in the order of the PINGs [M-109]', withProbe(async (probe) => {
        const opaques = [1, 2, 3].map((n) => Buffer.alloc(8, n));
        probe.send(...opaques.map(raw.ping));
        for (const opaque of opaques) {
            const { type, id, payload } = await probe.next('PONG');
            assert.deepEqual([type, id, payload], [TYPE.PONG, 0, opaque]);
        }
    })],
    ['any first id, gaps, and the wrap [M-103]', withProbe(async (probe) => {
        for (const id of [MAX_ID - 9, MAX_ID, 1, 5]) {
            probe.nextId = id;
            await probe.lives();
        }
        probe.send(raw.cancel(MAX_ID - 3)); /* older: finished */
        await probe.lives();
        probe.send(raw.cancel(7));
        await probe.dies();
    })],
    ['ERROR on SeqID 0 ends the connection without another [M-118]', withProbe(async (probe) => {
        probe.send(raw.error(0, { code: 37 }));
        await probe.closes();
    })],
    ['the end of file ends the calls and the connection [M-119]', withProbe(async (probe) => {
        await probe.chunk(probe.records(100_000));
        probe.peer.shutdown();
        while ((await probe.frame('the end')) !== undefined);
    })],
];
