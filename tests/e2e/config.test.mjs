// SPDX-License-Identifier: MIT
/*
 * The configuration file: what `check` tells, what `--print-config` shows, and that the JSON Schema says the same
 */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runChasqui, temporaryDirectory } from '../lib/chasqui.mjs';
import { test } from '../lib/test.mjs';

function write(t, text, name = 'chasqui.yaml') {
    const file = path.join(temporaryDirectory(t), name);
    writeFileSync(file, text);
    return file;
}

const check = (t, text, env) => runChasqui(t, ['check', write(t, text)], env);

test('a good file: ok, exit code 0', async (t) => {
    const run = await check(t, 'nodes: [http://10.0.0.1:11434]\nconnection_pool: { max_connections: 1000, idle_timeout: 60s, health_check_interval: 10s }\n');
    assert.equal(run.code, 0);
    assert.match(run.out[0], /chasqui\.yaml: ok$/);
});

test('all problems in one run, each with its place, line and caret; exit code 1', async (t) => {
    const file = write(t, [
        'nodes:',
        '  - { name: a, url: http://10.0.0.1 }',
        '  - { name: a, url: http://10.0.0.2 }',
        'timeots: { total: 1s }',
        'workers: many',
        'workers: 2',
        'retry: { jitter: 7 }',
        'origins: https://ok.example,nonsense',
        ''].join('\n'));
    const run = await runChasqui(t, ['check', file]);
    assert.equal(run.code, 1);
    const heads = run.err.filter((line) => line.startsWith(file)).map((line) => line.slice(file.length + 1));
    assert.deepEqual(heads.map((line) => line.replace(/: error: .*/, '')), ['4:1', '5:10', '6:1', '7:18', '3:5', '8:10']);
    assert.match(heads[0], /unknown key `timeots`, did you mean `timeouts`\?/);
    assert.match(heads[2], /`workers` is set twice, first in line 5/);
    assert.match(heads[4], /two nodes are called `a`/);
    assert.match(heads[5], /`nonsense` matches no origin/);
    assert.equal(run.err[1], 'timeots: { total: 1s }');
    assert.equal(run.err[2], '^');
});

test('the keys file and listeners that anybody could reach are checked too', async (t) => {
    const keys = write(t, 'ops:short:admin\nname:0123456789abcdef:nobody\n', 'keys');
    chmodSync(keys, 0o600);
    const bad = await check(t, `nodes: [http://10.0.0.1]\nkeys_file: ${keys}\n`);
    assert.equal(bad.code, 1);
    assert.match(bad.errText, new RegExp(`${keys}:1: error: `));
    assert.match(bad.errText, new RegExp(`${keys}:2: error: `));
    assert.equal((await check(t, 'keys_file: /nowhere/keys\n')).code, 1);
    const open = await check(t, 'listen: { http: [0.0.0.0:1, 0.0.0.0:2] }\n');
    assert.equal(open.code, 1);
    assert.equal(open.err.filter((line) => /can be reached by other machines/.test(line)).length, 2);
    assert.equal((await check(t, 'listen: { http: 0.0.0.0:1 }\nallow_anonymous: true\n')).code, 0);
});

test('usage: exit code 2; a file that is not there: 1', async (t) => {
    assert.equal((await runChasqui(t, ['check'])).code, 2);
    assert.equal((await runChasqui(t, ['check', '--nonsense'])).code, 2);
    assert.equal((await runChasqui(t, ['check', '/nowhere/chasqui.yaml'])).code, 1);
});

test('variables in values: from the environment, a default, or an error with its place', async (t) => {
    const text = 'nodes: ["http://${HOST_OF_NODE:-10.0.0.9}:${PORT_OF_NODE}"]\n';
    const missing = await check(t, text);
    assert.equal(missing.code, 1);
    assert.match(missing.errText, /chasqui\.yaml:1:9: error: variable `PORT_OF_NODE` is not set/);
    const run = await runChasqui(t, ['serve', '--print-config', '--config', write(t, text)], { PORT_OF_NODE: '1234' });
    assert.match(run.out.join('\n'), /url: http:\/\/10\.0\.0\.9:1234/);
});

test('--print-config tells where each value is from, and loads again to the same', async (t) => {
    const file = write(t, 'nodes: [http://10.0.0.1]\ntimeouts: { total: 5m }\n');
    const run = await runChasqui(t, ['serve', '--print-config', '--workers', '3', '--config', file], { OLLAMA_ORIGINS: 'https://a.example' });
    const text = run.out.join('\n');
    assert.match(text, /total: 5m +# .*chasqui\.yaml:2/);
    assert.match(text, /workers: 3 +# --workers/);
    assert.match(text, /origins: .*a\.example.* +# OLLAMA_ORIGINS/);
    assert.match(text, /connect: 3s +# default/);
    const again = await runChasqui(t, ['serve', '--print-config', '--config', write(t, text)]);
    const bare = (lines) => lines.map((line) => line.replace(/ +# .*/, ''));
    assert.deepEqual(bare(again.out), bare(run.out));
});

/* As much of JSON Schema as ours uses. */
function accepts(schema, value) {
    const type = Array.isArray(value) ? 'array' : typeof value;
    const isType = (name) => name === type || (name === 'integer' && Number.isInteger(value));
    if (schema.anyOf && !schema.anyOf.some((one) => accepts(one, value)))
        return false;
    if (schema.type && ![schema.type].flat().some(isType))
        return false;
    if (schema.enum && !schema.enum.includes(value))
        return false;
    if ('const' in schema && schema.const !== value)
        return false;
    if (schema.pattern && type === 'string' && !new RegExp(schema.pattern).test(value))
        return false;
    if (type === 'number' && (value < (schema.minimum ?? -Infinity) || value > (schema.maximum ?? Infinity)))
        return false;
    if (type === 'array')
        return value.every((item) => accepts(schema.items ?? {}, item));
    if (type !== 'object')
        return true;
    return (schema.required ?? []).every((key) => key in value) && Object.entries(value).every(([key, item]) => {
        const one = schema.properties?.[key] ?? schema.additionalProperties ?? {};
        return one !== false && accepts(one, item);
    });
}

const GOOD = [
    {},
    { nodes: ['http://10.0.0.1', { name: 'b', url: 'http://10.0.0.2' }] },
    { nodes: 'http://10.0.0.1' },
    { connection_pool: { max_connections: 1000, idle_timeout: '60s', health_check_interval: '10s', max_pool_size: 'auto', min_idle: 2 } },
    { connection_pool: { max_pool_size: 20, acquire_timeout: '1.5s', max_lifetime: 'none' } },
    { timeouts: { total: 'none', connect: '${X:-3s}' }, retry: { jitter: 0.25, budget: '12.5%' }, memory: { bodies: '2GiB' } },
    { listen: { http: ['127.0.0.1:1', '127.0.0.1:2'], mcp: '127.0.0.1:3' }, allow_anonymous: true, log: { level: 'warn' } },
    { drain_timeout: 0 },
];

const BAD = [
    { nope: 1 },
    { timeouts: { nope: '1s' } },
    { timeouts: { total: '1 fortnight' } },
    { timeouts: '1s' },
    { nodes: [{ name: 'without url' }] },
    { nodes: [{ url: 'http://10.0.0.1', nope: 1 }] },
    { workers: 1.5 },
    { workers: 1000 },
    { workers: 'many' },
    { retry: { jitter: 2 } },
    { retry: { budget: 0.1 } },
    { log: { level: 'loud' } },
    { allow_anonymous: 'yes' },
    { limits: { body: '64 potatoes' } },
    { connection_pool: { max_pool_size: 0 } },
];

test('what the JSON Schema says, the gateway says', async (t) => {
    const schema = JSON.parse((await runChasqui(t, ['serve', '--print-schema'])).out.join('\n'));
    for (const [isGood, trees] of [[true, GOOD], [false, BAD]]) {
        for (const tree of trees) {
            const text = JSON.stringify(tree);
            assert.equal(accepts(schema, tree), isGood, `schema: ${text}`);
            assert.equal((await check(t, text)).code, isGood ? 0 : 1, `check: ${text}`);
        }
    }
});

test('schema, manual and reference have the same keys', async (t) => {
    const printed = async (flag) => (await runChasqui(t, ['serve', flag])).out.join('\n');
    const schema = JSON.parse(await printed('--print-schema'));
    const keys = [];
    for (const [name, one] of Object.entries(schema.properties)) {
        const inside = one.type === 'object' && one.properties ? Object.keys(one.properties).map((key) => `${name}.${key}`) : [name];
        keys.push(...inside);
    }
    const rows = [...(await printed('--print-reference')).matchAll(/^\| `([a-z_.]+)` \|/gm)].map((m) => m[1]);
    const entries = [...(await printed('--print-manual')).matchAll(/^\.B ([a-z_.]+)$/gm)].map((m) => m[1]);
    assert.ok(rows.length > 30);
    /* A secret may also stand in a file: a key of the schema without a row of its own. */
    const own = keys.filter((key) => !(key.endsWith('_file') && keys.includes(key.slice(0, -'_file'.length))));
    assert.deepEqual([...own].sort(), [...rows].sort());
    assert.deepEqual(entries, rows);
});
