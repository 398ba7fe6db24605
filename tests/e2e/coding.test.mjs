// SPDX-License-Identifier: MIT
/*
 * Request bodies in gzip and zstd reach the node plain; what is no such body, or would be too much, is refused
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { Gateway } from '../lib/chasqui.mjs';
import { FakeNode } from '../lib/fake-node.mjs';
import { exchange, request } from '../lib/raw.mjs';
import { file, test } from '../lib/test.mjs';

const KIB = 1024;
const BLOCK_MAX = 128 * KIB;

/** A frame of zstd (RFC 8878, 3.1.1) with a window of 8 MiB; blocks are raw, or [byte, times]. */
function zstdFrame(blocks) {
    const parts = [Buffer.from('28b52ffd0068', 'hex')];
    blocks.forEach((block, i) => {
        const isRun = Array.isArray(block);
        const head = Buffer.alloc(3);
        head.writeUIntLE(((isRun ? block[1] : block.length) << 3) | (isRun ? 2 : 0) | (i === blocks.length - 1 ? 1 : 0), 0, 3);
        parts.push(head, isRun ? Buffer.from([block[0]]) : block);
    });
    return Buffer.concat(parts);
}

function zstdRaw(bytes) {
    const blocks = [];
    for (let at = 0; at < bytes.length; at += BLOCK_MAX)
        blocks.push(bytes.subarray(at, at + BLOCK_MAX));
    return zstdFrame(blocks);
}

const PACK = { gzip: gzipSync, zstd: zstdRaw };

const node = await FakeNode.start(file);
const gateway = await Gateway.start(file, { nodes: [node], settings: { body: '1MiB', bodies: '3MiB' } });

const bodyOf = (prompt) => Buffer.from(JSON.stringify({ model: node.model, prompt, stream: false }));
const SHORT = bodyOf('hi');

function post(t, coding, packed, { target = '/api/generate' } = {}) {
    const fields = [`Content-Length: ${packed.length}`, ...[coding].flat().map((one) => `Content-Encoding: ${one}`)];
    return exchange(t, gateway.port, Buffer.concat([Buffer.from(request('POST', target, { fields })), packed]));
}

async function assertRefused(answer, status, reason) {
    assert.equal(answer.status, status, answer.text);
    assert.ok(answer.json.error);
    assert.equal((await gateway.accessLine(answer.get('x-request-id'))).reason, reason);
}

for (const [coding, pack] of Object.entries(PACK)) {
    for (const [what, body] of [['short', SHORT], ['long', bodyOf(randomBytes(300 * KIB).toString('base64'))]]) {
        test(`a ${what} body in ${coding} reaches the node plain`, async (t) => {
            const answer = await post(t, coding, pack(body));
            assert.equal(answer.status, 200, answer.text);
            assert.equal(node.last.text, body.toString());
            assert.equal(node.last.headers['content-length'], String(body.length));
            assert.equal(node.last.headers['content-encoding'], undefined);
        });
    }

    test(`a body in ${coding} that is cut off: 400`, async (t) => {
        const packed = pack(SHORT);
        for (const length of [1, 5, packed.length >> 1, packed.length - 1])
            await assertRefused(await post(t, coding, packed.subarray(0, length)), 400, 'bad_request');
    });

    test(`bytes behind a body in ${coding}: 400`, async (t) => {
        await assertRefused(await post(t, coding, Buffer.concat([pack(SHORT), Buffer.from('x')])), 400, 'bad_request');
    });

    test(`a plain body that is said to be in ${coding}: 400`, async (t) =>
        assertRefused(await post(t, coding, SHORT), 400, 'bad_request'));
}

test('members of gzip, one behind the other, are one body', async (t) => {
    const half = SHORT.length >> 1;
    const answer = await post(t, 'gzip', Buffer.concat([PACK.gzip(SHORT.subarray(0, half)), PACK.gzip(SHORT.subarray(half))]));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(node.last.text, SHORT.toString());
});

test('frames of zstd, one behind the other: 400', async (t) =>
    assertRefused(await post(t, 'zstd', Buffer.concat([PACK.zstd(SHORT), PACK.zstd(SHORT)])), 400, 'bad_request'));

test('over limits.body when it is decoded: 413', async (t) => {
    const long = bodyOf(randomBytes(200 * KIB).toString('hex').repeat(3));
    const packed = gzipSync(long);
    assert.ok(packed.length < 1024 * KIB && long.length > 1024 * KIB);
    await assertRefused(await post(t, 'gzip', packed), 413, 'too_large');
});

test('bombs are refused long before they are large', async (t) => {
    const memory = gateway.residentKiB;
    await assertRefused(await post(t, 'zstd', zstdFrame(Array(8000).fill([0x20, BLOCK_MAX]))), 413, 'too_large');
    await assertRefused(await post(t, 'zstd', zstdFrame(Array(4).fill([0x20, BLOCK_MAX]))), 400, 'bad_request');
    await assertRefused(await post(t, 'gzip', gzipSync(Buffer.alloc(900 * KIB, ' '))), 400, 'bad_request');
    assert.ok(gateway.residentKiB - memory < 32 * KIB, `${gateway.residentKiB - memory} KiB more`);
});

test('a window over 8 MiB is refused', async (t) => {
    const packed = zstdRaw(SHORT);
    packed[5] = 0xa8;
    await assertRefused(await post(t, 'zstd', packed), 400, 'bad_request');
});

test('what is decoded counts in memory.bodies, and is given back', async (t) => {
    const body = bodyOf(randomBytes(360 * KIB).toString('hex'));
    for (let i = 0; i < 8; i++)
        assert.equal((await post(t, 'gzip', gzipSync(body))).status, 200);
    const small = await Gateway.start(t, { nodes: [node], settings: { body: '1MiB', bodies: '1MiB' } });
    const packed = gzipSync(body);
    const fields = { 'Content-Encoding': 'gzip', 'Content-Length': packed.length };
    const answer = await exchange(t, small.port, Buffer.concat([Buffer.from(request('POST', '/api/generate', { fields })), packed]));
    assert.equal(answer.status, 503);
    assert.match(answer.json.error, /memory\.bodies/);
});

for (const coding of ['br', 'deflate', 'gzip, gzip', 'gzip, zstd', ['gzip', 'gzip'], ['identity', 'br']]) {
    test(`a body in ${[coding].flat().join(' and ')}: 415`, async (t) =>
        assertRefused(await post(t, coding, PACK.gzip(SHORT)), 415, 'unsupported_encoding'));
}

test('identity, alone or beside a coding, changes nothing', async (t) => {
    assert.equal((await post(t, 'identity', SHORT)).status, 200);
    assert.equal((await post(t, ['identity', 'GZIP'], gzipSync(SHORT))).status, 200);
    assert.equal(node.last.text, SHORT.toString());
});

test('a blob is not decoded', async (t) => {
    const target = `/api/blobs/sha256:${'0'.repeat(64)}`;
    await assertRefused(await post(t, 'gzip', gzipSync(SHORT), { target }), 415, 'unsupported_encoding');
});
