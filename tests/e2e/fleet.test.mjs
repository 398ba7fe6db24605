// SPDX-License-Identifier: MIT
/*
 * The fleet: slots of nodes, the queue for them, who gets which node
 */
import assert from 'node:assert/strict';
import { Gateway, SIM_MODEL, Sim, runChasqui } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { test, until, within } from '../lib/test.mjs';

const GENERATE = '/api/generate';

/* One answer of @tokens, not streamed. */
async function ask(gateway, { tokens = 5, model = SIM_MODEL, headers = {}, signal, options = {}, stream = false } = {}) {
    const answer = await fetch(gateway.url + GENERATE, {
        method: 'POST',
        headers,
        signal,
        body: JSON.stringify({ model, prompt: 'hello', stream, options: { num_predict: tokens, ...options } }),
    });
    return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

/* A stream that does not end by itself; resolves with its first bytes. */
async function hold(t, gateway, { model = SIM_MODEL, options = {} } = {}) {
    const abort = new AbortController();
    const answer = await fetch(gateway.url + GENERATE, {
        method: 'POST',
        signal: abort.signal,
        body: JSON.stringify({ model, prompt: 'hello', options }),
    });
    const reader = answer.body.getReader();
    await reader.read();
    t.after(() => abort.abort());
    return { answer, abort: () => abort.abort() };
}

const queueLength = async (gateway) => (await gateway.metrics()).get('chasqui_queue_length');
const untilWaiting = (gateway, n) => until(async () => (await queueLength(gateway)) === n, `${n} wait`);
const slotsOf = async (gateway, i = 0) => (await gateway.nodes())[i].slots.find((slots) => slots.model === SIM_MODEL);

for (const slots of [1, 2, 4]) {
    test(`${slots} slots of a node are found within twenty requests`, async (t) => {
        const sim = await Sim.start(t, { slots, tokenInterval: '20ms' });
        /* one worker and warm connections: requests reach the node in the order in which they were let in */
        const gateway = await Gateway.start(t, { nodes: [sim], settings: { poolMin: 8 }, args: ['--workers', '1'] });
        let n = 0;
        const client = async () => {
            while (n++ < 20)
                assert.equal((await ask(gateway, { tokens: 10 })).status, 200);
        };
        await Promise.all(Array.from({ length: 8 }, client));
        assert.equal((await slotsOf(gateway)).limit, slots);
        assert.equal((await slotsOf(gateway)).busy, 0);
    });
}

test('streams that have begun prove that there are more slots', async (t) => {
    const sim = await Sim.start(t, { slots: 16 });
    const gateway = await Gateway.start(t, { nodes: [sim] });
    await Promise.all(Array.from({ length: 16 }, () => hold(t, gateway)));
    assert.equal((await sim.state()).active, 16);
});

test('what is over the slots of a node waits in the gateway, and each gets its turn', async (t) => {
    const sim = await Sim.start(t, { slots: 8 });
    const gateway = await Gateway.start(t, { nodes: [sim], settings: { nodeSlots: 2 } });
    const [first] = [await hold(t, gateway), await hold(t, gateway)];
    const waiting = ask(gateway);
    await untilWaiting(gateway, 1);
    const state = await sim.state();
    assert.equal(state.active, 2);
    assert.equal(state.waiting, 0);
    assert.equal((await gateway.nodes())[0].slots[0].busy, 2);
    first.abort();
    const { status, headers } = await waiting;
    assert.equal(status, 200);
    assert.ok(Number(headers.get('x-chasqui-queue-ms')) >= 0);
    const line = await gateway.accessLine(headers.get('x-request-id'));
    assert.ok(line.queue_ms > 0);
    assert.equal((await queueLength(gateway)), 0);
    assert.ok([...(await gateway.metrics()).keys()].some((name) => name.startsWith('chasqui_queue_seconds_count')));
});

test('a request that asks nothing of a model does not wait', async (t) => {
    const sim = await Sim.start(t, { slots: 8 });
    const gateway = await Gateway.start(t, { nodes: [sim], settings: { nodeSlots: 1 } });
    await hold(t, gateway);
    const shown = await fetch(`${gateway.url}/api/show`, { method: 'POST', body: JSON.stringify({ model: SIM_MODEL }) });
    assert.equal(shown.status, 200);
    const loaded = await fetch(gateway.url + GENERATE, { method: 'POST', body: JSON.stringify({ model: SIM_MODEL, stream: false }) });
    assert.equal(loaded.status, 200);
});

test('a client that leaves the queue is gone at once', async (t) => {
    const sim = await Sim.start(t, { slots: 8 });
    const gateway = await Gateway.start(t, { nodes: [sim], settings: { nodeSlots: 1 } });
    const first = await hold(t, gateway);
    const leaver = new AbortController();
    const gone = ask(gateway, { signal: leaver.signal });
    await untilWaiting(gateway, 1);
    const stayed = ask(gateway);
    await untilWaiting(gateway, 2);
    leaver.abort();
    await assert.rejects(gone);
    await untilWaiting(gateway, 1);
    first.abort();
    assert.equal((await stayed).status, 200);
    assert.equal((await sim.state()).served, 1);
    await gateway.untilIdle();
});

test('who waits too long is told when to come back', async (t) => {
    const sim = await Sim.start(t, { slots: 8 });
    const gateway = await Gateway.start(t, { nodes: [sim], settings: { nodeSlots: 1, queueTimeout: '50ms' } });
    await hold(t, gateway);
    const { status, headers, body } = await ask(gateway);
    assert.equal(status, 503);
    assert.match(body.error, /no node became free in time/);
    assert.ok(Number(headers.get('retry-after')) >= 1);
    const line = await gateway.accessLine(headers.get('x-request-id'));
    assert.equal(line.reason, 'queue_timeout');
    assert.ok(line.queue_ms >= 50);
});

test('a full queue refuses at once, with an honest Retry-After', async (t) => {
    const sim = await Sim.start(t, { slots: 8, tokenInterval: '60ms' });
    const gateway = await Gateway.start(t, { nodes: [sim], settings: { nodeSlots: 1, queueMax: 2 } });
    assert.equal((await ask(gateway, { tokens: 20 })).status, 200); /* so long does one take: 1.2 s */
    const first = await hold(t, gateway);
    const waiting = [ask(gateway)];
    await untilWaiting(gateway, 1);
    waiting.push(ask(gateway));
    await untilWaiting(gateway, 2);
    const { status, headers, body } = await ask(gateway);
    assert.equal(status, 503);
    assert.match(body.error, /too many requests are waiting/);
    assert.ok(Number(headers.get('retry-after')) >= 3, headers.get('retry-after'));
    assert.equal((await gateway.accessLine(headers.get('x-request-id'))).reason, 'queue_full');
    first.abort();
    for (const answer of await Promise.all(waiting))
        assert.equal(answer.status, 200);
});

test('what waits for a node that dies goes on elsewhere', async (t) => {
    const sims = [await Sim.start(t, { slots: 1 }), await Sim.start(t, { slots: 1 })];
    const gateway = await Gateway.start(t, { nodes: sims, settings: { nodeSlots: 1, probes: '100ms' } });
    const held = await Promise.all([hold(t, gateway), hold(t, gateway)]);
    const waiting = [ask(gateway), ask(gateway)];
    await untilWaiting(gateway, 2);
    await sims[0].kill();
    held[0].abort();
    held[1].abort();
    for (const answer of await within(Promise.all(waiting), 'both are answered'))
        assert.equal(answer.status, 200);
    await gateway.untilIdle();
});

/* Which nodes answered @n requests, one after the other. */
async function nodesOf(gateway, n) {
    const nodes = [];
    for (let i = 0; i < n; i++)
        nodes.push((await ask(gateway)).headers.get('x-chasqui-node'));
    return nodes;
}

const countLoads = async (sims) => (await Promise.all(sims.map((sim) => sim.state()))).reduce((n, state) => n + state.loads, 0);

test('warm: a model is loaded once, and on a second node when the first is full', async (t) => {
    const sims = [await Sim.start(t, { slots: 4 }), await Sim.start(t, { slots: 4 })];
    const gateway = await Gateway.start(t, { nodes: sims, settings: { nodeSlots: 4, probes: '50ms' } });
    assert.equal(new Set(await nodesOf(gateway, 10)).size, 1);
    assert.equal(await countLoads(sims), 1);
    const { headers } = await ask(gateway);
    assert.equal(headers.get('x-chasqui-why'), 'warm');
    assert.equal((await gateway.accessLine(headers.get('x-request-id'))).why, 'warm');
    for (let i = 0; i < 8; i++)
        await hold(t, gateway);
    assert.deepEqual(await Promise.all(sims.map(async (sim) => (await sim.state()).active)), [4, 4]);
});

test('round-robin: each in turn', async (t) => {
    const sims = [await Sim.start(t), await Sim.start(t), await Sim.start(t)];
    const gateway = await Gateway.start(t, { nodes: sims, settings: { strategy: 'round-robin' } });
    const nodes = await nodesOf(gateway, 6);
    assert.equal(new Set(nodes).size, 3);
    assert.deepEqual(nodes.slice(0, 3), nodes.slice(3));
});

test('source-hash: a client stays with its node, and changes it when that dies', async (t) => {
    const sims = [await Sim.start(t), await Sim.start(t), await Sim.start(t)];
    const gateway = await Gateway.start(t, { nodes: sims, settings: { strategy: 'source-hash', probes: '100ms' } });
    const [first, ...rest] = await nodesOf(gateway, 5);
    assert.deepEqual(new Set(rest), new Set([first]));
    await sims.find((sim) => sim.address === first).kill();
    const later = await nodesOf(gateway, 3);
    assert.equal(new Set(later).size, 1);
    assert.notEqual(later[0], first);
});

test('a busy model is not loaded anew for other options: another node takes it, or it waits', async (t) => {
    const sims = [await Sim.start(t, { slots: 4 }), await Sim.start(t, { slots: 4 })];
    const gateway = await Gateway.start(t, { nodes: sims, settings: { nodeSlots: 4 } });
    const first = await hold(t, gateway, { options: { num_ctx: 2048 } });
    const second = await hold(t, gateway, { options: { num_ctx: 2048 } });
    await hold(t, gateway, { options: { num_ctx: 8192 } });
    assert.deepEqual((await Promise.all(sims.map(async (sim) => (await sim.state()).active))).sort(), [1, 2]);
    const third = ask(gateway, { options: { num_ctx: 4096 } });
    await untilWaiting(gateway, 1);
    first.abort();
    await until(async () => (await gateway.nodes()).flatMap((node) => node.slots).reduce((n, slots) => n + slots.busy, 0) === 2, 'its slot is free');
    assert.equal(await queueLength(gateway), 1);
    second.abort();
    assert.equal((await third).status, 200);
});

test('a session stays with its node, and after a failure with the next one', async (t) => {
    const sims = [await Sim.start(t), await Sim.start(t), await Sim.start(t)];
    const gateway = await Gateway.start(t, { nodes: sims, settings: { strategy: 'round-robin', probes: '100ms' } });
    await nodesOf(gateway, 3); /* loaded everywhere */
    const at = async (session) => {
        const { headers } = await ask(gateway, { headers: { 'X-Session-Id': session } });
        return headers.get('x-chasqui-node');
    };
    const first = await at('a');
    for (const other of ['b', 'c'])
        await at(other);
    for (let i = 0; i < 4; i++)
        assert.equal(await at('a'), first);
    await sims.find((sim) => sim.address === first).kill();
    const second = await at('a');
    assert.notEqual(second, first);
    for (let i = 0; i < 4; i++)
        assert.equal(await at('a'), second);
});

test('a cookie names the session of a client that keeps cookies', async (t) => {
    const sims = [await Sim.start(t), await Sim.start(t), await Sim.start(t)];
    const gateway = await Gateway.start(t, { nodes: sims, settings: { strategy: 'round-robin', affinity: ['cookie'] } });
    await nodesOf(gateway, 3);
    const first = (await ask(gateway)).headers;
    const set = first.get('set-cookie');
    assert.match(set, /^chasqui_session=[0-9a-f]{32}\.[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Lax$/);
    const Cookie = `theme=dark; ${set.split(';')[0]}`;
    for (let i = 0; i < 4; i++) {
        const { headers } = await ask(gateway, { headers: { Cookie } });
        assert.equal(headers.get('x-chasqui-node'), first.get('x-chasqui-node'));
        assert.equal(headers.get('set-cookie'), null);
    }
    const forged = Cookie.replace(/.$/, (c) => (c === '0' ? '1' : '0'));
    assert.notEqual((await ask(gateway, { headers: { Cookie: forged } })).headers.get('set-cookie'), null);
    assert.equal((await fetch(`${gateway.url}/api/tags`)).headers.get('set-cookie'), null);
});

test('a conversation returns to the node that knows its beginning', async (t) => {
    const sims = [await Sim.start(t), await Sim.start(t), await Sim.start(t)];
    const gateway = await Gateway.start(t, { nodes: sims, settings: { strategy: 'round-robin' } });
    await nodesOf(gateway, 3);
    const chat = async (messages) => {
        const answer = await fetch(`${gateway.url}/api/chat`, {
            method: 'POST', body: JSON.stringify({ model: SIM_MODEL, messages, stream: false, options: { num_predict: 3 } }) });
        const { message } = await answer.json();
        return { message, node: answer.headers.get('x-chasqui-node'), why: answer.headers.get('x-chasqui-why') };
    };
    const messages = [{ role: 'user', content: 'once upon a time '.repeat(200) }];
    const first = await chat(messages);
    assert.equal(first.why, 'round-robin');
    for (let i = 0; i < 4; i++) {
        messages.push({ role: 'assistant', content: 'yes' }, { role: 'user', content: `and then? ${i}` });
        const next = await chat(messages);
        assert.equal(next.node, first.node);
        assert.equal(next.why, 'prefix');
    }
    assert.equal((await chat([{ role: 'user', content: 'another story '.repeat(200) }])).why, 'round-robin');
});

test('chasqui nodes drain: what runs goes on, nothing new comes, until undrain', async (t) => {
    const sims = [await Sim.start(t), await Sim.start(t)];
    const gateway = await Gateway.start(t, { nodes: sims });
    const { headers } = await ask(gateway);
    const first = headers.get('x-chasqui-node');
    const { answer, abort } = await hold(t, gateway);
    assert.equal(answer.headers.get('x-chasqui-node'), first);
    const nodes = (...args) => runChasqui(t, ['nodes', ...args, '--admin', gateway.adminUrl]);
    const state = async () => (await gateway.nodes()).find((node) => node.name === first).state;
    assert.equal((await nodes('drain', first)).code, 0);
    assert.equal(await state(), 'draining');
    for (const node of await nodesOf(gateway, 3))
        assert.notEqual(node, first);
    assert.equal((await nodes('undrain', first)).code, 0);
    assert.equal(await state(), 'up');
    assert.equal((await nodes('drain', 'nobody')).code, 1);
    assert.equal((await nodes('empty', first)).code, 2);
    const bad = await fetch(`${gateway.adminUrl}/admin/nodes`, { method: 'POST', body: '{"name":1}' });
    assert.equal(bad.status, 400);
    abort(); /* else the gateway looks for another node when these end, for seconds */
});

test('a node that was ejected generates a token for a probe before it is back', { timeout: 30_000 }, async (t) => {
    let isWell = false;
    const isProof = (req) => JSON.parse(req.text).options.num_predict === 1;
    const node = await FakeNode.start(t, (req, res) => {
        if (isWell) {
            FakeNode.answerDone(req, res);
            return;
        }
        res.statusCode = 502;
        res.end('{"error":"dead"}');
    }, { isLoaded: true });
    const sim = await Sim.start(t, { models: [node.model] });
    const gateway = await Gateway.start(t, { nodes: [node, sim], settings: { strategy: 'round-robin', probes: '50ms' } });
    const state = async () => (await gateway.nodes()).find((n) => n.url === node.url).state;
    while ((await state()) !== 'ejected')
        assert.equal((await ask(gateway, { model: node.model })).status, 200);
    await until(() => node.requests.some(isProof), 'a probe asks for a token');
    assert.equal(await state(), 'ejected');
    isWell = true;
    await until(async () => (await state()) === 'up', 'it is back', 20_000);
    assert.ok(isProof(node.last));
});

test('nobody is left behind when the gateway ends while requests wait', async (t) => {
    const sim = await Sim.start(t, { slots: 1 });
    const gateway = await Gateway.start(t, { nodes: [sim], settings: { nodeSlots: 1, drain: '50ms' } });
    await hold(t, gateway);
    const waiting = ask(gateway);
    await untilWaiting(gateway, 1);
    const ended = gateway.stop();
    assert.equal((await waiting).status, 503);
    await ended;
});
