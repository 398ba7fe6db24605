#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A client for the plain profile of MCP, the Message Communication Protocol, with the standard library alone.

    plain_client.py HOST:PORT echo TEXT              prints what came back
    plain_client.py HOST:PORT generate MODEL PROMPT  prints the model's answer

The plain profile has two frames. A header of 8 bytes (version 1, type, SeqID, length of the payload; big-endian) is
followed by a small Protobuf message:

    REQUEST  (type 1)   { string service = 1; bytes body = 2; }
    RESPONSE (type 2)   { uint32 status = 1; string error = 2; bytes body = 3; }

The SeqID of a RESPONSE is that of its REQUEST, so several may be under way at once; this client asks one at a time.
See docs/protocol.md, chapters 3 and 4.
"""
import json
import socket
import struct
import sys

HEADER = struct.Struct(">BBIH")  # version, type, SeqID, length
VERSION, REQUEST, RESPONSE = 1, 1, 2
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # Protobuf's wire types
MAX_PAYLOAD = 65535


def write_varint(number):
    """7 bits per byte, the low ones first; 0x80 says that more follow."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def write_bytes(field, value):
    """A field of text or bytes; an empty one is left out."""
    return write_varint(field << 3 | BYTES) + write_varint(len(value)) + value if value else b""


def read_varint(message, at):
    """The number at @at and where it ends."""
    number = shift = 0
    while True:
        number |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 0x80:
            return number, at


def read_message(message):
    """{field: value}; of a field that comes twice, the last."""
    fields, at = {}, 0
    while at < len(message):
        key, at = read_varint(message, at)
        if key & 7 == VARINT:
            fields[key >> 3], at = read_varint(message, at)
            continue
        if key & 7 not in (FIXED64, BYTES, FIXED32):
            raise ValueError("malformed Protobuf message")
        size, at = read_varint(message, at) if key & 7 == BYTES else (8 if key & 7 == FIXED64 else 4, at)
        if size > len(message) - at:
            raise ValueError("a field goes beyond the message")
        fields[key >> 3] = message[at:at + size]
        at += size
    return fields


class PlainClient:
    """One connection. call() returns the body of the answer; an answer that is not 200 raises RuntimeError."""

    def __init__(self, host, port, timeout=300):
        self.socket = socket.create_connection((host, port), timeout)
        self.stream = self.socket.makefile("rb")
        self.seq = 0

    def call(self, service, body=b""):
        payload = write_bytes(1, service.encode()) + write_bytes(2, body)
        if len(payload) > MAX_PAYLOAD:
            raise ValueError("the request is too long for one frame")
        self.seq = (self.seq + 1) & 0xFFFFFFFF
        self.socket.sendall(HEADER.pack(VERSION, REQUEST, self.seq, len(payload)) + payload)
        version, kind, seq, length = HEADER.unpack(self._read(HEADER.size))
        if (version, kind, seq) != (VERSION, RESPONSE, self.seq):
            raise ConnectionError("this is not the answer that was asked for")
        fields = read_message(self._read(length))
        status = fields.get(1, 0)
        if status != 200:
            raise RuntimeError(f"{status}: {fields.get(2, b'').decode()}")
        return fields.get(3, b"")

    def _read(self, size):
        data = self.stream.read(size)
        if len(data) < size:
            raise ConnectionError("the server closed the connection")
        return data

    def close(self):
        self.stream.close()
        self.socket.close()


def main(address, service, *words):
    host, _, port = address.rpartition(":")
    client = PlainClient(host, int(port))
    try:
        if service == "echo":
            print(client.call("echo", words[0].encode()).decode())
        else:
            request = {"model": words[0], "prompt": words[1]}
            print(json.loads(client.call("ollama.generate", json.dumps(request).encode()))["response"])
    finally:
        client.close()


if __name__ == "__main__":
    if [len(sys.argv), *sys.argv[2:3]] not in ([4, "echo"], [5, "generate"]):
        sys.exit(__doc__)
    main(*sys.argv[1:])
