/* SPDX-License-Identifier: MIT */
#include "gateway/sink.h"

static void discard_head(struct sink *s, const struct answer_head *head)
{
    (void)s;
    (void)head;
}

static void discard_bytes(struct sink *s, struct str bytes)
{
    (void)s;
    (void)bytes;
}

static void discard_flush(struct sink *s)
{
    (void)s;
}

static void discard_end(struct sink *s, enum sink_end end)
{
    (void)s;
    (void)end;
}

static bool discard_is_full(const struct sink *s)
{
    (void)s;
    return false;
}

static const struct sink_ops discard_ops = {
    .name = "discard",
    .head = discard_head,
    .record = discard_bytes,
    .bytes = discard_bytes,
    .flush = discard_flush,
    .end = discard_end,
    .is_full = discard_is_full,
};

struct sink sink_discard = {.ops = &discard_ops};
