// SPDX-License-Identifier: MIT
/*
 * MCP's plain profile (§4), both roles
 */
import { Link, now, toBuffer } from './session.mjs';
import { asMcpError, cat, CODE, EMPTY, FLAG, LIMIT, McpError, ORIGIN, protocol, raw, readPlain,
         REQUEST_FIELDS, RESPONSE_FIELDS, SECOND, statusOf, TIMING, TYPE } from './wire.mjs';

export class PlainServer {
    inFlight = new Set();
    idleAt = now();
    constructor(link, config) { Object.assign(this, { link, config }); }
    header({ type }) {
        if (type !== TYPE.REQUEST)
            throw protocol('only REQUEST in the plain profile');
    }
    frame({ id }, payload) {
        const { key, plain = true } = this.config;
        if (key !== undefined || !plain)
            return this.link.end(raw.plainResponse(id, key === undefined ? { status: 426, error: 'HELLO is needed' }
                : { status: 401, error: 'a key is needed' }));
        if (this.inFlight.has(id))
            return this.link.destroy();
        if (this.inFlight.size >= LIMIT.plainCalls)
            return this.#answer(id, { status: 429, error: 'too many requests' });
        this.inFlight.add(id);
        return this.#run(id, payload).then((response) => {
            this.inFlight.delete(id);
            this.idleAt = now();
            this.#answer(id, response);
        });
    }
    async #run(id, payload) {
        const chunks = [];
        try {
            const request = readPlain(REQUEST_FIELDS, payload), method = request.service.toString();
            if (!Object.hasOwn(this.config.handlers, method))
                return { status: 404, error: 'no such service' };
            const context = { method, body: request.body, codec: 1, id, metadata: [], isPlain: true, signal: new AbortController().signal };
            const answer = await this.config.handlers[method](context, async (chunk) => { chunks.push(toBuffer(chunk?.body ?? chunk)); });
            return { status: 200, body: cat(...chunks, toBuffer(answer?.body ?? answer)) };
        } catch (error) {
            return { status: statusOf(asMcpError(error).code), error: error.message };
        }
    }
    #answer(id, response) {
        if (this.link.closing)
            return;
        let bytes = raw.plainResponse(id, { status: 200, body: EMPTY });
        try {
            bytes = raw.plainResponse(id, response);
        } catch {
            bytes = raw.plainResponse(id, { status: 413, error: 'the answer is too large' }); /* Length has 16 bits */
        }
        this.link.write(bytes);
    }
    tick(time) {
        const { idleTimeout = 0 } = this.config.hello ?? {};
        if (idleTimeout > 0 && this.inFlight.size === 0 && time - this.idleAt > idleTimeout * SECOND)
            this.link.destroy();
    }
    fail() { this.link.destroy(); }
    eof() { this.link.end(); }
    gone() {}
}

export class PlainClient {
    nextId = 1;
    calls = new Map();
    waiting = [];
    constructor(socket, timing) { this.link = new Link(socket, this, { ...TIMING, ...timing }); }
    /** Resolves with {status, error, body}; more than 128 at once wait here. */
    call(service, body) {
        return new Promise((resolve, reject) => {
            this.waiting.push({ service, body: toBuffer(body), resolve, reject });
            this.#send();
        });
    }
    #send() {
        while (this.waiting.length > 0 && this.calls.size < LIMIT.plainCalls && !this.link.closing) {
            const call = this.waiting.shift();
            while (this.calls.has(this.nextId))
                this.nextId = (this.nextId + 1) >>> 0;
            try {
                this.link.write(raw.plainRequest(this.nextId, call.service, call.body));
            } catch {
                call.reject(new McpError(CODE.TOO_LARGE, 'too long for one frame', { flags: FLAG.NOT_PROCESSED }));
                continue;
            }
            this.calls.set(this.nextId, call);
            this.nextId = (this.nextId + 1) >>> 0;
        }
        if (this.link.closing)
            this.gone();
    }
    header({ type, id }) {
        if (type !== TYPE.RESPONSE || !this.calls.has(id))
            throw protocol('not a RESPONSE that was asked for');
    }
    frame({ id }, payload) {
        const { status, error, body } = readPlain(RESPONSE_FIELDS, payload), call = this.calls.get(id);
        this.calls.delete(id);
        call.resolve({ status, error: error.toString(), body });
        this.#send();
    }
    fail() { this.link.destroy(); }
    eof() { this.link.end(); }
    gone() {
        for (const call of [...this.calls.values(), ...this.waiting.splice(0)])
            call.reject(new McpError(CODE.UNAVAILABLE, 'the connection is lost', { origin: ORIGIN.LIBRARY }));
        this.calls.clear();
    }
    close() { this.link.end(); }
}
