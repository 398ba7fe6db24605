#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a model of random weights, small enough to load in a moment: GGUF, llama architecture, about 120 KB.

usage: mk_tiny_gguf.py OUT [--seed N] [--ctx N] [--eos-bias F] [--gain F]

It says letters and spaces without sense, always the same ones for one seed. Channel 0 of the embedding is 1 for every
token and no block writes to it, so column 0 of the output matrix is a bias per token: it keeps control and byte
tokens away, and --eos-bias tunes how soon an answer ends (-60: never). --gain 0 makes it say one token for ever.
"""
import argparse
import random
import struct

EMBD, HEADS, FF, LAYERS = 32, 2, 64, 1
NEVER = -60.0
ALIGNMENT = 32

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
TENSOR_F32 = 0
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
UNK, BOS, EOS = 0, 1, 2

VOCABULARY = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
VOCABULARY += [("<0x%02X>" % byte, BYTE) for byte in range(256)]
VOCABULARY += [("\u2581", NORMAL)] + [(chr(c), NORMAL) for c in range(ord("a"), ord("z") + 1)]


def pack_string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def pack_scalar(kind, value):
    if kind == STRING:
        return pack_string(value)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def pack_pair(key, kind, value):
    return pack_string(key) + struct.pack("<I", kind) + pack_scalar(kind, value)


def pack_list(key, kind, values):
    head = pack_string(key) + struct.pack("<IIQ", ARRAY, kind, len(values))
    return head + b"".join(pack_scalar(kind, value) for value in values)


def metadata(ctx):
    return [
        pack_pair("general.architecture", STRING, "llama"),
        pack_pair("general.name", STRING, "tiny-random"),
        pack_pair("general.file_type", U32, TENSOR_F32),
        pack_pair("llama.context_length", U32, ctx),
        pack_pair("llama.embedding_length", U32, EMBD),
        pack_pair("llama.block_count", U32, LAYERS),
        pack_pair("llama.feed_forward_length", U32, FF),
        pack_pair("llama.attention.head_count", U32, HEADS),
        pack_pair("llama.attention.head_count_kv", U32, HEADS),
        pack_pair("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        pack_pair("llama.rope.dimension_count", U32, EMBD // HEADS),
        pack_pair("llama.vocab_size", U32, len(VOCABULARY)),
        pack_pair("tokenizer.ggml.model", STRING, "llama"),
        pack_list("tokenizer.ggml.tokens", STRING, [token for token, _ in VOCABULARY]),
        pack_list("tokenizer.ggml.scores", F32, [0.0] * len(VOCABULARY)),
        pack_list("tokenizer.ggml.token_type", I32, [kind for _, kind in VOCABULARY]),
        pack_pair("tokenizer.ggml.bos_token_id", U32, BOS),
        pack_pair("tokenizer.ggml.eos_token_id", U32, EOS),
        pack_pair("tokenizer.ggml.unknown_token_id", U32, UNK),
        pack_pair("tokenizer.ggml.add_bos_token", BOOL, True),
        pack_pair("tokenizer.ggml.add_eos_token", BOOL, False),
        pack_pair("tokenizer.ggml.add_space_prefix", BOOL, False),
    ]


def matrix(rnd, n_rows, n_columns, keeps_bias=False):
    """Dimensions as GGUF has them, fastest first, and the values. keeps_bias: nothing is written to channel 0."""
    values = []
    for row in range(n_rows):
        is_zero = keeps_bias and row == 0
        values += [0.0 if is_zero else rnd.gauss(0, n_columns**-0.5) for _ in range(n_columns)]
    return [n_columns, n_rows], values


def embedding(rnd):
    values = []
    for _ in VOCABULARY:
        values += [1.0] + [rnd.gauss(0, 1) for _ in range(EMBD - 1)]
    return [EMBD, len(VOCABULARY)], values


def output(rnd, eos_bias, gain):
    values = []
    for token, (_, kind) in enumerate(VOCABULARY):
        bias = 0.0 if kind == NORMAL else eos_bias if token == EOS else NEVER
        is_said = kind == NORMAL or token == EOS
        values += [bias] + [rnd.gauss(0, gain * EMBD**-0.5) if is_said else 0.0 for _ in range(EMBD - 1)]
    return [EMBD, len(VOCABULARY)], values


def tensors(rnd, eos_bias, gain):
    ones = ([EMBD], [1.0] * EMBD)
    yield "token_embd.weight", *embedding(rnd)
    yield "output_norm.weight", *ones
    yield "output.weight", *output(rnd, eos_bias, gain)
    for layer in range(LAYERS):
        block = "blk.%d." % layer
        yield block + "attn_norm.weight", *ones
        for name in ("attn_q", "attn_k", "attn_v"):
            yield block + name + ".weight", *matrix(rnd, EMBD, EMBD)
        yield block + "attn_output.weight", *matrix(rnd, EMBD, EMBD, keeps_bias=True)
        yield block + "ffn_norm.weight", *ones
        yield block + "ffn_gate.weight", *matrix(rnd, FF, EMBD)
        yield block + "ffn_up.weight", *matrix(rnd, FF, EMBD)
        yield block + "ffn_down.weight", *matrix(rnd, EMBD, FF, keeps_bias=True)


def padded(data):
    return data + b"\0" * (-len(data) % ALIGNMENT)


def gguf(seed, ctx, eos_bias, gain):
    pairs = metadata(ctx)
    infos, data, n_tensors = b"", b"", 0
    for name, dims, values in tensors(random.Random(seed), eos_bias, gain):
        infos += pack_string(name) + struct.pack("<I%dQ" % len(dims), len(dims), *dims)
        infos += struct.pack("<IQ", TENSOR_F32, len(data))
        data += padded(struct.pack("<%df" % len(values), *values))
        n_tensors += 1
    head = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, len(pairs)) + b"".join(pairs) + infos
    return padded(head) + data


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ctx", type=int, default=512)
    parser.add_argument("--eos-bias", type=float, default=-6.0)
    parser.add_argument("--gain", type=float, default=4.0, help="of the output matrix: the larger, the rarer are repetitions")
    args = parser.parse_args()
    with open(args.out, "wb") as file:
        file.write(gguf(args.seed, args.ctx, args.eos_bias, args.gain))


main()
