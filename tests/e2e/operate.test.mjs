// SPDX-License-Identifier: MIT
/*
 * What an operator sees and does: health, metrics, logs, signals, and texts when something is wrong
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { before } from 'node:test';
import { promisify } from 'node:util';
import { CHASQUI, Gateway, Sim, SIM_EMBED_MODEL, SIM_MODEL, freePort, runChasqui, temporaryDirectory } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { Raw, connectError, exchange, request } from '../lib/raw.mjs';
import { file, test, until, within } from '../lib/test.mjs';

const run = promisify(execFile);
const GENERATE = { model: SIM_MODEL, prompt: 'hi', options: { num_predict: 5 } };
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

let sim, gateway;

before(async () => {
    sim = await Sim.start(file, { slots: 4 });
    gateway = await Gateway.start(file, { nodes: [sim] });
});

const generate = (t, on = gateway, body = GENERATE) => exchange(t, on.port, request('POST', '/api/generate', { body }));
const admin = (where, on = gateway) => on.admin(where);

/* Health and fleet */

test('/livez and /readyz are 200 while a node is up', async () => {
    assert.equal((await admin('/livez')).status, 200);
    assert.equal((await admin('/readyz')).status, 200);
});

test('/readyz is 503 without a node, /livez is not', async (t) => {
    const own = await Gateway.start(t, { nodes: [`http://127.0.0.1:${await freePort()}`], untilUp: 0 });
    assert.equal((await admin('/readyz', own)).status, 503);
    assert.equal((await admin('/livez', own)).status, 200);
});

test('/admin/nodes tells name, address, state and models', async () => {
    const [node] = await gateway.nodes();
    assert.ok(node.name);
    assert.equal(node.url, sim.url);
    assert.equal(node.state, 'up');
    assert.deepEqual([...node.models].sort(), [SIM_EMBED_MODEL, SIM_MODEL]);
});

test('an unknown path of the admin listener: 404', async () => {
    assert.equal((await admin('/nope')).status, 404);
    assert.equal((await admin('/api/generate')).status, 404);
});

/* Metrics */

test('requests are counted by route, model, node, status and reason', async (t) => {
    const count = async () => {
        let sum = 0;
        for (const [name, value] of await gateway.metrics()) {
            if (name.startsWith('chasqui_requests_total{') && name.includes('route="/api/generate"') && name.includes(`model="${SIM_MODEL}"`) &&
                name.includes('status="200"') && name.includes('reason="none"') && name.includes('node="'))
                sum += value;
        }
        return sum;
    };
    const before = await count();
    await generate(t);
    await until(async () => (await count()) === before + 1, 'one more request');
});

test('names of models that are nowhere make no series', async (t) => {
    for (let i = 0; i < 20; i++)
        assert.equal((await generate(t, gateway, { ...GENERATE, model: `unknown-${i}` })).status, 404);
    assert.ok(![...(await gateway.metrics()).keys()].some((name) => name.includes('unknown-')));
});

test('metrics pass promtool', async (t) => {
    await generate(t);
    const answer = await admin('/metrics');
    assert.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
    const check = spawnSync('promtool', ['check', 'metrics'], { input: await answer.text(), encoding: 'utf8' });
    if (check.error?.code === 'ENOENT')
        t.skip('SKIPPED: promtool is not installed (apt install prometheus)');
    else
        assert.equal(check.status, 0, check.stderr);
});

/* Access log */

const FIELDS = ['time', 'request_id', 'trace_id', 'peer', 'key', 'method', 'route', 'model', 'node', 'why', 'attempts', 'status', 'reason', 'stream',
                'queue_ms', 'connect_ms', 'first_record_ms', 'total_ms', 'load_ms', 'bytes_in', 'bytes_out', 'records', 'resumes', 'tokens_in', 'tokens_out'];

test('one access line per request tells everything about it', async (t) => {
    const answer = await generate(t);
    const line = await gateway.accessLine(answer.get('x-request-id'));
    assert.deepEqual(Object.keys(line).sort(), [...FIELDS].sort());
    assert.equal(line.method, 'POST');
    assert.equal(line.route, '/api/generate');
    assert.equal(line.model, SIM_MODEL);
    assert.equal(line.status, 200);
    assert.equal(line.reason, 'none');
    assert.equal(line.stream, true);
    assert.equal(line.attempts, 1);
    assert.equal(line.bytes_in, JSON.stringify(GENERATE).length);
    assert.equal(line.bytes_out, answer.body.length);
    assert.equal(line.records, answer.records.length);
    assert.equal(line.tokens_out, answer.records.at(-1).eval_count);
    assert.equal(line.tokens_in, answer.records.at(-1).prompt_eval_count);
    assert.ok(line.first_record_ms <= line.total_ms);
    assert.equal(gateway.accessLog.filter((other) => other.request_id === line.request_id).length, 1);
});

test('a prompt appears in no log', async (t) => {
    const answer = await generate(t, gateway, { ...GENERATE, prompt: 'xyzzy-plugh' });
    await gateway.accessLine(answer.get('x-request-id'));
    assert.ok(!(gateway.proc.out.join('') + gateway.proc.errText).includes('xyzzy-plugh'));
});

test('a hostile model name stays one line of the log', async (t) => {
    const answer = await generate(t, gateway, { ...GENERATE, model: 'a\n{"status":200}"\u001b[31m' });
    assert.ok([400, 404].includes(answer.status), String(answer.status));
    const line = await gateway.accessLine(answer.get('x-request-id'));
    assert.equal(line.status, answer.status);
});

/* What travels to the node and back */

async function throughFake(t, fields) {
    const node = await FakeNode.start(t);
    const own = await Gateway.start(t, { nodes: [node] });
    const answer = await exchange(t, own.port, request('POST', '/api/generate', { fields, body: { model: node.model, prompt: 'hi' } }));
    assert.equal(answer.status, 200);
    return { headers: node.last.headers, node, own, answer };
}

test('traceparent and tracestate pass through, and the log has the trace', async (t) => {
    const { headers, own, answer } = await throughFake(t, { traceparent: TRACEPARENT, tracestate: 'a=b' });
    assert.equal(headers.traceparent, TRACEPARENT);
    assert.equal(headers.tracestate, 'a=b');
    assert.equal((await own.accessLine(answer.get('x-request-id'))).trace_id, TRACEPARENT.split('-')[1]);
});

test('hop-by-hop fields, Origin and Host stay here; User-Agent and Accept go on', async (t) => {
    const { headers, node } = await throughFake(t, {
        'Connection': 'keep-alive, X-Mine', 'X-Mine': '1', 'Keep-Alive': 'timeout=5', 'TE': 'trailers', 'Proxy-Authorization': 'Basic x',
        'Upgrade': 'h2c', 'HTTP2-Settings': 'AAMAAABk', 'Origin': 'http://localhost', 'User-Agent': 'test/1', 'Accept': 'application/x-ndjson',
        'X-Other': 'kept',
    });
    for (const name of ['x-mine', 'keep-alive', 'te', 'proxy-authorization', 'upgrade', 'http2-settings', 'origin', 'transfer-encoding'])
        assert.equal(headers[name], undefined, name);
    assert.equal(headers.host, `127.0.0.1:${node.port}`);
    assert.equal(headers['user-agent'], 'test/1');
    assert.equal(headers.accept, 'application/x-ndjson');
    assert.equal(headers['x-other'], 'kept');
});

test('the node gets the body as it came, with its length', async (t) => {
    const body = '{ "model" : "fake:latest",\n "prompt": "\\u00e4ö", "unknown": [1, {}] }';
    const node = await FakeNode.start(t);
    const own = await Gateway.start(t, { nodes: [node] });
    const frame = `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    const bytes = request('POST', '/api/generate', { fields: { 'Transfer-Encoding': 'chunked' } }) + frame;
    assert.equal((await exchange(t, own.port, bytes)).status, 200);
    assert.equal(node.last.text, body);
    assert.equal(node.last.headers['content-length'], String(Buffer.byteLength(body)));
});

test('every answer carries an X-Request-Id of its own, errors too', async (t) => {
    const answers = [await generate(t), await generate(t, gateway, { model: 'nope' }),
                     await exchange(t, gateway.port, request('GET', '/nope')), await exchange(t, gateway.port, request('GET', '/')),
                     await exchange(t, gateway.port, 'GET / HTTP/1.1\r\nA : b\r\n\r\n')];
    const ids = answers.map((answer) => answer.get('x-request-id'));
    for (const id of ids)
        assert.match(id, /^[0-9A-HJKMNP-TV-Z]{26}$/);
    assert.equal(new Set(ids).size, ids.length);
});

test('models of several nodes are listed once, running ones with their node', async (t) => {
    const other = await Sim.start(t, { models: [SIM_MODEL, 'other:7b'] });
    const own = await Gateway.start(t, { nodes: [sim, other] });
    const names = (await (await fetch(`${own.url}/api/tags`)).json()).models.map((model) => model.name).sort();
    assert.deepEqual(names, [...new Set([...names])].sort());
    assert.ok(names.includes(SIM_MODEL) && names.includes('other:7b'));
    for (let i = 0; i < 4; i++)
        await generate(t, own);
    assert.equal((await generate(t, own, { ...GENERATE, model: 'other:7b' })).status, 200);
    const { models } = await (await fetch(`${own.url}/api/ps`)).json();
    assert.ok(models.some((model) => model.name === 'other:7b'));
    assert.ok(models.every((model) => model.node));
    const listed = (await (await fetch(`${own.url}/v1/models`)).json()).data.map((model) => model.id);
    assert.deepEqual(listed.sort(), names);
});

test('requests are spread over the nodes that serve the model', async (t) => {
    const sims = [await Sim.start(t), await Sim.start(t), await Sim.start(t)];
    const own = await Gateway.start(t, { nodes: sims, settings: { strategy: 'least-loaded' } });
    for (let i = 0; i < 9; i++)
        await generate(t, own);
    for (const one of sims)
        assert.ok((await one.state()).served >= 1);
});

/* Signals */

const LONG = { ...GENERATE, options: { num_predict: 40 } };

/** A stream that has begun. */
async function begin(t, own, body = LONG) {
    const raw = await Raw.connect(t, own.port);
    await raw.send(request('POST', '/api/generate', { body }));
    const answer = await raw.head();
    await raw.chunk(answer);
    return { raw, answer };
}

test('SIGTERM: no new connections, streams finish, exit code 0', async (t) => {
    const node = await Sim.start(t, { tokenInterval: '20ms' });
    const own = await Gateway.start(t, { nodes: [node] });
    const idle = await Raw.connect(t, own.port);
    await idle.send(request('GET', '/'));
    await idle.answer();
    const { raw, answer } = await begin(t, own);
    own.proc.child.kill('SIGTERM');
    assert.equal(await idle.closed(), 'fin');
    await until(async () => (await connectError(own.port)) === 'ECONNREFUSED', 'new connections are refused');
    await raw.body(answer);
    assert.ok(answer.isComplete);
    assert.equal(answer.records.at(-1).done, true);
    await within(own.proc.exited, 'the end');
    assert.equal(own.proc.code, 0);
});

test('SIGTERM: a stream that does not finish is ended after the drain time', async (t) => {
    const node = await Sim.start(t, { tokenInterval: '20ms' });
    const own = await Gateway.start(t, { nodes: [node], settings: { drain: '300ms' } });
    const { raw, answer } = await begin(t, own, { ...GENERATE, options: { num_predict: 100_000 } });
    own.proc.child.kill('SIGTERM');
    await raw.body(answer);
    assert.equal(answer.isComplete, false);
    assert.match(answer.records.at(-1).error, /shutting down/);
    await within(own.proc.exited, 'the end');
    assert.equal(own.proc.code, 0);
    await node.untilState((s) => s.active === 0, 'the node is released');
});

test('a second signal ends at once', async (t) => {
    const node = await Sim.start(t, { tokenInterval: '20ms' });
    const own = await Gateway.start(t, { nodes: [node] });
    own.mayFail = true;
    await begin(t, own, { ...GENERATE, options: { num_predict: 100_000 } });
    own.proc.child.kill('SIGTERM');
    await until(async () => (await connectError(own.port)) === 'ECONNREFUSED', 'it drains');
    own.proc.child.kill('SIGTERM');
    await within(own.proc.exited, 'the end, long before the drain time of 30 s');
});

test('SIGINT drains like SIGTERM', async (t) => {
    const own = await Gateway.start(t, { nodes: [sim] });
    own.proc.child.kill('SIGINT');
    await within(own.proc.exited, 'the end');
    assert.equal(own.proc.code, 0);
});

/* Texts: what, where, what to do */

test('a port in use: the address is named, exit code 1', async (t) => {
    for (const flag of ['--listen', '--admin']) {
        const args = ['serve', '--node', sim.url, ...(flag === '--listen' ? ['--admin', '127.0.0.1:0'] : ['--listen', '127.0.0.1:0'])];
        const own = await runChasqui(t, [...args, flag, `127.0.0.1:${gateway.port}`]);
        assert.equal(own.code, 1);
        assert.match(own.errText, new RegExp(`127\\.0\\.0\\.1:${gateway.port}`));
        assert.match(own.errText, /in use/);
    }
});

test('no node answers: the text names it, why, and what to start', async (t) => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const own = await Gateway.start(t, { nodes: [url], untilUp: 0 });
    await own.proc.waitFor((event) => event.text.includes(url) && /refused/.test(event.text), 'a text about the node');
    assert.match(own.proc.errText, /ollama serve/);
});

test('a node that is no Ollama is told so', async (t) => {
    const server = createServer((_req, res) => {
        res.statusCode = 404;
        res.end('<html>nginx</html>');
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    const url = `http://127.0.0.1:${server.address().port}`;
    const own = await Gateway.start(t, { nodes: [url], untilUp: 0 });
    await own.proc.waitFor((event) => event.text.includes(url) && /Ollama/.test(event.text), 'a text about the node');
});

test('the first lines tell addresses, nodes and models', async () => {
    assert.ok(gateway.proc.errText.includes(gateway.address));
    assert.ok(gateway.proc.errText.includes(sim.url));
    assert.match(gateway.proc.errText, /2 models/);
    assert.match(gateway.proc.errText, /OLLAMA_HOST=/, 'what to try next');
});

test('a bad configuration: every fault with file, line and column, exit code 1', async (t) => {
    const config = path.join(temporaryDirectory(t), 'chasqui.yaml');
    writeFileSync(config, 'timeouts:\n  conect: 3s\n  metadata: fast\nretry: { max_retries: -1 }\nretry: {}\n');
    const own = await runChasqui(t, ['serve', '--config', config, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']);
    assert.equal(own.code, 1);
    for (const line of [2, 3, 4, 5])
        assert.match(own.errText, new RegExp(`${config}:${line}:\\d+: error: `));
    assert.match(own.errText, /did you mean.*connect/);
    assert.match(own.errText, /\^/);
});

test('a configuration that is no YAML, or not there: told by name', async (t) => {
    const config = path.join(temporaryDirectory(t), 'chasqui.yaml');
    writeFileSync(config, 'timeouts: [\n');
    for (const name of [config, '/nonexistent/chasqui.yaml']) {
        const own = await runChasqui(t, ['serve', '--config', name]);
        assert.equal(own.code, 1);
        assert.ok(own.errText.includes(name), own.errText);
    }
});

for (const args of [['serve', '--nope'], ['serve', '--node'], ['serve', '--workers', 'many'], ['serve', '--node', 'ftp://x'], ['nope']]) {
    test(`chasqui ${args.join(' ')}: a text about it, exit code 2`, async (t) => {
        const own = await runChasqui(t, args);
        assert.equal(own.code, 2, own.errText);
        assert.ok(own.errText.includes(args.find((arg) => arg !== 'serve')), own.errText);
    });
}

test('chasqui version and help speak on stdout', async () => {
    assert.match((await run(CHASQUI, ['version'])).stdout, /\d+\.\d+\.\d+/);
    assert.match((await run(CHASQUI, ['--help'])).stdout, /serve/);
    assert.match((await run(CHASQUI, ['serve', '--help'])).stdout, /--node/);
});

test('a node that goes down and comes back is logged once each', async (t) => {
    const port = await freePort();
    const node = await Sim.start(t, { port });
    const own = await Gateway.start(t, { nodes: [node], settings: { probes: '50ms' } });
    const count = (event) => own.proc.events.filter((other) => other.event === event).length;
    const ups = count('node_up');
    await node.kill();
    await own.proc.waitFor((event) => event.event === 'node_down', 'node_down');
    assert.equal((await generate(t, own)).status, 503); /* one more reason to say it twice */
    await Sim.start(t, { port });
    await own.untilUp(1);
    await until(() => count('node_up') === ups + 1, 'node_up');
    assert.equal(count('node_down'), 1);
});
