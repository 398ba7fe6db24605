// SPDX-License-Identifier: MIT
/*
 * Services of somebody's own, made with the server side of libchasqui: examples/service.c under the library's clients,
 * the independent peer and the conformance claims
 */
import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { before } from 'node:test';
import { CHASQUI } from '../lib/chasqui.mjs';
import { Process } from '../lib/process.mjs';
import { file, test, until, within } from '../lib/test.mjs';
import { SECTIONS, runSection, targetOf } from '../peers/conformance.mjs';
import { BASE, COMPRESSION, FEATURE, TYPE, connect, plainConnect } from '../peers/mcp.mjs';

const BUILD = path.resolve(path.dirname(realpathSync(CHASQUI)), '../..');
const SECTION_MS = 300_000;
const KEY = 'use-0123456789abcdef';
const counted = (n) => Buffer.from(JSON.stringify({ options: { num_predict: n } }));

const program = (owner, name, ...args) => new Process(owner, path.join(BUILD, 'examples', name), args.map(String));

/** The example on a free port: {proc, port}. */
async function startService(owner, ...args) {
    const proc = program(owner, 'example-service', '127.0.0.1:0', ...args);
    await until(() => proc.out.length > 0 || !proc.isRunning, 'the port of the service');
    assert.ok(proc.isRunning, proc.errText);
    return { proc, port: Number(proc.out[0]) };
}

async function run(owner, name, ...args) {
    const proc = program(owner, name, ...args);
    await within(proc.exited, `end of ${name}`);
    return proc;
}

let service;
before(async () => { service = await startService(file); });
const target = () => targetOf({ port: service.port, pid: service.proc.pid, stream: 'count', body: {} });

test('the library\'s own client is answered', async (t) => {
    const url = `mcp://127.0.0.1:${service.port}`;
    assert.deepEqual((await run(t, 'example-sync', url, 'echo', 'Hi')).out, ['Hi']);
    assert.deepEqual((await run(t, 'example-sync', url, 'slow', '50')).out, ['at last']);
    assert.deepEqual((await run(t, 'example-sync', url, 'count', counted(3))).out, ['{"done":true}']);
    assert.deepEqual((await run(t, 'example-epoll', url, 2000)).out, ['2000 of 2000']);
    assert.match((await run(t, 'example-sync', url, 'count', '{}')).errText, /^INVALID_ARGUMENT: how many\?$/);
    assert.match((await run(t, 'example-sync', url, 'nowhere', '')).errText, /^UNIMPLEMENTED: no such service \(nothing was done\)$/);
});

test('so is the independent peer: a slow reader gets all of a stream', async (t) => {
    const client = await connect({ port: service.port });
    t.after(() => client.close());
    const call = client.call('count', counted(200), { codec: 1 });
    let n = 0;
    for await (const { body } of call.chunks)
        n += body.toString() === '{"response":"x"}' ? 1 : 0;
    assert.equal(n, 200);
    assert.equal((await call.response).body.toString(), '{"done":true}');
});

test('long messages travel compressed where both agreed, short ones as they are [M-55]', async (t) => {
    const sizes = [];
    const tap = (direction, type, id, payload) => {
        if (direction === 'in' && (type & BASE) === TYPE.RESPONSE)
            sizes.push(payload.length);
    };
    const hello = { features: FEATURE.BASIC | FEATURE.COMPRESSION, compressions: [COMPRESSION.NONE, COMPRESSION.GZIP] };
    const client = await connect({ port: service.port, hello, tap });
    t.after(() => client.close());
    await client.ready;
    for (const body of [Buffer.alloc(60_000, 'all work and no play makes a dull boy, '), Buffer.alloc(1000, 'x')])
        assert.ok((await client.call('echo', body, { compression: COMPRESSION.GZIP }).response).body.equals(body));
    assert.ok(sizes[0] < 2000 && sizes[1] >= 1000, `${sizes}`);
});

test('and a plain one, which gets a stream in one piece', async (t) => {
    const client = await plainConnect({ port: service.port });
    t.after(() => client.close());
    const { body } = await client.call('count', counted(2));
    assert.equal(body.toString(), '{"response":"x"}{"response":"x"}{"done":true}');
});

test('a service that is told to end lets what is in flight finish, and takes nothing new', async (t) => {
    const { proc, port } = await startService(t);
    const client = await connect({ port });
    t.after(() => client.close());
    const call = client.call('count', counted(300), { codec: 1 });
    const chunks = call.chunks[Symbol.asyncIterator]();
    await chunks.next();
    proc.child.kill('SIGTERM');
    assert.equal((await call.response).body.toString(), '{"done":true}');
    await within(proc.exited, 'the end of the service');
    assert.equal(proc.code, 0, proc.errText);
});

test('a service with a key conforms: hello [M-57] [M-14]', { timeout: SECTION_MS }, async (t) => {
    const { port } = await startService(t, KEY);
    await runSection('hello', targetOf({ port, key: KEY, stream: 'count', body: {} }),
        (claim, error) => t.test(claim, () => { if (error) throw error; }));
});

for (const section of Object.keys(SECTIONS).filter((name) => name !== 'liveness'))
    test(`a service of libchasqui conforms: ${section}`, { timeout: SECTION_MS }, async (t) => {
        await runSection(section, target(), (claim, error) => t.test(claim, () => { if (error) throw error; }));
    });
