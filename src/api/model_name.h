/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Model names
 *
 * Ollama compares names case-insensitively after filling in host, namespace and tag. The key of a
 * name is the lower-cased "host/namespace/model:tag", so that "Llama3.2", "llama3.2:latest" and
 * "library/llama3.2" are one model. Pure.
 */

#include "base/str.h"

#define MODEL_KEY_MAX 600 /* the longest key has 599 bytes */

struct model_key {
    size_t len;
    char text[MODEL_KEY_MAX];
};

static inline struct str model_key_str(const struct model_key *key)
{
    return str_make(key->text, key->len);
}

/**
 * model_key_parse() - the key of a name as a client or node spells it
 *
 * Accepts what Ollama accepts: white space around it; an optional scheme://, host, namespace; tag
 * "latest" when absent. "x:8b:cloud" is "x:8b-cloud" and "x:8b:local" is "x:8b", as Ollama since
 * 0.30 has it.
 *
 * Return: 0; -EINVAL not a valid name.
 */
MUST_USE int model_key_parse(struct str name, struct model_key *ret_key);

/*
 * Shortest form of a key, as Ollama shows it: default host and namespace dropped, tag kept. A slice
 * of the key.
 */
struct str model_key_short(const struct model_key *key);
