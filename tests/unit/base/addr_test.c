/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/addr.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

static void listener_addresses_are_read(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } rows[] = {
        {"127.0.0.1:11435", "127.0.0.1", 11435},
        {"[::1]:80", "::1", 80},
        {"[::1]", "::1", 99},
        {"::1", "::1", 99},
        {"fe80::1%eth0", "fe80::1%eth0", 99},
        {"[fe80::1%eth0]:1", "fe80::1%eth0", 1},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.1", 99},
        {":8080", "", 8080},
        {"localhost", "localhost", 99},
        {"gpu-a.example:0", "gpu-a.example", 0},
        {"h:65535", "h", 65535},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct addr a;

        assert_int_equal(addr_parse(str_of(rows[i].text), 99, &a), 0);
        assert_string_equal(a.host, rows[i].host);
        assert_int_equal(a.port, rows[i].port);
    }
}

static void malformed_addresses_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "h:",
        "h:65536",
        "h:-1",
        "h:+1",
        "h:8o",
        "h: 80",
        "[::1",
        "[]:80",
        "[::1]80",
        "[::1]:",
        "[h]:80",
        "::1]:80",
        "a b:80",
        "user@h:80",
        "h/path",
        "h?x",
        "h#x",
        "h\\x",
        "a:b:c",
        "10.0.0.1:80:80",
        "[1.2.3.4]",
        "[::1%]\n:80",
        "h\x80:80",
        "\"h\":80",
        "<h>:80",
        "[[::1]]:1",
        "1:2:3:4:5:6:7:8:9",
    };
    char long_host[300];

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct addr a = {.port = 7};

        if (addr_parse(str_of(rows[i]), 99, &a) != -EINVAL)
            fail_msg("accepted: %s", rows[i]);
        assert_int_equal(a.port, 7);
    }
    memset(long_host, 'a', sizeof(long_host));
    assert_int_equal(addr_parse(str_make(long_host, 256), 99, &(struct addr){0}), -EINVAL);
    assert_int_equal(addr_parse(str_make(long_host, 255), 99, &(struct addr){0}), 0);
    assert_int_equal(addr_parse(STR("a\0b:80"), 99, &(struct addr){0}), -EINVAL);
}

static void a_name_that_looks_like_loopback_is_not(void **state)
{
    static const struct {
        const char *host;
        bool is_loopback;
    } rows[] = {
        {"127.0.0.1", true},
        {"127.255.1.2", true},
        {"::1", true},
        {"0:0:0:0:0:0:0:1", true},
        {"::ffff:127.0.0.1", true},
        {"localhost", true},
        {"LocalHost", true},
        {"127.evil.example", false},
        {"127.0.0.1.evil.example", false},
        {"128.0.0.1", false},
        {"10.0.0.1", false},
        {"0.0.0.0", false},
        {"::", false},
        {"::ffff:10.0.0.1", false},
        {"", false},
        {"localhost.evil.example", false},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct addr a = {0};

        memcpy(a.host, rows[i].host, strlen(rows[i].host));
        if (addr_is_loopback(&a) != rows[i].is_loopback)
            fail_msg("wrong for %s", rows[i].host);
    }
}

static void printed_addresses_can_be_read_again(void **state)
{
    static const char *const rows[] = {"127.0.0.1:1", "[::1]:80", ":8080", "gpu-a:65535"};
    char out[280];

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct addr a;

        assert_int_equal(addr_parse(str_of(rows[i]), 0, &a), 0);
        assert_string_equal(addr_print(&a, out), rows[i]);
    }
}

static void node_urls_are_read_as_ollama_reads_its_host(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *path;
    } rows[] = {
        {"http://10.0.0.11:11434", "10.0.0.11", 11434, ""},
        {"http://10.0.0.11", "10.0.0.11", 80, ""},
        {"10.0.0.11", "10.0.0.11", 11434, ""},
        {"10.0.0.11:1234", "10.0.0.11", 1234, ""},
        {"HTTP://gpu-a/", "gpu-a", 80, ""},
        {"http://gpu-a/ollama/v2//", "gpu-a", 80, "/ollama/v2"},
        {"gpu-a/ollama", "gpu-a", 11434, "/ollama"},
        {"0.0.0.0", "127.0.0.1", 11434, ""},
        {"0.0.0.0:80", "127.0.0.1", 80, ""},
        {"http://[::]:5", "::1", 5, ""},
        {"[::1]", "::1", 11434, ""},
        {":5000", "127.0.0.1", 5000, ""},
        {" \"gpu-a:5\" ", "gpu-a", 5, ""},
        {"' gpu-a '", "gpu-a", 11434, ""},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct url u;

        if (url_parse_node(str_of(rows[i].text), &u) != 0)
            fail_msg("refused: %s", rows[i].text);
        assert_string_equal(u.scheme, "http");
        assert_string_equal(u.addr.host, rows[i].host);
        assert_int_equal(u.addr.port, rows[i].port);
        assert_string_equal(u.path, rows[i].path);
    }
}

static void unusable_node_urls_are_refused(void **state)
{
    static const struct {
        const char *text;
        int r;
    } rows[] = {
        {"", -EINVAL},
        {"\"\"", -EINVAL},
        {"http://", -EINVAL},
        {"http:///x", -EINVAL},
        {"http://h:0", -EINVAL},
        {"http://h:99999", -EINVAL},
        {"http://user:pw@h", -EINVAL},
        {"http://h/x?y=1", -EINVAL},
        {"http://h/x#y", -EINVAL},
        {"http://h?y", -EINVAL},
        {"http://h/a b", -EINVAL},
        {"https://h", -EPROTONOSUPPORT},
        {"mcps://h", -EPROTONOSUPPORT},
        {"://h", -EPROTONOSUPPORT},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct url u;

        if (url_parse_node(str_of(rows[i].text), &u) != rows[i].r)
            fail_msg("wrong for: %s", rows[i].text);
    }
}

static void endpoints_are_read_strictly(void **state)
{
    static const struct {
        const char *text;
        const char *scheme;
        const char *host;
        uint16_t port;
        const char *path;
    } rows[] = {
        {"gpu-a", "mcp", "gpu-a", 11436, ""},
        {"mcp://gpu-a:5", "mcp", "gpu-a", 5, ""},
        {"HTTP://gpu-a", "http", "gpu-a", 11435, ""},
        {"http://[::1]:80/ollama/v2/", "http", "::1", 80, "/ollama/v2"},
    };
    static const char *const refused[] = {"",           "https://h",  "mcp://h/x",   "http://h/x?y",
                                          "http://h:0", "http://:80", "http://h/a b"};
    const struct url_ports ports = {.mcp = 11436, .http = 11435};
    struct url u;

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        assert_int_equal(url_parse_endpoint(str_of(rows[i].text), ports, &u), 0);
        assert_string_equal(u.scheme, rows[i].scheme);
        assert_string_equal(u.addr.host, rows[i].host);
        assert_int_equal(u.addr.port, rows[i].port);
        assert_string_equal(u.path, rows[i].path);
    }
    for (size_t i = 0; i < N_OF(refused); i++)
        assert_int_equal(url_parse_endpoint(str_of(refused[i]), ports, &u), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listener_addresses_are_read),
        cmocka_unit_test(malformed_addresses_are_refused),
        cmocka_unit_test(a_name_that_looks_like_loopback_is_not),
        cmocka_unit_test(printed_addresses_can_be_read_again),
        cmocka_unit_test(node_urls_are_read_as_ollama_reads_its_host),
        cmocka_unit_test(unusable_node_urls_are_refused),
        cmocka_unit_test(endpoints_are_read_strictly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
