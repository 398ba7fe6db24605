// SPDX-License-Identifier: MIT
/* §3, §24: who speaks something else, who is cut off anywhere, and that others are served all the same */
import assert from 'node:assert/strict';
import { raw } from '../hand.mjs';
import { EXT, FEATURE, MORE, TYPE } from '../mcp.mjs';
import { Probe } from './kit.mjs';

const echo = { method: 'echo' }, hi = Buffer.from('Hi');
const STRANGERS = {
    'HTTP/1.1': Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    'HTTP/2': Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'),
    TLS: Buffer.from('16030100c8010000c40303' + '5a'.repeat(32) + '20' + 'a5'.repeat(32) + '000813021303130100ff', 'hex'),
    'an empty line': Buffer.from('\n'),
    'version 0': raw.u8(0),
    'version 2': raw.cat(raw.u8(2), raw.hello().subarray(1)),
    'version 255': raw.u8(255),
};

/* Everything that a client may send, in one go. */
function script(target) {
    const { method, codec, body } = target.records(100_000);
    return raw.cat(raw.hello({ key: target.key }), raw.message(TYPE.REQUEST, 1, echo, hi),
        raw.message(TYPE.REQUEST, 2, { method, codec }, body), raw.ping(Buffer.alloc(8, 1)),
        raw.message(TYPE.REQUEST, 3, { ...echo, totalLength: 1026 }, Buffer.alloc(1024), MORE), raw.frame(TYPE.REQUEST, 3, hi),
        raw.credit([[0, 2 ** 21], [2, 2 ** 20]]), raw.batch(echo, [[4, hi], [5, hi]]), raw.frame(0x21 | EXT, 9, hi),
        raw.cancel(2), raw.message(TYPE.REQUEST, 6, echo, hi));
}
const served = async (target) => {
    const probe = await Probe.open(target);
    await probe.lives();
    probe.close();
};
/* Sends @bytes and leaves with @leave(probe), many at a time; somebody else is served in between. */
async function leaveEverywhere(target, bytes, leave) {
    const ABREAST = 16, isBulk = (at) => at > 260 && at < bytes.length - 260; /* inside the fragment one place is as good as another */
    const offsets = Array.from({ length: bytes.length + 1 }, (_, at) => at).filter((at) => !isBulk(at) || at % 37 === 0);
    for (let at = 0; at < offsets.length; at += ABREAST) {
        await Promise.all(offsets.slice(at, at + ABREAST).map(async (offset) => {
            const probe = await Probe.dial(target);
            probe.send(bytes.subarray(0, offset));
            await leave(probe);
        }));
        await served(target);
    }
}
const afterAnAnswer = (probe) => Promise.race([probe.peer.next(), new Promise((resolve) => { setTimeout(resolve, 5); })]);

export default [
    ...Object.entries(STRANGERS).map(([who, bytes]) => [`${who} as the first bytes is closed without an answer [M-1]`, async (target) => {
        const probe = await Probe.dial(target);
        probe.send(bytes);
        assert.equal(await probe.frame('the end'), undefined);
        probe.close();
    }]),
    ...Object.entries(STRANGERS).map(([who, bytes]) => [`${who} behind HELLO is closed without an answer [M-1]`, async (target) => {
        const probe = await Probe.open(target);
        probe.send(bytes);
        await probe.closes();
    }]),
    ['a version that is no more than seen is enough: nothing of that frame runs [M-1]', async (target) => {
        const probe = await Probe.open(target), call = raw.message(TYPE.REQUEST, probe.opens(), echo, hi);
        call[0] = 0;
        probe.send(call);
        await probe.closes();
        assert.ok(!probe.calls.get(1).over);
    }],
    ['the script that is cut below is served when it is whole', async (target) => {
        const probe = await Probe.dial(target);
        probe.send(script(target));
        const ends = new Set(), expected = [1, 2, 3, 4, 5, 6];
        while (!expected.every((id) => ends.has(id))) {
            const { type, id } = await probe.frame('its answers');
            assert.ok(type !== TYPE.ERROR || id !== 0, 'the connection goes on');
            if ([TYPE.RESPONSE, TYPE.ERROR].includes(type & ~EXT))
                ends.add(id);
        }
        probe.close();
    }],
    ['a reset at every byte of a script: others are served [M-119]', (target) =>
        leaveEverywhere(target, script(target), async (probe) => { await afterAnAnswer(probe); probe.peer.socket.resetAndDestroy(); })],
    ['an end of file at every byte of a script ends the connection; others are served [M-119]', (target) =>
        leaveEverywhere(target, script(target), async (probe) => {
            probe.peer.shutdown();
            while ((await probe.frame('the end')) !== undefined);
            probe.close();
        })],
    ['a peer that has no feature more than it must is served [M-46] [M-51]', async (target) => {
        const probe = await Probe.open(target, { features: FEATURE.BASIC });
        await probe.lives();
        probe.close();
    }],
];
