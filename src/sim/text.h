/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Text that can be continued
 *
 * An answer is an endless sequence of words, one token each, chosen by the hash of what stands
 * before it. A prompt that already ends in the beginning of its answer is recognised: somewhere
 * behind the last assistant mark begins a piece that is exactly how the answer to everything before
 * it begins. The earliest such place counts, and the answer goes on there. So text(P) = text(P + A)
 * behind A for every A that text(P) begins with, also when A ends inside a word: a place before the
 * end of P that fits P + A fits P as well, hence both find the same one. Without a mark all places
 * of the prompt count.
 *
 * Pure, never allocates.
 */

#include "base/str.h"

#define SIM_TOKEN_MAX 48 /* bytes of a token */
#define SIM_PREFILL_MAX \
    (1024 * 1024) /* bytes at the end of a prompt that are searched for the answer's beginning */
#define SIM_ASSISTANT "<|assistant|>\n"

struct sim_text {
    uint64_t hash;  /* of the prompt before the answer */
    uint64_t token; /* index of the next one */
    size_t offset;  /* bytes of it that the prompt already holds */
};

/**
 * sim_text_begin() - the place where the text behind @prompt goes on
 * @seed:    anything else that the text depends on: seed, model
 * @prompt:  rendered prompt
 */
void sim_text_begin(struct sim_text *t, uint64_t seed, struct str prompt);

/* The next token (what is missing of it), written to @out. */
struct str sim_text_next(struct sim_text *t, char out[static SIM_TOKEN_MAX]);

/* A hash of @bytes for seeds, digests and vectors: not secret, the same for ever. */
uint64_t sim_hash(uint64_t seed, struct str bytes);

/* Words of @text, as a tokenizer that takes a word for a token would count; never 0. */
uint64_t sim_count_tokens(struct str text);
