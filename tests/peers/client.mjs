// SPDX-License-Identifier: MIT
/*
 * MCP's client of the extended profile
 */
import zlib from 'node:zlib';
import { ReceiveWindow, SendWindow, Session, now, quiet, toBuffer } from './session.mjs';
import { CLIENT, CODE, COMPRESSION, FEATURE, FLAG, HEADER, isCallError, LIMIT, MAX_ID, McpError, MORE, ORIGIN,
         protocol, raw, readError, readHello, REASON, REVISION, TYPE, unimplemented } from './wire.mjs';

/* What the ACK will grant at least (M-50, M-53). */
const BEFORE_ACK = { maxFrame: LIMIT.minFrame, maxCalls: LIMIT.minAckCalls, callLimit: LIMIT.minWindow, features: FEATURE.BASIC,
                     maxMessage: Infinity, pingInterval: 0, compressions: [COMPRESSION.NONE] };

/** A call: {chunks, response, cancel(reason), closed, id}. Chunks and response are {body, metadata}. */
class ClientCall {
    out = [];
    deficit = 0;
    queue = [];
    settled = false;
    chunks = this.#iterate();
    constructor(session, { lane = 0, codec = 0, compression = COMPRESSION.NONE, deadlineMs, streamLimit }) {
        Object.assign(this, { session, lane, codec, compression });
        this.credit = new SendWindow(session.peer.callLimit);
        this.window = new ReceiveWindow(streamLimit ?? session.mine.callLimit);
        this.response = quiet(new Promise((resolve, reject) => Object.assign(this, { resolve, reject })));
        /** Resolves when the SeqID is free, with the terminal McpError or undefined. */
        this.closed = new Promise((resolve) => { this.close = resolve; });
        if (deadlineMs !== undefined) {
            this.deadlineAt = now() + deadlineMs;
            const over = new McpError(CODE.DEADLINE_EXCEEDED, 'the deadline is over', { origin: ORIGIN.LIBRARY });
            this.timer = setTimeout(() => session.abandon(this, over, REASON.DEADLINE), Math.min(deadlineMs, LIMIT.timer));
        }
    }
    cancel(reason = REASON.APPLICATION) {
        this.session.abandon(this, new McpError(CODE.CANCELLED, 'cancelled', { origin: ORIGIN.LIBRARY }), reason);
    }
    async *#iterate() {
        for (;;) {
            while (this.queue.length > 0)
                yield this.session.take(this, this.queue.shift());
            if (this.error !== undefined)
                throw this.error;
            if (this.settled)
                return;
            await new Promise((resolve) => { this.wake = resolve; });
        }
    }
    /* Exactly one completion towards the application. */
    settle(error, response) {
        if (this.settled)
            return;
        this.settled = true;
        this.error = error;
        clearTimeout(this.timer);
        (error === undefined ? this.resolve : this.reject)(response ?? error);
        this.wake?.();
    }
}

export class Client extends Session {
    firstType = TYPE.HELLO_ACK;
    peer = BEFORE_ACK;
    credit = new SendWindow(LIMIT.minAckWindow);
    lanes = new Map(); /* lane -> calls of which nothing is sent yet, in order */
    constructor(socket, config) {
        super(socket, CLIENT, config);
        this.nextId = config.firstId ?? 1;
        this.ready = quiet(new Promise((resolve, reject) => Object.assign(this, { acked: resolve, notAcked: reject })));
        socket.write(raw.hello({ ...this.mine, key: config.key }));
    }

    call(method, body, options = {}) {
        const call = new ClientCall(this, options), { codec, trace, traceState, session, streamLimit, metadata } = options;
        let bytes = toBuffer(body);
        const fields = { method, codec, trace, traceState, session, streamLimit, metadata, lane: call.lane || undefined };
        if (call.compression !== COMPRESSION.NONE) {
            fields.compression = [call.compression, bytes.length];
            call.rawLength = bytes.length;
            bytes = zlib.gzipSync(bytes);
        }
        call.bodyLength = Math.max(bytes.length, call.rawLength ?? 0);
        if (this.link.closing || this.goneAway !== undefined)
            call.settle(this.#lost(call));
        else if (this.#isSendable(call))
            this.#queue(call, bytes, fields);
        return call;
    }
    #queue(call, body, fields) {
        if (call.lane)
            this.lanes.set(call.lane, [...this.lanes.get(call.lane) ?? [], call]);
        const left = () => (call.deadlineAt === undefined ? {} : { deadlineMs: Math.max(0, Math.ceil(call.deadlineAt - now())) });
        try {
            this.post(call, { type: TYPE.REQUEST, body, fields: () => ({ ...fields, ...left() }) });
        } catch (error) {
            if (!isCallError(error))
                throw error;
            this.abandon(call, error);
        }
    }
    /* What the ACK forbids fails here, before the ACK only once it is there. */
    #isSendable(call) {
        const { maxMessage, features, compressions } = this.peer;
        let error;
        if (call.bodyLength > maxMessage)
            error = new McpError(CODE.TOO_LARGE, 'longer than what the server takes', { flags: FLAG.NOT_PROCESSED });
        else if (this.established && ((call.lane && !(features & FEATURE.LANES)) || (call.compression
                 && !(features & FEATURE.COMPRESSION && compressions.includes(call.compression)))))
            error = unimplemented('not negotiated').with(FLAG.NOT_PROCESSED);
        if (error !== undefined)
            this.abandon(call, error);
        return error === undefined;
    }
    mayBegin(call) {
        if (call.id !== undefined)
            return true;
        if (this.calls.size >= this.peer.maxCalls || call.deadlineAt <= now() || (call.lane && this.lanes.get(call.lane)[0] !== call))
            return false;
        return this.established || (call.lane === 0 && call.compression === COMPRESSION.NONE && call.codec <= 1);
    }
    begins(call) {
        const after = (id) => (id === MAX_ID ? 1 : id + 1);
        while (this.calls.has(this.nextId))
            this.nextId = after(this.nextId);
        call.id = this.newest = this.nextId;
        this.nextId = after(call.id);
        this.calls.set(call.id, call);
        this.#leaveLane(call);
    }
    #leaveLane(call) {
        const others = this.lanes.get(call.lane)?.filter((other) => other !== call) ?? [];
        if (others.length > 0)
            this.lanes.set(call.lane, others);
        else
            this.lanes.delete(call.lane);
    }
    /* The end towards the application; the id stays in use until the terminal frame (M-99). */
    abandon(call, error, reason = REASON.APPLICATION) {
        if (call.settled)
            return;
        this.sending.delete(call);
        this.release(call);
        call.out = [];
        if (call.id === undefined) {
            this.#leaveLane(call);
            call.settle(error.with(FLAG.NOT_PROCESSED));
            return void call.close(call.error);
        }
        call.cancelledAt = now();
        this.push(raw.cancel(call.id, reason));
        call.settle(error);
    }
    refuse(call, error) { this.abandon(call, error); }
    #free(call, error, response) {
        this.calls.delete(call.id);
        this.sending.delete(call);
        this.granting.delete(call);
        this.release(call);
        call.settle(error, response);
        call.close(error);
        this.flush();
    }
    take(call, message) {
        if (this.calls.has(call.id)) {
            call.window.release(message.size);
            this.grant(call);
        }
        try {
            return { body: message.take(), metadata: message.fields.metadata ?? [] };
        } catch (error) {
            this.abandon(call, error);
            throw error;
        }
    }

    receive(type, base, id, payload) {
        switch (base) {
        case TYPE.HELLO_ACK: return this.#ack(payload);
        case TYPE.GOAWAY: return this.#goaway(payload);
        case TYPE.ERROR: return this.#onError(type, id, payload);
        default: return this.#onMessage(type, base, id, payload);
        }
    }
    #ack(payload) {
        if (this.established)
            throw protocol('HELLO_ACK comes once');
        const ack = readHello(payload);
        if (ack.highest !== REVISION || ack.connectionLimit < LIMIT.minAckWindow || ack.maxCalls < LIMIT.minAckCalls)
            throw protocol('HELLO_ACK: another revision, or less than the least');
        Object.assign(this, { peer: ack, established: true });
        this.credit.limit = ack.connectionLimit;
        for (const call of new Set([...this.calls.values(), ...this.sending])) {
            call.credit.limit = ack.callLimit;
            if (call.id === undefined)
                this.#isSendable(call);
        }
        this.acked(ack);
        this.flush();
    }
    #goaway(payload) {
        this.goneAway = { last: payload.readUInt32BE(0), reason: payload.readUInt16BE(4), grace: payload.readUInt16BE(6),
                          text: payload.toString('utf8', HEADER) };
        for (const call of [...this.sending].filter(({ id }) => id === undefined))
            this.abandon(call, this.#lost(call));
    }
    #onError(type, id, payload) {
        const call = id === 0 ? undefined : this.lookup(id);
        if (id !== 0 && call === undefined)
            return this.charge();
        let error;
        try {
            error = readError(type, payload);
        } catch (wrong) {
            if (!isCallError(wrong))
                throw wrong;
            error = wrong; /* M-31: the frame was terminal */
        }
        if (call !== undefined)
            return this.#free(call, error);
        this.error = this.told = error;
        this.link.end();
        return this.over();
    }
    #onMessage(type, base, id, payload) {
        const call = this.lookup(id), isTerminal = base === TYPE.RESPONSE && !(type & MORE);
        if (base === TYPE.CHUNK && payload.length === 0)
            this.charge();
        if (call === undefined)
            return this.charge();
        if (call.settled) {
            call.window.receive(payload.length);
            call.window.release(payload.length);
            return isTerminal ? this.#free(call) : this.grant(call);
        }
        try {
            const message = this.assemble(call, type, payload);
            if (message !== undefined) {
                this.release(call);
                if (isTerminal)
                    return this.#free(call, undefined, { body: message.take(), metadata: message.fields.metadata ?? [] });
                call.queue.push(message);
                call.wake?.();
            }
        } catch (error) {
            if (!isCallError(error))
                throw error;
            return isTerminal ? this.#free(call, error) : this.abandon(call, error);
        }
        return undefined;
    }

    tickRole(time) {
        for (const call of this.calls.values())
            if (time - call.cancelledAt > this.timing.cancelled)
                return this.fail(protocol('no terminal frame after CANCEL'));
        return undefined;
    }
    #lost({ id }) {
        if (this.told?.notProcessed)
            return this.told;
        const isNewer = ({ last }) => last === 0 || (((id - last) & MAX_ID) > 0 && ((id - last) & MAX_ID) < 2 ** 30);
        const isLost = id === undefined || (this.goneAway !== undefined && isNewer(this.goneAway));
        return new McpError(CODE.UNAVAILABLE, this.goneAway ? 'the server goes away' : 'the connection is lost',
                            { origin: ORIGIN.LIBRARY, flags: isLost ? FLAG.NOT_PROCESSED : 0 });
    }
    over() {
        for (const call of new Set([...this.calls.values(), ...this.sending]))
            this.#free(call, this.#lost(call));
        this.notAcked(this.error ?? new McpError(CODE.UNAVAILABLE, 'the connection is lost'));
        this.onEnd?.(this.error);
    }
    eof() { this.link.end(); }
    gone() {
        this.over();
        this.isGone = true;
        this.onGone?.();
    }
    /** Ends the connection; open calls end with UNAVAILABLE. Resolves when it is closed. */
    close() {
        this.link.end();
        return new Promise((resolve) => { if (this.isGone) resolve(); else this.onGone = resolve; });
    }
}
