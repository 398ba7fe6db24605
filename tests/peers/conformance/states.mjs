// SPDX-License-Identifier: MIT
/* §5, §8: each frame of a client on a call in each state, as the second table of §8 has it, and the lengths of §5 */
import assert from 'node:assert/strict';
import { raw } from '../hand.mjs';
import { EXT, MAX_ID, MORE, TYPE } from '../mcp.mjs';
import { Probe, eachDies } from './kit.mjs';

const { frame } = raw, echo = { method: 'echo' }, hi = Buffer.from('Hi'), zeros = (n) => Buffer.alloc(n), ENDLESS = 100_000;

/* Brings a call into the state; returns its SeqID. */
const STATES = {
    'never opened': async () => 1,
    receiving: async (probe) => probe.request({ ...echo, totalLength: 3000 }, zeros(2000), MORE),
    waiting: async (probe) => {
        await probe.chunk(probe.records(ENDLESS, { lane: 3 }));
        return probe.request({ ...echo, lane: 3 }, hi);
    },
    running: async (probe) => {
        const id = probe.records(ENDLESS);
        await probe.chunk(id);
        return id;
    },
    finished: async (probe) => {
        await probe.lives();
        return 1;
    },
    cancelled: async (probe) => {
        const id = probe.records(ENDLESS);
        probe.send(raw.cancel(id));
        await probe.answer(id);
        return id;
    },
};

/* What must come of it. */
const OUTCOMES = {
    dies: (probe) => probe.dies(),
    ignored: (probe) => probe.lives(),
    opens: async (probe, id) => assert.equal(`${(await probe.answer(id)).body}`, 'Hi'),
    goesOn: async (probe, id) => assert.equal((await probe.answer(id)).body.length, 3000),
    ends: async (probe, id) => assert.equal((await probe.answer(id)).codeName, 'CANCELLED'),
    taken: async (probe, id) => {
        await probe.lives();
        assert.ok(!probe.calls.get(id).over);
    },
};
const INPUTS = {
    'REQUEST with EXT': [(id) => raw.message(TYPE.REQUEST, id, echo, hi), 'opens dies dies dies opens opens'],
    'the first fragment of a REQUEST': [(id) => raw.message(TYPE.REQUEST, id, { ...echo, totalLength: 9000 }, zeros(2000), MORE),
        'taken dies dies dies taken taken'],
    'REQUEST without EXT': [(id) => frame(TYPE.REQUEST, id, zeros(1000)), 'dies goesOn dies dies ignored ignored'],
    'REQUEST with MORE, without EXT': [(id) => frame(TYPE.REQUEST | MORE, id, zeros(1024)), 'dies - dies dies ignored ignored'],
    CANCEL: [(id) => raw.cancel(id), 'dies ends ends ends ignored ignored'],
    'a CREDIT entry': [(id) => raw.credit([[id, 2 ** 20]]), 'dies taken taken taken ignored ignored'],
    'an entry of BATCH': [(id) => raw.batch(echo, [[id, hi]]), 'opens dies dies dies opens opens'],
    ERROR: [(id) => raw.error(id, { code: 1 }), 'dies dies dies dies dies dies'],
    RESPONSE: [(id) => frame(TYPE.RESPONSE, id, hi), 'dies dies dies dies dies dies'],
    CHUNK: [(id) => frame(TYPE.CHUNK, id, hi), 'dies dies dies dies dies dies'],
    'an unknown type': [(id) => frame(0x2a, id, hi), 'ignored taken taken taken ignored ignored'],
};
const RULES = { 'REQUEST with EXT': '[M-24] [M-29]', 'the first fragment of a REQUEST': '[M-24] [M-26]',
    'REQUEST without EXT': '[M-25] [M-28] [M-29]', 'REQUEST with MORE, without EXT': '[M-25] [M-28] [M-29]',
    CANCEL: '[M-28] [M-29] [M-98]', 'a CREDIT entry': '[M-28] [M-29]', 'an entry of BATCH': '[M-121]',
    ERROR: '[M-22]', RESPONSE: '[M-16]', CHUNK: '[M-16]', 'an unknown type': '[M-21]' };

const claims = Object.entries(INPUTS).map(([input, [make, outcomes]]) =>
    [`${input} in each state of a call: ${outcomes.replace(' - ', ' ')} ${RULES[input]}`, async (target) => {
        for (const [n, [state, reach]] of Object.entries(STATES).entries()) {
            const outcome = outcomes.split(' ')[n], probe = await Probe.open(target);
            if (outcome !== '-') {
                const id = await reach(probe);
                if (outcome === 'opens' || !probe.calls.has(id) || (outcome === 'taken' && probe.calls.get(id).over))
                    probe.opens(id);
                if (outcome === 'ignored' && state === 'never opened')
                    probe.nextId = id;
                probe.send(make(id));
                await OUTCOMES[outcome](probe, id).catch((error) => { throw new Error(`${state}: ${error.message}`); });
            }
            probe.close();
        }
    }]);

/* Type, and lengths that are wrong by one, or by the step of CREDIT. */
const LENGTHS = [[TYPE.ERROR, 0, [0, 9]], [TYPE.CANCEL, 1, [0, 2]], [TYPE.CREDIT, 0, [0, 7, 9, 15, 513, 520]], [TYPE.PING, 0, [0, 7, 9]],
    [TYPE.PONG, 0, [0, 7, 9]], [TYPE.HELLO, 0, [0, 31, 4097]], [TYPE.BATCH, 0, [0, 3]]];
/* Type, and SeqIDs that it does not have. */
const IDS = [[TYPE.REQUEST | EXT, 2, [0, MAX_ID + 1, 0xffffffff]], [TYPE.REQUEST, 0, [0, MAX_ID + 1]], [TYPE.CANCEL, 1, [0, MAX_ID + 1]],
    [TYPE.CREDIT, 8, [1, MAX_ID, 0xffffffff]], [TYPE.PING, 8, [1, 0xffffffff]], [TYPE.PONG, 8, [1, 0xffffffff]],
    [TYPE.HELLO, 32, [1]], [TYPE.BATCH, 8, [1, 0xffffffff]], [TYPE.ERROR, 10, [1, 0xffffffff]]];
const BITS = [TYPE.CANCEL, TYPE.CREDIT, TYPE.PING, TYPE.PONG].flatMap((type) => [MORE, EXT, MORE | EXT].map((bits) => [type, bits]))
    .concat([[TYPE.ERROR, MORE], [TYPE.BATCH, MORE], [TYPE.ERROR, MORE | EXT], [TYPE.BATCH, MORE | EXT]]);
const SIZE = { [TYPE.CANCEL]: 1, [TYPE.ERROR]: 10 };

export default [
    ...claims,
    ['every length that a type does not have [M-19]',
        eachDies(LENGTHS.flatMap(([type, id, lengths]) => lengths.map((length) => frame(type, id, zeros(length)))))],
    ['every kind of SeqID that a type does not have [M-17] [M-22]',
        eachDies(IDS.flatMap(([type, length, ids]) => ids.map((id) => frame(type, id, zeros(length)))))],
    ['MORE and EXT on every type that has them not [M-18]',
        eachDies(BITS.map(([type, bits]) => frame(type | bits, type === TYPE.CANCEL ? 1 : 0, zeros(SIZE[type] ?? 8))))],
    ['every reserved type, with and without bits [M-20]',
        eachDies([0x00, 0x05, 0x0d, 0x0f, 0x10, 0x18, 0x1f].flatMap((type) => [0, MORE, EXT].map((bits) => frame(type | bits, 0))))],
];
