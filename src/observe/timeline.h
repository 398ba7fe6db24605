/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Timeline of an exchange
 *
 * Everything that is told about one request, filled in once where it happens; the access line and
 * the metrics are printed from it and from nothing else. Times are monotonic, 0 when not reached.
 */

#include "api/answer.h"
#include "api/reason.h"
#include "api/route.h"
#include "observe/histogram.h"

#define REQUEST_ID_LEN 26

struct timeline {
    char request_id[REQUEST_ID_LEN + 1];
    const struct api_route *route; /* NULL: no such path, or a request that could not be parsed */
    struct str method;
    struct str model;    /* as asked */
    struct str real;     /* the model that it is an alias of; empty: it is none */
    struct str node;     /* of the last attempt; empty: none */
    const char *why;     /* it was chosen: a strategy, or an affinity; NULL: no node was */
    struct str key;      /* name of the key; empty: anonymous */
    struct str trace_id; /* 32 hex of traceparent; empty: none */
    struct str peer;     /* client's address */
    uint32_t n_attempts;
    uint32_t n_resumes; /* of them, those that went on with a broken answer */
    int status;         /* sent to the client; 0: none was */
    enum reason reason;
    bool is_stream;
    bool is_known_model; /* a node serves it: it may be a metric label */
    nsec_t queued_ns;    /* waited for a slot of a node, all attempts together */
    nsec_t begun;        /* first byte of the request */
    nsec_t understood;   /* body read and understood */
    nsec_t connected;    /* connection for the last attempt at hand */
    nsec_t sent;         /* request written to the node */
    nsec_t first_record; /* first record (or body byte) to the client */
    nsec_t last_record;  /* to the client, of a streamed answer */
    nsec_t ended;
    uint64_t bytes_in;  /* of the request body */
    uint64_t bytes_out; /* of the answer's body */
    uint64_t n_records;
    struct api_usage usage;
    struct histogram between; /* records; those of one turn of the loop are one */
};

/*
 * Fills @id with 26 characters: 48 bits of milliseconds and 80 random ones in Crockford's base 32
 * (a ULID).
 */
struct rng;
void request_id_make(char id[static REQUEST_ID_LEN + 1], nsec_t wall, struct rng *rng);
