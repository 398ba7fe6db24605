// SPDX-License-Identifier: MIT
/*
 * Hostile and odd HTTP: one meaning for every reader, or the right error and the end of the connection
 */
import assert from 'node:assert/strict';
import { before } from 'node:test';
import { Gateway, Sim, SIM_MODEL } from '../lib/chasqui.mjs';
import { Raw, exchange, request } from '../lib/raw.mjs';
import { file, test, until } from '../lib/test.mjs';

const MAX_BODY = 64 << 20;
const GENERATE = { model: SIM_MODEL, prompt: 'hi', stream: false, options: { num_predict: 2 } };
const ENDLESS = { model: SIM_MODEL, prompt: 'on and on', options: { num_predict: 100_000 } };
const GOOD = request('GET', '/api/version');

let sim, gateway, quickGateway;

before(async () => {
    sim = await Sim.start(file, { slots: 4, tokenInterval: '2ms' });
    gateway = await Gateway.start(file, { nodes: [sim] });
    quickGateway = await Gateway.start(file, { nodes: [sim], settings: { head: '300ms' } });
});

/** The answer is an error of ours, in JSON, and the connection ends without a reset. */
async function assertRefused(raw, status) {
    const answer = await raw.answer();
    const allowed = [status].flat();
    assert.ok(allowed.includes(answer.status), `${answer.status}, not ${allowed}: ${answer.text}`);
    assert.match(answer.get('content-type'), /^application\/json/);
    assert.equal(typeof answer.json.error, 'string');
    assert.notEqual(answer.json.error, '');
    assert.equal(answer.get('connection')?.toLowerCase(), 'close');
    raw.halfClose();
    assert.equal(await raw.closed(), 'fin');
    return answer;
}

const chunked = (body, te = 'Transfer-Encoding: chunked') =>
    `POST /api/generate HTTP/1.1\r\nHost: x.local\r\n${te}\r\n\r\n${body}`;
const withFields = (...fields) => request('GET', '/api/version', { fields });
const withLength = (...lengths) =>
    `POST /api/generate HTTP/1.1\r\nHost: x.local\r\n${lengths.map((n) => `Content-Length: ${n}\r\n`).join('')}\r\n{"a":1}`;

const REFUSED = [
    ['a bare LF behind the request line', 400, 'GET / HTTP/1.1\nHost: x.local\r\n\r\n'],
    ['a bare LF behind a field', 400, 'GET / HTTP/1.1\r\nHost: x.local\nA: b\r\n\r\n'],
    ['bare LFs only', 400, 'GET / HTTP/1.1\nHost: x.local\n\n'],
    ['a bare CR in a value', 400, withFields('A: b\rc')],
    ['a NUL in a value', 400, withFields('A: b\0c')],
    ['a folded field', 400, withFields('A: b', ' c')],
    ['white space before the first field', 400, 'GET / HTTP/1.1\r\n Host: x.local\r\n\r\n'],
    ['white space before a colon', 400, withFields('A : b')],
    ['an empty field name', 400, withFields(': b')],
    ['a field without a colon', 400, withFields('A')],
    ['no token as a field name', 400, withFields('A(b): c')],
    ['no Host', 400, request('GET', '/', { host: null })],
    ['two Hosts', 400, request('GET', '/', { fields: ['Host: a.local', 'Host: a.local'] })],
    ['a Host that disagrees with the target', 400, request('GET', 'http://b.local/', { host: 'a.local' })],
    ['two spaces in the request line', 400, 'GET  / HTTP/1.1\r\nHost: x.local\r\n\r\n'],
    ['a tab in the request line', 400, 'GET\t/ HTTP/1.1\r\nHost: x.local\r\n\r\n'],
    ['a fragment in the target', 400, 'GET /#a HTTP/1.1\r\nHost: x.local\r\n\r\n'],
    ['no version', 400, 'GET /\r\nHost: x.local\r\n\r\n'],
    ['HTTP/2.0 in a request line', [400, 505], 'GET / HTTP/2.0\r\nHost: x.local\r\n\r\n'],
    ['a preface of HTTP/2', [400, 505], 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a TLS hello', 400, Buffer.from('16030100c8010000c40303', 'hex')],
    ['CONNECT', [400, 405, 501], 'CONNECT x.local:80 HTTP/1.1\r\nHost: x.local:80\r\n\r\n'],
    ['an expectation we do not know', 417, request('POST', '/api/generate', { fields: { Expect: 'tea' }, body: GENERATE })],
    ['a length and chunks', 400, chunked('0\r\n\r\n', 'Transfer-Encoding: chunked\r\nContent-Length: 5')],
    ['chunks in HTTP/1.0', 400, chunked('0\r\n\r\n').replace('HTTP/1.1', 'HTTP/1.0')],
    ['another coding than chunked', [400, 501], chunked('', 'Transfer-Encoding: gzip')],
    ['chunked twice', [400, 501], chunked('0\r\n\r\n', 'Transfer-Encoding: chunked, chunked')],
    ['a coding in front of chunked', [400, 501], chunked('0\r\n\r\n', 'Transfer-Encoding: gzip, chunked')],
    ['a coding that looks like chunked', [400, 501], chunked('0\r\n\r\n', 'Transfer-Encoding: xchunked')],
    ['two lengths', 400, withLength(7, 8)],
    ['one length twice', 400, withLength(7, 7)],
    ['a list of lengths', 400, withLength('7, 7')],
    ['a length with a sign', 400, withLength('+7')],
    ['a negative length', 400, withLength('-7')],
    ['a length in hex', 400, withLength('0x7')],
    ['a length beyond 64 bits', [400, 413], withLength('99999999999999999999')],
    ['a chunk size that is no number', 400, chunked('zz\r\n')],
    ['a chunk size with 0x', 400, chunked('0x5\r\nhello\r\n')],
    ['a chunk size with a sign', 400, chunked('-5\r\nhello\r\n')],
    ['a chunk size of 17 digits', 400, chunked('00000000000000005\r\nhello\r\n')],
    ['white space behind a chunk size', 400, chunked('5 \r\nhello\r\n')],
    ['a bare LF behind a chunk size', 400, chunked('5\nhello\r\n')],
    ['a chunk longer than its size', 400, chunked('5\r\nhelloo\r\n')],
    ['a bad trailer', 400, chunked('0\r\nA : b\r\n\r\n')],
    ['a request line over 8 KiB', 414, request('GET', '/' + 'a'.repeat(9000))],
    ['an endless request line', 414, 'GET /' + 'a'.repeat(9000)],
    ['a field over 32 KiB', 431, withFields('A: ' + 'b'.repeat(40_000))],
    ['an endless field', 431, 'GET / HTTP/1.1\r\nHost: x.local\r\nA: ' + 'b'.repeat(40_000)],
    ['129 fields', 431, withFields(...Array.from({ length: 129 }, (_, i) => `A${i}: b`))],
    ['a length over 64 MiB', 413, withLength(MAX_BODY + 1)],
];

for (const [name, status, bytes] of REFUSED) {
    test(`${name}: ${[status].flat().join(' or ')}, and the connection ends`, async (t) => {
        const raw = await Raw.connect(t, gateway.port);
        await raw.send(bytes);
        await assertRefused(raw, status);
    });
}

test('nothing behind a refused request is looked at', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(chunked('0\r\n\r\n', 'Transfer-Encoding: chunked\r\nContent-Length: 5') + GOOD + GOOD);
    await assertRefused(raw, 400);
});

test('refused requests are counted', async (t) => {
    const before = (await gateway.metrics()).get('chasqui_parse_rejects_total') ?? 0;
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(withFields('A : b'));
    await assertRefused(raw, 400);
    await until(async () => (await gateway.metrics()).get('chasqui_parse_rejects_total') === before + 1, 'one more reject');
});

test('chunks that grow past 64 MiB: 413', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    const piece = Buffer.alloc(1 << 20, 'a');
    raw.socket.write(chunked(''));
    for (let i = 0; i < 66 && raw.bytes.length === 0 && raw.end === undefined; i++) {
        raw.socket.write('100000\r\n');
        raw.socket.write(piece);
        await raw.send('\r\n');
    }
    await assertRefused(raw, 413);
});

test('a client that is still sending gets the answer, not a reset', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(withLength(MAX_BODY + 1));
    const piece = Buffer.alloc(64 << 10, 'a');
    while (raw.bytes.length === 0 && raw.end === undefined) /* loud until the answer is here */
        await raw.send(piece);
    for (let i = 0; i < 4; i++)
        await raw.send(piece);
    await assertRefused(raw, 413);
});

test('a head that does not come: 408', async (t) => {
    const raw = await Raw.connect(t, quickGateway.port);
    await raw.send('GET / HTT');
    await assertRefused(raw, 408);
});

test('a head that trickles: 408', async (t) => {
    const raw = await Raw.connect(t, quickGateway.port);
    await raw.send('GET / HTTP/1.1\r\nHost: x.local\r\n');
    const trickle = setInterval(() => raw.socket.write('A: b\r\n'), 50);
    t.after(() => clearInterval(trickle));
    const answer = await raw.answer();
    clearInterval(trickle);
    assert.equal(answer.status, 408);
});

test('an idle connection is not a slow head', async (t) => {
    const idle = await Raw.connect(t, quickGateway.port);
    await idle.send(GOOD);
    assert.equal((await idle.answer()).status, 200);
    const slow = await Raw.connect(t, quickGateway.port);
    await slow.send('GET / HTT');
    assert.equal((await slow.answer()).status, 408); /* the deadline has passed for both now */
    await idle.send(GOOD);
    assert.equal((await idle.answer()).status, 200);
});

test('HTTP/1.0 is answered and closed', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    await raw.send('GET / HTTP/1.0\r\n\r\n');
    const answer = await raw.answer();
    assert.equal(answer.status, 200);
    assert.equal(answer.text, 'Ollama is running');
    assert.equal(await raw.closed(), 'fin');
});

test('HTTP/1.0 gets a stream without chunks, up to the end of the connection', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(request('POST', '/api/generate', { version: '1.0', body: { ...GENERATE, stream: true } }));
    const answer = await raw.answer();
    assert.equal(answer.status, 200);
    assert.equal(answer.get('transfer-encoding'), undefined);
    assert.equal(answer.records.at(-1).done, true);
});

test('one connection carries many requests', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    for (let i = 0; i < 50; i++) {
        await raw.send(i % 2 ? GOOD : request('POST', '/api/generate', { body: GENERATE }));
        const answer = await raw.answer();
        assert.equal(answer.status, 200);
        assert.ok(answer.isComplete);
    }
});

test('Connection: close is honoured', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(withFields('Connection: close'));
    assert.equal((await raw.answer()).status, 200);
    assert.equal(await raw.closed(), 'fin');
});

test('pipelined requests are answered in order', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    const slowOne = request('POST', '/api/generate', { body: { ...GENERATE, stream: true, options: { num_predict: 20 } } });
    await raw.send(slowOne + request('HEAD', '/') + GOOD + request('GET', '/'));
    assert.equal((await raw.answer()).records.at(-1).done, true);
    assert.equal((await raw.answer({ toHead: true })).status, 200);
    assert.equal(typeof (await raw.answer()).json.version, 'string');
    assert.equal((await raw.answer()).text, 'Ollama is running');
});

test('a request may come byte by byte', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    for (const byte of request('POST', '/api/generate', { body: GENERATE }))
        await raw.send(byte);
    assert.equal((await raw.answer()).json.done, true);
});

test('a body may come in chunks with extensions and trailers', async (t) => {
    const body = JSON.stringify(GENERATE);
    const half = body.length >> 1;
    const frame = (text) => `${text.length.toString(16)};a=b\r\n${text}\r\n`;
    const bytes = chunked(`${frame(body.slice(0, half))}${frame(body.slice(half))}0\r\nA: b\r\n\r\n`);
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(bytes + GOOD);
    assert.equal((await raw.answer()).json.done, true);
    assert.equal((await raw.answer()).status, 200);
});

test('one empty line in front of a request is forgiven', async (t) => {
    assert.equal((await exchange(t, gateway.port, '\r\n' + GOOD)).status, 200);
});

test('an absolute target that agrees with Host is served', async (t) => {
    assert.equal((await exchange(t, gateway.port, request('GET', 'http://127.0.0.1/api/version'))).status, 200);
});

for (const path of ['/', '/api/version', '/api/tags']) {
    test(`HEAD ${path} is GET without the body`, async (t) => {
        const raw = await Raw.connect(t, gateway.port);
        await raw.send(request('HEAD', path) + request('GET', path));
        const head = await raw.answer({ toHead: true });
        const get = await raw.answer();
        assert.equal(head.status, 200);
        assert.equal(get.status, 200);
        assert.equal(head.get('content-type'), get.get('content-type'));
        assert.notEqual(get.text, '');
    });
}

test('Expect: 100-continue is answered before the body comes', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    const [head, body] = request('POST', '/api/generate', { fields: { Expect: '100-continue' }, body: GENERATE }).split('\r\n\r\n');
    await raw.send(head + '\r\n\r\n');
    assert.equal((await raw.answer()).status, 100);
    await raw.send(body);
    assert.equal((await raw.answer()).json.done, true);
});

test('Expect: 100-continue is not answered for a body we will not take', async (t) => {
    const raw = await Raw.connect(t, gateway.port);
    const fields = { 'Expect': '100-continue', 'Content-Length': MAX_BODY + 1 };
    await raw.send(request('POST', '/api/generate', { fields }));
    await assertRefused(raw, 413);
});

test('a half-close counts as leaving', async (t) => {
    const before = await sim.state();
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(request('POST', '/api/generate', { body: ENDLESS }));
    const answer = await raw.head();
    await raw.chunk(answer);
    raw.halfClose();
    await sim.untilState((s) => s.active === 0 && s.cancelled === before.cancelled + 1, 'the slot is free');
});

test('a body cut short is no request', async (t) => {
    const before = await sim.state();
    const raw = await Raw.connect(t, gateway.port);
    await raw.send(withLength(1000));
    raw.halfClose();
    await gateway.untilIdle();
    await until(() => raw.end, 'the connection ends');
    assert.equal((await sim.state()).served, before.served);
});

const NOT_FOUND = ['/nope', '/api', '/api/nope', '//api/tags', '/api//tags', '/API/tags', '/api/%74ags', '/api/./tags', '/api/../api/tags',
                   '/v1', '/api/tags%00', '/api/tags;a', '/sim/state', '/admin/nodes', '/metrics'];

for (const path of NOT_FOUND) {
    test(`${path} is not found, however it is spelled`, async (t) => {
        const answer = await exchange(t, gateway.port, request('GET', path));
        assert.equal(answer.status, 404);
        assert.match(answer.get('content-type'), /^application\/json/);
        assert.ok(answer.json.error);
    });
}

test('a query is no part of the path', async (t) => {
    assert.equal((await exchange(t, gateway.port, request('GET', '/api/tags?ts=1'))).status, 200);
});

const NOT_ALLOWED = [
    ['GET', '/api/generate', ['POST']],
    ['DELETE', '/api/tags', ['GET', 'HEAD']],
    ['POST', '/', ['GET', 'HEAD']],
    ['PUT', '/v1/chat/completions', ['POST']],
    ['GET', '/api/show', ['POST']],
];

for (const [method, path, allowed] of NOT_ALLOWED) {
    test(`${method} ${path}: 405 with Allow`, async (t) => {
        const answer = await exchange(t, gateway.port, request(method, path));
        assert.equal(answer.status, 405);
        assert.ok(answer.json.error);
        const allow = answer.get('allow').split(/,\s*/);
        for (const one of allowed)
            assert.ok(allow.includes(one), `${one} in ${allow}`);
        assert.ok(!allow.includes(method));
    });
}

test('an unknown method: 405 or 501', async (t) => {
    const answer = await exchange(t, gateway.port, request('BREW', '/'));
    assert.ok([405, 501].includes(answer.status), String(answer.status));
});

test('a trailing slash is redirected, GET by 301 and POST by 307', async (t) => {
    const get = await exchange(t, gateway.port, request('GET', '/api/tags/'));
    assert.equal(get.status, 301);
    assert.equal(get.get('location'), '/api/tags');
    const post = await exchange(t, gateway.port, request('POST', '/api/generate/', { body: GENERATE }));
    assert.equal(post.status, 307);
    assert.equal(post.get('location'), '/api/generate');
});


