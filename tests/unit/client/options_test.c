/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/options.h"

static struct client_options read_ok(const chasqui_options *options)
{
    struct client_options o;

    assert_null(client_options_read(options, &o));
    return o;
}

static void the_defaults_are_those_of_the_header(void **state)
{
    struct client_options o = read_ok(NULL);

    (void)state;
    assert_int_equal(o.connect_timeout_ns, 3 * NSEC_PER_SEC);
    assert_int_equal(o.acquire_timeout_ns, 5 * NSEC_PER_SEC);
    assert_int_equal(o.heartbeat_ns, 30 * NSEC_PER_SEC);
    assert_int_equal(o.idle_close_ns, 60 * NSEC_PER_SEC);
    assert_int_equal(o.retry.base_delay_ns, 100 * NSEC_PER_MSEC);
    assert_int_equal(o.retry.max_delay_ns, 2 * NSEC_PER_SEC);
    assert_true(o.retry.jitter > 0.49 && o.retry.jitter < 0.51);
    assert_true(o.retry_share > 0.099 && o.retry_share < 0.101);
    assert_int_equal(o.retry_min, 10);
    assert_int_equal(o.connections, 2);
    assert_int_equal(o.max_message, 64 * 1024 * 1024);
    assert_int_equal(o.stream_limit, 256 * 1024);
    assert_int_equal(o.codec, CODEC_PROTOBUF);
    assert_int_equal(o.batch_calls, 0);
    assert_false(o.speaks_plain);
    assert_false(o.may_go_plain);
}

static void each_class_is_as_the_header_says(void **state)
{
    static const struct {
        const char *name;
        nsec_t timeout_s;
        nsec_t silence_s; /* 0: never */
        unsigned retries;
        bool is_idempotent;
    } rows[] = {
        {"request", 3, 0, 5, false},  {"query", 2, 0, 5, true},       {"order", 5, 0, 0, false},
        {"external", 8, 0, 5, false}, {"answer", 600, 120, 5, false},
    };
    struct client_options o = read_ok(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct client_class *c = client_options_class(&o, rows[i].name);

        assert_non_null(c);
        assert_int_equal(c->timeout_ns, rows[i].timeout_s * NSEC_PER_SEC);
        assert_int_equal(c->silence_ns,
                         rows[i].silence_s > 0 ? rows[i].silence_s * NSEC_PER_SEC : NSEC_NEVER);
        assert_int_equal(c->max_retries, rows[i].retries);
        assert_int_equal(c->is_idempotent, rows[i].is_idempotent);
    }
    assert_int_equal(o.n_classes, sizeof(rows) / sizeof(rows[0]));
    assert_null(client_options_class(&o, "other"));
}

static void an_own_class_may_replace_one_that_is_there(void **state)
{
    const chasqui_class_options classes[] = {
        {.size = sizeof(classes[0]), .name = "query", .timeout_ms = 70, .max_retries = 1},
        {.size = sizeof(classes[0]), .name = "own", .max_retries = CHASQUI_NO_RETRIES},
    };
    const chasqui_options options = {.size = sizeof(options), .classes = classes, .n_classes = 2};
    struct client_options o = read_ok(&options);

    (void)state;
    assert_int_equal(client_options_class(&o, "query")->timeout_ns, 70 * NSEC_PER_MSEC);
    assert_int_equal(client_options_class(&o, "query")->max_retries, 1);
    assert_false(client_options_class(&o, "query")->is_idempotent);
    assert_int_equal(client_options_class(&o, "own")->timeout_ns, 3 * NSEC_PER_SEC);
    assert_int_equal(client_options_class(&o, "own")->max_retries, 0);
}

/* A struct of a newer program; what we do not know of it stands behind. */
struct newer {
    chasqui_options options;
    uint64_t unknown;
};

static void programs_older_and_newer_than_the_library_are_understood(void **state)
{
    const chasqui_options older = {.size = offsetof(chasqui_options, heartbeat_ms),
                                   .timeout_ms = 70,
                                   .heartbeat_ms = 1}; /* not there for a struct of this size */
    struct newer newer = {.options = {.size = sizeof(newer), .timeout_ms = 80}};
    struct client_options o = read_ok(&older);

    (void)state;
    assert_int_equal(client_options_class(&o, "request")->timeout_ns, 70 * NSEC_PER_MSEC);
    assert_int_equal(o.heartbeat_ns, 30 * NSEC_PER_SEC);
    o = read_ok(&newer.options);
    assert_int_equal(client_options_class(&o, "request")->timeout_ns, 80 * NSEC_PER_MSEC);
    newer.unknown = 1; /* it wants what is not known here */
    assert_string_equal(client_options_read(&newer.options, &o), "bad size of the options");
    newer.options.size = sizeof(size_t) - 1;
    assert_string_equal(client_options_read(&newer.options, &o), "bad size of the options");
}

static void what_is_out_of_range_is_named(void **state)
{
    chasqui_options options = {.size = sizeof(options), .heartbeat_ms = 999};
    struct client_options o;

    (void)state;
    assert_string_equal(client_options_read(&options, &o), "bad option: heartbeat_ms");
    options = (chasqui_options){.size = sizeof(options), .codec = 99};
    assert_string_equal(client_options_read(&options, &o), "bad option: codec");
    options = (chasqui_options){.size = sizeof(options), .profile = 4};
    assert_string_equal(client_options_read(&options, &o), "bad option: profile");
    options = (chasqui_options){.size = sizeof(options), .key = "with space"};
    assert_non_null(client_options_read(&options, &o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_those_of_the_header),
        cmocka_unit_test(each_class_is_as_the_header_says),
        cmocka_unit_test(an_own_class_may_replace_one_that_is_there),
        cmocka_unit_test(programs_older_and_newer_than_the_library_are_understood),
        cmocka_unit_test(what_is_out_of_range_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
