// SPDX-License-Identifier: MIT
/*
 * Five nodes on which everything goes wrong, and clients at both doors. Every request ends exactly once, no end is
 * taken for a good one that was none, and afterwards nothing is left: no gauge, no descriptor, no memory.
 *
 * CHASQUI_SOAK=600 makes it last ten minutes (`make soak`), CHASQUI_SEED repeats a run's faults.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Gateway, Sim, SIM_MODEL, freePort, spawnChasqui } from '../lib/chasqui.mjs';
import { test, until, within } from '../lib/test.mjs';

const SECONDS = Number(process.env.CHASQUI_SOAK ?? 10);
const SEED = Number(process.env.CHASQUI_SEED ?? 1);
const N_NODES = 5;
const FAULT_EVERY_MS = 150;
const MAX_GROWTH_KIB = 8 << 10; /* of resident memory, from the first third on */
const CLEAN = { CHASQUI_HOST: undefined, CHASQUI_API_KEY: undefined, OLLAMA_API_KEY: undefined };

/* What goes wrong: kinds with the numbers they need. After how many tokens is drawn. */
const AFTER_TOKENS = ['die', 'stall', 'cut', 'reset', 'error'];
const INSTEAD = ['503', 'garbage', 'length', 'endless', '1xx', 'slow', 'refuse'];

/** Numbers in [0, n), the same for a seed (mulberry32). */
function randomOf(seed) {
    let a = seed;
    return (n) => {
        a = (a + 0x6d2b79f5) | 0;
        let x = Math.imul(a ^ (a >>> 15), 1 | a);
        x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
        return Math.floor((((x ^ (x >>> 14)) >>> 0) / 4294967296) * n);
    };
}

/* Loads: door, and what is asked. The hasty ones leave in the middle, with a model of their own to tell them by. */
const HASTY_MODEL = 'hasty:latest';
const LOADS = [
    ['http', '--api', 'generate'],
    ['http', '--api', 'v1'],
    ['http', '--api', 'chat', '--no-stream', '--rate', '40'],
    ['http', '--api', 'chat', '--timeout', '15ms'],
    ['mcp', '--api', 'generate'],
    ['mcp', '--api', 'chat', '--no-stream', '--rate', '40'],
    ['mcp', '--api', 'chat', '--timeout', '15ms'],
];

const isHasty = (load) => load.includes('--timeout');

function startLoad(t, gateway, [door, ...args]) {
    const host = door === 'mcp' ? `mcp://127.0.0.1:${gateway.mcpPort}` : gateway.url;
    const model = isHasty(args) ? HASTY_MODEL : SIM_MODEL;
    return spawnChasqui(t, ['bench', '--host', host, '--model', model, '-o', 'json', '--connections', '6', '--tokens', '8',
                            '--timeout', '30s', '--duration', `${SECONDS}s`, ...args], CLEAN);
}

class Nodes {
    static async start(t) {
        const nodes = new Nodes();
        nodes.t = t;
        nodes.sims = await Promise.all(Array.from({ length: N_NODES }, async () => nodes.#startAt(await freePort())));
        nodes.struck = {};
        return nodes;
    }

    #startAt(port) {
        return Sim.start(this.t, { port, models: ['sim', 'hasty'], slots: 8, tokens: 8, tokenInterval: '2ms' });
    }

    /** A node that a fault has killed comes back. */
    async revive() {
        for (const [i, sim] of this.sims.entries()) {
            if (!sim.proc.isRunning)
                this.sims[i] = await this.#startAt(sim.port);
        }
    }

    async strike(random) {
        const isAfter = random(2) === 0;
        const kind = isAfter ? AFTER_TOKENS[random(AFTER_TOKENS.length)] : INSTEAD[random(INSTEAD.length)];
        const sim = this.sims[random(N_NODES)];
        const numbers = isAfter ? { after: random(6), count: 1 } : { count: 1 + random(3) };
        await sim.fault(kind, numbers).catch((error) => {
            if (sim.proc.isRunning && !/refuse|fetch failed/.test(error.message))
                throw error;
        });
        this.struck[kind] = (this.struck[kind] ?? 0) + 1;
    }

    async heal() {
        await this.revive();
        for (const sim of this.sims)
            await until(() => sim.fault('none').then(() => true, () => false), 'the node has no fault');
    }
}

const isSanitized = (pid) => /lib[at]san/.test(readFileSync(`/proc/${pid}/maps`, 'utf8'));

/* What may be left in the end, by gauge: the one client is who asks for the metrics. */
const IDLE = [
    [/^chasqui_requests_in_flight$/, 0],
    [/^chasqui_client_connections$/, 1],
    [/^chasqui_pool_connections\{.*state="busy"/, 0],
    [/^chasqui_pool_waiting/, 0],
];

async function untilNothingIsLeft(gateway) {
    let left;
    const isQuiet = async () => {
        const metrics = await gateway.metrics();
        left = [...metrics].filter(([name, value]) => IDLE.some(([gauge, idle]) => gauge.test(name) && value !== idle));
        return left.length === 0;
    };
    await until(isQuiet, 'all gauges are back', 10_000).catch((error) => {
        throw new Error(`${error.message}: ${JSON.stringify(left)}`);
    });
}

test(`${SECONDS} s of faults on ${N_NODES} nodes, seed ${SEED}: every request ends once, nothing is left`, { timeout: 60_000 + SECONDS * 2_000 }, async (t) => {
    const random = randomOf(SEED);
    const nodes = await Nodes.start(t);
    const settings = { probes: '500ms', poolIdle: '200ms', firstToken: '1s', betweenTokens: '1s' };
    const gateway = await Gateway.start(t, { nodes: nodes.sims, settings });
    const baseline = gateway.nDescriptors;

    const loads = LOADS.map((load) => startLoad(t, gateway, load));
    const isOver = Promise.all(loads.map((load) => load.exited));
    const third = Date.now() + (SECONDS * 1_000) / 3;
    let isRunning = true;
    let residentBefore;
    isOver.then(() => (isRunning = false));
    while (isRunning) {
        await nodes.strike(random);
        await nodes.revive();
        if (residentBefore === undefined && Date.now() >= third)
            residentBefore = gateway.residentKiB;
        await Promise.race([isOver, new Promise((resolve) => setTimeout(resolve, FAULT_EVERY_MS))]);
    }
    await within(isOver, 'the loads end', 60_000);
    await nodes.heal();
    await untilNothingIsLeft(gateway);

    const growth = gateway.residentKiB - residentBefore;
    t.diagnostic(`resident ${residentBefore} KiB at a third, ${growth} KiB more at the end; descriptors ${baseline} before, ${gateway.nDescriptors} after`);
    let patient = 0;
    let hasty = 0;
    for (const [i, load] of loads.entries()) {
        const name = LOADS[i].join(' ');
        assert.ok(load.out.length === 1, `${name}: ${load.errText}`);
        const report = JSON.parse(load.out[0]);
        const failed = Object.fromEntries(report.failures.map(({ reason, n }) => [reason, n]));
        t.diagnostic(`${name}: ${report.good} good, ${JSON.stringify(failed)}`);
        assert.equal(failed.incomplete ?? 0, 0, `${name}: ends that look good and are not`);
        const sent = report.good + report.failed + 1 - (failed.local ?? 0) - (failed.connect ?? 0); /* one to try */
        if (isHasty(LOADS[i])) {
            hasty += sent;
        } else {
            patient += sent;
            assert.equal(failed.timeout ?? 0, 0, `${name}: requests without an end`);
            assert.ok(report.good > report.failed, `${name}: ${report.good} good of ${report.good + report.failed}`);
        }
    }
    /* Who leaves at once may have gone before the gateway has read a word. */
    const lines = gateway.accessLog;
    const nPatient = lines.filter((line) => line.model === SIM_MODEL).length;
    t.diagnostic(`${patient} requests and ${nPatient} access lines of the patient, ${hasty} and ${lines.length - nPatient} of the hasty`);
    t.diagnostic(`faults ${JSON.stringify(nodes.struck)}`);
    assert.equal(new Set(lines.map((line) => line.request_id)).size, lines.length);
    assert.equal(nPatient, patient);
    assert.ok(lines.length - nPatient <= hasty);
    await until(() => gateway.nDescriptors <= baseline + N_NODES, `descriptors back to ${baseline}`, 10_000);
    if (!isSanitized(gateway.pid))
        assert.ok(growth < MAX_GROWTH_KIB, `resident memory grew by ${growth} KiB`);
});

test('what is no answer is asked for elsewhere, at both doors', { timeout: 30_000 }, async (t) => {
    for (const kind of INSTEAD.filter((kind) => kind !== 'length')) {
        const sims = await Promise.all([Sim.start(t, { slots: 8, tokens: 4 }), Sim.start(t, { slots: 8, tokens: 4 })]);
        const gateway = await Gateway.start(t, { nodes: sims });
        for (const host of [gateway.url, `mcp://127.0.0.1:${gateway.mcpPort}`]) {
            await sims[0].fault(kind, { count: 1 });
            const load = spawnChasqui(t, ['bench', '--host', host, '--model', SIM_MODEL, '-o', 'json', '--requests', '8', '--connections', '4'], CLEAN);
            await within(load.exited, `${kind}: the load ends`);
            const { good, failures } = JSON.parse(load.out[0]);
            assert.deepEqual([good, failures], [8, []], `${kind} at ${host}`);
        }
        const attempts = [...(await gateway.metrics())].filter(([name]) => name.startsWith('chasqui_attempts_total'));
        const n = attempts.reduce((sum, [, value]) => sum + value, 0);
        assert.ok(n > 16 || kind === 'refuse', `${kind}: it has struck`); /* a probe may have been refused instead */
    }
});
