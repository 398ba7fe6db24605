/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Members of a request body, read as Go's decoder reads them
 *
 * What is wrong with a value becomes the refusal of the request, in Go's words. All functions
 * return 0, SIM_ASK_REFUSED or -ENOMEM. A null changes nothing, as in Go.
 */

#include "json/reader.h"
#include "sim/ask.h"

#define SIM_STRING_MAX ((size_t)64 * 1024 * 1024)

struct sim_fields {
    struct json_reader r;
    struct str body;
    struct arena *arena;
    struct sim_ask *ask;
    struct str field; /* the member in hand, for refusals */
};

/* Refuses the request. Return: SIM_ASK_REFUSED. */
MUST_USE int sim_fields_refuse(struct sim_fields *p, int status, const char *format, ...)
    PRINTF(3, 4);

/* Refuses it because the member in hand is not a @wanted. */
MUST_USE int sim_fields_refuse_type(struct sim_fields *p, enum json_type got, const char *wanted);

/* Refuses it because its body is no object. */
MUST_USE int sim_fields_refuse_body(struct sim_fields *p, enum json_type got);

/* "number", "bool", ... */
const char *sim_fields_type_name(enum json_type type);

MUST_USE int sim_fields_next(struct sim_fields *p, struct json_token *ret_token);
MUST_USE int sim_fields_skip(struct sim_fields *p);

/* Leaves the container whose first token, at @depth, was just read. */
MUST_USE int sim_fields_leave(struct sim_fields *p, uint32_t depth);

/* The text of a string token, in the body or in the arena. */
MUST_USE int sim_fields_decode(struct sim_fields *p, const struct json_token *t,
                               struct str *ret_text);

/* The value that is next. */
MUST_USE int sim_fields_string(struct sim_fields *p, struct str *ret_text);
MUST_USE int sim_fields_boolean(struct sim_fields *p, bool *ret_value);
MUST_USE int sim_fields_count(struct sim_fields *p, int64_t *ret_value);

/* Value of a number token; an integer from -1 to 10^15. */
double sim_fields_number(const struct json_token *t);
int64_t sim_fields_capped(double value);
