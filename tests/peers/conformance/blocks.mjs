// SPDX-License-Identifier: MIT
/* §6: the extension block */
import assert from 'node:assert/strict';
import { raw } from '../hand.mjs';
import { COMPRESSION, EXT, FEATURE, LIMIT, MORE, TAG, TYPE } from '../mcp.mjs';
import { Probe, withProbe } from './kit.mjs';

const { cat, tlv, u8, u16, u32 } = raw, METHOD = tlv(TAG.METHOD, Buffer.from('echo')), zeros = (n) => Buffer.alloc(n);
const block = (...tlvs) => cat(u16(cat(...tlvs).length), ...tlvs);
const pair = (n) => tlv(TAG.METADATA, cat(u8(1), zeros(n)));

/* Each payload is refused with @code, and the connection lives. */
const eachRefused = (payloads, code) => withProbe(async (probe) => {
    for (const payload of payloads)
        await probe.refuses(probe.requestPayload(payload),
            code).catch((error) => { throw new Error(`${payload.subarray(0, 24).toString('hex')}: ${error.message}`); });
});
const eachServed = (payloads) => withProbe(async (probe) => {
    for (const payload of payloads)
        assert.equal(`${(await probe.answer(probe.requestPayload(cat(payload, 'Hi')))).body}`, 'Hi', payload.subarray(0, 24).toString('hex'));
});
const filler = (n) => cat(...Array.from({ length: Math.floor(n / 256) }, () => tlv(0x77, zeros(254))),
    ...(n % 256 ? [tlv(0x77, zeros((n % 256) - 2))] : []));

export default [
    ['2,048 bytes are the longest block [M-32]', async (target) => {
        const room = LIMIT.block - 2 - METHOD.length;
        await eachServed([block(METHOD, filler(room))])(target);
        await eachRefused([block(METHOD, filler(room + 1)), block(METHOD, filler(10_000))], 'INVALID_ARGUMENT')(target);
    }],
    ['lengths stay inside, and 255 is none [M-33]',
        eachRefused([cat(), u8(0), u16(9), cat(u16(7), METHOD), cat(u16(0xffff), METHOD), block(METHOD, u8(0x77)), block(METHOD, tlv(0x77, zeros(1), 2)),
        block(METHOD, tlv(0x77, zeros(255)))], 'INVALID_ARGUMENT')],
    ['a malformed block beats an unknown critical tag [M-33]',
        eachRefused([block(METHOD, tlv(0xf7, zeros(1)), u8(0x77)), block(tlv(0xf7, zeros(1)), METHOD, METHOD)], 'INVALID_ARGUMENT')],
    ['values have the size of their row [M-34]', eachRefused([
        [TAG.METHOD, 0], [TAG.METHOD, 129], [TAG.DEADLINE_MS, 3], [TAG.DEADLINE_MS, 5], [TAG.TRACE, 24], [TAG.TRACE, 26],
            [TAG.TOTAL_LEN, 3], [TAG.CODEC, 0], [TAG.CODEC, 2],
        [TAG.COMPRESSION, 4], [TAG.COMPRESSION, 6], [TAG.ORDER_LANE, 1], [TAG.STREAM_LIMIT, 5], [TAG.METADATA, 0], [TAG.METADATA, 1], [TAG.SESSION, 65],
    ].map(([tag, n]) => (tag === TAG.METHOD ? block(tlv(tag, Buffer.alloc(n, 'a'))) : block(METHOD, tlv(tag, zeros(n))))), 'INVALID_ARGUMENT')],
    ['METHOD is UTF-8, a METADATA key ends inside [M-34]',
        eachRefused([block(tlv(TAG.METHOD, Buffer.from([0xff]))), block(METHOD, tlv(TAG.METADATA, Buffer.from([5, 1, 2])))], 'INVALID_ARGUMENT')],
    ['METADATA may hold any bytes, also no value',
        eachServed([block(METHOD, tlv(TAG.METADATA, Buffer.from([1, 0xff, 0xfe]))), block(METHOD, tlv(TAG.METADATA, Buffer.from([1, 0x61])))])],
    ['a tag comes once [M-35]', eachRefused([METHOD, tlv(TAG.DEADLINE_MS, u32(9999)), tlv(TAG.CODEC, u8(1)), tlv(TAG.SESSION, zeros(1)),
        tlv(TAG.STREAM_LIMIT, u32(9999))]
        .map((twice) => block(METHOD, ...(twice === METHOD ? [METHOD] : [twice, twice]))), 'INVALID_ARGUMENT')],
    ['TRACESTATE comes twice, not three times; METADATA repeats [M-35]', async (target) => {
        const state = tlv(TAG.TRACESTATE, zeros(9));
        await eachServed([block(METHOD, state, state), block(METHOD, ...Array(50).fill(pair(3)))])(target);
        await eachRefused([block(METHOD, state, state, state)], 'INVALID_ARGUMENT')(target);
    }],
    ['METADATA has 1,024 bytes together [M-36]', async (target) => {
        const almost = Array(4).fill(pair(253));
        await eachServed([block(METHOD, ...almost, pair(7))])(target);
        await eachRefused([block(METHOD, ...almost, pair(8))], 'INVALID_ARGUMENT')(target);
    }],
    ['unknown and reserved tags are skipped, however often [M-37]',
        eachServed([block(METHOD, ...[0x06, 0x09, 0x0f, 0x12, 0x14, 0x7f, 0x00, 0x01, 0x0a, 0x77, 0x77, 0x77].map((tag) => tlv(tag, zeros(3))))])],
    ['unknown critical tags [M-38]', eachRefused([0x80, 0x83, 0x84, 0x93, 0xff].map((tag) => block(METHOD, tlv(tag, zeros(1)))), 'UNIMPLEMENTED')],
    ['no METHOD [M-39]', eachRefused([block(), block(tlv(TAG.CODEC, u8(1)))], 'INVALID_ARGUMENT')],
    ['an unknown METHOD [M-40]', withProbe(async (probe) => {
        for (const method of ['nope', 'ECHO', 'echo ', 'ollama', 'x'.repeat(128)])
            await probe.refuses(probe.request({ method }), 'UNIMPLEMENTED');
    })],
    ['a CODEC that is not listed, of a service that is known or not [M-41]', withProbe(async (probe) => {
        for (const codec of [2, 3, 200, 255].filter((number) => !probe.ack.codecs.includes(number)))
            for (const method of ['echo', probe.target.records(1).method])
                await probe.refuses(probe.request({ method, codec }), 'UNIMPLEMENTED');
    })],
    ['echo gives the same bytes in any codec that is listed, and names none [M-42] [M-129]', withProbe(async (probe) => {
        for (const codec of probe.ack.codecs)
            for (const body of [zeros(0), Buffer.from([0xff, 0, 1]), zeros(50_000)]) {
                const answer = await probe.answer(probe.request({ method: 'echo', codec }, body));
                assert.ok(answer.body.equals(body) && answer.chunks.length === 0);
            }
    })],
    ['STREAM_LIMIT has a range [M-43]', eachRefused([0, LIMIT.minWindow - 1, 2 ** 31, 2 ** 32 - 1].map((limit) =>
        block(METHOD, tlv(TAG.STREAM_LIMIT, u32(limit)))), 'INVALID_ARGUMENT')],
    ['a compression that was not agreed [M-55]', async (target) => {
        const payloads = [COMPRESSION.GZIP, COMPRESSION.ZSTD, 3, 255].map((algorithm) => block(METHOD, tlv(TAG.COMPRESSION, cat(u8(algorithm), u32(0)))));
        const probe = await Probe.open(target, { features: FEATURE.BASIC, compressions: [COMPRESSION.NONE] });
        for (const payload of payloads)
            await probe.refuses(probe.requestPayload(payload), 'UNIMPLEMENTED');
        probe.close();
    }],
    ['algorithm 0 has the raw length of its body [M-72]', async (target) => {
        const none = (length) => block(METHOD, tlv(TAG.COMPRESSION, cat(u8(COMPRESSION.NONE), u32(length))));
        await eachServed([none(2)])(target);
        await eachRefused([none(0), none(99)].map((payload) => cat(payload, 'Hi')), 'INVALID_ARGUMENT')(target);
    }],
    ['lanes that were not agreed [M-56]', async (target) => {
        const probe = await Probe.open(target, { features: FEATURE.BASIC });
        await probe.refuses(probe.request({ method: 'echo', lane: 1 }), 'UNIMPLEMENTED');
        assert.equal(`${(await probe.answer(probe.request({ method: 'echo', lane: 0 }, Buffer.from('Hi')))).body}`, 'Hi');
        probe.close();
    }],
    ['a message with EXT and MORE whose block is wrong fails once, its rest is ignored [M-127]', withProbe(async (probe) => {
        const id = probe.requestPayload(cat(block(METHOD, METHOD), zeros(2000)), EXT | MORE);
        probe.send(raw.frame(TYPE.REQUEST | MORE, id, zeros(2000)), raw.frame(TYPE.REQUEST, id, zeros(10)));
        await probe.refuses(id, 'INVALID_ARGUMENT');
    })],
];
