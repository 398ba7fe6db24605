// SPDX-License-Identifier: MIT
/*
 * MCP, the Message Communication Protocol, in both roles, written from docs/protocol.md alone
 *
 * It is the second opinion on the protocol: what it shares with the gateway is the page, not a line of code.
 *
 * wire.mjs has the bytes, session.mjs what both roles do, client.mjs, server.mjs and plain.mjs the roles; here are the doors:
 *
 *   connect()   client, extended profile    plainConnect()         client, plain profile
 *   serve()     server, both profiles       raw, dial(), listen()  frames by hand
 */
import net from 'node:net';
import { Client } from './client.mjs';
import { PlainClient, PlainServer } from './plain.mjs';
import { ServerSession } from './server.mjs';
import { Link } from './session.mjs';
import { BASE, cat, TIMING, TYPE } from './wire.mjs';

export * from './wire.mjs';
export { ReceiveWindow, SendWindow } from './session.mjs';

function dialSocket({ host = '127.0.0.1', port }) {
    return new Promise((resolve, reject) => {
        const socket = net.connect({ host, port, allowHalfOpen: true });
        socket.once('error', reject);
        socket.once('connect', () => { socket.off('error', reject); resolve(socket); });
    });
}

/**
 * A client, as soon as the connection stands; client.ready resolves with the ACK.
 * Options: host, port, key, hello (fields of HELLO), fragmentSize, timing, firstId, tap(direction, type, id, payload).
 * client.call(method, body, {codec, deadlineMs, trace, metadata, session, lane, streamLimit, compression})
 */
export async function connect(options) {
    return new Client(await dialSocket(options), options);
}

export async function plainConnect(options) {
    return new PlainClient(await dialSocket(options), options.timing);
}

/* The first header tells the profile. */
class Entry {
    constructor(socket, config) {
        this.config = config;
        this.link = new Link(socket, this, { ...TIMING, ...config.timing }, true);
    }
    header(header) {
        this.link.owner = new ((header.type & BASE) === TYPE.HELLO ? ServerSession : PlainServer)(this.link, this.config);
        this.link.owner.header(header);
    }
    fail() { this.link.destroy(); }
    eof() { this.link.end(); }
    gone() {}
}

function listenOn(onSocket, { host = '127.0.0.1', port = 0 }) {
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

/**
 * A server of both profiles. Options: port, host, key, plain (false: 426), hello, timing, fragmentSize, tap, onSession,
 * handlers: {name: async (request, send) => answer}. A request has body, codec, metadata, trace, session, signal, ...;
 * send(chunk) resolves when the chunk has left. Chunk and answer: bytes, text, or {body, metadata}. Who throws answers ERROR.
 */
export async function serve(options) {
    const config = { ...options, sessions: new Set() };
    return { ...await listenOn((socket) => new Entry(socket, config), options), sessions: config.sessions };
}

/** A side without a mind of its own: send(bytes...), next() -> {type, id, payload}, or undefined after the end. */
class RawPeer {
    frames = [];
    isOver = false;
    constructor(socket) { this.link = new Link(socket, this, TIMING); }
    header() {}
    frame({ type, id }, payload) {
        this.frames.push({ type, id, payload });
        this.wake?.();
    }
    send(...bytes) { this.link.write(cat(...bytes)); }
    async next() {
        while (this.frames.length === 0 && !this.isOver)
            await new Promise((resolve) => { this.wake = resolve; });
        return this.frames.shift();
    }
    fail() { this.link.destroy(); }
    eof() {
        this.isOver = true;
        this.wake?.();
    }
    gone() { this.eof(); }
    end() { this.link.socket.end(); }
    close() { this.link.destroy(); }
}

export async function dial(options) { return new RawPeer(await dialSocket(options)); }
export const listen = (onPeer, options = {}) => listenOn((socket) => onPeer(new RawPeer(socket)), options);
