// SPDX-License-Identifier: MIT
/*
 * Commands that change models: pull, create, cp, rm, stop
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { before } from 'node:test';
import { CHASQUI, Gateway, Sim, runChasqui, spawnChasqui, temporaryDirectory } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
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

function modelfile(t, text) {
    const name = path.join(temporaryDirectory(t), 'Modelfile');
    writeFileSync(name, text);
    return name;
}

test('create makes a model, and tells its progress', async (t) => {
    const create = await run(t, 'create', 'brief', '-f', modelfile(t, '# short\nfrom sim\nSYSTEM Be brief.\n'));
    assert.equal(create.code, 0, create.errText);
    assert.equal(create.err.at(-1), 'success');
    assert.ok((await names()).includes('brief:latest'));
});

test('create sends what the Modelfile says', async (t) => {
    const node = await FakeNode.start(t, (_req, res) => res.end('{"status":"success"}\n'));
    const text = `FROM llama3.2
SYSTEM """
Two "lines",
# none of them a comment.
"""
TEMPLATE "{{ .Prompt }}"
PARAMETER temperature 0.5
PARAMETER temperature 0.7
parameter num_ctx -1
PARAMETER stop "</s>"
PARAMETER stop 7
PARAMETER use_mmap true
PARAMETER odd 007
MESSAGE user Is it so?
MESSAGE assistant """Yes,
it is."""
LICENSE MIT
LICENSE """Another"""`;
    const create = await runChasqui(t, ['create', 'mine', '-f', modelfile(t, text), '--host', node.url]);
    assert.equal(create.code, 0, create.errText);
    assert.equal(node.last.url, '/api/create');
    assert.deepEqual(JSON.parse(node.last.text), {
        model: 'mine', from: 'llama3.2', system: '\nTwo "lines",\n# none of them a comment.\n', template: '{{ .Prompt }}',
        license: ['MIT', 'Another'],
        messages: [{ role: 'user', content: 'Is it so?' }, { role: 'assistant', content: 'Yes,\nit is.' }],
        parameters: { temperature: 0.7, num_ctx: -1, use_mmap: true, odd: '007', stop: ['</s>', '7'] },
    });
});

test('a Modelfile that is wrong: the line, and nothing is asked', async (t) => {
    const cases = [['FROM sim\n\nSISTEM x\n', /:3: not an instruction/], ['FROM sim\nSYSTEM """x\n', /:2: not an/], ['FROM\n', /:1: not an/],
        ['SYSTEM x\n', /FROM is missing/], ['FROM ./model.gguf\n', /:1: FROM a file/], ['PARAMETER stop\nFROM sim\n', /:1: not an/]];
    for (const [text, told] of cases) {
        const create = await run(t, 'create', 'wrong', '-f', modelfile(t, text));
        assert.equal(create.code, 1);
        assert.match(create.errText, told);
    }
    assert.match((await run(t, 'create', 'wrong', '-f', '/nowhere')).errText, /\/nowhere: No such file/);
    assert.ok(!(await names()).includes('wrong:latest'));
});
