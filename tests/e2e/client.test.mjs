// SPDX-License-Identifier: MIT
/*
 * C programs that link libchasqui: the examples, and calls that a gateway or a node dies under
 *
 * The programs stand in the build directory of the binary under test.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { before } from 'node:test';
import { CHASQUI, freePort, Gateway, ROOT, Sim, SIM_EMBED_MODEL, SIM_MODEL, temporaryDirectory } from '../lib/chasqui.mjs';
import { Process } from '../lib/process.mjs';
import { BASE, TYPE, serve } from '../peers/mcp.mjs';
import { file, slow, test, until, within } from '../lib/test.mjs';

const BUILD = path.resolve(path.dirname(realpathSync(CHASQUI)), '../..');

let sim, gateway;

const mcp = (g) => `mcp://127.0.0.1:${g.mcpPort}`;

before(async () => {
    sim = await Sim.start(file, { models: [SIM_MODEL, SIM_EMBED_MODEL], slots: 8, tokenInterval: '1ms', tokens: 30 });
    gateway = await Gateway.start(file, { nodes: [sim] });
});

/** Starts a program of the build directory. */
const start = (owner, program, ...args) => new Process(owner, path.join(BUILD, program), args.map(String));

/** Runs one to its end. */
async function runWith(owner, env, program, ...args) {
    const proc = new Process(owner, path.join(BUILD, program), args.map(String), { env });
    await within(proc.exited, `end of ${program}`);
    return proc;
}

const run = (owner, ...args) => runWith(owner, {}, ...args);

/** What it printed, parsed. */
const results = (proc) => proc.out.map((line) => JSON.parse(line));

const schemes = () => [['mcp to a gateway', mcp(gateway)], ['http to a gateway', gateway.url], ['http to a node', sim.url]];

test('example sync: one request, one answer, and errors say whether something was done', async (t) => {
    const echo = await run(t, 'examples/example-sync', mcp(gateway), 'echo', 'Hi');
    assert.equal(echo.code, 0, echo.errText);
    assert.deepEqual(echo.out, ['Hi']);
    for (const [name, url] of schemes()) {
        const version = await run(t, 'examples/example-sync', url, 'ollama.version', '');
        assert.deepEqual(results(version), [{ version: '0.11.4' }], name);
        const missing = await run(t, 'examples/example-sync', url, 'ollama.show', '{"model":"nowhere"}');
        assert.equal(missing.code, 1);
        assert.match(missing.errText, /NOT_FOUND: model 'nowhere' not found/, name);
    }
    const nobody = await run(t, 'examples/example-sync', `mcp://127.0.0.1:${await freePort()}`, 'echo', 'Hi');
    assert.match(nobody.errText, /connection refused.*\(nothing was done\)/i);
});

test('example stream: records as they come, the final one last, over either scheme', async (t) => {
    for (const [name, url] of schemes()) {
        const proc = await run(t, 'examples/example-stream', url, SIM_MODEL, 'hello');
        assert.equal(proc.code, 0, proc.errText);
        const records = results(proc);
        assert.equal(records.length, 6, name);
        assert.ok(records.slice(0, -1).every((record) => record.done === false), name);
        assert.equal(records.at(-1).done, true, name);
        assert.equal(records.at(-1).eval_count, 5, name);
    }
});

test('example epoll: a loop of somebody else', async (t) => {
    const proc = await run(t, 'examples/example-epoll', mcp(gateway), 2000);
    assert.equal(proc.code, 0, proc.errText);
    assert.deepEqual(proc.out, ['2000 of 2000']);
});

test('example interleaved: SeqIDs differ, answers come in any order', async (t) => {
    const proc = await run(t, 'examples/example-interleaved');
    assert.equal(proc.code, 0, proc.errText);
    const requests = proc.out.filter((line) => line.startsWith('client -> type 0x41')).map((line) => line.split(' ').at(-1));
    assert.equal(new Set(requests).size, 2);
    assert.deepEqual(proc.out.slice(-2), ['client got "second" to request two', 'client got "first" to request one']);
});

test('example chat: the same words over either scheme', async (t) => {
    const said = [];
    for (const [, url] of schemes()) {
        const proc = await run(t, 'examples/example-chat', url, SIM_MODEL, 'hello');
        assert.equal(proc.code, 0, proc.errText);
        said.push(proc.out.join('\n'));
    }
    assert.match(said[0], /\[\d+ tokens\]$/);
    assert.equal(said[1], said[0]);
    assert.equal(said[2], said[0]);
});

test('every typed call answers the same, blocking and started, over either scheme and in either codec', async (t) => {
    const all = [];
    for (const [, url] of schemes())
        for (const way of ['blocking', 'started'])
            all.push(results(await run(t, 'tests/client/client-typed', way, url, SIM_MODEL, SIM_EMBED_MODEL)));
    all.push(results(await runWith(t, { JSON: '1' }, 'tests/client/client-typed', 'blocking', mcp(gateway), SIM_MODEL, SIM_EMBED_MODEL)));
    const [first] = all;
    const bad = first.filter((call) => call.code !== 'OK');
    assert.deepEqual(bad.map((call) => call.code), ['NOT_FOUND', 'NOT_FOUND'], JSON.stringify(first));
    assert.ok(first.find((call) => call.call === 'chat stream').pieces > 1);
    assert.ok(first.find((call) => call.call === 'embed').dimension > 1);
    for (const others of all)
        assert.deepEqual(others, first);
});

const PROFILE = { EXTENDED: '1', EITHER: '2', PLAIN: '3' };

/** Without what the plain profile cannot have: pieces, and a status is less than a code. */
const plainly = (calls) => calls.map(({ pieces, ...rest }) => rest);

/** In front of a gateway: closes at HELLO, as a server does that knows the plain profile only. */
async function startPlainOnly(t) {
    let refused = 0;
    const server = net.createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', (first) => {
            if (first[1] === TYPE.HELLO) {
                refused += 1;
                socket.destroy();
                return;
            }
            const upstream = net.connect(gateway.mcpPort, '127.0.0.1');
            upstream.on('error', () => {});
            upstream.on('close', () => socket.destroy());
            socket.on('close', () => upstream.destroy());
            upstream.write(first);
            socket.pipe(upstream).pipe(socket);
        });
    });
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    t.after(() => server.close());
    return { url: `mcp://127.0.0.1:${server.address().port}`, get refused() { return refused; } };
}

test('every typed call works in the plain profile, asked for or found out', async (t) => {
    const typed = async (url, profile) => results(await runWith(t, { PROFILE: profile }, 'tests/client/client-typed', 'started',
                                                               url, SIM_MODEL, SIM_EMBED_MODEL));
    const simple = await startPlainOnly(t);
    const expected = await typed(mcp(gateway), PROFILE.EXTENDED);
    assert.deepEqual(await typed(mcp(gateway), PROFILE.EITHER), expected);
    assert.deepEqual(plainly(await typed(mcp(gateway), PROFILE.PLAIN)), plainly(expected));
    assert.equal(simple.refused, 0);
    assert.deepEqual(plainly(await typed(simple.url, PROFILE.EITHER)), plainly(expected));
    assert.equal(simple.refused, 1);
});

const ALGORITHM = { NONE: '1', GZIP: '2', ZSTD: '3' };

test('compressed, every typed call answers the same, and long messages are short on the wire', async (t) => {
    const typed = async (algorithm) => results(await runWith(t, { COMPRESSION: algorithm }, 'tests/client/client-typed', 'started',
                                                            mcp(gateway), SIM_MODEL, SIM_EMBED_MODEL));
    const expected = await typed(ALGORITHM.NONE);
    for (const algorithm of [ALGORITHM.GZIP, ALGORITHM.ZSTD])
        assert.deepEqual(await typed(algorithm), expected);
    const bytes = { in: 0, out: 0 };
    const tap = (direction, type, id, payload) => { bytes[direction] += payload?.length ?? 0; };
    const peer = await serve({ handlers: { echo: async ({ body }) => ({ body }) }, tap });
    t.after(() => peer.close());
    const echo = async (algorithm, url) => results(await runWith(t, { COMPRESSION: algorithm }, 'tests/client/client-typed', 'echo',
                                                                 url, 1000, '-'));
    for (const algorithm of Object.values(ALGORITHM))
        assert.deepEqual(await echo(algorithm, mcp(gateway)), [{ code: 'OK', same: true }], algorithm);
    assert.deepEqual(await echo(ALGORITHM.GZIP, `mcp://127.0.0.1:${peer.port}`), [{ code: 'OK', same: true }]);
    assert.ok(bytes.in > 1000 && bytes.in < 100_000, JSON.stringify(bytes));
});

test('a connection without calls is asked whether it lives', async (t) => {
    let pings = 0, openCalls = 0;
    const tap = (direction, type) => {
        openCalls += { [TYPE.REQUEST]: 1, [TYPE.RESPONSE]: -1 }[type & BASE] ?? 0;
        pings += direction === 'in' && type === TYPE.PING && openCalls === 0;
    };
    const peer = await serve({ handlers: { echo: async ({ body }) => ({ body }) }, hello: { pingInterval: 1 }, tap });
    t.after(() => peer.close());
    start(t, 'tests/client/client-calls', 'idle', `mcp://127.0.0.1:${peer.port}`, '-', 1000);
    await until(() => pings > 0, 'a PING', 4000);
});

test('small calls go together, to the gateway and to another implementation of the protocol', async (t) => {
    const frames = { [TYPE.REQUEST]: 0, [TYPE.BATCH]: 0 };
    const tap = (direction, type) => { frames[type & BASE] += direction === 'in'; };
    const peer = await serve({ handlers: { echo: async ({ body }) => ({ body }) }, tap });
    t.after(() => peer.close());
    for (const url of [mcp(gateway), `mcp://127.0.0.1:${peer.port}`]) {
        const [codes, stats] = results(await run(t, 'tests/client/client-calls', 'batch', url, '-', 2000));
        assert.deepEqual(codes, { done: 2000, not_once: 0, not_processed: 0, OK: 2000 }, url);
        assert.ok(stats.batches > 0 && stats.batches < 500, `${stats.batches} batches to ${url}`);
    }
    assert.ok(frames[TYPE.BATCH] > 0 && frames[TYPE.REQUEST] < 500, JSON.stringify(frames));
});

test('a key that the gateway asks for is shown over either scheme', async (t) => {
    const keysFile = path.join(temporaryDirectory(t), 'keys');
    writeFileSync(keysFile, 'app:s3cret-of-the-app:use\nboss:s3cret-of-the-boss:use,admin\n', { mode: 0o600 });
    const guarded = await Gateway.start(t, { nodes: [sim], keysFile, adminKey: 's3cret-of-the-boss' });
    for (const url of [mcp(guarded), guarded.url]) {
        for (const [key, code] of [['s3cret-of-the-app', 'OK'], ['wrong', 'UNAUTHENTICATED'], [undefined, 'UNAUTHENTICATED']]) {
            const proc = await runWith(t, { KEY: key }, 'tests/client/client-typed', 'blocking', url, SIM_MODEL, SIM_EMBED_MODEL);
            assert.equal(results(proc).find((call) => call.call === 'tags').code, code, `${url} with ${key}`);
        }
    }
});

/** Flags with which the library was built, that a program linking it needs too. */
function sanitizerFlags() {
    const options = JSON.parse(readFileSync(path.join(BUILD, 'meson-info/intro-buildoptions.json')));
    const value = options.find((option) => option.name === 'b_sanitize').value;
    return value === 'none' ? [] : [`-fsanitize=${value}`];
}

/** The first program of a manual page, as a reader would copy it from the terminal. */
function programOf(page) {
    const roff = readFileSync(path.join(ROOT, 'docs/man', page), 'utf8');
    return /^\.EX\n([^]*?)^\.EE$/m.exec(roff)[1].replaceAll('\\e', '\\').replaceAll('\\-', '-');
}

test('the program of the manual page compiles as strict C99 and chats over either scheme', async (t) => {
    const dir = temporaryDirectory(t);
    const library = path.join(BUILD, 'src/client/library');
    const program = path.join(dir, 'chat');
    writeFileSync(`${program}.c`, programOf('libchasqui.3'));
    const cc = new Process(t, 'cc', ['-std=c99', '-pedantic', '-Wall', '-Wextra', '-Wno-missing-field-initializers', '-Werror',
                                     ...sanitizerFlags(), '-I', path.join(ROOT, 'include'), `${program}.c`, '-o', program,
                                     `-L${library}`, `-Wl,-rpath,${library}`, '-lchasqui']);
    await within(cc.exited, 'the compiler');
    assert.equal(cc.code, 0, cc.errText);
    const said = [];
    for (const [, url] of schemes()) {
        const proc = new Process(t, program, [url, SIM_MODEL, 'hello']);
        await within(proc.exited, 'the program');
        assert.equal(proc.code, 0, proc.errText);
        said.push(proc.out.join('\n'));
    }
    assert.ok(said[0].length > 10);
    assert.deepEqual(said, [said[0], said[0], said[0]]);
});

test('the headers are C++ as well', async (t) => {
    if (spawnSync('g++', ['--version']).error)
        return t.skip('no g++ here');
    const proc = new Process(t, 'g++', ['-x', 'c++', '-std=c++11', '-pedantic', '-Wall', '-Wextra', '-Werror', '-fsyntax-only',
                                        '-I', path.join(ROOT, 'include'), '-include', 'chasqui/chasqui.h', '-include',
                                        'chasqui/session.h', '/dev/null']);
    await within(proc.exited, 'the compiler');
    assert.equal(proc.code, 0, proc.errText);
});

/** Two gateways in a row, and an endless model behind them. */
async function startTiers(t) {
    const node = await Sim.start(t, { slots: 200, tokenInterval: '5ms' });
    const centre = await Gateway.start(t, { nodes: [node] });
    const edge = await Gateway.start(t, { nodes: [{ url: mcp(centre) }] });
    return { node, centre, edge };
}

for (const [what, code] of [['deadline', 'DEADLINE_EXCEEDED'], ['cancel', 'CANCELLED']]) {
    test(`a ${what} set in C stops the node behind two gateways within 50 ms`, async (t) => {
        const { node, edge } = await startTiers(t);
        const proc = start(t, 'tests/client/client-calls', what, mcp(edge), SIM_MODEL, 300);
        const active = await node.untilState((state) => state.active === 1, 'the node works').then(() => performance.now());
        await node.untilState((state) => state.active === 0, 'the node has stopped');
        const stopped = performance.now();
        await within(proc.exited, 'the program');
        assert.equal(proc.code, 0, proc.errText);
        const [result] = results(proc);
        assert.equal(result.code, code);
        assert.ok(result.pieces > 0);
        assert.ok(result.ms >= 299 && result.ms < 300 + slow(50), `ended after ${result.ms} ms`);
        assert.ok(stopped - active < 300 + slow(50), `the node worked ${stopped - active} ms`);
    });
}

test('a gateway killed under 1,000 calls: each ends exactly once, with the right error', { timeout: 30_000 }, async (t) => {
    const node = await Sim.start(t, { slots: 100, tokenInterval: '20ms' });
    const victim = await Gateway.start(t, { nodes: [node] });
    const proc = start(t, 'tests/client/client-calls', 'many', mcp(victim), SIM_MODEL, 1000);
    await until(() => results(proc).some((line) => line.begun >= 50), '50 streams', 10_000);
    victim.proc.kill();
    await within(proc.exited, 'the program', 20_000);
    assert.equal(proc.code, 0, proc.errText);
    const result = results(proc).at(-1);
    assert.equal(result.done, 1000, JSON.stringify(result));
    assert.equal(result.not_once, 0);
    assert.equal(result.UNAVAILABLE, 1000, JSON.stringify(result));
});

test('a node that dies under a call: what had come is there, the error says so', async (t) => {
    for (const scheme of ['mcp', 'http', 'node']) {
        const node = await Sim.start(t, { tokenInterval: '1ms' });
        const g = await Gateway.start(t, { nodes: [node] });
        await node.fault('die', { after: 5 });
        const url = { mcp: mcp(g), http: g.url, node: node.url }[scheme];
        const proc = await run(t, 'tests/client/client-calls', 'deadline', url, SIM_MODEL, 60_000);
        const [result] = results(proc);
        assert.ok(['BACKEND_LOST', 'UNAVAILABLE', 'INTERNAL'].includes(result.code), `${scheme}: ${result.code}`);
        assert.equal(result.pieces, 5, scheme);
        assert.equal(result.flags & 8, 8, `${scheme}: PARTIAL`);
        assert.equal(result.flags & 1, 0, `${scheme}: NOT_PROCESSED`);
    }
});

test('a node that is too busy is asked again, since it has not begun', async (t) => {
    const node = await Sim.start(t, { tokens: 3 });
    await node.fault('503', { count: 2 });
    const proc = await run(t, 'examples/example-stream', node.url, SIM_MODEL, 'hello');
    assert.equal(proc.code, 0, proc.errText);
    assert.equal(results(proc).at(-1).done, true);
});

test('what is installed is enough for pkg-config', async (t) => {
    const text = readFileSync(path.join(BUILD, 'meson-private/libchasqui.pc'), 'utf8');
    assert.match(text, /^Requires\.private:.*libuv/m);
    assert.match(text, /^Libs:.*-lchasqui/m);
});
