/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "http/fields.h"
#include "http/h1.h"
#include "http/octets.h"
#include "http/target.h"

#define CRLF        STR("\r\n")
#define VERSION_LEN 8 /* HTTP/1.1 */

/*
 * Scanning. Which error a head meets must not depend on how its bytes were cut into pieces, so the
 * rules are asked in the order of the offsets at which each becomes certain.
 */

/*
 * The first byte of a line. A head begins with a token (a method, or "HTTP"): a TLS hello is
 * refused at its first byte.
 */
static int check_first(const struct h1_scan *scan, char c)
{
    if (scan->n_lines == 0 && c != '\r' && c != '\n' && !octets_is(c, OCTET_TOKEN))
        return -EX_H1_SYNTAX;
    if (scan->n_lines == 1 && octets_is_blank(c))
        return -EX_H1_FIELD;
    return 0;
}

/* @stop: offset of the next control byte but HTAB, or @len when none has come yet. */
static int check_limits(const struct h1_scan *scan, const struct h1_limits *limits, size_t stop,
                        size_t len)
{
    if (scan->n_lines == 0 && limits->line_max <= limits->head_max - scan->line &&
        stop - scan->line > limits->line_max)
        return -EX_H1_LINE_TOO_LONG;
    if (stop > limits->head_max || (stop == limits->head_max && stop < len))
        return -EX_H1_HEAD_TOO_LARGE;
    return 0;
}

/*
 * The CRLF at scan->at ends a line. Return: 0 and it was the head's last; H1_MORE lines follow;
 * -EX_H1_SYNTAX.
 */
static int end_line(struct h1_scan *scan)
{
    bool is_empty = scan->at == scan->line;
    bool is_leading = is_empty && scan->n_lines == 0;

    if (is_leading && scan->line > 0)
        return -EX_H1_SYNTAX;
    scan->at += CRLF.len;
    scan->line = scan->at;
    if (is_empty && !is_leading)
        return 0;
    if (!is_leading)
        scan->n_lines++;
    return H1_MORE;
}

int h1_scan_head(struct h1_scan *scan, struct str bytes, const struct h1_limits *limits,
                 size_t *ret_len)
{
    const char *end = bytes.s + bytes.len;
    int r;

    while (scan->at < bytes.len) {
        if (scan->at == scan->line) {
            r = check_first(scan, bytes.s[scan->at]);
            if (r < 0)
                return r;
        }
        scan->at = (size_t)(octets_find_value_end(bytes.s + scan->at, end) - bytes.s);
        r = check_limits(scan, limits, scan->at, bytes.len);
        if (r < 0)
            return r;
        if (scan->at == bytes.len)
            return H1_MORE;
        if (bytes.s[scan->at] == '\n')
            return -EX_H1_BARE_LF;
        if (bytes.s[scan->at] != '\r')
            return scan->n_lines == 0 ? -EX_H1_SYNTAX : -EX_H1_FIELD;
        if (scan->at + 1 == bytes.len)
            return H1_MORE;
        if (scan->at + 1 == limits->head_max)
            return -EX_H1_HEAD_TOO_LARGE;
        if (bytes.s[scan->at + 1] != '\n')
            return -EX_H1_BARE_LF;
        r = end_line(scan);
        if (r == 0)
            *ret_len = scan->at;
        if (r != H1_MORE)
            return r;
    }
    return H1_MORE;
}

/*
 * Parsing. The head ends in LF, and LF belongs to no class of octets: loops over a class need no
 * other bound.
 */

static const struct {
    struct str name;
    enum h1_method method;
} methods[] = {
    {{"POST", 4}, H1_POST},     {{"GET", 3}, H1_GET}, {{"HEAD", 4}, H1_HEAD},
    {{"DELETE", 6}, H1_DELETE}, {{"PUT", 3}, H1_PUT}, {{"OPTIONS", 7}, H1_OPTIONS},
    {{"PATCH", 5}, H1_PATCH},
};

static enum h1_method find_method(struct str name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (str_eq(name, methods[i].name))
            return methods[i].method;
    return H1_OTHER;
}

/* @p: VERSION_LEN bytes. */
static int parse_version(const char *p, uint8_t *ret_minor)
{
    if (memcmp(p, "HTTP/", 5) != 0 || !octets_is_digit(p[5]) || p[6] != '.' ||
        !octets_is_digit(p[7]))
        return -EX_H1_SYNTAX;
    if (p[5] != '1' || p[7] > '1')
        return -EX_H1_VERSION;
    *ret_minor = (uint8_t)(p[7] - '0');
    return 0;
}

/*
 * Clears what a parse sets; the fields are counted, and 4 KiB of zeroes for each head would be
 * felt.
 */
static int begin(struct str head, struct h1_head *ret_head, struct str *ret_rest)
{
    memset(ret_head, 0, offsetof(struct h1_head, fields));
    *ret_rest = str_starts(head, CRLF) ? str_from(head, CRLF.len) : head;
    return str_ends(*ret_rest, CRLF) ? 0 : -EX_H1_SYNTAX;
}

/* Cuts "token SP target SP version CRLF" off @rest. */
static int parse_request_line(struct str *rest, struct h1_head *head, struct str *ret_target)
{
    const char *end = rest->s + rest->len;
    const char *p = rest->s;
    const char *target;

    while (octets_is(*p, OCTET_TOKEN))
        p++;
    if (p == rest->s || *p != ' ')
        return -EX_H1_SYNTAX;
    head->method_name = str_make(rest->s, (size_t)(p - rest->s));
    target = ++p;
    while (octets_is(*p, OCTET_TARGET))
        p++;
    if (*p != ' ' && *p != '\r')
        return -EX_H1_TARGET;
    if (*p == '\r' || p == target)
        return -EX_H1_SYNTAX;
    *ret_target = str_make(target, (size_t)(p - target));
    p++;
    if ((size_t)(end - p) < VERSION_LEN + CRLF.len || p[VERSION_LEN] != '\r' ||
        p[VERSION_LEN + 1] != '\n')
        return -EX_H1_SYNTAX;
    *rest = str_from(*rest, (size_t)(p - rest->s) + VERSION_LEN + CRLF.len);
    return parse_version(p, &head->minor);
}

static int check_host(struct h1_head *head, struct str authority)
{
    if (head->host.s == NULL) {
        head->host = authority;
        return head->minor == 0 ? 0 : -EX_H1_HOST;
    }
    return authority.s == NULL || str_eq_nocase(authority, head->host) ? 0 : -EX_H1_HOST;
}

int h1_parse_request(struct str head, struct h1_head *ret_head)
{
    struct str rest;
    struct str target;
    struct str authority;
    int r = begin(head, ret_head, &rest);

    if (r < 0)
        return r;
    r = parse_request_line(&rest, ret_head, &target);
    if (r < 0)
        return r;
    if (str_eq(ret_head->method_name, STR("CONNECT")))
        return -EX_H1_METHOD;
    ret_head->method = find_method(ret_head->method_name);
    r = target_parse(target, ret_head, &authority);
    if (r < 0)
        return r;
    r = fields_parse(rest, true, ret_head);
    if (r < 0)
        return r;
    return check_host(ret_head, authority);
}

/*
 * Cuts "version SP 3DIGIT [SP reason] CRLF" off @rest; many servers leave the SP out with the
 * reason.
 */
static int parse_status_line(struct str *rest, struct h1_head *head)
{
    const char *end = rest->s + rest->len;
    const char *p = rest->s;
    const char *reason;
    int r;

    if (rest->len < VERSION_LEN + 4 + CRLF.len || p[VERSION_LEN] != ' ')
        return -EX_H1_SYNTAX;
    r = parse_version(p, &head->minor);
    if (r < 0)
        return r;
    for (p += VERSION_LEN + 1; octets_is_digit(*p) && head->status < 100; p++)
        head->status = (uint16_t)(head->status * 10 + (*p - '0'));
    if (p != rest->s + VERSION_LEN + 4 || head->status < 100 || head->status > 599)
        return -EX_H1_SYNTAX;
    if (*p == ' ')
        p++;
    else if (*p != '\r')
        return -EX_H1_SYNTAX;
    reason = p;
    p = octets_find_value_end(p, end);
    if (*p != '\r')
        return *p == '\n' ? -EX_H1_BARE_LF : -EX_H1_SYNTAX;
    if (p[1] != '\n')
        return -EX_H1_BARE_LF;
    head->reason = str_make(reason, (size_t)(p - reason));
    *rest = str_from(*rest, (size_t)(p - rest->s) + CRLF.len);
    return 0;
}

int h1_parse_response(struct str head, bool to_head, struct h1_head *ret_head)
{
    struct str rest;
    int r = begin(head, ret_head, &rest);

    if (r < 0)
        return r;
    r = parse_status_line(&rest, ret_head);
    if (r < 0)
        return r;
    /* We never ask for an upgrade, so a switch of protocols answers nothing. */
    if (ret_head->status == 101)
        return -EX_H1_SYNTAX;
    r = fields_parse(rest, false, ret_head);
    if (r < 0)
        return r;
    if (to_head || ret_head->status < 200 || ret_head->status == 204 || ret_head->status == 304)
        ret_head->framing = H1_BODY_NONE;
    else if (ret_head->framing == H1_BODY_NONE)
        ret_head->framing = H1_BODY_EOF;
    if (ret_head->framing == H1_BODY_EOF)
        ret_head->keep_alive = false;
    return 0;
}

static const struct {
    int err;
    int status;
} error_statuses[] = {
    {EX_H1_LINE_TOO_LONG, 414}, {EX_H1_HEAD_TOO_LARGE, 431}, {EX_H1_TOO_MANY_FIELDS, 431},
    {EX_H1_VERSION, 505},       {EX_H1_METHOD, 501},         {EX_H1_CODING, 501},
    {EX_H1_EXPECT, 417},
};

int h1_error_status(int err)
{
    for (size_t i = 0; i < sizeof(error_statuses) / sizeof(error_statuses[0]); i++)
        if (error_statuses[i].err == -err)
            return error_statuses[i].status;
    return 400;
}
