/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Commands that change models
 *
 * They go over HTTP: MCP has no services for that.
 */

#include "cli/client.h"

/* POSTs @body to @endpoint and tells the progress. Return: EXIT_DONE, else the failure is told. */
int cli_manage(struct cli_client *c, const char *endpoint, struct str body);
