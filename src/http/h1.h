/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * HTTP/1.1 heads and bodies, without I/O
 *
 * Strict reading of RFC 9112. Bytes come in any pieces: the caller keeps the unread bytes
 * contiguous, h1_scan_head() says when a head is whole, h1_parse_request()/h1_parse_response() read
 * it in one pass, struct h1_body takes the body out of its framing. What was sent and what was
 * meant are the same for every reader, or it is an error: nothing is repaired. All slices point
 * into the caller's bytes. Never allocates. Not thread-safe, no globals.
 *
 * Errors are -EX_H1_*; h1_error_status() gives the HTTP status that a server answers with. After an
 * error the connection has no further meaning: answer, close.
 */

#include "base/str.h"

#define H1_MAX_FIELDS             128
#define H1_MAX_CONNECTION_OPTIONS 32 /* in all Connection fields of a head together */

enum {
    H1_MORE = 1, /* the bytes given do not suffice; call again with more behind them */
    H1_DONE = 2, /* the body is complete */
};

struct h1_limits {
    /* start line, bytes without CRLF; over it EX_H1_LINE_TOO_LONG (414 for a request) */
    size_t line_max;
    size_t head_max; /* whole head, bytes; over it EX_H1_HEAD_TOO_LARGE (431) */
};

#define H1_LIMITS_DEFAULT ((struct h1_limits){.line_max = 8192, .head_max = 32768})

struct h1_field {
    struct str name;  /* token, as sent */
    struct str value; /* without white space around it */
};

enum h1_framing {
    H1_BODY_NONE,
    H1_BODY_LENGTH, /* `length` bytes */
    H1_BODY_CHUNKED,
    H1_BODY_EOF, /* answers only: until the peer closes */
};

/* Methods we know; the token itself is in `method_name`. */
enum h1_method {
    H1_GET = 1 << 0,
    H1_HEAD = 1 << 1,
    H1_POST = 1 << 2,
    H1_PUT = 1 << 3,
    H1_DELETE = 1 << 4,
    H1_OPTIONS = 1 << 5,
    H1_PATCH = 1 << 6,
    H1_OTHER = 1 << 7, /* a valid token that is none of these */
};

struct h1_head {
    /* request */
    enum h1_method method;
    struct str method_name;
    struct str path;  /* of the target, as sent (not decoded), without query; "*" for OPTIONS * */
    struct str query; /* behind the '?', without it; s == NULL when there is none */
    struct str host;  /* authority: of Host, or of an absolute target, which must agree */
    bool expect_continue;
    /* answer */
    uint16_t status;
    struct str reason;
    /* both */
    uint8_t minor;   /* HTTP/1.minor, 0 or 1 */
    bool keep_alive; /* by version and Connection */
    bool has_upgrade;
    enum h1_framing framing;
    /* with H1_BODY_LENGTH; also the Content-Length of an answer to HEAD, with H1_BODY_NONE */
    uint64_t length;
    bool has_length;           /* a Content-Length field was there */
    bool has_connection_names; /* Connection has other members than close and keep-alive, private */
    size_t n_fields;
    struct h1_field fields[H1_MAX_FIELDS];
};

/* Where h1_scan_head() has got to. Start each head with {0}. */
struct h1_scan {
    size_t at;   /* bytes looked at */
    size_t line; /* offset of the line that is not complete yet */
    /* complete lines, the start line included; a leading empty line is not counted */
    size_t n_lines;
};

/**
 * h1_scan_head() - find the end of a head
 * @scan:    progress; {0} at the start of a head
 * @bytes:   all bytes of this head so far, the ones seen before included
 * @limits:  how long things may be
 * @ret_len: length of the head with its final empty line, on 0
 *
 * Looks at each byte once over all calls. One leading CRLF is part of the head (RFC 9112 2.2).
 * Refuses bare CR, bare LF, white space in front of the first field, and lines or heads over the
 * limits as soon as that can be known.
 *
 * Return: 0 whole head; H1_MORE; -EX_H1_*.
 */
MUST_USE int h1_scan_head(struct h1_scan *scan, struct str bytes, const struct h1_limits *limits,
                          size_t *ret_len);

/**
 * h1_parse_request() - read a whole request head
 * @head:      exactly the bytes that h1_scan_head() measured; they must outlive @ret_head
 * @ret_head:  set also in part on failure
 *
 * Checks the sixteen rules: request line, Host, field syntax, Content-Length and Transfer-Encoding,
 * both at once, 1.0 with Transfer-Encoding, obs-fold, CONNECT and authority-form refused, Expect
 * other than 100-continue (417).
 *
 * Return: 0; -EX_H1_*.
 */
MUST_USE int h1_parse_request(struct str head, struct h1_head *ret_head);

/**
 * h1_parse_response() - read a whole answer head
 * @head:      as above
 * @to_head:   the request was HEAD, so no body follows
 * @ret_head:  as above. 1xx, 204 and 304 have H1_BODY_NONE
 *
 * Return: 0; -EX_H1_* (for a proxy: 502, and the connection is not used again).
 */
MUST_USE int h1_parse_response(struct str head, bool to_head, struct h1_head *ret_head);

/* The value of the first field called @name (any case), or s == NULL. */
struct str h1_field_get(const struct h1_head *head, struct str name);

/*
 * Whether a proxy keeps @name to itself: hop-by-hop (RFC 9110 7.6.1), framing, or named by this
 * head's Connection.
 */
bool h1_is_hop_by_hop(const struct h1_head *head, struct str name);

/* Whether @list, a comma-separated field value, holds @token (any case). */
bool h1_list_has(struct str list, struct str token);

/* HTTP status for an EX_H1_* error met in a request: 400, 414, 417, 431, 501 or 505. */
int h1_error_status(int err);

/*
 * Bodies
 */

struct h1_body {
    enum h1_framing framing;
    uint64_t left;      /* bytes of the body, or of the chunk in hand, still to come */
    uint8_t state;      /* of the chunk decoder, private */
    uint32_t line_len;  /* bytes of the chunk-size or trailer line in hand, private */
    uint32_t extra_len; /* bytes of extensions and trailers so far, capped at 32 KiB, private */
    uint8_t n_digits;   /* private */
};

void h1_body_init(struct h1_body *body, const struct h1_head *head);

/**
 * h1_body_feed() - take the next piece of a body out of its framing
 * @body:      state
 * @in:        unread bytes; what is consumed is cut off its front
 * @ret_data:  on 0, content bytes (a slice of @in, at least one)
 *
 * Chunk sizes are 1..16 hex digits and nothing else in front of CRLF or an extension; extensions
 * and trailers are checked, capped and dropped.
 *
 * Return: 0 content in *ret_data, call again; H1_MORE @in is used up; H1_DONE the body is complete
 * and *in begins with what follows it; -EX_H1_*.
 */
MUST_USE int h1_body_feed(struct h1_body *body, struct str *in, struct str *ret_data);

/* What the end of the connection means now. Return: 0 the body was complete; -EX_H1_TRUNCATED. */
MUST_USE int h1_body_eof(const struct h1_body *body);

/*
 * Writing. The caller has checked names and values (they come out of a parsed head or are ours).
 */

#include "base/buf.h"

/* "HTTP/1.1 200 OK\r\n"; an unknown status gets an empty phrase. */
MUST_USE int h1_put_status(struct buf *out, int status);
MUST_USE int h1_put_field(struct buf *out, struct str name, struct str value);

/* Standard phrase of a status, or "". */
const char *h1_reason(int status);

#define H1_CHUNK_HEAD_MAX 18 /* 16 hex digits, CRLF */

/*
 * Writes "<hex>\r\n" of @n > 0 to @out. Return: its length. Data and CRLF follow; the last chunk is
 * "0\r\n\r\n".
 */
size_t h1_chunk_head(char out[static H1_CHUNK_HEAD_MAX], size_t n);
