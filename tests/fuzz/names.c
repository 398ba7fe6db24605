/* SPDX-License-Identifier: MIT */

/*
 * Names people write: models, addresses, URLs of nodes, paths, quantities. What was understood and
 * printed is understood the same again.
 */

#include "api/model_name.h"
#include "api/route.h"
#include "base/addr.h"
#include "config/quantity.h"
#include "fuzz.h"

#define TAG_MAX 80 /* of api/model_name.c; "-cloud" may have made it longer */

static void check_model(struct str text)
{
    struct model_key key;
    struct model_key again;
    struct str tag;

    if (model_key_parse(text, &key) < 0)
        return;
    FUZZ_CHECK(key.len > 0 && key.len < MODEL_KEY_MAX);
    tag = model_key_str(&key);
    while (str_find(tag, '/') < tag.len)
        tag = str_from(tag, str_find(tag, '/') + 1);
    tag = str_from(tag, str_find(tag, ':') + 1);
    if (tag.len > TAG_MAX)
        return;
    FUZZ_CHECK(model_key_parse(model_key_str(&key), &again) == 0);
    FUZZ_CHECK(str_eq(model_key_str(&again), model_key_str(&key)));
    FUZZ_CHECK(model_key_parse(model_key_short(&key), &again) == 0);
    FUZZ_CHECK(str_eq(model_key_str(&again), model_key_str(&key)));
}

static void check_same(const struct addr *a, const struct addr *b)
{
    FUZZ_CHECK(strcmp(a->host, b->host) == 0 && a->port == b->port);
    FUZZ_CHECK(addr_is_loopback(a) == addr_is_loopback(b));
}

static void check_addr(struct str text)
{
    struct addr addr;
    struct addr again;
    char printed[280];

    if (addr_parse(text, 1, &addr) < 0)
        return;
    FUZZ_CHECK(addr_parse(str_of(addr_print(&addr, printed)), 2, &again) == 0);
    check_same(&addr, &again);
}

static void check_url(struct str text)
{
    struct url url;
    struct url again;
    char printed[280];
    struct buf out = BUF_INIT(4096);

    if (url_parse_node(text, &url) < 0)
        return;
    FUZZ_CHECK(url.addr.port > 0 && url.addr.host[0] != '\0');
    FUZZ_CHECK(url.path[0] == '\0' || url.path[0] == '/');
    FUZZ_CHECK(
        buf_printf(&out, "%s://%s%s", url.scheme, addr_print(&url.addr, printed), url.path) == 0);
    FUZZ_CHECK(url_parse_node(buf_str(&out), &again) == 0);
    check_same(&url.addr, &again.addr);
    FUZZ_CHECK(strcmp(url.scheme, again.scheme) == 0);
    /* Quotes at the end go once, and a slash may have hidden one. */
    if (strpbrk(url.path, "'\"") == NULL)
        FUZZ_CHECK(strcmp(url.path, again.path) == 0);
    buf_fini(&out);
}

static void check_quantity(struct str text, const struct quantity_unit *units)
{
    struct buf out = BUF_INIT(4096);
    uint64_t value;
    uint64_t again;

    if (quantity_parse(text, units, &value) < 0)
        return;
    FUZZ_CHECK(quantity_print(value, units, &out) == 0);
    FUZZ_CHECK(quantity_parse(buf_str(&out), units, &again) == 0 && again == value);
    buf_fini(&out);
}

static void check_path(const struct api_route *route, struct str path)
{
    struct str arg;

    if (str_eq(route->path, path))
        return;
    FUZZ_CHECK(str_ends(route->path, STR("/")) && str_starts(path, route->path));
    arg = api_route_arg(route, path);
    FUZZ_CHECK(arg.len > 0 && str_find(arg, '/') == arg.len && str_find(arg, '%') == arg.len);
}

static void check_route(struct str text)
{
    const struct api_route *route = NULL;
    int r = api_route_find(text, &route);

    if (r == 0)
        check_path(route, text);
    else if (r == API_ROUTE_REDIRECT)
        check_path(route, str_head(text, text.len - 1));
    (void)api_family_of_path(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = fuzz_exact(str_make((const char *)data, size));
    double number;

    check_model(text);
    check_addr(text);
    check_url(text);
    check_quantity(text, quantity_time);
    check_quantity(text, quantity_bytes);
    check_route(text);
    if (decimal_parse(text, &number) == 0)
        FUZZ_CHECK(number >= 0);
    fuzz_free(text);
    return 0;
}
