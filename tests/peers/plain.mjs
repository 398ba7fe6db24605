// SPDX-License-Identifier: MIT
/*
 * MCP's plain profile (§4), both roles: two frames, no state but the SeqIDs in flight
 */
import { EMPTY, cat, defer, now, toBuffer } from './tools.mjs';
import { CODE, CODES, Connection, LIMIT, SECOND, TYPE, asMcpError, demand, frame, insist, local, readPlain,
    rowOf, writePlain } from './wire.mjs';

export class PlainClient extends Connection {
    nextId = 0;
    calls = new Map();
    waiting = [];
    /** Resolves with {status, error, body}; more than 128 at once wait here (M-10). */
    call(service, body) {
        const call = { bytes: writePlain('Request', { service, body: toBuffer(body) }), ...defer() };
        this.waiting.push(call);
        this.#send();
        return call.promise;
    }
    #send() {
        while (this.waiting.length > 0 && this.calls.size < LIMIT.plainCalls && !this.isEnding) {
            const call = this.waiting.shift();
            do this.nextId = (this.nextId + 1) >>> 0; while (this.calls.has(this.nextId)); /* M-9 */
            this.calls.set(this.nextId, call);
            this.socket.write(frame(TYPE.REQUEST, this.nextId, call.bytes));
        }
        if (this.isEnding) this.gone();
    }
    header({ type, id }) { insist(type === TYPE.RESPONSE && this.calls.has(id), 'nobody asked for this'); }
    frame({ id }, payload) {
        this.calls.get(id).resolve(readPlain('Response', payload));
        this.calls.delete(id);
        this.#send();
    }
    gone() {
        for (const call of [...this.calls.values(), ...this.waiting.splice(0)])
            call.reject(local(CODE.UNAVAILABLE, 'the connection is lost'));
    }
    close() { this.end(); }
}

/** What a server's connection does once its first frame was not HELLO. */
export class PlainService {
    calls = new Set(); /* SeqIDs in flight */
    idleAt = now();
    abort = new AbortController();
    constructor(connection, config, idleTimeout) { Object.assign(this, { connection, config, idleTimeout }); }
    header({ type }) { insist(type === TYPE.REQUEST, 'only REQUEST in the plain profile'); } /* M-13 */
    async frame({ id }, payload) {
        const { connection, config: { key, plain = true }, calls } = this;
        const answer = (status, error, body) =>
            frame(TYPE.RESPONSE, id, writePlain('Response', { status, error, body }));
        if (key) return connection.end(answer(401, 'a key is needed')); /* M-14 */
        if (!plain) return connection.end(answer(426, 'HELLO is needed'));
        if (calls.has(id)) return connection.destroy(); /* M-9 */
        if (calls.size >= LIMIT.plainCalls) return connection.socket.write(answer(429, 'too many'));
        calls.add(id);
        const bytes = await this.#run(id, payload).then((body) => answer(200, '', body)).catch((error) =>
            answer(rowOf(CODES, asMcpError(error).code)[1], error.message));
        calls.delete(id);
        this.idleAt = now();
        return connection.isEnding || connection.socket.write(bytes);
    }
    async #run(id, payload) {
        const { service: method, body } = readPlain('Request', payload), { handlers } = this.config;
        const { signal } = this.abort, chunks = [];
        const request = { method, body, codec: 1, id, metadata: [], isPlain: true, signal };
        demand(Object.hasOwn(handlers, method), 'no such service', CODE.UNIMPLEMENTED); /* M-11 */
        chunks.push(await handlers[method](request, async (chunk) => { chunks.push(chunk); }));
        const whole = cat(...chunks.map((chunk) => chunk?.body ?? chunk ?? EMPTY)); /* M-15 */
        const { length } = writePlain('Response', { status: 200, body: whole });
        demand(length <= LIMIT.payload, 'the answer is too large', CODE.TOO_LARGE); /* M-12 */
        return whole;
    }
    tick(time) { /* M-116 */
        const isIdle = this.idleTimeout > 0 && this.calls.size === 0;
        if (isIdle && time - this.idleAt > this.idleTimeout * SECOND) this.connection.destroy();
    }
}
