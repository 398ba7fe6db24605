// SPDX-License-Identifier: MIT
/*
 * The test runner's words, with a deadline on every test
 *
 * Tests wait for events, never for time: until() asks a condition until it holds. Every deadline is multiplied by
 * CHASQUI_TEST_SLOW (sanitizer builds, busy machines), so a number here means "on an idle machine".
 */
import nodeTest, { after } from 'node:test';

const SLOW = Number(process.env.CHASQUI_TEST_SLOW ?? 1);
const TEST_MS = 10_000;
const UNTIL_MS = 5_000;
const POLL_MS = 5;

const releases = [];

/** Owner of what a file starts before its tests: released after them, last first. (A test's own context is the other owner.) */
export const file = { after: (release) => releases.push(release) };

after(async () => {
    const failures = [];
    for (const release of releases.splice(0).reverse())
        await Promise.resolve().then(release).catch((error) => failures.push(error));
    if (failures.length > 0)
        throw failures[0];
});

export const slow = (ms) => ms * SLOW;

/** test(name, [options], fn): node's own, with a time-out unless options name one. */
export function test(name, options, fn) {
    if (typeof options === 'function')
        return test(name, {}, options);
    return nodeTest(name, { ...options, timeout: slow(options.timeout ?? TEST_MS) }, fn);
}

/** Resolves with the first truthy value of condition(); fails with @what after the deadline. */
export async function until(condition, what = 'the condition', ms = UNTIL_MS) {
    const end = performance.now() + slow(ms);
    for (;;) {
        const value = await condition();
        if (value)
            return value;
        if (performance.now() > end)
            throw new Error(`${what}: not so within ${slow(ms)} ms`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
}

/** The promise, or a failure with @what after the deadline. */
export async function within(promise, what, ms = UNTIL_MS) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: not within ${slow(ms)} ms`)), slow(ms));
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}
