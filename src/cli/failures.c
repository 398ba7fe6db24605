/* SPDX-License-Identifier: MIT */
#include "cli/failures.h"

#include "call/retry.h"

static const char *const blames[] = {
    [CALL_BLAME_NONE] = "no",
    [CALL_BLAME_DOWN] = "it is down until a probe succeeds",
    [CALL_BLAME_FAILURE] = "yes; after three in a row, or half of its answers, it is left alone",
    [CALL_BLAME_OVERLOAD] = "no: it is busy",
    [CALL_BLAME_LATENCY] = "no: it is slow",
};

static int print_retry(const struct call_rule *rule, struct buf *out)
{
    if (!rule->is_retried)
        return buf_put(out, STR("no"));
    if (rule->is_resume)
        return buf_put(out,
                       STR("goes on elsewhere, up to `resume.max` times, where that is exact"));
    if (rule->is_free)
        return buf_put(out, STR("once, at once, on a fresh connection; then as `reset`"));
    if (rule->max_retries > 0)
        return buf_printf(out, "%u time, on another node", rule->max_retries);
    return buf_put(out, rule->is_elsewhere ? STR("up to `retry.max_retries` times, on another node")
                                           : STR("up to `retry.max_retries` times"));
}

int failures_print(const struct settings *s, struct buf *out)
{
    int r = buf_put(out, STR("| outcome | what happened | retried | counts against the node |\n"
                             "| --- | --- | --- | --- |\n"));

    (void)s;
    for (unsigned i = 0; i < N_CALL_OUTCOMES && r == 0; i++) {
        const struct call_rule *rule = call_rule_get(i);

        r = buf_printf(out, "| `%s` | %s | ", rule->name, rule->text);
        if (r == 0)
            r = print_retry(rule, out);
        if (r == 0)
            r = buf_printf(out, " | %s |\n", blames[rule->blame]);
    }
    return r;
}
