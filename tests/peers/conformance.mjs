// SPDX-License-Identifier: MIT
/*
 * Does a server speak MCP? Claims about docs/protocol.md, from outside, against anything that listens
 *
 *     node tests/peers/conformance.mjs --port N [--host H] [--key K] [--pid P] [--section NAME] [--plain-only]
 *                                      [--stream METHOD] [--body JSON]
 *
 * The server has the services `echo` and one that streams: by default ollama.generate with model sim:latest, where
 * options.num_predict says how many records come before the last; a record takes a millisecond or so. With --pid the
 * memory of the server is looked at. Exit status 1 when a claim does not hold.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { abuse, liveness } from './conformance/abuse.mjs';
import blocks from './conformance/blocks.mjs';
import { batches, calls } from './conformance/calls.mjs';
import fragments from './conformance/fragments.mjs';
import frames from './conformance/frames.mjs';
import hello from './conformance/hello.mjs';
import interop from './conformance/interop.mjs';
import { Probe } from './conformance/kit.mjs';
import plain from './conformance/plain.mjs';
import states from './conformance/states.mjs';
import strangers from './conformance/strangers.mjs';
import { raw } from './hand.mjs';

/** Name of a section: its claims, [sentence, async (target)]. Those of liveness wait and may run together. */
export const SECTIONS = { plain, interop, frames, states, hello, blocks, fragments, calls, batches, strangers, abuse, liveness };

const GENERATE = { model: 'sim:latest', prompt: 'on and on' };

/** What is asked: {host, port, key, pid, records(n)}. */
export function targetOf({ host = '127.0.0.1', port, key, pid, stream = 'ollama.generate', body = GENERATE }) {
    const records = (n) => ({ method: stream, codec: 1, body: Buffer.from(JSON.stringify({ ...body, options: { num_predict: n } })) });
    return { host, port: Number(port), key, pid: pid && Number(pid), records };
}

/* Whatever a claim did: another connection is served at once. */
async function othersAreServed(section, target) {
    const probe = section === 'plain' ? await Probe.dial(target) : await Probe.open(target);
    if (section === 'plain')
        probe.send(raw.plainRequest(1, 'echo', Buffer.from('Hi')));
    await (section === 'plain' ? probe.frame('another connection') : probe.lives());
    probe.close();
}

/** Runs a section; report(claim, error or undefined) for each. */
export async function runSection(name, target, report) {
    const run = async ([claim, check]) =>
        report(claim, await check(target).then(() => othersAreServed(name, target)).then(() => undefined, (error) => error));
    if (name === 'liveness')
        await Promise.all(SECTIONS[name].map(run));
    else
        for (const claim of SECTIONS[name])
            await run(claim);
}

async function main() {
    const text = { type: 'string' };
    const { values } = parseArgs({ options: { host: text, port: text, key: text, pid: text, section: text, stream: text, body: text,
        'plain-only': { type: 'boolean' } } });
    if (values.port === undefined)
        throw new Error('--port is missing');
    const target = targetOf({ ...values, body: values.body && JSON.parse(values.body) });
    const chosen = values['plain-only'] ? ['plain'] : values.section ? [values.section] : Object.keys(SECTIONS);
    let failed = 0;
    for (const name of chosen) {
        console.log(name);
        await runSection(name, target, (claim, error) => {
            failed += error ? 1 : 0;
            console.log(error ? `  FAILED ${claim}\n    ${error.message.replaceAll('\n', '\n    ')}` : `  ok ${claim}`);
        });
    }
    console.log(failed ? `${failed} claims do not hold` : 'all claims hold');
    process.exit(failed ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
    await main();
