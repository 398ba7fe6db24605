/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/quantity.h"
#include "config/suggest.h"

struct row {
    const char *text;
    const struct quantity_unit *units;
    int result;
    uint64_t value;
    const char *printed;
};

static void quantities_are_exact_both_ways(void **state)
{
    static const struct row rows[] = {
        {"250ms", quantity_time, 0, 250000000, "250ms"},
        {"1.5s", quantity_time, 0, 1500000000, "1500ms"},
        {"60s", quantity_time, 0, UINT64_C(60000000000), "1m"},
        {"0", quantity_time, 0, 0, "0"},
        {"0s", quantity_time, 0, 0, "0"},
        {"0.000001ms", quantity_time, 0, 1, "1ns"},
        {"106751d", quantity_time, 0, UINT64_C(9223286400000000000), "106751d"},
        {"106752d", quantity_time, -ERANGE, 0, NULL},
        {"999999999999999d", quantity_time, -ERANGE, 0, NULL},
        {"5", quantity_time, -EINVAL, 0, NULL},
        {"", quantity_time, -EINVAL, 0, NULL},
        {"s", quantity_time, -EINVAL, 0, NULL},
        {".5s", quantity_time, -EINVAL, 0, NULL},
        {"5.s", quantity_time, -EINVAL, 0, NULL},
        {"1.2.3s", quantity_time, -EINVAL, 0, NULL},
        {"-5s", quantity_time, -EINVAL, 0, NULL},
        {"5 s", quantity_time, -EINVAL, 0, NULL},
        {"5S", quantity_time, -EINVAL, 0, NULL},
        {"1234567890123456s", quantity_time, -ERANGE, 0, NULL},
        {"12345678901234567890ns", quantity_time, -EINVAL, 0, NULL},
        {"9223372036854775807ns", quantity_time, 0, INT64_MAX, "9223372036854775807ns"},
        {"9223372036854775808ns", quantity_time, -ERANGE, 0, NULL},
        {"64KiB", quantity_bytes, 0, 65536, "64KiB"},
        {"1GB", quantity_bytes, 0, 1000000000, "1000000000B"},
        {"1.5MiB", quantity_bytes, 0, 1572864, "1536KiB"},
        {"8388607TiB", quantity_bytes, 0, UINT64_C(9223370937343148032), "8388607TiB"},
        {"8388608TiB", quantity_bytes, -ERANGE, 0, NULL},
        {"27777777GB", quantity_bytes, 0, UINT64_C(27777777000000000), "27777777000000000B"},
        {"1k", quantity_bytes, -EINVAL, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out = BUF_INIT(64);
        uint64_t value = 0;

        assert_int_equal(quantity_parse(str_of(rows[i].text), rows[i].units, &value),
                         rows[i].result);
        assert_int_equal(value, rows[i].value);
        if (rows[i].printed != NULL) {
            assert_int_equal(quantity_print(value, rows[i].units, &out), 0);
            assert_true(str_eq(buf_str(&out), str_of(rows[i].printed)));
            assert_int_equal(quantity_parse(buf_str(&out), rows[i].units, &value), 0);
            assert_int_equal(value, rows[i].value);
        }
        buf_fini(&out);
    }
}

static void decimals_have_no_sign_and_no_exponent(void **state)
{
    static const char *const bad[] = {
        "", "-1", "+1", "1e3", "nan", "inf", "0x1", "1.", ".1", "1 ", "1234567890123456"};
    double value = 0;

    (void)state;
    assert_int_equal(decimal_parse(STR("0.25"), &value), 0);
    assert_true(value > 0.2499 && value < 0.2501);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(decimal_parse(str_of(bad[i]), &value), -EINVAL);
}

struct near {
    const char *word;
    const char *best;
};

static void the_nearest_word_within_two_edits_is_suggested(void **state)
{
    static const char *const words[] = {"connect", "metadata", "queue", "total", "tier"};
    static const struct near rows[] = {
        {"conect", "connect"},
        {"connetc", "connect"},
        {"konnekt", "connect"},
        {"konnekd", NULL},
        {"queu", "queue"},
        {"uqeeu", "queue"},
        {"x", NULL},
        {"ab", NULL},
        {"teir", "tier"},
        {"", NULL},
        {"totals", "total"},
        {"metdaat", "metadata"},
    };
    static const char too_long[] =
        "connectconnectconnectconnectconnectconnectconnectconnectconnectconnect";
    struct suggestion s;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        suggest_init(&s, str_of(rows[i].word));
        for (size_t j = 0; j < sizeof(words) / sizeof(words[0]); j++)
            suggest_offer(&s, str_of(words[j]));
        assert_true(str_eq(s.best, str_of(rows[i].best)));
    }
    suggest_init(&s, str_of(too_long));
    suggest_offer(&s, str_of(too_long));
    assert_null(s.best.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantities_are_exact_both_ways),
        cmocka_unit_test(decimals_have_no_sign_and_no_exponent),
        cmocka_unit_test(the_nearest_word_within_two_edits_is_suggested),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
