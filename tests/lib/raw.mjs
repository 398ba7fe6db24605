// SPDX-License-Identifier: MIT
/*
 * HTTP/1.1 where bytes matter: a socket, and answers read with their chunks and times of arrival
 */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { within } from './test.mjs';

/** A request as bytes; fields is an object or a list of lines; Host and Content-Length are added unless given. */
export function request(method, target, { fields = {}, body, host = '127.0.0.1', version = '1.1' } = {}) {
    const lines = Array.isArray(fields) ? [...fields] : Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
    const has = (name) => lines.some((line) => line.toLowerCase().startsWith(name));
    if (!has('host:') && host !== null)
        lines.unshift(`Host: ${host}`);
    const text = typeof body === 'object' ? JSON.stringify(body) : body;
    if (text !== undefined && !has('content-length:') && !has('transfer-encoding:'))
        lines.push(`Content-Length: ${Buffer.byteLength(text)}`);
    return `${method} ${target} HTTP/${version}\r\n${lines.join('\r\n')}\r\n\r\n${text ?? ''}`;
}

export class RawAnswer {
    constructor(status, fields) {
        this.status = status;
        this.fields = fields;
        this.chunks = []; /* {data, at}: chunks as framed, with their time of arrival */
        this.pieces = [];
        this.isComplete = false; /* ended as its framing says */
    }

    get body() {
        if (this.pieces.length > 1)
            this.pieces = [Buffer.concat(this.pieces)];
        return this.pieces[0] ?? Buffer.alloc(0);
    }

    get(name) {
        return this.fields.filter(([key]) => key === name.toLowerCase()).map(([, value]) => value).join(', ') || undefined;
    }

    get text() {
        return this.body.toString();
    }

    get json() {
        return JSON.parse(this.text);
    }

    /** NDJSON lines, each whole. */
    get records() {
        assert.ok(this.body.length === 0 || this.text.endsWith('\n'), `half a record reached the client: ${this.text.slice(-200)}`);
        return this.text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
    }
}

export class Raw {
    /** Connects to a port of 127.0.0.1; closed with @owner. */
    static async connect(owner, port, { host = '127.0.0.1' } = {}) {
        const raw = new Raw();
        raw.bytes = Buffer.alloc(0);
        raw.end = undefined; /* 'fin', or the code of the error that ended it */
        raw.wake = [];
        raw.socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
        raw.socket.on('data', (data) => raw.#on(() => (raw.bytes = Buffer.concat([raw.bytes, data]))));
        raw.socket.on('end', () => raw.#on(() => (raw.end ??= 'fin')));
        raw.socket.on('error', (error) => raw.#on(() => (raw.end ??= error.code)));
        raw.socket.on('close', () => raw.#on(() => (raw.end ??= 'closed')));
        owner.after(() => raw.socket.destroy());
        await within(new Promise((resolve, reject) => {
            raw.socket.once('connect', resolve);
            raw.socket.once('error', reject);
        }), `connection to ${port}`);
        return raw;
    }

    #on(change) {
        change();
        for (const wake of this.wake.splice(0))
            wake();
    }

    /** Resolves at the next bytes or the end. */
    #more() {
        return new Promise((resolve) => this.wake.push(resolve));
    }

    send(data) {
        return new Promise((resolve) => this.socket.write(data, () => resolve()));
    }

    /** FIN: we send no more, but read on. */
    halfClose() {
        this.socket.end();
    }

    /** Resolves with how the peer ended the connection; fails with unexpected bytes. */
    async closed() {
        await within((async () => {
            while (this.end === undefined)
                await this.#more();
        })(), 'the peer closes the connection');
        assert.equal(this.bytes.toString(), '', 'nothing follows the answer');
        return this.end;
    }

    async #upTo(mark) {
        let at;
        while ((at = this.bytes.indexOf(mark)) < 0) {
            if (this.end !== undefined)
                return undefined;
            await this.#more();
        }
        return this.#take(at + mark.length);
    }

    #take(n) {
        const piece = this.bytes.subarray(0, n);
        this.bytes = this.bytes.subarray(n);
        return piece;
    }

    async #exactly(n) {
        while (this.bytes.length < n) {
            if (this.end !== undefined)
                return undefined;
            await this.#more();
        }
        return this.#take(n);
    }

    /** Head of the next answer, its body not read yet. */
    async head() {
        const head = await within(this.#upTo('\r\n\r\n'), 'an answer', 9_000);
        assert.ok(head, `no answer; the connection ended: ${this.end}; bytes: ${JSON.stringify(this.bytes.toString())}`);
        const [first, ...lines] = head.toString('latin1').slice(0, -4).split('\r\n');
        const match = /^HTTP\/1\.[01] (\d{3}) /.exec(first);
        assert.ok(match, `status line: ${JSON.stringify(first)}`);
        return new RawAnswer(Number(match[1]), lines.map((line) => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }));
    }

    /** Reads one more chunk of a chunked body into the answer. Returns its text, or undefined at the end. */
    async chunk(answer) {
        const line = await this.#upTo('\r\n');
        if (!line)
            return undefined;
        const size = parseInt(line.toString(), 16);
        if (size === 0) {
            answer.isComplete = (await this.#upTo('\r\n')) !== undefined;
            return undefined;
        }
        const data = await this.#exactly(size + 2);
        if (!data)
            return undefined;
        const content = data.subarray(0, size);
        answer.chunks.push({ data: content.toString(), at: performance.now() });
        answer.pieces.push(content);
        return content.toString();
    }

    async body(answer) {
        if (answer.get('transfer-encoding') !== undefined) {
            assert.equal(answer.get('transfer-encoding'), 'chunked');
            while ((await this.chunk(answer)) !== undefined)
                continue;
            return answer;
        }
        const length = answer.get('content-length');
        if (length !== undefined) {
            const body = await this.#exactly(Number(length));
            answer.pieces.push(body ?? this.#take(this.bytes.length));
            answer.isComplete = body !== undefined;
            return answer;
        }
        while (this.end === undefined)
            await this.#more();
        answer.pieces.push(this.#take(this.bytes.length));
        answer.isComplete = this.end === 'fin';
        return answer;
    }

    /** The next answer, whole or as far as it came. */
    async answer({ toHead = false } = {}) {
        const answer = await this.head();
        if (toHead || answer.status === 204 || answer.status === 304 || answer.status < 200) {
            answer.isComplete = true;
            return answer;
        }
        return within(this.body(answer), 'the rest of the answer', 30_000);
    }
}

/** One request on a connection of its own. */
export async function exchange(owner, port, bytes, options) {
    const raw = await Raw.connect(owner, port);
    await raw.send(bytes);
    const answer = await raw.answer(options);
    raw.socket.destroy();
    return answer;
}

/** Connects; resolves with undefined when it worked, else with the error's code. */
export function connectError(port) {
    return new Promise((resolve) => {
        const socket = connect({ port, host: '127.0.0.1' });
        socket.once('connect', () => {
            socket.destroy();
            resolve(undefined);
        });
        socket.once('error', (error) => resolve(error.code));
    });
}
