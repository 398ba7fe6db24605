/* SPDX-License-Identifier: MIT */

/*
 * Answers of a node: the same events however they were cut, and what is written again of a head
 * means the same to the next reader.
 */

#include "http_diary.h"

static void write_again(const struct h1_head *first)
{
    struct buf sent = BUF_INIT(1u << 20);
    struct h1_head second;
    struct str head;
    size_t n = 0;

    FUZZ_CHECK(h1_put_status(&sent, first->status) == 0);
    for (size_t i = 0; i < first->n_fields; i++)
        if (!h1_is_hop_by_hop(first, first->fields[i].name))
            FUZZ_CHECK(h1_put_field(&sent, first->fields[i].name, first->fields[i].value) == 0);
    fuzz_put(&sent, STR("\r\n"));
    head = fuzz_exact(buf_str(&sent));
    FUZZ_CHECK(h1_parse_response(head, false, &second) == 0);
    FUZZ_CHECK(second.status == first->status && !second.has_length);
    FUZZ_CHECK(second.framing == H1_BODY_NONE || second.framing == H1_BODY_EOF);
    for (size_t i = 0; i < first->n_fields; i++) {
        if (h1_is_hop_by_hop(first, first->fields[i].name))
            continue;
        FUZZ_CHECK(n < second.n_fields);
        FUZZ_CHECK(str_eq(second.fields[n].name, first->fields[i].name));
        FUZZ_CHECK(str_eq(second.fields[n++].value, first->fields[i].value));
    }
    FUZZ_CHECK(n == second.n_fields);
    fuzz_free(head);
    buf_fini(&sent);
}

static int parse(struct str head, struct h1_head *ret_head)
{
    struct h1_head to_head;
    int r = h1_parse_response(head, false, ret_head);

    FUZZ_CHECK(h1_parse_response(head, true, &to_head) == r);
    if (r < 0)
        return r;
    FUZZ_CHECK(to_head.framing == H1_BODY_NONE && to_head.length == ret_head->length);
    write_again(ret_head);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    diary_compare(str_make((const char *)data, size), parse);
    return 0;
}
