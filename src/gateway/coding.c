/* SPDX-License-Identifier: MIT */
#include "gateway/coding.h"

#include <errno.h>

#include "gateway/gateway.h"

static const struct {
    const char *name;
    enum zip_algorithm coding;
} codings[] = {
    {"identity", ZIP_NONE},
    {"gzip", ZIP_GZIP},
    {"x-gzip", ZIP_GZIP}, /* RFC 9110, 8.4.1.3 */
    {"zstd", ZIP_ZSTD},
};

static int find_coding(struct str name, enum zip_algorithm *ret_coding)
{
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        if (!str_eq_nocase(name, str_of(codings[i].name)))
            continue;
        *ret_coding = codings[i].coding;
        return 0;
    }
    return CODING_UNKNOWN;
}

/* A list, in one field or in many. */
int coding_of(const struct h1_head *head, enum zip_algorithm *ret_coding)
{
    *ret_coding = ZIP_NONE;
    for (size_t i = 0; i < head->n_fields; i++) {
        struct str value = head->fields[i].value;

        if (!str_eq_nocase(head->fields[i].name, STR("content-encoding")))
            continue;
        while (value.len > 0) {
            struct str name = str_trim(str_split(&value, ','));
            enum zip_algorithm one = ZIP_NONE;

            if (name.len > 0 && find_coding(name, &one) != 0)
                return CODING_UNKNOWN;
            if (one != ZIP_NONE && *ret_coding != ZIP_NONE)
                return CODING_UNKNOWN;
            *ret_coding = one != ZIP_NONE ? one : *ret_coding;
        }
    }
    return 0;
}

static int unpack(struct exchange *ex, enum zip_algorithm coding, struct str packed)
{
    struct zip *zip = &ex->worker->zip;
    struct str piece;
    int r = zip_unpack_begin(zip, coding, packed);

    while (r == 0) {
        r = zip_unpack_next(zip, &piece);
        if (r == ZIP_END)
            return 0;
        if (r == 0 && ex->body.len + piece.len > ex->body.max)
            return -EMSGSIZE;
        if (r == 0)
            r = exchange_hold(ex, piece);
    }
    return r;
}

int coding_decode(struct exchange *ex, enum zip_algorithm coding)
{
    struct buf packed = ex->body;
    int r;

    ex->body = BUF_INIT(packed.max);
    r = unpack(ex, coding, buf_str(&packed));
    (void)atomic_fetch_sub_explicit(&ex->worker->gateway->bodies_bytes, packed.len,
                                    memory_order_relaxed);
    buf_fini(&packed);
    return r;
}
