// SPDX-License-Identifier: MIT
/*
 * MCP, the Message Communication Protocol, in both roles and profiles, written from docs/protocol.md alone
 *
 * It is the second opinion on the protocol: what it shares with the gateway is the page, not a line of code.
 * Paragraphs (§) and rules (M-) are those of the page. wire.mjs has its tables and bytes, plain.mjs the plain
 * profile; here is who speaks: Session, what both roles do; Client; Server; doors: connect(), plainConnect(),
 * serve().
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import zlib from 'node:zlib';
import { PlainClient, PlainService } from './plain.mjs';
import { Bucket, cat, defer, dialSocket, isIn, listenOn, now, pack, toBuffer, u8, unpack } from './tools.mjs';
import { BASE, BEARER, BEFORE_ACK, CLIENT, CODE, COMPRESSION, COUNTED, Call, Connection, ConnectionError,
    EXT, FEATURE, FLAG, GOAWAY, GOAWAY_FIELDS, HEADER_SIZE, HELLO, LIMIT, MAX_ID, MORE, McpError, Message,
    Outgoing, REASON, REVISION, ReceiveWindow, SECOND, SERVER, SendWindow, TYPE, UNKNOWN,
    asMcpError, checkHeader, creditFrame, demand, frame, insist, isNewer, local, protocol,
    readBatch, readBlock, readCredit, readError, readHello, splitBlock, writeError,
    writeHello } from './wire.mjs';

export * from './wire.mjs';

/* ---- what both roles of the extended profile do ---- */

/* A role adds receive(); refuse() for call errors; mayBegin(), begins(), sent(); tickRole(); over(). */
class Session extends Connection {
    calls = new Map(); /* open ones, by SeqID */
    newest = 0; /* SeqID opened last, 0: none */
    isUp = false; /* HELLO and its ACK are through */
    awaitsFirst = true;
    control = []; /* frames that wait for no credit */
    sending = new Set(); /* calls with output, in the order of their turns */
    holding = new Map(); /* call -> bytes of its incomplete, waiting or inflated body; the newest is last */
    bucket = new Bucket(LIMIT.tokens, LIMIT.tokensPerSecond);
    pings = new Map(); /* opaque bytes in hex -> who waits */
    constructor(socket, config) {
        super(socket, config.timing);
        Object.assign(this, { config, mine: { ...HELLO, ...config.hello } });
        this.window = new ReceiveWindow(this.mine.connectionLimit);
        this.fragmentSize = config.fragmentSize ?? LIMIT.fragment;
    }
    get held() { return [...this.holding.values()].reduce((sum, bytes) => sum + bytes, 0); }
    get incomplete() { return [...this.calls.values()].filter(({ incoming }) => incoming); }

    header(header) {
        checkHeader(header, this.other);
        insist(header.length <= this.mine.maxFrame, 'the payload is longer than max frame'); /* M-3 */
    }
    frame({ type, id }, payload) {
        const base = type & BASE, isFirst = base === TYPE.HELLO || base === TYPE.HELLO_ACK;
        this.config.tap?.('in', type, id, payload);
        insist(isFirst !== this.isUp || (base === TYPE.ERROR && id === 0), 'HELLO comes first, and once');
        if (COUNTED.includes(base) || base >= UNKNOWN) {
            this.window.receive(payload.length);
            this.window.release(payload.length); /* on arrival: M-79 */
            this.flush();
        }
        if (base >= UNKNOWN || base === TYPE.PING) this.charge();
        if (base === TYPE.PING) this.push(frame(TYPE.PONG, 0, payload));
        else if (base === TYPE.PONG) (this.pings.get(payload.toString('hex')) ?? (() => this.charge()))();
        else if (base === TYPE.CREDIT) this.#credit(payload);
        else if (base < UNKNOWN) this.receive(type, base, id, payload);
    }
    charge() { insist(this.bucket.take(), 'too many frames that do nothing', CODE.OVERLOADED); } /* M-126 */
    /* The call of an id, undefined when it is finished. */
    lookup(id) {
        insist(this.calls.has(id) || !isNewer(id, this.newest), 'a SeqID that was never opened'); /* M-28 */
        return this.calls.get(id);
    }
    #credit(payload) {
        for (const [id, limit] of readCredit(payload)) {
            const scope = id === 0 ? this : this.lookup(id), raised = scope?.credit.raise(limit) ?? 0;
            if (raised < LIMIT.worthwhileCredit) this.charge();
            if (scope === this && raised > 0) this.blockedAt = undefined;
        }
        this.flush();
    }
    /* A step of a call: what is wrong there is its error, and touches nothing else. */
    guard(call, step) {
        try {
            step();
        } catch (error) {
            if (!(error instanceof McpError) || error instanceof ConnectionError) throw error;
            this.refuse(call, error);
        }
    }
    /* One more frame of a message; returns it when it is complete. */
    assemble(call, type, payload) {
        const more = (type & MORE) !== 0, known = call.incoming, isOneMore = more && !known;
        call.window.receive(payload.length);
        insist(!known || (!(type & EXT) && known.base === (type & BASE)), 'two messages at once'); /* M-26 */
        const [block, body] = splitBlock(type, payload);
        const message = known ?? new Message(type, readBlock(block));
        const isOver = isOneMore && this.incomplete.length >= LIMIT.incomplete; /* M-70 */
        demand(!isOver, 'too many incomplete messages', CODE.OVERLOADED);
        message.add(body, payload.length, more, this.mine.maxMessage);
        this.hold(call, body.length);
        call.window.ahead = more ? message.size : 0;
        call.incoming = more ? message : undefined;
        return more ? undefined : message;
    }
    hold(call, bytes) { /* M-70 */
        this.holding.set(call, (this.holding.get(call) ?? 0) + bytes);
        const error = new McpError(CODE.OVERLOADED, 'too many bytes are waiting');
        if (this.held > LIMIT.held) this.refuse([...this.holding.keys()].pop(), error);
    }
    release(call) { this.holding.delete(call); call.incoming = undefined; }
    drop(call) { /* what is left of a call that is over */
        clearTimeout(call.timer);
        this.sending.delete(call);
        this.release(call);
        for (const { done } of call.out.splice(0)) done.reject(local(CODE.CANCELLED, 'the call is over'));
    }

    push(bytes) {
        this.control.push(bytes);
        this.flush();
        if (this.control.length > LIMIT.control) /* M-128 */
            this.fail(new ConnectionError(CODE.OVERLOADED, 'too many control frames are waiting'));
    }
    /* Resolves when the last frame of the message has left; fields() is what its block says then. */
    post(call, type, body, fields) {
        const message = new Outgoing(type, body, fields, Math.min(LIMIT.small, this.fragmentSize));
        call.out.push(message);
        this.sending.add(call);
        this.flush();
        return message.done.promise;
    }
    flush() { this.scheduled ??= setImmediate(() => { this.scheduled = undefined; this.#pump(); }); }
    /* What goes next is decided at every write (§11). */
    #pump() {
        if (this.isWriting || this.isEnding) return;
        const frames = this.isUp ? [...this.control.splice(0), ...this.#grants()] : []; /* M-53 */
        const next = () => this.#next(true) ?? this.#next(false);
        for (let room = LIMIT.write, made; room > 0 && (made = next()); room -= made.length)
            frames.push(made);
        const isStuck = this.isUp && this.sending.size > 0 && this.credit.left < LIMIT.small;
        this.isWriting = frames.length > 0;
        this.blockedAt = this.isWriting || isStuck ? this.blockedAt ?? now() : undefined;
        for (const made of frames)
            this.config.tap?.('out', made[1], made.readUInt32BE(2), made.subarray(HEADER_SIZE));
        if (this.isWriting) this.socket.write(cat(...frames), () => {
            Object.assign(this, { isWriting: false, blockedAt: undefined });
            this.#pump();
        });
        else if (this.isLeaving && this.calls.size === 0) this.end(); /* M-114 */
    }
    /* Small whole messages first, then a fragment of each call in turn; who waits holds back none (M-86). */
    #next(isSmall) {
        for (const call of this.sending) {
            const [message] = call.out, isFirst = message.at === 0;
            if (message.isSmall !== isSmall || !this.mayBegin(call)) continue;
            const most = Math.min(this.fragmentSize, this.peer.maxFrame, this.credit.left, call.credit.left);
            const piece = message.cut(most, this.isUp && !isSmall); /* credit for a small one comes: M-82 */
            if (!piece) continue;
            if (isFirst) this.begins(call, message);
            for (const scope of [this, call]) scope.credit.take(piece.payload.length);
            if (piece.isLast) call.out.shift();
            this.sending.delete(call); /* and to the end of the row */
            if (call.out.length > 0) this.sending.add(call);
            if (piece.isLast) this.sent(call, message);
            return frame(piece.type, call.id, piece.payload);
        }
        return undefined;
    }
    #grants() {
        const entries = [[0, this], ...this.calls].map(([id, { window }]) => [id, window.due()])
            .filter(([, limit]) => limit !== undefined), made = [];
        while (entries.length > 0) made.push(creditFrame(entries.splice(0, LIMIT.creditEntries)));
        return made;
    }

    ping(opaque = randomBytes(8)) {
        const key = opaque.toString('hex'), answered = defer();
        this.pings.set(key, () => { this.pings.delete(key); answered.resolve(); });
        this.pingedAt = now();
        this.push(frame(TYPE.PING, 0, opaque));
        return answered.promise;
    }
    tick(time) { /* §17 */
        const { pingOpen, pingIdle, pong, blocked, progress } = this.timing;
        const least = (this.peer?.pingInterval ?? 0) * SECOND;
        const pingAfter = Math.max(this.calls.size > 0 ? pingOpen : pingIdle, least); /* M-108 */
        if (this.byteAt >= this.pingedAt) this.pingedAt = undefined;
        if (time - this.pingedAt > pong) return this.destroy(); /* M-111 */
        if (time - this.blockedAt > blocked) return this.destroy(); /* M-112 */
        if (this.isUp && time - this.byteAt > pingAfter && !this.pingedAt) this.ping();
        const error = new McpError(CODE.DEADLINE_EXCEEDED, 'the message makes no progress'); /* M-71 */
        for (const call of this.incomplete)
            if (time - call.incoming.growthAt > progress) this.refuse(call, error);
        return this.tickRole(time);
    }
    fail(error) {
        this.error = error;
        this.end(writeError(0, error));
        this.over();
    }
    eof() { this.over(); }
    gone() { this.over(); }
}

/* ---- the client ---- */

/** A call: {chunks, response, cancel(reason), closed, id}. Chunks and response are {body, metadata}. */
class ClientCall extends Call {
    settled = false;
    queue = [];
    chunks = this.#iterate();
    answer = defer();
    response = this.answer.promise;
    end = defer();
    closed = this.end.promise; /* resolves when the SeqID is free, with the terminal McpError or undefined */
    constructor(client, { lane = 0, codec = 0, compression = 0, deadlineMs, streamLimit }) {
        super(client, streamLimit);
        const error = local(CODE.DEADLINE_EXCEEDED, 'the deadline is over');
        const deadlineAt = now() + (deadlineMs ?? Infinity);
        const expire = () => client.refuse(this, error, REASON.DEADLINE); /* M-95 */
        Object.assign(this, { client, lane, codec, compression, deadlineAt });
        if (deadlineMs !== undefined) this.timer = setTimeout(expire, Math.min(deadlineMs, MAX_ID));
    }
    cancel(reason) { this.client.refuse(this, local(CODE.CANCELLED, 'cancelled'), reason); }
    async *#iterate() {
        for (; ; await new Promise((resolve) => { this.wake = resolve; })) {
            while (this.queue.length > 0) yield this.client.take(this, this.queue.shift());
            if (this.error) throw this.error;
            if (this.settled) return;
        }
    }
    settle(error, response) { /* exactly one completion towards the application */
        if (this.settled) return;
        Object.assign(this, { settled: true, error });
        if (error) this.answer.reject(error);
        else this.answer.resolve(response);
        this.wake?.();
    }
}

class Client extends Session {
    other = SERVER;
    peer = BEFORE_ACK;
    credit = new SendWindow(LIMIT.minAckWindow);
    acked = defer();
    ready = this.acked.promise;
    closed = defer();
    constructor(socket, config) {
        super(socket, config);
        this.nextId = config.firstId ?? 1;
        socket.write(writeHello(TYPE.HELLO, { ...this.mine, key: config.key }));
    }
    call(method, body, options = {}) {
        const call = new ClientCall(this, options), { compression, lane, deadlineAt } = call;
        const whole = toBuffer(body), packed = compression ? zlib.gzipSync(whole) : whole;
        const fields = () => ({ ...options, method, lane: lane || undefined,
            compression: compression ? [compression, whole.length] : undefined, /* M-92: what is left then */
            deadlineMs: deadlineAt < Infinity ? Math.max(0, Math.ceil(deadlineAt - now())) : undefined });
        call.length = Math.max(whole.length, packed.length);
        this.guard(call, () => {
            if (this.isEnding || this.goneAway) throw this.#lost(call);
            this.post(call, TYPE.REQUEST, packed, fields);
        });
        return call;
    }
    mayBegin(call) {
        const { length, lane, compression } = call, { maxMessage, features, compressions } = this.peer;
        const isBefore = (other) => other.id === undefined && other.lane === lane;
        if (call.id !== undefined) return true;
        if (this.calls.size >= this.peer.maxCalls || call.deadlineAt <= now()) return false;
        if (!this.isUp) return !lane && !compression && call.codec <= 1; /* M-53 */
        const isPacked = features & FEATURE.COMPRESSION && compressions.includes(compression);
        this.guard(call, () => { /* M-68, M-56, M-55 */
            demand(length <= maxMessage, 'longer than what the server takes', CODE.TOO_LARGE);
            demand(!lane || features & FEATURE.LANES, 'lanes were not agreed on', CODE.UNIMPLEMENTED);
            demand(!compression || isPacked, 'the compression was not agreed on', CODE.UNIMPLEMENTED);
        });
        return !call.settled && (!lane || [...this.sending].find(isBefore) === call); /* M-105 */
    }
    begins(call) { /* M-102 */
        const after = (id) => (id === MAX_ID ? 1 : id + 1);
        while (this.calls.has(this.nextId)) this.nextId = after(this.nextId);
        call.id = this.newest = this.nextId;
        this.nextId = after(call.id);
        this.calls.set(call.id, call);
    }
    sent() {}
    /* The end towards the application; the id stays in use until the terminal frame (M-99). */
    refuse(call, error, reason = REASON.APPLICATION) {
        if (call.isFree || (call.settled && !call.isTerminal)) return;
        if (!call.id) return void this.#free(call, error.with(FLAG.NOT_PROCESSED));
        if (call.isTerminal) return void this.#free(call, error);
        this.drop(call);
        call.settle(error);
        call.cancelledAt = now();
        this.push(frame(TYPE.CANCEL, call.id, u8(reason)));
    }
    #free(call, error, response) {
        if (call.id) this.calls.delete(call.id);
        this.drop(call);
        call.isFree = true;
        call.settle(error, response);
        call.end.resolve(error);
        this.flush();
    }
    take(call, message) { /* the application takes a chunk: M-80 */
        call.window.release(message.size);
        this.flush();
        try {
            return message.take();
        } catch (error) {
            this.refuse(call, error);
            throw error;
        }
    }
    receive(type, base, id, payload) {
        if (base === TYPE.HELLO_ACK) return this.#ack(readHello(payload));
        if (base === TYPE.GOAWAY) return this.#goaway(payload);
        if (id === 0) return this.over(this.told = readError(type, payload)); /* M-118 */
        const call = this.lookup(id);
        if (!call || (base === TYPE.CHUNK && payload.length === 0)) this.charge();
        if (!call) return undefined; /* M-29 */
        call.isTerminal = base === TYPE.ERROR || (base === TYPE.RESPONSE && !(type & MORE));
        return this.guard(call, () => { /* M-31 */
            if (base === TYPE.ERROR) return this.#free(call, readError(type, payload));
            if (call.settled) return this.#discard(call, payload.length);
            const message = this.assemble(call, type, payload);
            if (!message) return undefined;
            this.release(call);
            if (call.isTerminal) return this.#free(call, undefined, message.take());
            call.queue.push(message);
            return call.wake?.();
        });
    }
    #discard(call, bytes) { /* M-99 */
        call.window.receive(bytes);
        call.window.release(bytes);
        if (call.isTerminal) this.#free(call);
    }
    #ack(ack) {
        const grantsAll = ack.connectionLimit >= LIMIT.minAckWindow && ack.maxCalls >= LIMIT.minAckCalls;
        insist(ack.highest === REVISION && grantsAll, 'HELLO_ACK: revision or limits'); /* M-45, M-50 */
        Object.assign(this, { peer: ack, isUp: true });
        for (const { credit } of [...this.calls.values(), ...this.sending]) credit.limit = ack.callLimit;
        this.credit.limit = ack.connectionLimit;
        this.acked.resolve(ack);
        this.flush();
    }
    #goaway(payload) { /* M-113 */
        this.goneAway = { ...unpack(GOAWAY_FIELDS, payload), text: `${payload.subarray(8)}` };
        for (const call of [...this.sending].filter(({ id }) => !id)) this.refuse(call, this.#lost(call));
    }
    tickRole(time) { /* M-100 */
        if ([...this.calls.values()].some(({ cancelledAt }) => time - cancelledAt > this.timing.cancelled))
            this.fail(protocol('no terminal frame after CANCEL'));
    }
    #lost({ id }) { /* §19 */
        const isUnseen = !id || (this.goneAway && isNewer(id, this.goneAway.last)); /* M-115 */
        const error = local(CODE.UNAVAILABLE, this.goneAway ? 'the server goes away' : 'connection lost');
        return this.told?.notProcessed ? this.told : error.with(isUnseen ? FLAG.NOT_PROCESSED : 0);
    }
    over() {
        this.end();
        for (const call of [...this.calls.values(), ...this.sending]) this.#free(call, this.#lost(call));
        this.acked.reject(this.told ?? this.error ?? local(CODE.UNAVAILABLE, 'the connection is lost'));
        if (this.isGone) this.closed.resolve();
    }
    /** Ends the connection; open calls end with UNAVAILABLE. Resolves when it is closed. */
    close() { this.over(); return this.closed.promise; }
}

/* ---- the server, of both profiles ---- */

const hash = (bytes) => createHash('sha256').update(bytes).digest(); /* of equal length, for M-58 */

class Server extends Session {
    other = CLIENT;
    busy = new Set(); /* calls that count: M-63 */
    strayCredit = 0; /* bytes that may still come free for requests that we ended: M-127 */
    idleAt = now();
    constructor(socket, config) {
        super(socket, config);
        this.mine.maxCalls ||= LIMIT.calls;
        config.sessions.add(this);
    }
    header(header) {
        const isPlain = !this.isUp && (header.type & BASE) !== TYPE.HELLO; /* §5: the first header tells */
        if (isPlain) this.plain ??= new PlainService(this, this.config, this.mine.idleTimeout);
        if (this.plain) this.plain.header(header);
        else super.header(header);
    }
    frame(header, payload) {
        if (this.plain) this.plain.frame(header, payload);
        else super.frame(header, payload);
    }
    fail(error) {
        if (this.plain) this.destroy();
        else super.fail(error);
    }
    receive(type, base, id, payload) {
        if (base === TYPE.HELLO) this.#hello(readHello(payload));
        else if (base === TYPE.REQUEST) this.#request(type, id, payload);
        else if (base === TYPE.BATCH) this.#batch(type, payload);
        else if (base === TYPE.CANCEL) this.#cancel(this.lookup(id), payload[0]);
        else this.over(); /* ERROR on SeqID 0: M-118 */
    }
    #hello(hello) {
        const features = hello.features & this.mine.features; /* M-51 */
        const given = Buffer.from(hello.authentication ?? []), due = cat(u8(BEARER), this.config.key);
        insist(!this.config.key || timingSafeEqual(hash(given), hash(due)), 'a valid key is needed',
            CODE.UNAUTHENTICATED, FLAG.NOT_PROCESSED); /* M-57 */
        this.credit = new SendWindow(hello.connectionLimit);
        Object.assign(this, { peer: { ...hello, features }, isUp: true });
        this.push(writeHello(TYPE.HELLO_ACK, { ...this.mine, features }));
    }
    #open(id) {
        const call = Object.assign(new Call(this), { id, lane: 0, abort: new AbortController() });
        if (isNewer(id, this.newest)) this.newest = id;
        this.calls.set(id, call);
        return call;
    }
    #request(type, id, payload) {
        const isFirst = (type & EXT) !== 0, known = isFirst ? this.calls.get(id) : this.lookup(id);
        insist(!isFirst || !known, 'REQUEST on a SeqID in use'); /* M-24 */
        insist(isFirst || !known || known.incoming, 'REQUEST behind its last fragment'); /* M-25 */
        const call = isFirst ? this.#open(id) : known;
        if (!call) return this.#stray(payload.length);
        call.isCut = (type & MORE) !== 0;
        return this.guard(call, () => {
            const message = this.assemble(call, type, payload);
            if (isFirst) this.#admit(call, (message ?? call.incoming).fields);
            if (message) this.#start(call, call.message = message);
        });
    }
    #stray(length) { /* M-127 */
        this.strayCredit -= Math.max(length, LIMIT.minFragment);
        if (this.strayCredit < 0) this.charge(this.strayCredit = 0);
    }
    #batch(type, payload) { /* §20 */
        insist(this.peer.features & FEATURE.BATCH, 'BATCH was not agreed on'); /* M-122 */
        let block, rest = payload, fields, wrong;
        try {
            [block, rest] = splitBlock(type, payload);
            fields = readBlock(block);
            const { compression, totalLength } = fields; /* M-123 */
            demand(!compression && totalLength === undefined, 'TOTAL_LEN or COMPRESSION in a BATCH');
        } catch (error) {
            wrong = error; /* of each entry: M-124 */
        }
        const entries = readBatch(rest), isFree = (id) => isIn(id, 1, MAX_ID) && !this.calls.has(id);
        const ids = new Set(entries.map(([id]) => id).filter(isFree));
        insist(ids.size === entries.length, 'BATCH: a SeqID is wrong, in use or there twice'); /* M-121 */
        for (const [id, body] of entries) {
            const call = this.#open(id);
            this.guard(call, () => {
                call.window.receive(body.length);
                if (wrong) throw wrong;
                call.message = new Message(TYPE.REQUEST, fields);
                call.message.add(body, body.length, false, this.mine.maxMessage);
                this.hold(call, body.length);
                this.#admit(call, fields);
                this.#start(call);
            });
        }
    }
    /* The first frame of a call: may it be, and what does it ask for? */
    #admit(call, { method, codec = 0, lane = 0, deadlineMs, streamLimit, compression: [packed] = [0] }) {
        const { features, compressions } = this.peer, { handlers } = this.config, { mine } = this;
        const areListed = [mine.compressions, compressions].every((list) => list.includes(packed));
        demand(!this.isLeaving, 'the server goes away', CODE.UNAVAILABLE); /* M-113 */
        demand(this.busy.size < mine.maxCalls, 'too many calls', CODE.OVERLOADED); /* M-62 */
        demand(method !== undefined, 'no METHOD'); /* M-39, then M-40, M-41, M-56, M-55 */
        demand(Object.hasOwn(handlers, method), 'no such METHOD', CODE.UNIMPLEMENTED);
        demand(mine.codecs.includes(codec), 'an unknown CODEC', CODE.UNIMPLEMENTED);
        demand(!lane || features & FEATURE.LANES, 'lanes were not agreed on', CODE.UNIMPLEMENTED);
        demand(!packed || (features & FEATURE.COMPRESSION && areListed), 'not agreed on', CODE.UNIMPLEMENTED);
        this.busy.add(call);
        Object.assign(call, { lane, codec });
        call.credit.limit = streamLimit ?? call.credit.limit;
        const error = new McpError(CODE.DEADLINE_EXCEEDED, 'the deadline is over');
        const expire = () => this.refuse(call, error); /* M-94 */
        if (deadlineMs === 0) expire();
        else if (deadlineMs) call.timer = setTimeout(expire, Math.min(deadlineMs, MAX_ID));
    }
    /* Runs a complete call, in a lane when all before it are over. */
    #start(call) {
        const isHead = !call.lane || [...this.calls.values()].find(({ lane }) => lane === call.lane) === call;
        if (call.isOver || !call.message || !isHead) return;
        this.guard(call, () => {
            const { id, codec, abort, message } = call, { fields, algorithm } = message;
            const { body } = message.take();
            this.release(call);
            if (algorithm) this.hold(call, body.length);
            Object.assign(call, { message: undefined, isBegun: true, isRunning: true });
            this.#run(call, { ...fields, body, codec, id, signal: abort.signal });
        });
    }
    async #run(call, request) {
        try {
            const send = (chunk) => this.#send(call, TYPE.CHUNK, chunk);
            await this.#send(call, TYPE.RESPONSE, await this.config.handlers[request.method](request, send));
        } catch (error) {
            if (call.out.length > 0) await new Promise(setImmediate); /* behind what credit lets go: M-78 */
            this.refuse(call, asMcpError(error));
        }
        call.isRunning = false;
        this.#letGo(call);
    }
    /* {body, metadata} or a body; resolves when all has left, so a producer runs no faster than credit. */
    #send(call, type, answer) {
        const metadata = answer?.metadata, bytes = toBuffer(answer?.body ?? answer);
        demand(!call.isOver, 'the call is over', CODE.CANCELLED);
        demand(bytes.length <= this.peer.maxMessage, 'the answer is too large', CODE.TOO_LARGE); /* M-68 */
        return this.post(call, type, bytes, () => ({ metadata }));
    }
    mayBegin() { return true; }
    begins(call, { type }) { call.isPartial ||= type === TYPE.CHUNK; }
    sent(call, { type, done }) {
        done.resolve();
        if (type === TYPE.RESPONSE) this.#finish(call);
    }
    refuse(call, error) {
        if (call.isOver) return;
        const flags = (call.isBegun ? 0 : FLAG.NOT_PROCESSED) | (call.isPartial ? FLAG.PARTIAL : 0);
        this.push(writeError(call.id, error.with(flags)));
        this.#finish(call);
    }
    #cancel(call, reason) { /* M-98 */
        if (!call) return this.charge();
        call.reason = Object.values(REASON).includes(reason) ? reason : REASON.APPLICATION;
        return this.refuse(call, new McpError(CODE.CANCELLED, 'cancelled'));
    }
    /* The terminal frame is on its way, or nobody is there to take it. */
    #finish(call) {
        if (call.isCut) this.strayCredit += Math.max((call.window.limit - call.window.received) | 0, 0);
        this.calls.delete(call.id);
        this.drop(call);
        call.isOver = true;
        call.abort.abort(call.reason);
        this.idleAt = now();
        this.#letGo(call);
        const next = [...this.calls.values()].find(({ lane }) => lane && lane === call.lane);
        if (next) this.#start(next); /* M-106 */
    }
    #letGo(call) {
        if (call.isRunning || !call.isOver) return;
        this.busy.delete(call);
        this.release(call);
    }
    /** Asks for no new calls; ends the open ones when @grace seconds are over. */
    goaway({ reason = GOAWAY.MAINTENANCE, grace = 0, text = '' } = {}) {
        if (this.isLeaving || !this.isUp) return;
        this.isLeaving = true;
        const fields = pack(GOAWAY_FIELDS, { last: this.newest, reason, grace });
        this.push(frame(TYPE.GOAWAY, 0, cat(fields, text)));
        const error = new McpError(CODE.UNAVAILABLE, 'the server goes away');
        const refuse = (call) => this.refuse(call, error);
        this.graceTimer = setTimeout(() => this.calls.forEach(refuse), grace * SECOND); /* M-114 */
    }
    tickRole(time) { /* M-116 */
        const { idleTimeout } = this.mine, isIdle = idleTimeout > 0 && this.calls.size === 0;
        if (this.plain) this.plain.tick(time);
        else if (isIdle && time - this.idleAt > idleTimeout * SECOND) this.goaway({ reason: GOAWAY.IDLE });
    }
    over() { /* the client is gone, or will be: M-119 */
        this.end();
        clearTimeout(this.graceTimer);
        this.plain?.abort.abort(REASON.CALLER_GONE);
        const reason = REASON.CALLER_GONE;
        for (const call of this.calls.values()) this.#finish(Object.assign(call, { reason }));
        if (this.isGone) this.config.sessions.delete(this);
    }
}

/* ---- doors ---- */

/**
 * A client, as soon as the connection stands; client.ready resolves with the ACK.
 * Options: host, port, key, hello (fields of it), fragmentSize, timing, firstId, tap(way, type, id, bytes).
 * client.call(method, body, {codec, deadlineMs, trace, metadata, session, lane, streamLimit, compression})
 */
export const connect = async (options) => new Client(await dialSocket(options), options);
export const plainConnect = async (options) => new PlainClient(await dialSocket(options), options.timing);

/**
 * A server of both profiles. Options: port, host, key, plain (false: 426), hello, timing, fragmentSize, tap,
 * handlers: {name: async (request, send) => answer}. A request has body, codec, metadata, signal, ...;
 * send(chunk) resolves when the chunk has left. Chunk, answer: bytes, text, {body, metadata}; a throw: ERROR.
 */
export async function serve(options) {
    const config = { ...options, sessions: new Set() };
    return { ...await listenOn((socket) => new Server(socket, config), options), sessions: config.sessions };
}
