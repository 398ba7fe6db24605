// SPDX-License-Identifier: MIT
/* §7: the first frames of the extended profile */
import assert from 'node:assert/strict';
import { raw } from '../hand.mjs';
import { EXT, FEATURE, HELLO, LIMIT, MORE, TYPE } from '../mcp.mjs';
import { Probe, withProbe } from './kit.mjs';

const helloDies = (hellos) => async (target) => {
    for (const wrong of hellos) {
        const probe = await Probe.dial(target);
        probe.send(raw.hello({ key: target.key, ...wrong }));
        await probe.dies().catch((error) => { throw new Error(`${JSON.stringify(wrong)}: ${error.message}`); });
    }
};
const MANY = 2 ** 31;

export default [
    ['HELLO_ACK is the first frame, grants the least, and takes Protobuf and JSON [M-50] [M-52] [M-54]', withProbe(async ({ ack }) => {
        assert.deepEqual([ack.highest, ack.flags], [1, 0]);
        assert.ok(ack.connectionLimit >= LIMIT.minAckWindow && ack.maxCalls >= LIMIT.minAckCalls && ack.maxFrame >= LIMIT.minFrame);
        assert.ok(ack.callLimit >= LIMIT.minWindow && ack.callLimit < MANY && ack.connectionLimit < MANY);
        assert.ok(ack.codecs.includes(0) && ack.codecs.includes(1));
    })],
    ['its features are those of both [M-51]', async (target) => {
        for (const features of [FEATURE.BASIC, FEATURE.BASIC | FEATURE.BATCH, 0xffffffff]) {
            const probe = await Probe.open(target, { features });
            assert.equal((probe.ack.features & ~features) >>> 0, 0);
            assert.equal(probe.ack.features & FEATURE.BASIC, FEATURE.BASIC);
            probe.close();
        }
    }],
    ['magic, flags [M-44]', helloDies([{ magic: 'MCP2' }, { flags: 1 }])],
    ['no revision in common [M-45]', helloDies([{ lowest: 2, highest: 9 }, { lowest: 0, highest: 0 }])],
    ['the highest revision that both speak [M-45]', withProbe(async ({ ack }) => assert.equal(ack.highest, 1), { lowest: 1, highest: 255 })],
    ['fragments, credit and streams are always there [M-46]', helloDies([{ features: 0 }, { features: 3 }, { features: 5 }, { features: 6 }])],
    ['max frame of 4,096 is the least [M-47]', helloDies([{ maxFrame: LIMIT.minFrame - 1 }, { maxFrame: 0 }])],
    ['limits of credit [M-48]', helloDies([{ connectionLimit: LIMIT.minWindow - 1 }, { callLimit: LIMIT.minWindow - 1 },
        { connectionLimit: MANY }, { callLimit: MANY }])],
    ['TLVs that do not end with the payload [M-49]', helloDies([{ tail: raw.u8(9) }, { tail: Buffer.from([9, 3, 0, 0]) }])],
    ['unknown TLVs are skipped, of two the last counts [M-49]', withProbe((probe) => probe.lives(),
        { tail: raw.cat(raw.tlv(200, Buffer.alloc(255)), raw.tlv(1, Buffer.from([0, 1])), raw.tlv(5, Buffer.alloc(3))) })],
    ['HELLO with MORE or EXT is a wrong frame of the extended profile [M-18]', async (target) => {
        for (const bit of [MORE, EXT]) {
            const probe = await Probe.dial(target), bytes = raw.hello({ key: target.key });
            bytes[1] |= bit;
            probe.send(bytes);
            await probe.dies();
        }
    }],
    ['with --key: HELLO without it, or with another, serves nothing [M-57]', async (target) => {
        if (target.key === undefined)
            return;
        for (const key of [undefined, '', `${target.key}x`, target.key.slice(1)]) {
            const probe = await Probe.dial(target);
            probe.mine = HELLO;
            probe.send(raw.hello({ key }), raw.message(TYPE.REQUEST, probe.opens(), { method: 'echo' }));
            await probe.dies('UNAUTHENTICATED');
            assert.ok(probe.error.notProcessed && !probe.calls.get(1).over);
        }
    }],
    ['with --key: the first plain request is 401, then the end [M-14]', async (target) => {
        if (target.key === undefined)
            return;
        const probe = await Probe.dial(target);
        probe.send(raw.plainRequest(1, 'echo', Buffer.from('Hi')), raw.plainRequest(2, 'echo', Buffer.from('Hi')));
        const { id, payload } = await probe.frame('401');
        assert.deepEqual([id, raw.readPlain('Response', payload).status], [1, 401]);
        assert.equal(await probe.frame('the end'), undefined);
        probe.close();
    }],
    ['whole REQUESTs may follow HELLO at once [M-53]', async (target) => {
        const probe = await Probe.dial(target);
        probe.mine = HELLO;
        const ids = Array.from({ length: LIMIT.minAckCalls }, () => probe.opens());
        const requests = ids.map((id) => raw.message(TYPE.REQUEST, id, { method: 'echo', codec: id % 2 }, Buffer.alloc(2000, id)));
        const opened = probe.hello();
        probe.send(...requests);
        await opened;
        for (const id of ids)
            assert.ok((await probe.answer(id)).body.equals(Buffer.alloc(2000, id)));
        probe.close();
    }],
];
