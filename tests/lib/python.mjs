// SPDX-License-Identifier: MIT
/*
 * The Python ollama client, in a virtual environment of its own (tests/.venv), at a pinned version
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './chasqui.mjs';

const VERSION = '0.6.2';
const VENV = path.join(ROOT, 'tests/.venv');
const PYTHON = path.join(VENV, 'bin/python');
const ASK_VERSION = 'import importlib.metadata as m; print(m.version("ollama"))';

const run = (file, args) => execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 });

function hasClient() {
    try {
        return existsSync(PYTHON) && run(PYTHON, ['-c', ASK_VERSION]).trim() === VERSION;
    } catch {
        return false;
    }
}

/** {python} whose `import ollama` is the pinned client, installed on first use; {missing: why}. */
export function pythonClient() {
    try {
        if (!hasClient()) {
            run('python3', ['-m', 'venv', VENV]);
            run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `ollama==${VERSION}`]);
        }
        return { python: PYTHON };
    } catch (error) {
        return { missing: `the Python client cannot be installed: ${(error.stderr || error.message).trim().split('\n').at(-1)}` };
    }
}

/** Runs tests/lib/python_calls.py against a server. Returns {call: outcome}. */
export function pythonCalls(python, url, model) {
    return JSON.parse(run(python, [path.join(ROOT, 'tests/lib/python_calls.py'), url, model]));
}
