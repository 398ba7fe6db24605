// SPDX-License-Identifier: MIT
/*
 * A node dies in the middle of an answer: the reader sees a pause, not a cut; what cannot be continued ends honestly
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Gateway, Sim, SIM_MODEL, temporaryDirectory } from '../lib/chasqui.mjs';
import { exchange, request } from '../lib/raw.mjs';
import { test } from '../lib/test.mjs';
import { APIS, textOf } from '../lib/text-apis.mjs';
import { connect } from '../peers/mcp.mjs';

const TOKENS = 40;
const PROMPT = 'Tell a long story about the road, with "quotes", a \\ and an é.';

const ask = (t, port, name, { fields = {}, body = {} } = {}) =>
    exchange(t, port, request('POST', name.split(' ')[0], { fields, body: { model: SIM_MODEL, ...APIS[name].body(PROMPT), ...body } }));

async function start(t, { n = 2, sim = {}, gateway = {} } = {}) {
    const sims = [];
    for (let i = 0; i < n; i++)
        sims.push(await Sim.start(t, { tokens: TOKENS, ...sim }));
    return { sims, gateway: await Gateway.start(t, { nodes: sims, ...gateway }) };
}

const lineOf = (gateway, answer) => gateway.accessLine(answer.get('x-request-id'));

/** The first answer that met a fault, and its access line. */
async function struck(t, gateway, sims, kind, name, options) {
    for (const sim of sims)
        await sim.fault(kind, { after: 7, count: 1 });
    const answer = await ask(t, gateway.port, name, options);
    return { answer, line: await lineOf(gateway, answer) };
}

for (const name of Object.keys(APIS)) {
    test(`${name}: two nodes die in the middle of an answer, and the client reads the whole text`, async (t) => {
        const { sims, gateway } = await start(t, { n: 3 });
        const whole = await ask(t, sims[2].port, name);
        const { answer, line } = await struck(t, gateway, sims.slice(0, 2), 'die', name);
        const again = line.resumes > 0 ? { answer, line } : await struckAgain(t, gateway, name);
        assert.ok(again.line.resumes >= 1);
        assert.equal(again.answer.status, 200);
        assert.ok(again.answer.isComplete);
        assert.equal(textOf(name, again.answer.text), textOf(name, whole.text));
        assert.equal(again.line.reason, 'none');
        checkIds(name, again.answer);
        checkEnd(name, again.answer, whole);
        assert.ok((await gateway.metrics()).get('chasqui_answers_resumed_total') >= 1);
    });
}

async function struckAgain(t, gateway, name) {
    for (let i = 0; i < 6; i++) {
        const answer = await ask(t, gateway.port, name);
        const line = await lineOf(gateway, answer);
        if (line.resumes > 0)
            return { answer, line };
    }
    throw new Error('no request met a fault');
}

function checkIds(name, answer) {
    const { records, id, number } = APIS[name];
    const ids = new Set(records(answer.text).map((r) => id?.(r)).filter(Boolean));
    assert.ok(ids.size <= (name === '/v1/responses' ? 2 : 1), `ids ${[...ids]}`);
    if (number)
        records(answer.text).forEach((r, i) => assert.equal(number(r), i));
}

/* Counters are those of an unbroken answer. */
function checkEnd(name, answer, whole) {
    const last = (a) => APIS[name].records(a.text).at(-1);
    for (const key of ['done', 'done_reason', 'eval_count'])
        assert.equal(last(answer)[key], last(whole)[key], key);
    /* The prompt's last word and the answer's first may be one word when they are read again as one text. */
    assert.ok(!(Math.abs(last(answer).prompt_eval_count - last(whole).prompt_eval_count) > 1), 'prompt_eval_count');
}

for (const name of ['/api/generate', '/api/chat']) {
    test(`${name} on nodes that tell their prompts goes on behind its text`, async (t) => {
        const { sims, gateway } = await start(t, { n: 3, sim: { args: ['--ollama-version', '0.30.0'] } });
        const whole = await ask(t, sims[2].port, name);
        const { answer, line } = await struck(t, gateway, sims, 'cut', name);
        assert.ok(line.resumes >= 1);
        assert.equal(line.attempts, 1 + 2 * line.resumes, 'each node is asked for the prompt, and then for the rest');
        assert.equal(textOf(name, answer.text), textOf(name, whole.text));
        checkEnd(name, answer, whole);
        for (const record of answer.records)
            assert.equal(typeof (name === '/api/chat' ? record.message.content : record.response), 'string');
    });
}

for (const name of ['/v1/chat/completions', '/v1/completions']) {
    test(`${name} on nodes that tell their prompts goes on behind its text, as the stream it was`, async (t) => {
        const { sims, gateway } = await start(t, { n: 3, sim: { args: ['--ollama-version', '0.30.0'] } });
        const body = { max_tokens: 30, stream_options: { include_usage: true }, stop: 'no such word' };
        const whole = await ask(t, sims[2].port, name, { body });
        const { answer, line } = await struck(t, gateway, sims, 'cut', name, { body });
        assert.ok(line.resumes >= 1);
        assert.equal(line.attempts, 1 + 2 * line.resumes, 'each node is asked for the prompt, and then for the rest');
        assert.ok(answer.isComplete);
        assert.equal(textOf(name, answer.text), textOf(name, whole.text));
        assert.ok(answer.text.endsWith('data: [DONE]\n\n'));
        checkIds(name, answer);
        const shapeOf = (a) => APIS[name].records(a.text).map(({ id, created, usage, ...rest }) => rest);
        assert.deepEqual(shapeOf(answer), shapeOf(whole));
        const usage = (a) => APIS[name].records(a.text).at(-1).usage;
        assert.equal(usage(answer).completion_tokens, usage(whole).completion_tokens);
        assert.equal(line.tokens_out, 30);
    });
}

test('what of /v1 cannot be said in the words of /api is asked again', async (t) => {
    const { sims, gateway } = await start(t, { sim: { args: ['--ollama-version', '0.30.0'] } });
    const { line } = await struck(t, gateway, sims, 'cut', '/v1/chat/completions', { body: { presence_penalty: 1 } });
    assert.ok(line.resumes >= 1);
    assert.equal(line.attempts, 1 + line.resumes);
});

test('a repeatable request is asked again, also where prompts are told', async (t) => {
    const { sims, gateway } = await start(t, { sim: { args: ['--ollama-version', '0.30.0'] } });
    const { line } = await struck(t, gateway, sims, 'cut', '/api/chat', { body: { options: { temperature: 0 } } });
    assert.ok(line.resumes >= 1);
    assert.equal(line.attempts, 1 + line.resumes);
});

test('an answer over MCP goes on elsewhere too', async (t) => {
    const { sims, gateway } = await start(t);
    const body = { model: SIM_MODEL, messages: [{ role: 'user', content: PROMPT }] };
    const whole = (await exchange(t, sims[1].port, request('POST', '/api/chat', { body }))).records;
    for (const sim of sims)
        await sim.fault('cut', { after: 7, count: 1 });
    const one = await connect({ port: gateway.mcpPort });
    t.after(() => one.close());
    await one.ready;
    const call = one.call('ollama.chat', JSON.stringify(body), { codec: 1 });
    const records = [];
    for await (const chunk of call.chunks)
        records.push(JSON.parse(chunk.body));
    records.push(JSON.parse((await call.response).body));
    assert.equal(records.map((r) => r.message.content).join(''), whole.map((r) => r.message.content).join(''));
    assert.equal(records.at(-1).eval_count, whole.at(-1).eval_count);
    assert.ok((await gateway.metrics()).get('chasqui_answers_resumed_total') >= 1);
});

test('an answer that stalls goes on elsewhere', async (t) => {
    const { sims, gateway } = await start(t, { gateway: { settings: { betweenTokens: '300ms' } } });
    const whole = await ask(t, sims[1].port, '/api/chat');
    const { answer, line } = await struck(t, gateway, sims, 'stall', '/api/chat');
    assert.ok(line.resumes >= 1);
    assert.equal(textOf('/api/chat', answer.text), textOf('/api/chat', whole.text));
});

test('a limit of tokens is a limit of the whole answer', async (t) => {
    const { sims, gateway } = await start(t);
    for (const options of [{ num_predict: 20 }, { num_predict: 20, temperature: 0 }]) {
        const whole = await ask(t, sims[1].port, '/api/generate raw', { body: { options } });
        const { answer } = await struck(t, gateway, sims.slice(0, 1), 'cut', '/api/generate raw', { body: { options } });
        assert.equal(textOf('/api/generate raw', answer.text), textOf('/api/generate raw', whole.text));
        assert.equal(answer.records.at(-1).eval_count, 20);
        assert.equal(answer.records.at(-1).done_reason, 'length');
    }
});

const REFUSED = {
    'tools': { body: { tools: [{ type: 'function', function: { name: 'f', parameters: {} } }] } },
    'a format': { body: { format: 'json' } },
    'log probabilities': { body: { logprobs: true } },
    'X-Chasqui-Resume: off': { fields: { 'X-Chasqui-Resume': 'off' } },
};

for (const [what, options] of Object.entries(REFUSED)) {
    test(`an answer with ${what} that breaks ends with an error record`, async (t) => {
        const { sims, gateway } = await start(t);
        const { answer, line } = await struck(t, gateway, sims, 'cut', '/api/chat', options);
        assert.equal(line.resumes, 0);
        assert.equal(line.reason, 'node_reset');
        assert.ok(!answer.isComplete);
        assert.match(answer.records.at(-1).error, /not complete/);
        assert.equal((await gateway.metrics()).get('chasqui_answers_broken_total'), 1);
    });
}

test('a node that says something else is not believed', async (t) => {
    const sims = [await Sim.start(t, { tokens: TOKENS, seed: 1 }), await Sim.start(t, { tokens: TOKENS, seed: 2 })];
    const gateway = await Gateway.start(t, { nodes: sims });
    const { answer, line } = await struck(t, gateway, sims, 'cut', '/api/chat');
    assert.equal(line.reason, 'node_incomplete');
    assert.match(answer.records.at(-1).error, /something else/);
    const said = answer.records.slice(0, -1).map((r) => r.message.content).join('');
    const whole = await Promise.all(sims.map((sim) => ask(t, sim.port, '/api/chat')));
    assert.ok(whole.some((one) => textOf('/api/chat', one.text).startsWith(said)), 'what was delivered is the beginning of one answer');
});

test('three times are enough', async (t) => {
    const { sims, gateway } = await start(t);
    for (const sim of sims)
        await sim.fault('cut', { after: 7, count: 100 });
    const answer = await ask(t, gateway.port, '/api/chat');
    const line = await lineOf(gateway, answer);
    assert.equal(line.resumes, 3);
    assert.equal(line.reason, 'node_reset');
    assert.match(answer.records.at(-1).error, /not complete/);
});

test('with resume.mode off every answer that breaks ends with an error record', async (t) => {
    const { sims, gateway } = await start(t, { gateway: { settings: { resume: 'off' } } });
    const { line } = await struck(t, gateway, sims, 'cut', '/api/chat');
    assert.equal(line.resumes, 0);
    assert.equal(line.reason, 'node_reset');
});

test('a model has a rule of its own, in the place of the general one', async (t) => {
    for (const [settings, resumes] of [[{ resume: 'off', resumeModels: { sim: { max: 1 } } }, 1], [{ resumeModels: { [SIM_MODEL]: 'off' } }, 0],
                                       [{ resumeModels: { other: 'off' } }, 3]]) {
        const { sims, gateway } = await start(t, { gateway: { settings } });
        for (const sim of sims)
            await sim.fault('cut', { after: 7, count: 100 });
        const answer = await ask(t, gateway.port, '/api/chat');
        assert.equal((await lineOf(gateway, answer)).resumes, resumes, JSON.stringify(settings));
    }
});

test('the rule of a key only takes away', async (t) => {
    const keysFile = path.join(temporaryDirectory(t), 'keys');
    writeFileSync(keysFile, 'batch:batch-batch-batch-1:use\nreader:reader-reader-reader-1:use\nboss:boss-boss-boss-boss-1:admin\n', { mode: 0o600 });
    const settings = { resumeMax: 2, resumeKeys: { batch: 'off', reader: { max: 7 } } };
    const { sims, gateway } = await start(t, { gateway: { settings, keysFile, adminKey: 'boss-boss-boss-boss-1' } });
    for (const sim of sims)
        await sim.fault('cut', { after: 7, count: 100 });
    for (const [key, resumes] of [['batch-batch-batch-1', 0], ['reader-reader-reader-1', 2]]) {
        const answer = await ask(t, gateway.port, '/api/chat', { fields: { Authorization: `Bearer ${key}` } });
        assert.equal((await lineOf(gateway, answer)).resumes, resumes, key);
    }
});

test('a caller over MCP may want no resume', async (t) => {
    const { sims, gateway } = await start(t);
    for (const sim of sims)
        await sim.fault('cut', { after: 7, count: 1 });
    const one = await connect({ port: gateway.mcpPort });
    t.after(() => one.close());
    await one.ready;
    const body = JSON.stringify({ model: SIM_MODEL, messages: [{ role: 'user', content: PROMPT }] });
    const call = one.call('ollama.chat', body, { codec: 1, metadata: [['resume', 'off']] });
    await assert.rejects((async () => {
        for await (const chunk of call.chunks)
            assert.ok(chunk);
        await call.response;
    })());
});
