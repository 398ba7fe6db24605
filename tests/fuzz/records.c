/* SPDX-License-Identifier: MIT */

/*
 * The record splitter, both kinds: the same records however the bytes were cut, and together they
 * are what came.
 */

#include "http/records.h"
#include "base/err.h"
#include "fuzz.h"

#define RECORD_MAX 200

struct outcome {
    int r;
    size_t n_bytes;  /* of records and rest */
    struct buf text; /* each record behind its length */
};

static void note(struct outcome *out, struct str bytes, struct str record)
{
    FUZZ_CHECK(record.len <= RECORD_MAX && record.len <= bytes.len - out->n_bytes);
    FUZZ_CHECK(str_eq(record, str_make(bytes.s + out->n_bytes, record.len)));
    out->n_bytes += record.len;
    FUZZ_CHECK(buf_printf(&out->text, "%zu ", record.len) == 0);
}

static struct outcome split(struct str bytes, enum records_kind kind, enum fuzz_cut cut)
{
    struct outcome out = {.r = RECORDS_MORE, .text = BUF_INIT(1u << 20)};
    struct fuzz_pieces pieces = fuzz_cut(bytes, cut);
    struct records splitter;
    struct str piece;

    records_init(&splitter, kind, RECORD_MAX);
    while (out.r == RECORDS_MORE && fuzz_next(&pieces, &piece)) {
        struct str exact = fuzz_exact(piece);
        struct str in = exact;
        struct str record;

        while ((out.r = records_next(&splitter, &in, &record)) == 0) {
            FUZZ_CHECK(record.len > 0);
            FUZZ_CHECK(kind == RECORDS_SSE || str_find(record, '\n') == record.len - 1);
            note(&out, bytes, record);
        }
        FUZZ_CHECK(out.r == RECORDS_MORE ? in.len == 0 : out.r == -EX_RECORD_TOO_LONG);
        fuzz_free(exact);
    }
    if (out.r == RECORDS_MORE) {
        note(&out, bytes, records_rest(&splitter));
        FUZZ_CHECK(out.n_bytes == bytes.len);
    }
    records_fini(&splitter);
    return out;
}

static void compare(struct str bytes, enum records_kind kind)
{
    struct outcome whole = split(bytes, kind, FUZZ_WHOLE);

    for (int cut = FUZZ_WHOLE + 1; cut < N_FUZZ_CUTS; cut++) {
        struct outcome other = split(bytes, kind, (enum fuzz_cut)cut);

        FUZZ_CHECK(other.r == whole.r && str_eq(buf_str(&other.text), buf_str(&whole.text)));
        buf_fini(&other.text);
    }
    buf_fini(&whole.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_make((const char *)data, size);

    compare(bytes, RECORDS_NDJSON);
    compare(bytes, RECORDS_SSE);
    return 0;
}
