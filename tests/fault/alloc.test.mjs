// SPDX-License-Identifier: MIT
/*
 * Each allocation of a request fails once, alone and with those behind it: a clean error, no crash, no leak
 *
 * With the release binary: a sanitizer's allocator cannot be stood in front of. tools/run-fault runs this.
 */
import assert from 'node:assert/strict';
import { Gateway, Sim, SIM_MODEL } from '../lib/chasqui.mjs';
import { Allocator } from '../lib/preload.mjs';
import { Raw, exchange, request } from '../lib/raw.mjs';
import { test, until } from '../lib/test.mjs';
import { connect } from '../peers/mcp.mjs';
import { McpError } from '../peers/wire.mjs';

const ALLOCATIONS_MAX = 400; /* of one request; far more than there are */
const BODY = { model: SIM_MODEL, prompt: 'hi', options: { num_predict: 3 } };
const VERSION = request('GET', '/api/version');

/* Through the HTTP door: an answer that is whole, an error in JSON, or an end that nobody takes for one. */
async function overHttp(t, gateway, body) {
    const raw = await Raw.connect(t, gateway.port);
    try {
        await raw.send(request('POST', '/api/generate', { fields: { Connection: 'close' }, body }));
        await until(() => raw.end !== undefined || raw.bytes.length > 0, 'an answer or an end');
        if (raw.bytes.length === 0)
            return;
        const answer = await raw.answer();
        if (answer.isComplete && answer.status !== 200)
            assert.ok(answer.status >= 500 && (answer.text === '' || typeof answer.json.error === 'string'), answer.text);
        else if (answer.isComplete)
            assert.equal((body.stream === false ? answer.json : answer.records.at(-1)).done, true);
    } finally {
        raw.socket.destroy();
    }
}

/* Through the MCP door: records and an end, an error, or a connection that is gone. */
async function overMcp(_t, gateway) {
    const client = await connect({ port: gateway.mcpPort });
    try {
        await client.ready;
        const call = client.call('ollama.generate', JSON.stringify(BODY), { codec: 1 });
        for await (const { body } of call.chunks)
            assert.notEqual(body.length, 0);
        await call.response;
    } catch (error) {
        assert.ok(error instanceof McpError, error.stack);
    } finally {
        client.close();
    }
}

const WALKS = [
    ['a request', (t, gateway) => overHttp(t, gateway, { ...BODY, stream: false })],
    ['a request with a long body', (t, gateway) => overHttp(t, gateway, { ...BODY, prompt: 'x'.repeat(300_000), stream: false })],
    ['a stream', (t, gateway) => overHttp(t, gateway, BODY)],
    ['a listing', async (t, gateway) => {
        const { status } = await exchange(t, gateway.port, request('GET', '/api/tags', { fields: { Connection: 'close' } })).catch(() => ({ status: 0 }));
        assert.ok([0, 200, 500, 502, 503].includes(status), String(status));
    }],
    ['an MCP call', overMcp],
];

/* Fails each allocation of a walk, @n in a row. Returns how many there are. */
async function sweep(t, gateway, allocator, walk, n) {
    for (let nth = 1; nth < ALLOCATIONS_MAX; nth++) {
        allocator.arm(nth, n);
        await walk(t, gateway);
        const nFailed = allocator.disarm();
        assert.equal((await exchange(t, gateway.port, VERSION)).status, 200, `alive behind allocation ${nth}`);
        if (nFailed === 0)
            return nth - 1;
    }
    return assert.fail(`more than ${ALLOCATIONS_MAX} allocations`);
}

for (const [name, walk] of WALKS) {
    for (const n of [1, 3]) {
        test(`${name}: ${n === 1 ? 'each allocation fails' : `${n} allocations in a row fail, from each on`}`, { timeout: 120_000 }, async (t) => {
            const allocator = new Allocator(t);
            const sim = await Sim.start(t, { tokenInterval: '0ms' });
            const gateway = await Gateway.start(t, { nodes: [sim], args: ['--workers', '1'], env: allocator.env, settings: { probes: '1h', maxRetries: 0 } });
            const count = async () => {
                const nAllocations = await sweep(t, gateway, allocator, walk, n);
                await walk(t, gateway);
                await gateway.untilIdle();
                return nAllocations;
            };
            await count(); /* pools and spares are full now */
            const nLive = allocator.nLive;
            const nDescriptors = gateway.nDescriptors;
            const nAllocations = await count();
            assert.ok(nAllocations > 2, `${nAllocations} allocations`);
            await until(() => gateway.nDescriptors <= nDescriptors, 'descriptors are back');
            await until(() => allocator.nLive <= nLive + 1, 'blocks are back') /* one: the line of /metrics in the making */
                .catch((error) => assert.fail(`${error.message}: ${nLive} before, ${allocator.nLive} now`));
            t.diagnostic(`${nAllocations} allocations; blocks alive: ${nLive} before, ${allocator.nLive} after`);
        });
    }
}
