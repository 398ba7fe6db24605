// SPDX-License-Identifier: MIT
/*
 * Streams as bytes: every record arrives alone, whole, and while the node is still busy with the next
 */
import assert from 'node:assert/strict';
import { Raw, request } from './raw.mjs';

/** Sends a streamed request. Returns the answer after its end. */
export async function stream(owner, port, path, body) {
    const raw = await Raw.connect(owner, port);
    await raw.send(request('POST', path, { body }));
    return raw.answer();
}

/* Ollama sends it together with the last event. */
const END_MARK = 'data: [DONE]\n\n';

/** One chunk is one record of the form (an NDJSON line, an SSE event), none is split, none shares a chunk. */
export function assertOneRecordAChunk(answer, separator = '\n') {
    assert.ok(answer.isComplete, 'the transfer ended as it should');
    for (const chunk of answer.chunks) {
        const data = chunk.data === END_MARK ? chunk.data : chunk.data.replace(END_MARK, '');
        assert.ok(data.endsWith(separator), `half a record in a chunk: ${JSON.stringify(data)}`);
        assert.equal(data.split(separator).length, 2, `several records in one chunk: ${JSON.stringify(data)}`);
    }
}

/** The records came spread over the time the node took for them, not in one heap at the end. */
export function assertSpread(answer, least_ms) {
    const times = answer.chunks.map((chunk) => chunk.at);
    const span = times.at(-1) - times[0];
    assert.ok(span >= least_ms, `${times.length} records within ${span.toFixed(1)} ms; a node takes at least ${least_ms}`);
}
