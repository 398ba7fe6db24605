// SPDX-License-Identifier: MIT
/*
 * Frames by hand, right or wrong, and a side without a mind of its own to send them
 *
 *   raw                   every frame; payloads are Buffers, fields of HELLO and of a block those of mcp.mjs
 *   dial(), listen()      a RawPeer: send(bytes...), next() -> {type, id, payload}, undefined after the end
 */
import { BASE, Connection, EXT, HELLO, REASON, TYPE, creditFrame, frame, readBlock, readError, readHello,
    readPlain, splitBlock, writeBlock, writeError, writeHello, writePlain } from './wire.mjs';
import { EMPTY, cat, dialSocket, listenOn, tlv, u16, u32, u8 } from './tools.mjs';

export const raw = {
    u8, u16, u32, cat, frame, tlv, writeBlock, splitBlock, readBlock, readHello, readError, readPlain,
    error: writeError,
    credit: creditFrame,
    hello: (overrides) => writeHello(TYPE.HELLO, { ...HELLO, ...overrides }),
    ack: (overrides) => writeHello(TYPE.HELLO_ACK, { ...HELLO, maxCalls: 256, ...overrides }),
    /** A message, or a fragment of it: the first has fields, and MORE among its flags where more follows. */
    message: (type, id, fields, body = EMPTY, flags = 0) => {
        const block = writeBlock(fields ?? {}, (type & BASE) === TYPE.REQUEST && fields !== undefined);
        return frame(type | flags | (block.length > 0 ? EXT : 0), id, cat(block, body));
    },
    cancel: (id, reason = REASON.APPLICATION) => frame(TYPE.CANCEL, id, u8(reason)),
    ping: (opaque) => frame(TYPE.PING, 0, opaque),
    pong: (opaque) => frame(TYPE.PONG, 0, opaque),
    goaway: (last, reason, grace, text = '') =>
        frame(TYPE.GOAWAY, 0, cat(u32(last), u16(reason), u16(grace), text)),
    batch: (fields, entries) => frame(TYPE.BATCH | (fields ? EXT : 0), 0,
        cat(fields ? writeBlock(fields, true) : EMPTY, u8(TYPE.REQUEST), u8(0), u16(entries.length),
            ...entries.flatMap(([id, body]) => [u32(id), u16(body.length), body]))),
    plainRequest: (id, service, body) => frame(TYPE.REQUEST, id, writePlain('Request', { service, body })),
    plainResponse: (id, response) => frame(TYPE.RESPONSE, id, writePlain('Response', response)),
};

class RawPeer extends Connection {
    frames = [];
    frame({ type, id }, payload) {
        this.frames.push({ type, id, payload });
        this.wake?.();
    }
    send(...bytes) { this.socket.write(cat(...bytes)); }
    async next() {
        while (this.frames.length === 0 && !this.isOver)
            await new Promise((resolve) => { this.wake = resolve; });
        return this.frames.shift();
    }
    eof() {
        this.isOver = true;
        this.wake?.();
    }
    gone() { this.eof(); }
    shutdown() { this.socket.end(); }
    close() { this.destroy(); }
}

export const dial = async (options) => new RawPeer(await dialSocket(options));
export const listen = (onPeer, options) => listenOn((socket) => onPeer(new RawPeer(socket)), options);
