// SPDX-License-Identifier: MIT
/*
 * What a peer needs and is no protocol: bytes, layouts, TLVs, a token bucket, promises, sockets
 */
import net from 'node:net';

export const EMPTY = Buffer.alloc(0);
export const isIn = (value, lowest, highest) => value >= lowest && value <= highest;
export const toBuffer = (body) => (Buffer.isBuffer(body) ? body : Buffer.from(body ?? ''));
export const cat = (...parts) => Buffer.concat(parts.map(toBuffer));
/** An unsigned number, big-endian. */
export function uint(size, value) {
    const bytes = Buffer.alloc(size);
    bytes.writeUIntBE(value, 0, size);
    return bytes;
}
export const u8 = (value) => uint(1, value), u16 = (value) => uint(2, value), u32 = (value) => uint(4, value);

/* ---- layouts, {name: size}: numbers one behind the other ---- */

export const sizeOf = (layout) => Object.values(layout).reduce((sum, size) => sum + size, 0);
export const pack = (layout, values) =>
    cat(...Object.entries(layout).map(([name, size]) => uint(size, values[name])));
export function unpack(layout, bytes) {
    const values = {};
    let at = 0;
    for (const [name, size] of Object.entries(layout)) {
        values[name] = bytes.readUIntBE(at, size);
        at += size;
    }
    return values;
}

/* ---- TLVs: tag, length, value; values as [write, read], where read says undefined of a wrong one ---- */

export const tlv = (tag, value, length = value.length) => cat(u8(tag), u8(length), value);
/** [[tag, value]]; a last value of undefined goes beyond the bytes. */
export function readTlvs(bytes) {
    const tlvs = [];
    for (let at = 0, end; at < bytes.length; at = end) {
        end = at + 2 + bytes[at + 1];
        tlvs.push([bytes[at], end <= bytes.length ? bytes.subarray(at + 2, end) : undefined]);
        if (!(end <= bytes.length))
            break;
    }
    return tlvs;
}
export const number = (size, lowest = 0, highest = Infinity) => [(value) => uint(size, value), (bytes) => {
    const value = bytes.length === size ? bytes.readUIntBE(0, size) : -1;
    return isIn(value, lowest, highest) ? value : undefined;
}];
export const blob = (least, most) => [Buffer.from,
    (bytes) => (isIn(bytes.length, least, most) ? bytes : undefined)];
export const utf8 = (least, most) => [Buffer.from, (bytes) => { /* what is not UTF-8 comes back as others */
    const text = bytes.toString();
    return isIn(bytes.length, least, most) && Buffer.from(text).equals(bytes) ? text : undefined;
}];

/* ---- time, promises, sockets ---- */

export const now = () => performance.now();

/** take() is false when nothing is left. */
export class Bucket {
    constructor(size, perSecond) { Object.assign(this, { size, perSecond, left: size, at: now() }); }
    take() {
        const time = now();
        this.left = Math.min(this.size, this.left + (time - this.at) / 1000 * this.perSecond) - 1;
        this.at = time;
        return this.left >= 0;
    }
}

/** A promise and its two ends; who does not await it causes no unhandled rejection. */
export function defer() {
    const ends = {}, promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
    promise.catch(() => {});
    return { promise, ...ends };
}

export function dialSocket({ host = '127.0.0.1', port }) {
    return new Promise((resolve, reject) => {
        const socket = net.connect({ host, port, allowHalfOpen: true });
        socket.once('error', reject);
        socket.once('connect', () => { socket.off('error', reject); resolve(socket); });
    });
}

/** onSocket(socket) for each that comes. Resolves with {host, port, close()}, which destroys what is open. */
export function listenOn(onSocket, { host = '127.0.0.1', port = 0 } = {}) {
    const sockets = new Set(), server = net.createServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket.on('close', () => sockets.delete(socket)));
        onSocket(socket);
    });
    const close = () => new Promise((resolve) => {
        server.close(resolve);
        for (const socket of sockets)
            socket.destroy();
    });
    return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => resolve({ host, port: server.address().port, close }));
    });
}
