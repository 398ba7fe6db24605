/* SPDX-License-Identifier: MIT */
#include "http/records.h"

#include "base/err.h"
#include "http/octets.h"

/* A buffer that grew beyond this for one long record is given back after it. */
#define PARTIAL_KEEP_BYTES 65536

/*
 * Where in an event the next byte stands. CR may be half of a CRLF, so what it ends is known with
 * the byte after it.
 *
 *  LINE_BEGIN ─ other ─► LINE ─ LF ─► LINE_BEGIN ─ LF ─► end of the event
 *                         └ CR ─► LINE_CR ─ LF ─► LINE_BEGIN; CR ─► EMPTY_CR; other ─► LINE
 *  LINE_BEGIN ─ CR ─► EMPTY_CR ─ LF ─► end, with it; other ─► end, before it
 */
enum state {
    LINE_BEGIN,
    LINE,
    LINE_CR,
    EMPTY_CR,
};

void records_init(struct records *r, enum records_kind kind, size_t max)
{
    *r = (struct records){.kind = kind, .partial = BUF_INIT(max), .state = LINE_BEGIN};
}

void records_fini(struct records *r)
{
    buf_fini(&r->partial);
}

static bool find_line_end(struct str in, size_t *ret_end)
{
    const char *lf = in.len > 0 ? memchr(in.s, '\n', in.len) : NULL;

    if (lf == NULL)
        return false;
    *ret_end = (size_t)(lf - in.s) + 1;
    return true;
}

static const char *find_cr_or_lf(const char *p, const char *end)
{
    for (p = octets_find_ctl(p, end); p < end && *p != '\r' && *p != '\n';)
        p = octets_find_ctl(p + 1, end);
    return p;
}

static enum state after(enum state state, char c)
{
    if (c == '\r')
        return state == LINE ? LINE_CR : EMPTY_CR;
    return c == '\n' ? LINE_BEGIN : LINE;
}

static bool find_event_end(struct records *r, struct str in, size_t *ret_end)
{
    enum state state = (enum state)r->state;
    const char *end = in.s + in.len;
    const char *p = in.s;

    for (; p < end; p++) {
        if (state == LINE)
            p = find_cr_or_lf(p, end);
        if (p == end)
            break;
        if (state == EMPTY_CR || (state == LINE_BEGIN && *p == '\n')) {
            *ret_end = (size_t)(p - in.s) + (*p == '\n');
            r->state = LINE_BEGIN;
            return true;
        }
        state = after(state, *p);
    }
    r->state = (uint8_t)state;
    return false;
}

static void drop_handed_out(struct records *r)
{
    if (!r->is_handed_out)
        return;
    r->is_handed_out = false;
    if (r->partial.cap > PARTIAL_KEEP_BYTES)
        buf_fini(&r->partial);
    else
        buf_reset(&r->partial);
}

/* Moves @n bytes of @in to the splitter. */
static int keep(struct records *r, struct str *in, size_t n)
{
    int err = buf_put(&r->partial, str_head(*in, n));

    if (err < 0)
        return err;
    *in = str_from(*in, n);
    return 0;
}

int records_next(struct records *r, struct str *in, struct str *ret_record)
{
    size_t end = in->len;
    bool is_whole;
    int err;

    drop_handed_out(r);
    is_whole = r->kind == RECORDS_SSE ? find_event_end(r, *in, &end) : find_line_end(*in, &end);
    if (end > r->partial.max - r->partial.len)
        return -EX_RECORD_TOO_LONG;
    if (is_whole && r->partial.len == 0) {
        *ret_record = str_head(*in, end);
        *in = str_from(*in, end);
        return 0;
    }
    err = keep(r, in, end);
    if (err < 0)
        return err;
    if (!is_whole)
        return RECORDS_MORE;
    r->is_handed_out = true;
    *ret_record = buf_str(&r->partial);
    return 0;
}

struct str records_rest(const struct records *r)
{
    return r->is_handed_out ? STR_NULL : buf_str(&r->partial);
}
