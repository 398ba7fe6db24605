/* SPDX-License-Identifier: MIT */
#include "base/buf.h"
#include "base/err.h"
#include "exact.h"
#include "http/h1.h"

/*
 * Parses without scanning first: a parser must hold on its own. The slices of @ret_head die with
 * the copy.
 */
static int parse(struct str text, struct h1_head *ret_head)
{
    char *copy = exact_copy(text);
    int r = h1_parse_request(str_make(copy, text.len), ret_head);

    free(copy);
    return r;
}

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct h1_head head;
        int r = parse(str_make(rows[i].s, rows[i].len), &head);

        if (r != rows[i].err)
            fail_msg("row %zu: got %d, wanted %d: %s", i, r, rows[i].err, rows[i].s);
    }
}

/* For heads that must be right; the literal outlives the slices. */
static struct h1_head read_head(const char *text)
{
    struct h1_head head;
    int r = h1_parse_request(str_of(text), &head);

    if (r != 0)
        fail_msg("%d for %s", r, text);
    return head;
}

#define LINE(line)          line "\r\nHost: a\r\n\r\n"
#define FIELDS(lines)       "POST / HTTP/1.1\r\nHost: a\r\n" lines "\r\n\r\n"
#define HOST(value)         "GET / HTTP/1.1\r\nHost: " value "\r\n\r\n"
#define OLD(lines)          "POST / HTTP/1.0\r\n" lines "\r\n\r\n"
#define TARGET(target)      "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define ABSOLUTE(host, url) "GET " url " HTTP/1.1\r\nHost: " host "\r\n\r\n"

static void a_request_is_taken_apart(void **state)
{
    struct h1_head head =
        read_head("\r\nPOST /api/chat?x=1&y=?z HTTP/1.1\r\nHost: Ollama.Example:11434\r\n"
                  "Content-Type:application/json\r\nX-Empty:\r\nX-Pad: \t v w \t \r\n"
                  "content-LENGTH: 12\r\n\r\n");

    (void)state;
    assert_int_equal(head.method, H1_POST);
    assert_str(head.method_name, "POST");
    assert_str(head.path, "/api/chat");
    assert_str(head.query, "x=1&y=?z");
    assert_str(head.host, "Ollama.Example:11434");
    assert_int_equal(head.minor, 1);
    assert_true(head.keep_alive);
    assert_false(head.has_upgrade);
    assert_false(head.expect_continue);
    assert_int_equal(head.framing, H1_BODY_LENGTH);
    assert_int_equal(head.length, 12);
    assert_int_equal(head.n_fields, 5);
    assert_str(head.fields[1].name, "Content-Type");
    assert_str(head.fields[1].value, "application/json");
    assert_str(h1_field_get(&head, STR("x-empty")), "");
    assert_non_null(h1_field_get(&head, STR("x-empty")).s);
    assert_str(h1_field_get(&head, STR("X-PAD")), "v w");
    assert_null(h1_field_get(&head, STR("x-none")).s);
}

static void the_request_line_has_three_parts_and_two_spaces(void **state)
{
    static const struct row rows[] = {
        ROW(LINE("GET / HTTP/1.1"), 0),
        ROW(LINE(""), -EX_H1_SYNTAX),
        ROW(LINE("GET"), -EX_H1_SYNTAX),
        ROW(LINE("GET "), -EX_H1_SYNTAX),
        ROW(LINE("GET /"), -EX_H1_SYNTAX), /* HTTP/0.9 */
        ROW(LINE("GET / "), -EX_H1_SYNTAX),
        ROW(LINE("GET  / HTTP/1.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET /  HTTP/1.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET / HTTP/1.1 "), -EX_H1_SYNTAX),
        ROW(LINE(" GET / HTTP/1.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET /a b HTTP/1.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET\t/ HTTP/1.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET /\tHTTP/1.1"), -EX_H1_TARGET),
        ROW(LINE("G(T / HTTP/1.1"), -EX_H1_SYNTAX),
        ROW(LINE("G\x80T / HTTP/1.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET: / HTTP/1.1"), -EX_H1_SYNTAX),
        ROW("GET / HTTP/1.1\n\n", -EX_H1_SYNTAX),
        ROW("GET / HTTP/1.1\r\n", -EX_H1_SYNTAX),
        ROW("GET / HTTP/1.1\r\nHost: a\r\n", -EX_H1_SYNTAX),
        ROW("GET / HTTP/1.1\r\nHost: a\r\n\r\nX: y\r\n", -EX_H1_SYNTAX),
        ROW("", -EX_H1_SYNTAX),
        ROW("\r\n", -EX_H1_SYNTAX),
        ROW("\n", -EX_H1_SYNTAX),
        ROW("\r\n\r\n", -EX_H1_SYNTAX),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void only_versions_1_0_and_1_1_are_spoken(void **state)
{
    static const struct row rows[] = {
        ROW(LINE("GET / HTTP/1.0"), 0),
        ROW(LINE("GET / HTTP/1.2"), -EX_H1_VERSION),
        ROW(LINE("GET / HTTP/1.9"), -EX_H1_VERSION),
        ROW(LINE("GET / HTTP/0.9"), -EX_H1_VERSION),
        ROW(LINE("PRI * HTTP/2.0"), -EX_H1_VERSION),
        ROW(LINE("GET / HTTP/3.1"), -EX_H1_VERSION),
        ROW(LINE("GET / http/1.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET / HTTP/1,1"), -EX_H1_SYNTAX),
        ROW(LINE("GET / HTTP/11"), -EX_H1_SYNTAX),
        ROW(LINE("GET / HTTP/1.10"), -EX_H1_SYNTAX),
        ROW(LINE("GET / HTTP/01.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET / HTTP/1.x"), -EX_H1_SYNTAX),
        ROW(LINE("GET / HTTP/x.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET / HTTP 1.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET / ICAP/1.1"), -EX_H1_SYNTAX),
        ROW(LINE("GET / HTTP/1."), -EX_H1_SYNTAX),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void methods_are_known_by_their_exact_name(void **state)
{
    static const struct {
        const char *text;
        enum h1_method method;
    } rows[] = {
        {TARGET("/"), H1_GET},
        {LINE("HEAD / HTTP/1.1"), H1_HEAD},
        {LINE("POST / HTTP/1.1"), H1_POST},
        {LINE("PUT / HTTP/1.1"), H1_PUT},
        {LINE("DELETE / HTTP/1.1"), H1_DELETE},
        {LINE("OPTIONS / HTTP/1.1"), H1_OPTIONS},
        {LINE("PATCH / HTTP/1.1"), H1_PATCH},
        {LINE("TRACE / HTTP/1.1"), H1_OTHER},
        {LINE("get / HTTP/1.1"), H1_OTHER},
        {LINE("POS / HTTP/1.1"), H1_OTHER},
        {LINE("M-SEARCH / HTTP/1.1"), H1_OTHER},
        {LINE("!#$%&'*+-.^_`|~ / HTTP/1.1"), H1_OTHER},
    };

    (void)state;
    FOR_EACH_ROW(i, rows)
    assert_int_equal(read_head(rows[i].text).method, rows[i].method);
}

static void connect_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW(LINE("CONNECT a:443 HTTP/1.1"), -EX_H1_METHOD),
        ROW(LINE("CONNECT / HTTP/1.1"), -EX_H1_METHOD),
        ROW(LINE("CONNECT http://a/ HTTP/1.0"), -EX_H1_METHOD),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void every_byte_of_a_target_is_visible_ascii_and_no_hash(void **state)
{
    char text[] = TARGET("/a_b");

    (void)state;
    for (int c = 0; c < 256; c++) {
        struct h1_head head;
        bool is_legal = c > 0x20 && c < 0x7f && c != '#';
        int r;

        text[6] = (char)c;
        r = parse(str_make(text, sizeof(text) - 1), &head);
        if ((r == 0) != is_legal)
            fail_msg("byte 0x%02x: %d", (unsigned)c, r);
    }
}

static void targets_have_the_form_their_method_allows(void **state)
{
    static const struct row rows[] = {
        ROW(TARGET("*"), -EX_H1_TARGET),
        ROW(LINE("OPTIONS * HTTP/1.1"), 0),
        ROW(LINE("OPTIONS *x HTTP/1.1"), -EX_H1_TARGET),
        ROW(LINE("OPTIONS ** HTTP/1.1"), -EX_H1_TARGET),
        ROW(TARGET("a"), -EX_H1_TARGET),
        ROW(TARGET("a:80"), -EX_H1_TARGET), /* authority-form */
        ROW(TARGET("?x"), -EX_H1_TARGET),
        ROW(TARGET("api/chat"), -EX_H1_TARGET),
        ROW(TARGET("https://a/"), -EX_H1_TARGET),
        ROW(TARGET("ftp://a/"), -EX_H1_TARGET),
        ROW(TARGET("http:/a/"), -EX_H1_TARGET),
        ROW(TARGET("http:"), -EX_H1_TARGET),
        ROW(TARGET("http://"), -EX_H1_TARGET),
        ROW(TARGET("http:///"), -EX_H1_TARGET),
        ROW(TARGET("http://?x"), -EX_H1_TARGET),
        ROW(TARGET("http://u@a/"), -EX_H1_TARGET),
        ROW(TARGET("http://u:p@a/"), -EX_H1_TARGET),
        ROW(TARGET("http://@a/"), -EX_H1_TARGET),
        ROW(TARGET("http://a:x/"), -EX_H1_TARGET),
        ROW(TARGET("http://a\\b/"), -EX_H1_TARGET),
        ROW(TARGET("#"), -EX_H1_TARGET),
        ROW(TARGET("\xc3\xa4"), -EX_H1_TARGET),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void an_absolute_target_must_agree_with_host(void **state)
{
    static const struct row rows[] = {
        ROW(ABSOLUTE("a", "http://a/"), 0),
        ROW(ABSOLUTE("a", "HTTP://A/"), 0),
        ROW(ABSOLUTE("[::1]:80", "http://[::1]:80/"), 0),
        ROW(ABSOLUTE("b", "http://a/"), -EX_H1_HOST),
        ROW(ABSOLUTE("a:80", "http://a/"), -EX_H1_HOST),
        ROW(ABSOLUTE("a", "http://a:80/"), -EX_H1_HOST),
        ROW(ABSOLUTE("a.", "http://a/"), -EX_H1_HOST),
        ROW("GET http://a/ HTTP/1.1\r\n\r\n", -EX_H1_HOST),
        ROW("GET http://a/ HTTP/1.0\r\n\r\n", 0),
        ROW("GET http://a/ HTTP/1.0\r\nHost: b\r\n\r\n", -EX_H1_HOST),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void the_path_begins_behind_the_authority(void **state)
{
    static const struct {
        const char *text;
        const char *path;
        const char *query;
    } rows[] = {
        {TARGET("/"), "/", NULL},
        {TARGET("/?"), "/", ""},
        {TARGET("/a/b?c=/d"), "/a/b", "c=/d"},
        {TARGET("//a/b"), "//a/b", NULL},
        {TARGET("/%2e%2E/"), "/%2e%2E/", NULL},
        {TARGET("http://a"), "/", NULL},
        {TARGET("http://a/"), "/", NULL},
        {TARGET("http://a?x=http://b/"), "/", "x=http://b/"},
        {TARGET("http://a/v1/models?x"), "/v1/models", "x"},
        {TARGET("http://a//@b"), "//@b", NULL},
        {LINE("OPTIONS * HTTP/1.1"), "*", NULL},
    };

    (void)state;
    FOR_EACH_ROW(i, rows)
    {
        struct h1_head head = read_head(rows[i].text);

        assert_str(head.path, rows[i].path);
        assert_int_equal(head.query.s == NULL, rows[i].query == NULL);
        if (rows[i].query != NULL)
            assert_str(head.query, rows[i].query);
        assert_str(head.host, "a");
    }
}

static void host_is_there_exactly_once_in_1_1(void **state)
{
    static const struct row rows[] = {
        ROW("GET / HTTP/1.1\r\n\r\n", -EX_H1_HOST),
        ROW("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", -EX_H1_HOST),
        ROW("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", -EX_H1_HOST),
        ROW("GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", -EX_H1_HOST),
        ROW("GET / HTTP/1.0\r\n\r\n", 0),
        ROW("GET / HTTP/1.0\r\nHost: a\r\n\r\n", 0),
        ROW("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", -EX_H1_HOST),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void host_is_a_name_or_an_address_and_maybe_a_port(void **state)
{
    static const struct row rows[] = {
        ROW(HOST("a"), 0),
        ROW(HOST("a-b_c.example."), 0),
        ROW(HOST("127.0.0.1:11434"), 0),
        ROW(HOST("a:0"), 0),
        ROW(HOST("a:65535"), 0),
        ROW(HOST("a%20b"), 0),
        ROW(HOST("[::1]"), 0),
        ROW(HOST("[::]:1"), 0),
        ROW(HOST("[2001:DB8::ffff:1.2.3.4]:8080"), 0),
        ROW(HOST(""), -EX_H1_HOST),
        ROW(HOST(":80"), -EX_H1_HOST),
        ROW(HOST("a:"), -EX_H1_HOST),
        ROW(HOST("a:65536"), -EX_H1_HOST),
        ROW(HOST("a:000080"), -EX_H1_HOST),
        ROW(HOST("a:8x"), -EX_H1_HOST),
        ROW(HOST("a:-1"), -EX_H1_HOST),
        ROW(HOST("a:80:80"), -EX_H1_HOST),
        ROW(HOST("a b"), -EX_H1_HOST),
        ROW(HOST("a, b"), -EX_H1_HOST),
        ROW(HOST("a,b"), -EX_H1_HOST),
        ROW(HOST("a/b"), -EX_H1_HOST),
        ROW(HOST("http://a"), -EX_H1_HOST),
        ROW(HOST("u@a"), -EX_H1_HOST),
        ROW(HOST("a?b"), -EX_H1_HOST),
        ROW(HOST("a#b"), -EX_H1_HOST),
        ROW(HOST("a\\b"), -EX_H1_HOST),
        ROW(HOST("<a>"), -EX_H1_HOST),
        ROW(HOST("a\xc3\xa4"), -EX_H1_HOST),
        ROW(HOST("a%2"), -EX_H1_HOST),
        ROW(HOST("a%"), -EX_H1_HOST),
        ROW(HOST("a%zz"), -EX_H1_HOST),
        ROW(HOST("::1"), -EX_H1_HOST),
        ROW(HOST("[::1"), -EX_H1_HOST),
        ROW(HOST("::1]"), -EX_H1_HOST),
        ROW(HOST("[]"), -EX_H1_HOST),
        ROW(HOST("[a]"), -EX_H1_HOST),
        ROW(HOST("[::1]a"), -EX_H1_HOST),
        ROW(HOST("[::1]:"), -EX_H1_HOST),
        ROW(HOST("[::1]]"), -EX_H1_HOST),
        ROW(HOST("[::1%eth0]"), -EX_H1_HOST),
        ROW(HOST("[v1.a:b:c]"), -EX_H1_HOST),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void field_names_are_tokens_with_the_colon_behind_them(void **state)
{
    static const struct row rows[] = {
        ROW(FIELDS("a:b"), 0),
        ROW(FIELDS("X_Api_Key: k"), 0), /* the door drops these */
        ROW(FIELDS("!#$%&'*+-.^_`|~09: x"), 0),
        ROW(FIELDS("a: b: c"), 0),
        ROW(FIELDS("a :b"), -EX_H1_FIELD),
        ROW(FIELDS("a\t:b"), -EX_H1_FIELD),
        ROW(FIELDS(":b"), -EX_H1_FIELD),
        ROW(FIELDS("a"), -EX_H1_FIELD),
        ROW(FIELDS("a b: c"), -EX_H1_FIELD),
        ROW(FIELDS("a(b): c"), -EX_H1_FIELD),
        ROW(FIELDS("\"a\": c"), -EX_H1_FIELD),
        ROW(FIELDS("a@b: c"), -EX_H1_FIELD),
        ROW(FIELDS("a\x80: c"), -EX_H1_FIELD),
        ROW(FIELDS("\xc2\xa0"
                   "a: c"),
            -EX_H1_FIELD),
        ROW(FIELDS("a\0: c"), -EX_H1_FIELD),
        ROW(FIELDS("Content-Length\x0b: 5"), -EX_H1_FIELD),
        ROW("GET / HTTP/1.1\r\n Host: a\r\n\r\n", -EX_H1_FIELD),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void every_byte_of_a_value_is_text_or_htab(void **state)
{
    char text[] = FIELDS("X-Value: a_b");
    const size_t at = sizeof("POST / HTTP/1.1\r\nHost: a\r\nX-Value: a") - 1;

    (void)state;
    for (int c = 0; c < 256; c++) {
        struct h1_head head;
        bool is_legal = (c >= 0x20 && c != 0x7f) || c == '\t';
        int r;

        text[at] = (char)c;
        r = parse(str_make(text, sizeof(text) - 1), &head);
        if ((r == 0) != is_legal)
            fail_msg("byte 0x%02x: %d", (unsigned)c, r);
    }
}

static void a_folded_field_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW(FIELDS("a: b\r\n c"), -EX_H1_FOLD),
        ROW(FIELDS("a: b\r\n\tc: d"), -EX_H1_FOLD),
        ROW(FIELDS("a:\r\n b"), -EX_H1_FOLD),
        ROW(FIELDS("a: b\r\n "), -EX_H1_FOLD),
        ROW(FIELDS("Transfer-Encoding:\r\n chunked"), -EX_H1_CODING), /* its own line counts */
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void content_length_is_one_field_of_digits(void **state)
{
    static const struct row rows[] = {
        ROW(FIELDS("Content-Length: 0"), 0),
        ROW(FIELDS("Content-Length: \t 007 \t"), 0),
        ROW(FIELDS("Content-Length: 9223372036854775807"), 0),
        ROW(FIELDS("Content-Length: 9223372036854775808"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 18446744073709551615"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 18446744073709551617"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 99999999999999999999999999"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length:"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: +5"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: -5"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 0x5"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 5 5"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 5, 5"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 5,"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 5.0"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 5;"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: \"5\""), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 5\r\nContent-Length: 5"), -EX_H1_LENGTH),
        ROW(FIELDS("Content-Length: 5\r\ncontent-length: 6"), -EX_H1_LENGTH),
        ROW(OLD("Content-Length: 5"), 0),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void the_only_transfer_coding_is_chunked(void **state)
{
    static const struct row rows[] = {
        ROW(FIELDS("Transfer-Encoding: chunked"), 0),
        ROW(FIELDS("transfer-encoding:\tChUnKeD "), 0),
        ROW(FIELDS("Transfer-Encoding:"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: gzip"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: identity"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: gzip, chunked"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: chunked, chunked"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: chunked,"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: ,chunked"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: chunked;q=1"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: \"chunked\""), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: xchunked"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), -EX_H1_CODING),
        ROW(FIELDS("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"), -EX_H1_CODING),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void framing_that_two_readers_could_see_differently_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW(FIELDS("Transfer-Encoding: chunked\r\nContent-Length: 5"), -EX_H1_FRAMING),
        ROW(FIELDS("Content-Length: 5\r\nTransfer-Encoding: chunked"), -EX_H1_FRAMING),
        ROW(FIELDS("Content-Length: 0\r\nX: y\r\nTransfer-Encoding: chunked"), -EX_H1_FRAMING),
        ROW(OLD("Transfer-Encoding: chunked"), -EX_H1_FRAMING),
        ROW(OLD("Transfer-Encoding: gzip"), -EX_H1_FRAMING),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
}

static void framing_follows_the_fields(void **state)
{
    (void)state;
    assert_int_equal(read_head(FIELDS("A: b")).framing, H1_BODY_NONE);
    assert_false(read_head(FIELDS("A: b")).has_length);
    assert_int_equal(read_head(FIELDS("Content-Length: 0")).framing, H1_BODY_LENGTH);
    assert_true(read_head(FIELDS("Content-Length: 0")).has_length);
    assert_int_equal(read_head(FIELDS("Transfer-Encoding: chunked")).framing, H1_BODY_CHUNKED);
    assert_int_equal(read_head("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n").length, 3);
}

static void a_connection_is_kept_by_version_and_connection_field(void **state)
{
    static const struct {
        const char *text;
        bool keep_alive;
    } rows[] = {
        {FIELDS("A: b"), true},
        {FIELDS("Connection: close"), false},
        {FIELDS("Connection: CLOSE"), false},
        {FIELDS("Connection: foo , Close"), false},
        {FIELDS("Connection: foo\r\nConnection: close"), false},
        {FIELDS("Connection: close\r\nConnection: keep-alive"), false},
        {FIELDS("Connection: closed"), true},
        {FIELDS("Connection:"), true},
        {FIELDS("Connection: ,,"), true},
        {FIELDS("X-Connection: close"), true},
        {OLD("A: b"), false},
        {OLD("Connection: Keep-Alive"), true},
        {OLD("Connection: x\r\nConnection: y, keep-alive"), true},
        {OLD("Connection: keep-alive, close"), false},
        {OLD("Keep-Alive: 5"), false},
    };

    (void)state;
    FOR_EACH_ROW(i, rows)
    assert_int_equal(read_head(rows[i].text).keep_alive, rows[i].keep_alive);
}

static void only_100_continue_can_be_expected(void **state)
{
    static const struct row rows[] = {
        ROW(FIELDS("Expect: 100-continue"), 0),
        ROW(FIELDS("Expect: 200-ok"), -EX_H1_EXPECT),
        ROW(FIELDS("Expect:"), -EX_H1_EXPECT),
        ROW(FIELDS("Expect: 100-continue, x"), -EX_H1_EXPECT),
        ROW(OLD("Expect: 100-continue"), 0),
        ROW(OLD("Expect: x"), -EX_H1_EXPECT),
    };

    (void)state;
    check_rows(rows, N_ELEMENTS(rows));
    assert_true(read_head(FIELDS("Expect: 100-Continue")).expect_continue);
    assert_false(read_head(OLD("Expect: 100-continue")).expect_continue);
}

static void an_upgrade_is_noticed(void **state)
{
    (void)state;
    assert_true(read_head(FIELDS("Connection: upgrade\r\nUpgrade: h2c")).has_upgrade);
    assert_false(read_head(FIELDS("Connection: upgrade")).has_upgrade);
}

static int parse_with_fields(size_t n, const char *line)
{
    struct buf text = BUF_INIT(1 << 20);
    struct h1_head head;
    int r;

    assert_int_equal(buf_put(&text, STR("GET / HTTP/1.1\r\nHost: a\r\n")), 0);
    for (size_t i = 1; i < n; i++)
        assert_int_equal(buf_put(&text, str_of(line)), 0);
    assert_int_equal(buf_put(&text, STR("\r\n")), 0);
    r = parse(buf_str(&text), &head);
    buf_fini(&text);
    return r;
}

static void there_is_a_most_of_fields_and_connection_options(void **state)
{
    (void)state;
    assert_int_equal(parse_with_fields(H1_MAX_FIELDS, "A: b\r\n"), 0);
    assert_int_equal(parse_with_fields(H1_MAX_FIELDS + 1, "A: b\r\n"), -EX_H1_TOO_MANY_FIELDS);
    assert_int_equal(parse_with_fields(17, "Connection: a, b\r\n"), 0);
    assert_int_equal(parse_with_fields(18, "Connection: a, b\r\n"), -EX_H1_TOO_MANY_FIELDS);
    assert_int_equal(parse_with_fields(34, "Connection:\r\n"), -EX_H1_TOO_MANY_FIELDS);
}

static void hop_by_hop_fields_stay_here(void **state)
{
    static const char *const ours[] = {
        "Connection",
        "Content-Length",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "HTTP2-Settings",
        "Keep-Alive",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "proxy-connection",
        "Proxy-Authentication-Info",
        "x-Hop",
        "X-Other",
    };
    static const char *const theirs[] = {"Host",   "Authorization", "X-Hop-2",
                                         "Accept", "close2",        ""};
    struct h1_head head =
        read_head(FIELDS("Connection: close, X-Hop\r\nA: b\r\nConnection: x-other"));
    struct h1_head plain = read_head(FIELDS("Connection: keep-alive\r\nX-Hop: 1"));

    (void)state;
    FOR_EACH_ROW(i, ours)
    assert_true(h1_is_hop_by_hop(&head, str_of(ours[i])));
    FOR_EACH_ROW(i, theirs)
    assert_false(h1_is_hop_by_hop(&head, str_of(theirs[i])));
    assert_false(h1_is_hop_by_hop(&plain, STR("X-Hop")));
}

static void a_list_is_searched_by_whole_members(void **state)
{
    (void)state;
    assert_true(h1_list_has(STR("a"), STR("A")));
    assert_true(h1_list_has(STR("x, \tGzip ,y"), STR("gzip")));
    assert_true(h1_list_has(STR(",,a"), STR("a")));
    assert_false(h1_list_has(STR(""), STR("a")));
    assert_false(h1_list_has(STR("ab, ba"), STR("a")));
    assert_false(h1_list_has(STR("a b"), STR("a")));
}

static void each_error_has_its_status(void **state)
{
    static const struct {
        int err;
        int status;
    } rows[] = {
        {-EX_H1_SYNTAX, 400},  {-EX_H1_BARE_LF, 400},   {-EX_H1_LINE_TOO_LONG, 414},
        {-EX_H1_FOLD, 400},    {-EX_H1_LENGTH, 400},    {-EX_H1_HEAD_TOO_LARGE, 431},
        {-EX_H1_VERSION, 505}, {-EX_H1_METHOD, 501},    {-EX_H1_TOO_MANY_FIELDS, 431},
        {-EX_H1_TARGET, 400},  {-EX_H1_HOST, 400},      {-EX_H1_FIELD, 400},
        {-EX_H1_CODING, 501},  {-EX_H1_FRAMING, 400},   {-EX_H1_CHUNK, 400},
        {-EX_H1_EXPECT, 417},  {-EX_H1_TRUNCATED, 400},
    };

    (void)state;
    FOR_EACH_ROW(i, rows)
    assert_int_equal(h1_error_status(rows[i].err), rows[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(the_request_line_has_three_parts_and_two_spaces),
        cmocka_unit_test(only_versions_1_0_and_1_1_are_spoken),
        cmocka_unit_test(methods_are_known_by_their_exact_name),
        cmocka_unit_test(connect_is_refused),
        cmocka_unit_test(every_byte_of_a_target_is_visible_ascii_and_no_hash),
        cmocka_unit_test(targets_have_the_form_their_method_allows),
        cmocka_unit_test(an_absolute_target_must_agree_with_host),
        cmocka_unit_test(the_path_begins_behind_the_authority),
        cmocka_unit_test(host_is_there_exactly_once_in_1_1),
        cmocka_unit_test(host_is_a_name_or_an_address_and_maybe_a_port),
        cmocka_unit_test(field_names_are_tokens_with_the_colon_behind_them),
        cmocka_unit_test(every_byte_of_a_value_is_text_or_htab),
        cmocka_unit_test(a_folded_field_is_refused),
        cmocka_unit_test(content_length_is_one_field_of_digits),
        cmocka_unit_test(the_only_transfer_coding_is_chunked),
        cmocka_unit_test(framing_that_two_readers_could_see_differently_is_refused),
        cmocka_unit_test(framing_follows_the_fields),
        cmocka_unit_test(a_connection_is_kept_by_version_and_connection_field),
        cmocka_unit_test(only_100_continue_can_be_expected),
        cmocka_unit_test(an_upgrade_is_noticed),
        cmocka_unit_test(there_is_a_most_of_fields_and_connection_options),
        cmocka_unit_test(hop_by_hop_fields_stay_here),
        cmocka_unit_test(a_list_is_searched_by_whole_members),
        cmocka_unit_test(each_error_has_its_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
