// SPDX-License-Identifier: MIT
/*
 * Metrics: what they tell of streams, in both formats, judged by Prometheus' own tools where they are installed
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { before } from 'node:test';
import { Gateway, Sim, SIM_MODEL, freePort, temporaryDirectory } from '../lib/chasqui.mjs';
import { file, test, until } from '../lib/test.mjs';

const has = (program) => spawnSync(program, ['--version']).error === undefined;
const OPENMETRICS = 'application/openmetrics-text';

let gateway;

before(async () => {
    const sim = await Sim.start(file, { tokenInterval: '20ms', slots: 8 });
    gateway = await Gateway.start(file, { nodes: [sim] });
    for (const model of [SIM_MODEL, SIM_MODEL, 'no such "model"\\'])
        await (await fetch(`${gateway.url}/api/chat`, { method: 'POST', body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }], options: { num_predict: 10 } }) })).text();
    await gateway.untilIdle();
});

const scrape = async (accept) => fetch(gateway.adminUrl + '/metrics', { headers: accept ? { Accept: accept } : {} });
const labels = (node) => `route="/api/chat",model="${SIM_MODEL}",node="${node}",reason="none"`;

test('a stream tells the time to its first record, between records, in all, and its tokens', async () => {
    const [node] = await gateway.nodes();
    const metrics = await gateway.metrics();
    const get = (name, more = '') => metrics.get(`${name}{${labels(node.name)}${more}}`);
    assert.equal(get('chasqui_first_record_seconds_count'), 2);
    assert.equal(get('chasqui_request_seconds_count'), 2);
    assert.equal(get('chasqui_tokens_out_total'), 20);
    assert.ok(get('chasqui_tokens_in_total') > 0);
    /* ten tokens and the end of each; those that came at once are one */
    const n = get('chasqui_between_records_seconds_count');
    assert.ok(n > 0 && n <= 20, `${n} pauses`);
    assert.ok(get('chasqui_between_records_seconds_sum') <= get('chasqui_request_seconds_sum'));
    assert.equal(get('chasqui_between_records_seconds_bucket', ',le="300.0"'), n);
});

test('the process tells its memory, descriptors, lag and version', async () => {
    const metrics = await until(async () => {
        const now = await gateway.metrics();
        return now.get('chasqui_loop_lag_seconds_count') > 0 && now;
    }, 'a beat');
    assert.ok(metrics.get('process_resident_memory_bytes') > 1e6);
    assert.ok(metrics.get('process_open_fds') > 5);
    assert.ok(metrics.get('process_max_fds') >= metrics.get('process_open_fds'));
    assert.ok([...metrics.keys()].some((key) => key.startsWith('chasqui_build_info{version="')));
});

test('OpenMetrics for who asks for it, the older format for others', async () => {
    const plain = await scrape();
    const open = await scrape(`${OPENMETRICS};version=1.0.0,text/plain;q=0.5`);
    assert.match(plain.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
    assert.match(open.headers.get('content-type'), /^application\/openmetrics-text; version=1\.0\.0/);
    const text = await open.text();
    assert.ok(text.endsWith('\n# EOF\n'));
    assert.match(text, /^# TYPE chasqui_requests counter$/m);
    assert.match(text, /^chasqui_requests_total\{/m);
    assert.doesNotMatch(await plain.text(), /# EOF/);
});

test('promtool finds nothing to complain about', { skip: !has('promtool') && 'promtool is not installed' }, async () => {
    const run = spawnSync('promtool', ['check', 'metrics'], { input: await (await scrape()).text() });
    assert.equal(run.stderr.toString() + run.stdout.toString(), '');
    assert.equal(run.status, 0);
});

test('a Prometheus scrapes it', { skip: !has('prometheus') && 'prometheus is not installed' }, async (t) => {
    const dir = temporaryDirectory(t);
    const port = await freePort();
    writeFileSync(path.join(dir, 'prometheus.yml'), JSON.stringify({
        global: { scrape_interval: '1s' },
        scrape_configs: [{ job_name: 'chasqui', static_configs: [{ targets: [new URL(gateway.adminUrl).host] }] }],
    }));
    const prometheus = spawn('prometheus', ['--config.file', path.join(dir, 'prometheus.yml'), '--storage.tsdb.path', path.join(dir, 'data'),
                                            '--web.listen-address', `127.0.0.1:${port}`], { stdio: 'ignore' });
    const ended = new Promise((resolve) => prometheus.on('close', resolve));
    t.after(async () => {
        prometheus.kill('SIGKILL');
        await ended;
    });
    const query = async (expression) => {
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`).catch(() => null);
        return answer?.ok ? (await answer.json()).data.result : [];
    };
    const [up] = await until(async () => {
        const found = await query('up{job="chasqui"} == 1');
        return found.length > 0 && found;
    }, 'a scrape', 30_000);
    assert.equal(up.value[1], '1');
    const [tokens] = await query('sum(chasqui_tokens_out_total)');
    assert.equal(tokens.value[1], '20');
    assert.ok((await query('chasqui_pool_connections')).length >= 2);
});
