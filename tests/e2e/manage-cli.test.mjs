// SPDX-License-Identifier: MIT
/*
 * Commands that change models: pull, cp, rm, stop
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before } from 'node:test';
import { CHASQUI, Gateway, Sim, runChasqui, spawnChasqui } from '../lib/chasqui.mjs';
import { file, test, within } from '../lib/test.mjs';

let sim, gateway;

before(async () => {
    sim = await Sim.start(file);
    gateway = await Gateway.start(file, { nodes: [sim] });
});

const run = (t, ...args) => runChasqui(t, [...args, '--host', gateway.url]);
const names = async () => (await (await fetch(`${sim.url}/api/tags`)).json()).models.map((model) => model.name);

test('pull tells its progress on stderr, each status once, and nothing on stdout', async (t) => {
    const pull = await run(t, 'pull', 'new');
    assert.equal(pull.code, 0, pull.errText);
    assert.equal(pull.out.join(''), '');
    assert.equal(pull.err.filter((line) => line === 'pulling manifest').length, 1);
    assert.equal(pull.err.filter((line) => line.startsWith('pulling ')).length, 2);
    assert.equal(pull.err.at(-1), 'success');
    assert.ok((await names()).includes('new:latest'));
});

test('a pull that fails: its text on stderr, code 1', async (t) => {
    const pull = await run(t, 'pull', 'missing');
    assert.equal(pull.code, 1);
    assert.match(pull.errText, /pull model manifest: file does not exist/);
});

test('cp and rm', async (t) => {
    assert.equal((await run(t, 'cp', 'sim', 'twin')).code, 0);
    assert.ok((await names()).includes('twin:latest'));
    assert.equal((await run(t, 'rm', 'twin')).code, 0);
    assert.ok(!(await names()).includes('twin:latest'));
    const again = await run(t, 'rm', 'twin');
    assert.equal(again.code, 1);
    assert.match(again.errText, /model 'twin' not found/);
});

test('stop unloads a model', async (t) => {
    await fetch(`${sim.url}/api/generate`, { method: 'POST', body: JSON.stringify({ model: 'sim', prompt: 'hi', stream: false, options: { num_predict: 1 } }) });
    assert.deepEqual((await sim.state()).loaded, ['sim:latest']);
    assert.equal((await run(t, 'stop', 'sim')).code, 0);
    assert.deepEqual((await sim.state()).loaded, []);
});

test('who may not: code 4; nobody there: code 3; no model named: code 2; a host of MCP: code 2', async (t) => {
    assert.equal((await runChasqui(t, ['pull', 'new', '--host', 'http://127.0.0.1:1'])).code, 3);
    assert.equal((await run(t, 'pull')).code, 2);
    assert.equal((await runChasqui(t, ['rm', 'new', '--host', `mcp://127.0.0.1:${gateway.mcpPort}`])).code, 2);
});

test('Ctrl-C ends a pull, at the node too: code 130', async (t) => {
    const slow = await Sim.start(t, { tokenInterval: '200ms' });
    const own = await Gateway.start(t, { nodes: [slow] });
    const pull = spawnChasqui(t, ['pull', 'new', '--host', own.url]);
    await slow.untilState((s) => s.changing === 1, 'the pull begun');
    pull.child.kill('SIGINT');
    await within(pull.exited, 'the end');
    assert.equal(pull.code, 130);
    await slow.untilState((s) => s.changing === 0, 'no pull');
});

test('on a terminal a pull draws a bar, without colours', () => {
    const shell = `${CHASQUI} pull barred --host ${gateway.url}`;
    const screen = spawnSync('script', ['-qec', shell, '/dev/null'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    assert.equal(screen.status, 0, screen.stdout);
    assert.match(screen.stdout, /pulling [0-9a-f]{12}: 100% \[=*\] 1 GB\/1 GB/);
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(screen.stdout, /\u001b\[[0-9;]*m/);
});
