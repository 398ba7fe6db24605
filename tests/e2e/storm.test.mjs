// SPDX-License-Identifier: MIT
/*
 * kill -9 of nodes under load
 *
 * CHASQUI_KILLS kills (default 60), one node of three at a time. A request whose first record had not reached its client must
 * succeed; nothing is stuck afterwards and nothing leaked.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { Gateway, Sim, SIM_MODEL, freePort } from '../lib/chasqui.mjs';
import { test, until, within } from '../lib/test.mjs';

const KILLS = Number(process.env.CHASQUI_KILLS ?? 60);
const N_NODES = 3;
const N_CLIENTS = 8;
const REQUESTS_BETWEEN_KILLS = 20;
const MAX_GROWTH_KIB = 8 << 10; /* of resident memory, over a whole storm */
const BODY = JSON.stringify({ model: SIM_MODEL, prompt: 'a short one', options: { num_predict: 8 } });

/** One request: "ok"; "broken" after its first record; or an Error: it had not begun and yet failed. */
function ask(gateway, agent) {
    return new Promise((resolve) => {
        let text = '';
        const end = (why) => {
            if (/"done":true/.test(text))
                resolve('ok');
            else if (/"done":false/.test(text))
                resolve('broken');
            else
                resolve(new Error(`${why}: ${text}`));
        };
        const req = request(`${gateway.url}/api/generate`, { method: 'POST', agent }, (res) => {
            res.setEncoding('utf8');
            res.on('data', (piece) => (text += piece));
            res.on('close', () => end(`status ${res.statusCode}, request ${res.headers['x-request-id']}`));
        });
        req.on('error', (error) => end(error.message));
        req.end(BODY);
    });
}

class Load {
    constructor(gateway) {
        this.gateway = gateway;
        this.agent = new Agent({ keepAlive: true, maxSockets: N_CLIENTS });
        this.counts = { ok: 0, broken: 0 };
        this.failures = [];
        this.isOver = false;
        this.clients = Array.from({ length: N_CLIENTS }, () => this.#client());
    }

    async #client() {
        while (!this.isOver) {
            const result = await ask(this.gateway, this.agent);
            if (result instanceof Error)
                this.failures.push(result.message);
            else
                this.counts[result]++;
        }
    }

    untilMore(n) {
        const goal = this.counts.ok + n;
        return until(() => this.counts.ok >= goal || this.failures.length > 0, `${n} more answers`);
    }

    async end() {
        this.isOver = true;
        await within(Promise.all(this.clients), 'every request comes to an end', 10_000);
        this.agent.destroy();
    }
}

/* Back in the gateway's eyes. It may still be ejected, for a node that dies so often is left alone longer and longer. */
const untilReachable = (gateway, sim) =>
    until(async () => (await gateway.nodes()).find((node) => node.url === sim.url).state !== 'down', `${sim.url} is reachable`);

const isSanitized = (pid) => /lib[at]san/.test(readFileSync(`/proc/${pid}/maps`, 'utf8'));

test(`${KILLS} kills under load: what had not begun succeeds, nothing is stuck, nothing leaks`, { timeout: 20_000 + KILLS * 1_000 }, async (t) => {
    const ports = [];
    for (let i = 0; i < N_NODES; i++)
        ports.push(await freePort());
    const startNode = (port) => Sim.start(t, { port, slots: 8 });
    const sims = await Promise.all(ports.map(startNode));
    const gateway = await Gateway.start(t, { nodes: sims, settings: { probes: '100ms', poolIdle: '200ms' } });
    const baseline = gateway.nDescriptors;

    const load = new Load(gateway);
    t.after(() => (load.isOver = true));
    await load.untilMore(REQUESTS_BETWEEN_KILLS);
    const residentBefore = gateway.residentKiB;
    for (let kill = 0; kill < KILLS && load.failures.length === 0; kill++) {
        const victim = kill % N_NODES;
        await sims[victim].kill();
        await load.untilMore(REQUESTS_BETWEEN_KILLS);
        sims[victim] = await startNode(ports[victim]);
        await untilReachable(gateway, sims[victim]);
    }
    await load.end();

    t.diagnostic(`${load.counts.ok} answers, ${load.counts.broken} broken in the middle, ${load.failures.length} failed`);
    assert.deepEqual(load.failures, []);
    assert.ok(load.counts.ok >= KILLS * REQUESTS_BETWEEN_KILLS);
    await gateway.untilIdle();
    await until(() => gateway.nDescriptors <= baseline + N_NODES, `descriptors back to ${baseline}`);
    if (!isSanitized(gateway.pid)) {
        const growth = gateway.residentKiB - residentBefore;
        assert.ok(growth < MAX_GROWTH_KIB, `resident memory grew by ${growth} KiB`);
    }
});
