/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "observe/access.h"
#include "observe/text.h"

#define WALL (INT64_C(1795471200123) * NSEC_PER_MSEC) /* 2026-11-23T22:00:00.123Z */

static struct timeline whole(void)
{
    return (struct timeline){
        .request_id = "01ARYZ6S41ABCDEFGHJKMNPQRS",
        .route = api_route_get(ROUTE_CHAT),
        .method = STR("POST"),
        .model = STR("llama3.2:3b"),
        .node = STR("gpu-a"),
        .key = STR("web"),
        .trace_id = STR("0af7651916cd43dd8448eb211c80319c"),
        .peer = STR("127.0.0.1:5000"),
        .n_attempts = 2,
        .status = 200,
        .reason = REASON_none,
        .is_stream = true,
        .begun = 1000 * NSEC_PER_MSEC,
        .connected = 1001 * NSEC_PER_MSEC + 500 * NSEC_PER_USEC,
        .first_record = 1045 * NSEC_PER_MSEC,
        .ended = 2234 * NSEC_PER_MSEC + 567999,
        .bytes_in = 120,
        .bytes_out = UINT64_MAX,
        .n_records = 300,
        .usage = {.tokens_in = 26, .tokens_out = 298, .load_ns = 7000000},
    };
}

static const char *print(const struct timeline *t, enum access_form form, struct buf *out)
{
    buf_reset(out);
    assert_int_equal(access_print(t, WALL, form, out), 0);
    assert_int_equal(buf_put_char(out, '\0'), 0);
    return out->data;
}

static void a_json_line_has_every_key(void **state)
{
    struct buf out = BUF_INIT(16384);
    struct timeline t = whole();

    (void)state;
    assert_string_equal(
        print(&t, ACCESS_JSON, &out),
        "{\"time\":\"2026-11-23T22:00:00.123Z\",\"request_id\":\"01ARYZ6S41ABCDEFGHJKMNPQRS\","
        "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"peer\":\"127.0.0.1:5000\",\"key\":"
        "\"web\","
        "\"method\":\"POST\",\"route\":\"/api/"
        "chat\",\"model\":\"llama3.2:3b\",\"node\":\"gpu-a\",\"why\":null,"
        "\"attempts\":2,\"resumes\":0,\"status\":200,\"reason\":\"none\",\"stream\":true,\"queue_"
        "ms\":0.000,\"connect_ms\":1.500,"
        "\"first_record_ms\":45.000,\"total_ms\":1234.567,\"load_ms\":7.000,\"bytes_in\":120,"
        "\"bytes_out\":18446744073709551615,\"records\":300,\"tokens_in\":26,\"tokens_out\":298}"
        "\n");
    buf_fini(&out);
}

static void what_was_not_reached_is_null(void **state)
{
    struct timeline t = {.reason = REASON_bad_request, .status = 400, .begun = NSEC_PER_SEC};
    struct buf out = BUF_INIT(16384);

    (void)state;
    assert_string_equal(
        print(&t, ACCESS_JSON, &out),
        "{\"time\":\"2026-11-23T22:00:00.123Z\",\"request_id\":null,\"trace_id\":null,\"peer\":"
        "null,"
        "\"key\":null,\"method\":null,\"route\":null,\"model\":null,\"node\":null,\"why\":null,"
        "\"attempts\":0,"
        "\"resumes\":0,"
        "\"status\":400,\"reason\":\"bad_request\",\"stream\":false,\"queue_ms\":0.000,\"connect_"
        "ms\":null,"
        "\"first_record_ms\":null,\"total_ms\":null,\"load_ms\":null,\"bytes_in\":0,\"bytes_out\":"
        "0,"
        "\"records\":0,\"tokens_in\":0,\"tokens_out\":0}\n");
    buf_fini(&out);
}

static void hostile_texts_stay_inside_their_string(void **state)
{
    static const char *const models[] = {
        "\"}\n{\"status\":200", "\\", "\x01\x1b[31m", "\xff\xfe", "\xc3\xa4", "\x7f", "\"\\\n\r\t"};
    struct buf out = BUF_INIT(16384);

    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        struct timeline t = whole();
        json_t *line;

        t.model = str_of(models[i]);
        t.method = t.model;
        t.bytes_out = 1; /* jansson's integers are signed */
        line = json_loads(print(&t, ACCESS_JSON, &out), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(line);
        assert_int_equal(json_object_size(line), 25);
        if (i != 3)
            assert_string_equal(json_string_value(json_object_get(line, "model")), models[i]);
        assert_ptr_equal(memchr(out.data, '\n', out.len), out.data + out.len - 2);
        json_decref(line);
    }
    buf_fini(&out);
}

static void the_longest_texts_fit_their_reserve(void **state)
{
    static char long_text[100000];
    struct buf out = BUF_INIT(16384);
    struct timeline t = whole();

    (void)state;
    memset(long_text, 1, sizeof(long_text));
    t.model = t.node = t.key = t.peer = t.method = t.trace_id =
        str_make(long_text, sizeof(long_text));
    t.bytes_in = t.n_records = t.usage.tokens_in = t.usage.tokens_out = t.usage.load_ns =
        UINT64_MAX;
    t.begun = 1;
    t.connected = t.first_record = t.ended = INT64_MAX;
    t.n_attempts = UINT32_MAX;
    for (int form = ACCESS_JSON; form <= ACCESS_COLOUR; form++) {
        (void)print(&t, (enum access_form)form, &out);
        assert_true(out.len < 6 * 6 * 256 + 1024);
    }
    buf_fini(&out);
    out = BUF_INIT(1000);
    assert_int_equal(access_print(&t, WALL, ACCESS_JSON, &out), -ENOBUFS);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void a_human_line_says_what_a_person_looks_for(void **state)
{
    struct buf out = BUF_INIT(16384);
    struct timeline t = whole();

    (void)state;
    assert_string_equal(
        print(&t, ACCESS_HUMAN, &out),
        "22:00:00.123Z 200 POST /api/chat llama3.2:3b gpu-a 1234.5ms first 45.0ms tokens 26+298 "
        "attempts 2\n");
    t = (struct timeline){.status = 503,
                          .reason = REASON_queue_full,
                          .method = STR("GET"),
                          .model = STR("a\033[2J\n\x7f\xc2\x9b\x9b\xc3\xa4"),
                          .n_attempts = 1};
    assert_string_equal(print(&t, ACCESS_HUMAN, &out),
                        "22:00:00.123Z 503 GET - a?[2J????\xc3\xa4 - 0.0ms queue_full\n");
    buf_fini(&out);
}

struct colour {
    int status;
    const char *text;
};

static void the_status_has_the_colour_of_its_class(void **state)
{
    static const struct colour rows[] = {{200, " \033[32m200\033[0m "},
                                         {404, " \033[33m404\033[0m "},
                                         {500, " \033[31m500\033[0m "},
                                         {0, " \033[31m---\033[0m "}};
    struct buf out = BUF_INIT(16384);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct timeline t = whole();

        t.status = rows[i].status;
        assert_non_null(strstr(print(&t, ACCESS_COLOUR, &out), rows[i].text));
    }
    buf_fini(&out);
}

struct stamp {
    int64_t seconds;
    const char *text;
};

static void stamps_know_the_calendar(void **state)
{
    static const struct stamp rows[] = {
        {-5, "1970-01-01T00:00:00.000Z"},         {0, "1970-01-01T00:00:00.000Z"},
        {951782399, "2000-02-28T23:59:59.000Z"},  {951782400, "2000-02-29T00:00:00.000Z"},
        {951868800, "2000-03-01T00:00:00.000Z"},  {1709164800, "2024-02-29T00:00:00.000Z"},
        {1735689599, "2024-12-31T23:59:59.000Z"}, {4107542400, "2100-03-01T00:00:00.000Z"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char stamp[TEXT_STAMP_LEN + 1] = "";

        text_stamp(rows[i].seconds * NSEC_PER_SEC, stamp);
        assert_string_equal(stamp, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_json_line_has_every_key),
        cmocka_unit_test(what_was_not_reached_is_null),
        cmocka_unit_test(hostile_texts_stay_inside_their_string),
        cmocka_unit_test(the_longest_texts_fit_their_reserve),
        cmocka_unit_test(a_human_line_says_what_a_person_looks_for),
        cmocka_unit_test(the_status_has_the_colour_of_its_class),
        cmocka_unit_test(stamps_know_the_calendar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
