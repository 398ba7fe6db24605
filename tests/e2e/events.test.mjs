// SPDX-License-Identifier: MIT
/*
 * /api/generate and /api/chat as server-sent events, for who asks for them: the same records, whatever happens on the way
 */
import assert from 'node:assert/strict';
import { Gateway, Sim, SIM_MODEL } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { exchange, request } from '../lib/raw.mjs';
import { test } from '../lib/test.mjs';
import { APIS } from '../lib/text-apis.mjs';

const EVENTS = 'text/event-stream';
const NDJSON = 'application/x-ndjson';
const ROUTES = ['/api/generate', '/api/chat'];

const ask = (t, port, name, accept, body = {}) =>
    exchange(t, port, request('POST', name, { fields: { Accept: accept }, body: { model: SIM_MODEL, ...APIS[name].body('a long story'), ...body } }));

/** Of an answer in events, each in a chunk of its own. */
function recordsOf(answer) {
    assert.equal(answer.get('content-type'), EVENTS);
    for (const { data } of answer.chunks)
        assert.match(data.toString(), /^data: \{[^\n]*\}\n\n$/);
    return answer.chunks.map(({ data }) => JSON.parse(data.toString().slice(6)));
}

/* Without what differs from answer to answer. */
const plain = (records) => records.map((r) => Object.fromEntries(Object.entries(r).filter(([key]) => !/_at$|duration/.test(key))));

async function start(t, { n = 1, gateway = {} } = {}) {
    const sims = [];
    for (let i = 0; i < n; i++)
        sims.push(await Sim.start(t, { tokens: 40 }));
    return { sims, gateway: await Gateway.start(t, { nodes: sims, ...gateway }) };
}

for (const name of ROUTES) {
    test(`${name}: events are the records of NDJSON, one by one`, async (t) => {
        const { gateway } = await start(t);
        const lines = await ask(t, gateway.port, name, NDJSON);
        const events = await ask(t, gateway.port, name, EVENTS);
        assert.equal(lines.get('content-type'), NDJSON);
        assert.ok(events.isComplete);
        assert.deepEqual(plain(recordsOf(events)), plain(lines.records));
    });

    test(`${name}: an answer in events goes on where a node died`, async (t) => {
        const { sims, gateway } = await start(t, { n: 2 });
        const whole = await ask(t, gateway.port, name, NDJSON);
        for (const sim of sims)
            await sim.fault('cut', { after: 7, count: 1 });
        const events = await ask(t, gateway.port, name, EVENTS);
        assert.ok((await gateway.accessLine(events.get('x-request-id'))).resumes >= 1);
        assert.ok(events.isComplete);
        const text = (records) => records.map((r) => APIS[name].text(r) ?? '').join('');
        assert.equal(text(recordsOf(events)), text(whole.records));
        assert.equal(recordsOf(events).at(-1).done, true);
    });

    test(`${name}: what breaks for good ends in an event that says so`, async (t) => {
        const { sims, gateway } = await start(t, { gateway: { settings: { resume: 'off' } } });
        await sims[0].fault('cut', { after: 7, count: 1 });
        const events = await ask(t, gateway.port, name, EVENTS);
        assert.equal(events.isComplete, false);
        const records = recordsOf(events);
        assert.equal(records.length, 8);
        assert.match(records.at(-1).error, /not complete/);
    });

    test(`${name}: what is no stream, and what is refused, stays JSON`, async (t) => {
        const { gateway } = await start(t);
        const one = await ask(t, gateway.port, name, EVENTS, { stream: false });
        assert.match(one.get('content-type'), /^application\/json/);
        assert.equal(one.json.done, true);
        const none = await ask(t, gateway.port, name, EVENTS, { model: 'nope' });
        assert.equal(none.status, 404);
        assert.ok(none.json.error);
    });
}

test('events go only to who accepts them, and not NDJSON by name', async (t) => {
    const { gateway } = await start(t);
    const rows = [['*/*', NDJSON], ['application/json', NDJSON], [`${EVENTS}, ${NDJSON}`, NDJSON], [`${NDJSON};q=0.1, ${EVENTS}`, NDJSON],
                  ['text/event-streams', NDJSON], [`application/json, ${EVENTS}`, EVENTS], ['Text/Event-Stream;q=1', EVENTS]];
    for (const [accept, type] of rows)
        assert.equal((await ask(t, gateway.port, '/api/chat', accept)).get('content-type'), type, accept);
});

test('an answer behind one in events is in lines again', async (t) => {
    const { gateway } = await start(t);
    for (const type of [EVENTS, NDJSON, EVENTS]) {
        const answer = await fetch(`${gateway.url}/api/chat`, { method: 'POST', headers: type === EVENTS ? { Accept: type } : {},
            body: JSON.stringify({ model: SIM_MODEL, ...APIS['/api/chat'].body('hi') }) });
        assert.equal(answer.headers.get('content-type'), type);
        assert.equal((await answer.text()).startsWith('data: '), type === EVENTS);
    }
});

test('a node never sees that Accept', async (t) => {
    const node = await FakeNode.start(t);
    const gateway = await Gateway.start(t, { nodes: [node] });
    recordsOf(await ask(t, gateway.port, '/api/generate', EVENTS, { model: node.model }));
    assert.equal(node.last.headers.accept, undefined);
});
