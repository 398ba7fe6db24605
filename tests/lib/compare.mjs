// SPDX-License-Identifier: MIT
/*
 * Two answers are equal when they differ only in what no two answers share: times, durations, ids
 */
import assert from 'node:assert/strict';

const MASKED = new Set(['created_at', 'created', 'expires_at', 'id', 'total_duration', 'load_duration',
                        'prompt_eval_duration', 'eval_duration']);
const GATEWAYS_OWN = new Set(['node']); /* of an element of /api/ps */
const UNORDERED_LINES = new Set(['parameters', 'modelfile']); /* PARAMETER lines come in random order */
const LISTS = new Set(['models', 'data']);

/* Python's client calls a listed model only `model`; OpenAI's knows an `id`. */
const nameOf = (item) => item?.name ?? item?.model ?? (item?.object === 'model' ? item.id : undefined);

/* Lists of models have no order worth comparing; other arrays have. */
function list(key, value) {
    const isModels = LISTS.has(key) && value.every((item) => typeof nameOf(item) === 'string');
    const sorted = isModels ? [...value].sort((a, b) => nameOf(a).localeCompare(nameOf(b))) : value;
    return sorted.map(normal);
}

function field(key, value, inModels) {
    if (MASKED.has(key) && !(key === 'id' && inModels))
        return `<${typeof value}>`;
    if (UNORDERED_LINES.has(key) && typeof value === 'string')
        return value.split('\n').sort().join('\n');
    return Array.isArray(value) ? list(key, value) : normal(value);
}

/** The value with the differences that do not count taken out. */
export function normal(value) {
    if (Array.isArray(value))
        return value.map(normal);
    if (value === null || typeof value !== 'object')
        return value;
    const isModel = value.object === 'model';
    return Object.fromEntries(Object.entries(value)
        .filter(([key]) => !GATEWAYS_OWN.has(key))
        .map(([key, item]) => [key, field(key, item, isModel)]));
}

export function assertSame(actual, expected, what) {
    assert.deepEqual(normal(actual), normal(expected), what);
}
