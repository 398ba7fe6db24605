// SPDX-License-Identifier: MIT
/* §17, §21, §24: time-outs, floods, peers that do not read. Others are served meanwhile, and memory stays bounded. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { raw } from '../hand.mjs';
import { EXT, LIMIT, MORE, TYPE } from '../mcp.mjs';
import { pause, Probe, SLOW, soon, whileOthersLive } from './kit.mjs';

const { frame } = raw, zeros = (n) => Buffer.alloc(n), FLOOD = 3 * LIMIT.tokens, MIB = 2 ** 20, echo = { method: 'echo' };
const repeat = (n, bytes) => Buffer.concat(Array(n).fill(bytes));

/* A flood, read by us, costs OVERLOADED; call 1 is finished when it begins. */
const floodDies = (...bytes) => whileOthersLive(async (target) => {
    const probe = await Probe.open(target);
    await probe.lives();
    probe.send(repeat(FLOOD, raw.cat(...bytes)));
    await probe.dies('OVERLOADED');
});
/* Written as long as the server takes it, never read. */
async function neverRead(target, hello, frames, most) {
    const probe = await Probe.open(target, hello), { socket } = probe.peer;
    socket.pause();
    let written = 0;
    const end = new Promise((resolve) => { socket.once('close', resolve); });
    for (const bytes of frames) {
        if (written >= most || socket.destroyed)
            break;
        written += bytes.length;
        if (!socket.write(bytes))
            await Promise.race([new Promise((resolve) => { socket.once('drain', resolve); }), end, pause(300)]);
        if (socket.writableLength > 4 * MIB)
            break; /* it takes no more: that is an answer, too */
    }
    await pause(200);
    probe.close();
}
function* forever(make) {
    for (let n = 1; ; n++)
        yield make(n);
}

const abuse = [
    ['a flood of PING [M-126] [M-110]', floodDies(raw.ping(zeros(8)))],
    ['a flood of PONG [M-126]', floodDies(raw.pong(zeros(8)))],
    ['a flood of unknown frames [M-126]', floodDies(frame(0x20, 0))],
    ['a flood of CANCEL for a finished call [M-126]', floodDies(raw.cancel(1))],
    ['a flood of fragments without a byte for a finished call [M-126] [M-127]', floodDies(frame(TYPE.REQUEST | MORE, 1))],
    ['credit raised byte by byte [M-126]', whileOthersLive(async (target) => {
        const probe = await Probe.open(target);
        probe.send(...Array.from({ length: FLOOD }, (_, n) => raw.credit([[0, MIB + n]])));
        await probe.dies('OVERLOADED');
    })],
    ['credit that is no news, 64 entries to a frame [M-126]', floodDies(raw.credit(Array(64).fill([0, 5])))],
    ['tiny fragments: each costs its call, and what follows a token at last [M-67] [M-127]', whileOthersLive(async (target) => {
        const probe = await Probe.open(target), id = probe.request({ ...echo, totalLength: MIB }, zeros(1), MORE);
        assert.equal((await probe.answer(id)).codeName, 'INVALID_ARGUMENT');
        probe.send(repeat(FLOOD, frame(TYPE.REQUEST | MORE, id, zeros(1))));
        await probe.dies('OVERLOADED');
    })],
    ['calls that are refused, thousands of them: each has one ERROR [M-59]', whileOthersLive(async (target) => {
        const probe = await Probe.open(target);
        for (let round = 0; round < 20; round++)
            for (const id of Array.from({ length: 200 }, () => probe.requestPayload(zeros(1), EXT)))
                assert.equal((await probe.answer(id)).codeName, 'INVALID_ARGUMENT');
        probe.close();
    })],
    ['opening and cancelling in a loop buys no more work than calls in flight [M-63]', whileOthersLive(async (target) => {
        const probe = await Probe.open(target);
        for (let round = 0; round < 10; round++) {
            const ids = Array.from({ length: 100 }, () => probe.records(100_000));
            probe.send(...ids.map((id) => raw.cancel(id)));
            for (const id of ids)
                assert.match((await probe.answer(id)).codeName, /^(CANCELLED|OVERLOADED)$/);
        }
        probe.close();
    })],
    ['messages that claim much and bring little take little memory [M-69]', whileOthersLive(async (target) => {
        const probes = [];
        for (let n = 0; n < 16; n++) {
            const probe = await Probe.open(target);
            for (let call = 0; call < 64; call++)
                probe.request({ ...echo, totalLength: probe.ack.maxMessage }, zeros(1024), MORE);
            await probe.lives();
            probes.push(probe);
        }
        probes.forEach((probe) => probe.close());
    })],
    ['half frames on hundreds of connections', whileOthersLive(async (target) => {
        const probes = [];
        for (let n = 0; n < 200; n++) {
            const probe = await Probe.dial(target);
            probe.send(raw.hello({ key: target.key }).subarray(0, n % 50 + 1));
            probes.push(probe);
        }
        await pause(50);
        probes.forEach((probe) => probe.close());
    })],
    ['a peer that asks for echoes and reads nothing [M-112] [M-128]',
        whileOthersLive((target) => neverRead(target, { connectionLimit: 2 ** 31 - 1, callLimit: 2 ** 31 - 1 },
        forever((n) => raw.message(TYPE.REQUEST, n, echo, zeros(60_000))), 200 * MIB))],
    ['a peer that sends PING and reads nothing [M-128]',
        whileOthersLive((target) => neverRead(target, {}, forever(() => repeat(500, raw.ping(zeros(8)))), 20 * MIB))],
    ['a peer that makes calls fail and reads nothing [M-128]', whileOthersLive((target) => neverRead(target, {},
        forever((n) => Buffer.concat(Array.from({ length: 500 }, (_, i) => frame(TYPE.REQUEST | EXT, n * 500 + i, zeros(1))))), 20 * MIB))],
];

/* Waits for its time-out; together with the others of its section. */
const atEnd = async (probe, least, what) => {
    const begun = performance.now();
    await what(probe);
    const took = performance.now() - begun;
    assert.ok(took >= least - 100, `too early: ${took} ms`);
};
const ended = async (probe, ms) => {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`open after ${ms} ms`)), ms * SLOW); });
    for (let next; (next = await Promise.race([probe.peer.next(), late])) !== undefined;)
        if (next.type === TYPE.ERROR && next.id === 0)
            probe.error = raw.readError(next.type, next.payload);
    clearTimeout(timer);
};
/* Ticks of a CPU, 100 a second, that the server has used. */
function cpuTicks(pid) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return Number(fields[11]) + Number(fields[12]);
}
const liveness = [
    ['a peer that takes nothing while output waits is closed after 30 s, whatever it sends; waiting costs no work [M-112]', async (target) => {
        const probe = await Probe.open(target, { connectionLimit: LIMIT.minWindow, callLimit: 2 ** 31 - 1 }), { socket } = probe.peer;
        const closed = new Promise((resolve) => { socket.once('close', resolve); });
        probe.isStingy = true;
        for (let n = 0; n < 140; n++) /* more than sockets hold */
            await probe.sendMessage(echo, zeros(60_000), LIMIT.payload);
        socket.pause();
        probe.send(raw.credit([[0, 2 ** 31 - 1]]));
        const begun = performance.now(), busy = setInterval(() => { if (socket.writable) probe.send(frame(0x20, 0)); }, 500);
        await pause(12_000); /* the other claims of this section are over */
        const before = target.pid && cpuTicks(target.pid);
        await pause(2_000);
        if (target.pid)
            assert.ok(cpuTicks(target.pid) - before < 100, 'the server is busy with waiting');
        await soon(closed, 'the end', 30_000).finally(() => clearInterval(busy));
        assert.ok(performance.now() - begun > 28_000, 'too early');
    }],
    ['a connection that says nothing is closed after 5 s [M-5]', async (target) => atEnd(await Probe.dial(target), 5_000, (probe) => ended(probe, 9_000))],
    ['half a HELLO does not help [M-5]', async (target) => {
        const probe = await Probe.dial(target);
        probe.send(raw.hello().subarray(0, 20));
        await atEnd(probe, 5_000, () => ended(probe, 9_000));
    }],
    ['nor does HELLO a byte a second [M-5]', async (target) => {
        const probe = await Probe.dial(target), bytes = raw.hello();
        let at = 0;
        const writing = setInterval(() => { if (probe.peer.socket.writable) probe.send(bytes.subarray(at, at += 1)); }, 1_000);
        await atEnd(probe, 5_000, () => ended(probe, 9_000)).finally(() => clearInterval(writing));
    }],
    ['a frame that comes a byte a second is served [M-4]', async (target) => {
        const probe = await Probe.open(target), bytes = raw.message(TYPE.REQUEST, probe.opens(), echo, zeros(3));
        for (const byte of bytes) {
            probe.send(raw.u8(byte));
            await pause(1_000);
        }
        assert.equal((await probe.answer(1)).body.length, 3);
        probe.close();
    }],
    ['who says nothing while a call is open is asked with PING after 15 s, and closed 10 s later [M-108] [M-111]', async (target) => {
        const probe = await Probe.open(target, { pingInterval: 1 });
        probe.request({ ...echo, totalLength: 9000 }, zeros(2000), MORE);
        await atEnd(probe, 25_000, async () => {
            const { type } = await soon(probe.peer.next(), 'PING', 20_000);
            assert.equal(type, TYPE.PING);
            await ended(probe, 15_000);
        });
        assert.equal(probe.error, undefined);
    }],
    ['a message that is never finished fails after 30 s, and only it [M-71]', async (target) => {
        const probe = await Probe.open(target), id = probe.request({ ...echo, totalLength: 9000 }, zeros(2000), MORE);
        const life = setInterval(() => { if (probe.peer.socket.writable) probe.send(frame(0x20, 0)); }, 5_000);
        await atEnd(probe, 30_000, () => soon(probe.peer.next(), 'ERROR', 36_000).then(({ type, id: of, payload }) => {
            const { codeName, notProcessed } = raw.readError(type, payload);
            assert.deepEqual([of, codeName, notProcessed], [id, 'DEADLINE_EXCEEDED', true]);
        })).finally(() => clearInterval(life));
        probe.calls.get(id).over = true;
        await probe.lives();
        probe.close();
    }],
    ['half a frame without progress ends the connection after 10 s, with an ERROR [M-4]', async (target) => {
        const probe = await Probe.open(target);
        await atEnd(probe, 10_000, async () => {
            probe.send(raw.ping(zeros(8)).subarray(0, 9));
            await ended(probe, 16_000);
        });
        assert.equal(probe.error?.codeName, 'PROTOCOL');
    }],
    ['a frame that makes progress is not half a frame [M-4]', async (target) => {
        const probe = await Probe.open(target), bytes = raw.message(TYPE.REQUEST, probe.opens(), echo, zeros(3));
        for (let at = 0; at < bytes.length; at += 6) {
            probe.send(bytes.subarray(at, at + 6));
            await pause(3_000);
        }
        assert.equal((await probe.answer(1)).body.length, 3);
        probe.close();
    }],
    ['after a connection error input is discarded for a second, then the socket closes [M-117]', async (target) => {
        const probe = await Probe.open(target);
        const closed = new Promise((resolve) => { probe.peer.socket.once('close', resolve); });
        probe.send(frame(0x05, 0));
        await probe.next('ERROR');
        assert.equal(probe.error.codeName, 'PROTOCOL');
        const writing = setInterval(() => { if (probe.peer.socket.writable) probe.send(raw.ping(zeros(8))); }, 50);
        await closed.finally(() => clearInterval(writing));
    }],
];

export { abuse, liveness };
