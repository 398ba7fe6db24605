/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#define S(text) ((char[]){text})

static void flags_take_values_both_ways_and_lists_repeat(void **state)
{
    char *argv[] = {S("serve"),
                    S("--listen"),
                    S("a:1"),
                    S("--listen=b:2"),
                    S("--node"),
                    S("http://x,http://y"),
                    S("--node"),
                    S("http://z"),
                    S("--retries=3"),
                    S("--allow-anonymous"),
                    S("--check=false"),
                    S("op"),
                    S("-"),
                    S("--"),
                    S("--listen")};
    struct strings operands = {0};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(settings_parse_args(&f.s, (int)ARRAY_LEN(argv), argv, &operands, &f.errors),
                     0);
    assert_int_equal(f.errors.len, 0);
    assert_int_equal(f.door.listen_http.n, 2);
    assert_string_equal(f.door.listen_http.items[0], "a:1");
    assert_string_equal(f.door.listen_http.items[1], "b:2");
    assert_int_equal(f.up.nodes.n, 3);
    assert_string_equal(node_at(&f, 2)->url, "http://z");
    assert_int_equal(f.up.max_retries, 3);
    assert_true(f.door.allow_anonymous);
    assert_false(f.door.is_check);
    assert_int_equal(operands.n, 3);
    assert_string_equal(operands.items[2], "--listen");
    strings_fini(&operands);
    fixture_fini(&f);
}

static void a_flag_wins_over_environment_and_file_in_any_order(void **state)
{
    char *argv[] = {S("serve"), S("--node=http://flag"), S("--retries"), S("1")};
    struct fixture f;

    (void)state;
    assert_int_equal(setenv("FIXTURE_RETRIES", "2", 1), 0);
    assert_int_equal(setenv("FIXTURE_LISTEN", "e:1, e:2", 1), 0);
    fixture_init(&f);
    assert_int_equal(settings_parse_args(&f.s, 4, argv, NULL, &f.errors), 0);
    assert_int_equal(settings_load_env(&f.s, &f.errors), 0);
    assert_int_equal(
        fixture_load(
            &f,
            "nodes: [http://a, http://b]\nretry: {max_retries: 3}\nlisten: {http: f, admin: f}\n"),
        0);
    assert_int_equal(f.up.nodes.n, 1);
    assert_int_equal(f.up.max_retries, 1);
    assert_int_equal(f.door.listen_http.n, 2);
    assert_string_equal(f.door.listen_http.items[1], "e:2");
    assert_string_equal(f.door.admin, "f");
    assert_int_equal(unsetenv("FIXTURE_RETRIES"), 0);
    assert_int_equal(unsetenv("FIXTURE_LISTEN"), 0);
    fixture_fini(&f);
}

struct bad {
    char *argv[6];
    int argc;
    const char *errors;
};

static void wrong_arguments_are_told(void **state)
{
    struct bad rows[] = {
        {{S("serve"), S("--lisen"), S("x")},
         3,
         "error: arguments: unknown flag `--lisen`, did you mean `--listen`?\nerror: arguments: "
         "unexpected `x`\n"},
        {{S("serve"), S("-x")}, 2, "error: arguments: unknown flag `-x`\n"},
        {{S("serve"), S("--listen")}, 2, "error: --listen: needs a value: ADDR\n"},
        {{S("serve"), S("--listen"), S("--check")}, 3, "error: --listen: needs a value: ADDR\n"},
        {{S("serve"), S("--retries=x")}, 2, "error: --retries: must be a whole number\n"},
        {{S("serve"), S("--listen=")}, 2, "error: --listen: must have 1 to 3 items\n"},
        {{S("serve"), S("--listen=a,,b")}, 2, "error: --listen: must not have an empty item\n"},
        {{S("serve"), S("--listen=a,b"), S("--listen=c,d")},
         3,
         "error: --listen: must have 1 to 3 items\n"},
        {{S("serve"), S("--node"), S("gopher://a")}, 3, "error: --node: is not a URL\n"},
        {{S("serve"), S("--check=maybe")}, 2, "error: --check: must be true or false\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(settings_parse_args(&f.s, rows[i].argc, rows[i].argv, NULL, &f.errors),
                         -EX_CONFIG);
        assert_string_equal(text_of(&f.errors), rows[i].errors);
        fixture_fini(&f);
    }
}

static void one_can_be_set_by_its_key(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(settings_set(&f.s, "timeouts.total", STR("1h"), SETTING_FROM_FLAG, &f.errors),
                     0);
    assert_int_equal(f.up.total, 3600 * NSEC_PER_SEC);
    assert_int_equal(
        settings_set(&f.s, "timeouts.nothing", STR("1h"), SETTING_FROM_FLAG, &f.errors),
        -EX_CONFIG);
    assert_int_equal(settings_set(&f.s, "classes", STR("1h"), SETTING_FROM_FLAG, &f.errors),
                     -EX_CONFIG);
    assert_string_equal(
        text_of(&f.errors),
        "error: timeouts.nothing: unknown setting\nerror: classes: can be set in a file only\n");
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_take_values_both_ways_and_lists_repeat),
        cmocka_unit_test(a_flag_wins_over_environment_and_file_in_any_order),
        cmocka_unit_test(wrong_arguments_are_told),
        cmocka_unit_test(one_can_be_set_by_its_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
