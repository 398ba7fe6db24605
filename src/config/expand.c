/* SPDX-License-Identifier: MIT */
#include "config/expand.h"

#include <errno.h>

#include "base/err.h"

#define MAX_NAME 128

static bool is_name(struct str name)
{
    if (name.len == 0 || name.len >= MAX_NAME || (name.s[0] >= '0' && name.s[0] <= '9'))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.s[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return false;
    }
    return true;
}

static int refuse(int printed)
{
    return printed == -ENOMEM ? -ENOMEM : -EX_CONFIG;
}

/* @inside: what stands between the braces. */
static int expand_one(struct str inside, struct buf *out, struct buf *why)
{
    size_t at = str_search(inside, STR(":-"));
    struct str name = str_head(inside, at);
    char variable[MAX_NAME];
    const char *value;

    if (!is_name(name))
        return refuse(buf_put(why, STR("a variable is written ${NAME} or ${NAME:-default}")));
    memcpy(variable, name.s, name.len);
    variable[name.len] = '\0';
    value = secure_getenv(variable);
    if (value != NULL && (value[0] != '\0' || at == inside.len))
        return buf_put(out, str_of(value));
    if (at < inside.len)
        return buf_put(out, str_from(inside, at + 2));
    return refuse(buf_printf(why, "variable `%s` is not set; ${%s:-text} would give it a default",
                             variable, variable));
}

int expand_variables(struct str text, struct buf *out, struct buf *why)
{
    int r = 0;

    while (r == 0 && text.len > 0) {
        size_t n = str_search(text, STR("${"));
        bool is_escaped = n > 0 && n < text.len && text.s[n - 1] == '$';
        size_t end;

        r = buf_put(out, str_head(text, is_escaped ? n - 1 : n));
        text = str_from(text, n);
        if (r < 0 || text.len == 0)
            return r;
        end = str_find(text, '}');
        if (is_escaped) {
            r = buf_put(out, STR("${"));
            text = str_from(text, 2);
        } else if (end == text.len) {
            return refuse(buf_put(why, STR("`${` has no closing `}`")));
        } else {
            r = expand_one(str_make(text.s + 2, end - 2), out, why);
            text = str_from(text, end + 1);
        }
    }
    return r;
}
