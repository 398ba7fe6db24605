// SPDX-License-Identifier: MIT
/*
 * Connections to nodes: how many there may be, who waits for one, and when they are closed
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Gateway, Sim, SIM_MODEL, temporaryDirectory } from '../lib/chasqui.mjs';
import { test, until } from '../lib/test.mjs';

async function start(t, node, pool, { workers = 2, more = {} } = {}) {
    const file = path.join(temporaryDirectory(t), 'chasqui.yaml');
    const write = (connection_pool) => writeFileSync(file, JSON.stringify({ nodes: [{ name: 'n', url: node.url, slots: 64 }], connection_pool, workers, ...more }));
    write(pool);
    const gateway = await Gateway.start(t, { args: ['--config', file], untilUp: 1 });
    return { gateway, write };
}

const pool = async (gateway) => (await gateway.nodes())[0].pool;

function ask(gateway, numPredict, signal) {
    return fetch(`${gateway.url}/api/generate`, {
        method: 'POST', signal, body: JSON.stringify({ model: SIM_MODEL, prompt: 'hi', options: { num_predict: numPredict } }) });
}

const finish = async (gateway, numPredict) => {
    const answer = await ask(gateway, numPredict);
    await answer.text();
    return answer.status;
};

/* Endless streams that have begun; ends them all. */
async function occupy(t, gateway, n) {
    const abort = new AbortController();
    t.after(() => abort.abort());
    await Promise.all(Array.from({ length: n }, async () => (await ask(gateway, undefined, abort.signal)).body.getReader().read()));
    return () => abort.abort();
}

test('max_pool_size holds over all workers, and those that wait are served', async (t) => {
    const sim = await Sim.start(t, { slots: 64 });
    const { gateway } = await start(t, sim, { max_pool_size: 3, acquire_timeout: '60s' });
    const free = await occupy(t, gateway, 3);
    const all = Array.from({ length: 12 }, () => finish(gateway, 2));
    await until(async () => (await pool(gateway)).waiting === 12, 'twelve wait');
    assert.equal((await sim.state()).active, 3);
    free();
    assert.deepEqual(new Set(await Promise.all(all)), new Set([200]));
    assert.ok((await pool(gateway)).open <= 3);
});

test('who waits longer than acquire_timeout gets 503 pool_timeout', async (t) => {
    const sim = await Sim.start(t, { slots: 64 });
    const { gateway } = await start(t, sim, { max_pool_size: 2, acquire_timeout: '100ms' });
    const free = await occupy(t, gateway, 2);
    const answer = await ask(gateway, 1);
    assert.equal(answer.status, 503);
    const line = await gateway.accessLine(answer.headers.get('x-request-id'));
    assert.equal(line.reason, 'pool_timeout');
    assert.equal((await pool(gateway)).timeouts, 1);
    free();
    await until(async () => (await pool(gateway)).open < 2, 'room');
    assert.equal(await finish(gateway, 1), 200);
});

test('waiters are served in the order in which they came', async (t) => {
    const sim = await Sim.start(t, { slots: 64 });
    const { gateway } = await start(t, sim, { max_pool_size: 1, acquire_timeout: '60s' });
    const free = await occupy(t, gateway, 1);
    const order = [];
    const all = [];
    for (let i = 0; i < 6; i++) {
        all.push(finish(gateway, 2).then((status) => { assert.equal(status, 200); order.push(i); }));
        await until(async () => (await pool(gateway)).waiting === i + 1, `${i + 1} wait`);
    }
    free();
    await Promise.all(all);
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5]);
});

test('a client that leaves while it waits is forgotten', async (t) => {
    const sim = await Sim.start(t, { slots: 64 });
    const { gateway } = await start(t, sim, { max_pool_size: 1, acquire_timeout: '60s' });
    const free = await occupy(t, gateway, 1);
    const abort = new AbortController();
    const left = ask(gateway, 1, abort.signal).catch(() => {});
    await until(async () => (await pool(gateway)).waiting === 1, 'one waits');
    abort.abort();
    await left;
    await until(async () => (await pool(gateway)).waiting === 0, 'nobody waits');
    free();
    await gateway.untilIdle();
    assert.equal(await finish(gateway, 1), 200);
});

test('max_connections is for all nodes together; an idle connection makes room for another node', async (t) => {
    const [one, two] = await Promise.all([Sim.start(t, { models: ['one'] }), Sim.start(t, { models: ['two'] })]);
    const { gateway } = await start(t, one, { max_connections: 1, acquire_timeout: '30s' }, {
        more: { nodes: [{ name: 'one', url: one.url }, { name: 'two', url: two.url }] } });
    await gateway.untilUp(2);
    const say = async (model) => {
        const answer = await fetch(`${gateway.url}/api/generate`, { method: 'POST', body: JSON.stringify({ model, prompt: 'hi', stream: false, options: { num_predict: 1 } }) });
        await answer.text();
        return answer.status;
    };
    for (let i = 0; i < 6; i++)
        assert.deepEqual([await say('one'), await say('two')], [200, 200]);
    const nodes = await gateway.nodes();
    assert.ok(nodes[0].pool.open + nodes[1].pool.open <= 1);
    assert.ok(nodes[0].pool.closed.surplus + nodes[1].pool.closed.surplus >= 10);
});

test('min_idle connections are open before anybody asks, and again after each use', async (t) => {
    const sim = await Sim.start(t, { slots: 64 });
    const { gateway, write } = await start(t, sim, { min_idle: 3 });
    await until(async () => (await pool(gateway)).idle === 3, 'three idle');
    const free = await occupy(t, gateway, 2);
    await until(async () => (await pool(gateway)).idle === 3, 'three idle besides two busy');
    assert.equal((await pool(gateway)).open, 5);
    free();
    write({ min_idle: 5, idle_timeout: '50ms' });
    process.kill(gateway.pid, 'SIGHUP');
    await until(async () => (await pool(gateway)).idle === 5, 'five idle');
    const { created } = await pool(gateway);
    await finish(gateway, 1);
    assert.ok((await pool(gateway)).idle >= 4);
    assert.ok(created >= 5);
});

test('idle connections close after idle_timeout, old ones after max_lifetime', async (t) => {
    const sim = await Sim.start(t, { slots: 64 });
    const { gateway, write } = await start(t, sim, { idle_timeout: '50ms' });
    assert.equal(await finish(gateway, 1), 200);
    await until(async () => (await pool(gateway)).closed.idle === 1, 'closed for idling');
    write({ max_lifetime: '50ms', idle_timeout: 'none' });
    process.kill(gateway.pid, 'SIGHUP');
    await gateway.proc.waitFor((e) => e.event === 'reloaded', 'reloaded');
    assert.equal(await finish(gateway, 1), 200);
    await until(async () => (await pool(gateway)).closed.age === 1, 'closed for its age');
    assert.equal((await pool(gateway)).open, 0);
});

test('an attempt that finds an idle connection is counted as reuse', async (t) => {
    const sim = await Sim.start(t);
    const { gateway } = await start(t, sim, {}, { workers: 1 });
    for (let i = 0; i < 5; i++)
        assert.equal(await finish(gateway, 1), 200);
    const { created, reused, idle } = await pool(gateway);
    assert.deepEqual([created, reused, idle], [1, 4, 1]);
    const metrics = await gateway.metrics();
    assert.equal(metrics.get('chasqui_pool_created_total{node="n"}'), 1);
    assert.equal(metrics.get('chasqui_pool_reused_total{node="n"}'), 4);
    assert.equal(metrics.get('chasqui_pool_connections{node="n",state="idle"}'), 1);
});

test('a smaller max_pool_size takes effect while it runs', async (t) => {
    const sim = await Sim.start(t, { slots: 64 });
    const { gateway, write } = await start(t, sim, { max_pool_size: 20 });
    await Promise.all(Array.from({ length: 20 }, () => finish(gateway, 20)));
    write({ max_pool_size: 2, acquire_timeout: '60s' });
    process.kill(gateway.pid, 'SIGHUP');
    await until(async () => (await pool(gateway)).open <= 2, 'two are left');
    assert.deepEqual(new Set(await Promise.all(Array.from({ length: 20 }, () => finish(gateway, 5)))), new Set([200]));
    assert.ok((await pool(gateway)).open <= 2);
});

test('auto begins with ten', async (t) => {
    const sim = await Sim.start(t, { slots: 64 });
    const { gateway } = await start(t, sim, { max_pool_size: 'auto', acquire_timeout: '60s' });
    assert.equal((await pool(gateway)).max, 10);
    await occupy(t, gateway, 10);
    const { max } = await pool(gateway);
    assert.ok(max >= 10 && max <= 50, `${max}`);
});

test('the block that people write works as written', async (t) => {
    const sim = await Sim.start(t);
    const { gateway } = await start(t, sim, { max_connections: 1000, idle_timeout: '60s', health_check_interval: '10s' });
    const text = await (await gateway.admin('/admin/config')).text();
    assert.match(text, /max_connections: 1000 +#/);
    assert.match(text, /idle_timeout: 1m +#/);
    assert.match(text, /health_check_interval: 10s +#/);
});
