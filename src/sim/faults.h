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
    SIM_FAULT_DIE,   /* the process is killed once `after` tokens of a request are out */
    SIM_FAULT_STALL, /* nothing more comes after `after` tokens, the connection stays open */
    SIM_FAULT_CUT,   /* the connection closes in the middle of token `after` + 1 */
    SIM_FAULT_BUSY,  /* 503, as with a full queue */
};

struct sim_fault {
    enum sim_fault_kind kind;
    uint64_t after;       /* token records */
    uint64_t count;       /* requests it still strikes */
    uint64_t retry_after; /* seconds, for a 503; 0: no such field */
};

/**
 * sim_fault_parse() - "none", "die:N", "stall:N", "cut:N", "503:N"
 *
 * N is `after`; for a 503 it is `count`. ":M" behind it gives `count` (for a 503: retry_after).
 * Both may be left out: 0, and one request.
 *
 * Return: 0; -EINVAL.
 */
MUST_USE int sim_fault_parse(struct str text, struct sim_fault *ret_fault);

/* The JSON object of POST /sim/fault. Return: 0; -EINVAL. */
MUST_USE int sim_fault_parse_json(struct str body, struct sim_fault *ret_fault);

/* Takes the fault that strikes this request, if there is one; the last one leaves none. */
struct sim_fault sim_fault_take(struct sim_fault *next);
