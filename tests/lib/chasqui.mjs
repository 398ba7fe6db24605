// SPDX-License-Identifier: MIT
/*
 * The binary under test: gateways and simulated nodes as processes
 *
 * CHASQUI names the binary (default: build/chasqui of this tree). Everything listens on free ports of 127.0.0.1; the
 * addresses are read from the "listening" events on stderr. What is started belongs to an owner with
 * after(fn), a test's context or `file`, and is stopped there; a gateway must then end with code 0.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Process } from './process.mjs';
import { until, within } from './test.mjs';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const CHASQUI = path.resolve(ROOT, process.env.CHASQUI ?? 'build/chasqui');

export const SIM_MODEL = 'sim:latest';
export const SIM_EMBED_MODEL = 'sim-embed:latest';

/* Length of an answer that num_predict does not end: endless for a test. */
const MANY_TOKENS = 10_000_000;

/* Where each setting that tests change stands in the configuration file. */
const SETTINGS = {
    connect: ['timeouts', 'connect'],
    metadata: ['timeouts', 'metadata'],
    firstToken: ['timeouts', 'first_token'],
    betweenTokens: ['timeouts', 'between_tokens'],
    head: ['timeouts', 'head'],
    bodyIdle: ['timeouts', 'body_idle'],
    bodyRate: ['limits', 'body_rate'],
    body: ['limits', 'body'],
    bodies: ['memory', 'bodies'],
    send: ['timeouts', 'send'],
    drain: ['drain_timeout'],
    probes: ['connection_pool', 'health_check_interval'],
    poolMin: ['connection_pool', 'min_idle'],
    poolIdle: ['connection_pool', 'idle_timeout'],
    maxRetries: ['retry', 'max_retries'],
    retryBudget: ['retry', 'budget'],
    resume: ['resume', 'mode'],
    resumeMax: ['resume', 'max'],
    resumeModels: ['resume', 'models'],
    resumeKeys: ['resume', 'keys'],
    allowAnonymous: ['allow_anonymous'],
    nodes: ['nodes'],
    aliases: ['models', 'aliases'],
    queueTimeout: ['timeouts', 'queue'],
    queueMax: ['queue', 'max'],
    strategy: ['routing', 'strategy'],
    affinity: ['routing', 'affinity'],
};

/* The environment of a developer must not change what is tested. */
const CLEAN_ENV = { OLLAMA_HOST: undefined, OLLAMA_ORIGINS: undefined, NO_COLOR: '1', CHASQUI_HOST: undefined };

/* A library in front of the gateway's libc: tools/run-fault. */
const PRELOAD = process.env.CHASQUI_PRELOAD ? { LD_PRELOAD: process.env.CHASQUI_PRELOAD } : {};

/** A directory of its own for @owner, removed with it. */
export function temporaryDirectory(owner) {
    const dir = mkdtempSync(path.join(tmpdir(), 'chasqui-test-'));
    owner.after(() => rmSync(dir, { recursive: true, force: true }));
    return dir;
}

/** A port nobody listens on right now; for addresses that must be known before the process starts. */
export function freePort() {
    return new Promise((resolve, reject) => {
        const server = createServer();
        server.on('error', reject);
        server.listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

/** Settings by the short names above, as a configuration file (JSON is YAML). Returns its path. */
export function writeConfig(owner, settings) {
    const tree = {};
    for (const [name, value] of Object.entries(settings)) {
        const keys = SETTINGS[name];
        if (!keys)
            throw new Error(`no setting is called ${name}`);
        const last = keys.length - 1;
        const parent = keys.slice(0, last).reduce((node, key) => (node[key] ??= {}), tree);
        parent[keys[last]] = value;
    }
    const file = path.join(temporaryDirectory(owner), 'chasqui.yaml');
    writeFileSync(file, JSON.stringify(tree, null, 2) + '\n');
    return file;
}

/** The process alone, for tests of how it starts and ends. */
export function spawnChasqui(owner, args, env = {}) {
    return new Process(owner, CHASQUI, args, { env: { ...CLEAN_ENV, ...env } });
}

/** Runs to its end, which it must reach by itself. */
export async function runChasqui(owner, args, env) {
    const run = spawnChasqui(owner, args, env);
    await within(run.exited, `end of chasqui ${args.join(' ')}`);
    return run;
}

/* "listening for http on 127.0.0.1:11435" → "127.0.0.1:11435" */
async function listeningOn(proc, kind) {
    const event = await proc.waitFor((e) => e.event === 'listening' && e.text.startsWith(`listening for ${kind} on `), `listening ${kind}`);
    return event.text.split(/\s+/).at(-1);
}

const portOf = (address) => Number(address.slice(address.lastIndexOf(':') + 1));

/** Metric samples by "name{labels}", as exposed. */
function parseMetrics(text) {
    const samples = new Map();
    for (const line of text.split('\n')) {
        const at = line.lastIndexOf(' ');
        if (!line.startsWith('#') && at > 0)
            samples.set(line.slice(0, at), Number(line.slice(at + 1)));
    }
    return samples;
}

export class Gateway {
    static async start(owner, options = {}) {
        const { nodes = [], listen = ['127.0.0.1:0'], settings, keysFile, adminKey, args = [], env = {} } = options;
        const all = ['serve', '--admin', '127.0.0.1:0', '--mcp', '127.0.0.1:0'];
        for (const address of listen)
            all.push('--listen', address);
        const { nodeSlots, ...others } = settings ?? {};
        const urls = nodes.map((node) => node.url ?? node);
        if (nodeSlots)
            others.nodes = urls.map((url) => ({ url, slots: nodeSlots }));
        else
            urls.forEach((url) => all.push('--node', url));
        if (settings)
            all.push('--config', writeConfig(owner, others));
        if (keysFile)
            all.push('--keys-file', keysFile);
        const gateway = new Gateway();
        gateway.adminHeaders = adminKey ? { Authorization: `Bearer ${adminKey}` } : {};
        gateway.proc = spawnChasqui(owner, [...all, ...args], { ...PRELOAD, ...env });
        owner.after(() => gateway.stop());
        gateway.address = await listeningOn(gateway.proc, 'http');
        gateway.port = portOf(gateway.address);
        gateway.url = `http://127.0.0.1:${gateway.port}`;
        gateway.mcpPort = portOf(await listeningOn(gateway.proc, 'mcp'));
        gateway.adminUrl = `http://${await listeningOn(gateway.proc, 'admin')}`;
        await gateway.proc.waitFor((e) => e.event === 'ready', 'ready');
        await gateway.untilUp(options.untilUp ?? nodes.length);
        return gateway;
    }

    get pid() {
        return this.proc.pid;
    }

    /** Access log so far: one object per finished request. */
    get accessLog() {
        return this.proc.out.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    }

    /** The access line of the request that was answered with this X-Request-Id. */
    accessLine(requestId) {
        return until(() => this.accessLog.find((line) => line.request_id === requestId), `access line of ${requestId}`);
    }

    admin(where) {
        return fetch(this.adminUrl + where, { headers: this.adminHeaders });
    }

    async nodes() {
        const answer = await this.admin('/admin/nodes');
        if (!answer.ok)
            throw new Error(`/admin/nodes: ${answer.status} ${await answer.text()}`);
        return (await answer.json()).nodes;
    }

    /** Until @n nodes are up: probes have seen them and know their models. */
    async untilUp(n) {
        let nodes = [];
        const areUp = async () => {
            nodes = await this.nodes();
            return nodes.filter((node) => node.state === 'up').length >= n;
        };
        await until(areUp, `${n} nodes up`).catch((error) => {
            throw new Error(`${error.message}: ${JSON.stringify(nodes)}\n${this.proc.errText.slice(-2_000)}`);
        });
    }

    async metrics() {
        const answer = await this.admin('/metrics');
        return parseMetrics(await answer.text());
    }

    untilIdle() {
        return until(async () => (await this.metrics()).get('chasqui_requests_in_flight') === 0, 'no request in flight');
    }

    get nDescriptors() {
        return readdirSync(`/proc/${this.pid}/fd`).length;
    }

    get residentKiB() {
        return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))[1]);
    }

    async stop() {
        const code = await this.proc.stop();
        if (code !== 0 && !this.proc.wasKilled && !this.mayFail)
            throw new Error(`the gateway ended with ${code ?? this.proc.signal}:\n${this.proc.errText}`);
    }
}

export class Sim {
    static async start(owner, { port = 0, models, slots, tokens = MANY_TOKENS, tokenInterval = '1ms', loadTime = '1ms', seed = 1, profile, args = [] } = {}) {
        const all = ['sim', '--listen', `127.0.0.1:${port}`, '--seed', String(seed)];
        const flags = { '--models': models?.join(','), '--slots': slots, '--tokens': tokens, '--token-interval': tokenInterval,
                        '--load-time': loadTime, '--profile': profile };
        for (const [flag, value] of Object.entries(flags)) {
            if (value !== undefined)
                all.push(flag, String(value));
        }
        const sim = new Sim();
        sim.proc = spawnChasqui(owner, [...all, ...args]);
        sim.address = await listeningOn(sim.proc, 'sim');
        sim.port = portOf(sim.address);
        sim.url = `http://${sim.address}`;
        return sim;
    }

    /** {active, waiting, served, cancelled, loads, loaded} */
    async state() {
        return (await fetch(`${this.url}/sim/state`)).json();
    }

    untilState(predicate, what) {
        return until(async () => predicate(await this.state()), what);
    }

    /** die | stall | cut after @after records; 503 for the next @count requests; none. */
    async fault(kind, { after, count } = {}) {
        const answer = await fetch(`${this.url}/sim/fault`, { method: 'POST', body: JSON.stringify({ kind, after, count }) });
        if (!answer.ok)
            throw new Error(`fault ${kind}: ${answer.status} ${await answer.text()}`);
    }

    /** As a power cut: SIGKILL. */
    kill() {
        return this.proc.kill();
    }
}
