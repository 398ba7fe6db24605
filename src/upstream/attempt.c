/* SPDX-License-Identifier: MIT */
#include "upstream/attempt.h"

#include "upstream/kind.h"

int attempt_start(struct attempt *a, const struct attempt_ops *ops, struct upstream *u,
                  const struct attempt_request *request, bool is_fresh)
{
    int r;

    *a = (struct attempt){.ops = ops, .upstream = u, .request = request, .is_running = true};
    r = u->kind->start(a, is_fresh);
    if (r < 0)
        a->is_running = false;
    return r;
}

void attempt_cancel(struct attempt *a)
{
    if (!a->is_running)
        return;
    a->is_running = false;
    a->upstream->kind->cancel(a);
}

void attempt_pause(struct attempt *a)
{
    if (a->is_running)
        a->upstream->kind->pause(a);
}

void attempt_resume(struct attempt *a)
{
    if (a->is_running)
        a->upstream->kind->resume(a);
}
