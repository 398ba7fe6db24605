/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sink: where an answer goes
 *
 *   head ──► (record | bytes)* ──► end       flush after each turn that wrote something
 *
 * The exchange writes into it and knows neither sockets nor protocols. Slices are valid during the
 * call only. `end` is the last call.
 */

#include "api/error_body.h"
#include "base/str.h"

enum sink_end {
    SINK_COMPLETE, /* the answer is whole */
    SINK_BROKEN,   /* it is not: the reader must be able to tell */
};

struct answer_head {
    int status;
    struct str fields; /* "Name: value\r\n"..., end-to-end ones only, without Content-Length */
    bool has_length;   /* else the length shows at the end */
    uint64_t length;
};

struct sink;

struct sink_ops {
    const char *name;
    void (*head)(struct sink *s, const struct answer_head *head);
    void (*record)(struct sink *s, struct str record);
    void (*bytes)(struct sink *s, struct str bytes);
    void (*flush)(struct sink *s);
    void (*end)(struct sink *s, enum sink_end end);
    bool (*is_full)(
        const struct sink *
            /* the source should pause; the sink's owner tells the exchange when there is room */
            s);
};

struct sink {
    const struct sink_ops *ops;
};

/* Takes everything and keeps nothing: for an attempt that must go on although nobody listens. */
extern struct sink sink_discard;
