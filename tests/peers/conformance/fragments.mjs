// SPDX-License-Identifier: MIT
/* §9, §10: large messages and credit */
import assert from 'node:assert/strict';
import { raw } from '../hand.mjs';
import { EXT, LIMIT, MORE, TYPE } from '../mcp.mjs';
import { Probe, withProbe } from './kit.mjs';

const MIB = 2 ** 20, zeros = (n) => Buffer.alloc(n), echo = { method: 'echo' }, { frame } = raw;
const begin = (probe, fields, n = 2000) => probe.request({ ...echo, ...fields }, zeros(n), MORE);
const pattern = (n) => Buffer.from(Array.from({ length: n }, (_, i) => (i * 7) & 0xff));
/* Small windows, and credit only when the claim gives it. */
const stingy = (run, hello) => withProbe(async (probe) => {
    probe.isStingy = true;
    await run(probe);
}, { connectionLimit: MIB, callLimit: LIMIT.minWindow, ...hello });

export default [
    ['a message longer than every window comes back whole [M-81] [M-82] [M-66]', withProbe(async (probe) => {
        const body = pattern(3 * MIB), { body: back } = await probe.answer(await probe.sendMessage(echo, body));
        assert.ok(back.equals(body));
        assert.ok(probe.granted(0) > MIB);
    })],
    ['also through the smallest windows and frames [M-3] [M-74] [M-80]', withProbe(async (probe) => {
        const body = pattern(200_000);
        assert.ok((await probe.answer(await probe.sendMessage(echo, body, LIMIT.minFrame))).body.equals(body));
    }, { maxFrame: LIMIT.minFrame, connectionLimit: LIMIT.minWindow, callLimit: LIMIT.minWindow })],
    ['TOTAL_LEN on a whole message is the length of its body [M-66]', withProbe(async (probe) => {
        assert.equal((await probe.answer(probe.request({ ...echo, totalLength: 5 }, zeros(5)))).body.length, 5);
        await probe.refuses(probe.request({ ...echo, totalLength: 6 }, zeros(5)), 'INVALID_ARGUMENT');
        await probe.refuses(probe.request({ ...echo, totalLength: 4 }, zeros(5)), 'INVALID_ARGUMENT');
    })],
    ['MORE without TOTAL_LEN [M-65]', withProbe(async (probe) => probe.refuses(begin(probe), 'INVALID_ARGUMENT'))],
    ['fragments that do not add up, at the first that shows it [M-66]', withProbe(async (probe) => {
        await probe.refuses(begin(probe, { totalLength: 1999 }), 'INVALID_ARGUMENT');
        for (const [total, more, n] of [[3000, 0, 999], [3000, 0, 1001], [3000, MORE, 1001]]) {
            const id = begin(probe, { totalLength: total });
            probe.send(frame(TYPE.REQUEST | more, id, zeros(more ? Math.max(n, LIMIT.minFragment) : n)));
            await probe.refuses(id, 'INVALID_ARGUMENT');
        }
    })],
    ['TOTAL_LEN of 0 is that of an empty body, and of no other [M-66] [M-67]', withProbe(async (probe) => {
        assert.equal((await probe.answer(probe.request({ ...echo, totalLength: 0 }))).body.length, 0);
        await probe.refuses(probe.request({ ...echo, totalLength: 0 }, zeros(1)), 'INVALID_ARGUMENT');
        await probe.refuses(begin(probe, { totalLength: 0 }), 'INVALID_ARGUMENT');
    })],
    ['TOTAL_LEN of 0xFFFFFFFF is TOO_LARGE, whole or begun [M-68] [M-69]', withProbe(async (probe) => {
        await probe.refuses(begin(probe, { totalLength: 0xffffffff }), 'TOO_LARGE');
        const { codeName } = await probe.answer(probe.request({ ...echo, totalLength: 0xffffffff }, zeros(5)));
        assert.match(codeName, /^(TOO_LARGE|INVALID_ARGUMENT)$/);
        await probe.lives();
    })],
    ['a message that is complete before TOTAL_LEN, by one byte, or beyond it, by one byte [M-66]', withProbe(async (probe) => {
        for (const [n, isRight] of [[999, false], [1000, true], [1001, false]]) {
            const id = begin(probe, { totalLength: 3000 });
            probe.send(frame(TYPE.REQUEST, id, zeros(n)));
            if (isRight)
                assert.equal((await probe.answer(id)).body.length, 3000);
            else
                await probe.refuses(id, 'INVALID_ARGUMENT');
        }
    })],
    ['a frame with MORE has 1,024 bytes of body [M-67]', withProbe(async (probe) => {
        await probe.refuses(begin(probe, { totalLength: 9000 }, LIMIT.minFragment - 1), 'INVALID_ARGUMENT');
        const id = begin(probe, { totalLength: 9000 }, LIMIT.minFragment);
        probe.send(frame(TYPE.REQUEST | MORE, id, zeros(LIMIT.minFragment - 1)));
        await probe.refuses(id, 'INVALID_ARGUMENT');
    })],
    ['over max message, on the wire or before compression: at the first frame [M-68]', withProbe(async (probe) => {
        const over = probe.ack.maxMessage + 1;
        await probe.refuses(begin(probe, { totalLength: over }), 'TOO_LARGE');
        await probe.refuses(begin(probe, { totalLength: 9000, compression: [0, over] }), 'TOO_LARGE');
    })],
    ['an answer over the max message of the client is TOO_LARGE [M-68]', withProbe(async (probe) => {
        const { codeName } = await probe.answer(probe.request(echo, zeros(2000)));
        assert.equal(codeName, 'TOO_LARGE');
    }, { maxMessage: 1999 })],
    ['64 messages are incomplete at most; the newest goes [M-70] [M-69]', withProbe(async (probe) => {
        const ids = Array.from({ length: 65 }, () => begin(probe, { totalLength: probe.ack.maxMessage }));
        await probe.refuses(ids[64], 'OVERLOADED');
        assert.ok(ids.slice(0, 64).every((id) => !probe.calls.get(id).over));
    })],
    ['CANCEL drops an incomplete message; the id is free [M-27] [M-98]', withProbe(async (probe) => {
        const id = begin(probe, { totalLength: 9000 });
        probe.send(raw.cancel(id), frame(TYPE.REQUEST | MORE, id, zeros(2000)));
        await probe.refuses(id, 'CANCELLED');
        probe.nextId = id;
        await probe.lives();
    })],
    ['a call that waits for its own credit holds back no other [M-86] [M-78]', stingy(async (probe) => {
        const body = zeros(60_000), id = probe.request(echo, body), call = probe.calls.get(id);
        await probe.until(() => call.received > 0, 'the first fragment');
        for (let n = 0; n < 10; n++)
            await probe.lives();
        assert.ok(!call.over && call.received <= LIMIT.minWindow);
        probe.send(raw.credit([[id, call.limit = 2 * MIB]]));
        assert.equal((await probe.answer(id)).body.length, body.length);
    })],
    ['STREAM_LIMIT is the first credit of an answer [M-43]', withProbe(async (probe) => {
        probe.isStingy = true;
        const id = probe.request({ ...echo, streamLimit: LIMIT.minWindow }, zeros(20_000)), call = probe.calls.get(id);
        call.limit = LIMIT.minWindow;
        await probe.until(() => call.received > 0, 'the first fragment');
        await probe.lives();
        assert.ok(call.received <= LIMIT.minWindow && !call.over);
    })],
    ['a lower or repeated limit is ignored [M-75] [M-76]', stingy(async (probe) => {
        const id = probe.request(echo, zeros(20_000)), call = probe.calls.get(id);
        await probe.until(() => call.received > 0, 'the first fragment');
        probe.send(raw.credit([[id, LIMIT.minWindow], [id, 5], [id, 2 ** 32 - 5], [0, 5]]));
        await probe.lives();
        assert.ok(call.received <= LIMIT.minWindow);
    })],
    ['a limit that is 2^31 or more above is one below, and ignored [M-75] [M-76]', stingy(async (probe) => {
        const id = probe.request(echo, zeros(20_000)), call = probe.calls.get(id);
        await probe.until(() => call.received > 0, 'the first fragment');
        probe.send(raw.credit([[id, LIMIT.minWindow + 2 ** 31], [0, MIB + 2 ** 31]]));
        await probe.lives();
        assert.ok(call.received <= LIMIT.minWindow);
        probe.send(raw.credit([[id, call.limit = LIMIT.minWindow + 2 ** 31 - 1]]));
        assert.equal((await probe.answer(id)).body.length, 20_000);
    })],
    ['one byte beyond the credit of a call, where one frame can have it [M-74]', withProbe(async (probe) => {
        const { callLimit, maxFrame } = probe.ack, room = callLimit - raw.writeBlock(echo).length;
        if (callLimit >= maxFrame) /* else credit may come between two frames */
            return;
        assert.equal((await probe.answer(probe.request(echo, zeros(room)))).body.length, room);
        probe.request(echo, zeros(room + 1));
        await probe.dies('FLOW_CONTROL');
    })],
    ['without connection credit PONG and ERROR still come, in time [M-78] [M-84] [M-83]', async (target) => {
        const probe = await Probe.open(target, { connectionLimit: LIMIT.minWindow });
        probe.isStingy = true;
        const id = probe.request(echo, zeros(30_000));
        await probe.until(() => probe.received > LIMIT.minWindow / 2, 'the window is used');
        probe.send(raw.ping(zeros(8)));
        assert.equal((await probe.next('PONG')).type, TYPE.PONG);
        probe.send(raw.cancel(id));
        assert.equal((await probe.answer(id)).codeName, 'CANCELLED');
        /* and whatever is written is still read, and credited */
        for (let n = 0; n < 40; n++)
            probe.send(frame(0x20, 0, zeros(16_384)));
        await probe.until(() => probe.granted(0) > 0, 'CREDIT');
        probe.close();
    }],
    ['connection credit comes back although nobody takes the bytes [M-79] [M-82]', withProbe(async (probe) => {
        const ids = Array.from({ length: 40 }, () => begin(probe, { totalLength: MIB }, 16_000));
        await probe.until(() => probe.granted(0) > probe.ack.connectionLimit, 'CREDIT');
        assert.ok(ids.every((id) => !probe.calls.get(id).over));
    })],
    ['CREDIT for a SeqID above the highest [M-28]', withProbe(async (probe) => {
        probe.send(raw.credit([[0x80000001, MIB]]));
        await probe.dies();
    })],
    ['an empty message is a message', withProbe(async (probe) => {
        const { body } = await probe.answer(probe.request(echo));
        assert.equal(body.length, 0);
        assert.equal((await probe.answer(probe.requestPayload(raw.writeBlock(echo, true), EXT))).body.length, 0);
    })],
];
