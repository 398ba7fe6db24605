/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "config/value.h"

static void the_effective_configuration_names_origins_and_masks_secrets(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(setenv("FIXTURE_RETRIES", "2", 1), 0);
    fixture_init(&f);
    assert_int_equal(settings_load_env(&f.s, &f.errors), 0);
    assert_int_equal(settings_set(&f.s, "listen.http", STR("a:1"), SETTING_FROM_FLAG, &f.errors),
                     0);
    assert_int_equal(
        fixture_load(&f,
                     "token: hush\nnodes:\n  - { name: a, url: http://a, models: ['*', 'x: y'] }\n"
                     "classes: { query: 2s }\ntimeouts: { connect: 90s }\n"
                     "retry: { budget: 2.5% }\n"),
        -EX_CONFIG);
    assert_int_equal(settings_print(&f.s, &f.out), 0);
    assert_string_equal(
        text_of(&f.out),
        "listen:\n"
        "  http: [a:1]  # --listen\n"
        "  admin: 127.0.0.1:11437  # default\n"
        "token: \"***\"  # f.yaml:1\n"
        "allow_anonymous: false  # default\n"
        "timeouts:\n"
        "  queue: 1m  # default\n"
        "  connect: 3s  # default\n"
        "  total: none  # default\n"
        "nodes:  # f.yaml:3\n"
        "  - {name: a, url: http://a, slots: auto, weight: 1, models: [\"*\", \"x: y\"]}\n"
        "classes:  # f.yaml:4\n"
        "  query: {timeout: 2s}\n"
        "retry:\n"
        "  max_retries: 2  # FIXTURE_RETRIES\n"
        "  jitter: 0.5  # default\n"
        "  budget: 2.5%  # f.yaml:6\n"
        "memory:\n"
        "  bodies: 1GiB  # default\n"
        "log:\n"
        "  level: info  # default\n"
        "routing:\n"
        "  affinity: []  # default\n");
    assert_int_equal(unsetenv("FIXTURE_RETRIES"), 0);
    fixture_fini(&f);
}

static void texts_are_quoted_when_they_must_be(void **state)
{
    static const char *const rows[][2] = {
        {"plain", "plain"},         {"", "\"\""},
        {"true", "\"true\""},       {"a b", "\"a b\""},
        {"-x", "\"-x\""},           {"a:", "\"a:\""},
        {"[::1]:2", "\"[::1]:2\""}, {"\"\\", "\"\\\"\\\\\""},
        {"\n", "\"\\x0a\""},        {"${A}", "\"$${A}\""},
        {"$${A}", "\"$$${A}\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(buf_put(&f.out, STR("listen: { admin: ")), 0);
        assert_int_equal(value_print_text(str_of(rows[i][0]), &f.out), 0);
        assert_int_equal(buf_put(&f.out, STR(" }")), 0);
        assert_non_null(strstr(text_of(&f.out), rows[i][1]));
        assert_int_equal(fixture_load(&f, text_of(&f.out)), 0);
        assert_string_equal(f.door.admin, rows[i][0]);
        fixture_fini(&f);
    }
}

static void help_lists_the_flags_by_room(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(settings_help(&f.s, &f.out), 0);
    assert_string_equal(
        text_of(&f.out),
        "Door:\n"
        "  --listen ADDR               HTTP listeners (127.0.0.1:11435); may be repeated\n"
        "  --allow-anonymous           No keys | none at all\n"
        "  --check                     Check only\n"
        "\n"
        "Upstream:\n"
        "  --node URL                  Nodes; may be repeated\n"
        "  --retries N                 Retries (5)\n");
    fixture_fini(&f);
}

static void the_reference_has_every_key(void **state)
{
    static const char *const lines[] = {
        "### Door\n\n| key | flag | type | default | what it does |\n| --- | --- | --- | --- | --- "
        "|\n",
        "| `listen.http` | `--listen ADDR` | list, 1 to 3 | `127.0.0.1:11435` | HTTP listeners; "
        "environment "
        "`FIXTURE_LISTEN`; needs a restart |\n",
        "| `allow_anonymous` | `--allow-anonymous` | bool |  | No keys \\| none at all |\n",
        "| `nodes[].url` |  | text |  | Where; required |\n",
        "| `nodes[].slots` |  | number: `auto`, 1 to 64 | `auto` | Requests at once |\n",
        "| `classes.NAME.timeout` |  | duration | `1s` | Time |\n",
        "| `timeouts.connect` |  | duration, 1ms to 1m | `3s` | To connect |\n",
        "| `memory.bodies` |  | size, at least 1KiB | `1GiB` | Bodies |\n",
        "| `log.level` |  | choice: `debug`, `info`, `warn` | `info` | Level |\n",
    };
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(settings_reference(&f.s, &f.out), 0);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_non_null(strstr(text_of(&f.out), lines[i]));
    assert_null(strstr(text_of(&f.out), "--check"));
    fixture_fini(&f);
}

static void the_name_of_a_mapping_is_no_key_of_the_pages(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(settings_manual(&f.s, &f.out), 0);
    assert_non_null(strstr(text_of(&f.out), ".B classes.NAME.timeout\n(duration; default 1s)\n"));
    assert_null(strstr(text_of(&f.out), "classes.NAME.name"));
    buf_reset(&f.out);
    assert_int_equal(settings_reference(&f.s, &f.out), 0);
    assert_null(strstr(text_of(&f.out), "classes.NAME.name"));
    fixture_fini(&f);
}

static void the_manual_lists_flags_with_values_and_defaults(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(settings_flags_manual(f.s.rooms, f.s.n_rooms, &f.out), 0);
    assert_non_null(
        strstr(text_of(&f.out), ".TP\n.B \\-\\-allow\\-anonymous\nNo keys | none at all.\n"));
    assert_null(strstr(text_of(&f.out), "classes"));
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_effective_configuration_names_origins_and_masks_secrets),
        cmocka_unit_test(the_name_of_a_mapping_is_no_key_of_the_pages),
        cmocka_unit_test(the_manual_lists_flags_with_values_and_defaults),
        cmocka_unit_test(texts_are_quoted_when_they_must_be),
        cmocka_unit_test(help_lists_the_flags_by_room),
        cmocka_unit_test(the_reference_has_every_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
