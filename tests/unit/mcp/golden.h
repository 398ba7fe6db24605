/* SPDX-License-Identifier: MIT */
#pragma once

/* The golden vectors of tests/golden/mcp/vectors.hex, and a scratch buffer for hex in tests. */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "mcp/golden_path.h"

/* Reads hex digits, with any spaces, up to the end of the text. Returns the bytes in @out. */
static inline struct str hex_read(const char *text, char *out, size_t cap)
{
    size_t n = 0;
    unsigned byte;
    int used;

    while (n < cap && sscanf(text, " %2x%n", &byte, &used) == 1) {
        out[n++] = (char)byte;
        text += used;
    }
    return str_make(out, n);
}

/* The vector called @name, in static memory that the next call overwrites; empty: there is none. */
static inline struct str golden_get(const char *name)
{
    static char bytes[1024];
    char line[4096];
    struct str found = STR_NULL;
    FILE *f = fopen(MCP_GOLDEN_FILE, "r");

    if (f == NULL)
        return found;
    while (found.len == 0 && fgets(line, sizeof(line), f) != NULL) {
        size_t n = strcspn(line, " ");

        if (line[0] != '#' && n == strlen(name) && strncmp(line, name, n) == 0)
            found = hex_read(line + n, bytes, sizeof(bytes));
    }
    (void)fclose(f);
    return found;
}
