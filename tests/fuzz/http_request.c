/* SPDX-License-Identifier: MIT */

/*
 * Requests as they come in: the same events however they were cut, and what the gateway would send
 * on means the same to the next reader (no smuggling): method, target, and the fields that go on.
 */

#include "gateway/forward.h"
#include "http_diary.h"

#define NODE STR("node:11434")
#define VIA  "1.1 chasqui-00ff"

/* The request line and the fields as upstream/conn.c writes them. */
static void write_head(struct buf *out, const struct attempt_request *request)
{
    fuzz_put(out, request->method);
    fuzz_put(out, STR(" "));
    fuzz_put(out, request->target);
    fuzz_put(out, STR(" HTTP/1.1\r\nHost: "));
    fuzz_put(out, NODE);
    fuzz_put(out, STR("\r\n"));
    fuzz_put(out, request->fields);
    fuzz_put(out, STR("\r\n"));
}

/* Whether @field stands in @head from *@at on; moves behind it. */
static bool find_field(const struct h1_head *head, const struct h1_field *field, size_t *at)
{
    while (*at < head->n_fields) {
        const struct h1_field *other = &head->fields[(*at)++];

        if (str_eq(other->name, field->name) && str_eq(other->value, field->value))
            return true;
    }
    return false;
}

static void check_second(const struct h1_head *first, const struct h1_head *second)
{
    const struct h1_field *last = &second->fields[second->n_fields - 1];
    size_t at = 0;

    FUZZ_CHECK(str_eq(second->method_name, first->method_name));
    FUZZ_CHECK(str_eq(second->path, first->path) && str_eq(second->query, first->query));
    FUZZ_CHECK((second->query.s == NULL) == (first->query.s == NULL));
    FUZZ_CHECK(str_eq(second->host, NODE));
    FUZZ_CHECK(second->framing == H1_BODY_NONE && second->keep_alive);
    FUZZ_CHECK(!second->has_upgrade && !second->expect_continue);
    FUZZ_CHECK(str_eq(last->name, STR("Via")) && str_eq(last->value, str_of(VIA)));
    for (size_t i = 1; i + 1 < second->n_fields; i++) {
        FUZZ_CHECK(find_field(first, &second->fields[i], &at));
        FUZZ_CHECK(!h1_is_hop_by_hop(first, second->fields[i].name));
    }
}

static void forward(const struct h1_head *first)
{
    static struct exchange ex;
    const struct keys keys = {0};
    struct buf sent = BUF_INIT(1u << 20);
    struct h1_scan scan = {0};
    struct h1_head second;
    struct str head;
    size_t len = 0;
    int r;

    memset(&ex, 0, sizeof(ex));
    arena_init(&ex.arena, 65536);
    ex.tl.method = arena_dup(&ex.arena, first->method_name);
    if (forward_prepare(&ex, first, &keys, VIA) == 0) {
        write_head(&sent, &ex.request);
        FUZZ_CHECK(h1_scan_head(&scan, buf_str(&sent), &H1_LIMITS_DEFAULT, &len) == 0);
        FUZZ_CHECK(len == sent.len);
        head = fuzz_exact(buf_str(&sent));
        r = h1_parse_request(head, &second);
        /* Host and Via are ours, so one field more than came may go on. */
        FUZZ_CHECK(r == 0 || (r == -EX_H1_TOO_MANY_FIELDS && first->n_fields + 2 > H1_MAX_FIELDS));
        if (r == 0)
            check_second(first, &second);
        fuzz_free(head);
    }
    buf_fini(&sent);
    arena_fini(&ex.arena);
}

static int parse(struct str head, struct h1_head *ret_head)
{
    int r = h1_parse_request(head, ret_head);

    if (r == 0)
        forward(ret_head);
    else
        FUZZ_CHECK(h1_error_status(r) >= 400);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    diary_compare(str_make((const char *)data, size), parse);
    return 0;
}
