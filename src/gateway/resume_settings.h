/* SPDX-License-Identifier: MIT */
#pragma once

/* Settings of answers that break: whether they are continued, how often, and for whom. */

#include "api/model_name.h"
#include "config/settings.h"

enum resume_mode {
    RESUME_OFF,
    RESUME_EXACT,
};

/* Of one model or one key. */
struct resume_scope {
    char *name;
    enum resume_mode mode;
    uint64_t max;
};

struct resume_settings {
    enum resume_mode mode;
    uint64_t max; /* times of one answer; never more than RESUME_MAX */
    uint64_t max_text_bytes;
    struct setting_objects models; /* of struct resume_scope */
    struct setting_objects keys;   /* likewise */
};

#define RESUME_MAX 7

#define N_RESUME_ROWS 5
extern const struct setting resume_rows[N_RESUME_ROWS];

/*
 * How often an answer of @model (by its key, "": none) to the client with the key called @key is
 * continued; 0: never. A model's row stands in the place of the general one, a key's can only take
 * away.
 */
unsigned resume_settings_max(const struct resume_settings *s, struct str model, struct str key);
