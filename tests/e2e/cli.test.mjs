// SPDX-License-Identifier: MIT
/*
 * The client commands: the same over both doors of a gateway and to a node itself
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before } from 'node:test';
import { CHASQUI, Gateway, ROOT, Sim, SIM_EMBED_MODEL, SIM_MODEL, freePort, spawnChasqui, temporaryDirectory } from '../lib/chasqui.mjs';
import { assertSame } from '../lib/compare.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { Process } from '../lib/process.mjs';
import { file, test, until, within } from '../lib/test.mjs';

const KEY = 'use-0123456789abcdef';
const CLEAN = { CHASQUI_HOST: undefined, CHASQUI_API_KEY: undefined, OLLAMA_API_KEY: undefined };
const DAY = 24 * 3600 * 1000;

let sim, gateway, keyGateway;
let doors; /* name → URL */

before(async () => {
    sim = await Sim.start(file, { tokens: 30 });
    const keys = path.join(temporaryDirectory(file), 'keys');
    writeFileSync(keys, `alice:${KEY}:use\nroot:admin-0123456789abcdef:admin\n`);
    chmodSync(keys, 0o600);
    gateway = await Gateway.start(file, { nodes: [sim] });
    keyGateway = await Gateway.start(file, { nodes: [sim], keysFile: keys, adminKey: 'admin-0123456789abcdef' });
    doors = { mcp: mcp(gateway), http: gateway.url, node: sim.url };
});

const mcp = (g) => `mcp://127.0.0.1:${g.mcpPort}`;
const start = (t, args, env = {}) => spawnChasqui(t, args, { ...CLEAN, ...env });

/** The command at its end: {code, out, err}, both as text. */
async function ended(run) {
    await within(run.exited, `end of ${run.args.join(' ')}`, 15_000);
    return { code: run.code, out: run.out.join('\n'), err: run.errText };
}

const chasqui = (t, args, env) => ended(start(t, args, env));
const shell = (t, script) => ended(new Process(t, 'bash', ['-c', script], { env: { ...CLEAN, CHASQUI } }));

/** What a command that succeeds prints, at each door. */
async function atDoors(t, args) {
    const out = {};
    for (const [name, url] of Object.entries(doors)) {
        const run = await chasqui(t, [...args, '--host', url]);
        assert.deepEqual([run.code, run.err], [0, ''], `${name}: ${run.err}`);
        out[name] = run.out;
    }
    return out;
}

async function sameAtDoors(t, args) {
    const { mcp: first, http, node } = await atDoors(t, args);
    assert.equal(http, first);
    assert.equal(node, first);
    return first;
}

async function generated(prompt) {
    const body = JSON.stringify({ model: SIM_MODEL, prompt, stream: false });
    return (await (await fetch(`${sim.url}/api/generate`, { method: 'POST', body })).json()).response;
}

/* Results */

test('run prints the answer, the same at every door, and one end of line', async (t) => {
    const words = await sameAtDoors(t, ['run', SIM_MODEL, 'Who', 'are you?']);
    assert.equal(words, await generated('Who are you?'));
    const { out } = await shell(t, `"$CHASQUI" run ${SIM_MODEL} x --host ${sim.url} | tail -c 2 | tr '\\n' '|'`);
    assert.match(out, /^[^|]+\|$/);
});

test('a prompt comes from stdin, and goes before the one in the arguments', async (t) => {
    const pipe = (text, args = '') => shell(t, `printf '${text}' | "$CHASQUI" run ${SIM_MODEL} ${args} --host ${doors.mcp}`);
    assert.equal((await pipe('Two\\nlines')).out, await generated('Two\nlines'));
    assert.equal((await pipe('A letter.', 'Answer it.')).out, await generated('A letter. Answer it.'));
});

test('words are printed as they come', async (t) => {
    const slow = await Sim.start(t, { tokenInterval: '10ms' });
    const run = start(t, ['run', SIM_MODEL, 'on and on', '--host', slow.url]);
    let n = 0;
    run.child.stdout.on('data', () => n++);
    await until(() => n > 3, 'several pieces');
    assert.equal((await slow.state()).active, 1);
    run.child.kill('SIGINT');
    await ended(run);
});

test('run --verbose tells timings on stderr and nothing else on stdout', async (t) => {
    const run = await chasqui(t, ['run', SIM_MODEL, 'hi', '--verbose', '--host', doors.mcp]);
    assert.equal(run.out, await generated('hi'));
    assert.match(run.err, /^total duration: +[\d.]+m?s$/m);
    assert.match(run.err, /^eval count: +30 token\(s\)$/m);
    assert.match(run.err, /^eval rate: +[\d.]+ tokens\/s$/m);
});

/* Numbers that travel as 32-bit floats may be written with other digits. */
const asFloats = (text) => JSON.parse(text, (_key, value) => (typeof value === 'number' ? Math.fround(value) : value));

test('embed prints a JSON array for each text', async (t) => {
    const out = await atDoors(t, ['embed', SIM_EMBED_MODEL, 'one', 'two']);
    const [first, http, node] = [out.mcp, out.http, out.node].map((text) => text.split('\n').map(asFloats));
    assert.deepEqual([http, node], [first, first]);
    assert.equal(first.length, 2);
    assert.ok(first.every((vector) => vector.length > 0 && vector.every(Number.isFinite)));
});

test('list has Ollama\'s columns', async (t) => {
    const [head, ...rows] = (await sameAtDoors(t, ['list'])).split('\n');
    assert.deepEqual(head.split(/\s{2,}/), ['NAME', 'ID', 'SIZE', 'MODIFIED']);
    assert.deepEqual(rows.map((row) => row.split(/\s/)[0]).sort(), [SIM_EMBED_MODEL, SIM_MODEL]);
    assert.match(rows[0], /^\S+ {4,}[0-9a-f]{12} {4}\d+ MB +\d+ \w+ ago$/);
});

test('ps tells on which node of a gateway a model is loaded', async (t) => {
    await generated('load it');
    const out = await atDoors(t, ['ps']);
    for (const [name, text] of Object.entries(out)) {
        const [head, ...rows] = text.split('\n');
        assert.deepEqual(head.split(/\s{2,}/), ['NAME', 'ID', 'SIZE', 'PROCESSOR', 'CONTEXT', 'UNTIL', 'NODE']);
        const row = rows.find((r) => r.startsWith(SIM_MODEL)).split(/\s{2,}/);
        assert.match(row[5], /minutes? from now$/);
        assert.equal(row[6], name === 'node' ? '-' : sim.address);
    }
});

test('show tells about a model', async (t) => {
    const text = await sameAtDoors(t, ['show', SIM_MODEL]);
    assert.match(text, /^ {2}Model\n {4}architecture +\S+\n/);
    assert.match(text, /^ {4}context length +\d+$/m);
    assert.match(text, /^ {2}Capabilities\n {4}completion$/m);
});

test('echo comes back over MCP; over http it says what is missing', async (t) => {
    assert.equal((await chasqui(t, ['echo', 'hé, 你好', '--host', doors.mcp])).out, 'hé, 你好');
    for (const url of [doors.http, doors.node]) {
        const run = await chasqui(t, ['echo', 'x', '--host', url]);
        assert.equal(run.code, 1);
        assert.match(run.err, /mcp:\/\/ only/);
    }
});

test('-o json is the answer as it came', async (t) => {
    for (const args of [['run', SIM_MODEL, 'hi'], ['embed', SIM_EMBED_MODEL, 'hi'], ['list'], ['ps'], ['show', SIM_MODEL]]) {
        const out = await atDoors(t, [...args, '-o', 'json']);
        const { mcp: first, http, node } = Object.fromEntries(Object.entries(out).map(([name, text]) => [name, asFloats(text)]));
        assertSame(http, node, args[0]);
        assertSame(first, node, args[0]);
    }
    const { out } = await chasqui(t, ['echo', 'a "b"', '-o', 'json', '--host', doors.mcp]);
    assert.deepEqual(JSON.parse(out), { echo: 'a "b"' });
});

test('the host may come from the environment, and a flag wins', async (t) => {
    const dead = `http://127.0.0.1:${await freePort()}`;
    assert.equal((await chasqui(t, ['list'], { CHASQUI_HOST: doors.mcp })).code, 0);
    assert.equal((await chasqui(t, ['list', '--host', doors.mcp], { CHASQUI_HOST: dead })).code, 0);
});

/* What a list of a foreign server may hold. */
async function serverWith(t, models) {
    const node = await FakeNode.start(t);
    node.server.removeAllListeners('request');
    node.server.on('request', (_req, res) => res.end(JSON.stringify({ models })));
    return node;
}

test('sizes and times are told as people tell them', async (t) => {
    const at = (ms) => new Date(Date.now() - ms).toISOString();
    const rows = [
        [999, at(0), '999 B', /^(Less than a|1) second ago$/],
        [2_019_393_189, at(3 * DAY), '2.0 GB', '3 days ago'],
        [1000, at(90_000), '1 KB', 'About a minute ago'],
        [12_345_678, at(21 * DAY), '12 MB', '3 weeks ago'],
        [0, at(-(4 * 60 + 30) * 1000), '0 B', '4 minutes from now'],
        [1e18, '0001-01-01T00:00:00Z', '1 EB', 'Never'],
        [1, '2318-01-01T00:00:00.123456789+02:00', '1 B', 'Forever'],
        [1, 'yesterday', '1 B', '-'],
    ];
    const node = await serverWith(t, rows.map(([size, modified_at], i) => ({ name: `m${i}`, digest: 'ab', size, modified_at })));
    const { out } = await chasqui(t, ['list', '--host', node.url]);
    out.split('\n').slice(1).forEach((line, i) => {
        const cells = line.split(/\s{2,}/);
        assert.deepEqual(cells.slice(0, 3), [`m${i}`, 'ab', rows[i][2]]);
        assert.match(cells[3], rows[i][3] instanceof RegExp ? rows[i][3] : new RegExp(`^${rows[i][3]}$`));
    });
});

test('a name cannot move the cursor, and columns count characters', async (t) => {
    const node = await serverWith(t, [{ name: '\u001b[2Jx\n' }, { name: 'é'.repeat(20) }]);
    const { out } = await chasqui(t, ['list', '--host', node.url]);
    assert.deepEqual(out.split('\n').map((line) => line.replace(/ .*/, '')), ['NAME', '?[2Jx?', 'é'.repeat(20)]);
    assert.equal(out.split('\n')[0].indexOf('ID'), 24);
});

test('an answer that is something else is a failure', async (t) => {
    const node = await serverWith(t, 'none');
    const run = await chasqui(t, ['list', '--host', node.url]);
    assert.equal(run.code, 1);
    assert.match(run.err, /the answer cannot be read/);
});

/* Ends */

test('Ctrl-C ends the answer and frees the node\'s slot', async (t) => {
    for (const name of ['mcp', 'http', 'node']) {
        const endless = await Sim.start(t, { tokenInterval: '5ms' });
        const g = await Gateway.start(t, { nodes: [endless] });
        const run = start(t, ['run', SIM_MODEL, 'on and on', '--host', { mcp: mcp(g), http: g.url, node: endless.url }[name]]);
        const printed = new Promise((resolve) => run.child.stdout.once('data', resolve));
        await within(printed, 'the first words');
        run.child.kill('SIGINT');
        const { code, err } = await ended(run);
        assert.deepEqual([code, err], [130, ''], name);
        await endless.untilState((s) => s.active === 0 && s.cancelled === 1, 'the slot is free');
    }
});

test('who stops reading ends the answer, quietly', async (t) => {
    const endless = await Sim.start(t);
    const run = await shell(t, `"$CHASQUI" run ${SIM_MODEL} x --host ${endless.url} </dev/null | head -c 10 >/dev/null; echo "\${PIPESTATUS[0]}"`);
    assert.deepEqual([run.out, run.err], ['1', '']);
    await endless.untilState((s) => s.active === 0 && s.cancelled === 1, 'the slot is free');
});

test('a full disk is a failure', async (t) => {
    for (const args of [`run ${SIM_MODEL} x`, 'list']) {
        const run = await shell(t, `"$CHASQUI" ${args} --host ${doors.mcp} </dev/null >/dev/full`);
        assert.equal(run.code, 1);
        assert.match(run.err, /No space left on device/);
    }
});

test('an answer that breaks off is printed as far as it came, and is a failure', async (t) => {
    const own = await Gateway.start(t, { nodes: [sim], settings: { resume: 'off' } });
    for (const url of [own.url, `mcp://127.0.0.1:${own.mcpPort}`, sim.url]) {
        await sim.fault('cut', { after: 5 });
        const run = await chasqui(t, ['run', SIM_MODEL, 'hi', '--host', url]);
        assert.equal(run.code, 1);
        assert.ok(run.out.length > 0 && (await generated('hi')).startsWith(run.out));
        assert.match(run.err, /the answer is not complete/);
    }
});

test('nobody there: 3, and how to start one', async (t) => {
    const port = await freePort();
    for (const scheme of ['mcp', 'http']) {
        for (const args of [['run', SIM_MODEL, 'hi'], ['list']]) {
            const run = await chasqui(t, [...args, '--host', `${scheme}://127.0.0.1:${port}`]);
            assert.deepEqual([run.code, run.out], [3, '']);
            assert.match(run.err, new RegExp(`^chasqui: ${scheme}://127.0.0.1:${port}: .*refused\n.*chasqui serve`));
        }
    }
});

test('a port that does not speak MCP: 3, and which one would', async (t) => {
    const run = await chasqui(t, ['list', '--host', `mcp://127.0.0.1:${gateway.port}`]);
    assert.equal(run.code, 3);
    assert.match(run.err, /11436/);
});

test('a gateway that wants a key: 4 without and with a wrong one, 0 with it', async (t) => {
    for (const url of [mcp(keyGateway), keyGateway.url]) {
        for (const args of [[], ['--key', 'wrong-0123456789abcdef']]) {
            const run = await chasqui(t, ['list', '--host', url, ...args]);
            assert.equal(run.code, 4, run.err);
            assert.match(run.err, /CHASQUI_API_KEY/);
        }
        for (const env of [{ CHASQUI_API_KEY: KEY }, { OLLAMA_API_KEY: KEY }])
            assert.equal((await chasqui(t, ['list', '--host', url], env)).code, 0);
        assert.equal((await chasqui(t, ['list', '--host', url, '--key', KEY])).code, 0);
    }
});

test('a server that says 429 refuses, one that says 403 too', async (t) => {
    for (const status of [403, 429]) {
        const node = await FakeNode.start(t, (_req, res) => {
            res.statusCode = status;
            res.end('{"error":"not now"}');
        });
        const run = await chasqui(t, ['run', 'fake', 'hi', '--host', node.url]);
        assert.equal(run.code, 4);
        assert.match(run.err, /not now/);
    }
});

test('a model that is not there: 1, and where to look', async (t) => {
    for (const url of Object.values(doors)) {
        for (const args of [['run', 'nope', 'hi'], ['show', 'nope'], ['embed', 'nope', 'hi']]) {
            const run = await chasqui(t, [...args, '--host', url]);
            assert.deepEqual([run.code, run.out], [1, '']);
            assert.match(run.err, /nope.*not found[^\n]*\n`chasqui list`/);
        }
    }
});

test('what is wrong with the arguments is told, with 2', async (t) => {
    const wrong = [
        [['run'], /^Usage: chasqui run MODEL/],
        [['run', 'x'], /a prompt is needed/],
        [['embed', 'x'], /^Usage: chasqui embed/],
        [['list', 'x'], /^Usage: chasqui list/],
        [['echo'], /^Usage: chasqui echo/],
        [['list', '--hots', 'x'], /`--hots`, did you mean `--host`\?/],
        [['list', '--host'], /--host: needs a value/],
        [['list', '-o', 'yaml'], /-o/],
        [['list', '--host', 'ftp://x'], /ftp:\/\/x: /],
        [['list', '--verbose'], /unknown flag/],
        [['lsit'], /did you mean `list'/],
    ];
    for (const [args, text] of wrong) {
        const run = await chasqui(t, args);
        assert.deepEqual([run.code, run.out], [2, ''], args.join(' '));
        assert.match(run.err, text);
    }
});

test('--help is a result: on stdout, with 0', async (t) => {
    for (const command of ['run', 'embed', 'list', 'ps', 'show', 'echo']) {
        for (const flag of ['--help', '-h']) {
            const run = await chasqui(t, [command, flag]);
            assert.deepEqual([run.code, run.err], [0, '']);
            assert.match(run.out, new RegExp(`^Usage: chasqui ${command}`));
            assert.match(run.out, /CHASQUI_API_KEY/);
        }
    }
});

test('bash completes commands, options and models', async (t) => {
    const complete = async (...words) => {
        const script = `source "${path.join(ROOT, 'packaging/bash/chasqui')}"; COMP_WORDS=("$CHASQUI" "$@"); COMP_CWORD=$#; _chasqui; printf '%s\\n' "\${COMPREPLY[@]}"`;
        const run = await ended(new Process(t, 'bash', ['-c', script, 'bash', ...words], { env: { ...CLEAN, CHASQUI, CHASQUI_HOST: doors.mcp } }));
        assert.equal(run.err, '');
        return run.out.split('\n').sort();
    };
    assert.deepEqual(await complete('pu'), ['pull']);
    assert.ok((await complete('')).includes('serve'));
    assert.deepEqual(await complete('run', '--h'), ['--help', '--host']);
    assert.deepEqual(await complete('serve', '--conf'), ['--config']);
    assert.deepEqual(await complete('run', ''), [SIM_EMBED_MODEL, SIM_MODEL]);
});

/** What to put before PATH for the program to be called `chasqui`. */
function pathWithProgram(t) {
    const bin = temporaryDirectory(t);
    symlinkSync(path.resolve(CHASQUI), path.join(bin, 'chasqui'));
    return `${bin}:${process.env.PATH}`;
}

/** Runs @script in a shell that may not be there. */
async function inShell(t, program, script, ...args) {
    const env = { ...process.env, ...CLEAN, PATH: pathWithProgram(t), CHASQUI_HOST: doors.mcp };
    const run = await ended(new Process(t, program, ['-c', script, ...args], { env }));
    assert.deepEqual([run.code, run.err], [0, '']);
    return run.out.split('\n');
}

const shellMissing = (name) => spawnSync(name, ['-c', 'true']).status !== 0 && `${name} is not installed: its completion is NOT tested`;

test('fish completes commands, options and models', { skip: shellMissing('fish') }, async (t) => {
    const source = path.join(ROOT, 'packaging/fish/chasqui.fish');
    const complete = (line) => inShell(t, 'fish', `source "${source}"; complete -C "chasqui ${line}"`);
    assert.deepEqual(await complete('pu'), ['pull\tfetch a model']);
    assert.deepEqual(await complete('run --verb'), ['--verbose\tPrint timings to stderr']);
    assert.deepEqual(await complete('serve --conf'), ['--config\tConfiguration file (YAML)']);
    assert.match((await complete('sim --slo'))[0], /^--slots\trequests that a model works on at once/);
    assert.deepEqual((await complete('run ')).sort(), [SIM_EMBED_MODEL, SIM_MODEL]);
});

/* A shell in a terminal of its own: each line and a Tab, then a key that shows what became of it. */
const ZSH_TALK = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1='' PS2=''; fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u"
zpty -w shell 'show() { print -r -- "<$BUFFER>"; BUFFER= }; zle -N show; bindkey "^X" show; print rea""dy'
zpty -r shell line '*ready*'
shift
for word; do
    zpty -w -n shell "chasqui $word"$'\t\x18'
    zpty -r shell line '*<*>*'
    print -r -- "\${\${line##*<}%>*}"
done
zpty -d shell`;

test('zsh completes commands, options and models', { skip: shellMissing('zsh') }, async (t) => {
    const lines = { pu: 'pull ', 'run --ho': 'run --host ', 'serve --conf': 'serve --config ', 'sim --slo': 'sim --slots ',
        [`run ${SIM_EMBED_MODEL.slice(0, -3)}`]: `run ${SIM_EMBED_MODEL} ` };
    const done = await inShell(t, 'zsh', ZSH_TALK, 'zsh', path.join(ROOT, 'packaging/zsh'), ...Object.keys(lines));
    assert.deepEqual(done, Object.values(lines).map((line) => `chasqui ${line}`));
});

test('a word that is nearly one: did you mean', async (t) => {
    for (const [args, told] of [[['lsit'], 'list'], [['run', 'x', '--verbos'], '--verbose'], [['sim', '--lisen', 'x'], '--listen']]) {
        const run = await chasqui(t, args);
        assert.equal(run.code, 2);
        assert.match(run.err, new RegExp(`did you mean .${told}.\\?`));
    }
});
