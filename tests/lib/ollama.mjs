// SPDX-License-Identifier: MIT
/*
 * Real Ollama nodes with a tiny model
 *
 * REAL_OLLAMA_URL names a running server; else tools/ollama-real gives the pinned binary, and each node gets a home, a model store and a
 * port of its own. With neither, realOllama() is {missing: why} and the suite skips, loudly.
 * CHASQUI=self puts the node itself in the gateway's place: the suite then checks itself.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CHASQUI, Gateway, ROOT, freePort, temporaryDirectory } from './chasqui.mjs';
import { slow, until } from './test.mjs';

export const IS_SELF = path.basename(CHASQUI) === 'self';
export const TINY = 'tiny:latest'; /* answers that end by themselves */
export const ENDLESS = 'endless:latest'; /* answers that do not */
export const PARROT = 'parrot:latest'; /* one token for ever */
export const MODELS = {
    [TINY]: {},
    [ENDLESS]: { eosBias: -60, seed: 2 },
    [PARROT]: { eosBias: -60, gain: 0 },
};

const TEMPLATE = '{{ range .Messages }}{{ .Role }} {{ .Content }} {{ end }}';
/* One thread: with more, tiny models on busy cores take 100 ms a token. */
const PARAMETERS = { num_thread: 1, temperature: 0, seed: 1, num_ctx: 512 };
const SAYS_IT_LISTENS = 20_000;

/** {url} of a given server, {binary}, or {missing: why there is none}. */
export function realOllama() {
    if (process.env.REAL_OLLAMA_URL)
        return { url: process.env.REAL_OLLAMA_URL.replace(/\/$/, '') };
    const build = spawnSync(path.join(ROOT, 'tools/ollama-real'), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return build.status === 0 ? { binary: build.stdout.trim() } : { missing: build.stderr?.trim() || 'tools/ollama-real failed' };
}

async function call(url, where, body, method = 'POST') {
    const answer = await fetch(url + where, { method, body: body instanceof Buffer ? body : JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok || text.includes('"error"'))
        throw new Error(`${method} ${where}: ${answer.status} ${text}`);
    return text;
}

/** Makes model @name of random weights on the server at @url. */
export async function createModel(owner, url, name, { seed = 1, eosBias = -6, gain = 4 } = {}) {
    const gguf = path.join(temporaryDirectory(owner), 'tiny.gguf');
    execFileSync('python3', [path.join(ROOT, 'tests/lib/mk_tiny_gguf.py'), gguf, `--seed=${seed}`, `--eos-bias=${eosBias}`, `--gain=${gain}`]);
    const data = readFileSync(gguf);
    const digest = `sha256:${createHash('sha256').update(data).digest('hex')}`;
    await call(url, `/api/blobs/${digest}`, data);
    await call(url, '/api/create', { model: name, files: { 'tiny.gguf': digest }, template: TEMPLATE, parameters: PARAMETERS });
}

export class OllamaNode {
    static async start(owner, real, models = MODELS) {
        const node = new OllamaNode();
        if (real.url)
            node.url = real.url;
        else
            await node.#spawn(owner, real.binary);
        for (const [name, options] of Object.entries(models)) {
            await createModel(owner, node.url, name, options);
            if (real.url)
                owner.after(() => call(node.url, '/api/delete', { model: name }, 'DELETE'));
        }
        return node;
    }

    async #spawn(owner, binary) {
        this.binary = binary;
        this.home = temporaryDirectory(owner);
        this.url = `http://127.0.0.1:${await freePort()}`;
        owner.after(() => this.#stop());
        await this.start();
    }

    /** Again on its port, with its models, after kill(). */
    async start() {
        const { home, port } = this;
        const env = { PATH: process.env.PATH, HOME: home, OLLAMA_MODELS: path.join(home, 'models'), OLLAMA_HOST: `127.0.0.1:${port}`,
                      OLLAMA_NUM_PARALLEL: '1', OLLAMA_KEEP_ALIVE: '10m' };
        this.log = '';
        /* A process group of its own: Ollama's runners are its children and end with it. */
        this.child = spawn(this.binary, ['serve'], { env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
        this.child.stderr.on('data', (data) => (this.log = (this.log + data).slice(-20_000)));
        this.exited = new Promise((resolve) => this.child.on('exit', resolve));
        await until(async () => {
            if (this.child.exitCode !== null)
                throw new Error(`ollama ended with ${this.child.exitCode}:\n${this.log}`);
            return fetch(`${this.url}/api/version`).then((answer) => answer.ok, () => false);
        }, 'Ollama listens', SAYS_IT_LISTENS);
    }

    /** As a power cut: the server and its runners, at once. */
    kill() {
        process.kill(-this.child.pid, 'SIGKILL');
        return this.exited;
    }

    async #stop() {
        this.child.kill('SIGTERM');
        const hard = setTimeout(() => this.kill(), slow(5_000));
        await this.exited;
        clearTimeout(hard);
        try {
            process.kill(-this.child.pid, 'SIGKILL'); /* runners that were left */
        } catch (error) {
            if (error.code !== 'ESRCH')
                throw error;
        }
    }

    get port() {
        return Number(new URL(this.url).port || 80);
    }
}

/** A gateway in front of the nodes; the first node itself when the suite checks itself. */
export async function gatewayFor(owner, nodes) {
    return IS_SELF ? { url: nodes[0].url, port: nodes[0].port } : Gateway.start(owner, { nodes });
}
