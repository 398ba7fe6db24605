// SPDX-License-Identifier: MIT
/*
 * MCP on the wire: numbers, limits, errors, and every frame to be written and read
 *
 * Written from docs/protocol.md alone, as all of this folder. Paragraph and rule numbers are those of that page.
 */

const KIB = 1024, MIB = 1024 * KIB;
export const SECOND = 1000;
export const VERSION = 1, REVISION = 1, HEADER = 8, MORE = 0x80, EXT = 0x40, BASE = 0x3f, UNKNOWN = 0x20;
export const MAX_ID = 0x7fffffff, ORIGIN = { LIBRARY: 0, GATEWAY: 1, NODE: 2, TRANSPORT: 3 };
export const FLAG = { NOT_PROCESSED: 1, TRANSIENT: 2, NO_RETRY: 4, PARTIAL: 8 }, NO_RETRY_AFTER = 0xffffffff;
export const REASON = { APPLICATION: 0, DEADLINE: 1, CALLER_GONE: 3 }, GOAWAY = { IDLE: 0, MAINTENANCE: 1 };
export const FEATURE = { BASIC: 7, BATCH: 8, COMPRESSION: 16, LANES: 32 }, COMPRESSION = { NONE: 0, GZIP: 1, ZSTD: 2 };
export const TYPE = { REQUEST: 1, RESPONSE: 2, ERROR: 3, CHUNK: 4, CANCEL: 6, CREDIT: 7, PING: 8, PONG: 9, GOAWAY: 10,
                      HELLO: 11, HELLO_ACK: 12, BATCH: 14 };
export const CODE = { OK: 0, CANCELLED: 1, UNKNOWN: 2, INVALID_ARGUMENT: 3, DEADLINE_EXCEEDED: 4, NOT_FOUND: 5,
                      ALREADY_EXISTS: 6, PERMISSION_DENIED: 7, RESOURCE_EXHAUSTED: 8, FAILED_PRECONDITION: 9,
                      ABORTED: 10, OUT_OF_RANGE: 11, UNIMPLEMENTED: 12, INTERNAL: 13, UNAVAILABLE: 14, DATA_LOSS: 15,
                      UNAUTHENTICATED: 16, TOO_LARGE: 32, OVERLOADED: 33, CONTENT_FILTERED: 34, CONTEXT_LENGTH: 35,
                      BACKEND_LOST: 36, PROTOCOL: 37, FLOW_CONTROL: 38 };
const CODE_NAMES = new Map(Object.entries(CODE).map(([name, code]) => [code, name]));
const STATUS = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 404, 500, 503, 500, 401]; /* §12, "plain" */
const STATUS_FROM_32 = [413, 503, 400, 400, 502, 400, 400];
export const statusOf = (code) => STATUS[code] ?? STATUS_FROM_32[code - CODE.TOO_LARGE] ?? 500;

export const LIMIT = { payload: 65535, hello: 32, block: 2048, totalLengthTlv: 6, metadata: 1024, tlv: 254, minFragment: 1024, small: 4096,
                       fragment: 16384, write: 64 * KIB, minFrame: 4096, minWindow: 8192, minAckWindow: 65536,
                       minAckCalls: 32, window: 0x7fffffff, incomplete: 64, held: 128 * MIB, tokens: 10000,
                       tokensPerSecond: 330, worthwhileCredit: 1024, control: 1000, errorText: 1024, creditEntries: 64,
                       batch: 256, plainCalls: 128, timer: 0x7fffffff };
export const TIMING = { tick: SECOND / 4, firstFrame: 5 * SECOND, halfFrame: 10 * SECOND, progress: 30 * SECOND,
                        cancelled: 30 * SECOND, blocked: 30 * SECOND, pingOpen: 15 * SECOND, pingIdle: 30 * SECOND,
                        pong: 10 * SECOND, linger: SECOND };
export const HELLO = { lowest: REVISION, highest: REVISION, flags: 0, features: 0x3f, maxFrame: LIMIT.payload, maxCalls: 0,
                       maxMessage: 64 * MIB, connectionLimit: MIB, callLimit: 256 * KIB, idleTimeout: 300, pingInterval: 10,
                       codecs: [0, 1, 2], compressions: [COMPRESSION.NONE, COMPRESSION.GZIP], software: 'peer' };
export const EMPTY = Buffer.alloc(0);
export const cat = (...parts) => Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));

/* ---- errors ---- */

export class McpError extends Error {
    constructor(code, text, { flags = 0, origin = ORIGIN.TRANSPORT, retryAfter, metadata = [] } = {}) {
        super(text);
        Object.assign(this, { name: 'McpError', code, flags, origin, retryAfter, metadata });
    }
    get codeName() { return CODE_NAMES.get(this.code); }
    get notProcessed() { return (this.flags & FLAG.NOT_PROCESSED) !== 0; }
    get transient() { return (this.flags & FLAG.TRANSIENT) !== 0; }
    get noRetry() { return (this.flags & FLAG.NO_RETRY) !== 0; }
    get partial() { return (this.flags & FLAG.PARTIAL) !== 0; }
    with(flags) { return new this.constructor(this.code, this.message, { ...this, flags: this.flags | flags }); }
}
export class ConnectionError extends McpError {}
export const protocol = (text) => new ConnectionError(CODE.PROTOCOL, text);
export const beyondCredit = (text) => new ConnectionError(CODE.FLOW_CONTROL, text);
export const invalid = (text) => new McpError(CODE.INVALID_ARGUMENT, text);
export const unimplemented = (text) => new McpError(CODE.UNIMPLEMENTED, text);
/** What a handler threw, as an error of MCP. */
export const asMcpError = (error) => (error instanceof McpError ? error
    : new McpError(CODE.INTERNAL, String(error?.message ?? error), { origin: ORIGIN.GATEWAY }));
export const isCallError = (error) => error instanceof McpError && !(error instanceof ConnectionError);

/* ---- bytes: frames (§3, §5), extension block (§6), HELLO (§7), errors (§12), plain messages (§4) ---- */

const uint = (size, value) => { const out = Buffer.alloc(size); out.writeUIntBE(value, 0, size); return out; };
const u8 = (value) => uint(1, value), u16 = (value) => uint(2, value), u32 = (value) => uint(4, value);
const utf8 = new TextDecoder('utf-8', { fatal: true });
const strictText = (bytes) => { try { return utf8.decode(bytes); } catch { return undefined; } };
export const frame = (type, id, payload = EMPTY, { version = VERSION, length = payload.length } = {}) =>
    cat(u8(version), u8(type), u32(id), u16(length), payload);
const tlv = (tag, value, length = value.length) => cat(u8(tag), u8(length), value);

/* How a tag's value is read (undefined: wrong size or range), written, and how often it may come. */
const numberTag = (field, size, lowest = 0, highest = 2 ** (8 * size) - 1) => ({
    field, write: (value) => uint(size, value),
    read(value) {
        const number = value.length === size ? value.readUIntBE(0, size) : -1;
        return number >= lowest && number <= highest ? number : undefined;
    } });
const bytesTag = (field, lowest, highest, times = 1) => ({
    field, times, write: (value) => Buffer.from(value),
    read: (value) => (value.length >= lowest && value.length <= highest ? value : undefined) });
export const TAG = { METHOD: 0x81, DEADLINE_MS: 0x03, TRACE: 0x04, TRACESTATE: 0x05, TOTAL_LEN: 0x8a, CODEC: 0x8b,
                     COMPRESSION: 0x8c, ORDER_LANE: 0x8d, STREAM_LIMIT: 0x0e, METADATA: 0x13, SESSION: 0x15, CRITICAL: 0x80 };
const TAGS = new Map([
    [TAG.METHOD, { field: 'method', write: (value) => Buffer.from(value),
                   read: (value) => (value.length >= 1 && value.length <= 128 ? strictText(value) : undefined) }],
    [TAG.DEADLINE_MS, numberTag('deadlineMs', 4)], [TAG.TRACE, bytesTag('trace', 25, 25)],
    [TAG.TRACESTATE, bytesTag('traceState', 0, LIMIT.tlv, 2)], [TAG.TOTAL_LEN, numberTag('totalLength', 4)],
    [TAG.CODEC, numberTag('codec', 1)],
    [TAG.COMPRESSION, { field: 'compression', write: ([algorithm, length]) => cat(u8(algorithm), u32(length)),
                        read: (value) => (value.length === 5 ? [value[0], value.readUInt32BE(1)] : undefined) }],
    [TAG.ORDER_LANE, numberTag('lane', 2)], [TAG.STREAM_LIMIT, numberTag('streamLimit', 4, LIMIT.minWindow, LIMIT.window)],
    [TAG.METADATA, { field: 'metadata', times: Infinity,
                     write: ([key, value]) => cat(u8(Buffer.byteLength(key)), key, value),
                     read: (value) => (value[0] >= 1 && value.length > value[0]
                         ? [value.toString('utf8', 1, 1 + value[0]), value.toString('utf8', 1 + value[0])] : undefined) }],
    [TAG.SESSION, bytesTag('session', 0, 64)],
]);

/* {method, deadlineMs, ... metadata: [[key, value]]} as a block; nothing set, no block. */
export function writeBlock(fields, always = false) {
    const tlvs = [];
    for (const [tag, { field, times, write }] of TAGS)
        for (const value of fields[field] === undefined ? [] : times > 1 ? fields[field] : [fields[field]])
            tlvs.push(tlv(tag, write(value)));
    const length = tlvs.reduce((sum, bytes) => sum + bytes.length, 0);
    return length > 0 || always ? cat(u16(length), ...tlvs) : EMPTY;
}

/* [block, body]. Only a length that leads outside the payload hides the body. */
export function splitBlock(payload) {
    const end = payload.length >= 2 ? 2 + payload.readUInt16BE(0) : Infinity;
    if (end > payload.length)
        throw invalid('the extension block does not end inside the payload');
    return [payload.subarray(0, end), payload.subarray(end)];
}

export function readBlock(block, isOfError = false) {
    const fields = { metadata: [], traceState: [] }, seen = new Map();
    let unknown, metadataBytes = 0;
    if (block.length > LIMIT.block)
        throw invalid('the extension block is too long');
    for (let at = 2; at < block.length;) {
        const tag = block[at], length = block[at + 1], value = block.subarray(at + 2, at + 2 + length);
        if (!(length <= LIMIT.tlv) || value.length < length)
            throw invalid('a TLV does not end inside the block');
        at += 2 + length;
        const known = TAGS.get(tag);
        if (known === undefined) {
            unknown ??= tag & TAG.CRITICAL ? tag : undefined; /* told last: a malformed block is the worse news, M-33 */
            continue;
        }
        const times = known.times ?? 1, count = (seen.get(tag) ?? 0) + 1, read = known.read(value);
        metadataBytes += tag === TAG.METADATA ? length : 0;
        if (read === undefined || count > times || metadataBytes > LIMIT.metadata)
            throw invalid(`${known.field}: wrong value, too often or too much`);
        seen.set(tag, count);
        if (times > 1)
            fields[known.field].push(read);
        else
            fields[known.field] = read;
    }
    if (unknown !== undefined && !isOfError) /* M-31: an ERROR ends its call with its own code */
        throw unimplemented(`tag 0x${unknown.toString(16)} is not known`);
    return fields;
}

const HELLO_TLV = { CODECS: 1, COMPRESSIONS: 2, AUTHENTICATION: 3, SOFTWARE: 4, CONNECTION_ID: 6, BEARER: 1 };
function writeHello(hello) {
    const tlvs = [tlv(HELLO_TLV.CODECS, Buffer.from(hello.codecs)), tlv(HELLO_TLV.COMPRESSIONS, Buffer.from(hello.compressions))];
    if (hello.key !== undefined)
        tlvs.push(tlv(HELLO_TLV.AUTHENTICATION, cat(u8(HELLO_TLV.BEARER), hello.key)));
    if (hello.software !== undefined)
        tlvs.push(tlv(HELLO_TLV.SOFTWARE, Buffer.from(hello.software)));
    return cat(hello.magic ?? 'MCP1', u8(hello.lowest), u8(hello.highest), u16(hello.flags), u32(hello.features),
               u16(hello.maxFrame), u16(hello.maxCalls), u32(hello.maxMessage), u32(hello.connectionLimit),
               u32(hello.callLimit), u16(hello.idleTimeout), u16(hello.pingInterval), ...tlvs, hello.tail ?? EMPTY);
}

export function readHello(payload) {
    const hello = { lowest: payload[4], highest: payload[5], flags: payload.readUInt16BE(6), features: payload.readUInt32BE(8),
                    maxFrame: payload.readUInt16BE(12), maxCalls: payload.readUInt16BE(14),
                    maxMessage: payload.readUInt32BE(16), connectionLimit: payload.readUInt32BE(20),
                    callLimit: payload.readUInt32BE(24), idleTimeout: payload.readUInt16BE(28),
                    pingInterval: payload.readUInt16BE(30), codecs: [0, 1], compressions: [COMPRESSION.NONE] };
    const isWindow = (limit) => limit >= LIMIT.minWindow && limit <= LIMIT.window;
    if (payload.toString('latin1', 0, 4) !== 'MCP1' || hello.flags !== 0)
        throw protocol('HELLO: wrong magic or flags');
    if ((hello.features & FEATURE.BASIC) !== FEATURE.BASIC || hello.maxFrame < LIMIT.minFrame)
        throw protocol('HELLO: features or max frame below the least');
    if (!isWindow(hello.connectionLimit) || !isWindow(hello.callLimit))
        throw protocol('HELLO: a credit limit out of range');
    for (let at = LIMIT.hello; at < payload.length;) {
        const tag = payload[at], end = at + 2 + payload[at + 1];
        if (!(end <= payload.length))
            throw protocol('HELLO: a TLV goes beyond the payload');
        const value = payload.subarray(at + 2, end);
        at = end;
        if (tag === HELLO_TLV.CODECS || tag === HELLO_TLV.COMPRESSIONS)
            hello[tag === HELLO_TLV.CODECS ? 'codecs' : 'compressions'] = [...value];
        if (tag === HELLO_TLV.AUTHENTICATION)
            hello.key = value[0] === HELLO_TLV.BEARER ? value.toString('utf8', 1) : undefined;
        if (tag === HELLO_TLV.SOFTWARE || tag === HELLO_TLV.CONNECTION_ID)
            hello[tag === HELLO_TLV.SOFTWARE ? 'software' : 'connectionId'] = value.toString();
    }
    return hello;
}

export function writeError(id, { code, flags = 0, origin = ORIGIN.TRANSPORT, retryAfter = NO_RETRY_AFTER, message = '', metadata = [] }) {
    let text = Buffer.from(message), end = Math.min(text.length, LIMIT.errorText);
    while (end < text.length && (text[end] & 0xc0) === 0x80) /* not inside a character of UTF-8 */
        end -= 1;
    text = text.subarray(0, end);
    const block = writeBlock({ metadata });
    return frame(TYPE.ERROR | (block.length > 0 ? EXT : 0), id,
                 cat(block, u16(code), u8(flags), u8(origin), u32(retryAfter), u16(text.length), text));
}

export function readError(type, payload) {
    const [block, body] = type & EXT ? splitBlock(payload) : [EMPTY, payload];
    const { metadata } = type & EXT ? readBlock(block, true) : { metadata: [] };
    if (body.length < 10 || body.readUInt16BE(8) !== body.length - 10)
        throw protocol('ERROR: the text length is not that of the rest');
    const code = body.readUInt16BE(0), retryAfter = body.readUInt32BE(4);
    return new McpError(CODE_NAMES.has(code) && code !== CODE.OK ? code : CODE.UNKNOWN, body.toString('utf8', 10), {
        flags: body[2] & 0x0f, origin: Math.min(body[3], ORIGIN.TRANSPORT), metadata,
        retryAfter: retryAfter === NO_RETRY_AFTER ? undefined : retryAfter });
}

const WIRE = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 };
export const REQUEST_FIELDS = { 1: ['service', WIRE.BYTES], 2: ['body', WIRE.BYTES] };
export const RESPONSE_FIELDS = { 1: ['status', WIRE.VARINT], 2: ['error', WIRE.BYTES], 3: ['body', WIRE.BYTES] };
function varint(value) {
    const bytes = [];
    for (; value >= 0x80; value = Math.floor(value / 0x80))
        bytes.push((value % 0x80) | 0x80);
    return Buffer.from([...bytes, value]);
}
function writePlain(fields, message) {
    return cat(...Object.entries(fields).flatMap(([number, [name, wire]]) => {
        const key = varint(Number(number) * 8 + wire), value = message[name];
        if (wire === WIRE.VARINT)
            return value ? [key, varint(value)] : [];
        return value?.length > 0 ? [key, varint(Buffer.byteLength(value)), value] : [];
    }));
}
export function readPlain(fields, payload) {
    const message = { service: EMPTY, body: EMPTY, status: 0, error: EMPTY };
    let at = 0;
    const readVarint = () => {
        for (let value = 0n, shift = 0n; at < payload.length; shift += 7n) {
            const byte = payload[at++];
            value |= BigInt(byte & 0x7f) << shift;
            if (value >= 1n << 64n || shift > 63n)
                break;
            if (byte < 0x80)
                return value;
        }
        throw invalid('a varint is cut or too long');
    };
    while (at < payload.length) {
        const key = readVarint(), number = key >> 3n, wire = Number(key & 7n), known = fields[number];
        if (number === 0n || ![0, 1, 2, 5].includes(wire) || (known && known[1] !== wire))
            throw invalid('a field that must not be there');
        let value;
        if (wire === WIRE.VARINT)
            value = Number(BigInt.asUintN(32, readVarint()));
        else {
            const size = wire === WIRE.BYTES ? Number(readVarint()) : wire === WIRE.FIXED64 ? 8 : 4;
            if (size > payload.length - at)
                throw invalid('a field goes beyond the payload');
            value = payload.subarray(at, at += size);
        }
        if (known)
            message[known[0]] = value;
    }
    return message;
}

/** Every frame by hand, right or wrong: payloads are Buffers, HELLO fields those of HELLO, fields of a block those of TAGS. */
export const raw = {
    u8, u16, u32, cat, frame, tlv, varint, writeBlock, splitBlock, readBlock, readHello, readError, readPlain,
    REQUEST_FIELDS, RESPONSE_FIELDS,
    hello: (overrides) => frame(TYPE.HELLO, 0, writeHello({ ...HELLO, ...overrides })),
    ack: (overrides) => frame(TYPE.HELLO_ACK, 0, writeHello({ ...HELLO, maxCalls: 256, ...overrides })),
    message: (type, id, fields, body = EMPTY, flags = 0) => {
        const block = writeBlock(fields ?? {}, (type & BASE) === TYPE.REQUEST && fields !== undefined);
        return frame(type | flags | (block.length > 0 ? EXT : 0), id, cat(block, body));
    },
    error: writeError,
    cancel: (id, reason = REASON.APPLICATION) => frame(TYPE.CANCEL, id, u8(reason)),
    credit: (entries) => frame(TYPE.CREDIT, 0, cat(...entries.flatMap(([id, limit]) => [u32(id), u32(limit)]))),
    ping: (opaque) => frame(TYPE.PING, 0, opaque),
    pong: (opaque) => frame(TYPE.PONG, 0, opaque),
    goaway: (last, reason, grace, text = '') => frame(TYPE.GOAWAY, 0, cat(u32(last), u16(reason), u16(grace), text)),
    batch: (fields, entries) => frame(TYPE.BATCH | (fields ? EXT : 0), 0, cat(fields ? writeBlock(fields, true) : EMPTY,
        u8(TYPE.REQUEST), u8(0), u16(entries.length), ...entries.flatMap(([id, body]) => [u32(id), u16(body.length), body]))),
    plainRequest: (id, service, body) => frame(TYPE.REQUEST, id, writePlain(REQUEST_FIELDS, { service, body })),
    plainResponse: (id, response) => frame(TYPE.RESPONSE, id, writePlain(RESPONSE_FIELDS, response)),
};

/* The table of §5: who may send it, on which SeqID, with which bits and lengths. */
export const CLIENT = 1, SERVER = 2;
const ROWS = new Map(Object.entries({
    REQUEST: [CLIENT, 'call', MORE | EXT, 0], RESPONSE: [SERVER, 'call', MORE | EXT, 0], ERROR: [CLIENT | SERVER, 'any', EXT, 10],
    CHUNK: [SERVER, 'call', MORE | EXT, 0], CANCEL: [CLIENT, 'call', 0, 1, 1], CREDIT: [CLIENT | SERVER, 'zero', 0, 8, 512, 8],
    PING: [CLIENT | SERVER, 'zero', 0, 8, 8], PONG: [CLIENT | SERVER, 'zero', 0, 8, 8], GOAWAY: [SERVER, 'zero', 0, 8, 264],
    HELLO: [CLIENT, 'zero', 0, 32, 4096], HELLO_ACK: [SERVER, 'zero', 0, 32, 4096], BATCH: [CLIENT, 'zero', EXT, 4],
}).map(([name, row]) => [TYPE[name], row]));

export function checkHeader({ type, id, length }, sender) {
    const base = type & BASE;
    if (base >= UNKNOWN)
        return;
    const [senders, ids, bits, shortest, longest = LIMIT.payload, step = 1] = ROWS.get(base) ?? [0];
    if ((senders & sender) === 0)
        throw protocol(`type 0x${base.toString(16)} must not come from this side`);
    if (id > MAX_ID || (ids === 'call' && id === 0) || (ids === 'zero' && id !== 0) || (base === TYPE.ERROR && sender === CLIENT && id !== 0))
        throw protocol('a SeqID that the type does not have');
    if (type & ~BASE & ~bits)
        throw protocol('MORE or EXT where they must not be');
    if (length < shortest || length > longest || length % step !== 0)
        throw protocol('a length that the type does not have');
}
