// SPDX-License-Identifier: MIT
/*
 * MCP on the wire, from docs/protocol.md alone: tables, errors, bytes, frames of a stream, credit, messages
 *
 * Paragraphs (§) and rules (M-) are those of the page.
 */
import zlib from 'node:zlib';
import { Schema } from './protobuf.mjs';
import { EMPTY, blob, cat, defer, isIn, now, number, pack, readTlvs, sizeOf, tlv, u16, u32, u8, unpack,
    utf8 } from './tools.mjs';

/* ---- tables ---- */

export const MIB = 2 ** 20, SECOND = 1000, VERSION = 1, REVISION = 1, BEARER = 1;
export const UNKNOWN = 0x20, CRITICAL = 0x80;
export const CLIENT = 1, SERVER = 2, BOTH = 3, MAGIC = 'MCP1', NO_RETRY_AFTER = 0xffffffff;
export const MORE = 0x80, EXT = 0x40, BASE = 0x3f, MAX_ID = 0x7fffffff;
/* Sizes of numbers one behind the other: §3, §7 (behind the magic), §12, §18. */
const HEADER = { version: 1, type: 1, id: 4, length: 2 };
export const HEADER_SIZE = sizeOf(HEADER);
const HELLO_FIELDS = { lowest: 1, highest: 1, flags: 2, features: 4, maxFrame: 2, maxCalls: 2, maxMessage: 4,
    connectionLimit: 4, callLimit: 4, idleTimeout: 2, pingInterval: 2 };
const ERROR_FIELDS = { code: 2, flags: 1, origin: 1, retryAfter: 4, textLength: 2 };
export const GOAWAY_FIELDS = { last: 4, reason: 2, grace: 2 };
const HELLO_TLVS = { codecs: 1, compressions: 2, authentication: 3, software: 4, connectionId: 6 };

/* §5: number, sender, SeqID, bits, shortest and longest payload, what the length is a multiple of. */
const FRAMES = {
    REQUEST:   [0x01, CLIENT, 'call', MORE | EXT, 0, 65535, 1],
    RESPONSE:  [0x02, SERVER, 'call', MORE | EXT, 0, 65535, 1],
    ERROR:     [0x03, BOTH,   'any',  EXT,        10, 65535, 1],
    CHUNK:     [0x04, SERVER, 'call', MORE | EXT, 0, 65535, 1],
    CANCEL:    [0x06, CLIENT, 'call', 0,          1, 1, 1],
    CREDIT:    [0x07, BOTH,   'zero', 0,          8, 512, 8],
    PING:      [0x08, BOTH,   'zero', 0,          8, 8, 1],
    PONG:      [0x09, BOTH,   'zero', 0,          8, 8, 1],
    GOAWAY:    [0x0a, SERVER, 'zero', 0,          8, 264, 1],
    HELLO:     [0x0b, CLIENT, 'zero', 0,          32, 4096, 1],
    HELLO_ACK: [0x0c, SERVER, 'zero', 0,          32, 4096, 1],
    BATCH:     [0x0e, CLIENT, 'zero', EXT,        4, 65535, 1],
};
const numbersOf = (table) =>
    Object.fromEntries(Object.entries(table).map(([name, [first]]) => [name, first]));
export const rowOf = (table, first) => Object.values(table).find((row) => row[0] === first) ?? [];
export const TYPE = numbersOf(FRAMES), COUNTED = [TYPE.REQUEST, TYPE.RESPONSE, TYPE.CHUNK, TYPE.BATCH];

/* §12: number, status in the plain profile. */
export const CODES = { OK: [0, 200], CANCELLED: [1, 499], UNKNOWN: [2, 500], INVALID_ARGUMENT: [3, 400],
    DEADLINE_EXCEEDED: [4, 504], NOT_FOUND: [5, 404], ALREADY_EXISTS: [6, 409], PERMISSION_DENIED: [7, 403],
    RESOURCE_EXHAUSTED: [8, 429], FAILED_PRECONDITION: [9, 400], ABORTED: [10, 409], OUT_OF_RANGE: [11, 400],
    UNIMPLEMENTED: [12, 404], INTERNAL: [13, 500], UNAVAILABLE: [14, 503], DATA_LOSS: [15, 500],
    UNAUTHENTICATED: [16, 401], TOO_LARGE: [32, 413], OVERLOADED: [33, 503], CONTENT_FILTERED: [34, 400],
    CONTEXT_LENGTH: [35, 400], BACKEND_LOST: [36, 502], PROTOCOL: [37, 400], FLOW_CONTROL: [38, 400] };
export const CODE = numbersOf(CODES), FLAG = { NOT_PROCESSED: 1, TRANSIENT: 2, NO_RETRY: 4, PARTIAL: 8 };
export const ORIGIN = { LIBRARY: 0, GATEWAY: 1, NODE: 2, TRANSPORT: 3 };
export const REASON = { APPLICATION: 0, DEADLINE: 1, CALLER_GONE: 3 }, GOAWAY = { IDLE: 0, MAINTENANCE: 1 };
export const FEATURE = { BASIC: 7, BATCH: 8, COMPRESSION: 16, LANES: 32 };
export const COMPRESSION = { NONE: 0, GZIP: 1, ZSTD: 2 };

/* §21, and what the sender chooses: fragment, small, write. */
export const LIMIT = { payload: 65535, minFrame: 4096, minWindow: 8192, window: 0x7fffffff,
    minAckWindow: 65536, minAckCalls: 32, calls: 256, plainCalls: 128, block: 2048, metadata: 1024, tlv: 254,
    totalLengthTlv: 6, fragment: 16384, minFragment: 1024, small: 4096, write: 65536, incomplete: 64,
    held: 128 * MIB, tokens: 10000, tokensPerSecond: 330, worthwhileCredit: 1024, creditEntries: 64,
    control: 1000, errorText: 1024, batch: 256 };
const TIMING = { tick: 250, firstFrame: 5 * SECOND, halfFrame: 10 * SECOND, progress: 30 * SECOND,
    linger: SECOND, cancelled: 30 * SECOND, blocked: 30 * SECOND, pingOpen: 15 * SECOND,
    pingIdle: 30 * SECOND, pong: 10 * SECOND };
export const HELLO = { lowest: REVISION, highest: REVISION, flags: 0, features: 0x3f, maxFrame: LIMIT.payload,
    maxCalls: 0, maxMessage: 64 * MIB, connectionLimit: MIB, callLimit: MIB / 4, idleTimeout: 300,
    pingInterval: 10, codecs: [0, 1, 2], compressions: [COMPRESSION.NONE, COMPRESSION.GZIP],
    software: 'peer' };
/* What an ACK grants at least: M-50. */
export const BEFORE_ACK = { maxFrame: LIMIT.minFrame, maxCalls: LIMIT.minAckCalls,
    callLimit: LIMIT.minWindow };

/* §6: tag, our name of it, how often it may come, its value as [write, read]. */
const packing = [([algorithm, length]) => cat(u8(algorithm), u32(length)), (bytes) =>
    (bytes.length === 5 ? [bytes[0], bytes.readUInt32BE(1)] : undefined)];
const pair = [([key, value]) => cat(u8(Buffer.byteLength(key)), key, value), (bytes) =>
    (isIn(bytes[0], 1, bytes.length - 1)
        ? [bytes.toString('utf8', 1, 1 + bytes[0]), bytes.toString('utf8', 1 + bytes[0])] : undefined)];
const TAGS = {
    METHOD:       [0x81, 'method', 1, utf8(1, 128)],
    DEADLINE_MS:  [0x03, 'deadlineMs', 1, number(4)],
    TRACE:        [0x04, 'trace', 1, blob(25, 25)],
    TRACESTATE:   [0x05, 'traceState', 2, blob(0, LIMIT.tlv)],
    TOTAL_LEN:    [0x8a, 'totalLength', 1, number(4)],
    CODEC:        [0x8b, 'codec', 1, number(1)],
    COMPRESSION:  [0x8c, 'compression', 1, packing],
    ORDER_LANE:   [0x8d, 'lane', 1, number(2)],
    STREAM_LIMIT: [0x0e, 'streamLimit', 1, number(4, LIMIT.minWindow, LIMIT.window)],
    METADATA:     [0x13, 'metadata', Infinity, pair],
    SESSION:      [0x15, 'session', 1, blob(0, 64)],
};
export const TAG = numbersOf(TAGS);
const PLAIN = new Schema(`message Request {\n    string service = 1;\n    bytes body = 2;\n}
message Response {\n    uint32 status = 1;\n    string error = 2;\n    bytes body = 3;\n}\n`); /* §4 */

/* ---- errors, of a call or of the whole connection (§2, §12) ---- */

export class McpError extends Error {
    constructor(code, text, { flags = 0, origin = ORIGIN.TRANSPORT, retryAfter, metadata = [] } = {}) {
        super(text);
        Object.assign(this, { code, flags, origin, retryAfter, metadata });
    }
    get codeName() { return Object.keys(CODE).find((name) => CODE[name] === this.code); }
    get notProcessed() { return (this.flags & FLAG.NOT_PROCESSED) !== 0; }
    get partial() { return (this.flags & FLAG.PARTIAL) !== 0; }
    with(flags) { return new McpError(this.code, this.message, { ...this, flags: this.flags | flags }); }
}
export class ConnectionError extends McpError {}
export const protocol = (text) => new ConnectionError(CODE.PROTOCOL, text);
export const local = (code, text, origin = ORIGIN.LIBRARY) => new McpError(code, text, { origin });
export const asMcpError = (thrown) => (thrown instanceof McpError ? thrown
    : local(CODE.INTERNAL, String(thrown?.message ?? thrown), ORIGIN.GATEWAY));
/* What must hold, or an error: demand() that of a call, insist() that of the connection. */
export function demand(holds, text, code = CODE.INVALID_ARGUMENT) {
    if (!holds) throw new McpError(code, text);
}
export function insist(holds, text, code = CODE.PROTOCOL, flags = 0) {
    if (!holds) throw new ConnectionError(code, text, { flags });
}

/* ---- bytes, written and read ---- */

export const frame = (type, id, payload = EMPTY) =>
    cat(pack(HEADER, { version: VERSION, type, id, length: payload.length }), payload);
export const creditFrame = (entries) => frame(TYPE.CREDIT, 0, cat(...entries.flat().map(u32)));

export function checkHeader({ type, id, length }, sender) {
    const base = type & BASE, [, senders, ids, bits, shortest, longest, step] = rowOf(FRAMES, base);
    const mayBeZero = ids !== 'call', mayBeCall = ids === 'call' || (ids === 'any' && sender === SERVER);
    if (base >= UNKNOWN) return; /* M-21: whatever its SeqID and bits */
    insist(senders & sender, `type ${base} must not come from this side`); /* M-16, M-20 */
    insist(id === 0 ? mayBeZero : mayBeCall && id <= MAX_ID, 'not a SeqID of the type'); /* M-17, M-22 */
    insist((type & ~BASE & ~bits) === 0, 'MORE or EXT where they must not be'); /* M-18 */
    insist(isIn(length, shortest, longest) && length % step === 0, 'not a length of the type'); /* M-19 */
}

/** {method, deadlineMs, ... metadata: [[key, value]]} as a block; nothing set, no block unless @always. */
export function writeBlock(fields, always = false) {
    const valuesOf = (value, times) => (value === undefined ? [] : times > 1 ? value : [value]);
    const tlvs = cat(...Object.values(TAGS).flatMap(([tag, field, times, [write]]) =>
        valuesOf(fields[field], times).map((value) => tlv(tag, write(value)))));
    return tlvs.length > 0 || always ? cat(u16(tlvs.length), tlvs) : EMPTY;
}
/** [block, body]. Only a length that leads outside the payload hides the body. */
export function splitBlock(type, payload) {
    const end = !(type & EXT) ? 0 : payload.length >= 2 ? 2 + payload.readUInt16BE(0) : Infinity;
    demand(end <= payload.length, 'the extension block does not end inside the payload');
    return [payload.subarray(0, end), payload.subarray(end)];
}
export function readBlock(block, isOfError = false) {
    const fields = { metadata: [], traceState: [] }, count = {};
    let unknown = 0, metadataBytes = 0;
    demand(block.length <= LIMIT.block, 'the extension block is too long'); /* M-32 */
    for (const [tag, bytes] of readTlvs(block.subarray(2))) {
        const [known, field, times, [, read] = []] = rowOf(TAGS, tag);
        demand(bytes?.length <= LIMIT.tlv, 'a TLV does not end inside the block'); /* M-33 */
        if (!known) unknown |= tag & CRITICAL; /* told last: a malformed block is the worse news */
        if (!known) continue; /* M-37 */
        const value = read(bytes);
        count[field] = (count[field] ?? 0) + 1;
        metadataBytes += known === TAG.METADATA ? bytes.length : 0;
        demand(value !== undefined && count[field] <= times, `a wrong ${field}`); /* M-34, M-35 */
        fields[field] = times > 1 ? [...fields[field], value] : value;
    }
    demand(metadataBytes <= LIMIT.metadata, 'too much METADATA'); /* M-36 */
    demand(!unknown || isOfError, 'an unknown critical tag', CODE.UNIMPLEMENTED); /* M-38; M-31 of an ERROR */
    return fields;
}

export function writeHello(type, { magic = MAGIC, key, tail = EMPTY, ...hello }) {
    const values = { ...hello, authentication: key && cat(u8(BEARER), key) };
    const tlvs = Object.entries(HELLO_TLVS).filter(([field]) => values[field] !== undefined)
        .map(([field, tag]) => tlv(tag, Buffer.from(values[field])));
    return frame(type, 0, cat(magic, pack(HELLO_FIELDS, values), ...tlvs, tail));
}
export function readHello(payload) {
    const fixed = MAGIC.length + sizeOf(HELLO_FIELDS);
    const fields = unpack(HELLO_FIELDS, payload.subarray(MAGIC.length));
    const hello = { codecs: [0, 1], compressions: [COMPRESSION.NONE], ...fields };
    for (const [tag, value] of readTlvs(payload.subarray(fixed))) {
        insist(value, 'HELLO: a TLV goes beyond the payload'); /* M-49 */
        hello[Object.keys(HELLO_TLVS).find((field) => HELLO_TLVS[field] === tag)] = [...value];
    }
    const areWindows = [hello.connectionLimit, hello.callLimit]
        .every((limit) => isIn(limit, LIMIT.minWindow, LIMIT.window));
    insist(payload.toString('latin1', 0, 4) === MAGIC && !hello.flags, 'HELLO: magic or flags'); /* M-44 */
    insist(isIn(REVISION, hello.lowest, hello.highest), 'HELLO: no common revision'); /* M-45 */
    insist((hello.features & FEATURE.BASIC) === FEATURE.BASIC, 'HELLO: features are missing'); /* M-46 */
    insist(hello.maxFrame >= LIMIT.minFrame && areWindows, 'HELLO: a limit out of range'); /* M-47, M-48 */
    return hello;
}

export function writeError(id, { message = '', metadata, ...rest }) {
    const block = writeBlock({ metadata }), whole = Buffer.from(message);
    let end = Math.min(whole.length, LIMIT.errorText);
    while ((whole[end] & 0xc0) === 0x80) end -= 1; /* not inside a character of UTF-8: M-89 */
    const retryAfter = rest.retryAfter ?? NO_RETRY_AFTER;
    const values = { flags: 0, origin: ORIGIN.TRANSPORT, ...rest, retryAfter, textLength: end };
    const fields = pack(ERROR_FIELDS, values);
    return frame(TYPE.ERROR | (block.length > 0 ? EXT : 0), id, cat(block, fields, whole.subarray(0, end)));
}
export function readError(type, payload) {
    const [block, body] = splitBlock(type, payload), { metadata } = readBlock(block, true);
    const size = sizeOf(ERROR_FIELDS);
    insist(body.length >= size, 'ERROR: too short');
    const { code, flags, origin, retryAfter, textLength } = unpack(ERROR_FIELDS, body);
    insist(textLength === body.length - size, 'ERROR: a wrong text length'); /* M-88 */
    return new McpError(rowOf(CODES, code)[0] || CODE.UNKNOWN, body.toString('utf8', size), { /* M-91 */
        metadata, flags: flags & 0x0f, origin: Math.min(origin, ORIGIN.TRANSPORT),
        retryAfter: retryAfter === NO_RETRY_AFTER ? undefined : retryAfter });
}

/** §20: [[SeqID, body]]. */
export function readBatch(bytes) { /* M-120 */
    const count = bytes.length >= 4 ? bytes.readUInt16BE(2) : 0, entries = [];
    let at = 4;
    insist(bytes[0] === TYPE.REQUEST && bytes[1] === 0 && isIn(count, 1, LIMIT.batch), 'BATCH: its head');
    for (; entries.length < count; at += 6 + bytes.readUInt16BE(at + 4)) {
        insist(at + 6 <= bytes.length, 'BATCH: an entry is cut');
        entries.push([bytes.readUInt32BE(at), bytes.subarray(at + 6, at + 6 + bytes.readUInt16BE(at + 4))]);
    }
    insist(at === bytes.length, 'BATCH: its entries do not fill the payload');
    return entries;
}
/** §10: [[SeqID, limit]]. */
export function readCredit(payload) {
    const entries = Array.from({ length: payload.length / 8 }, (_, n) =>
        [payload.readUInt32BE(8 * n), payload.readUInt32BE(8 * n + 4)]);
    insist(entries.every(([id]) => id <= MAX_ID), 'CREDIT for no SeqID of a call'); /* M-17 */
    return entries;
}

export const writePlain = (name, fields) => PLAIN.encode(name, fields, { skipsEmpty: true });
export function readPlain(name, payload) {
    try {
        const message = PLAIN.decode(name, payload, { skipsUnknown: true }); /* M-6 */
        return { service: '', body: EMPTY, status: 0, error: '', ...message };
    } catch (error) {
        throw new McpError(CODE.INVALID_ARGUMENT, error.message); /* M-7 */
    }
}

/* ---- a connection of any kind: frames out of a byte stream, time-outs, the end (§3, §19) ---- */

export class Connection {
    buffer = EMPTY;
    startedAt = now();
    byteAt = now();
    constructor(socket, timing) {
        Object.assign(this, { socket: socket.setNoDelay(true), timing: { ...TIMING, ...timing } });
        this.ticker = setInterval(() => this.#tick(now()), this.timing.tick).unref();
        socket.on('data', (data) => this.#read(data));
        socket.on('end', () => { if (!this.isEnding) this.eof(); });
        socket.on('error', () => {}); /* 'close' follows */
        socket.on('close', () => {
            this.isEnding = this.isGone = true;
            clearInterval(this.ticker);
            clearTimeout(this.linger);
            this.gone?.();
        });
    }
    #read(data) {
        this.byteAt = now();
        this.buffer = cat(this.buffer, data);
        try {
            while (!this.isEnding && this.buffer.length > 0) {
                if (this.buffer[0] !== VERSION) return this.destroy(); /* M-1 */
                if (this.buffer.length < HEADER_SIZE) return undefined;
                const whole = this.buffer, header = unpack(HEADER, whole), end = HEADER_SIZE + header.length;
                this.header?.(header); /* again at every part of a frame: it only looks */
                if (whole.length < end) return undefined;
                Object.assign(this, { buffer: whole.subarray(end), awaitsFirst: false });
                this.frame(header, whole.subarray(HEADER_SIZE, end));
            }
        } catch (error) {
            if (!(error instanceof McpError)) throw error;
            this.fail(error);
        }
        return undefined;
    }
    #tick(time) {
        const { firstFrame, halfFrame } = this.timing;
        if (this.awaitsFirst && time - this.startedAt > firstFrame) this.destroy(); /* M-5 */
        else if (this.buffer.length > 0 && time - this.byteAt > halfFrame) /* M-4 */
            this.fail(protocol('half a frame without progress'));
        else if (!this.isEnding) this.tick?.(time);
    }
    /* A last frame, shutdown for writing, input discarded: a reset could take the frame away (M-117). */
    end(last) {
        if (this.isEnding) return;
        this.isEnding = true;
        this.buffer = EMPTY;
        this.socket.end(last);
        this.linger = setTimeout(() => this.destroy(), this.timing.linger);
    }
    destroy() { this.isEnding = true; this.socket.destroy(); }
    fail() { this.destroy(); }
    eof() { this.end(); }
}

/* ---- credit (§10): all numbers modulo 2^32, differences signed (M-75) ---- */

export class SendWindow {
    constructor(limit, sent = 0) { Object.assign(this, { limit, sent }); }
    get left() { return (this.limit - this.sent) | 0; }
    take(bytes) { this.sent = (this.sent + bytes) >>> 0; }
    raise(limit) { /* M-76 */
        const by = Math.max((limit - this.limit) | 0, 0);
        this.limit = (this.limit + by) >>> 0;
        return by;
    }
}
export class ReceiveWindow {
    ahead = 0; /* bytes of an incomplete message, granted as if taken (M-81); a debt once it is complete */
    constructor(size) { Object.assign(this, { size, limit: size, received: 0, released: 0 }); }
    receive(bytes) { /* M-74 */
        insist(((this.limit - this.received) | 0) >= bytes, 'bytes beyond the credit', CODE.FLOW_CONTROL);
        this.received = (this.received + bytes) >>> 0;
    }
    release(bytes) { this.released = (this.released + bytes) >>> 0; }
    due() { /* the limit to send, once half a window has been released since the last: M-82 */
        const limit = (this.released + this.ahead + this.size) >>> 0;
        if (((limit - this.limit) | 0) < this.size >> 1) return undefined;
        this.limit = limit;
        return limit;
    }
}

/* ---- a message on its way in (§9) ---- */

export class Message {
    parts = [];
    length = 0;
    size = 0; /* with the block: what credit counts */
    constructor(type, fields) {
        const [algorithm, rawLength] = fields.compression ?? [COMPRESSION.NONE];
        Object.assign(this, { base: type & BASE, fields, algorithm, rawLength });
    }
    add(body, size, more, maxMessage) {
        const length = this.length += body.length, total = this.fields.totalLength ?? (more ? -1 : length);
        this.parts.push(body);
        Object.assign(this, { size: this.size + size, growthAt: now() });
        const longest = Math.max(length, total, this.rawLength ?? 0); /* M-68 */
        demand(longest <= maxMessage, 'the message is too large', CODE.TOO_LARGE);
        demand(!more || body.length >= LIMIT.minFragment, 'MORE with too few bytes'); /* M-67 */
        demand(more ? length <= total : length === total, 'not what TOTAL_LEN says'); /* M-65, M-66 */
    }
    take() { /* as the application sees it: inflated now, and never beyond what was declared (M-72, M-73) */
        const { algorithm, rawLength = this.length } = this, whole = cat(...this.parts);
        const inflate = () => zlib.gunzipSync(whole, { maxOutputLength: Math.max(rawLength, 1) });
        let body;
        try {
            body = algorithm ? inflate() : whole;
        } catch { /* what does not inflate has no length */ }
        demand(body?.length === rawLength, 'the body does not have its declared length');
        return { body, metadata: this.fields.metadata };
    }
}

/* ---- a message on its way out: cut when it leaves, as credit allows (§9, §11) ---- */

export class Outgoing {
    at = 0; /* bytes of the body that have left */
    done = defer();
    constructor(type, body, fields, small) {
        Object.assign(this, { type, body, fields });
        const { length } = this.#head({});
        demand(length <= LIMIT.block - LIMIT.totalLengthTlv, 'the extension block is too long');
        this.isSmall = length + body.length <= small;
    }
    #head(more) {
        return this.at > 0 ? EMPTY : writeBlock({ ...this.fields(), ...more }, this.type === TYPE.REQUEST);
    }
    /** The whole rest where @most bytes hold it, else a fragment or undefined: {type, payload, isLast}. */
    cut(most, mayFragment) {
        let head = this.#head({}), bytes = this.body.length - this.at;
        const isLast = head.length + bytes <= most;
        if (!isLast) {
            head = this.#head({ totalLength: this.body.length });
            bytes = Math.min(most - head.length, bytes - 1);
            if (!mayFragment || bytes < LIMIT.minFragment) return undefined; /* M-67 */
        }
        const payload = cat(head, this.body.subarray(this.at, this.at += bytes));
        return { type: this.type | (isLast ? 0 : MORE) | (head.length > 0 ? EXT : 0), payload, isLast };
    }
}

/* ---- what both roles keep of a call ---- */

/* §15; b is 0 where none was opened. */
export const isNewer = (a, b) => b === 0 || isIn((a - b) & MAX_ID, 1, 2 ** 30 - 1);

export class Call {
    out = []; /* messages on their way out */
    constructor({ peer, mine }, receiveLimit = mine.callLimit) {
        this.credit = new SendWindow(peer.callLimit);
        this.window = new ReceiveWindow(receiveLimit);
    }
}
