/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reason codes
 *
 * One stable word for why a request ended as it did: in answers, the access log, metrics and MCP
 * errors. The table is reason_tbl.h.
 */

#include "base/str.h"

enum reason {
#define REASON(name, http, mcp, text) REASON_##name,
#include "api/reason_tbl.h"
#undef REASON
    N_REASONS
};

const char *reason_name(enum reason reason); /* "no_model" */
int reason_http_status(enum reason reason);
int reason_mcp_code(enum reason reason);
const char *reason_text(enum reason reason); /* a sentence without full stop */
