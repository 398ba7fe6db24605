/* SPDX-License-Identifier: MIT */

/*
 * Listings of several nodes, a line each: what comes out is JSON whatever went in, and merging it
 * again changes nothing. The other small readers of node answers get the same bytes.
 */

#include "api/error_body.h"
#include "api/merge.h"
#include "fuzz.h"
#include "json/reader.h"

#define PARTS_MAX 4

static int count(void *arg, const struct api_model *model)
{
    FUZZ_CHECK(model->name.len > 0);
    (*(size_t *)arg)++;
    return 0;
}

static size_t cut_parts(struct str bytes, struct api_part parts[static PARTS_MAX])
{
    size_t n = 0;

    for (; n < PARTS_MAX && bytes.len > 0; n++)
        parts[n] = (struct api_part){.node = STR("no\"de"), .body = str_split(&bytes, '\n')};
    return n;
}

static void check_listing(enum api_route_id route, struct str merged)
{
    struct api_part part = {.node = STR("n"), .body = merged};
    struct buf again = BUF_INIT(1u << 22);
    struct json_reader r;
    size_t n = 0;

    json_reader_init(&r, merged);
    FUZZ_CHECK(json_skip(&r, NULL) == 0 && str_trim(str_from(merged, json_offset(&r))).len == 0);
    if (route != ROUTE_V1_MODELS)
        FUZZ_CHECK(api_each_model(merged, count, &n) == 0);
    FUZZ_CHECK(api_merge(route, &part, 1, &again) == 0);
    if (route != ROUTE_PS)
        FUZZ_CHECK(str_eq(buf_str(&again), merged));
    buf_fini(&again);
}

static void merge(struct str bytes, enum api_route_id route)
{
    struct buf merged = BUF_INIT(1u << 22);
    struct api_part parts[PARTS_MAX];

    FUZZ_CHECK(api_merge(route, parts, cut_parts(bytes, parts), &merged) == 0);
    check_listing(route, buf_str(&merged));
    buf_fini(&merged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_make((const char *)data, size);
    struct buf text = BUF_INIT(1u << 20);
    char version[64];
    size_t n = 0;

    merge(bytes, ROUTE_TAGS);
    merge(bytes, ROUTE_PS);
    merge(bytes, ROUTE_V1_MODELS);
    (void)!api_each_model(bytes, count, &n);
    if (api_read_version(bytes, version) == 0)
        FUZZ_CHECK(strnlen(version, sizeof(version)) < sizeof(version));
    if (api_read_error(bytes, &text) < 0)
        FUZZ_CHECK(text.len == 0);
    buf_fini(&text);
    return 0;
}
