/* SPDX-License-Identifier: MIT */

/*
 * Protobuf and JSON bodies, both ways. Input: a byte that says the service, 'q' for a request
 * (else a record), 'j' for JSON (else Protobuf), then the body. What one direction made the other
 * takes, and from then on nothing changes.
 */

#include "codec/codec.h"
#include "fuzz.h"
#include "json/reader.h"
#include "oracle.h"

#define SCRATCH_MAX ((size_t)1 << 24)
#define OUT_MAX     ((size_t)1 << 24)

struct edge {
    const struct codec_service *service;
    bool is_request;
};

static int to_json(const struct edge *e, struct str bytes, struct buf *out)
{
    struct arena scratch;
    int r;

    arena_init(&scratch, SCRATCH_MAX);
    r = e->is_request ? codec_request_to_json(CODEC_PROTOBUF, e->service, bytes, &scratch, out)
                      : codec_record_to_json(CODEC_PROTOBUF, e->service, bytes, &scratch, out);
    arena_fini(&scratch);
    FUZZ_CHECK(r == 0 || out->len == 0);
    return r;
}

static int from_json(const struct edge *e, struct str json, struct buf *out)
{
    struct arena scratch;
    int r;

    arena_init(&scratch, SCRATCH_MAX);
    r = e->is_request ? codec_request_from_json(CODEC_PROTOBUF, e->service, json, &scratch, out)
                      : codec_record_from_json(CODEC_PROTOBUF, e->service, json, &scratch, out);
    arena_fini(&scratch);
    FUZZ_CHECK(r == 0 || out->len == 0);
    return r;
}

static void check_json(const struct edge *e, struct str json)
{
    struct json_reader r;

    json_reader_init(&r, json);
    FUZZ_CHECK(json_skip(&r, NULL) == 0 && json_offset(&r) == json.len);
    if (!e->is_request)
        FUZZ_CHECK(str_find(json, '\n') == json.len && str_find(json, '\r') == json.len);
}

/*
 * @json came out of a Protobuf message. A key with an escape may change its place, nothing else
 * does.
 */
static void check_settled(const struct edge *e, struct str json)
{
    CLEANUP(buf_fini) struct buf first = BUF_INIT(OUT_MAX);
    CLEANUP(buf_fini) struct buf second = BUF_INIT(OUT_MAX);
    CLEANUP(buf_fini) struct buf text = BUF_INIT(OUT_MAX);

    FUZZ_CHECK(from_json(e, json, &first) == 0);
    FUZZ_CHECK(to_json(e, buf_str(&first), &text) == 0);
    check_json(e, buf_str(&text));
    FUZZ_CHECK(from_json(e, buf_str(&text), &second) == 0);
    if (str_find(json, '\\') == json.len)
        FUZZ_CHECK(str_eq(buf_str(&first), buf_str(&second)));
}

static void run_protobuf(const struct edge *e, struct str bytes)
{
    CLEANUP(buf_fini) struct buf json = BUF_INIT(OUT_MAX);

    if (to_json(e, bytes, &json) < 0)
        return;
    check_json(e, buf_str(&json));
    check_settled(e, buf_str(&json));
}

/* The same members, by jansson, to which 0 and 0.0 are two values; floats of embeddings apart. */
static void check_members(struct str before, struct str after)
{
    const size_t flags = JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
    json_t *a = json_loadb(before.s, before.len, flags | JSON_REJECT_DUPLICATES, NULL);
    json_t *b = json_loadb(after.s, after.len, flags, NULL);

    if (a != NULL && json_object_get(a, "embeddings") == NULL) {
        FUZZ_CHECK(b != NULL && json_object_size(a) == json_object_size(b));
        FUZZ_CHECK(json_equal(a, b));
    }
    json_decref(a);
    json_decref(b);
}

static void run_json(const struct edge *e, struct str json)
{
    CLEANUP(buf_fini) struct buf bytes = BUF_INIT(OUT_MAX);
    CLEANUP(buf_fini) struct buf text = BUF_INIT(OUT_MAX);

    if (from_json(e, json, &bytes) < 0)
        return;
    FUZZ_CHECK(to_json(e, buf_str(&bytes), &text) == 0);
    check_json(e, buf_str(&text));
    check_members(json, buf_str(&text));
    check_settled(e, buf_str(&text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    unsigned id = fuzz_u8(&in) % (unsigned)N_CODEC_SERVICES;
    struct edge e = {.service = codec_service_get((enum codec_service_id)id)};
    bool is_json;

    e.is_request = fuzz_u8(&in) == 'q';
    is_json = fuzz_u8(&in) == 'j';
    if (e.service->is_opaque)
        return 0;
    in = fuzz_exact(in);
    if (is_json)
        run_json(&e, in);
    else
        run_protobuf(&e, in);
    fuzz_free(in);
    return 0;
}
