// SPDX-License-Identifier: MIT
/*
 * Every way to ask a node for a streamed text, and how a client puts the text of an answer together
 *
 * Keyed by path; a word behind the path tells variants apart.
 */
const ndjson = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
const sse = (text) => text.split('\n\n').filter((event) => event.includes('data: {')).map((event) => JSON.parse(/^data: (.*)$/m.exec(event)[1]));
const user = (prompt) => [{ role: 'user', content: prompt }];

export const APIS = {
    '/api/generate': { body: (prompt) => ({ prompt }), records: ndjson, text: (r) => r.response },
    '/api/generate raw': { body: (prompt) => ({ prompt, raw: true }), records: ndjson, text: (r) => r.response },
    '/api/chat': { body: (prompt) => ({ messages: user(prompt) }), records: ndjson, text: (r) => r.message?.content },
    '/v1/chat/completions': {
        body: (prompt) => ({ messages: user(prompt), stream: true }), records: sse, text: (r) => r.choices?.[0]?.delta?.content, id: (r) => r.id,
    },
    '/v1/completions': { body: (prompt) => ({ prompt, stream: true }), records: sse, text: (r) => r.choices?.[0]?.text, id: (r) => r.id },
    '/v1/messages': {
        body: (prompt) => ({ messages: user(prompt), max_tokens: 1000, stream: true }), records: sse, text: (r) => r.delta?.text, id: (r) => r.message?.id,
    },
    '/v1/responses': {
        body: (prompt) => ({ input: prompt, stream: true }), records: sse,
        text: (r) => (r.type === 'response.output_text.delta' ? r.delta : ''), id: (r) => r.response?.id ?? r.item_id, number: (r) => r.sequence_number,
    },
};

const WHOLE = {
    '/api/generate': (r) => r.response, '/api/chat': (r) => r.message.content, '/v1/chat/completions': (r) => r.choices[0].message.content,
    '/v1/completions': (r) => r.choices[0].text, '/v1/messages': (r) => r.content[0].text, '/v1/responses': (r) => r.output.at(-1).content[0].text,
};

/** The text of an answer that is not streamed; undefined when it is none. */
export function textOfWhole(name, body) {
    try {
        return WHOLE[name.split(' ')[0]](JSON.parse(body));
    } catch {
        return undefined;
    }
}

/** The text that the records of @body make together. */
export const textOf = (name, body) => APIS[name].records(body).map((r) => APIS[name].text(r) ?? '').join('');
