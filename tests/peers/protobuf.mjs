// SPDX-License-Identifier: MIT
/*
 * Protobuf by a .proto file's text: as much of it as proto/chasqui.proto uses
 *
 * new Schema(text).encode('ChatRequest', {...}), .decode('ChatRecord', bytes). Objects have the names of the
 * fields; int64 are numbers. decode() leaves out what was not sent, takes the last of a field that comes twice,
 * and throws where the bytes are malformed. skipsEmpty: fields that are empty or 0 are not written;
 * skipsUnknown: unknown fields are no error.
 */
const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;
const WIRE = { int64: VARINT, uint32: VARINT, bool: VARINT, double: FIXED64, float: FIXED32, string: BYTES,
    bytes: BYTES };

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
        for (let shift = 0n; shift < 64n && !this.isOver; shift += 7n) {
            const byte = this.bytes[this.at++];
            value |= BigInt(byte & 0x7f) << shift;
            if (byte < 0x80 && value < 1n << 64n)
                return value;
        }
        throw new Error('a varint is cut or too long');
    }
    take(n) {
        if (n > this.bytes.length - this.at)
            throw new Error('a field goes beyond the message');
        return this.bytes.subarray(this.at, this.at += n);
    }
    skip(wire) {
        if (wire === VARINT)
            this.varint();
        else
            this.take(wire === FIXED64 ? 8 : wire === FIXED32 ? 4 : Number(this.varint()));
    }
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
    encode(name, object, { skipsEmpty = false } = {}) {
        return Buffer.concat(this.messages.get(name).flatMap(({ type, field, number, isRepeated }) => {
            const isEmpty = skipsEmpty && (object[field] === 0 || object[field]?.length === 0);
            const key = varint((number << 3) | (WIRE[type] ?? BYTES));
            const isThere = object[field] !== undefined && !isEmpty;
            const values = isRepeated ? object[field] : [object[field]];
            return isThere ? values.map((value) => Buffer.concat([key, this.#write(type, value)])) : [];
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
    decode(name, bytes, { skipsUnknown = false } = {}) {
        const reader = new Reader(bytes), object = {};
        while (!reader.isOver) {
            const key = reader.varint(), wire = Number(key & 7n), number = Number(key >> 3n);
            const known = this.messages.get(name).find((field) => field.number === number);
            const isWire = [VARINT, FIXED64, BYTES, FIXED32].includes(wire);
            if (number === 0 || !isWire || (!known && !skipsUnknown))
                throw new Error(`${name} has no field ${number} of wire type ${wire}`);
            if (!known) {
                reader.skip(wire);
                continue;
            }
            const { type, field, isRepeated } = known, own = WIRE[type] ?? BYTES;
            const isPacked = isRepeated && wire === BYTES && own !== BYTES;
            if (!isPacked && wire !== own)
                throw new Error(`${name}: ${field} has wire type ${wire}`);
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
