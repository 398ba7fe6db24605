/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"

#include <fcntl.h>

static const char whole[] = "# all of it\n"
                            "listen: { http: [127.0.0.1:1, '[::1]:2'], admin: 127.0.0.1:3 }\n"
                            "allow_anonymous: true\n"
                            "nodes:\n"
                            "  - { name: gpu-a, url: http://a, slots: auto, weight: 1.5 }\n"
                            "  - { name: gpu-b, url: http://b, slots: 4, models: [x, y] }\n"
                            "classes: { query: { timeout: 2s }, order: 5s }\n"
                            "retry: { max_retries: 7, jitter: 0.25, budget: 2.5% }\n"
                            "timeouts:\n"
                            "  connect: 250ms\n"
                            "  total: none\n"
                            "  queue: 1.5m\n"
                            "memory: { bodies: 64KiB }\n"
                            "log:\n"
                            "routing: { affinity: cookie }\n";

static void check_whole(struct fixture *f)
{
    const struct class *classes = f->up.classes.items;

    assert_int_equal(f->door.listen_http.n, 2);
    assert_string_equal(f->door.listen_http.items[1], "[::1]:2");
    assert_string_equal(f->door.admin, "127.0.0.1:3");
    assert_true(f->door.allow_anonymous);
    assert_int_equal(f->up.nodes.n, 2);
    assert_string_equal(node_at(f, 0)->name, "gpu-a");
    assert_int_equal(node_at(f, 0)->slots, 0);
    assert_true(node_at(f, 0)->weight > 1.49 && node_at(f, 0)->weight < 1.51);
    assert_int_equal(node_at(f, 1)->slots, 4);
    assert_int_equal(node_at(f, 1)->models.n, 2);
    assert_int_equal(f->up.classes.n, 2);
    assert_string_equal(classes[1].name, "order");
    assert_int_equal(classes[1].timeout, 5 * NSEC_PER_SEC);
    assert_int_equal(f->up.max_retries, 7);
    assert_true(f->up.budget > 0.0249 && f->up.budget < 0.0251);
    assert_int_equal(f->up.connect, 250 * NSEC_PER_MSEC);
    assert_true(f->up.total == NSEC_NEVER);
    assert_int_equal(f->door.queue, 90 * NSEC_PER_SEC);
    assert_int_equal(f->up.bodies, 65536);
    assert_int_equal(f->up.level, 11);
    assert_int_equal(f->up.affinity.n, 1);
}

static void a_whole_file_fills_the_targets(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(fixture_load(&f, whole), 0);
    assert_int_equal(f.errors.len, 0);
    check_whole(&f);
    assert_int_equal(settings_origin(&f.s, "retry.jitter"), SETTING_FROM_FILE);
    assert_int_equal(settings_origin(&f.s, "log.level"), SETTING_FROM_DEFAULT);
    fixture_fini(&f);
}

static void what_is_printed_loads_again_to_the_same(void **state)
{
    struct fixture f;
    struct fixture g;

    (void)state;
    fixture_init(&f);
    fixture_init(&g);
    assert_int_equal(fixture_load(&f, whole), 0);
    assert_int_equal(settings_print(&f.s, &f.out), 0);
    assert_int_equal(fixture_load(&g, text_of(&f.out)), 0);
    check_whole(&g);
    fixture_fini(&f);
    fixture_fini(&g);
}

static void an_empty_file_and_json_are_fine(void **state)
{
    static const char *const texts[] = {
        "",
        "# nothing\n",
        "---\n",
        "null\n",
        "\xef\xbb\xbfretry: {max_retries: 5}\n",
        "{\n\t\"retry\": {\"max_retries\": 5, \"budget\": \"10%\"}\n}\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(fixture_load(&f, texts[i]), 0);
        assert_string_equal(text_of(&f.errors), "");
        assert_int_equal(f.up.max_retries, 5);
        fixture_fini(&f);
    }
}

struct bad {
    const char *text;
    const char *errors;
};

static void problems_are_told_with_line_and_caret(void **state)
{
    static const struct bad rows[] = {
        {"retry:\n  max_retrys: 5\n", "f.yaml:2:3: error: unknown key `max_retrys`, did you mean "
                                      "`max_retries`?\n  max_retrys: 5\n  ^\n"},
        {"rtery: {}\n",
         "f.yaml:1:1: error: unknown key `rtery`, did you mean `retry`?\nrtery: {}\n^\n"},
        {"nonsense: { a: [b, {c: d}] }\n",
         "f.yaml:1:1: error: unknown key `nonsense`\nnonsense: { a: [b, {c: d}] }\n^\n"},
        {"retry.jitter: 1\n",
         "f.yaml:1:1: error: unknown key `retry.jitter`\nretry.jitter: 1\n^\n"},
        {"retry: { jitter: 0.1 }\nretry: { jitter: 0.2 }\n",
         "f.yaml:2:1: error: `retry` is set twice, first in line 1\nretry: { jitter: 0.2 }\n^\n"},
        {"retry: { jitter: 0.1, jitter: 0.2 }\n",
         "f.yaml:1:23: error: `jitter` is set twice, first in line 1\nretry: { jitter: 0.1, "
         "jitter: 0.2 }\n"
         "                      ^\n"},
        {"retry: { max_retries: many }\n", "f.yaml:1:23: error: must be a whole number\nretry: { "
                                           "max_retries: many }\n                      ^\n"},
        {"retry: { max_retries: -1 }\n", "f.yaml:1:23: error: must be a whole number\nretry: { "
                                         "max_retries: -1 }\n                      ^\n"},
        {"retry: { max_retries: 101 }\n", "f.yaml:1:23: error: must be at most 100\nretry: { "
                                          "max_retries: 101 }\n                      ^\n"},
        {"retry: { max_retries: 99999999999999999999 }\n",
         "f.yaml:1:23: error: is too large\nretry: { max_retries: 99999999999999999999 }\n         "
         "             ^\n"},
        {"retry: { max_retries: [5] }\n", "f.yaml:1:23: error: must be a whole number, not a list\n"
                                          "retry: { max_retries: [5] }\n                      ^\n"},
        {"retry: { max_retries: {} }\n",
         "f.yaml:1:23: error: must be a whole number, not a mapping\n"
         "retry: { max_retries: {} }\n                      ^\n"},
        {"retry: 5\n",
         "f.yaml:1:8: error: must be a mapping, not a single value\nretry: 5\n       ^\n"},
        {"retry: [5]\n",
         "f.yaml:1:8: error: must be a mapping, not a list\nretry: [5]\n       ^\n"},
        {"retry: { budget: 10 }\n", "f.yaml:1:18: error: must be a percentage such as 10%\nretry: "
                                    "{ budget: 10 }\n                 ^\n"},
        {"retry: { jitter: }\n",
         "f.yaml:1:18: error: has no value\nretry: { jitter: }\n                 ^\n"},
        {"timeouts: { connect: 5 }\n",
         "f.yaml:1:22: error: must be a duration such as 250ms, 5s or 2m\n"
         "timeouts: { connect: 5 }\n                     ^\n"},
        {"timeouts: { connect: none }\n",
         "f.yaml:1:22: error: must be a duration such as 250ms, 5s or 2m\n"
         "timeouts: { connect: none }\n                     ^\n"},
        {"timeouts: { total: 5 }\n",
         "f.yaml:1:20: error: must be a duration such as 250ms, 5s or 2m or none\n"
         "timeouts: { total: 5 }\n                   ^\n"},
        {"timeouts: { connect: 2m }\n", "f.yaml:1:22: error: must be 1ms to 1m\ntimeouts: { "
                                        "connect: 2m }\n                     ^\n"},
        {"memory: { bodies: 1 }\n", "f.yaml:1:19: error: must be a size such as 64KiB or 1GiB\n"
                                    "memory: { bodies: 1 }\n                  ^\n"},
        {"memory: { bodies: 1B }\n", "f.yaml:1:19: error: must be at least 1KiB\nmemory: { bodies: "
                                     "1B }\n                  ^\n"},
        {"allow_anonymous: yes\n",
         "f.yaml:1:18: error: must be true or false\nallow_anonymous: yes\n                 ^\n"},
        {"log: { level: loud }\n", "f.yaml:1:15: error: must be one of debug, info or warn\n"
                                   "log: { level: loud }\n              ^\n"},
        {"listen: { http: [] }\n",
         "f.yaml:1:17: error: must have 1 to 3 items\nlisten: { http: [] }\n                ^\n"},
        {"listen: { http: [a, b, c, d] }\n", "f.yaml:1:17: error: must have 1 to 3 items\nlisten: "
                                             "{ http: [a, b, c, d] }\n                ^\n"},
        {"listen: { http: [a, [b]] }\n", "f.yaml:1:21: error: must be a single value\nlisten: { "
                                         "http: [a, [b]] }\n                    ^\n"},
        {"routing: { affinity: [cookie, hat] }\n",
         "f.yaml:1:31: error: must be a list of words out of header or cookie\nrouting: { "
         "affinity: [cookie, hat] }\n"
         "                              ^\n"},
        {"nodes: { name: a }\n", "f.yaml:1:8: error: must be a list of mappings, not a "
                                 "mapping\nnodes: { name: a }\n       ^\n"},
        {"nodes: [[a]]\n",
         "f.yaml:1:9: error: must be a mapping, not a list\nnodes: [[a]]\n        ^\n"},
        {"nodes:\n  - name: a\n", "f.yaml:2:5: error: `url` is missing\n  - name: a\n    ^\n"},
        {"nodes: [{ url: ftp://a }]\n",
         "f.yaml:1:16: error: is not a URL\nnodes: [{ url: ftp://a }]\n               ^\n"},
        {"nodes: [{ url: http://a, slot: 4 }]\n",
         "f.yaml:1:26: error: unknown key `slot`, did you mean `slots`?\nnodes: [{ url: http://a, "
         "slot: 4 }]\n"
         "                         ^\n"},
        {"nodes: [{ url: http://a, slots: 0 }]\n",
         "f.yaml:1:33: error: must be 1 to 64\nnodes: [{ url: http://a, slots: 0 }]\n"
         "                                ^\n"},
        {"nodes: [{ url: http://a, name: much-too-long }]\n",
         "f.yaml:1:32: error: must have at most 8 bytes\nnodes: [{ url: http://a, name: "
         "much-too-long }]\n"
         "                               ^\n"},
        {"nodes: [{ url: http://a, models: [a, b, c] }]\n",
         "f.yaml:1:34: error: must have at most 2 items\nnodes: [{ url: http://a, models: [a, b, "
         "c] }]\n"
         "                                 ^\n"},
        {"nodes: [http://a, http://b, http://c, http://d]\n",
         "f.yaml:1:8: error: must have at most 3 items\nnodes: [http://a, http://b, http://c, "
         "http://d]\n       ^\n"},
        {"classes: [a]\n",
         "f.yaml:1:10: error: must be a mapping of names, not a list\nclasses: [a]\n         ^\n"},
        {"classes: { a: 1s, a: 2s }\n", "f.yaml:1:19: error: `a` is set twice, first in line "
                                        "1\nclasses: { a: 1s, a: 2s }\n                  ^\n"},
        {"classes: { a: { name: b } }\n", "f.yaml:1:17: error: unknown key `name`\nclasses: { a: { "
                                          "name: b } }\n                ^\n"},
        {"- a\n", "f.yaml:1:1: error: must be a mapping, not a list\n- a\n^\n"},
        {"{ [a]: b }\n", "f.yaml:1:3: error: a key must be a word\n{ [a]: b }\n  ^\n"},
        {"retry: &r { jitter: 0.1 }\n", "f.yaml:1:8: error: anchors (&name) are not "
                                        "supported\nretry: &r { jitter: 0.1 }\n       ^\n"},
        {"retry: *r\n",
         "f.yaml:1:8: error: aliases (*name) are not supported\nretry: *r\n       ^\n"},
        {"listen: { http: [*a] }\n", "f.yaml:1:18: error: aliases (*name) are not "
                                     "supported\nlisten: { http: [*a] }\n                 ^\n"},
        {"listen: { admin: !!str a }\n",
         "f.yaml:1:18: error: tags (!name) are not supported\nlisten: { admin: !!str a }\n         "
         "        ^\n"},
        {"retry: {}\n---\nretry: {}\n",
         "f.yaml:2:1: error: only one document is allowed in a file\n---\n^\n"},
        {"retry:\n\tjitter: 1\n",
         "f.yaml:2:1: error: a tab cannot indent, use spaces\n\tjitter: 1\n^\n"},
        {"listen:  # \xc3\xa4\xc3\xb6\n  admin: \xc3\xa4\xc3\xb6\nlisten: {admin: '\xc3\xa4', "
         "http: }\n",
         "f.yaml:3:1: error: `listen` is set twice, first in line 1\nlisten: {admin: '\xc3\xa4', "
         "http: }\n^\n"},
        {"log: { '\xc3\xa4\xc3\xb6': 1, level: x }\n",
         "f.yaml:1:8: error: unknown key `\xc3\xa4\xc3\xb6`\nlog: { '\xc3\xa4\xc3\xb6': 1, level: "
         "x }\n       ^\n"
         "f.yaml:1:24: error: must be one of debug, info or warn\nlog: { '\xc3\xa4\xc3\xb6': 1, "
         "level: x }\n"
         "                       ^\n"},
        {"token: 12345678901\n", "f.yaml:1:8: error: must have at most 10 bytes\n"},
        {"listen: { admin: \"a\\0b\" }\n", "f.yaml:1:18: error: must not have a NUL byte\nlisten: "
                                           "{ admin: \"a\\0b\" }\n                 ^\n"},
        {"retry: { jitter: 2 }\nrtry: 1\nlog: { level: 5 }\n",
         "f.yaml:1:18: error: must be at most 1\nretry: { jitter: 2 }\n                 ^\n"
         "f.yaml:2:1: error: unknown key `rtry`, did you mean `retry`?\nrtry: 1\n^\n"
         "f.yaml:3:15: error: must be one of debug, info or warn\nlog: { level: 5 }\n              "
         "^\n"},
        {"log: { level: info\n", "f.yaml:2:1: error: did not find expected ',' or '}', while "
                                 "parsing a flow mapping\n\n^\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(fixture_load(&f, rows[i].text), -EX_CONFIG);
        assert_string_equal(text_of(&f.errors), rows[i].errors);
        fixture_fini(&f);
    }
}

static void a_refused_value_leaves_the_old_one(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(
        fixture_load(&f, "nodes: [http://a]\nretry: {max_retries: 9}\nlisten: {http: x}\n"), 0);
    assert_int_equal(
        fixture_load(&f, "nodes: [http://b, x]\nretry: {max_retries: 900}\nlisten: {http: []}\n"),
        -EX_CONFIG);
    assert_int_equal(f.up.nodes.n, 1);
    assert_string_equal(node_at(&f, 0)->url, "http://a");
    assert_int_equal(f.up.max_retries, 9);
    assert_string_equal(f.door.listen_http.items[0], "x");
    fixture_fini(&f);
}

/* A file of its own with this text, removed by the caller. */
static void write_secret(char path[static 32], const char *text)
{
    int fd;

    (void)snprintf(path, 32, "/tmp/secret-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void a_secret_may_stand_in_a_file_of_its_own(void **state)
{
    struct fixture f;
    char path[32];
    char text[128];

    (void)state;
    write_secret(path, "sesame\n");
    fixture_init(&f);
    (void)snprintf(text, sizeof(text), "token_file: %s\n", path);
    assert_int_equal(fixture_load(&f, text), 0);
    assert_string_equal(f.door.token, "sesame");
    fixture_fini(&f);

    fixture_init(&f);
    (void)snprintf(text, sizeof(text), "token: a\ntoken_file: %s\n", path);
    assert_int_equal(fixture_load(&f, text), -EX_CONFIG);
    assert_string_equal(text_of(&f.errors), "f.yaml:2:13: error: is set twice, here and in line 1: "
                                            "as itself and as a file\n");
    fixture_fini(&f);
    (void)unlink(path);
}

static void a_file_for_a_secret_must_be_a_regular_one_and_only_secrets_have_one(void **state)
{
    static const char *const bad[] = {
        "token_file: /nowhere/token\n",
        "token_file: /dev/zero\n",
        "token_file: /tmp\n",
        "listen: { admin_file: /etc/hostname }\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(fixture_load(&f, bad[i]), -EX_CONFIG);
        fixture_fini(&f);
    }
}

static void variables_are_replaced_in_values_only(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(setenv("FIXTURE_V", "http://a, b: [", 1), 0);
    assert_int_equal(setenv("FIXTURE_EMPTY", "", 1), 0);
    assert_int_equal(unsetenv("FIXTURE_NONE"), 0);
    fixture_init(&f);
    assert_int_equal(
        fixture_load(
            &f, "listen: { http: ['${FIXTURE_V}', \"$${X}$\"], admin: '<${FIXTURE_EMPTY:-d}>' }\n"
                "token: ${FIXTURE_EMPTY}\nretry:\n  max_retries: ${FIXTURE_NONE:-8}\n"),
        0);
    assert_string_equal(f.door.listen_http.items[0], "http://a, b: [");
    assert_string_equal(f.door.listen_http.items[1], "${X}$");
    assert_string_equal(f.door.admin, "<d>");
    assert_string_equal(f.door.token, "");
    assert_int_equal(f.up.max_retries, 8);
    assert_int_equal(
        fixture_load(&f,
                     "listen: { admin: '${FIXTURE_NONE}' }\nlog: { level: '${' }\ntoken: ${1}\n"),
        -EX_CONFIG);
    assert_string_equal(
        text_of(&f.errors),
        "f.yaml:1:18: error: variable `FIXTURE_NONE` is not set; ${FIXTURE_NONE:-text} would give "
        "it a "
        "default\nlisten: { admin: '${FIXTURE_NONE}' }\n                 ^\n"
        "f.yaml:2:15: error: `${` has no closing `}`\nlog: { level: '${' }\n              ^\n"
        "f.yaml:3:8: error: a variable is written ${NAME} or ${NAME:-default}\n");
    fixture_fini(&f);
}

static void depth_size_and_errors_have_limits(void **state)
{
    struct buf text = BUF_INIT(2 * SETTINGS_MAX_FILE);
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(fixture_load(&f, "x: [[[[[[[[[[[[[[[[[[[[[["), -EX_CONFIG);
    assert_string_equal(text_of(&f.errors),
                        "f.yaml:1:1: error: unknown key `x`\nx: [[[[[[[[[[[[[[[[[[[[[[\n^\n"
                        "f.yaml:1:19: error: nested more than 16 deep\nx: [[[[[[[[[[[[[[[[[[[[[[\n"
                        "                  ^\n");
    buf_reset(&f.errors);
    while (text.len <= SETTINGS_MAX_FILE)
        assert_int_equal(buf_printf(&text, "unknown%zu: 1\n", text.len), 0);
    assert_int_equal(fixture_load(&f, text_of(&text)), -EX_CONFIG);
    assert_string_equal(text_of(&f.errors), "f.yaml: error: larger than 1 MiB\n");
    text.len = SETTINGS_MAX_FILE / 2;
    assert_int_equal(fixture_load(&f, text_of(&text)), -EX_CONFIG);
    assert_non_null(strstr(text_of(&f.errors), "\nerror: too many errors\n"));
    assert_int_equal(f.s.n_errors, SETTINGS_MAX_ERRORS + 1);
    buf_fini(&text);
    fixture_fini(&f);
}

static void a_file_is_read_and_a_missing_one_told(void **state)
{
    char path[] = "/tmp/settings_test_XXXXXX";
    int fd = mkstemp(path);
    struct fixture f;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "retry: { max_retries: 6 }\n", 26), 26);
    assert_int_equal(close(fd), 0);
    fixture_init(&f);
    assert_int_equal(settings_load_yaml(&f.s, path, &f.errors), 0);
    assert_int_equal(f.up.max_retries, 6);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(settings_load_yaml(&f.s, "/nowhere/f.yaml", &f.errors), -EX_CONFIG);
    assert_string_equal(text_of(&f.errors), "/nowhere/f.yaml: error: No such file or directory\n");
    fixture_fini(&f);
}

static void a_later_problem_points_at_the_item(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_int_equal(
        fixture_load(&f,
                     "nodes:\n  - { name: a, url: http://a }\n  - { name: a, url: http://b }\n"),
        0);
    assert_int_equal(settings_error(&f.s, "nodes", 1, &f.errors, "name `%s` is used twice", "a"),
                     -EX_CONFIG);
    assert_int_equal(settings_error(&f.s, "retry.jitter", SETTINGS_NO_ITEM, &f.errors, "no"),
                     -EX_CONFIG);
    assert_string_equal(text_of(&f.errors),
                        "f.yaml:3:5: error: name `a` is used twice\n"
                        "  - { name: a, url: http://b }\n    ^\nerror: retry.jitter: no\n");
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_fills_the_targets),
        cmocka_unit_test(what_is_printed_loads_again_to_the_same),
        cmocka_unit_test(an_empty_file_and_json_are_fine),
        cmocka_unit_test(problems_are_told_with_line_and_caret),
        cmocka_unit_test(a_refused_value_leaves_the_old_one),
        cmocka_unit_test(a_secret_may_stand_in_a_file_of_its_own),
        cmocka_unit_test(a_file_for_a_secret_must_be_a_regular_one_and_only_secrets_have_one),
        cmocka_unit_test(variables_are_replaced_in_values_only),
        cmocka_unit_test(depth_size_and_errors_have_limits),
        cmocka_unit_test(a_file_is_read_and_a_missing_one_told),
        cmocka_unit_test(a_later_problem_points_at_the_item),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
