// SPDX-License-Identifier: MIT
/*
 * A child process whose output is lines
 *
 * Every line is kept; a line that is a JSON object is parsed. waitFor() resolves with the first line, past or
 * future, that a predicate accepts. A sanitizer report on stderr makes stop() fail, and with it the test.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { until, within } from './test.mjs';

const SANITIZER = /AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:/;

function parse(text) {
    if (!text.startsWith('{'))
        return { text };
    try {
        return JSON.parse(text);
    } catch {
        return { text };
    }
}

export class Process {
    /** @owner: has after(fn); the process is stopped there if it still runs. */
    constructor(owner, file, args, { env = {}, cwd } = {}) {
        this.args = args;
        this.err = [];
        this.out = [];
        this.code = undefined;
        this.signal = undefined;
        this.wasKilled = false;
        this.child = spawn(file, args, {
            cwd,
            env: { ...process.env, ...env },
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        this.exited = new Promise((resolve, reject) => {
            this.child.on('error', reject);
            this.child.on('close', (code, signal) => {
                this.code = code;
                this.signal = signal;
                resolve(this);
            });
        });
        this.exited.catch(() => {});
        createInterface({ input: this.child.stderr }).on('line', (line) => this.err.push(line));
        createInterface({ input: this.child.stdout }).on('line', (line) => this.out.push(line));
        owner.after(() => this.stop());
    }

    get pid() {
        return this.child.pid;
    }

    get isRunning() {
        return this.code === undefined;
    }

    get errText() {
        return this.err.join('\n');
    }

    get events() {
        return this.err.map(parse);
    }

    /** The first line of stderr for which predicate(event) holds; fails when the process ends before. */
    waitFor(predicate, what) {
        return until(() => {
            const event = this.events.find(predicate);
            if (!event && !this.isRunning)
                throw new Error(`${what}: the process ended (${this.code ?? this.signal}):\n${this.errText}`);
            return event;
        }, what, 10_000);
    }

    /** SIGTERM unless it has ended, then its end. Ends it the hard way when it does not listen. */
    async stop() {
        if (this.isRunning && !this.wasKilled) {
            this.child.kill('SIGTERM');
            try {
                await within(this.exited, `end of ${this.args[0]} after SIGTERM`);
            } catch (error) {
                await this.kill();
                throw new Error(`${error.message}\n${this.errText}`);
            }
        }
        await this.exited;
        if (SANITIZER.test(this.errText))
            throw new Error(`sanitizer report of ${this.args.join(' ')}:\n${this.errText}`);
        return this.code;
    }

    async kill() {
        this.wasKilled = true;
        this.child.kill('SIGKILL');
        await this.exited;
    }
}
