/* SPDX-License-Identifier: MIT */

/*
 * Two readers in a row: what we send on for a request is read by an independent parser, the one
 * Node.js had, to the same message, and to one.
 */

#include <http_parser.h>

#include "fuzz.h"
#include "gateway/forward.h"

#define NODE     STR("node:11434")
#define VIA      "1.1 chasqui-00ff"
#define BODY_MAX 65536

static const struct h1_limits limits = {.line_max = 512, .head_max = 4096};

/* What the second reader understood. */
struct second {
    struct buf target;
    struct buf fields; /* "name: value\r\n" */
    struct buf body;
    unsigned n_messages;
    bool is_in_value;
};

static int on_target(http_parser *p, const char *at, size_t len)
{
    struct second *second = p->data;

    fuzz_put(&second->target, str_make(at, len));
    return 0;
}

static void end_value(struct second *second)
{
    if (second->is_in_value)
        fuzz_put(&second->fields, STR("\r\n"));
    second->is_in_value = false;
}

static int on_name(http_parser *p, const char *at, size_t len)
{
    struct second *second = p->data;

    end_value(second);
    fuzz_put(&second->fields, str_make(at, len));
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
    struct second *second = p->data;

    if (!second->is_in_value)
        fuzz_put(&second->fields, STR(": "));
    second->is_in_value = true;
    fuzz_put(&second->fields, str_make(at, len));
    return 0;
}

static int on_head(http_parser *p)
{
    end_value(p->data);
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    struct second *second = p->data;

    fuzz_put(&second->body, str_make(at, len));
    return 0;
}

static int on_end(http_parser *p)
{
    struct second *second = p->data;

    second->n_messages++;
    return 0;
}

static const http_parser_settings callbacks = {
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_end,
};

/* The message as upstream/conn.c writes it, its framing as gateway/exchange.c. */
static void write_request(struct buf *out, struct buf *fields, const struct attempt_request *q,
                          struct str body)
{
    FUZZ_CHECK(buf_printf(fields, "Host: " STR_FMT "\r\n", STR_ARG(NODE)) == 0);
    fuzz_put(fields, q->fields);
    FUZZ_CHECK(buf_printf(fields, "Content-Length: %zu\r\n", body.len) == 0);
    fuzz_put(out, q->method);
    fuzz_put(out, STR(" "));
    fuzz_put(out, q->target);
    fuzz_put(out, STR(" HTTP/1.1\r\n"));
    fuzz_put(out, buf_str(fields));
    fuzz_put(out, STR("\r\n"));
    fuzz_put(out, body);
}

/* It knows a list of methods, and ours may be any token. */
static bool knows(struct str method)
{
    for (unsigned i = 0; i <= HTTP_SOURCE; i++)
        if (str_eq(method, str_of(http_method_str((enum http_method)i))))
            return !str_eq(method, STR("CONNECT"));
    return false;
}

/*
 * It takes a name that begins like Transfer-Encoding for that field, and refuses the message for
 * having a length too: a fault, not a second message.
 */
static bool is_its_fault(const http_parser *parser, struct str fields)
{
    const struct str name = STR("transfer-encoding");

    while (fields.len > 0) {
        struct str field = str_split(&fields, ':');

        if (field.len > name.len && str_eq_nocase(str_head(field, name.len), name))
            return HTTP_PARSER_ERRNO(parser) == HPE_UNEXPECTED_CONTENT_LENGTH;
        (void)str_split(&fields, '\n');
    }
    return false;
}

static void check_second(const http_parser *parser, const struct attempt_request *q,
                         struct str fields, struct str body)
{
    const struct second *second = parser->data;

    FUZZ_CHECK(HTTP_PARSER_ERRNO(parser) == HPE_OK);
    FUZZ_CHECK(second->n_messages == 1 && !parser->upgrade && http_should_keep_alive(parser) != 0);
    FUZZ_CHECK(str_eq(str_of(http_method_str((enum http_method)parser->method)), q->method));
    FUZZ_CHECK(str_eq(buf_str(&second->target), q->target));
    FUZZ_CHECK(str_eq(buf_str(&second->fields), fields));
    FUZZ_CHECK(str_eq(buf_str(&second->body), body));
}

static void read_again(const struct attempt_request *q, struct str body)
{
    struct buf sent = BUF_INIT(1u << 20);
    struct buf fields = BUF_INIT(1u << 20);
    struct second second = {
        .target = BUF_INIT(1u << 20), .fields = BUF_INIT(1u << 20), .body = BUF_INIT(1u << 20)};
    http_parser parser = {.data = &second};

    write_request(&sent, &fields, q, body);
    http_parser_init(&parser, HTTP_REQUEST);
    if (http_parser_execute(&parser, &callbacks, sent.data, sent.len) == sent.len)
        check_second(&parser, q, buf_str(&fields), body);
    else
        FUZZ_CHECK(is_its_fault(&parser, q->fields) && second.n_messages == 0);
    buf_fini(&second.target);
    buf_fini(&second.fields);
    buf_fini(&second.body);
    buf_fini(&fields);
    buf_fini(&sent);
}

static void forward(const struct h1_head *head, struct str body)
{
    static struct exchange ex;
    const struct keys keys = {0};

    memset(&ex, 0, sizeof(ex));
    arena_init(&ex.arena, 65536);
    ex.tl.method = arena_dup(&ex.arena, head->method_name);
    if (knows(head->method_name) && forward_prepare(&ex, head, &keys, VIA) == 0)
        read_again(&ex.request, body);
    arena_fini(&ex.arena);
}

/* Return: whether a whole body came off the front of *in. */
static bool take_body(const struct h1_head *head, struct str *in, struct buf *ret_body)
{
    struct h1_body body;
    struct str data;
    int r;

    h1_body_init(&body, head);
    while ((r = h1_body_feed(&body, in, &data)) == 0)
        if (buf_put(ret_body, data) < 0)
            return false;
    return r == H1_DONE;
}

/* Return: whether a request came off the front of *in, and more may follow. */
static bool take_request(struct str *in)
{
    struct buf body = BUF_INIT(BODY_MAX);
    struct h1_scan scan = {0};
    struct h1_head head;
    bool is_whole = false;
    size_t len;

    if (h1_scan_head(&scan, *in, &limits, &len) == 0 &&
        h1_parse_request(fuzz_take(in, len), &head) == 0)
        is_whole = take_body(&head, in, &body);
    if (is_whole)
        forward(&head, buf_str(&body));
    buf_fini(&body);
    return is_whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = fuzz_exact(str_make((const char *)data, size));
    struct str in = bytes;

    while (in.len > 0 && take_request(&in))
        continue;
    fuzz_free(bytes);
    return 0;
}
