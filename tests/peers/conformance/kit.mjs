// SPDX-License-Identifier: MIT
/*
 * A connection by hand that watches the server while it asks: what no answer may be, no claim needs to say again
 *
 * Watched in every frame that comes: credit is never overdrawn (M-74), limits are not too far (M-77), nothing comes on a
 * call after its terminal frame or before it was opened (M-60), fragments add up (M-65 to M-67), an ERROR is well-formed
 * and has a code (M-88 to M-90), PARTIAL and NOT_PROCESSED agree with what was sent (M-64, M-87), answers name no codec (M-42).
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dial, raw } from '../hand.mjs';
import { BASE, CODE, COMPRESSION, EXT, FEATURE, FLAG, HELLO, LIMIT, MAX_ID, MORE, TYPE } from '../mcp.mjs';

export const SLOW = Number(process.env.CHASQUI_TEST_SLOW ?? 1);
const ANSWER_MS = 8_000, END_MS = 24_000; /* a frame, and an end behind frames of other calls */
const FAR = 2 ** 31;
const COUNTED = new Set([TYPE.RESPONSE, TYPE.CHUNK]);

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** The promise, or a failure with @what. */
export async function soon(promise, what, ms = ANSWER_MS) {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms * SLOW} ms`)), ms * SLOW); });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/* What came on one call. */
class Answer {
    chunks = [];
    received = 0;
    over = false;
    constructor(limit) { this.limit = limit; }
    get codeName() { return this.error?.codeName; }
}

export class Probe {
    static async dial(target) {
        const probe = new Probe();
        Object.assign(probe, { target, peer: await dial(target), calls: new Map(), credits: [], nextId: 1, received: 0 });
        return probe;
    }
    /** In the extended profile, the ACK read. @hello: fields of HELLO that are others than usual. */
    static async open(target, hello = {}) {
        const probe = await Probe.dial(target);
        await probe.hello(hello);
        return probe;
    }
    async hello(hello = {}) {
        /* a probe reads bodies as they are on the wire, so it agrees to no compression */
        const mine = { ...HELLO, features: HELLO.features & ~FEATURE.COMPRESSION, compressions: [COMPRESSION.NONE], key: this.target.key, ...hello };
        Object.assign(this, { mine, limit: mine.connectionLimit });
        this.send(raw.hello(mine));
        const { type, payload } = await this.frame('HELLO_ACK');
        assert.equal(type, TYPE.HELLO_ACK, 'the first frame is HELLO_ACK [M-52]');
        this.ack = raw.readHello(payload);
    }

    send(...bytes) { this.peer.send(...bytes); }
    /** Opens a call; returns its SeqID. */
    request(fields, body, flags = 0) { return this.requestBytes((id) => raw.message(TYPE.REQUEST, id, fields, body, flags)); }
    /** Likewise, with a payload of bytes, block included. */
    requestPayload(payload, flags = EXT) { return this.requestBytes((id) => raw.frame(TYPE.REQUEST | flags, id, payload)); }
    requestBytes(make) {
        const id = this.opens();
        this.send(make(id));
        return id;
    }
    opens(id = this.nextId) {
        this.nextId = id === MAX_ID ? 1 : id + 1;
        this.calls.set(id, new Answer(this.mine.callLimit));
        return id;
    }
    batch(fields, bodies) {
        const entries = bodies.map((body) => [this.opens(), Buffer.from(body)]);
        this.send(raw.batch(fields, entries));
        return entries.map(([id]) => id);
    }
    /** Stream of @n records. */
    records(n, fields = {}) {
        const { method, codec, body } = this.target.records(n);
        return this.request({ method, codec, ...fields }, body);
    }

    /** The next frame of any kind, undefined at the end. */
    frame(what = 'a frame') { return soon(this.peer.next(), what); }
    /** One frame, watched; CREDIT is noted, bytes are credited. */
    async #step(what) {
        const frame = await this.frame(what);
        if (frame !== undefined)
            this.#watch(frame);
        return frame;
    }
    /** The next frame that is not CREDIT. */
    async next(what) {
        let frame;
        do
            frame = await this.#step(what);
        while (frame?.type === TYPE.CREDIT);
        return frame;
    }
    /** The answer to a call, whole. Other calls go on meanwhile. */
    async answer(id) {
        const call = this.calls.get(id);
        await this.until(() => call.over, `the end of call ${id}`);
        return call;
    }
    /** Until @condition() holds, frame by frame. */
    until(condition, what) { return soon(this.#until(condition, what), what, END_MS); }
    async #until(condition, what) {
        while (!condition())
            if ((await this.#step(what)) === undefined)
                assert.fail(`the connection ended before ${what}`);
    }
    async chunk(id) { await this.until(() => this.calls.get(id).chunks.length > 0, `a chunk of call ${id}`); }

    #watch({ type, id, payload }) {
        const base = type & BASE;
        if (base === TYPE.CREDIT)
            return this.#noteCredit(payload);
        if (base === TYPE.ERROR)
            return this.#error(type, id, payload);
        if (!COUNTED.has(base))
            return undefined;
        const call = this.calls.get(id);
        assert.ok(call !== undefined && !call.over, `a frame on call ${id}, which is not open [M-60]`);
        assert.ok(payload.length <= this.mine.maxFrame, 'a payload over max frame [M-3]');
        this.received += payload.length;
        call.received += payload.length;
        assert.ok(this.received <= this.limit && call.received <= call.limit, 'more than the credit [M-74]');
        this.#assemble(call, type, payload);
        if (base === TYPE.RESPONSE && !(type & MORE))
            call.over = true;
        return this.isStingy ? undefined : this.#grant(call, id);
    }
    #assemble(call, type, payload) {
        const isFirst = call.parts === undefined;
        let body = payload, fields = {};
        if (type & EXT) {
            assert.ok(isFirst, 'EXT inside a message [M-26]');
            const [block, rest] = raw.splitBlock(type, payload);
            [body, fields] = [rest, raw.readBlock(block)];
            assert.equal(fields.codec, undefined, 'an answer names no codec [M-42]');
        }
        if (isFirst)
            Object.assign(call, { parts: [], total: fields.totalLength, base: type & BASE });
        assert.equal(call.base, type & BASE, 'another message inside an incomplete one [M-26]');
        call.parts.push(body);
        if (type & MORE) {
            assert.ok(call.total !== undefined, 'MORE without TOTAL_LEN [M-65]');
            assert.ok(body.length >= LIMIT.minFragment, 'a fragment of few bytes [M-67]');
            return;
        }
        const whole = raw.cat(...call.parts);
        assert.equal(whole.length, call.total ?? whole.length, 'fragments do not add up [M-66]');
        if (call.base === TYPE.CHUNK)
            call.chunks.push(whole);
        else
            call.body = whole;
        Object.assign(call, { parts: undefined, total: undefined, fields });
    }
    #error(type, id, payload) {
        const error = raw.readError(type, payload), body = type & EXT ? raw.splitBlock(type, payload)[1] : payload;
        assert.notEqual(body.readUInt16BE(0), CODE.OK, 'an ERROR without a code [M-90]');
        assert.ok(body.length <= 10 + LIMIT.errorText, 'a text over 1,024 bytes [M-89]');
        if (id === 0)
            return void Object.assign(this, { error });
        const call = this.calls.get(id);
        assert.ok(call !== undefined && !call.over, `ERROR on call ${id}, which is not open [M-59]`);
        assert.equal(error.partial, call.chunks.length > 0 || call.base === TYPE.CHUNK, 'PARTIAL says whether chunks were sent [M-64]');
        assert.ok(!error.partial || !(error.flags & FLAG.NOT_PROCESSED), 'chunks, but not processed [M-87]');
        return void Object.assign(call, { error, over: true });
    }
    #noteCredit(payload) {
        for (let at = 0; at < payload.length; at += 8) {
            const entry = [payload.readUInt32BE(at), payload.readUInt32BE(at + 4)];
            assert.ok(entry[1] < FAR, 'a limit too far above what was received [M-77]'); /* no claim sends gigabytes */
            this.credits.push(entry);
        }
    }
    #grant(call, id) {
        const entries = [];
        if (this.limit - this.received < this.mine.connectionLimit / 2)
            entries.push([0, this.limit = this.received + this.mine.connectionLimit]);
        if (!call.over && call.limit - call.received < this.mine.callLimit / 2)
            entries.push([id, call.limit = call.received + this.mine.callLimit]);
        if (entries.length > 0)
            this.send(raw.credit(entries));
    }
    /** The last limit that the server granted in a scope. */
    granted(id, first) { return this.credits.findLast(([scope]) => scope === id)?.[1] ?? first; }

    /** Sends a whole message in fragments, as credit allows. */
    async sendMessage(fields, body, fragment = LIMIT.fragment) {
        const whole = { ...fields, totalLength: body.length }, head = raw.writeBlock(whole).length;
        const mayConnection = (bytes) => this.granted(0, this.ack.connectionLimit) - (this.sent ?? 0) >= bytes;
        const first = body.subarray(0, fragment - head), size = head + first.length;
        await this.until(() => mayConnection(size), 'credit');
        const id = this.request(whole, first, first.length < body.length ? MORE : 0);
        this.sent = (this.sent ?? 0) + size;
        for (let at = first.length, ofCall = size; at < body.length; at += fragment) {
            const piece = body.subarray(at, at + fragment), more = at + fragment < body.length ? MORE : 0;
            await this.until(() => mayConnection(piece.length) && this.granted(id, this.ack.callLimit) - ofCall >= piece.length, 'credit');
            this.send(raw.frame(TYPE.REQUEST | more, id, piece));
            this.sent += piece.length;
            ofCall += piece.length;
        }
        return id;
    }

    /** The connection ends with ERROR @code on SeqID 0, then end of file (M-117). */
    dies(code = 'PROTOCOL') { return soon(this.#dies(code), `ERROR ${code}`, END_MS); }
    async #dies(code) {
        while ((await this.next(`ERROR ${code}`)) !== undefined && this.error === undefined);
        assert.equal(this.error?.codeName, code);
        while ((await this.frame('the end')) !== undefined)
            assert.fail('a frame behind the last ERROR');
        this.peer.close();
    }
    /** The connection ends, and no ERROR says why. */
    closes() { return soon(this.#closes(), 'the end', END_MS); }
    async #closes() {
        while ((await this.next('the end')) !== undefined);
        assert.equal(this.error, undefined);
        this.peer.close();
    }
    async lives() {
        const { body, error } = await this.answer(this.request({ method: 'echo' }, Buffer.from('Hi')));
        assert.equal(error, undefined);
        assert.equal(`${body}`, 'Hi');
    }
    /** A call's frame fails with @code, before it is begun, and the connection lives. */
    async refuses(id, code) {
        const { codeName, error } = await this.answer(id);
        assert.equal(codeName, code);
        assert.ok(error.notProcessed, 'the handler never saw it [M-87]');
        await this.lives();
    }
    close() { this.peer.close(); }
}

/** A probe for each claim that needs one in the extended profile, closed behind it. */
export const withProbe = (run, hello) => async (target) => {
    const probe = await Probe.open(target, hello);
    try {
        await run(probe, target);
    } finally {
        probe.close();
    }
};

/** Each of @frames is sent on a connection of its own, where it costs ERROR @code. */
export const eachDies = (frames, code, before = []) => async (target) => {
    for (const frame of frames) {
        const probe = await Probe.open(target);
        probe.send(...before, frame);
        await probe.dies(code).catch((error) => { throw new Error(`${frame.subarray(0, 16).toString('hex')}: ${error.message}`); });
    }
};

/* ---- memory, and others who are served meanwhile ---- */

const KIB_PER_MIB = 1024;
const isSanitized = (pid) => /lib[at]san/.test(readFileSync(`/proc/${pid}/maps`, 'utf8'));
export function residentMib(pid) {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / KIB_PER_MIB;
}

/** Runs @abuse(target) while another connection is served, and looks at the memory of the server. */
export const whileOthersLive = (abuse, mostMib = 64) => async (target) => {
    const other = await Probe.open(target), before = target.pid && residentMib(target.pid);
    let over = false, failed, most = 0;
    const abusing = abuse(target).catch((error) => { failed = error; }).finally(() => { over = true; });
    while (!over) {
        await other.lives();
        if (target.pid)
            most = Math.max(most, residentMib(target.pid) - before);
        await pause(2);
    }
    await abusing;
    if (failed)
        throw failed;
    await other.lives();
    other.close();
    /* A sanitizer keeps what is freed, and doubles what is not. */
    const allowed = target.pid && isSanitized(target.pid) ? mostMib * 8 : mostMib;
    assert.ok(most <= allowed, `the server grew by ${Math.round(most)} MiB`);
};
