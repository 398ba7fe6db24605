// SPDX-License-Identifier: MIT
/*
 * Reads the corpus of odd HTTP: the format is in tests/corpus/http/README.md
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './chasqui.mjs';

const ESCAPES = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' };

function unescape(text) {
    return text.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (all, hex, letter) => {
        if (hex === undefined && ESCAPES[letter] === undefined)
            throw new Error(`unknown escape ${all}`);
        return hex === undefined ? ESCAPES[letter] : String.fromCharCode(parseInt(hex, 16));
    });
}

/* "refuse 400 501", "answer 200 head close", "forward POST /x close" */
function parseWant(argument) {
    const [kind, ...words] = argument.split(' ');
    const has = (word) => words.includes(word);
    return {
        kind, closes: has('close'), isHead: has('head'), fields: [], body: '',
        statuses: words.filter((word) => /^\d{3}$/.test(word)).map(Number),
        method: words[0], target: words[1],
    };
}

const LINES = {
    rule: (c, argument) => (c.rule = argument),
    send: (c, argument, times) => (c.send += unescape(argument).repeat(times)),
    want: (c, argument) => c.wants.push(parseWant(argument)),
    field: (c, argument, times) => c.wants.at(-1).fields.push(...Array(times).fill(unescape(argument))),
    body: (c, argument) => (c.wants.at(-1).body += unescape(argument)),
    by: () => {},
    to: (c, argument) => (c.to = argument),
    then: (c, argument) => (c.then = argument),
    later: (c, argument) => (c.later = unescape(argument)),
    node: (c, argument) => (c.node = argument),
};

function parseFile(file) {
    const cases = [];
    for (const line of readFileSync(file, 'latin1').split('\n')) {
        if (line === '' || line.startsWith('#'))
            continue;
        const [, word, times = '1', argument = ''] = /^([a-z]+)(?:\*(\d+))?(?: (.*))?$/.exec(line) ?? [];
        if (word === 'case')
            cases.push({ name: argument, file: path.basename(file), send: '', wants: [], to: 'POST' });
        else if (LINES[word])
            LINES[word](cases.at(-1), argument, Number(times));
        else
            throw new Error(`${file}: not a line of a case: ${line}`);
    }
    return cases;
}

/** Cases of tests/corpus/http/@kind; bytes are strings of latin1. */
export function readCorpus(kind) {
    const dir = path.join(ROOT, 'tests/corpus/http', kind);
    return readdirSync(dir).sort().flatMap((name) => parseFile(path.join(dir, name)));
}
