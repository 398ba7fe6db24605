// SPDX-License-Identifier: MIT
/*
 * MCP's server of the extended profile
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { Incoming, ReceiveWindow, SendWindow, Session, now, quiet, toBuffer } from './session.mjs';
import { asMcpError, CODE, COMPRESSION, ConnectionError, EXT, FEATURE, FLAG, GOAWAY, invalid, isCallError,
         LIMIT, MAX_ID, McpError, MORE, ORIGIN, protocol, raw, readBlock, readHello, REASON, REVISION,
         SECOND, SERVER, splitBlock, TYPE, unimplemented } from './wire.mjs';

const fieldsOf = ({ metadata }) => (metadata === undefined ? {} : { metadata });

class ServerCall {
    out = [];
    deficit = 0;
    abort = new AbortController();
    constructor(id, { peer, mine }) {
        Object.assign(this, { id });
        this.credit = new SendWindow(peer.callLimit);
        this.window = new ReceiveWindow(mine.callLimit);
    }
}

const hash = (text) => createHash('sha256').update(text).digest(); /* equal lengths for the comparison in constant time */
const hasKey = ({ key }, given) => key === undefined || (given !== undefined && timingSafeEqual(hash(key), hash(given)));

export class ServerSession extends Session {
    firstType = TYPE.HELLO;
    lanes = new Map(); /* lane -> calls without their terminal frame, in the order of their first frames */
    strays = new Map(); /* id that the server ended in the middle of a request -> bytes that may still come free (M-127) */
    inFlight = 0;
    idleAt = now();
    constructor(link, config) {
        super(link.socket, SERVER, config, link);
        this.config = config;
        config.sessions.add(this);
    }

    receive(type, base, id, payload) {
        switch (base) {
        case TYPE.HELLO: return this.#hello(payload);
        case TYPE.REQUEST: return this.#onRequest(type, id, payload);
        case TYPE.BATCH: return this.#onBatch(type, payload);
        case TYPE.CANCEL: return this.#onCancel(id, payload[0]);
        default: return this.#end(REASON.CALLER_GONE); /* ERROR on SeqID 0 */
        }
    }
    #hello(payload) {
        if (this.established)
            throw protocol('HELLO comes once');
        const hello = readHello(payload), features = hello.features & this.mine.features;
        if (hello.lowest > REVISION || hello.highest < REVISION)
            throw protocol('no common revision');
        if (!hasKey(this.config, hello.key))
            throw new ConnectionError(CODE.UNAUTHENTICATED, 'a valid key is needed', { flags: FLAG.NOT_PROCESSED });
        Object.assign(this, { peer: { ...hello, features }, established: true });
        this.credit = new SendWindow(hello.connectionLimit);
        this.push(raw.ack({ ...this.mine, features, maxCalls: this.mine.maxCalls || 256 }));
        this.config.onSession?.(this);
    }
    #open(id) {
        if (!this.wasOpened(id))
            this.newest = id;
        const call = new ServerCall(id, this);
        this.strays.delete(id);
        this.calls.set(id, call);
        return call;
    }
    /* Runs a step of a call; what is wrong there is the error of that call. */
    #guard(call, step) {
        try {
            step();
        } catch (error) {
            if (!isCallError(error))
                throw error;
            this.refuse(call, error);
        }
    }
    #onRequest(type, id, payload) {
        let call = this.calls.get(id);
        if (type & EXT && call !== undefined)
            throw protocol('REQUEST on a SeqID in use');
        if (type & EXT)
            call = this.#open(id);
        else if (this.lookup(id) === undefined)
            return this.#stray(type, id, payload.length);
        else if (call.incoming === undefined)
            throw protocol('REQUEST behind its last fragment');
        call.isCut = (type & MORE) !== 0;
        return this.#guard(call, () => {
            const message = this.assemble(call, type, payload);
            if (type & EXT)
                this.#admit(call, (message ?? call.incoming).fields);
            if (message !== undefined)
                this.#complete(call, message);
        });
    }
    #stray(type, id, length) {
        const left = (this.strays.get(id) ?? 0) - Math.max(length, LIMIT.minFragment);
        if (left < 0 || !(type & MORE))
            this.strays.delete(id);
        else
            this.strays.set(id, left);
        if (left < 0)
            this.charge();
    }
    #onBatch(type, payload) {
        if (!(this.peer.features & FEATURE.BATCH))
            throw protocol('BATCH was not negotiated');
        let block, rest = payload, wrong, fields;
        try {
            if (!(type & EXT))
                throw invalid('no METHOD');
            [block, rest] = splitBlock(payload);
            fields = readBlock(block);
            if (fields.totalLength !== undefined || fields.compression !== undefined)
                throw invalid('TOTAL_LEN or COMPRESSION in a BATCH');
        } catch (error) {
            wrong = error;
        }
        for (const [id, body] of this.#batchEntries(rest)) {
            const call = this.#open(id);
            this.#guard(call, () => {
                call.window.receive(body.length);
                if (wrong !== undefined)
                    throw wrong;
                const message = new Incoming(TYPE.REQUEST, fields, this.mine.maxMessage);
                message.add(body, body.length, false);
                this.hold(call, body.length);
                this.#admit(call, fields);
                this.#complete(call, message);
            });
        }
    }
    #batchEntries(bytes) {
        const count = bytes.length >= 4 ? bytes.readUInt16BE(2) : 0, entries = new Map();
        let at = 4;
        if (bytes[0] !== TYPE.REQUEST || bytes[1] !== 0 || count < 1 || count > LIMIT.batch)
            throw protocol('BATCH: wrong inner type or count');
        for (let n = 0; n < count; n++) {
            const id = at + 6 <= bytes.length ? bytes.readUInt32BE(at) : 0, end = id ? at + 6 + bytes.readUInt16BE(at + 4) : 0;
            if (end > bytes.length || id < 1 || id > MAX_ID || this.calls.has(id) || entries.has(id))
                throw protocol('BATCH: an entry is cut or has a wrong SeqID');
            entries.set(id, bytes.subarray(at + 6, end));
            at = end;
        }
        if (at !== bytes.length)
            throw protocol('BATCH: bytes behind the entries');
        return entries;
    }
    /* The first frame of a call: may it be, and what does it ask for? */
    #admit(call, fields) {
        const { method, codec = 0, lane = 0, deadlineMs, streamLimit, compression = [COMPRESSION.NONE] } = fields;
        const features = this.peer.features, gzip = compression[0];
        if (this.goingAway)
            throw new McpError(CODE.UNAVAILABLE, 'the server goes away');
        if (this.inFlight >= (this.mine.maxCalls || 256))
            throw new McpError(CODE.OVERLOADED, 'too many calls');
        if (method === undefined)
            throw invalid('no METHOD');
        if (!Object.hasOwn(this.config.handlers, method) || !this.mine.codecs.includes(codec) || (lane && !(features & FEATURE.LANES))
            || (gzip && !(features & FEATURE.COMPRESSION && this.mine.compressions.includes(gzip) && this.peer.compressions.includes(gzip))))
            throw unimplemented('the method, codec, lane or compression is not known here');
        this.inFlight += 1;
        Object.assign(call, { isCounted: true, lane, codec });
        call.credit.limit = streamLimit ?? call.credit.limit;
        if (lane)
            this.lanes.set(lane, [...this.lanes.get(lane) ?? [], call]);
        const expire = () => this.refuse(call, new McpError(CODE.DEADLINE_EXCEEDED, 'the deadline is over', { origin: ORIGIN.GATEWAY }));
        if (deadlineMs === 0)
            expire();
        else if (deadlineMs !== undefined)
            call.timer = setTimeout(expire, Math.min(deadlineMs, LIMIT.timer));
    }
    #complete(call, message) {
        call.message = message;
        this.#startLane(call);
    }
    #startLane(call) {
        if (call.isOver || call.message === undefined || (call.lane && this.lanes.get(call.lane)[0] !== call))
            return;
        this.#guard(call, () => {
            const body = call.message.take(), { fields } = call.message;
            this.release(call);
            if (call.message.algorithm !== COMPRESSION.NONE)
                this.hold(call, body.length);
            call.isBegun = call.isRunning = true;
            call.message = undefined;
            this.#run(call, { ...fields, body, codec: call.codec, id: call.id, signal: call.abort.signal, isPlain: false });
        });
    }
    async #run(call, request) {
        try {
            const answer = await this.config.handlers[request.method](request, (chunk) => this.#send(call, TYPE.CHUNK, chunk));
            if (!call.isOver)
                this.#send(call, TYPE.RESPONSE, answer).catch((error) => this.refuse(call, asMcpError(error)));
        } catch (error) {
            this.refuse(call, asMcpError(error));
        }
        call.isRunning = false;
        this.#letGo(call);
    }
    /* {body, metadata} or a body; resolves when its last frame has left, so a producer runs no faster than credit. */
    #send(call, type, answer) {
        const { body, ...fields } = answer?.body === undefined ? { body: answer } : answer;
        return quiet(new Promise((resolve, reject) => {
            const message = { type, body: toBuffer(body), fields: () => fieldsOf(fields), dropped: reject };
            message.sent = () => { resolve(); if (type === TYPE.RESPONSE) this.#finish(call); };
            if (call.isOver)
                return reject(new McpError(CODE.CANCELLED, 'the call is over'));
            if (message.body.length > this.peer.maxMessage) {
                const error = new McpError(CODE.TOO_LARGE, 'the answer is too large', { origin: ORIGIN.GATEWAY });
                this.refuse(call, error);
                return reject(error);
            }
            return this.post(call, message);
        }));
    }
    mayBegin() { return true; }
    begins(call, { type }) { call.isPartial ||= type === TYPE.CHUNK; }
    refuse(call, error) {
        if (call.isOver)
            return;
        const flags = (call.isBegun ? 0 : FLAG.NOT_PROCESSED) | (call.isPartial ? FLAG.PARTIAL : 0);
        this.push(raw.error(call.id, error.with(flags)));
        this.#finish(call);
    }
    #onCancel(id, given) {
        const call = this.lookup(id), reason = given === REASON.DEADLINE || given === REASON.CALLER_GONE ? given : REASON.APPLICATION;
        if (call === undefined)
            return this.charge();
        call.reason = reason;
        return this.refuse(call, new McpError(CODE.CANCELLED, 'cancelled', { origin: ORIGIN.GATEWAY }));
    }
    /* The terminal frame is sent, or nobody is there to take it. */
    #finish(call) {
        if (call.isCut && this.strays.size < (this.mine.maxCalls || 256))
            this.strays.set(call.id, (call.window.limit - call.window.received) | 0);
        this.calls.delete(call.id);
        this.sending.delete(call);
        this.granting.delete(call);
        clearTimeout(call.timer);
        this.release(call);
        call.isOver = true;
        for (const message of call.out.splice(0))
            message.dropped(new McpError(CODE.CANCELLED, 'the call is over'));
        call.abort.abort(call.reason);
        this.idleAt = now();
        this.#letGo(call);
        const after = this.lanes.get(call.lane)?.filter((other) => other !== call) ?? [];
        if (after.length === 0)
            return void this.lanes.delete(call.lane);
        this.lanes.set(call.lane, after);
        return this.#startLane(after[0]);
    }
    #letGo(call) {
        if (!call.isOver || call.isRunning || !call.isCounted)
            return;
        call.isCounted = false;
        this.inFlight -= 1;
        this.release(call);
    }

    /** Asks for no new calls; ends the open ones when @grace seconds are over. */
    goaway({ reason = GOAWAY.MAINTENANCE, grace = 0, text = '' } = {}) {
        if (this.goingAway || !this.established)
            return;
        this.goingAway = true;
        this.push(raw.goaway(this.newest, reason, grace, text));
        this.graceTimer = setTimeout(() => {
            for (const call of this.calls.values())
                this.refuse(call, new McpError(CODE.UNAVAILABLE, 'the server goes away', { origin: ORIGIN.GATEWAY }));
        }, grace * SECOND);
    }
    drained() {
        if (this.goingAway && this.calls.size === 0)
            this.link.end();
    }
    tickRole(time) {
        const { idleTimeout } = this.mine;
        if (this.established && idleTimeout > 0 && this.calls.size === 0 && time - this.idleAt > idleTimeout * SECOND)
            this.goaway({ reason: GOAWAY.IDLE });
    }
    #end(reason) {
        for (const call of this.calls.values()) {
            call.reason = reason;
            this.#finish(call);
        }
        clearTimeout(this.graceTimer);
        this.link.end();
    }
    over() { this.#end(REASON.CALLER_GONE); }
    eof() { this.#end(REASON.CALLER_GONE); }
    gone() {
        this.#end(REASON.CALLER_GONE);
        this.config.sessions.delete(this);
    }
}
