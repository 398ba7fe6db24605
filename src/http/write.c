/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "http/h1.h"

#define STATUS_MIN 100
#define STATUS_MAX 599

/* RFC 9110 15, and of the registry what an API gateway has use for. */
static const char *const phrases[STATUS_MAX + 1 - STATUS_MIN] = {
#define PHRASE(status, text) [(status)-STATUS_MIN] = (text)
    PHRASE(100, "Continue"),
    PHRASE(102, "Processing"),
    PHRASE(103, "Early Hints"),
    PHRASE(200, "OK"),
    PHRASE(201, "Created"),
    PHRASE(202, "Accepted"),
    PHRASE(203, "Non-Authoritative Information"),
    PHRASE(204, "No Content"),
    PHRASE(205, "Reset Content"),
    PHRASE(206, "Partial Content"),
    PHRASE(300, "Multiple Choices"),
    PHRASE(301, "Moved Permanently"),
    PHRASE(302, "Found"),
    PHRASE(303, "See Other"),
    PHRASE(304, "Not Modified"),
    PHRASE(307, "Temporary Redirect"),
    PHRASE(308, "Permanent Redirect"),
    PHRASE(400, "Bad Request"),
    PHRASE(401, "Unauthorized"),
    PHRASE(402, "Payment Required"),
    PHRASE(403, "Forbidden"),
    PHRASE(404, "Not Found"),
    PHRASE(405, "Method Not Allowed"),
    PHRASE(406, "Not Acceptable"),
    PHRASE(407, "Proxy Authentication Required"),
    PHRASE(408, "Request Timeout"),
    PHRASE(409, "Conflict"),
    PHRASE(410, "Gone"),
    PHRASE(411, "Length Required"),
    PHRASE(412, "Precondition Failed"),
    PHRASE(413, "Content Too Large"),
    PHRASE(414, "URI Too Long"),
    PHRASE(415, "Unsupported Media Type"),
    PHRASE(416, "Range Not Satisfiable"),
    PHRASE(417, "Expectation Failed"),
    PHRASE(421, "Misdirected Request"),
    PHRASE(422, "Unprocessable Content"),
    PHRASE(424, "Failed Dependency"),
    PHRASE(425, "Too Early"),
    PHRASE(426, "Upgrade Required"),
    PHRASE(428, "Precondition Required"),
    PHRASE(429, "Too Many Requests"),
    PHRASE(431, "Request Header Fields Too Large"),
    PHRASE(500, "Internal Server Error"),
    PHRASE(501, "Not Implemented"),
    PHRASE(502, "Bad Gateway"),
    PHRASE(503, "Service Unavailable"),
    PHRASE(504, "Gateway Timeout"),
    PHRASE(505, "HTTP Version Not Supported"),
    PHRASE(507, "Insufficient Storage"),
#undef PHRASE
};

const char *h1_reason(int status)
{
    const char *phrase = NULL;

    if (status >= STATUS_MIN && status <= STATUS_MAX)
        phrase = phrases[status - STATUS_MIN];
    return phrase != NULL ? phrase : "";
}

/* Room was reserved. */
static void append(struct buf *out, struct str bytes)
{
    if (bytes.len > 0)
        memcpy(out->data + out->len, bytes.s, bytes.len);
    out->len += bytes.len;
}

int h1_put_status(struct buf *out, int status)
{
    char line[] = "HTTP/1.1 000 ";
    struct str phrase = str_of(h1_reason(status));
    int r;

    assert(status >= STATUS_MIN && status <= STATUS_MAX);

    r = buf_reserve(out, sizeof(line) - 1 + phrase.len + 2);
    if (r < 0)
        return r;
    line[9] = (char)('0' + status / 100);
    line[10] = (char)('0' + status / 10 % 10);
    line[11] = (char)('0' + status % 10);
    append(out, str_make(line, sizeof(line) - 1));
    append(out, phrase);
    append(out, STR("\r\n"));
    return 0;
}

int h1_put_field(struct buf *out, struct str name, struct str value)
{
    int r = buf_reserve(out, name.len + value.len + 4);

    if (r < 0)
        return r;
    append(out, name);
    append(out, STR(": "));
    append(out, value);
    append(out, STR("\r\n"));
    return 0;
}

size_t h1_chunk_head(char out[static H1_CHUNK_HEAD_MAX], size_t n)
{
    size_t len;

    assert(n > 0); /* a chunk of nothing would end the body */

    len = (size_t)(67 - __builtin_clzll(n)) / 4;
    for (size_t i = len; i > 0; i--, n >>= 4)
        out[i - 1] = "0123456789abcdef"[n & 15];
    out[len] = '\r';
    out[len + 1] = '\n';
    return len + 2;
}
