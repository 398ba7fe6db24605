/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "base/rng.h"
#include "exact.h"
#include "http/records.h"

#define MAX 24

/*
 * Each record followed by '|', then the rest, then the error if there was one: a run in one line of
 * text.
 */
static int feed(struct records *r, struct str in, struct buf *events)
{
    struct str record;
    int err;

    while ((err = records_next(r, &in, &record)) == 0) {
        assert_true(record.len > 0);
        assert_int_equal(buf_put(events, record), 0);
        assert_int_equal(buf_put_char(events, '|'), 0);
    }
    if (err == RECORDS_MORE)
        assert_int_equal(in.len, 0);
    return err;
}

static void finish(struct records *r, int err, struct buf *events)
{
    if (err < 0)
        assert_int_equal(buf_printf(events, "error %d", err), 0);
    else
        assert_int_equal(buf_put(events, records_rest(r)), 0);
    records_fini(r);
}

/* Pieces of at most @most bytes, of random size when @rng is given. */
static void run(enum records_kind kind, struct str text, size_t most, struct rng *rng,
                struct buf *events)
{
    struct records r;
    int err = RECORDS_MORE;

    records_init(&r, kind, MAX);
    while (text.len > 0 && err == RECORDS_MORE) {
        size_t n = rng != NULL ? (size_t)rng_below(rng, most + 1) : most;
        struct str piece = str_head(text, n);
        char *copy = exact_copy(piece);

        err = feed(&r, str_make(copy, piece.len), events);
        free(copy);
        text = str_from(text, piece.len);
    }
    finish(&r, err, events);
}

static void run_split(enum records_kind kind, struct str text, size_t at, struct buf *events)
{
    struct records r;
    int err;

    records_init(&r, kind, MAX);
    err = feed(&r, str_head(text, at), events);
    if (err == RECORDS_MORE)
        err = feed(&r, str_from(text, at), events);
    finish(&r, err, events);
}

static const struct {
    enum records_kind kind;
    const char *text;
    const char *events; /* TOO_LONG stands for the error */
} runs[] = {
#define TOO_LONG "error -4120"
    {RECORDS_NDJSON, "", ""},
    {RECORDS_NDJSON, "{}\n", "{}\n|"},
    {RECORDS_NDJSON, "{\"a\":1}\n{\"b\":2}\n", "{\"a\":1}\n|{\"b\":2}\n|"},
    {RECORDS_NDJSON, "{}\r\n{}\r\n", "{}\r\n|{}\r\n|"},
    {RECORDS_NDJSON, "\n\n{}\n", "\n|\n|{}\n|"},
    {RECORDS_NDJSON, "{}\n{\"cut\":", "{}\n|{\"cut\":"},
    {RECORDS_NDJSON, "\r\r", "\r\r"},
    {RECORDS_NDJSON, "0123456789012345678901\n{}\n", "0123456789012345678901\n|{}\n|"},
    {RECORDS_NDJSON, "01234567890123456789012\n{}\n", "01234567890123456789012\n|{}\n|"},
    {RECORDS_NDJSON, "{}\n012345678901234567890123\n{}\n", "{}\n|" TOO_LONG},
    {RECORDS_NDJSON, "{}\n0123456789012345678901234", "{}\n|" TOO_LONG},
    {RECORDS_NDJSON, "012345678901234567890123", "012345678901234567890123"},
    {RECORDS_SSE, "", ""},
    {RECORDS_SSE, "data: a\n\n", "data: a\n\n|"},
    {RECORDS_SSE, "data: a\n\ndata: b\n\n", "data: a\n\n|data: b\n\n|"},
    {RECORDS_SSE, "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\n\r\n|data: b\r\n\r\n|"},
    {RECORDS_SSE, "data: a\r\rdata: b\r\r", "data: a\r\r|data: b\r\r"},
    {RECORDS_SSE, "event: x\ndata: a\n\nd", "event: x\ndata: a\n\n|d"},
    {RECORDS_SSE, "a\n\r\nb\n\n", "a\n\r\n|b\n\n|"},
    {RECORDS_SSE, "a\r\n\nb\n\n", "a\r\n\n|b\n\n|"},
    {RECORDS_SSE, "a\r\n\rb\n\n", "a\r\n\r|b\n\n|"},
    {RECORDS_SSE, "a\r\r\nb\n\n", "a\r\r\n|b\n\n|"},
    {RECORDS_SSE, "a\n\rb\n\n", "a\n\r|b\n\n|"},
    {RECORDS_SSE, "a\rb\rc\r\rd\r", "a\rb\rc\r\r|d\r"},
    {RECORDS_SSE, "a\rb\nc\r\nd\n\n", "a\rb\nc\r\nd\n\n|"},
    {RECORDS_SSE, "a\r\r\r\rb\n\n", "a\r\r|\r|\r|b\n\n|"},
    {RECORDS_SSE, "\n\na\n\n", "\n|\n|a\n\n|"},
    {RECORDS_SSE, "\r\n\r\na\n\n", "\r\n|\r\n|a\n\n|"},
    {RECORDS_SSE, ":\tping\x01 and tabs\t\n\nx", ":\tping\x01 and tabs\t\n\n|x"},
    {RECORDS_SSE, "data: [DONE]\n\n", "data: [DONE]\n\n|"},
    {RECORDS_SSE, "data: cut\n", "data: cut\n"},
    {RECORDS_SSE, "0123456789012345678901\n\nb\n\n", "0123456789012345678901\n\n|b\n\n|"},
    {RECORDS_SSE, "01234567890123456789012\n\nb\n\n", TOO_LONG},
    {RECORDS_SSE, "0123456789012345678901\r\rb\n\n", "0123456789012345678901\r\r|b\n\n|"},
    {RECORDS_SSE, "0123456789012345678901\r\r\nb\n\n", TOO_LONG},
    {RECORDS_SSE, "a\n\n0123456789\n0123456789\n0123", "a\n\n|" TOO_LONG},
#undef TOO_LONG
};

static void records_end_where_the_format_says(void **state)
{
    (void)state;
    FOR_EACH_ROW(i, runs)
    {
        struct buf events = BUF_INIT(4096);

        run(runs[i].kind, str_of(runs[i].text), SIZE_MAX, NULL, &events);
        assert_str(buf_str(&events), runs[i].events);
        buf_fini(&events);
    }
}

static void records_do_not_depend_on_the_pieces(void **state)
{
    struct rng rng = {.state = 6455};
    struct buf events = BUF_INIT(4096);

    (void)state;
    FOR_EACH_ROW(i, runs)
    {
        const struct str text = str_of(runs[i].text);

        buf_reset(&events);
        run(runs[i].kind, text, 1, NULL, &events);
        assert_str(buf_str(&events), runs[i].events);
        for (size_t at = 0; at <= text.len; at++) {
            buf_reset(&events);
            run_split(runs[i].kind, text, at, &events);
            assert_str(buf_str(&events), runs[i].events);
        }
        for (size_t round = 0; round < 50; round++) {
            buf_reset(&events);
            run(runs[i].kind, text, 1 + round % 9, &rng, &events);
            assert_str(buf_str(&events), runs[i].events);
        }
    }
    buf_fini(&events);
}

static void random_streams_do_not_depend_on_the_pieces(void **state)
{
    struct rng rng = {.state = 1793};
    struct buf whole = BUF_INIT(4096);
    struct buf pieces = BUF_INIT(4096);
    char text[60];

    (void)state;
    for (size_t round = 0; round < 2000; round++) {
        const enum records_kind kind = round % 2 == 0 ? RECORDS_SSE : RECORDS_NDJSON;
        const struct str bytes = str_make(text, 1 + (size_t)rng_below(&rng, sizeof(text)));

        for (size_t i = 0; i < bytes.len; i++)
            text[i] = "\r\nab\tc\r\n"[rng_below(&rng, 8)];
        buf_reset(&whole);
        buf_reset(&pieces);
        run(kind, bytes, SIZE_MAX, NULL, &whole);
        run(kind, bytes, 1 + round % 7, round % 3 == 0 ? NULL : &rng, &pieces);
        assert_int_equal(whole.len, pieces.len);
        assert_true(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
    }
    buf_fini(&whole);
    buf_fini(&pieces);
}

static void a_record_whole_in_the_input_is_not_copied(void **state)
{
    const struct str text = STR("{}\n{}\nrest");
    struct str in = text;
    struct str record;
    struct records r;

    (void)state;
    records_init(&r, RECORDS_NDJSON, MAX);
    assert_int_equal(records_next(&r, &in, &record), 0);
    assert_ptr_equal(record.s, text.s);
    assert_int_equal(records_next(&r, &in, &record), 0);
    assert_ptr_equal(record.s, text.s + 3);
    assert_int_equal(r.partial.cap, 0);
    assert_int_equal(records_next(&r, &in, &record), RECORDS_MORE);
    assert_str(records_rest(&r), "rest");
    records_fini(&r);
}

static void the_rest_is_empty_after_a_joined_record(void **state)
{
    struct str in = STR("{");
    struct str record;
    struct records r;

    (void)state;
    records_init(&r, RECORDS_NDJSON, MAX);
    assert_int_equal(records_next(&r, &in, &record), RECORDS_MORE);
    in = STR("}\n");
    assert_int_equal(records_next(&r, &in, &record), 0);
    assert_str(record, "{}\n");
    assert_int_equal(records_rest(&r).len, 0);
    records_fini(&r);
}

static void a_large_buffer_is_given_back_after_its_record(void **state)
{
    const size_t n = 100000;
    char *text = malloc(n);
    struct str in = str_make(text, n - 1);
    struct str record;
    struct records r;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', n);
    text[n - 1] = '\n';
    records_init(&r, RECORDS_NDJSON, 1 << 20);
    assert_int_equal(records_next(&r, &in, &record), RECORDS_MORE);
    in = str_make(text + n - 1, 1);
    assert_int_equal(records_next(&r, &in, &record), 0);
    assert_int_equal(record.len, n);
    assert_int_equal(records_next(&r, &in, &record), RECORDS_MORE);
    assert_int_equal(r.partial.cap, 0);
    records_fini(&r);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_end_where_the_format_says),
        cmocka_unit_test(records_do_not_depend_on_the_pieces),
        cmocka_unit_test(random_streams_do_not_depend_on_the_pieces),
        cmocka_unit_test(a_record_whole_in_the_input_is_not_copied),
        cmocka_unit_test(the_rest_is_empty_after_a_joined_record),
        cmocka_unit_test(a_large_buffer_is_given_back_after_its_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
