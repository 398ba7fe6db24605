// SPDX-License-Identifier: MIT
/*
 * The corpus of odd and hostile HTTP against a running gateway: requests through the client door, answers by a node
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { before } from 'node:test';
import { Gateway, ROOT } from '../lib/chasqui.mjs';
import { readCorpus } from '../lib/corpus.mjs';
import { Raw, request } from '../lib/raw.mjs';
import { RawNode, answerOf } from '../lib/raw-node.mjs';
import { file, test, until } from '../lib/test.mjs';

const CONTROL = request('GET', '/api/version');
const GENERATE = request('POST', '/api/generate', { body: { model: 'm', stream: false } });
const OWN_FIELD = /^(Host: 127\.0\.0\.1:\d+|Via: 1\.1 chasqui-[0-9a-f]+|Content-Length: \d+)$/;

let node, gateway, answer;

before(async () => {
    node = await RawNode.start(file, (req, connection) => answer(req, connection));
    gateway = await Gateway.start(file, { nodes: [node], settings: { maxRetries: 0 }, args: ['--workers', '1'] });
});

/*
 * Requests
 */

function assertForwarded(want, got) {
    assert.ok(got, 'the request reached the node');
    const [line, ...fields] = got.head.slice(0, -4).split('\r\n');
    assert.equal(line, `${want.method} ${want.target} HTTP/1.1`);
    for (const own of ['Host', 'Via', 'Content-Length'])
        assert.equal(fields.filter((field) => field.startsWith(own + ': ') && OWN_FIELD.test(field)).length, 1, `our own ${own}`);
    assert.deepEqual(fields.filter((field) => !OWN_FIELD.test(field)), want.fields);
    assert.equal(got.body, want.body);
    assert.equal(fields.find((field) => field.startsWith('Content-Length: ')), `Content-Length: ${want.body.length}`);
}

async function assertRefused(raw, statuses) {
    const refusal = await raw.answer();
    assert.ok(statuses.includes(refusal.status), `${refusal.status}, not ${statuses}: ${refusal.text}`);
    assert.equal(typeof refusal.json.error, 'string');
    assert.equal(refusal.get('connection')?.toLowerCase(), 'close');
}

async function assertEnd(raw) {
    raw.halfClose();
    assert.equal(await raw.closed(), 'fin');
}

for (const c of readCorpus('requests')) {
    test(`${c.rule} ${c.name}`, async (t) => {
        const nBefore = node.requests.length;
        const forwards = c.wants.filter((want) => want.kind === 'forward');
        const last = c.wants.at(-1);
        answer = (_req, connection) => connection.socket.write(answerOf({ done: true }));
        const raw = await Raw.connect(t, gateway.port);
        await raw.send(Buffer.from(c.send, 'latin1'));
        for (const want of c.wants) {
            if (want.kind === 'nothing')
                break;
            if (want.kind === 'refuse') {
                await assertRefused(raw, want.statuses);
                break;
            }
            const got = await raw.answer({ toHead: want.isHead });
            assert.equal(got.status, want.kind === 'forward' ? 200 : want.statuses[0], got.text);
            assert.ok(got.isComplete);
        }
        if (last.kind !== 'refuse' && last.kind !== 'nothing' && !last.closes) {
            await raw.send(CONTROL);
            assert.equal(typeof (await raw.answer()).json.version, 'string', 'both agree where the request ended');
        }
        await assertEnd(raw);
        assert.equal(node.requests.length - nBefore, forwards.length, 'requests that reached the node');
        forwards.forEach((want, i) => assertForwarded(want, node.requests[nBefore + i]));
    });
}

test('each rule of docs/security.md names cases of the corpus, of both kinds', () => {
    const names = new Set([...readCorpus('requests'), ...readCorpus('responses')].map((c) => c.name));
    const rules = readFileSync(path.join(ROOT, 'docs/security.md'), 'utf8').split('\n').filter((line) => /^\| \d+\. /.test(line));
    assert.equal(rules.length, 16);
    for (const rule of rules) {
        const columns = rule.split(' | ').slice(1).map((column) => [...column.matchAll(/`([^`]+)`/g)].map((match) => match[1]));
        assert.equal(columns.filter((column) => column.length > 0).length, 2, rule);
        assert.deepEqual(columns.flat().filter((name) => !names.has(name)), [], rule);
    }
});

/*
 * Answers
 */

for (const c of readCorpus('responses').filter((one) => one.to === 'POST')) {
    test(`${c.rule} ${c.name}`, async (t) => {
        const [want] = c.wants;
        let over;
        answer = (_req, connection) => {
            over = connection;
            connection.socket.write(Buffer.from(c.send, 'latin1'), () => {
                if (c.then === 'close')
                    connection.socket.end();
                else if (c.then === 'reset')
                    connection.socket.resetAndDestroy();
            });
        };
        const raw = await Raw.connect(t, gateway.port);
        await raw.send(GENERATE);
        const got = await raw.head();
        if (got.status !== 204 && got.status !== 304)
            await raw.body(got);
        else
            got.isComplete = true;
        /* These are no streams: nothing of one that breaks has reached the client. */
        assert.equal(got.status, want.kind === 'pass' ? want.statuses[0] : 502, got.text);
        assert.ok(got.isComplete);
        if (want.kind === 'pass')
            assert.equal(got.body.toString('latin1'), want.body);
        if (c.later)
            over.socket.write(c.later);
        if (c.node === 'closed')
            await until(() => over.isClosed, 'the gateway closes the connection to the node');
        answer = (_req, connection) => connection.socket.write(answerOf({ control: connection === over }));
        const next = await Raw.connect(t, gateway.port);
        await next.send(GENERATE);
        assert.deepEqual((await next.answer()).json, { control: c.node === 'reused' });
    });
}

/* All threads; a signal is sent before it is heard. */
function isStopped(pid) {
    return readdirSync(`/proc/${pid}/task`).every((id) => / T /.test(readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8')));
}

/* Both are there when the gateway looks, the request first: it is stopped while they come. */
for (const [size, prompt] of [['small', 'hi'], ['large', 'x'.repeat(20_000)]]) {
    /* Where a read may fail though bytes are there (tools/run-fault), they are seen when the request is out. */
    const options = { skip: /again/.test(process.env.CHASQUI_FAULT_IO) };
    test(`9112-9.2 an answer that comes together with a ${size} request is not its answer`, options, async (t) => {
        let over;
        answer = (_req, connection) => {
            over = connection;
            connection.socket.write(answerOf({ done: true }));
        };
        const raw = await Raw.connect(t, gateway.port);
        await raw.send(GENERATE);
        assert.equal((await raw.answer()).status, 200);
        answer = (_req, connection) => connection.socket.write(answerOf({ control: true }));
        process.kill(gateway.pid, 'SIGSTOP');
        await until(() => isStopped(gateway.pid), 'the gateway stands still');
        await raw.send(request('POST', '/api/generate', { body: { model: 'm', prompt, stream: false } }));
        await new Promise((resolve) => over.socket.write(answerOf({ evil: true }), resolve));
        process.kill(gateway.pid, 'SIGCONT');
        assert.deepEqual((await raw.answer()).json, { control: true });
        await until(() => over.isClosed, 'the gateway closes the connection to the node');
    });
}
