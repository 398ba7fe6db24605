// SPDX-License-Identifier: MIT
/*
 * What both roles of MCP's extended profile do: frames out of a byte stream, credit, scheduling, liveness, the end
 *
 * A role adds: firstType, receive() for its frames, refuse() for call errors, mayBegin() and begins() for the first
 * frame of a message, tickRole(), eof() and gone().
 */
import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import { BASE, CLIENT, CODE, COMPRESSION, ConnectionError, EMPTY, EXT, HEADER, HELLO, LIMIT, MAX_ID, MORE, McpError, SECOND,
         SERVER, TIMING, TYPE, UNKNOWN, VERSION, beyondCredit, cat, checkHeader, frame, invalid, protocol, raw,
         readBlock, splitBlock, writeBlock, writeError } from './wire.mjs';

export const now = () => performance.now();
/** Whoever awaits it still gets the error; who does not causes no unhandled rejection. */
export const quiet = (promise) => { promise.catch(() => {}); return promise; };
export const toBuffer = (body) => (body === undefined ? EMPTY : Buffer.isBuffer(body) ? body : Buffer.from(body));
const COUNTED = new Set([TYPE.REQUEST, TYPE.RESPONSE, TYPE.CHUNK, TYPE.BATCH]);

/* ---- connections: frames out of a byte stream, time-outs of frames, the end (§19) ---- */

export class Link {
    buffer = EMPTY;
    closing = false;
    firstSeen = false;
    startedAt = now();
    byteAt = now();
    constructor(socket, owner, timing, awaitsFirst = false) {
        Object.assign(this, { socket, owner, timing, awaitsFirst });
        socket.setNoDelay(true);
        socket.on('data', (data) => this.#read(data));
        socket.on('end', () => { if (!this.closing) this.owner.eof(); });
        socket.on('error', () => {}); /* 'close' follows */
        socket.on('close', () => { this.closing = true; clearInterval(this.ticker); clearTimeout(this.linger); this.owner.gone(); });
        this.ticker = setInterval(() => this.#tick(now()), timing.tick).unref();
    }
    #read(data) {
        if (this.closing)
            return;
        this.byteAt = now();
        this.buffer = this.buffer.length > 0 ? Buffer.concat([this.buffer, data]) : data;
        try {
            while (!this.closing && this.#next());
        } catch (error) {
            if (!(error instanceof McpError))
                throw error;
            this.owner.fail(error);
        }
    }
    #next() {
        if (this.buffer.length > 0 && this.buffer[0] !== VERSION)
            this.destroy();
        if (this.closing || this.buffer.length < HEADER)
            return false;
        const header = { type: this.buffer[1], id: this.buffer.readUInt32BE(2), length: this.buffer.readUInt16BE(6) };
        this.owner.header(header); /* again at every part of a frame: it only looks */
        const end = HEADER + header.length;
        if (this.closing || this.buffer.length < end)
            return false;
        const payload = this.buffer.subarray(HEADER, end);
        this.buffer = this.buffer.subarray(end);
        this.firstSeen = true;
        this.owner.frame(header, payload);
        return true;
    }
    #tick(time) {
        if (this.closing)
            return;
        if (this.awaitsFirst && !this.firstSeen && time - this.startedAt > this.timing.firstFrame)
            this.destroy();
        else if (this.buffer.length > 0 && time - this.byteAt > this.timing.halfFrame)
            this.owner.fail(protocol('half a frame without progress'));
        else
            this.owner.tick?.(time);
    }
    write(bytes, done) { this.socket.write(bytes, done); }
    /* A last frame, shutdown for writing, input discarded: a reset could take the frame away from the reader. */
    end(last) {
        if (this.closing)
            return;
        this.closing = true;
        this.socket.end(last);
        this.linger = setTimeout(() => this.socket.destroy(), this.timing.linger);
    }
    destroy() {
        this.closing = true;
        this.socket.destroy();
    }
}

/* ---- flow control (§10): all numbers modulo 2^32, differences signed ---- */

export class SendWindow {
    constructor(limit, sent = 0) { Object.assign(this, { limit, sent }); }
    get left() { return (this.limit - this.sent) | 0; }
    take(bytes) { this.sent = (this.sent + bytes) >>> 0; }
    raise(limit) {
        const by = (limit - this.limit) | 0;
        if (by > 0)
            this.limit = limit;
        return by;
    }
}

export class ReceiveWindow {
    received = 0;
    released = 0;
    ahead = 0; /* bytes of an incomplete message, granted as if taken (M-81); a debt once it is complete */
    constructor(size) { Object.assign(this, { size, limit: size }); }
    receive(bytes) {
        if (((this.limit - this.received) | 0) < bytes)
            throw beyondCredit('bytes beyond the credit');
        this.received = (this.received + bytes) >>> 0;
    }
    release(bytes) { this.released = (this.released + bytes) >>> 0; }
    /* The limit to send, once half a window has been released since the last. */
    due() {
        const limit = (this.released + this.ahead + this.size) >>> 0;
        if (((limit - this.limit) | 0) < Math.floor(this.size / 2))
            return undefined;
        this.limit = limit;
        return limit;
    }
}

/* ---- messages on their way in (§9) ---- */

export class Incoming {
    parts = [];
    length = 0;
    size = 0; /* with blocks: what credit counts */
    constructor(base, fields, maxMessage) {
        const [algorithm, rawLength] = fields.compression ?? [COMPRESSION.NONE];
        Object.assign(this, { base, fields, maxMessage, algorithm, rawLength, total: fields.totalLength });
        if (Math.max(this.total ?? 0, rawLength ?? 0) > maxMessage)
            throw new McpError(CODE.TOO_LARGE, 'the message is too large');
    }
    add(body, payloadLength, more) {
        this.parts.push(body);
        this.length += body.length;
        this.size += payloadLength;
        this.growthAt = now();
        if (more && (this.total === undefined || body.length < LIMIT.minFragment))
            throw invalid('a fragment without TOTAL_LEN or with too few bytes');
        if (this.length > (this.total ?? Infinity) || (!more && this.length !== (this.total ?? this.length)))
            throw invalid('the fragments do not add up to TOTAL_LEN');
        if (this.length > this.maxMessage)
            throw new McpError(CODE.TOO_LARGE, 'the message is too large');
    }
    /* The body as the application sees it: inflated only now, and never beyond what was declared. */
    take() {
        const body = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts);
        let whole = body;
        if (this.algorithm === COMPRESSION.GZIP)
            try {
                whole = zlib.gunzipSync(body, { maxOutputLength: Math.max(this.rawLength, 1) });
            } catch {
                throw invalid('the body does not inflate to its declared length');
            }
        if (whole.length !== (this.rawLength ?? whole.length))
            throw invalid('the body does not have its declared length');
        return whole;
    }
}

/* ---- what both roles of the extended profile do ---- */

export class Session {
    calls = new Map(); /* open ones, by SeqID */
    newest = 0; /* SeqID opened last, 0: none */
    established = false;
    control = [];
    sending = new Set(); /* calls with output, in the order of their turns */
    granting = new Set(); /* calls whose window has moved */
    holding = new Map(); /* call -> bytes of its incomplete, waiting or inflated body; the newest is last */
    held = 0;
    incomplete = new Set();
    tokens = LIMIT.tokens;
    tokensAt = now();
    pings = [];
    constructor(socket, role, { hello, timing, fragmentSize = LIMIT.fragment, tap }, link) {
        Object.assign(this, { role, mine: { ...HELLO, ...hello }, timing: { ...TIMING, ...timing }, fragmentSize, tap });
        this.small = Math.min(LIMIT.small, fragmentSize);
        this.window = new ReceiveWindow(this.mine.connectionLimit);
        this.link = link ?? new Link(socket, this, this.timing, true);
        this.link.owner = this;
    }

    /* input */
    header(header) {
        checkHeader(header, this.role === CLIENT ? SERVER : CLIENT);
        if (header.length > this.mine.maxFrame && this.established)
            throw protocol('the payload is longer than max frame');
    }
    frame({ type, id }, payload) {
        const base = type & BASE;
        this.tap?.('in', type, id, payload);
        if (!this.established && base !== this.firstType && base !== TYPE.ERROR)
            throw protocol('HELLO or HELLO_ACK must come first');
        if (COUNTED.has(base) || base >= UNKNOWN) {
            this.window.receive(payload.length); /* released on arrival: M-79 */
            this.window.release(payload.length);
            this.flush();
        }
        if (base >= UNKNOWN)
            return this.charge();
        switch (base) {
        case TYPE.PING: this.charge(); return this.push(raw.pong(payload));
        case TYPE.PONG: return this.#pong(payload);
        case TYPE.CREDIT: return this.#credit(payload);
        default: return this.receive(type, base, id, payload);
        }
    }
    wasOpened(id) {
        const ahead = (id - this.newest) & MAX_ID; /* modulo 2^31 */
        return this.newest !== 0 && !(ahead > 0 && ahead < 2 ** 30);
    }
    /* The call of an id, undefined when it is finished. */
    lookup(id) {
        const call = this.calls.get(id);
        if (call === undefined && !this.wasOpened(id))
            throw protocol('a SeqID that was never opened');
        return call;
    }
    charge() {
        const time = now();
        this.tokens = Math.min(LIMIT.tokens, this.tokens + (time - this.tokensAt) / SECOND * LIMIT.tokensPerSecond) - 1;
        this.tokensAt = time;
        if (this.tokens < 0)
            throw new ConnectionError(CODE.OVERLOADED, 'too many frames that do nothing');
    }
    #pong(opaque) {
        const at = this.pings.findIndex((ping) => ping.opaque.equals(opaque));
        if (at < 0)
            return this.charge();
        return this.pings.splice(at, 1)[0].resolve();
    }
    #credit(payload) {
        for (let at = 0; at < payload.length; at += 8) {
            const id = payload.readUInt32BE(at);
            if (id > MAX_ID)
                throw protocol('CREDIT for no SeqID of a call');
            const scope = id === 0 ? this : this.lookup(id), raised = scope?.credit.raise(payload.readUInt32BE(at + 4)) ?? 0;
            if (raised < LIMIT.worthwhileCredit)
                this.charge();
            if (id === 0 && raised > 0)
                this.blockedAt = undefined;
        }
        this.flush();
    }
    /* One more frame of a message; returns the message when it is complete. */
    assemble(call, type, payload) {
        const more = (type & MORE) !== 0;
        let body = payload;
        call.window.receive(payload.length);
        if (call.incoming === undefined) {
            let block;
            [block, body] = type & EXT ? splitBlock(payload) : [undefined, payload];
            call.incoming = new Incoming(type & BASE, block ? readBlock(block) : {}, this.mine.maxMessage);
            if (more && this.incomplete.size >= LIMIT.incomplete)
                throw new McpError(CODE.OVERLOADED, 'too many incomplete messages');
        } else if (type & EXT || call.incoming.base !== (type & BASE))
            throw protocol('another message inside an incomplete one');
        const message = call.incoming;
        message.add(body, payload.length, more);
        this.hold(call, body.length);
        this.incomplete[more ? 'add' : 'delete'](call);
        call.window.ahead = more ? message.size : 0;
        call.incoming = more ? message : undefined;
        if (more)
            this.grant(call);
        return more ? undefined : message;
    }
    grant(call) {
        this.granting.add(call);
        this.flush();
    }
    hold(call, bytes) {
        this.holding.set(call, (this.holding.get(call) ?? 0) + bytes);
        this.held += bytes;
        if (this.held <= LIMIT.held)
            return;
        const newest = [...this.holding.keys()].pop(), error = new McpError(CODE.OVERLOADED, 'too many bytes are waiting');
        if (newest === call)
            throw error;
        this.refuse(newest, error);
    }
    release(call) {
        this.held -= this.holding.get(call) ?? 0;
        this.holding.delete(call);
        this.incomplete.delete(call);
        call.incoming = undefined;
    }

    /* output: what goes next is decided at every write (§11) */
    push(bytes) {
        this.control.push(bytes);
        if (this.control.length > LIMIT.control)
            this.fail(new ConnectionError(CODE.OVERLOADED, 'too many control frames are waiting'));
        this.flush();
    }
    post(call, message) {
        const head = writeBlock(message.fields(), message.type === TYPE.REQUEST).length;
        if (head > LIMIT.block - LIMIT.totalLengthTlv)
            throw invalid('the extension block is too long');
        call.out.push({ ...message, at: 0, begun: false, small: head + message.body.length <= this.small });
        this.sending.add(call);
        this.flush();
    }
    flush() {
        if (!this.scheduled)
            this.scheduled = setImmediate(() => { this.scheduled = undefined; this.#pump(); });
    }
    #pump() {
        if (this.writing || this.link.closing)
            return;
        const bytes = this.#gather();
        this.writing = bytes.length > 0;
        const blocked = this.writing || (this.sending.size > 0 && this.established && this.credit.left < LIMIT.small);
        this.blockedAt = blocked ? this.blockedAt ?? now() : undefined;
        if (!this.writing)
            return void this.drained?.();
        this.link.write(bytes, () => { this.writing = false; this.blockedAt = undefined; this.#pump(); });
    }
    #gather() {
        const frames = [];
        let bytes = 0;
        const put = (made) => { frames.push(made); bytes += made.length; this.tap?.('out', made[1], made.readUInt32BE(2), made.subarray(HEADER)); };
        if (this.established) /* before the ACK a client sends nothing but whole requests, M-53 */
            for (const made of [...this.control.splice(0), ...this.#grants()])
                put(made);
        for (const small of [true, false])
            for (let progress = true; progress && bytes < LIMIT.write;) {
                progress = false;
                for (const call of [...this.sending]) {
                    if (bytes >= LIMIT.write || call.out[0]?.small !== small)
                        continue;
                    this.sending.delete(call);
                    this.sending.add(call);
                    progress = this.#turn(call, small, put, () => bytes < LIMIT.write) || progress;
                }
            }
        return Buffer.concat(frames);
    }
    /* One small message, or fragments by deficit round robin. */
    #turn(call, small, put, room) {
        let plan = this.#plan(call), progress = false;
        call.deficit = plan === undefined ? 0 : call.deficit + this.fragmentSize; /* who waits for credit saves up nothing */
        while (plan !== undefined && plan.size <= call.deficit && room()) {
            call.deficit -= plan.size;
            put(this.#commit(call, plan));
            progress = true;
            plan = !small && call.out[0]?.small === false ? this.#plan(call) : undefined;
        }
        if (small || call.out.length === 0)
            call.deficit = 0;
        return progress;
    }
    /* What a call could send now: the whole rest, a fragment as credit allows, or nothing. */
    #plan(call) {
        const message = call.out[0];
        if (message === undefined || !this.mayBegin(call))
            return undefined;
        const most = Math.min(this.fragmentSize, this.peer.maxFrame, this.credit.left, call.credit.left);
        const rest = message.body.length - message.at, fields = message.begun ? {} : message.fields();
        const always = !message.begun && message.type === TYPE.REQUEST;
        let head = writeBlock(fields, always);
        if (head.length + rest <= most)
            return { head, bytes: rest, more: 0, size: head.length + rest };
        if (message.small || !this.established)
            return undefined; /* credit for a whole small message comes: windows are 8,192 at least, updates at half */
        head = message.begun ? EMPTY : writeBlock({ ...fields, totalLength: message.body.length }, always);
        const bytes = Math.min(most - head.length, rest - 1);
        return bytes < LIMIT.minFragment ? undefined : { head, bytes, more: MORE, size: head.length + bytes };
    }
    #commit(call, { head, bytes, more, size }) {
        const message = call.out[0];
        if (!message.begun)
            this.begins(call, message);
        message.begun = true;
        const body = message.body.subarray(message.at, message.at += bytes);
        this.credit.take(size);
        call.credit.take(size);
        const made = frame(message.type | more | (head.length > 0 ? EXT : 0), call.id, cat(head, body));
        if (!more) {
            call.out.shift();
            if (call.out.length === 0)
                this.sending.delete(call);
            message.sent?.();
        }
        return made;
    }
    #grants() {
        const entries = [], made = [];
        for (const [id, window] of [[0, this.window], ...[...this.granting].map((call) => [call.id, call.window])]) {
            const limit = window.due();
            if (limit !== undefined)
                entries.push([id, limit]);
        }
        this.granting.clear();
        while (entries.length > 0)
            made.push(raw.credit(entries.splice(0, LIMIT.creditEntries)));
        return made;
    }

    /* life and end */
    ping(opaque = randomBytes(8)) {
        return new Promise((resolve) => {
            this.pings.push({ opaque, resolve });
            this.pingedAt = now();
            this.push(raw.ping(opaque));
        });
    }
    tick(time) {
        const silent = time - this.link.byteAt, { pingOpen, pingIdle, pong, blocked, progress } = this.timing;
        const pingAfter = Math.max(this.calls.size > 0 ? pingOpen : pingIdle, (this.peer?.pingInterval ?? 0) * SECOND);
        if (this.link.byteAt >= this.pingedAt)
            this.pingedAt = undefined;
        if (time - this.pingedAt > pong || time - this.blockedAt > blocked)
            return this.link.destroy();
        if (this.established && silent > pingAfter && this.pingedAt === undefined)
            this.ping();
        for (const call of this.incomplete)
            if (time - call.incoming.growthAt > progress)
                this.refuse(call, new McpError(CODE.DEADLINE_EXCEEDED, 'the message makes no progress'));
        return this.tickRole(time);
    }
    fail(error) {
        this.error ??= error;
        this.link.end(writeError(0, error));
        this.over?.();
    }
}
