// SPDX-License-Identifier: MIT
/*
 * The independent peer against itself and against frames by hand: both roles, both profiles, the golden vectors
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ROOT } from '../lib/chasqui.mjs';
import { test, until } from '../lib/test.mjs';
import { dial, listen, raw } from './hand.mjs';
import { BASE, CODE, COMPRESSION, EXT, FEATURE, FLAG, LIMIT, MAX_ID, MORE, McpError, ORIGIN, REASON,
         ReceiveWindow, SendWindow, TAG, TYPE, connect, plainConnect, serve } from './mcp.mjs';

const MIB = 2 ** 20, { cat, u8, u16, u32, frame, tlv } = raw;
const echo = async ({ body, metadata }) => ({ body, metadata });
const untilAborted = ({ signal }) => new Promise((resolve) => { signal.addEventListener('abort', () => resolve(signal.reason)); });
async function count({ body }, send) {
    for (let n = 0; n < Number(body); n++)
        await send(`${n}`);
    return 'end';
}

/* A server and a connection to it, both closed with the test. */
async function pair(t, { handlers, server: serverOptions, client: clientOptions } = {}) {
    const server = await serve({ handlers: { echo, count, ...handlers }, ...serverOptions });
    t.after(() => server.close());
    const client = await connect({ port: server.port, ...clientOptions });
    return { server, client };
}
/* Frames by hand to a server that has answered HELLO. */
async function rawPair(t, { handlers, hello, server: options } = {}) {
    const server = await serve({ handlers: { echo, count, ...handlers }, ...options });
    t.after(() => server.close());
    const peer = await dial(server);
    peer.send(raw.hello(hello));
    assert.equal((await peer.next()).type, TYPE.HELLO_ACK);
    return { server, peer };
}
/* A client whose server is by hand and has answered HELLO. */
async function rawServer(t, ack, options) {
    let accept;
    const accepted = new Promise((resolve) => { accept = resolve; });
    const listener = await listen(accept);
    t.after(() => listener.close());
    const client = await connect({ ...listener, ...options });
    const peer = await accepted;
    assert.equal((await peer.next()).type, TYPE.HELLO);
    peer.send(raw.ack(ack));
    return { client, peer };
}
async function collect(call) {
    const chunks = [];
    for await (const { body } of call.chunks)
        chunks.push(body.toString());
    return [chunks, (await call.response).body.toString()];
}
const nextError = async (peer) => {
    const { type, id, payload } = await peer.next();
    assert.equal(type & BASE, TYPE.ERROR);
    return [id, raw.readError(type, payload)];
};
const fails = (promise, code, flags) => assert.rejects(promise, (error) => {
    assert.ok(error instanceof McpError);
    assert.deepEqual([error.codeName, flags === undefined ? undefined : error.flags], [code, flags]);
    return true;
});

test('echo, unary and streamed, with metadata, before the ACK and after it', async (t) => {
    const { client } = await pair(t);
    const early = client.call('echo', 'Hi', { metadata: [['class', 'small']] });
    assert.deepEqual(await early.response, { body: Buffer.from('Hi'), metadata: [['class', 'small']] });
    assert.equal((await client.ready).maxCalls, 256);
    assert.deepEqual(await collect(client.call('count', '3')), [['0', '1', '2'], 'end']);
    await client.ping();
});

test('a handler sees what the block says', async (t) => {
    let seen;
    const { client } = await pair(t, { handlers: { look: async (request) => { seen = request; } } });
    const trace = Buffer.alloc(25, 7);
    await client.call('look', '{}', { codec: 1, trace, session: 's', deadlineMs: 5000, metadata: [['hops', '1']] }).response;
    assert.deepEqual([seen.method, seen.codec, seen.trace, `${seen.session}`, seen.metadata], ['look', 1, trace, 's', [['hops', '1']]]);
    assert.ok(seen.deadlineMs > 0 && seen.deadlineMs <= 5000);
});

test('100 streams at once, each in order', async (t) => {
    const { client } = await pair(t);
    const expected = Array.from({ length: 50 }, (_, n) => `${n}`);
    const all = await Promise.all(Array.from({ length: 100 }, () => collect(client.call('count', '50'))));
    assert.ok(all.every(([chunks, last]) => chunks.join() === expected.join() && last === 'end'));
});

test('more calls than the server takes wait in the client', async (t) => {
    const { client } = await pair(t, { server: { hello: { maxCalls: LIMIT.minAckCalls } } });
    const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => client.call('echo', `${n}`).response));
    assert.deepEqual(answers.map(({ body }) => Number(body)), Array.from({ length: 200 }, (_, n) => n));
});

test('10 MiB both ways; a small call passes after the fragments of two writes at most', async (t) => {
    const body = Buffer.alloc(10 * MIB, 'chasqui '), between = [], perWrite = LIMIT.write / LIMIT.fragment;
    let asked, bulk = 0, big = 0;
    const tap = (direction, type, id) => {
        if (id === big && direction === 'out' && type & MORE)
            bulk += 1;
        else if (direction === 'in' && (type & BASE) === TYPE.REQUEST && id !== big)
            asked = bulk;
        else if (direction === 'out' && type === TYPE.RESPONSE && id !== big)
            between.push(bulk - asked);
    };
    const { client } = await pair(t, { server: { tap } });
    await client.ready;
    const call = client.call('echo', body);
    await until(() => call.id, 'the first fragment');
    big = call.id;
    let done = false;
    const answer = call.response.finally(() => { done = true; });
    while (!done)
        assert.equal((await client.call('echo', 'Hi').response).body.toString(), 'Hi');
    assert.ok((await answer).body.equals(body));
    assert.ok(between.length > 3, 'small calls were answered beside the large one');
    assert.ok(Math.max(...between) <= 2 * perWrite, `fragments between: ${between}`);
});

test('a small message leaves before a large one that was handed over first', async (t) => {
    const { client, peer } = await rawServer(t);
    await client.ready;
    const large = client.call('echo', Buffer.alloc(MIB)), small = client.call('echo', 'Hi');
    const types = [await peer.next(), await peer.next()].map(({ type }) => type);
    assert.deepEqual(types, [TYPE.REQUEST | EXT, TYPE.REQUEST | EXT | MORE]);
    assert.deepEqual([small.id, large.id], [1, 2]);
    peer.close();
});

test('windows of the least size carry a message that is longer than they are', async (t) => {
    const hello = { connectionLimit: LIMIT.minAckWindow, callLimit: LIMIT.minWindow, maxFrame: LIMIT.minFrame };
    const { client } = await pair(t, { server: { hello }, client: { hello: { ...hello, connectionLimit: LIMIT.minWindow } } });
    const body = Buffer.alloc(MIB, 'x');
    const answers = await Promise.all([1, 2, 3].map(() => client.call('echo', body).response));
    assert.ok(answers.every((answer) => answer.body.equals(body)));
});

test('an ERROR of a handler goes behind the chunks that credit lets go, and discards the others [M-78]', async (t) => {
    const broken = async ({ body }, send) => {
        for (let n = 0; n < Number(body); n++)
            send(Buffer.alloc(1000, `${n}`));
        throw new Error('no');
    };
    const { client } = await pair(t, { handlers: { broken } }), seen = async (n) => {
        const chunks = [], call = client.call('broken', `${n}`, { streamLimit: LIMIT.minWindow });
        await assert.rejects(async () => { for await (const { body } of call.chunks) chunks.push(body); }, { code: CODE.INTERNAL, flags: FLAG.PARTIAL });
        return chunks.length;
    };
    assert.equal(await seen(3), 3);
    assert.equal(await seen(30), 8);
});

test('a consumer that does not take its chunks stops its producer, and no other', async (t) => {
    let sent = 0;
    const flood = async (_, send) => { for (; sent < 100; sent++) await send(Buffer.alloc(1000)); };
    const { client } = await pair(t, { handlers: { flood } });
    const call = client.call('flood', '', { streamLimit: LIMIT.minWindow });
    await until(() => sent >= 8, 'the window is full');
    await client.call('echo', 'Hi').response;
    assert.equal(sent, 8);
    for await (const { body } of call.chunks)
        assert.equal(body.length, 1000);
    assert.equal(sent, 100);
});

test('gzip both inflates and must match what was declared', async (t) => {
    const { client, server } = await pair(t), body = Buffer.alloc(MIB, 'x');
    await client.ready;
    assert.ok((await client.call('echo', body, { compression: COMPRESSION.GZIP }).response).body.equals(body));
    const peer = await dial(server);
    peer.send(raw.hello(), raw.message(TYPE.REQUEST, 1, { method: 'echo', compression: [COMPRESSION.GZIP, 5] }, Buffer.from('no gz')));
    await peer.next();
    assert.equal((await nextError(peer))[1].codeName, 'INVALID_ARGUMENT');
});

test('cancel: one completion, the reason at the handler, the id free after the terminal frame', async (t) => {
    let reason;
    const { client, server } = await pair(t, { handlers: { hang: async (request, send) => { await send('a'); reason = await untilAborted(request); } } });
    const call = client.call('hang');
    assert.equal((await call.chunks.next()).value.body.toString(), 'a');
    call.cancel(REASON.CALLER_GONE);
    await fails(call.response, 'CANCELLED');
    await assert.rejects(call.chunks.next());
    const terminal = await call.closed;
    assert.deepEqual([terminal.codeName, terminal.flags, terminal.origin], ['CANCELLED', FLAG.PARTIAL, ORIGIN.TRANSPORT]);
    assert.equal(reason, REASON.CALLER_GONE);
    await until(() => [...server.sessions][0].busy.size === 0, 'the handler let go');
});

test('cancel in the middle of a request drops the rest of it', async (t) => {
    const sent = [], { client, server } = await pair(t, { client: { tap: (direction, type, id) => { if (direction === 'out') sent.push([type, id]); } } });
    await client.ready;
    const call = client.call('echo', Buffer.alloc(10 * MIB));
    await until(() => call.id, 'the first fragment');
    call.cancel();
    const terminal = await call.closed;
    assert.deepEqual([terminal.codeName, terminal.notProcessed], ['CANCELLED', true]);
    await client.call('echo', 'Hi').response;
    assert.ok(sent.findLastIndex(([type]) => type & MORE) < sent.findIndex(([type]) => type === TYPE.CANCEL));
    assert.equal([...server.sessions][0].held, 0);
});

test('a deadline ends the call at both ends', async (t) => {
    let reason;
    const { client } = await pair(t, { handlers: { hang: async (request) => { reason = await untilAborted(request) ?? 'deadline'; } } });
    await client.ready;
    const call = client.call('hang', '', { deadlineMs: 20 });
    await fails(call.response, 'DEADLINE_EXCEEDED');
    await call.closed;
    await until(() => reason !== undefined, 'the handler heard of it');
    const { peer } = await rawPair(t, { handlers: { hang: untilAborted } });
    peer.send(raw.message(TYPE.REQUEST, 1, { method: 'echo', deadlineMs: 0 }), raw.message(TYPE.REQUEST, 2, { method: 'hang', deadlineMs: 1 }));
    const first = await nextError(peer), second = await nextError(peer);
    assert.deepEqual([first[0], first[1].codeName, first[1].notProcessed], [1, 'DEADLINE_EXCEEDED', true]);
    assert.deepEqual([second[0], second[1].codeName, second[1].notProcessed], [2, 'DEADLINE_EXCEEDED', false]);
});

test('SeqIDs wrap and skip those in use', async (t) => {
    const release = [], hold = () => new Promise((resolve) => { release.push(resolve); });
    const { client } = await pair(t, { handlers: { hold }, client: { firstId: MAX_ID - 1 } });
    const calls = Array.from({ length: 3 }, () => client.call('hold'));
    await until(() => release.length === 3, 'all run');
    assert.deepEqual(calls.map(({ id }) => id), [MAX_ID - 1, MAX_ID, 1]);
    client.nextId = MAX_ID - 1;
    const next = client.call('echo');
    await next.response;
    assert.equal(next.id, 2);
    release.forEach((resolve) => resolve());
    await Promise.all(calls.map(({ response }) => response));
});

test('credit is counted modulo 2^32: the example of the page', () => {
    const window = new SendWindow(0x1000, 0xfffff000);
    assert.equal(window.left, 8192);
    window.take(5000);
    assert.deepEqual([window.sent, window.left], [0x388, 3192]);
    assert.deepEqual([0x3000, 0x1000, 0xfffffff0].map((limit) => [window.raise(limit) > 0, window.left]), [[true, 11384], [false, 11384], [false, 11384]]);
    const receiver = new ReceiveWindow(LIMIT.minWindow);
    Object.assign(receiver, { limit: 0x1000, received: 0xfffff000, released: 0xfffff000 });
    receiver.receive(5000);
    receiver.release(5000);
    assert.equal(receiver.due(), 0x2388);
    assert.throws(() => receiver.receive(8193), { code: CODE.FLOW_CONTROL });
});

test('calls of a lane run one after the other, in order', async (t) => {
    const events = [];
    const step = async ({ body }, send) => { events.push(`+${body}`); await send('x'); events.push(`-${body}`); };
    const { client } = await pair(t, { handlers: { step } });
    await Promise.all(['1', '2', '3'].map((n) => client.call('step', n, { lane: 9 })).map((call) => collect(call)));
    assert.deepEqual(events, ['+1', '-1', '+2', '-2', '+3', '-3']);
});

test('BATCH: each entry is a call; a wrong block fails each, wrong entries the connection', async (t) => {
    const { peer } = await rawPair(t);
    peer.send(raw.batch({ method: 'echo' }, [[4, Buffer.from('a')], [5, Buffer.from('bc')]]));
    assert.deepEqual([await peer.next(), await peer.next()].map(({ type, id, payload }) => [type, id, `${payload}`]), [[2, 4, 'a'], [2, 5, 'bc']]);
    peer.send(raw.batch(undefined, [[6, Buffer.from('a')], [7, Buffer.from('b')]]));
    for (const id of [6, 7])
        assert.deepEqual((await nextError(peer)).map((part) => part.codeName ?? part), [id, 'INVALID_ARGUMENT']);
    peer.send(raw.batch({ method: 'echo' }, [[8, Buffer.from('a')], [8, Buffer.from('b')]]));
    assert.deepEqual((await nextError(peer)).map((part) => part.codeName ?? part), [0, 'PROTOCOL']);
});

test('GOAWAY: open calls end, new ones are NOT_PROCESSED, then the connection closes', async (t) => {
    let release;
    const { client, server } = await pair(t, { handlers: { hold: () => new Promise((resolve) => { release = resolve; }) } });
    const call = client.call('hold');
    await until(() => release, 'the call runs');
    [...server.sessions][0].goaway({ grace: 30 });
    await until(() => client.goneAway, 'GOAWAY');
    assert.equal(client.goneAway.last, call.id);
    await fails(client.call('echo').response, 'UNAVAILABLE', FLAG.NOT_PROCESSED);
    release('done');
    assert.equal((await call.response).body.toString(), 'done');
    await until(() => client.isGone, 'the end');
});

test('GOAWAY twice: the last counts, and what is newer than its last is NOT_PROCESSED [M-113] [M-115]', async (t) => {
    const { client, peer } = await rawServer(t), calls = ['a', 'b', 'c'].map((body) => client.call('echo', body));
    for (let n = 0; n < 3; n++)
        await peer.next();
    peer.send(raw.goaway(3, 1, 30, 'soon'), raw.goaway(2, 7, 0, 'now'), frame(TYPE.RESPONSE, 1, Buffer.from('a')));
    assert.equal(`${(await calls[0].response).body}`, 'a');
    assert.deepEqual(client.goneAway, { last: 2, reason: 7, grace: 0, text: 'now' });
    await fails(client.call('echo').response, 'UNAVAILABLE', FLAG.NOT_PROCESSED);
    peer.close();
    await fails(calls[1].response, 'UNAVAILABLE', 0);
    await fails(calls[2].response, 'UNAVAILABLE', FLAG.NOT_PROCESSED);
});

test('credit ends at its byte, that of a call and that of the connection [M-74]', async (t) => {
    const window = LIMIT.minWindow, head = raw.writeBlock({ method: 'echo' }).length;
    for (const [hello, made] of [
        [{ callLimit: window }, (n) => raw.message(TYPE.REQUEST, 1, { method: 'echo' }, Buffer.alloc(n - head))],
        [{ connectionLimit: window }, (n) => frame(0x20, 0, Buffer.alloc(n))],
    ])
        for (const [bytes, isOver] of [[window, false], [window + 1, true]]) {
            const { peer } = await rawPair(t, { server: { hello } });
            peer.send(made(bytes), raw.ping(Buffer.alloc(8)));
            const types = [];
            while (!types.some((type) => type === TYPE.PONG || type === TYPE.ERROR))
                types.push((await peer.next()).type);
            assert.equal(types.at(-1), isOver ? TYPE.ERROR : TYPE.PONG, `${bytes} bytes`);
        }
});

test('a lost connection ends every call once', async (t) => {
    const { client, server } = await pair(t, { handlers: { hang: untilAborted } });
    const call = client.call('hang');
    await until(() => server.sessions.size === 1 && [...server.sessions][0].busy.size === 1, 'the call runs');
    [...server.sessions][0].destroy();
    await fails(call.response, 'UNAVAILABLE', 0);
    await fails(client.call('echo').response, 'UNAVAILABLE', FLAG.NOT_PROCESSED);
});

test('a key: HELLO without the right one is UNAUTHENTICATED, and none of its calls runs', async (t) => {
    const { client, server } = await pair(t, { server: { key: 'secret' }, client: { key: 'secret' } });
    await client.call('echo', 'Hi').response;
    const wrong = await connect({ port: server.port, key: 'wrong' });
    await fails(wrong.call('echo').response, 'UNAUTHENTICATED', FLAG.NOT_PROCESSED);
    const plain = await plainConnect(server);
    assert.equal((await plain.call('echo', 'Hi')).status, 401);
});

test('plain profile: echo, streams in one body, every status of its own', async (t) => {
    const { server } = await pair(t, { handlers: { large: async () => Buffer.alloc(LIMIT.payload), broken: async () => { throw new Error('no'); } } });
    const plain = await plainConnect(server);
    const answers = await Promise.all([['echo', 'Hi'], ['count', '3'], ['', ''], ['large', ''], ['broken', '']].map((call) => plain.call(...call)));
    assert.deepEqual(answers.map(({ status, body }) => [status, `${body}`]), [[200, 'Hi'], [200, '012end'], [404, ''], [413, ''], [500, '']]);
    const all = await Promise.all(Array.from({ length: 300 }, (_, n) => plain.call('echo', `${n}`)));
    assert.ok(all.every(({ body }, n) => `${body}` === `${n}`));
    plain.close();
});

test('plain profile: malformed Requests are 400, unknown fields are skipped, the last of a field counts', async (t) => {
    const { server } = await pair(t), peer = await dial(server);
    const status = async (...hex) => {
        peer.send(frame(TYPE.REQUEST, 1, Buffer.from(hex.join(''), 'hex')));
        return raw.readPlain('Response', (await peer.next()).payload);
    };
    for (const wrong of ['0a', '0a056563686f', '08c801', '0b', '0c', '0200', '12ffffffffffffffffffff01', `18${'ff'.repeat(9)}02`])
        assert.equal((await status(wrong)).status, 400, wrong);
    const { status: ok, body } = await status('0a0178', '0a046563686f', '1805', '2201ff', '290000000000000000', '3500000000', '120161', '120162');
    assert.deepEqual([ok, `${body}`], [200, 'b']);
    peer.send(frame(TYPE.REQUEST | MORE, 2));
    assert.equal(await peer.next(), undefined);
});

test('the golden vectors: the same bytes are written, and read', async (t) => {
    const lines = readFileSync(`${ROOT}/tests/golden/mcp/vectors.hex`, 'utf8').split('\n').filter((line) => /^\w/.test(line));
    const golden = Object.fromEntries(lines.map((line) => [line.split(' ')[0], Buffer.from(line.replace(/^\w+|\s/g, ''), 'hex')]));
    const all = [0, 1, 2], trace = Buffer.from('4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b701', 'hex');
    const made = {
        plain_request: raw.plainRequest(1, 'echo', Buffer.from('Hi')),
        plain_response: raw.plainResponse(1, { status: 200, body: Buffer.from('Hi') }),
        hello: raw.hello({ features: 0x1f, maxFrame: 16384, maxMessage: 16 * MIB, codecs: all, compressions: all, software: undefined }),
        request: raw.message(TYPE.REQUEST, 2, { method: 'echo', deadlineMs: 250, trace }, Buffer.from('Hi')),
        first_fragment: raw.message(TYPE.REQUEST | MORE, 3, { method: 'echo', totalLength: 70000 }, Buffer.alloc(4, 0xaa)),
        last_fragment: raw.message(TYPE.REQUEST, 3, undefined, Buffer.alloc(4, 0xbb)),
        chunk: raw.message(TYPE.CHUNK, 2, undefined, Buffer.from('Hi')),
        cancel: raw.cancel(2, REASON.DEADLINE),
        error: raw.error(2, { code: CODE.CANCELLED, flags: FLAG.PARTIAL, origin: ORIGIN.GATEWAY, message: 'cancelled' }),
        credit: raw.credit([[0, 2 * MIB], [2, MIB / 2]]),
        ping: raw.ping(Buffer.from([0, 1, 2, 3, 4, 5, 6, 7])),
        goaway: raw.goaway(2, 1, 30),
        batch: raw.batch({ method: 'echo' }, [[4, Buffer.from('a')], [5, Buffer.from('bc')]]),
    };
    assert.deepEqual(Object.keys(golden).sort(), Object.keys(made).sort());
    for (const [name, bytes] of Object.entries(made))
        assert.equal(bytes.toString('hex'), golden[name].toString('hex'), name);

    const { server } = await pair(t), peer = await dial(server), plain = await dial(server);
    plain.send(golden.plain_request);
    assert.equal(frame(TYPE.RESPONSE, 1, (await plain.next()).payload).toString('hex'), golden.plain_response.toString('hex'));
    for (const byte of cat(golden.hello, golden.request)) /* M-2: cut at every byte */
        peer.send(u8(byte));
    assert.equal((await peer.next()).type, TYPE.HELLO_ACK);
    assert.deepEqual(await peer.next(), { type: TYPE.RESPONSE, id: 2, payload: Buffer.from('Hi') });
    peer.send(golden.first_fragment, golden.last_fragment, golden.cancel, golden.credit, golden.ping, golden.batch);
    const [id, error] = await nextError(peer);
    assert.deepEqual([id, error.codeName], [3, 'INVALID_ARGUMENT']); /* M-67, on purpose */
    assert.deepEqual([await peer.next(), await peer.next(), await peer.next()].map(({ type }) => type), [TYPE.PONG, TYPE.RESPONSE, TYPE.RESPONSE]);

    const { client, peer: hand } = await rawServer(t);
    const call = client.call('echo', '', {}), other = client.call('echo');
    await hand.next();
    await hand.next();
    hand.send(golden.chunk, golden.error, golden.goaway);
    await fails(other.response, 'CANCELLED', FLAG.PARTIAL);
    assert.equal((await other.chunks.next()).value.body.toString(), 'Hi');
    await until(() => client.goneAway, 'GOAWAY');
    assert.deepEqual(client.goneAway, { last: 2, reason: 1, grace: 30, text: '' });
    hand.close();
    await fails(call.response, 'UNAVAILABLE', 0);
});

/* What a server refuses: name, frames behind HELLO, SeqID and code of the ERROR. */
const request = (id, fields, body, flags) => raw.message(TYPE.REQUEST, id, fields, body, flags);
const withBlock = (...tlvs) => frame(TYPE.REQUEST | EXT, 1, cat(u16(cat(...tlvs).length), ...tlvs));
const METHOD = tlv(TAG.METHOD, Buffer.from('echo')), CUT = Buffer.alloc(2000);
const REFUSED = [
    ['M-3 a frame over max frame', [frame(TYPE.REQUEST, 1, Buffer.alloc(5000))], 0, 'PROTOCOL', { hello: { maxFrame: 4096 } }],
    ['M-16 RESPONSE from a client', [frame(TYPE.RESPONSE, 1)], 0, 'PROTOCOL'],
    ['M-17 REQUEST on SeqID 0', [frame(TYPE.REQUEST | EXT, 0, u16(0))], 0, 'PROTOCOL'],
    ['M-17 a SeqID above the highest', [request(MAX_ID + 1, { method: 'echo' })], 0, 'PROTOCOL'],
    ['M-18 PING with MORE', [frame(TYPE.PING | MORE, 0, Buffer.alloc(8))], 0, 'PROTOCOL'],
    ['M-19 PING of 7 bytes', [frame(TYPE.PING, 0, Buffer.alloc(7))], 0, 'PROTOCOL'],
    ['M-19 CREDIT of 12 bytes', [frame(TYPE.CREDIT, 0, Buffer.alloc(12))], 0, 'PROTOCOL'],
    ['M-20 a reserved type', [frame(0x05, 0)], 0, 'PROTOCOL'],
    ['M-22 ERROR on a call', [raw.error(1, { code: 1 })], 0, 'PROTOCOL'],
    ['M-23 HELLO again', [raw.hello()], 0, 'PROTOCOL'],
    ['M-24 a SeqID in use', [request(1, { method: 'hang' }), request(1, { method: 'echo' })], 0, 'PROTOCOL'],
    ['M-25 a fragment behind the last', [request(1, { method: 'hang' }), request(1)], 0, 'PROTOCOL'],
    ['M-28 a fragment of no call', [request(1)], 0, 'PROTOCOL'],
    ['M-28 CANCEL of no call', [raw.cancel(1)], 0, 'PROTOCOL'],
    ['M-28 CREDIT for no call', [raw.credit([[1, 9]])], 0, 'PROTOCOL'],
    ['M-32 a block of 2,049 bytes', [withBlock(METHOD, ...Array(7).fill(tlv(0x77, Buffer.alloc(253))), tlv(0x77, Buffer.alloc(254)))], 1, 'INVALID_ARGUMENT'],
    ['M-33 a block beyond the payload', [frame(TYPE.REQUEST | EXT, 1, cat(u16(9), METHOD))], 1, 'INVALID_ARGUMENT'],
    ['M-33 a TLV of 255 bytes', [withBlock(METHOD, tlv(0x77, Buffer.alloc(255)))], 1, 'INVALID_ARGUMENT'],
    ['M-33 before M-38', [withBlock(METHOD, tlv(0xf7, u8(0)), tlv(0x77, u8(0), 9))], 1, 'INVALID_ARGUMENT'],
    ['M-34 TRACE of 24 bytes', [withBlock(METHOD, tlv(TAG.TRACE, Buffer.alloc(24)))], 1, 'INVALID_ARGUMENT'],
    ['M-34 METADATA without key', [withBlock(METHOD, tlv(TAG.METADATA, u8(0)))], 1, 'INVALID_ARGUMENT'],
    ['M-35 METHOD twice', [withBlock(METHOD, METHOD)], 1, 'INVALID_ARGUMENT'],
    ['M-36 METADATA over 1,024 bytes', [withBlock(METHOD, ...Array(5).fill(tlv(TAG.METADATA, cat(u8(1), Buffer.alloc(210)))))], 1, 'INVALID_ARGUMENT'],
    ['M-38 an unknown critical tag', [withBlock(METHOD, tlv(0xf7, u8(0)))], 1, 'UNIMPLEMENTED'],
    ['M-39 no METHOD', [withBlock()], 1, 'INVALID_ARGUMENT'],
    ['M-40 an unknown METHOD', [request(1, { method: 'nope' })], 1, 'UNIMPLEMENTED'],
    ['M-41 an unknown CODEC', [request(1, { method: 'echo', codec: 9 })], 1, 'UNIMPLEMENTED'],
    ['M-43 STREAM_LIMIT too low', [request(1, { method: 'echo', streamLimit: 8191 })], 1, 'INVALID_ARGUMENT'],
    ['M-55 zstd was not offered', [request(1, { method: 'echo', compression: [COMPRESSION.ZSTD, 1] })], 1, 'UNIMPLEMENTED'],
    ['M-65 MORE without TOTAL_LEN', [request(1, { method: 'echo' }, CUT, MORE)], 1, 'INVALID_ARGUMENT'],
    ['M-66 more than TOTAL_LEN', [request(1, { method: 'echo', totalLength: 2001 }, CUT, MORE), request(1, undefined, CUT)], 1, 'INVALID_ARGUMENT'],
    ['M-66 less than TOTAL_LEN', [request(1, { method: 'echo', totalLength: 9000 }, CUT, MORE), request(1, undefined, CUT)], 1, 'INVALID_ARGUMENT'],
    ['M-67 a fragment of 1,023 bytes', [request(1, { method: 'echo', totalLength: 9000 }, CUT.subarray(977), MORE)], 1, 'INVALID_ARGUMENT'],
    ['M-68 over max message', [request(1, { method: 'echo', totalLength: 0x7fffffff }, CUT, MORE)], 1, 'TOO_LARGE'],
    ['M-74 beyond the credit of a call', [request(1, { method: 'echo' }, Buffer.alloc(9000))], 0, 'FLOW_CONTROL', { hello: { callLimit: LIMIT.minWindow } }],
    ['M-126 a flood of PONG', Array(LIMIT.tokens + 400).fill(raw.pong(Buffer.alloc(8))), 0, 'OVERLOADED'],
];
for (const [name, frames, id, code, { hello } = {}] of REFUSED)
    test(`a server refuses: ${name}`, async (t) => {
        const { peer } = await rawPair(t, { handlers: { hang: untilAborted }, server: { hello } });
        peer.send(...frames);
        const answer = await peer.next();
        assert.deepEqual([answer.type & BASE, answer.id, raw.readError(answer.type, answer.payload).codeName], [TYPE.ERROR, id, code]);
        if (id === 0)
            assert.equal(await peer.next(), undefined);
        else {
            peer.send(request(2, { method: 'echo' }, Buffer.from('Hi')));
            assert.equal(`${(await peer.next()).payload}`, 'Hi', 'the connection goes on');
        }
    });

test('a server refuses HELLO: magic, flags, revisions, features, limits, TLVs', async (t) => {
    const { server } = await pair(t);
    for (const wrong of [{ magic: 'MCP2' }, { flags: 1 }, { lowest: 2, highest: 3 }, { features: 3 }, { maxFrame: 4095 }, { callLimit: 8191 },
                         { connectionLimit: 2 ** 31 }, { tail: u8(4) }]) {
        const peer = await dial(server);
        peer.send(raw.hello(wrong));
        assert.deepEqual((await nextError(peer)).map((part) => part.codeName ?? part), [0, 'PROTOCOL'], JSON.stringify(wrong));
        assert.equal(await peer.next(), undefined);
        peer.close();
    }
});

test('a byte that is no version closes at once, without an answer', async (t) => {
    const { server } = await pair(t);
    for (const first of [Buffer.alloc(0), raw.hello()]) {
        const peer = await dial(server);
        peer.send(first, Buffer.from('G'));
        let answer = await peer.next();
        if (answer?.type === TYPE.HELLO_ACK)
            answer = await peer.next();
        assert.equal(answer, undefined);
    }
});

test('ignored: unknown types between fragments, frames for a finished id, a PONG for no PING, unknown tags', async (t) => {
    const { peer } = await rawPair(t), body = Buffer.alloc(3000, 'x');
    peer.send(request(1, { method: 'echo', totalLength: 3000 }, body.subarray(0, 2000), MORE), frame(0x3f | MORE | EXT, 0xffffffff, Buffer.alloc(9)),
              request(1, undefined, body.subarray(2000)));
    assert.ok((await peer.next()).payload.equals(body));
    peer.send(raw.cancel(1), request(1, undefined, body), raw.credit([[1, 5]]), raw.pong(Buffer.alloc(8)),
              frame(TYPE.REQUEST | EXT, 1, cat(u16(12), METHOD, tlv(0x77, u8(1)), tlv(0x77, u8(2)), Buffer.from('Hi'))));
    assert.equal(`${(await peer.next()).payload}`, 'Hi');
});

/* What a client refuses in an answer: call errors with CANCEL, unless the frame was terminal; the rest ends the connection. */
for (const [name, answer, code, next] of [
    ['a RESPONSE with a malformed block', frame(TYPE.RESPONSE | EXT, 1, u16(9)), 'INVALID_ARGUMENT', undefined],
    ['a CHUNK with an unknown critical tag', frame(TYPE.CHUNK | EXT, 1, cat(u16(2), tlv(0xf7, cat()))), 'UNIMPLEMENTED', TYPE.CANCEL],
    ['an ERROR whose block has an unknown critical tag: its own code counts [M-31]', frame(TYPE.ERROR | EXT, 1, cat(u16(2), tlv(0xf7, cat()), u16(5), u16(0), u32(0), u16(0))), 'NOT_FOUND', undefined],
    ['a CHUNK with MORE without TOTAL_LEN', raw.message(TYPE.CHUNK | MORE, 1, undefined, CUT), 'INVALID_ARGUMENT', TYPE.CANCEL],
    ['a RESPONSE inside a CHUNK', cat(raw.message(TYPE.CHUNK | MORE, 1, { totalLength: 9000 }, CUT), frame(TYPE.RESPONSE, 1)), 'UNAVAILABLE', TYPE.ERROR],
    ['a RESPONSE to nothing', frame(TYPE.RESPONSE, 7), 'UNAVAILABLE', TYPE.ERROR],
    ['an ERROR with a wrong text length', frame(TYPE.ERROR, 1, cat(u16(1), u16(0), u32(0), u16(5))), 'UNAVAILABLE', TYPE.ERROR],
])
    test(`a client refuses: ${name}`, async (t) => {
        const { client, peer } = await rawServer(t);
        await client.ready;
        const call = client.call('echo');
        assert.equal((await peer.next()).type, TYPE.REQUEST | EXT);
        peer.send(answer);
        await fails(call.response, code);
        if (next === undefined)
            await call.closed;
        else
            assert.equal((await peer.next()).type, next);
    });

test('behind the terminal frame nothing counts: a CHUNK, a second terminal, CREDIT [M-29] [M-60]', async (t) => {
    const { client, peer } = await rawServer(t), call = client.call('echo');
    await peer.next();
    peer.send(frame(TYPE.RESPONSE, 1, Buffer.from('Hi')), frame(TYPE.RESPONSE, 1, Buffer.from('no')), frame(TYPE.CHUNK, 1, Buffer.from('no')),
              raw.error(1, { code: CODE.INTERNAL }), raw.credit([[1, MIB]]));
    assert.equal(`${(await call.response).body}`, 'Hi');
    assert.equal((await call.chunks.next()).done, true);
    assert.equal(await call.closed, undefined);
    await until(() => client.calls.size === 0, 'no call');
    const next = client.call('echo');
    assert.equal((await peer.next()).id, 2);
    peer.send(frame(TYPE.RESPONSE, 2, Buffer.from('yes')));
    assert.equal(`${(await next.response).body}`, 'yes');
});

test('an ACK that grants too little is refused', async (t) => {
    for (const ack of [{ connectionLimit: LIMIT.minAckWindow - 1 }, { maxCalls: LIMIT.minAckCalls - 1 }, { highest: 2 }, { features: FEATURE.BATCH }]) {
        const { client } = await rawServer(t, ack);
        await fails(client.ready, 'PROTOCOL');
    }
});

test('an answer in fragments, a small one between them, an ERROR that drops the incomplete one', async (t) => {
    const { client, peer } = await rawServer(t);
    const [large, small, lost] = ['a', 'b', 'c'].map((body) => client.call('echo', body)), body = Buffer.alloc(4000, 'y');
    for (let n = 0; n < 3; n++)
        await peer.next();
    peer.send(raw.message(TYPE.RESPONSE | MORE, 1, { totalLength: 4000 }, body.subarray(0, 2000)),
              raw.message(TYPE.CHUNK | MORE, 3, { totalLength: 9000 }, CUT),
              frame(TYPE.RESPONSE, 2, Buffer.from('b')), raw.message(TYPE.RESPONSE, 1, undefined, body.subarray(2000)),
              raw.error(3, { code: 4711, flags: 0xf0, origin: 9, message: 'ä' }));
    assert.ok((await large.response).body.equals(body));
    assert.equal(`${(await small.response).body}`, 'b');
    await assert.rejects(lost.response, { code: CODE.UNKNOWN, flags: 0, origin: ORIGIN.TRANSPORT, message: 'ä' });
});
