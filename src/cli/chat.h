/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A conversation with a model, on a terminal
 *
 * Every question goes with all that was said before. An answer stopped by Ctrl-C stays as far as it
 * was read; a question that failed is forgotten, so that it can be asked again.
 */

#include "cli/client.h"

/* `chasqui run MODEL`, until Ctrl-D or /bye. Return: the exit code. */
int cli_chat(struct cli_client *c);
