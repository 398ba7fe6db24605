// SPDX-License-Identifier: MIT
/*
 * The corpus of tests/corpus/http against Chasqui, HAProxy, nginx and Node.js, each in front of the same node
 *
 * usage: node bench/strictness.mjs [--no-page]     writes docs/strictness.md
 *
 * What is seen is what counts: which messages reach the node, what the client gets. Nothing is asked twice.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CHASQUI, ROOT, freePort } from '../tests/lib/chasqui.mjs';
import { readCorpus } from '../tests/lib/corpus.mjs';
import { PROBES, answerOf } from '../tests/lib/raw-node.mjs';

const QUIET_MS = 120; /* nothing comes for so long: nothing will */
const SETTLED_MS = 15; /* the same behind the last answer that was due */
const work = mkdtempSync(path.join(tmpdir(), 'strictness-'));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/*
 * The node: reads whatever comes, leniently, and answers as the case says
 */

/* The first message in @bytes: {line, body, length}; undefined while it is not whole. */
function cutMessage(bytes) {
    const end = bytes.indexOf('\r\n\r\n') + 4;
    if (end < 4)
        return undefined;
    const head = bytes.slice(0, end);
    const line = head.slice(0, head.indexOf('\r\n'));
    if (/^transfer-encoding:.*chunked/im.test(head))
        return cutChunks(line, bytes, end);
    const length = end + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    return bytes.length < length ? undefined : { line, body: bytes.slice(end, length), length };
}

function cutChunks(line, bytes, at) {
    let body = '';
    for (;;) {
        const end = bytes.indexOf('\r\n', at);
        if (end < 0)
            return undefined;
        const size = parseInt(bytes.slice(at, end), 16);
        if (!(size > 0)) {
            const last = bytes.indexOf('\r\n\r\n', end) >= 0 ? bytes.indexOf('\r\n\r\n', end) + 4 : -1;
            return last < 0 ? undefined : { line, body, length: last };
        }
        body += bytes.slice(end + 2, end + 2 + size);
        at = end + 2 + size + 2;
        if (bytes.length < at)
            return undefined;
    }
}

const node = { messages: [], handler: undefined, sockets: new Set() };

function readMessages(socket) {
    let bytes = '';
    socket.on('data', (data) => {
        let message;
        bytes += data.toString('latin1');
        while ((message = cutMessage(bytes)) !== undefined) {
            const [method, target] = message.line.split(' ');
            bytes = bytes.slice(message.length);
            if (node.isProbed && method === 'GET' && PROBES[target] !== undefined) {
                socket.write(answerOf(PROBES[target]), 'latin1');
                continue;
            }
            node.messages.push({ method, target, body: message.body });
            node.handler(socket, method);
        }
    });
}

async function startNode() {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
        node.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('end', () => socket.end());
        socket.on('close', () => node.sockets.delete(socket));
        readMessages(socket);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    node.port = server.address().port;
    return server;
}

/*
 * Contestants
 */

function config(name, port) {
    const text = readFileSync(path.join(ROOT, 'bench/peers', name), 'utf8')
        .replaceAll('@PORT@', port).replaceAll('@NODE@', node.port).replaceAll('@WORK@', work).replaceAll('@BUFFERING@', 'off')
        .replaceAll('@OPTION@', '').replaceAll('@LOG@', name === 'nginx.conf' ? 'off' : '');
    const file = path.join(work, name);
    writeFileSync(file, text);
    return file;
}

const CONTESTANTS = [
    { name: 'Chasqui', isProbed: true, version: () => execFileSync(CHASQUI, ['--version'], { encoding: 'utf8' }).trim(),
      command: (port) => [CHASQUI, 'serve', '--workers', '1', '--listen', `127.0.0.1:${port}`, '--mcp', '127.0.0.1:0', '--admin', '127.0.0.1:0',
                          '--node', `http://127.0.0.1:${node.port}`, '--config', config('strictness.yaml', port)] },
    { name: 'HAProxy', version: () => /version (\S+)/.exec(execFileSync('haproxy', ['-v'], { encoding: 'utf8' }))[1],
      command: (port) => ['haproxy', '-db', '-f', config('haproxy.cfg', port)] },
    { name: 'nginx', version: () => /nginx\/(\S+)/.exec(execFileSync('sh', ['-c', 'nginx -v 2>&1'], { encoding: 'utf8' }))[1],
      command: (port) => ['nginx', '-c', config('nginx.conf', port)] },
    { name: 'Node.js', version: () => process.version,
      command: (port) => [process.execPath, path.join(ROOT, 'bench/peers/proxy.mjs'), String(port), String(node.port)] },
];

async function startContestant(contestant) {
    const port = await freePort();
    const [file, ...args] = contestant.command(port);
    node.isProbed = contestant.isProbed;
    node.handler = (socket) => socket.write(answerOf({ done: true }));
    contestant.child = spawn(file, args, { stdio: 'ignore' });
    contestant.port = port;
    for (let i = 0; i < 100; i++, await sleep(50)) {
        const answer = await ask(port, 'POST /api/generate HTTP/1.1\r\nHost: x.local\r\nContent-Length: 2\r\n\r\n{}', 1);
        if (answer.heads[0]?.status === 200)
            return;
    }
    throw new Error(`${contestant.name} does not answer`);
}

/*
 * Asking
 */

/* Answers in @bytes as their framing says: [{status, body, isComplete}]. */
function cutAnswers(bytes, isHead, isEnd) {
    const heads = [];
    while (bytes.startsWith('HTTP/')) {
        const end = bytes.indexOf('\r\n\r\n') + 4;
        if (end < 4)
            break;
        const head = bytes.slice(0, end);
        const status = Number(head.slice(9, 12));
        const length = /^content-length: *(\d+)/im.exec(head)?.[1];
        let one = { status, body: '', isComplete: true, length: end };
        if (status < 200) {
            bytes = bytes.slice(end);
            continue;
        }
        if (status === 204 || status === 304 || isHead(heads.length))
            one.length = end;
        else if (/^transfer-encoding: *chunked/im.test(head))
            one = { status, isComplete: false, body: bytes.slice(end), length: bytes.length, ...cutChunks('', bytes, end) && { ...cutChunks('', bytes, end), isComplete: true } };
        else if (length !== undefined)
            one = { status, body: bytes.slice(end, end + Number(length)), isComplete: bytes.length >= end + Number(length), length: end + Number(length) };
        else
            one = { status, body: bytes.slice(end), isComplete: isEnd === 'fin', length: bytes.length };
        heads.push(one);
        bytes = bytes.slice(one.length);
    }
    return heads;
}

/* Sends @bytes; resolves with {heads, end} when @n answers are there, the connection ends or nothing comes any more. */
function ask(port, bytes, n, isHead = () => false) {
    return new Promise((resolve) => {
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
        let got = '', end, timer;
        const finish = () => {
            clearTimeout(timer);
            socket.destroy();
            resolve({ heads: cutAnswers(got, isHead, end), end });
        };
        const wait = () => {
            const heads = cutAnswers(got, isHead, end);
            clearTimeout(timer);
            timer = setTimeout(finish, heads.filter((one) => one.isComplete).length >= n ? SETTLED_MS : QUIET_MS);
        };
        socket.on('data', (data) => {
            got += data.toString('latin1');
            wait();
        });
        socket.on('end', () => {
            end ??= 'fin';
            finish();
        });
        socket.on('error', (error) => {
            end ??= error.code;
            finish();
        });
        socket.write(Buffer.from(bytes, 'latin1'));
        wait();
    });
}

/*
 * What became of a request: a word, and whether it is what the corpus wants
 */

const isSame = (want, message) => message.method === want.method && message.target === want.target && message.body === want.body;

/* What reached the node of a case in which @wants were accepted. */
function judgeForwarded(c, got) {
    const accepted = c.wants.filter((want) => want.kind === 'forward' || want.kind === 'answer');
    const forwards = accepted.filter((want) => want.kind === 'forward');
    if (node.messages.length > accepted.length)
        return `${node.messages.length} messages`;
    if (forwards.some((want) => !node.messages.some((message) => isSame(want, message))) && node.messages.length > 0)
        return 'changed';
    return got.heads.length > 0 && got.heads[0].status < 400 ? 'accepted' : node.messages.length > 0 ? 'accepted' : got.heads.length > 0 ? `refused ${got.heads[0].status}` : 'closed';
}

function judgeRequest(c, got) {
    const last = c.wants.at(-1);
    const nBefore = c.wants.length - 1;
    if (last.kind === 'refuse' || last.kind === 'nothing') {
        if (node.messages.length > nBefore)
            return { word: 'forwarded', isRight: false };
        if (last.kind === 'nothing')
            return { word: got.heads.length > nBefore ? `refused ${got.heads[nBefore].status}` : 'waits', isRight: true };
        const answer = got.heads.at(-1);
        if (answer === undefined || answer.status < 400)
            return { word: got.end !== undefined ? 'closed' : 'waits', isRight: got.end !== undefined };
        return { word: `refused ${answer.status}`, isRight: true };
    }
    const word = judgeForwarded(c, got);
    /* A plain proxy forwards what the gateway answers itself, and an answer of the gateway may be a refusal. */
    const isRight = word === 'accepted' || (c.wants[0].kind === 'answer' && c.wants[0].statuses[0] >= 400 && /^refused|closed/.test(word));
    return { word, isRight };
}

/* What was begun is done: nothing of one case comes into the next. */
async function settle() {
    for (let n = -1; n !== node.messages.length; await sleep(SETTLED_MS))
        n = node.messages.length;
}

async function runRequest(contestant, c) {
    node.messages.length = 0;
    node.handler = (socket, method) => socket.write(method === 'HEAD' ? 'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n' : answerOf({ done: true }));
    const got = await ask(contestant.port, c.send, c.wants.at(-1).kind === 'nothing' ? 99 : c.wants.length, (i) => c.wants[i]?.isHead === true);
    await settle();
    return judgeRequest(c, got);
}

/*
 * What became of an answer
 */

const GENERATE = 'POST /api/generate HTTP/1.1\r\nHost: x.local\r\nContent-Length: 28\r\n\r\n{"model":"m","stream":false}';

async function control(contestant) {
    node.handler = (socket) => socket.write(answerOf({ control: true }));
    for (let i = 0; i < 3; i++) {
        const { heads } = await ask(contestant.port, GENERATE, 1);
        if (heads[0]?.body === '{"control":true}')
            return true;
        if (heads[0]?.body.includes('evil'))
            return false;
    }
    return true;
}

function judgeAnswer(c, got) {
    const [want] = c.wants;
    const answer = got.heads[0];
    if (answer === undefined)
        return { word: got.end !== undefined ? 'closed' : 'waits', isRight: want.kind !== 'pass' };
    if (answer.status >= 500)
        return { word: `refused ${answer.status}`, isRight: want.kind !== 'pass' };
    if (!answer.isComplete)
        return { word: 'broken off', isRight: want.kind !== 'pass' };
    if (want.kind === 'pass')
        return answer.body === want.body && answer.status === want.statuses[0] ? { word: 'passed', isRight: true } : { word: 'changed', isRight: false };
    return { word: 'passed', isRight: false };
}

async function runAnswer(contestant, c) {
    let over;
    node.handler = (socket) => {
        over = socket;
        socket.write(Buffer.from(c.send, 'latin1'));
        if (c.then === 'close')
            socket.end();
        else if (c.then === 'reset')
            setTimeout(() => socket.resetAndDestroy(), 5);
        node.handler = (again) => again.destroy(); /* a retry gets nothing */
    };
    const got = await ask(contestant.port, GENERATE, 1);
    if (c.later && over !== undefined) {
        over.write(c.later);
        await sleep(SETTLED_MS);
    }
    const isInStep = await control(contestant);
    for (const socket of node.sockets)
        socket.destroy();
    await sleep(2);
    return isInStep ? judgeAnswer(c, got) : { word: 'desync', isRight: false };
}

/*
 * Pages
 */

const mark = ({ word, isRight }) => (isRight ? word : `**${word}**`);

function summary(cases, results) {
    const files = [...new Set(cases.map((c) => c.file))];
    const rows = files.map((name) => {
        const of = cases.filter((c) => c.file === name);
        return `| ${name.replace('.txt', '')} | ${of.length} | ${CONTESTANTS.map((x) => of.filter((c) => !results.get(c).get(x).isRight).length).join(' | ')} |`;
    });
    const sums = CONTESTANTS.map((x) => cases.filter((c) => !results.get(c).get(x).isRight).length);
    return [`| file | cases | ${CONTESTANTS.map((x) => x.name).join(' | ')} |`, `| --- | ---: | ${CONTESTANTS.map(() => '---:').join(' | ')} |`,
            ...rows, `| all | ${cases.length} | ${sums.join(' | ')} |`].join('\n');
}

function details(cases, results) {
    const rows = cases.filter((c) => CONTESTANTS.some((x) => !results.get(c).get(x).isRight))
        .map((c) => `| ${c.rule} | ${c.name.replaceAll('|', '\\|')} | ${CONTESTANTS.map((x) => mark(results.get(c).get(x))).join(' | ')} |`);
    return [`| rule | case | ${CONTESTANTS.map((x) => x.name).join(' | ')} |`, `| --- | --- | ${CONTESTANTS.map(() => '---').join(' | ')} |`, ...rows].join('\n');
}

function page(requests, answers, results) {
    return `# Strictness, beside others

The corpus of [tests/corpus/http](../tests/corpus/http/README.md) through four gateways in front of the same node: ${CONTESTANTS.map((x) => `${x.name} ${x.version().replace(/^chasqui /, '')}`).join(', ')}, HAProxy and nginx with the
configurations of \`bench/peers/\` and their own defaults of strictness, Node.js with the proxy one writes
(\`bench/peers/proxy.mjs\`). \`bench/strictness\` repeats it and writes this page.

The yardstick is the strict reading: refuse what RFC 9112 calls invalid or ambiguous. A number is how many cases went
otherwise. It does not say "vulnerable": RFC 9112 allows leniency in places, a lenient reader that frames the message
anew does no harm by that alone, and some cases are limits, which differ by choice.
The verdicts are ours and Chasqui is tested against them, so its column is 0 by construction: it says that nothing
slipped, not that the corpus is whole. The other columns are the news.

## Requests

${summary(requests, results)}

## Answers of nodes

${summary(answers, results)}

## Where somebody goes otherwise

\`forwarded\`: what should be refused reached the node. \`changed\`, \`N messages\`: the node got something else, or more.
\`waits\`: neither an answer nor an end. \`desync\`: the next client got bytes that were not for it. In bold: otherwise
than wanted.

### Requests

${details(requests, results)}

### Answers

${details(answers, results)}
`;
}

/* A contestant whose process ends in a case is started again for the next. */
async function runOne(contestant, run, c) {
    const result = await run(contestant, c);
    if (contestant.child.exitCode === null && contestant.child.signalCode === null)
        return result;
    await startContestant(contestant);
    return { word: 'process ended', isRight: false };
}

async function main() {
    const requests = readCorpus('requests');
    const answers = readCorpus('responses').filter((c) => c.to === 'POST');
    const results = new Map([...requests, ...answers].map((c) => [c, new Map()]));
    const server = await startNode();
    for (const contestant of CONTESTANTS) {
        await startContestant(contestant);
        for (const [run, cases] of [[runRequest, requests], [runAnswer, answers]]) {
            for (const c of cases)
                results.get(c).set(contestant, await runOne(contestant, run, c));
        }
        contestant.child.kill();
        console.log(contestant.name, 'done');
    }
    server.close();
    console.log(summary(requests, results), '\n\n' + summary(answers, results));
    if (!process.argv.includes('--no-page'))
        writeFileSync(path.join(ROOT, 'docs/strictness.md'), page(requests, answers, results));
}

try {
    await main();
} finally {
    CONTESTANTS.forEach((x) => x.child?.kill());
    rmSync(work, { recursive: true, force: true });
}
process.exit(0);
