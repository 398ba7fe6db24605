// SPDX-License-Identifier: MIT
/*
 * kill -9 of nodes in the middle of answers
 *
 * CHASQUI_KILLS kills (default 16), one node of three to five at a time, shared among the shapes of nodes; over every API with
 * text, streamed and whole. Each answer is either the unbroken text, or its beginning and an error record (of a whole one: an
 * error); nothing else is right. What can be continued is: here everything, since all nodes say the same.
 */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { Gateway, Sim, SIM_MODEL, freePort } from '../lib/chasqui.mjs';
import { test, until, within } from '../lib/test.mjs';
import { APIS, textOf, textOfWhole } from '../lib/text-apis.mjs';

const KILLS = Number(process.env.CHASQUI_KILLS ?? 16);
const N_NODES = 4; /* of the rolling restart */
/* Before 0.30 a node does not tell its prompts; what a trailing assistant message does is the model's affair. */
const SHAPES = ['0.11.4', '0.33.0'].flatMap((version) => ['continue', 'echo', 'closed', 'trim'].map((profile) => ({ version, profile })));
const N_CLIENTS = 16;
const N_PROMPTS = 8;
const TOKENS = 60;
const STREAMS_BETWEEN_KILLS = 6;
const SEED = Number(process.env.CHASQUI_SEED ?? Date.now() % 1e6);

/* Seeded, so that a failure can be repeated: CHASQUI_SEED. */
let state = SEED + 1;
const random = (n) => {
    state = (state * 48271) % 0x7fffffff;
    return state % n;
};

const prompts = Array.from({ length: N_PROMPTS }, (_, i) => `${i}: tell me of the road, "slowly", and \\ of é`);

const bodyOf = (name, prompt, fields) => JSON.stringify({ model: SIM_MODEL, ...APIS[name].body(prompt), ...fields });

/** {body, isComplete}: what a client read. */
function ask(port, agent, name, prompt, fields = {}) {
    return new Promise((resolve) => {
        const pieces = [];
        let isComplete = false;
        const end = () => resolve({ body: Buffer.concat(pieces).toString(), isComplete });
        const req = request({ port, path: name.split(' ')[0], method: 'POST', agent }, (res) => {
            res.on('data', (piece) => pieces.push(piece));
            res.on('end', () => (isComplete = res.complete));
            res.on('close', end);
            res.on('error', () => {});
        });
        req.on('error', end);
        req.end(bodyOf(name, prompt, fields));
    });
}

class Load {
    counts = { whole: 0, honest: 0, failed: 0 };
    wrong = [];
    isOver = false;

    constructor(gateway, expected) {
        this.agent = new Agent({ keepAlive: true, maxSockets: N_CLIENTS });
        this.gateway = gateway;
        this.expected = expected;
        this.clients = Array.from({ length: N_CLIENTS }, () => this.#client());
    }

    async #client() {
        while (!this.isOver) {
            const name = Object.keys(APIS)[random(Object.keys(APIS).length)];
            const prompt = prompts[random(N_PROMPTS)];
            const isWhole = random(4) === 0;
            const answer = await ask(this.gateway.port, this.agent, name, prompt, isWhole ? { stream: false } : {});
            if (isWhole)
                this.#judgeWhole(name, answer, this.expected.get(name + prompt));
            else
                this.#judge(name, answer, this.expected.get(name + prompt));
        }
    }

    #judge(name, { body, isComplete }, expected) {
        const isError = /"error":\s*[{"]/.test(body);
        const text = textOf(name, body);
        if (isComplete && !isError && text === expected)
            this.counts.whole++;
        else if (isError && text.length > 0 && expected.startsWith(text))
            this.counts.honest++;
        else if (isError && text.length === 0)
            this.counts.failed++;
        else
            this.wrong.push(`${name}, complete ${isComplete}: ${body.slice(-300)}`);
    }

    #judgeWhole(name, { body, isComplete }, expected) {
        if (isComplete && textOfWhole(name, body) === expected)
            this.counts.whole++;
        else if (isComplete && JSON.parse(body).error)
            this.counts.failed++;
        else
            this.wrong.push(`${name}, not streamed, complete ${isComplete}: ${body.slice(-300)}`);
    }

    untilMore(n) {
        const goal = this.counts.whole + n;
        return until(() => this.counts.whole >= goal || this.wrong.length > 0, `${n} more answers`, 20_000);
    }

    async end() {
        this.isOver = true;
        await within(Promise.all(this.clients), 'every request comes to an end', 20_000);
        this.agent.destroy();
    }
}

/** One that generates. Not each does: a node that dies often is left alone for longer and longer. */
function nodeAtWork(sims) {
    return until(async () => {
        const states = await Promise.all(sims.map((sim) => sim.state()));
        const busy = [...sims.keys()].filter((i) => states[i].active > 0);
        return busy.length > 0 && `${busy[random(busy.length)]}`;
    }, 'a node is at work', 10_000);
}

for (const [i, { version, profile }] of SHAPES.entries()) {
    const kills = Math.ceil(KILLS / SHAPES.length), n = 3 + (i % 3);
    test(`${kills} kills of ${n} nodes, ${version}, ${profile}: no word is lost, none comes twice`, { timeout: 40_000 + kills * 2_000 }, async (t) => {
        const ports = await Promise.all(Array.from({ length: n }, freePort));
        const startNode = (port) => Sim.start(t, { port, slots: N_CLIENTS, tokens: TOKENS, tokenInterval: '2ms', profile,
                                                   args: ['--ollama-version', version] });
        const sims = await Promise.all(ports.map(startNode));
        /* Nodes die faster than the budget always allows (ten in ten seconds), and often more than three times under one answer. */
        const settings = { probes: '100ms', retryBudget: '100%', maxRetries: 7, resumeMax: 7 };
        const gateway = await Gateway.start(t, { nodes: sims, settings });
        const expected = new Map();
        for (const name of Object.keys(APIS))
            for (const prompt of prompts)
                expected.set(name + prompt, textOf(name, (await ask(sims[0].port, undefined, name, prompt)).body));

        const load = new Load(gateway, expected);
        t.after(() => (load.isOver = true));
        await load.untilMore(STREAMS_BETWEEN_KILLS);
        for (let kill = 0; kill < kills && load.wrong.length === 0; kill++) {
            const victim = await nodeAtWork(sims);
            await sims[victim].kill();
            await load.untilMore(STREAMS_BETWEEN_KILLS);
            sims[victim] = await startNode(ports[victim]);
        }
        await load.end();
        const metrics = await gateway.metrics();
        t.diagnostic(`${version} ${profile}, seed ${SEED}: ${load.counts.whole} whole, of them ${metrics.get('chasqui_answers_resumed_total')} resumed; ` +
                     `${load.counts.honest} ended honestly, ${load.counts.failed} never began; ${load.wrong.length} wrong`);
        assert.deepEqual(load.wrong, []);
        assert.ok(metrics.get('chasqui_answers_resumed_total') > 0, 'something was resumed');
        assert.ok(load.counts.honest + load.counts.failed <= Math.ceil(kills / 10), 'what can be continued is');
        await gateway.untilIdle();
    });
}

test('a rolling restart of all nodes under 500 streams: nothing is lost, with the budget as it is', { timeout: 90_000 }, async (t) => {
    const N_STREAMS = 500, name = '/api/chat';
    const ports = await Promise.all(Array.from({ length: N_NODES }, freePort));
    const startNode = (port) => Sim.start(t, { port, slots: N_STREAMS, tokens: 300, tokenInterval: '20ms' });
    const sims = await Promise.all(ports.map(startNode));
    const gateway = await Gateway.start(t, { nodes: sims, settings: { probes: '100ms' } });
    const reference = await Sim.start(t, { slots: N_PROMPTS, tokens: 300, tokenInterval: '0ms' });
    const expected = new Map();
    for (const prompt of prompts)
        expected.set(prompt, textOf(name, (await ask(reference.port, undefined, name, prompt)).body));

    const agent = new Agent({ maxSockets: N_STREAMS });
    const answers = Array.from({ length: N_STREAMS }, (_, i) => ask(gateway.port, agent, name, prompts[i % N_PROMPTS]));
    const nActive = async () => (await Promise.all(sims.map((sim) => sim.state()))).reduce((sum, one) => sum + one.active, 0);
    await until(async () => (await nActive()) >= N_STREAMS, 'all streams run', 20_000);
    for (let i = 0; i < N_NODES; i++) {
        await sims[i].kill();
        sims[i] = await startNode(ports[i]);
        await gateway.untilUp(N_NODES);
    }
    const counts = { whole: 0, honest: 0 };
    for (const [i, { body, isComplete }] of (await Promise.all(answers)).entries()) {
        const whole = expected.get(prompts[i % N_PROMPTS]);
        if (isComplete)
            assert.equal(textOf(name, body), whole);
        else
            assert.ok(/"error"/.test(body) && whole.startsWith(textOf(name, body)), body.slice(-300));
        counts[isComplete ? 'whole' : 'honest']++;
    }
    agent.destroy();
    const metrics = await gateway.metrics();
    t.diagnostic(`${counts.whole} whole, ${metrics.get('chasqui_answers_resumed_total')} of them resumed, ${counts.honest} ended honestly`);
    assert.ok(counts.whole >= 0.99 * N_STREAMS);
    await gateway.untilIdle();
});
