// SPDX-License-Identifier: MIT
/*
 * Libraries of tests/fault/ in front of libc
 */
import { execFileSync } from 'node:child_process';
import { openSync, closeSync, readSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { ROOT, temporaryDirectory } from './chasqui.mjs';

/** Compiles tests/fault/@name.c; returns the path of the library, which lives as long as @owner. */
export function buildLibrary(owner, name) {
    const library = path.join(temporaryDirectory(owner), `${name}.so`);
    execFileSync('cc', ['-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-o', library,
                        path.join(ROOT, 'tests/fault', `${name}.c`)]);
    return library;
}

/* struct control of tests/fault/alloc.c */
const AT = { failAt: 0, nFail: 4, nSeen: 8, nFailed: 12, nLive: 16 };
const SIZE = 24;

/** The allocator of one process: what it should refuse, and what it did. */
export class Allocator {
    constructor(owner) {
        const file = path.join(temporaryDirectory(owner), 'control');
        writeFileSync(file, Buffer.alloc(SIZE));
        this.fd = openSync(file, 'r+');
        owner.after(() => closeSync(this.fd));
        this.env = { LD_PRELOAD: buildLibrary(owner, 'alloc'), CHASQUI_FAULT_ALLOC: file };
    }

    #put(at, value) {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32LE(value);
        writeSync(this.fd, bytes, 0, 4, at);
    }

    #get(at) {
        const bytes = Buffer.alloc(8);
        readSync(this.fd, bytes, 0, 8, at);
        return bytes;
    }

    /** From now on the @nth allocation fails, and @n - 1 behind it. */
    arm(nth, n) {
        for (const at of [AT.failAt, AT.nSeen, AT.nFailed])
            this.#put(at, 0);
        this.#put(AT.nFail, n);
        this.#put(AT.failAt, nth);
    }

    /** Returns how many have failed. */
    disarm() {
        this.#put(AT.failAt, 0);
        return this.#get(AT.nFailed).readUInt32LE();
    }

    get nLive() {
        return Number(this.#get(AT.nLive).readBigInt64LE());
    }
}
