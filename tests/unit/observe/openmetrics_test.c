/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "observe/openmetrics.h"

static void a_counters_family_loses_its_total_and_the_end_is_marked(void **state)
{
    static const char text[] =
        "# HELP a_total Things a_total\n# TYPE a_total counter\na_total{b=\"1\"} 2\n"
        "# HELP c Now\n# TYPE c gauge\nc 3\n";
    static const char wanted[] = "# HELP a Things a_total\n# TYPE a counter\na_total{b=\"1\"} 2\n"
                                 "# HELP c Now\n# TYPE c gauge\nc 3\n# EOF\n";
    struct buf out = BUF_INIT(4096);

    (void)state;
    assert_int_equal(openmetrics_print(str_of(text), &out), 0);
    assert_int_equal(out.len, strlen(wanted));
    assert_memory_equal(out.data, wanted, out.len);
    buf_fini(&out);
}

static void it_is_given_to_who_asks_for_it(void **state)
{
    static const struct {
        const char *accept;
        bool is_accepted;
    } rows[] = {
        {"", false},
        {"*/*", false},
        {"text/plain", false},
        {"application/openmetrics-text", true},
        {"application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5", true},
        {"text/plain, Application/OpenMetrics-Text; version=1.0.0", true},
        {"application/openmetrics-text;q=0", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(openmetrics_is_accepted(str_of(rows[i].accept)), rows[i].is_accepted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counters_family_loses_its_total_and_the_end_is_marked),
        cmocka_unit_test(it_is_given_to_who_asks_for_it),
    };

    return cmocka_run_group_tests_name("observe/openmetrics", tests, NULL, NULL);
}
