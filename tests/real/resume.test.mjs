// SPDX-License-Identifier: MIT
/*
 * A real node is killed in the middle of an answer, and the reader has the same text as ever
 *
 * CHASQUI_KILLS kills (default 8), temperature 0, two real nodes.
 */
import assert from 'node:assert/strict';
import { Gateway } from '../lib/chasqui.mjs';
import { ENDLESS, IS_SELF, OllamaNode, realOllama } from '../lib/ollama.mjs';
import { test } from '../lib/test.mjs';
import { APIS, textOf } from '../lib/text-apis.mjs';

const real = realOllama();
const skip = real.missing ? `SKIPPED, no real Ollama: ${real.missing}`
    : real.url ? 'SKIPPED: two nodes are needed, REAL_OLLAMA_URL is one'
    : IS_SELF ? 'SKIPPED: a node resumes nothing' : false;

const KILLS = Number(process.env.CHASQUI_KILLS ?? 8);
/* The model holds 512 tokens; what goes on behind its text must fit. What is asked again goes beyond. */
const tokens = (name) => (name.endsWith(' raw') ? 450 : 1_000);
/* 0.11 has no /v1/messages and /v1/responses. */
const NAMES = ['/api/generate', '/api/generate raw', '/api/chat', '/v1/chat/completions', '/v1/completions'];

const bodyOf = (name, i) => JSON.stringify({ model: ENDLESS, options: { num_predict: tokens(name) }, max_tokens: tokens(name),
                                             ...APIS[name].body(`${i}: tell me more`) });

/** The answer of a server; @onBegin is called when the first bytes of it are there. */
async function ask(url, name, i, onBegin = () => {}) {
    const answer = await fetch(url + name.split(' ')[0], { method: 'POST', body: bodyOf(name, i) });
    assert.equal(answer.status, 200);
    let body = '';
    try {
        for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
            if (body === '')
                onBegin(answer.headers.get('x-chasqui-node'));
            body += piece;
        }
    } catch {
        body += '(broken off)';
    }
    return { body, id: answer.headers.get('x-request-id') };
}

test(`${KILLS} kills of real nodes: every answer is whole`, { skip, timeout: 60_000 + KILLS * 12_000 }, async (t) => {
    const nodes = [];
    for (let i = 0; i < 2; i++)
        nodes.push(await OllamaNode.start(t, real, { [ENDLESS]: { eosBias: -60, seed: 2 } }));
    const gateway = await Gateway.start(t, { nodes, settings: { probes: '200ms', retryBudget: '100%' } });
    const counts = { resumed: 0, unbroken: 0 };
    for (let i = 0; i < KILLS; i++) {
        const name = NAMES[i % NAMES.length];
        const whole = await ask(gateway.url, name, i);
        let victim;
        const answer = await ask(gateway.url, name, i, (busy) => {
            victim = nodes.find((node) => node.url.endsWith(busy));
            victim.kill();
        });
        const line = await gateway.accessLine(answer.id);
        /* Ollama gives up a model that repeats itself, and says no end then. */
        const isWhole = /"done":true|\[DONE\]/.test(whole.body);
        assert.equal(line.reason, isWhole ? 'none' : 'node_incomplete', `${JSON.stringify(line)} ${answer.body.slice(-500)}`);
        assert.equal(textOf(name, answer.body), textOf(name, whole.body), `${name}, ${line.resumes} resumes`);
        counts[line.resumes > 0 ? 'resumed' : 'unbroken']++;
        await victim.exited;
        await victim.start();
        await gateway.untilUp(2);
    }
    t.diagnostic(`${counts.resumed} resumed, ${counts.unbroken} were over before the kill`);
    assert.ok(counts.resumed >= KILLS / 2);
});
