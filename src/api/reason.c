/* SPDX-License-Identifier: MIT */
#include "api/reason.h"

#include <assert.h>

static const struct row {
    const char *name;
    int http;
    int mcp;
    const char *text;
} rows[N_REASONS] = {
#define REASON(name, http, mcp, text) [REASON_##name] = {#name, (http), (mcp), (text)},
#include "api/reason_tbl.h"
#undef REASON
};

static const struct row *row_of(enum reason reason)
{
    assert((unsigned)reason < N_REASONS);

    return &rows[reason];
}

const char *reason_name(enum reason reason)
{
    return row_of(reason)->name;
}

int reason_http_status(enum reason reason)
{
    return row_of(reason)->http;
}

int reason_mcp_code(enum reason reason)
{
    return row_of(reason)->mcp;
}

const char *reason_text(enum reason reason)
{
    return row_of(reason)->text;
}
