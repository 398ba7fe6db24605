/* SPDX-License-Identifier: MIT */
#include "resume/splice.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rng.h"
#include "json/writer.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const struct splice_past NO_PAST = {0, 0, 0};

/* ---- a node that answers in pieces --------------------------------------------------------- */

struct node {
    const struct api_route *route;
    struct buf records; /* each with a NUL behind it */
};

static void put_record(struct node *n, const char *id, struct str text)
{
    struct buf quoted = BUF_INIT(65536);
    struct json_writer w;
    int r;

    json_writer_init(&w, &quoted);
    json_str(&w, text);
    assert_int_equal(json_writer_result(&w), 0);
    r = n->route->id == ROUTE_CHAT
            ? buf_printf(&n->records,
                         "{\"message\":{\"role\":\"assistant\",\"content\":" STR_FMT
                         "},\"done\":false}\n",
                         STR_ARG(buf_str(&quoted)))
            : buf_printf(&n->records,
                         "data: {\"id\":\"%s\",\"choices\":[{\"delta\":{\"content\":" STR_FMT
                         "}}]}\n\n",
                         id, STR_ARG(buf_str(&quoted)));
    assert_int_equal(r, 0);
    assert_int_equal(buf_put_char(&n->records, '\0'), 0);
    buf_fini(&quoted);
}

static bool is_boundary(struct str text, size_t at)
{
    return at == text.len || ((unsigned char)text.s[at] & 0xc0) != 0x80;
}

/* @text in pieces of random length, between characters; some of them are empty. */
static void answer(struct node *n, enum api_route_id route, const char *id, struct str text,
                   struct rng *rng)
{
    *n = (struct node){.route = api_route_get(route), .records = BUF_INIT(1 << 20)};
    while (text.len > 0) {
        size_t len = rng_below(rng, 5);

        while (!is_boundary(text, len < text.len ? len : text.len))
            len++;
        put_record(n, id, str_head(text, len));
        text = str_from(text, len);
    }
    if (route == ROUTE_CHAT)
        assert_int_equal(
            buf_put(&n->records,
                    STR("{\"message\":{\"content\":\"\"},\"done\":true,\"eval_count\":9}"
                        "\n\0")),
            0);
    else
        assert_int_equal(buf_put(&n->records, STR("data: [DONE]\n\n\0")), 0);
}

/* ---- a client that puts the texts together ------------------------------------------------- */

struct client {
    struct buf text;
    bool is_complete;
};

static void read_record(struct client *c, const struct api_route *route, struct str record,
                        struct delivered *d)
{
    struct api_answer judge;

    api_answer_init(&judge, route);
    api_answer_record(&judge, route->family != API_OLLAMA, record);
    assert_int_equal(api_text_decode(&judge.piece.content, &c->text), 0);
    delivered_add(d, &judge.piece, record);
    c->is_complete |= judge.state == API_ANSWER_COMPLETE;
    if (str_find(record, '{') < record.len && route->family != API_OLLAMA)
        assert_true(str_search(record, STR("\"first\"")) < record.len);
}

/* Takes up to @n records of a node. */
static void take_first(struct node *node, size_t n, struct client *c, struct delivered *d)
{
    struct str rest = buf_str(&node->records);

    for (size_t i = 0; i < n && rest.len > 0; i++) {
        struct str record = str_split(&rest, '\0');

        read_record(c, node->route, record, d);
    }
}

/* Return: 0, or the failure of a record. */
static int take_rest(struct node *node, struct splice *s, struct client *c, struct delivered *d)
{
    struct str rest = buf_str(&node->records);
    struct api_answer judge;

    api_answer_init(&judge, node->route);
    while (rest.len > 0) {
        struct str record = str_split(&rest, '\0');
        struct str fresh;
        int r;

        api_answer_record(&judge, node->route->family != API_OLLAMA, record);
        r = splice_record(s, &judge, record, &fresh);
        if (r < 0)
            return r;
        if (r == 0)
            read_record(c, node->route, fresh, d);
    }
    return 0;
}

static const char *const texts[] = {
    "",
    "a",
    "plain words, one after the other",
    "quotes \" and \\ back\\slashes\n\ttabs\r\n",
    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 and \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "a stop</s> <|end|> {\"json\":\"inside\"} \\u0041",
};

static void check_cut(enum api_route_id route, struct str text, size_t n_records, bool is_again,
                      struct rng *rng)
{
    struct client c = {.text = BUF_INIT(65536)};
    struct delivered have;
    struct splice s;
    struct node a;
    struct node b;
    int r;

    delivered_init(&have, 65536);
    answer(&a, route, "first", text, rng);
    take_first(&a, n_records, &c, &have);
    if (!c.is_complete) {
        splice_init(&s, &have, is_again ? SPLICE_AGAIN : SPLICE_BEHIND, a.route, a.route, &NO_PAST);
        answer(&b, route, "second", str_from(text, is_again ? 0 : have.content.len), rng);
        r = take_rest(&b, &s, &c, &have);
        if (r != 0 || !c.is_complete || !str_eq(buf_str(&c.text), text))
            fail_msg("%d: `" STR_FMT "` instead of `" STR_FMT "`", r, STR_ARG(buf_str(&c.text)),
                     STR_ARG(text));
        splice_fini(&s);
        buf_fini(&b.records);
    }
    buf_fini(&a.records);
    buf_fini(&c.text);
    delivered_fini(&have);
}

static void every_text_comes_whole_wherever_it_was_cut(void **state)
{
    static const enum api_route_id routes[] = {ROUTE_CHAT, ROUTE_V1_CHAT};
    struct rng rng = {42};

    (void)state;
    for (size_t t = 0; t < N(texts); t++)
        for (size_t cut = 1; cut < 40; cut++)
            for (unsigned round = 0; round < 20; round++)
                check_cut(routes[round % 2], str_of(texts[t]), cut, round % 4 < 2, &rng);
}

static void a_text_that_differs_is_refused_at_the_first_difference(void **state)
{
    struct client c = {.text = BUF_INIT(65536)};
    struct delivered have;
    struct splice s;
    struct rng rng = {1};
    struct node a;
    struct node b;

    (void)state;
    delivered_init(&have, 65536);
    answer(&a, ROUTE_CHAT, "first", STR("the same begin, one end"), &rng);
    take_first(&a, 100, &c, &have);
    splice_init(&s, &have, SPLICE_AGAIN, a.route, a.route, &NO_PAST);
    answer(&b, ROUTE_CHAT, "second", STR("the same begin, and another"), &rng);
    assert_int_equal(take_rest(&b, &s, &c, &have), -EX_RESUME);
    assert_true(str_eq(buf_str(&c.text), STR("the same begin, one end")));
    splice_fini(&s);
    buf_fini(&a.records);
    buf_fini(&b.records);
    buf_fini(&c.text);
    delivered_fini(&have);
}

static void a_text_that_ends_too_early_is_refused(void **state)
{
    struct client c = {.text = BUF_INIT(65536)};
    struct delivered have;
    struct splice s;
    struct rng rng = {1};
    struct node a;
    struct node b;

    (void)state;
    delivered_init(&have, 65536);
    answer(&a, ROUTE_CHAT, "first", STR("a long answer"), &rng);
    take_first(&a, 100, &c, &have);
    splice_init(&s, &have, SPLICE_AGAIN, a.route, a.route, &NO_PAST);
    answer(&b, ROUTE_CHAT, "second", STR("a long"), &rng);
    assert_int_equal(take_rest(&b, &s, &c, &have), -EX_RESUME);
    splice_fini(&s);
    buf_fini(&a.records);
    buf_fini(&b.records);
    buf_fini(&c.text);
    delivered_fini(&have);
}

/* ---- single records ------------------------------------------------------------------------ */

/* @route's answer delivered so far, and the node's next records; joined, what the client gets. */
static void splice_all(enum api_route_id id, const char *const *before, const char *const *after,
                       enum splice_begin begin, const struct splice_past *past, struct buf *out)
{
    const struct api_route *route = api_route_get(id);
    struct api_answer judge;
    struct api_answer again;
    struct delivered have;
    struct splice s;

    delivered_init(&have, 65536);
    api_answer_init(&judge, route);
    for (; *before != NULL; before++) {
        api_answer_record(&judge, route->family != API_OLLAMA, str_of(*before));
        delivered_add(&have, &judge.piece, str_of(*before));
    }
    splice_init(&s, &have, begin, route, route, past);
    api_answer_init(&judge, route);
    for (; *after != NULL; after++) {
        struct str fresh;
        int r;

        api_answer_record(&judge, route->family != API_OLLAMA, str_of(*after));
        r = splice_record(&s, &judge, str_of(*after), &fresh);
        if (r < 0)
            assert_int_equal(buf_printf(out, "(%s)", err_text(r)), 0);
        if (r != 0)
            continue;
        assert_int_equal(buf_put(out, fresh), 0);
        api_answer_init(&again, route);
        api_answer_record(&again, route->family != API_OLLAMA, fresh);
        delivered_add(&have, &again.piece, fresh);
    }
    splice_fini(&s);
    delivered_fini(&have);
}

static void the_counters_are_those_of_the_whole_answer(void **state)
{
    static const char *const before[] = {"{\"response\":\"a\"}", "{\"response\":\"b\"}", NULL};
    static const char *const after[] = {
        "{\"response\":\"c\"}\n",
        "{\"response\":\"\",\"done\":true,\"total_duration\":10,\"prompt_eval_count\":7,"
        "\"eval_count\":3,\"eval_duration\":5}\n",
        NULL};
    const struct splice_past past = {.n_tokens = 2, .total_ns = 1000, .eval_ns = 100};
    struct buf out = BUF_INIT(4096);

    (void)state;
    splice_all(ROUTE_GENERATE, before, after, SPLICE_BEHIND, &past, &out);
    assert_true(str_eq(buf_str(&out),
                       STR("{\"response\":\"c\"}\n"
                           "{\"response\":\"\",\"done\":true,\"total_duration\":1010,"
                           "\"prompt_eval_count\":5,\"eval_count\":5,\"eval_duration\":105}\n")));
    buf_fini(&out);
}

static void thinking_and_content_are_kept_apart(void **state)
{
    static const char *const before[] = {"{\"message\":{\"content\":\"\",\"thinking\":\"hm\"}}",
                                         "{\"message\":{\"content\":\"a\"}}", NULL};
    static const char *const after[] = {"{\"message\":{\"content\":\"\",\"thinking\":\"h\"}}\n",
                                        "{\"message\":{\"content\":\"\",\"thinking\":\"m\"}}\n",
                                        "{\"message\":{\"content\":\"ab\"}}\n", NULL};
    static const char *const other[] = {"{\"message\":{\"content\":\"\",\"thinking\":\"h\"}}\n",
                                        "{\"message\":{\"content\":\"a\"}}\n", NULL};
    static const char *const longer[] = {"{\"message\":{\"content\":\"\",\"thinking\":\"hmm\"}}\n",
                                         NULL};
    struct buf out = BUF_INIT(4096);

    (void)state;
    splice_all(ROUTE_CHAT, before, after, SPLICE_AGAIN, &NO_PAST, &out);
    assert_true(str_eq(buf_str(&out), STR("{\"message\":{\"content\":\"b\"}}\n")));
    buf_reset(&out);
    splice_all(ROUTE_CHAT, before, other, SPLICE_AGAIN, &NO_PAST, &out);
    assert_true(str_starts(buf_str(&out), STR("(the node says something else")));
    buf_reset(&out);
    splice_all(ROUTE_CHAT, before, longer, SPLICE_AGAIN, &NO_PAST, &out);
    assert_true(str_starts(buf_str(&out), STR("(the node says something else")));
    buf_fini(&out);
}

static void events_in_a_fixed_order_come_once_and_keep_their_ids(void **state)
{
    static const char *const before[] = {
        "event: message_start\ndata: "
        "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\"}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0}\n\n",
        "event: content_block_delta\ndata: {\"delta\":{\"text\":\"ab\"}}\n\n", NULL};
    static const char *const after[] = {
        "event: message_start\ndata: "
        "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_2\"}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0}\n\n",
        "event: content_block_delta\ndata: {\"delta\":{\"text\":\"abc\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\",\"id\":\"msg_2\"}\n\n",
        NULL};
    struct buf out = BUF_INIT(4096);

    (void)state;
    splice_all(ROUTE_V1_MESSAGES, before, after, SPLICE_AGAIN, &NO_PAST, &out);
    assert_true(str_eq(
        buf_str(&out),
        STR("event: content_block_delta\ndata: {\"delta\":{\"text\":\"c\"}}\n\n"
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
            "event: message_stop\ndata: {\"type\":\"message_stop\",\"id\":\"msg_1\"}\n\n")));
    buf_fini(&out);
}

static void sequence_numbers_go_on(void **state)
{
    static const char *const before[] = {
        "data: {\"response\":{\"id\":\"r1\"},\"sequence_number\":0}\n\n",
        "data: {\"item\":{\"id\":\"i1\"},\"sequence_number\":1}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"item_id\":\"i1\",\"delta\":\"abc\","
        "\"sequence_number\":2}\n\n",
        NULL};
    static const char *const after[] = {
        "data: {\"response\":{\"id\":\"r2\"},\"sequence_number\":0}\n\n",
        "data: {\"item\":{\"id\":\"i2\"},\"sequence_number\":1}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"item_id\":\"i2\",\"delta\":\"ab\","
        "\"sequence_number\":2}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"item_id\":\"i2\",\"delta\":\"cd\","
        "\"sequence_number\":3}\n\n",
        "data: {\"response\":{\"id\":\"r2\"},\"sequence_number\":4}\n\n",
        NULL};
    struct buf out = BUF_INIT(4096);

    (void)state;
    splice_all(ROUTE_V1_RESPONSES, before, after, SPLICE_AGAIN, &NO_PAST, &out);
    assert_true(str_eq(
        buf_str(&out),
        STR("data: {\"type\":\"response.output_text.delta\",\"item_id\":\"i1\",\"delta\":\"d\","
            "\"sequence_number\":3}\n\n"
            "data: {\"response\":{\"id\":\"r1\"},\"sequence_number\":4}\n\n")));
    buf_fini(&out);
}

static void a_generation_behind_a_rendered_prompt_is_the_rest_of_a_chat(void **state)
{
    const struct splice_past past = {.n_tokens = 2};
    struct delivered have;
    struct api_answer judge;
    struct splice s;
    struct str fresh;

    (void)state;
    delivered_init(&have, 1024);
    splice_init(&s, &have, SPLICE_BEHIND, api_route_get(ROUTE_CHAT), api_route_get(ROUTE_GENERATE),
                &past);
    api_answer_init(&judge, api_route_get(ROUTE_GENERATE));
    for (unsigned i = 0; i < 2; i++) {
        static const char *const records[] = {
            "{\"model\":\"m\",\"response\":\"a\\n\",\"done\":false}\n",
            "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"eval_count\":3}\n"};
        static const char *const chats[] = {
            "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"a\\n\"},"
            "\"done\":false}\n",
            "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,"
            "\"eval_count\":5}\n"};

        api_answer_record(&judge, false, str_of(records[i]));
        assert_int_equal(splice_record(&s, &judge, str_of(records[i]), &fresh), 0);
        assert_true(str_eq(fresh, str_of(chats[i])));
    }
    splice_fini(&s);
    delivered_fini(&have);
}

static void an_error_of_the_node_is_passed_on(void **state)
{
    static const char *const before[] = {"{\"response\":\"a\"}", NULL};
    static const char *const after[] = {"{\"error\":\"out of memory\"}\n", NULL};
    struct buf out = BUF_INIT(4096);

    (void)state;
    splice_all(ROUTE_GENERATE, before, after, SPLICE_AGAIN, &NO_PAST, &out);
    assert_true(str_eq(buf_str(&out), STR("{\"error\":\"out of memory\"}\n")));
    buf_fini(&out);
}

static void what_is_too_long_or_no_text_is_unfit(void **state)
{
    static const struct api_piece piece = {.content = {STR_INIT("12345"), false}};
    static const struct api_piece call = {.has_more = true};
    struct delivered d;

    (void)state;
    delivered_init(&d, 8);
    delivered_add(&d, &piece, STR_NULL);
    assert_false(d.is_unfit);
    delivered_add(&d, &piece, STR_NULL);
    assert_true(d.is_unfit);
    assert_int_equal(d.content.cap, 0);
    delivered_fini(&d);
    delivered_init(&d, 8);
    delivered_add(&d, &call, STR_NULL);
    assert_true(d.is_unfit);
    delivered_fini(&d);
    delivered_init(&d, 0);
    assert_true(d.is_unfit);
    delivered_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_comes_whole_wherever_it_was_cut),
        cmocka_unit_test(a_text_that_differs_is_refused_at_the_first_difference),
        cmocka_unit_test(a_text_that_ends_too_early_is_refused),
        cmocka_unit_test(the_counters_are_those_of_the_whole_answer),
        cmocka_unit_test(thinking_and_content_are_kept_apart),
        cmocka_unit_test(events_in_a_fixed_order_come_once_and_keep_their_ids),
        cmocka_unit_test(sequence_numbers_go_on),
        cmocka_unit_test(a_generation_behind_a_rendered_prompt_is_the_rest_of_a_chat),
        cmocka_unit_test(an_error_of_the_node_is_passed_on),
        cmocka_unit_test(what_is_too_long_or_no_text_is_unfit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
