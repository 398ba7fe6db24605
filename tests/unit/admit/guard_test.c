/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admit/guard.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

struct verdict {
    const char *text;
    bool is_allowed;
};

static void check_origins(const char *list, const struct verdict *rows, size_t n_rows)
{
    CLEANUP(guard_fini) struct guard g = {0};

    assert_int_equal(guard_init(&g, str_of(list), STR("gateway-1")), 0);
    for (size_t i = 0; i < n_rows; i++)
        if (guard_allows_origin(&g, str_of(rows[i].text)) != rows[i].is_allowed)
            fail_msg("list \"%s\", origin \"%s\": not %d", list, rows[i].text, rows[i].is_allowed);
}

static void ollamas_default_origins_are_allowed_and_no_others(void **state)
{
    static const struct verdict rows[] = {
        {"http://localhost", true},
        {"https://localhost", true},
        {"http://localhost:3000", true},
        {"https://localhost:65535", true},
        {"http://127.0.0.1:8080", true},
        {"http://[::1]", true},
        {"https://[::1]:3000", true},
        {"http://0.0.0.0:1", true},
        {"HTTP://LocalHost:3000", true},
        {"app://anything", true},
        {"app://", true},
        {"file://", true},
        {"file:///home/me/page.html", true},
        {"tauri://localhost", true},
        {"vscode-webview://1a2b3c", true},
        {"vscode-file://vscode-app", true},
        {"http://localhost.evil.example", false},
        {"http://localhostevil", false},
        {"http://localhost:3000.evil.example", false},
        {"http://localhost:", false},
        {"http://localhost:99999", false},
        {"http://localhost:80:80", false},
        {"http://localhost@evil.example", false},
        {"http://evil.example/http://localhost", false},
        {"http://evil.example", false},
        {"https://evil.example:11434", false},
        {"http://127.0.0.2", false},
        {"http://127.0.0.199", false},
        {"http://127.0.0.1.evil.example", false},
        {"http://[::1", false},
        {"http://[::1]evil", false},
        {"http://192.168.1.5", false},
        {"ws://localhost", false},
        {"xapp://x", false},
        {"app:", false},
        {"app:/x", false},
        {"localhost", false},
        {"://localhost", false},
        {"http://", false},
        {"", false},
        {"null", false},
        {"NULL", false},
        {"http://localhost http://evil.example", false},
        {"app://x y", false},
        {" http://localhost", false},
        {"http://localhost\t", false},
        {"chrome-extension://abcdef", false},
    };

    (void)state;
    check_origins("", rows, N_OF(rows));
    check_origins(" , ,, ", rows, N_OF(rows));
}

static void configured_origins_join_the_defaults(void **state)
{
    static const struct verdict rows[] = {
        {"https://chat.example", true},
        {"HTTPS://Chat.Example", true},
        {"https://chat.example:443", false},
        {"http://chat.example", false},
        {"https://chat.example.evil", false},
        {"https://other.example:8443", true},
        {"http://localhost:5", true},
        {"https://evil.example", false},
        {"null", false},
    };

    (void)state;
    check_origins("https://chat.example,https://OTHER.example:8443", rows, N_OF(rows));
    check_origins(" \"https://chat.example , https://other.example:8443,\" ", rows, N_OF(rows));
}

static void a_star_stands_for_any_text_anywhere(void **state)
{
    static const struct {
        const char *pattern, *origin;
        bool is_allowed;
    } rows[] = {
        {"https://*.example.com", "https://a.example.com", true},
        {"https://*.example.com", "https://a.b.example.com", true},
        {"https://*.example.com", "https://.example.com", true},
        {"https://*.example.com", "https://example.com", false},
        {"https://*.example.com", "http://a.example.com", false},
        {"https://*.example.com", "https://a.example.com:80", false},
        {"*.example.com", "https://a.example.com", true},
        {"*.example.com", "http://a.EXAMPLE.com", true},
        {"*.example.com", "https://aexample.com", false},
        {"http://10.0.0.*", "http://10.0.0.7:3000", true},
        {"http://10.0.0.*", "http://10.0.1.7", false},
        {"chrome-extension://*", "chrome-extension://abcdef", true},
        {"chrome-extension://*", "moz-extension://abcdef", false},
        {"http*://x", "http://x", true},
        {"http*://x", "https://x", true},
        {"http://*.a.*:80", "http://www.a.example:80", true},
        {"http://*.a.*:80", "http://www.b.example:80", false},
        {"http://*aab", "http://aaab", true},
        {"http://*ab*ab", "http://ab", false},
        {"http://*ab*ab", "http://abab", true},
        {"http://a*a", "http://a", false},
        {"http://**", "http://x", true},
        {"**", "http://x", true},
        {"**", "null", false},
        {"n*", "null", false},
        {"null", "null", false},
        {"example.com", "http://example.com", false},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++)
        check_origins(rows[i].pattern,
                      &(struct verdict){.text = rows[i].origin, .is_allowed = rows[i].is_allowed},
                      1);
}

static void a_lone_star_allows_every_origin(void **state)
{
    static const struct verdict rows[] = {
        {"https://evil.example", true},
        {"null", true},
        {"anything at all", true},
    };

    (void)state;
    check_origins("*", rows, N_OF(rows));
    check_origins("https://chat.example, * ", rows, N_OF(rows));
}

static void an_entry_that_can_match_nothing_is_found(void **state)
{
    static const struct {
        const char *list, *bad;
    } rows[] = {
        {"", ""},
        {"*", ""},
        {"https://a,*.b,app://*", ""},
        {"https://a, example.com ,b", "example.com"},
        {"\"null\"", "null"},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++)
        assert_true(str_eq(guard_find_bad_origin(str_of(rows[i].list)), str_of(rows[i].bad)));
}

static void check_hosts(const struct guard *g, const struct verdict *rows, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++)
        if (guard_allows_host(g, str_of(rows[i].text)) != rows[i].is_allowed)
            fail_msg("host \"%s\": not %d", rows[i].text, rows[i].is_allowed);
}

static void names_of_this_machine_and_its_network_are_allowed(void **state)
{
    static const struct verdict rows[] = {
        {"", true},
        {":11435", true},
        {"localhost", true},
        {"LOCALHOST:11435", true},
        {"gateway-1", true},
        {"Gateway-1:11435", true},
        {"chat.localhost", true},
        {"nas.local:80", true},
        {"a.b.internal", true},
        {"host.docker.INTERNAL:11435", true},
        {"evil.example", false},
        {"evil.example:11435", false},
        {"localhost.evil.example", false},
        {"gateway-1.evil.example", false},
        {"gateway-12", false},
        {"evillocalhost", false},
        {"evillocal", false},
        {".local", false},
        {".localhost", false},
        {"local", false},
        {"internal", false},
        {"localhost:", false},
        {"localhost:port", false},
        {"localhost:99999", false},
        {"localhost:80:80", false},
        {"localhost/evil.example", false},
        {"evil.example#.local", false},
        {"evil.example/.local", false},
        {"evil@localhost", false},
        {"evil.example .local", false},
        {"localhost,evil.example", false},
    };
    CLEANUP(guard_fini) struct guard g = {0};

    (void)state;
    assert_int_equal(guard_init(&g, STR_NULL, STR("gateway-1")), 0);
    check_hosts(&g, rows, N_OF(rows));
    assert_false(guard_allows_host(&g, STR("localhost\0.evil.example")));
}

static void only_near_addresses_are_allowed(void **state)
{
    static const struct verdict rows[] = {
        {"127.0.0.1", true},
        {"127.255.255.255:1", true},
        {"128.0.0.1", false},
        {"126.255.255.255", false},
        {"0.0.0.0:11435", true},
        {"0.0.0.1", false},
        {"10.0.0.0", true},
        {"10.255.255.255", true},
        {"11.0.0.0", false},
        {"9.255.255.255", false},
        {"172.15.255.255", false},
        {"172.16.0.0", true},
        {"172.31.255.255", true},
        {"172.32.0.0", false},
        {"192.167.255.255", false},
        {"192.168.0.0:80", true},
        {"192.168.255.255", true},
        {"192.169.0.0", false},
        {"169.253.255.255", false},
        {"169.254.169.254", true},
        {"169.255.0.0", false},
        {"100.64.0.1", false},
        {"8.8.8.8", false},
        {"[::1]", true},
        {"[::1]:11435", true},
        {"::1", true},
        {"[::]", true},
        {"[0:0:0:0:0:0:0:1]:80", true},
        {"[::2]", false},
        {"[fbff::1]", false},
        {"[fc00::1]", true},
        {"[fdff:1::1]:80", true},
        {"[fe00::1]", false},
        {"[fe7f::1]", false},
        {"[fe80::1]", true},
        {"[febf::1]", true},
        {"[FE80::1]:1", true},
        {"[fec0::1]", false},
        {"[ff02::1]", false},
        {"[2001:db8::1]:80", false},
        {"[::ffff:10.1.2.3]", true},
        {"[::ffff:127.0.0.1]:80", true},
        {"[::ffff:8.8.8.8]", false},
        {"[::127.0.0.1]", false},
        {"[127.0.0.1]", false},
        {"[localhost]", false},
        {"[::1", false},
        {"[::1]x", false},
        {"2130706433", false},
        {"0x7f000001", false},
        {"127.1", false},
        {"0177.0.0.1", false},
        {"127.0.0.1.", false},
        {"127.0.0.1.evil.example", false},
        {"127.0.0.256", false},
    };
    CLEANUP(guard_fini) struct guard g = {0};

    (void)state;
    assert_int_equal(guard_init(&g, STR_NULL, STR("gateway-1")), 0);
    check_hosts(&g, rows, N_OF(rows));
}

static void a_machine_without_a_usable_name_has_none(void **state)
{
    CLEANUP(guard_fini) struct guard unnamed = {0};
    CLEANUP(guard_fini) struct guard overlong = {0};
    char name[256];

    (void)state;
    memset(name, 'a', sizeof(name));
    assert_int_equal(guard_init(&unnamed, STR_NULL, STR_NULL), 0);
    assert_int_equal(guard_init(&overlong, STR_NULL, str_make(name, 256)), 0);
    assert_false(guard_allows_host(&unnamed, STR("gateway-1")));
    assert_false(guard_allows_host(&overlong, str_make(name, 255)));
    assert_true(guard_allows_host(&unnamed, STR("localhost")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ollamas_default_origins_are_allowed_and_no_others),
        cmocka_unit_test(configured_origins_join_the_defaults),
        cmocka_unit_test(a_star_stands_for_any_text_anywhere),
        cmocka_unit_test(a_lone_star_allows_every_origin),
        cmocka_unit_test(an_entry_that_can_match_nothing_is_found),
        cmocka_unit_test(names_of_this_machine_and_its_network_are_allowed),
        cmocka_unit_test(only_near_addresses_are_allowed),
        cmocka_unit_test(a_machine_without_a_usable_name_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
