/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lists of models and nodes, as list, ps and nodes print them
 *
 * What stands in which column is a table of each command; cells that several have are printed here.
 */

#include "base/buf.h"

struct cli_model_column {
    const char *head;
    struct str member; /* of the model, or the node, in the answer */
    /* The cell from the member's value. NULL: its text. Return: 0, <0. */
    int (*print)(struct str model, struct str value, struct buf *cell);
};

/* Cells that list and ps have. */
int cli_model_id(struct str model, struct str value, struct buf *cell);
int cli_model_size(struct str model, struct str value, struct buf *cell);
int cli_model_age(struct str model, struct str value, struct buf *cell);

/* Prints {"@name":[...]}. Return: 0; <0 it is not that. */
MUST_USE int cli_models_print(struct str answer, struct str name,
                              const struct cli_model_column *columns, size_t n_columns);
