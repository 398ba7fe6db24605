/* SPDX-License-Identifier: MIT */

/*
 * The corpus of odd and hostile HTTP, given to the parser alone: whole, and byte by byte. The
 * format of the files is in tests/corpus/http/README.md; what only the gateway decides is left out.
 * usage: corpus_test FOLDER
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "exact.h"
#include "http/h1.h"

#define WANTS_MAX    8
#define STATUSES_MAX 2
#define FILE_MAX     (256 * 1024)
#define BYTES_MAX    (512 * 1024)

static const char *corpus_dir;

struct want {
    struct str kind; /* refuse, answer, forward, nothing, pass, break */
    struct str method;
    struct str target;
    uint64_t statuses[STATUSES_MAX];
    bool closes;
    struct buf body;
};

struct one {
    struct str name;
    bool is_request;
    bool is_to_head;
    bool is_cut_off; /* the peer ends the connection behind the bytes */
    bool is_of_gateway;
    struct buf bytes;
    struct want wants[WANTS_MAX];
    size_t n_wants;
};

/*
 * Reading the files
 */

static char unescape(struct str *text)
{
    uint64_t hex = 0;
    char c = text->s[0];

    *text = str_from(*text, 1);
    if (c != '\\')
        return c;
    c = text->s[0];
    *text = str_from(*text, 1);
    switch (c) {
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '0':
        return '\0';
    case '\\':
        return '\\';
    case 'x':
        hex = strtoul((const char[]){text->s[0], text->s[1], '\0'}, NULL, 16);
        *text = str_from(*text, 2);
        return (char)hex;
    default:
        fail_msg("unknown escape \\%c", c);
        return c;
    }
}

static void put_bytes(struct buf *out, struct str text, uint64_t times)
{
    for (; times > 0; times--)
        for (struct str rest = text; rest.len > 0;)
            assert_int_equal(buf_put_char(out, unescape(&rest)), 0);
}

static void parse_want(struct one *one, struct str argument)
{
    struct want *want = &one->wants[one->n_wants++];
    size_t n_statuses = 0;

    assert_true(one->n_wants <= WANTS_MAX);
    *want = (struct want){.kind = str_split(&argument, ' '), .body = BUF_INIT(BYTES_MAX)};
    if (str_eq(want->kind, STR("forward"))) {
        want->method = str_split(&argument, ' ');
        want->target = str_split(&argument, ' ');
    }
    while (argument.len > 0) {
        struct str word = str_split(&argument, ' ');

        if (n_statuses < STATUSES_MAX && str_to_u64(word, &want->statuses[n_statuses]) == 0)
            n_statuses++;
        want->closes |= str_eq(word, STR("close"));
    }
}

static void parse_line(struct one *one, struct str line)
{
    struct str word = str_split(&line, ' ');
    struct str verb = str_split(&word, '*');
    uint64_t times = 1;

    if (word.len > 0)
        assert_int_equal(str_to_u64(word, &times), 0);
    if (str_eq(verb, STR("send")))
        put_bytes(&one->bytes, line, times);
    else if (str_eq(verb, STR("want")))
        parse_want(one, line);
    else if (str_eq(verb, STR("body")))
        put_bytes(&one->wants[one->n_wants - 1].body, line, times);
    else if (str_eq(verb, STR("to")))
        one->is_to_head = str_eq(line, STR("HEAD"));
    else if (str_eq(verb, STR("then")))
        one->is_cut_off = str_eq(line, STR("close"));
    else if (str_eq(verb, STR("by")))
        one->is_of_gateway = true;
}

static void finish(struct one *one)
{
    buf_fini(&one->bytes);
    for (size_t i = 0; i < one->n_wants; i++)
        buf_fini(&one->wants[i].body);
}

/*
 * Reading as a connection does
 */

struct reader {
    const struct one *one;
    size_t at; /* of the first unread byte */
    bool is_in_body;
    bool is_complete;
    struct h1_scan scan;
    struct h1_body body;
    size_t n_heads;
    size_t n_messages;
    int err;
    uint64_t status; /* of an answer, or of the error */
    struct buf content;
};

static bool is_target(const struct h1_head *head, struct str target)
{
    struct str path = str_split(&target, '?');

    return str_eq(head->path, path) && str_eq(head->query, target);
}

static void check_head(struct reader *r, const struct h1_head *head)
{
    const struct want *want = &r->one->wants[r->n_heads];

    if (r->n_heads++ >= r->one->n_wants || !str_eq(want->kind, STR("forward")))
        return;
    assert_true(str_eq(head->method_name, want->method));
    assert_true(is_target(head, want->target));
}

/* Return: as the parsers. */
static int read_head(struct reader *r, struct str unread)
{
    const struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct h1_head head;
    size_t len;
    int err = h1_scan_head(&r->scan, unread, &limits, &len);

    if (err != 0)
        return err;
    err = r->one->is_request ? h1_parse_request(str_head(unread, len), &head)
                             : h1_parse_response(str_head(unread, len), r->one->is_to_head, &head);
    if (err < 0)
        return err;
    r->at += len;
    r->scan = (struct h1_scan){0};
    if (!r->one->is_request && head.status < 200)
        return 0;
    r->status = head.status;
    check_head(r, &head);
    h1_body_init(&r->body, &head);
    r->content.len = 0;
    r->is_in_body = true;
    return 0;
}

static void end_message(struct reader *r)
{
    const struct want *want = &r->one->wants[r->n_messages];

    r->is_in_body = false;
    r->is_complete = !r->one->is_request;
    if (r->n_messages++ < r->one->n_wants &&
        (str_eq(want->kind, STR("forward")) || str_eq(want->kind, STR("pass"))))
        assert_true(str_eq(buf_str(&r->content), buf_str(&want->body)));
}

/* Return: as the parsers. */
static int read_body(struct reader *r, struct str unread)
{
    struct str in = unread;
    struct str data;
    int err;

    while ((err = h1_body_feed(&r->body, &in, &data)) == 0)
        assert_int_equal(buf_put(&r->content, data), 0);
    r->at += unread.len - in.len;
    if (err != H1_DONE)
        return err;
    end_message(r);
    return 0;
}

static void feed(struct reader *r, size_t len)
{
    int err = r->err;

    while (err == 0 && !r->is_complete) {
        struct str unread = str_make(r->one->bytes.data + r->at, len - r->at);

        err = r->is_in_body ? read_body(r, unread) : read_head(r, unread);
    }
    if (err < 0)
        r->err = err;
}

static void end_input(struct reader *r)
{
    if (r->err != 0 || !r->one->is_cut_off || !r->is_in_body)
        return;
    r->err = h1_body_eof(&r->body);
    if (r->err == 0)
        end_message(r);
}

/*
 * Verdicts
 */

static bool has_status(const struct want *want, uint64_t status)
{
    return want->statuses[0] == status || want->statuses[1] == status;
}

static bool is_as_wanted(const struct reader *r)
{
    const struct want *last = &r->one->wants[r->one->n_wants - 1];
    size_t n = r->one->n_wants;

    if (str_eq(last->kind, STR("refuse")) && r->one->is_request)
        return r->n_messages == n - 1 && r->err < 0 &&
               has_status(last, (uint64_t)h1_error_status(r->err));
    if (str_eq(last->kind, STR("refuse")) || str_eq(last->kind, STR("break")))
        return r->n_messages == 0;
    if (str_eq(last->kind, STR("nothing")))
        return r->n_messages == n - 1 && r->err == 0;
    if (str_eq(last->kind, STR("pass")))
        return r->n_messages == 1 && has_status(last, r->status);
    if (last->closes) /* the gateway reads no further */
        return r->n_heads >= n;
    return r->n_messages == n && r->err == 0;
}

static void check(const struct one *one, bool is_byte_by_byte)
{
    struct reader r = {.one = one, .content = BUF_INIT(BYTES_MAX)};

    for (size_t len = is_byte_by_byte ? 0 : one->bytes.len; len < one->bytes.len; len++)
        feed(&r, len);
    feed(&r, one->bytes.len);
    end_input(&r);
    if (!is_as_wanted(&r))
        fail_msg(STR_FMT "%s: %zu messages, then %s", STR_ARG(one->name),
                 is_byte_by_byte ? ", byte by byte" : "", r.n_messages,
                 r.err < 0 ? err_text(r.err) : "no error");
    buf_fini(&r.content);
}

static unsigned check_one(struct str text, bool is_request)
{
    struct one one = {
        .name = str_split(&text, '\n'), .is_request = is_request, .bytes = BUF_INIT(BYTES_MAX)};

    while (text.len > 0)
        parse_line(&one, str_split(&text, '\n'));
    if (!one.is_of_gateway) {
        check(&one, false);
        check(&one, true);
    }
    finish(&one);
    return one.is_of_gateway ? 0 : 1;
}

static unsigned check_file(const char *path, bool is_request)
{
    const struct str mark = STR("\ncase ");
    static char bytes[FILE_MAX];
    FILE *f = fopen(path, "rb");
    struct str text;
    unsigned n = 0;

    assert_non_null(f);
    text = str_make(bytes, fread(bytes, 1, sizeof(bytes), f));
    assert_true(text.len < sizeof(bytes));
    (void)fclose(f);
    text = str_from(text, str_search(text, mark));
    while (text.len > 0) {
        text = str_from(text, mark.len);
        n += check_one(str_head(text, str_search(text, mark)), is_request);
        text = str_from(text, str_search(text, mark));
    }
    return n;
}

static unsigned check_folder(const char *name, bool is_request)
{
    char path[1024];
    struct dirent *entry;
    unsigned n = 0;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s/%s", corpus_dir, name);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s/%s", corpus_dir, name, entry->d_name);
        n += check_file(path, is_request);
    }
    (void)closedir(dir);
    return n;
}

static void each_request_of_the_corpus_means_what_the_rules_say(void **state)
{
    (void)state;
    assert_true(check_folder("requests", true) >= 200);
}

static void each_answer_of_the_corpus_means_what_the_rules_say(void **state)
{
    (void)state;
    assert_true(check_folder("responses", false) >= 60);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_of_the_corpus_means_what_the_rules_say),
        cmocka_unit_test(each_answer_of_the_corpus_means_what_the_rules_say),
    };

    if (argc != 2)
        return 2;
    corpus_dir = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
