// SPDX-License-Identifier: MIT
/*
 * A conversation in a terminal: `chasqui run MODEL`
 */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { before } from 'node:test';
import { CHASQUI, Gateway, ROOT, Sim, SIM_MODEL, freePort, temporaryDirectory } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { Process } from '../lib/process.mjs';
import { file, test, within } from '../lib/test.mjs';

const PROMPT = '>>> ';
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const UP = '\u001b[A';
const LEFT = '\u001b[D';

let sim, gateway;

before(async () => {
    sim = await Sim.start(file, { tokens: 5 });
    gateway = await Gateway.start(file, { nodes: [sim] });
});

/** Types in a terminal. @steps: [text to wait for, keys to type then]. Returns {code, screen, state: folder of the history}. */
async function type(t, steps, { args = [], host = gateway.url, state = temporaryDirectory(t) } = {}) {
    const env = { TERM: 'vt100', XDG_STATE_HOME: state, HOME: state, LC_ALL: 'C.UTF-8', CHASQUI_HOST: host };
    const talk = new Process(t, 'python3', [path.join(ROOT, 'tests/lib/pty_talk.py'), JSON.stringify(steps), CHASQUI, 'run', SIM_MODEL, ...args], { env });
    await within(talk.exited, 'end of the conversation', 30_000);
    const result = JSON.parse(talk.out.join('\n'));
    assert.equal(result.missing, undefined, `${result.missing} did not come:\n${result.screen}`);
    assert.doesNotMatch(result.screen, /Sanitizer/);
    return { ...result, state };
}

/** A node that says "answer N" to the Nth question; what it was asked is in .asked. */
async function recorder(t) {
    const node = await FakeNode.start(t);
    const asked = [];
    node.server.removeAllListeners('request');
    node.server.on('request', async (req, res) => {
        let body = '';
        for await (const piece of req)
            body += piece;
        if (req.url === '/api/chat')
            asked.push(JSON.parse(body).messages);
        const record = (content, done) => `${JSON.stringify({ message: { role: 'assistant', content }, done })}\n`;
        res.setHeader('Content-Type', 'application/x-ndjson');
        res.end(record(`answer ${asked.length}`, false) + record('', true));
    });
    return { url: node.url, asked };
}

test('each question goes with what was said before; Ctrl-D leaves', async (t) => {
    const node = await recorder(t);
    const { code } = await type(t, [[PROMPT, 'one\r'], ['answer 1', ''], [PROMPT, 'two\r'], ['answer 2', ''], [PROMPT, CTRL_D]], { host: node.url });
    assert.equal(code, 0);
    assert.deepEqual(node.asked[1], [
        { role: 'user', content: 'one' }, { role: 'assistant', content: 'answer 1' }, { role: 'user', content: 'two' }]);
});

test('lines are edited; three quotes hold several; the arrow brings back what was typed', async (t) => {
    const node = await recorder(t);
    await type(t, [[PROMPT, `wrd${LEFT}${LEFT}o\r`], ['answer 1', ''], [PROMPT, '"""a\r'], ['... ', '"b" 你\r'], ['... ', 'c"""\r'],
        ['answer 2', ''], [PROMPT, `${UP}${UP}\r`], ['answer 3', ''], [PROMPT, '/bye\r']], { host: node.url });
    assert.deepEqual(node.asked.map((messages) => messages.at(-1).content), ['word', 'a\n"b" 你\nc', 'word']);
});

test('/set system and /clear', async (t) => {
    const node = await recorder(t);
    await type(t, [[PROMPT, '/set system Be brief.\r'], ['Set system message.', ''], [PROMPT, 'one\r'], ['answer 1', ''], [PROMPT, '/clear\r'],
        ['Cleared', ''], [PROMPT, 'two\r'], ['answer 2', ''], [PROMPT, '/set system\r'], ['No system', ''], [PROMPT, 'three\r'],
        ['answer 3', ''], [PROMPT, '/nonsense\r'], ['Unknown command \'/nonsense\'', ''], [PROMPT, '/?\r'], ['/clear', ''], [PROMPT, '/bye\r']],
    { host: node.url });
    const system = { role: 'system', content: 'Be brief.' };
    assert.deepEqual(node.asked[0], [system, { role: 'user', content: 'one' }]);
    assert.deepEqual(node.asked[1], [system, { role: 'user', content: 'two' }]);
    assert.deepEqual(node.asked[2].map((m) => m.role), ['user', 'assistant', 'user']);
});

test('Ctrl-C stops an answer, at the node too, and the conversation goes on; at the prompt it clears the line', async (t) => {
    const slow = await Sim.start(t, { tokens: 100000, tokenInterval: '10ms' });
    const own = await Gateway.start(t, { nodes: [slow] });
    for (const host of [own.url, `mcp://127.0.0.1:${own.mcpPort}`]) {
        const { code, screen } = await type(t, [[PROMPT, 'on and on\r'], [' ', ''], ['\r\n', ''], [' ', ''], [' ', ''], [' ', CTRL_C], [PROMPT, `not this${CTRL_C}`],
            [PROMPT, '/bye\r']], { host });
        assert.equal(code, 0, screen);
        assert.doesNotMatch(screen, /Unknown|cancel/i);
        await slow.untilState((s) => s.active === 0, 'nothing under way');
    }
});

test('history is kept for the next conversation, for its owner alone', async (t) => {
    const node = await recorder(t);
    const { state } = await type(t, [[PROMPT, 'remember me\r'], ['answer 1', ''], [PROMPT, CTRL_D]], { host: node.url });
    const kept = path.join(state, 'chasqui/history');
    assert.equal(statSync(kept).mode & 0o777, 0o600);
    assert.match(readFileSync(kept, 'utf8'), /remember/);
    await type(t, [[PROMPT, `${UP}\r`], ['answer 2', ''], [PROMPT, CTRL_D]], { host: node.url, state });
    assert.equal(node.asked[1][0].content, 'remember me');
});

test('--verbose tells timings after each answer, over both doors', async (t) => {
    for (const host of [gateway.url, `mcp://127.0.0.1:${gateway.mcpPort}`]) {
        const { code } = await type(t, [[PROMPT, 'hi\r'], ['total duration:', ''], ['eval rate:', ''], [PROMPT, CTRL_D]], { args: ['--verbose'], host });
        assert.equal(code, 0);
    }
});

test('nobody there: told before the first prompt, code 3', async (t) => {
    const { code, screen } = await type(t, [], { host: `http://127.0.0.1:${await freePort()}` });
    assert.equal(code, 3);
    assert.doesNotMatch(screen, />>>/);
});
