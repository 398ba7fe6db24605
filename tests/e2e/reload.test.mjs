// SPDX-License-Identifier: MIT
/*
 * A new configuration for a gateway that runs: what takes effect, what is refused, and that no stream notices
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Gateway, Sim, SIM_MODEL, temporaryDirectory } from '../lib/chasqui.mjs';
import { exchange, request } from '../lib/raw.mjs';
import { connect } from '../peers/mcp.mjs';
import { test, until } from '../lib/test.mjs';

const KEY = 'fedcba98765432100000';

/* A gateway whose only configuration is a file. */
async function start(t, tree, options = {}) {
    const file = path.join(temporaryDirectory(t), 'chasqui.yaml');
    const write = (text) => writeFileSync(file, typeof text === 'string' ? text : JSON.stringify(text));
    write(tree);
    const gateway = await Gateway.start(t, { args: ['--config', file], ...options });
    await gateway.untilUp(options.untilUp ?? tree.nodes.length);
    return { gateway, write, file };
}

const node = (sim, name) => ({ name, url: sim.url });

function hangUp(gateway, event) {
    const before = gateway.proc.events.filter((e) => e.event === event).length;
    process.kill(gateway.pid, 'SIGHUP');
    return until(() => gateway.proc.events.filter((e) => e.event === event).length > before, event);
}

function post(gateway, body = '', headers = {}) {
    return fetch(gateway.adminUrl + '/admin/config', { method: 'POST', body, headers: { ...gateway.adminHeaders, ...headers } });
}

function open(gateway, signal) {
    return fetch(`${gateway.url}/api/generate`, { method: 'POST', body: JSON.stringify({ model: SIM_MODEL, prompt: 'hi' }), signal });
}

/* Streams until it is told to end; tells how many records came, and fails on a broken one. */
async function stream(gateway, numPredict) {
    const answer = await fetch(`${gateway.url}/api/generate`, {
        method: 'POST', body: JSON.stringify({ model: SIM_MODEL, prompt: 'hi', options: { num_predict: numPredict } }) });
    assert.equal(answer.status, 200);
    const lines = (await answer.text()).trimEnd().split('\n').map((line) => JSON.parse(line));
    assert.equal(lines.at(-1).done, true);
    assert.equal(lines.at(-1).eval_count, numPredict);
}

test('SIGHUP reads the file again; each change is told, and whether it needs a restart', async (t) => {
    const sim = await Sim.start(t, { loadTime: '60s' });
    const tree = { nodes: [node(sim, 'a')], timeouts: { total: 'none' } };
    const { gateway, write } = await start(t, tree);
    write({ ...tree, timeouts: { total: '1ms' }, workers: 7 });
    await hangUp(gateway, 'reloaded');
    const told = gateway.proc.events.filter((e) => e.event === 'config_changed').map((e) => e.text);
    assert.deepEqual(told, ['timeouts.total: applied', 'workers: needs a restart']);
    assert.equal((await exchange(t, gateway.port, request('POST', '/api/generate', { body: { model: SIM_MODEL, prompt: 'hi' } }))).status, 504);
    /* what waits for a restart is told until there is one */
    await hangUp(gateway, 'reloaded');
    assert.equal(gateway.proc.events.filter((e) => e.text === 'workers: needs a restart').length, 2);
});

test('a file with mistakes changes nothing, and all of them are told', async (t) => {
    const sim = await Sim.start(t);
    const tree = { nodes: [node(sim, 'a')] };
    const { gateway, write, file } = await start(t, tree);
    write('nodes: [http://10.0.0.1]\ntimeots: { total: 1s }\nworkers: -1\n');
    await hangUp(gateway, 'reload_failed');
    const { text } = gateway.proc.events.find((e) => e.event === 'reload_failed');
    assert.match(text, new RegExp(`${file}:2:1: error: unknown key .timeots., did you mean .timeouts.`));
    assert.match(text, new RegExp(`${file}:3:10: error: `));
    assert.deepEqual((await gateway.nodes()).map((n) => [n.name, n.state]), [['a', 'up']]);
    assert.equal((await gateway.metrics()).get('chasqui_config_last_reload_successful'), 0);
    write(tree);
    await hangUp(gateway, 'reloaded');
    assert.equal((await gateway.metrics()).get('chasqui_config_last_reload_successful'), 1);
});

test('POST /admin/config takes a file as its body, an empty one reads the file again', async (t) => {
    const sim = await Sim.start(t);
    const other = await Sim.start(t, { models: ['other:latest'] });
    const tree = { nodes: [node(sim, 'a')] };
    const { gateway } = await start(t, tree);
    const answer = await post(gateway, JSON.stringify({ nodes: [node(sim, 'a'), node(other, 'b')] }));
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), { generation: 2, changes: { nodes: 'applied' } });
    await gateway.untilUp(2);
    assert.match(await (await gateway.admin('/admin/config')).text(), /name: b/);
    const refused = await post(gateway, 'nodes: {}');
    assert.equal(refused.status, 400);
    assert.match((await refused.json()).error, /^configuration:1:8: error: /);
    assert.deepEqual(await (await post(gateway)).json(), { generation: 3, changes: { nodes: 'applied' } });
    assert.deepEqual((await gateway.nodes()).map((n) => n.name), ['a']);
});

test('a web page and a key without admin cannot change the configuration', async (t) => {
    const sim = await Sim.start(t);
    const keys = path.join(temporaryDirectory(t), 'keys');
    writeFileSync(keys, `ops:${KEY}:admin\nuser:0123456789abcdef0123:use\n`, { mode: 0o600 });
    const { gateway } = await start(t, { nodes: [node(sim, 'a')], keys_file: keys }, { adminKey: KEY });
    assert.equal((await post(gateway, '', { Origin: 'http://localhost:3000' })).status, 403);
    assert.equal((await post(gateway, '', { Authorization: 'Bearer 0123456789abcdef0123' })).status, 403);
    assert.equal((await post(gateway, '', { Authorization: '' })).status, 401);
    assert.equal((await post(gateway)).status, 200);
});

test('the keys file is read again: a new key comes in, a removed one does not', async (t) => {
    const sim = await Sim.start(t);
    const keys = path.join(temporaryDirectory(t), 'keys');
    const next = 'aaaabbbbccccddddeeee';
    writeFileSync(keys, `ops:${KEY}:admin\n`, { mode: 0o600 });
    const { gateway } = await start(t, { nodes: [node(sim, 'a')], keys_file: keys }, { adminKey: KEY });
    const tags = async (key) => (await fetch(`${gateway.url}/api/tags`, { headers: { Authorization: `Bearer ${key}` } })).status;
    assert.deepEqual([await tags(KEY), await tags(next)], [200, 401]);
    writeFileSync(keys, `ops:${next}:admin\n`);
    await hangUp(gateway, 'reloaded');
    assert.deepEqual([await tags(KEY), await tags(next)], [401, 200]);
    writeFileSync(keys, 'ops:short:admin\n');
    await hangUp(gateway, 'reload_failed');
    assert.equal(await tags(next), 200);
    gateway.adminHeaders = { Authorization: `Bearer ${next}` };
});

test('an MCP connection whose key is gone ends with its last call, another goes on', async (t) => {
    const sim = await Sim.start(t);
    const keys = path.join(temporaryDirectory(t), 'keys');
    const lines = { ops: `ops:${KEY}:admin\n`, gone: 'gone:0123456789abcdef0123:use\n', stays: 'stays:aaaabbbbccccddddeeee:use\n' };
    writeFileSync(keys, lines.ops + lines.gone + lines.stays, { mode: 0o600 });
    const { gateway } = await start(t, { nodes: [node(sim, 'a')], keys_file: keys, workers: 2 }, { adminKey: KEY });
    const [gone, stays] = await Promise.all(['0123456789abcdef0123', 'aaaabbbbccccddddeeee'].map(
        (key) => connect({ host: '127.0.0.1', port: gateway.mcpPort, key })));
    t.after(() => Promise.all([gone.close(), stays.close()]));
    await Promise.all([gone.ready, stays.ready]);
    const stream = gone.call('ollama.generate', JSON.stringify({ model: SIM_MODEL, prompt: 'hi', options: { num_predict: 400 } }), { codec: 1 });
    const chunks = stream.chunks[Symbol.asyncIterator]();
    await chunks.next();
    writeFileSync(keys, lines.ops + lines.stays);
    await hangUp(gateway, 'reloaded');
    let n = 1;
    while (!(await chunks.next()).done)
        n++;
    assert.ok(n >= 400, `${n} chunks`);
    await gone.closed.promise;
    assert.equal((await stays.call('echo', 'still here').response).body.toString(), 'still here');
});

test('a node that is taken off the list finishes what it does and gets nothing more', async (t) => {
    const [first, second] = await Promise.all([Sim.start(t, { slots: 8 }), Sim.start(t, { slots: 8 })]);
    const { gateway, write } = await start(t, { nodes: [node(first, 'a')] });
    const abort = new AbortController();
    const answer = await open(gateway, abort.signal);
    const reader = answer.body.getReader();
    await reader.read();
    write({ nodes: [node(second, 'b')] });
    await hangUp(gateway, 'reloaded');
    await until(async () => (await gateway.nodes()).find((n) => n.name === 'b')?.state === 'up', 'b up');
    assert.equal((await gateway.nodes()).find((n) => n.name === 'a').state, 'leaving');
    await stream(gateway, 5);
    for (let i = 0; i < 20; i++)
        assert.equal((await reader.read()).done, false); /* it goes on */
    assert.deepEqual([(await first.state()).served, (await second.state()).served], [0, 1]);
    abort.abort();
    await until(async () => (await gateway.nodes()).length === 1, 'a gone');
});

test('a node under a new name is used at once', async (t) => {
    const sim = await Sim.start(t);
    const { gateway, write } = await start(t, { nodes: [node(sim, 'a')] });
    write({ nodes: [node(sim, 'z')] });
    await hangUp(gateway, 'reloaded');
    await stream(gateway, 3);
    assert.equal(gateway.accessLog.at(-1)?.node ?? (await until(() => gateway.accessLog.at(-1)?.node, 'access line')), 'z');
});

test('a hundred reloads, good and bad, under two hundred streams: nothing breaks', async (t) => {
    const sims = await Promise.all([1, 2, 3].map(() => Sim.start(t, { slots: 100, tokenInterval: '5ms' })));
    const all = sims.map((sim, i) => node(sim, `n${i}`));
    const files = [
        { nodes: all },
        'nodes: [}',
        { nodes: [all[0], { ...all[1], name: 'renamed' }] },
        { nodes: all, nonsense: 1 },
        { nodes: [all[2], all[0]], retry: { max_retries: 1 }, connection_pool: { idle_timeout: '1s' } },
    ];
    const { gateway, write } = await start(t, { nodes: all });
    const streams = Array.from({ length: 200 }, () => stream(gateway, 200));
    const done = Promise.all(streams);
    let isDone = false;
    const more = (async () => {
        while (!isDone)
            await stream(gateway, 3);
    })();
    for (let i = 0; i < 100; i++) {
        const file = files[i % files.length];
        write(file);
        await hangUp(gateway, typeof file === 'string' || file.nonsense ? 'reload_failed' : 'reloaded');
    }
    await done;
    isDone = true;
    await more;
    await gateway.untilIdle();
    await until(async () => (await gateway.nodes()).every((n) => n.state !== 'leaving'), 'nobody leaves any more');
});
