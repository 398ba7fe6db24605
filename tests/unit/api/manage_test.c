/* SPDX-License-Identifier: MIT */
#include "api/manage.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD"

static void a_digest_is_sha256_and_64_hex_digits(void **state)
{
    static const char *const bad[] = {"",
                                      "sha256:",
                                      "sha256:aa",
                                      "sha512:" HEX_A,
                                      "sha256" HEX_A,
                                      "sha256:" HEX_A "0",
                                      "sha256:g" HEX_A};
    struct str hex;

    (void)state;
    assert_int_equal(api_digest_parse(STR("sha256:" HEX_A), &hex), 0);
    assert_true(str_eq(hex, STR(HEX_A)));
    assert_int_equal(api_digest_parse(STR("sha256-" HEX_B), &hex), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(api_digest_parse(str_of(bad[i]), &hex) < 0);
}

static void create_tells_what_it_is_made_of(void **state)
{
    static struct api_create create;

    (void)state;
    api_create_read(STR("{\"model\":\"x\",\"files\":{\"a\":\"sha256:" HEX_A
                        "\",\"b\":[1],\"c\":\"no\"},"
                        "\"adapters\":{\"d\":\"sha256:" HEX_B "\"},\"from\":\"Base\\u003a7b\"}"),
                    &create);
    assert_int_equal(create.n_digests, 2);
    assert_true(str_eq(create.digests[0], STR(HEX_A)));
    assert_true(str_eq(create.digests[1], STR(HEX_B)));
    assert_true(str_eq(model_key_str(&create.from), STR("registry.ollama.ai/library/base:7b")));
}

static void create_without_sense_is_made_of_nothing(void **state)
{
    static const char *const bodies[] = {
        "", "{", "[]", "{\"from\":7}", "{\"files\":[\"x\"]}", "{\"from\":\"\"}"};
    static struct api_create create;

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        api_create_read(str_of(bodies[i]), &create);
        assert_int_equal(create.from.len, 0);
        assert_int_equal(create.n_digests, 0);
    }
}

static void a_flag_is_true_only_as_a_bool(void **state)
{
    (void)state;
    assert_true(api_is_true(STR("{\"a\":[1],\"insecure\" : true}"), STR("insecure")));
    assert_false(api_is_true(STR("{\"insecure\":\"true\"}"), STR("insecure")));
    assert_false(api_is_true(STR("{\"x\":{\"insecure\":true}}"), STR("insecure")));
    assert_false(api_is_true(STR("{\"insecure\":true,\"insecure\":false}"), STR("insecure")));
    assert_false(api_is_true(STR("[true]"), STR("insecure")));
}

static void expect(struct api_progress *p, size_t node, const char *record, const char *told)
{
    struct buf out = BUF_INIT(4096);

    assert_int_equal(api_progress_feed(p, node, str_of(record), &out), 0);
    if (!str_eq(buf_str(&out), str_of(told)))
        fail_msg("%s became " STR_FMT, record, STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

static void one_nodes_records_are_told_as_they_are(void **state)
{
    static struct api_progress p;

    (void)state;
    api_progress_init(&p, 1);
    expect(&p, 0, "{\"status\":\"success\", \"x\":1}\n", "{\"status\":\"success\", \"x\":1}\n");
    expect(&p, 0, "{\"error\":\"no\"}", "{\"error\":\"no\"}\n");
    expect(&p, 0, "not json\n", "not json\n");
    api_progress_fini(&p);
}

static void bars_of_one_digest_are_added_up(void **state)
{
    static struct api_progress p;

    (void)state;
    api_progress_init(&p, 2);
    expect(&p, 0, "{\"status\":\"pulling a\",\"digest\":\"sha256:aa\",\"total\":10}",
           "{\"status\":\"pulling a\",\"digest\":\"sha256:aa\",\"total\":20,\"completed\":0}\n");
    expect(&p, 1,
           "{\"status\":\"pulling a\",\"digest\":\"sha256:aa\",\"total\":10,\"completed\":7}",
           "{\"status\":\"pulling a\",\"digest\":\"sha256:aa\",\"total\":20,\"completed\":7}\n");
    expect(&p, 0,
           "{\"status\":\"pulling a\",\"digest\":\"sha256:aa\",\"total\":10,\"completed\":4}",
           "{\"status\":\"pulling a\",\"digest\":\"sha256:aa\",\"total\":20,\"completed\":11}\n");
    api_progress_fini(&p);
}

static void a_status_is_told_once_and_ends_are_not(void **state)
{
    static struct api_progress p;

    (void)state;
    api_progress_init(&p, 2);
    expect(&p, 0, "{\"status\":\"pulling manifest\"}\n", "{\"status\":\"pulling manifest\"}\n");
    expect(&p, 1, "{\"status\":\"pulling manifest\"}\n", "");
    expect(&p, 1, "{\"error\":\"no\",\"status\":400}\n", "");
    expect(&p, 0, "{\"status\":\"success\"}\n", "");
    expect(&p, 0, "[]", "");
    api_progress_fini(&p);
}

static void more_bars_than_are_kept_are_passed_on(void **state)
{
    static struct api_progress p;
    char record[128];

    (void)state;
    api_progress_init(&p, 2);
    for (unsigned i = 0; i < API_BARS_MAX + 2; i++) {
        struct buf out = BUF_INIT(4096);

        (void)snprintf(record, sizeof(record),
                       "{\"status\":\"s\",\"digest\":\"d%u\",\"total\":1}\n", i);
        assert_int_equal(api_progress_feed(&p, 0, str_of(record), &out), 0);
        assert_true(str_eq(buf_str(&out), str_of(record)) == (i >= API_BARS_MAX));
        buf_fini(&out);
    }
    api_progress_fini(&p);
}

static void the_code_of_an_error_is_read(void **state)
{
    struct api_step step;

    (void)state;
    assert_int_equal(api_step_read(STR("{\"error\":\"unknown type\",\"status\":400}"), &step), 0);
    assert_true(step.is_error);
    assert_int_equal(step.code, 400);
    assert_int_equal(step.status.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digest_is_sha256_and_64_hex_digits),
        cmocka_unit_test(create_tells_what_it_is_made_of),
        cmocka_unit_test(create_without_sense_is_made_of_nothing),
        cmocka_unit_test(a_flag_is_true_only_as_a_bool),
        cmocka_unit_test(one_nodes_records_are_told_as_they_are),
        cmocka_unit_test(bars_of_one_digest_are_added_up),
        cmocka_unit_test(a_status_is_told_once_and_ends_are_not),
        cmocka_unit_test(more_bars_than_are_kept_are_passed_on),
        cmocka_unit_test(the_code_of_an_error_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
