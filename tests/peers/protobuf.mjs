// SPDX-License-Identifier: MIT
/*
 * Protobuf by a .proto file's text: as much of it as proto/chasqui.proto uses
 *
 * new Schema(text).encode('ChatRequest', {...}), .decode('ChatRecord', bytes). Objects have the names of the fields; int64 are
 * numbers. decode() leaves out what was not sent.
 */
const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;
const WIRE = { int64: VARINT, uint32: VARINT, bool: VARINT, double: FIXED64, float: FIXED32, string: BYTES, bytes: BYTES };

function varint(value) {
    const bytes = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n)
        bytes.push(Number(rest & 0x7fn) | 0x80);
    return Buffer.from([...bytes, Number(rest)]);
}
const delimited = (bytes) => Buffer.concat([varint(bytes.length), bytes]);

class Reader {
    constructor(bytes) { Object.assign(this, { bytes, at: 0 }); }
    get isOver() { return this.at >= this.bytes.length; }
    varint() {
        let value = 0n;
        for (let shift = 0n; ; shift += 7n) {
            const byte = this.bytes[this.at++];
            value |= BigInt(byte & 0x7f) << shift;
            if (byte < 0x80)
                return value;
        }
    }
    take(n) { return this.bytes.subarray(this.at, this.at += n); }
}

export class Schema {
    messages = new Map();
    constructor(text) {
        for (const [, name, body] of text.matchAll(/^message (\w+) \{\n(.*?)^\}/gms)) {
            const fields = [...body.matchAll(/^ {4}(optional |repeated )?(\w+) (\w+) = (\d+)/gm)];
            this.messages.set(name, fields.map(([, label, type, field, number]) =>
                ({ type, field, number: Number(number), isRepeated: label === 'repeated ' })));
        }
    }
    encode(name, object) {
        return Buffer.concat(this.messages.get(name).flatMap(({ type, field, number, isRepeated }) => {
            const values = object[field] === undefined ? [] : isRepeated ? object[field] : [object[field]];
            return values.map((value) => Buffer.concat([varint((number << 3) | (WIRE[type] ?? BYTES)), this.#write(type, value)]));
        }));
    }
    #write(type, value) {
        switch (type) {
        case 'double': { const out = Buffer.alloc(8); out.writeDoubleLE(value); return out; }
        case 'float': { const out = Buffer.alloc(4); out.writeFloatLE(value); return out; }
        case 'string': case 'bytes': return delimited(Buffer.from(value));
        default: return WIRE[type] === VARINT ? varint(Number(value)) : delimited(this.encode(type, value));
        }
    }
    decode(name, bytes) {
        const reader = new Reader(bytes), object = {};
        while (!reader.isOver) {
            const key = Number(reader.varint()), known = this.messages.get(name).find(({ number }) => number === key >> 3);
            if (known === undefined)
                throw new Error(`${name} has no field ${key >> 3}`);
            const { type, field, isRepeated } = known, isPacked = (key & 7) === BYTES && WIRE[type] !== undefined && WIRE[type] !== BYTES;
            const inner = isPacked ? new Reader(reader.take(Number(reader.varint()))) : reader;
            do {
                const value = this.#read(type, inner);
                if (isRepeated)
                    (object[field] ??= []).push(value);
                else
                    object[field] = value;
            } while (isPacked && !inner.isOver);
        }
        return object;
    }
    #read(type, reader) {
        if (WIRE[type] === VARINT) {
            const value = reader.varint();
            return type === 'bool' ? value !== 0n : Number(BigInt.asIntN(64, value));
        }
        if (type === 'double')
            return reader.take(8).readDoubleLE();
        if (type === 'float')
            return reader.take(4).readFloatLE();
        const bytes = reader.take(Number(reader.varint()));
        return type === 'string' ? bytes.toString() : type === 'bytes' ? bytes : this.decode(type, bytes);
    }
}
