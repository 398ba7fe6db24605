// SPDX-License-Identifier: MIT
/*
 * Commands for who runs a gateway: nodes, doctor
 */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before } from 'node:test';
import { Gateway, Sim, freePort, runChasqui, temporaryDirectory } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { file, test, until } from '../lib/test.mjs';

const ADMIN_KEY = 'admin-0123456789abcdef';

let sim, gateway, dead;

before(async () => {
    sim = await Sim.start(file);
    dead = `127.0.0.1:${await freePort()}`;
    gateway = await Gateway.start(file, { nodes: [sim, `http://${dead}`], untilUp: 1 });
});

test('nodes: a row for each, with state and why', async (t) => {
    await until(async () => (await gateway.nodes()).every((node) => node.state !== 'unknown'), 'all is known');
    const { code, out } = await runChasqui(t, ['nodes', '--admin', gateway.adminUrl]);
    assert.equal(code, 0);
    assert.deepEqual(out[0].split(/\s{2,}/), ['NAME', 'URL', 'STATE', 'VERSION', 'MODELS', 'LOADED', 'IN FLIGHT', 'POOL', 'WHY']);
    const row = (address) => out.find((line) => line.startsWith(`${address} `)).split(/\s{2,}/);
    assert.deepEqual(row(sim.address).slice(0, 7), [sim.address, sim.url, 'up', '0.11.4', '2', '-', '0']);
    assert.match(row(sim.address)[7], /^\d+ open, \d+ idle/);
    assert.equal(row(dead)[2], 'down');
    assert.match(row(dead)[8], /refused/);
});

test('nodes: what is loaded, and who waits for a connection', async (t) => {
    const pool = { open: 3, idle: 1, max: 20, waiting: 2 };
    const node = await FakeNode.start(t, (_req, res) => res.end(JSON.stringify({ nodes: [{ name: 'a', models: ['x', 'y'], loaded: ['x', 'y'], pool }] })));
    const { out } = await runChasqui(t, ['nodes', '--admin', node.url]);
    assert.deepEqual(out[1].split(/\s{2,}/), ['a', '-', '-', '-', '2', 'x, y', '-', '3 open, 1 idle, 2 waiting, of 20', '-']);
});

test('nodes -o json is what the admin listener says; CHASQUI_ADMIN names it', async (t) => {
    const { code, out } = await runChasqui(t, ['nodes', '-o', 'json'], { CHASQUI_ADMIN: gateway.adminUrl });
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(out.join('\n')).nodes.map((node) => node.name), [sim.address, dead]);
});

test('nodes: no admin listener there: code 3; a key that may not: code 4', async (t) => {
    assert.equal((await runChasqui(t, ['nodes', '--admin', `http://${dead}`])).code, 3);
    const keys = path.join(temporaryDirectory(t), 'keys');
    writeFileSync(keys, `root:${ADMIN_KEY}:admin\n`);
    chmodSync(keys, 0o600);
    const closed = await Gateway.start(t, { nodes: [sim], keysFile: keys, adminKey: ADMIN_KEY });
    assert.equal((await runChasqui(t, ['nodes', '--admin', closed.adminUrl])).code, 4);
    assert.equal((await runChasqui(t, ['nodes', '--admin', closed.adminUrl, '--key', ADMIN_KEY])).code, 0);
});

/** @of: a gateway, or nothing there. */
function doctor(t, of, ...args) {
    const hosts = ['--http', of?.url ?? `http://${dead}`, '--host', of ? `mcp://127.0.0.1:${of.mcpPort}` : `mcp://${dead}`,
        '--admin', of?.adminUrl ?? `http://${dead}`];
    return runChasqui(t, ['doctor', ...hosts, ...args]);
}

const badLines = (run) => run.out.filter((line) => line.startsWith('BAD'));

test('doctor: all is well, code 0', async (t) => {
    const own = await Gateway.start(t, { nodes: [sim] });
    const file = path.join(temporaryDirectory(t), 'chasqui.yaml');
    writeFileSync(file, 'nodes: [http://127.0.0.1:11434]\n');
    const run = await doctor(t, own, '--config', file);
    assert.deepEqual(badLines(run), []);
    assert.equal(run.code, 0, run.out.join('\n'));
    assert.equal(run.out.length, 8);
    assert.ok(run.out.includes('ok   clocks: 1 within 5 s of the gateway\'s'));
    assert.ok(run.out.includes(`ok   node ${sim.address} ${sim.url}: up, version 0.11.4`));
});

test('doctor: what is down, and what to do', async (t) => {
    const run = await doctor(t, gateway);
    assert.equal(run.code, 1);
    assert.deepEqual(badLines(run), [
        `BAD  node ${dead} http://${dead}: down: Connection refused. On that machine: OLLAMA_HOST=0.0.0.0 ollama serve`]);
    const alone = await doctor(t);
    assert.equal(alone.code, 1);
    assert.equal(badLines(alone).length, 3);
});

test('doctor: a node whose clock is off, and by how much', async (t) => {
    const node = await FakeNode.start(t, undefined, { clockAheadMs: -3600_500 });
    const run = await doctor(t, await Gateway.start(t, { nodes: [node] }));
    assert.equal(run.code, 1);
    assert.match(badLines(run).join('\n'), /^BAD  node .*: its clock is (3599|36\d\d) s behind the gateway's\. .*timedatectl/);
});

test('doctor -o json has the same lines', async (t) => {
    const run = await doctor(t, gateway, '-o', 'json');
    assert.equal(run.code, 1);
    const { checks, bad } = JSON.parse(run.out.join(''));
    const lines = (await doctor(t, gateway)).out;
    assert.deepEqual(checks.map(({ ok, text }) => `${ok ? 'ok  ' : 'BAD '} ${text}`), lines);
    assert.equal(bad, 1);
});

test('doctor: versions that differ, few descriptors, a file that is not valid', async (t) => {
    const pages = { '/metrics': 'process_open_fds 7\nprocess_max_fds 1024\n',
        '/admin/nodes': JSON.stringify({ nodes: [{ name: 'a', state: 'up', version: '1' }, { name: 'b', state: 'up', version: '2' }] }) };
    const admin = await FakeNode.start(t, (req, res) => res.end(pages[req.url]));
    const file = path.join(temporaryDirectory(t), 'chasqui.yaml');
    writeFileSync(file, 'nodess: []\n');
    const run = await doctor(t, { url: gateway.url, mcpPort: gateway.mcpPort, adminUrl: admin.url }, '--config', file);
    assert.equal(run.code, 1);
    assert.deepEqual(badLines(run).map((line) => line.match(/versions differ|1024|not valid/)?.[0]), ['versions differ', '1024', 'not valid']);
    assert.match(run.out.join('\n'), /nodess/);
});
