/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Options of a client, with their defaults filled in, and its classes of calls
 */

#include <chasqui/client.h>

#include "base/str.h"
#include "base/time.h"
#include "call/retry.h"
#include "client/context.h"
#include "codec/codec.h"
#include "zip/zip.h"

#define CLIENT_CLASSES_MAX 72 /* built-in ones and 64 own */
#define CLIENT_KEY_MAX     253

struct client_class {
    char name[CLIENT_CLASS_MAX + 1];
    nsec_t timeout_ns; /* NSEC_NEVER: none; so for all times */
    nsec_t silence_ns;
    unsigned max_retries;
    bool is_idempotent;
};

struct client_options {
    bool is_own_loop;
    char key[1 + CLIENT_KEY_MAX + 1]; /* a byte for the mechanism in HELLO, the secret, NUL */
    size_t key_len;                   /* of the secret */
    nsec_t connect_timeout_ns;
    nsec_t acquire_timeout_ns;
    nsec_t heartbeat_ns;
    nsec_t idle_close_ns;
    uint32_t connections;
    uint32_t http_connections;
    uint32_t max_calls;
    uint32_t max_message;
    uint32_t stream_limit;
    enum codec_id codec;
    enum zip_algorithm compression;
    bool speaks_plain;
    bool may_go_plain;    /* when a server closes at HELLO */
    uint32_t batch_calls; /* 0: none go together, and what follows means nothing */
    uint32_t batch_bytes;
    nsec_t batch_delay_ns;
    struct retry_settings retry; /* max_retries is the class's */
    double retry_share;
    uint32_t retry_min;
    size_t n_classes;
    struct client_class classes[CLIENT_CLASSES_MAX];
};

/* @options may be NULL. Return: NULL, or what is wrong. */
const char *client_options_read(const chasqui_options *options, struct client_options *ret);

/* By name; NULL: there is none. */
const struct client_class *client_options_class(const struct client_options *o, const char *name);

/* Copies a struct that begins with its size, of an older or newer program. Return: 0; -EINVAL too
 * short, or it wants what we do not know. */
MUST_USE int client_copy_sized(void *to, size_t to_size, const void *from, size_t size,
                               size_t size_min);
