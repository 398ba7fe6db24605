/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Faults
 *
 * What goes wrong next, as an option ("die:5") and as JSON ({"kind":"die","after":5}). Pure.
 */

#include "base/str.h"

enum sim_fault_kind {
    SIM_FAULT_NONE,
    /* once `after` tokens of a request are out */
    SIM_FAULT_DIE,   /* the process is killed */
    SIM_FAULT_STALL, /* nothing more comes, the connection stays open */
    SIM_FAULT_CUT,   /* the connection closes in the middle of the next token */
    SIM_FAULT_RESET, /* the connection is reset */
    SIM_FAULT_ERROR, /* an error record, and a clean end */
    /* instead of an answer */
    SIM_FAULT_BUSY,    /* 503, as with a full queue */
    SIM_FAULT_GARBAGE, /* bytes that are no HTTP */
    SIM_FAULT_LENGTH,  /* a Content-Length that the body does not reach */
    SIM_FAULT_ENDLESS, /* header fields without end */
    SIM_FAULT_1XX,     /* informational answers without end */
    SIM_FAULT_SLOW,    /* a 500, a byte every 5 ms */
    SIM_FAULT_REFUSE,  /* the next connection is closed as soon as it is made */
};

struct sim_fault {
    enum sim_fault_kind kind;
    uint64_t after;       /* token records */
    uint64_t count;       /* requests it still strikes */
    uint64_t retry_after; /* seconds, for a 503; 0: no such field */
};

/**
 * sim_fault_parse() - "none", "die:N", "stall:N", "cut:N", "503:N", "garbage:N", ...
 *
 * N is `after`, of those that come instead of an answer `count`. ":M" behind it gives `count` (for
 * a 503: retry_after). Both may be left out: 0, and one request.
 *
 * Return: 0; -EINVAL.
 */
MUST_USE int sim_fault_parse(struct str text, struct sim_fault *ret_fault);

/* The JSON object of POST /sim/fault. Return: 0; -EINVAL. */
MUST_USE int sim_fault_parse_json(struct str body, struct sim_fault *ret_fault);

/* Likewise, for a connection that is being made. Return: whether it is to be refused. */
bool sim_fault_takes_connection(struct sim_fault *next);

/* Takes the fault that strikes this request, if there is one; the last one leaves none. */
struct sim_fault sim_fault_take(struct sim_fault *next);
