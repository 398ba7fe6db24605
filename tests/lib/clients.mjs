// SPDX-License-Identifier: MIT
/*
 * What unmodified clients ask, as tables: each call is made to a node and through the gateway, and both must say the same
 *
 * A call gets a client and {model, embedModel}, and returns what its user would see: an object, the list of streamed
 * records, or the error as thrown.
 */
import { Ollama } from 'ollama';
import OpenAI from 'openai';

const OPTIONS = { num_predict: 12, temperature: 0, seed: 7 };
const MESSAGES = [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'why is the sky blue' }];

async function collect(stream) {
    const records = [];
    for await (const record of stream)
        records.push(record);
    return records;
}

const ollamaCalls = {
    'generate': (c, m) => c.generate({ model: m.model, prompt: 'hello there', options: OPTIONS }),
    'generate, streamed': async (c, m) => collect(await c.generate({ model: m.model, prompt: 'hello', stream: true, options: OPTIONS })),
    'generate, raw': (c, m) => c.generate({ model: m.model, prompt: 'hello', raw: true, options: OPTIONS }),
    'generate without a prompt: load': (c, m) => c.generate({ model: m.model, prompt: '' }),
    'chat': (c, m) => c.chat({ model: m.model, messages: MESSAGES, options: OPTIONS }),
    'chat, streamed': async (c, m) => collect(await c.chat({ model: m.model, messages: MESSAGES, stream: true, options: OPTIONS })),
    'chat with a short name': (c, m) => c.chat({ model: m.model.replace(':latest', ''), messages: MESSAGES, options: OPTIONS }),
    'chat with a name in capitals': (c, m) => c.chat({ model: m.model.toUpperCase(), messages: MESSAGES, options: OPTIONS }),
    'chat without messages: load': (c, m) => c.chat({ model: m.model, messages: [] }),
    'embed one': (c, m) => c.embed({ model: m.embedModel, input: 'one' }),
    'embed several': (c, m) => c.embed({ model: m.embedModel, input: ['one', 'two', 'three'] }),
    'embeddings, the old way': (c, m) => c.embeddings({ model: m.embedModel, prompt: 'one' }),
    'list': (c) => c.list(),
    'show': (c, m) => c.show({ model: m.model }),
    'ps': (c) => c.ps(),
    'version': (c) => c.version(),
};

const ollamaErrors = {
    'generate with an unknown model': (c) => c.generate({ model: 'nope', prompt: 'x' }),
    'generate with an unknown model, streamed': async (c) => collect(await c.generate({ model: 'nope', prompt: 'x', stream: true })),
    'generate without a model': (c) => c.generate({ model: '', prompt: 'x' }),
    'chat with an unknown model': (c) => c.chat({ model: 'nope:7b', messages: MESSAGES }),
    'chat without a model': (c) => c.chat({ model: '', messages: MESSAGES }),
    'embed with an unknown model': (c) => c.embed({ model: 'nope', input: 'x' }),
    'embeddings with an unknown model': (c) => c.embeddings({ model: 'nope', prompt: 'x' }),
    'show of an unknown model': (c) => c.show({ model: 'nope' }),
    'show without a model': (c) => c.show({ model: '' }),
    'a wrong type of an option': (c, m) => c.generate({ model: m.model, prompt: 'x', options: { num_predict: 'many' } }),
};

const CHAT = { messages: MESSAGES, max_tokens: 12, temperature: 0, seed: 7 };
const COMPLETION = { prompt: 'hello there', max_tokens: 12, temperature: 0, seed: 7 };
const WITH_USAGE = { stream: true, stream_options: { include_usage: true } };

const openaiCalls = {
    'chat completion': (c, m) => c.chat.completions.create({ model: m.model, ...CHAT }),
    'chat completion, streamed': async (c, m) => collect(await c.chat.completions.create({ model: m.model, ...CHAT, stream: true })),
    'chat completion, streamed with usage': async (c, m) => collect(await c.chat.completions.create({ model: m.model, ...CHAT, ...WITH_USAGE })),
    'completion': (c, m) => c.completions.create({ model: m.model, ...COMPLETION }),
    'completion, streamed': async (c, m) => collect(await c.completions.create({ model: m.model, ...COMPLETION, stream: true })),
    'embeddings': (c, m) => c.embeddings.create({ model: m.embedModel, input: ['one', 'two'], encoding_format: 'float' }),
    'models': async (c) => ({ data: (await c.models.list()).data }),
};

const openaiErrors = {
    'chat completion with an unknown model': (c) => c.chat.completions.create({ model: 'nope', ...CHAT }),
    'chat completion, streamed, with an unknown model': async (c) =>
        collect(await c.chat.completions.create({ model: 'nope', ...CHAT, stream: true })),
    'completion with an unknown model': (c) => c.completions.create({ model: 'nope', ...COMPLETION }),
    'embeddings with an unknown model': (c) => c.embeddings.create({ model: 'nope', input: 'x' }),
    'chat completion without messages': (c, m) => c.chat.completions.create({ model: m.model, messages: [] }),
};

/* Ollama's ResponseError and OpenAI's APIError, as their users see them. */
async function outcome(call, client, models) {
    try {
        return { value: await call(client, models) };
    } catch (error) {
        if (error.status_code === undefined && error.status === undefined)
            throw error;
        return { thrown: error.constructor.name, status: error.status_code ?? error.status, error: error.error };
    }
}

export const CLIENTS = [
    { name: 'npm ollama', make: (url) => new Ollama({ host: url }), calls: ollamaCalls, errors: ollamaErrors },
    { name: 'npm openai', make: (url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 }),
      calls: openaiCalls, errors: openaiErrors },
];

/** The call's outcome at both ends: {direct, through}, each {value} or {thrown, status, error}. */
export async function atBoth(client, call, nodeUrl, gatewayUrl, models) {
    const direct = await outcome(call, client.make(nodeUrl), models);
    const through = await outcome(call, client.make(gatewayUrl), models);
    return { direct, through };
}

/*
 * Bodies no client library sends. `text: false`: the words are those of a JSON decoder and differ between
 * implementations; status and shape do not.
 */
export const ODD_BODIES = [
    { name: 'no body', path: '/api/generate', body: '' },
    { name: 'no body', path: '/api/chat', body: '' },
    { name: 'no body', path: '/api/show', body: '' },
    { name: 'no body', path: '/v1/chat/completions', body: '', text: false },
    { name: 'half an object', path: '/api/generate', body: '{"model":', text: false },
    { name: 'not JSON', path: '/api/chat', body: 'hello', text: false },
    { name: 'an array', path: '/api/chat', body: '[]', text: false },
    { name: 'a number for the model', path: '/api/generate', body: '{"model":1}', text: false },
    { name: 'a field in capitals', path: '/api/generate', body: '{"MODEL":"nope"}' },
    { name: 'the model twice: the last counts', path: '/api/generate', body: '{"model":"MODEL","model":"nope"}' },
    { name: 'an escaped model', path: '/api/show', body: '{"model":"n\\u006fpe"}' },
    { name: 'the old word for model', path: '/api/show', body: '{"name":"nope"}' },
    { name: 'a second value behind the first', path: '/api/show', body: '{"model":"nope"}{"model":"MODEL"}' },
    { name: 'a null model', path: '/api/chat', body: '{"model":null}' },
    { name: 'a name that cannot be', path: '/api/show', body: '{"model":"a b"}' },
    { name: 'an unknown model', path: '/v1/completions', body: '{"model":"nope","prompt":"x"}' },
];

export async function post(url, path, body) {
    const answer = await fetch(url + path, { method: 'POST', body });
    const text = await answer.text();
    return { status: answer.status, type: answer.headers.get('content-type'), body: text ? JSON.parse(text) : text };
}
