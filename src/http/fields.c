/* SPDX-License-Identifier: MIT */
#include "http/fields.h"

#include "base/err.h"
#include "http/octets.h"
#include "http/target.h"

/* What the Connection fields of one head said; several fields are one list (RFC 9110 5.3). */
struct connection {
    size_t n_options;
    bool close;
    bool keep_alive;
};

static int take_host(struct h1_head *head, struct connection *connection, struct str value)
{
    (void)connection;
    if (head->host.s != NULL || !target_is_authority(value))
        return -EX_H1_HOST;
    head->host = value;
    return 0;
}

static int take_expect(struct h1_head *head, struct connection *connection, struct str value)
{
    (void)connection;
    if (!str_eq_nocase(value, STR("100-continue")))
        return -EX_H1_EXPECT;
    /*
     * A 1.0 client cannot know the interim answer; its expectation is to be ignored (RFC 9110
     * 10.1.1).
     */
    head->expect_continue = head->minor >= 1;
    return 0;
}

static int take_upgrade(struct h1_head *head, struct connection *connection, struct str value)
{
    (void)connection;
    (void)value;
    head->has_upgrade = true;
    return 0;
}

static int take_connection(struct h1_head *head, struct connection *connection, struct str value)
{
    do {
        struct str option = str_trim(str_split(&value, ','));

        /*
         * Every field of the head is compared with every option, so their number needs a bound of
         * its own.
         */
        if (++connection->n_options > H1_MAX_CONNECTION_OPTIONS)
            return -EX_H1_TOO_MANY_FIELDS;
        if (str_eq_nocase(option, STR("close")))
            connection->close = true;
        else if (str_eq_nocase(option, STR("keep-alive")))
            connection->keep_alive = true;
        else if (option.len > 0)
            head->has_connection_names = true;
    } while (value.len > 0);
    return 0;
}

static int take_length(struct h1_head *head, struct connection *connection, struct str value)
{
    (void)connection;
    if (head->has_length || str_to_u64(value, &head->length) < 0 || head->length > INT64_MAX)
        return -EX_H1_LENGTH;
    if (head->framing == H1_BODY_CHUNKED)
        return -EX_H1_FRAMING;
    head->has_length = true;
    head->framing = H1_BODY_LENGTH;
    return 0;
}

static int take_coding(struct h1_head *head, struct connection *connection, struct str value)
{
    (void)connection;
    if (head->minor == 0)
        return -EX_H1_FRAMING;
    if (head->framing == H1_BODY_CHUNKED || !str_eq_nocase(value, STR("chunked")))
        return -EX_H1_CODING;
    if (head->has_length)
        return -EX_H1_FRAMING;
    head->framing = H1_BODY_CHUNKED;
    return 0;
}

/*
 * The fields we read, by the length of their names: no two have the same, so one comparison
 * decides.
 */
static const struct known {
    const char *name;
    int (*take)(struct h1_head *head, struct connection *connection, struct str value);
    bool of_requests_only;
} known_by_len[] = {
    [4] = {"host", take_host, true},
    [6] = {"expect", take_expect, true},
    [7] = {"upgrade", take_upgrade, false},
    [10] = {"connection", take_connection, false},
    [14] = {"content-length", take_length, false},
    [17] = {"transfer-encoding", take_coding, false},
};

static const struct known *find_known(struct str name, bool is_request)
{
    const struct known *known;

    if (name.len >= sizeof(known_by_len) / sizeof(known_by_len[0]))
        return NULL;
    known = &known_by_len[name.len];
    if (known->name == NULL || (known->of_requests_only && !is_request))
        return NULL;
    return str_eq_nocase(name, str_make(known->name, name.len)) ? known : NULL;
}

/* Reads the line at *@at and moves behind its CRLF. */
static int parse_line(const char **at, const char *end, struct h1_field *ret_field)
{
    const char *name = *at;
    const char *p = name;
    const char *value;
    const char *stop;

    while (octets_is(*p, OCTET_TOKEN))
        p++;
    if (p == name || *p != ':')
        return -EX_H1_FIELD;
    ret_field->name = str_make(name, (size_t)(p - name));
    for (p++; octets_is_blank(*p);)
        p++;
    value = p;
    stop = octets_find_value_end(p, end);
    if (*stop != '\r')
        return *stop == '\n' ? -EX_H1_BARE_LF : -EX_H1_FIELD;
    if (stop[1] != '\n')
        return -EX_H1_BARE_LF;
    *at = stop + 2;
    while (stop > value && octets_is_blank(stop[-1]))
        stop--;
    ret_field->value = str_make(value, (size_t)(stop - value));
    return 0;
}

static int parse_lines(struct str lines, bool is_request, struct h1_head *head,
                       struct connection *connection)
{
    const char *end = lines.s + lines.len;
    const char *p = lines.s;

    while (p < end && *p != '\r') {
        struct h1_field *field = &head->fields[head->n_fields];
        const struct known *known;
        int r;

        if (head->n_fields == H1_MAX_FIELDS)
            return -EX_H1_TOO_MANY_FIELDS;
        if (octets_is_blank(*p) && head->n_fields > 0)
            return -EX_H1_FOLD;
        r = parse_line(&p, end, field);
        if (r < 0)
            return r;
        head->n_fields++;
        known = find_known(field->name, is_request);
        r = known != NULL ? known->take(head, connection, field->value) : 0;
        if (r < 0)
            return r;
    }
    return end - p == 2 && p[1] == '\n' ? 0 : -EX_H1_SYNTAX;
}

int fields_parse(struct str lines, bool is_request, struct h1_head *head)
{
    struct connection connection = {0};
    int r = parse_lines(lines, is_request, head, &connection);

    if (r < 0)
        return r;
    head->keep_alive = (head->minor >= 1 || connection.keep_alive) && !connection.close;
    return 0;
}

struct str h1_field_get(const struct h1_head *head, struct str name)
{
    for (size_t i = 0; i < head->n_fields; i++)
        if (str_eq_nocase(head->fields[i].name, name))
            return head->fields[i].value;
    return STR_NULL;
}

bool h1_list_has(struct str list, struct str token)
{
    while (list.len > 0)
        if (str_eq_nocase(str_trim(str_split(&list, ',')), token))
            return true;
    return false;
}

/*
 * What never crosses a proxy. Content-Length is here because each message is framed anew; Trailer
 * because trailers are dropped; HTTP2-Settings because it is an attempt to upgrade. By length, as
 * above: nearly all names fall out there.
 */
static const char *const hop_by_len[][2] = {
    [2] = {"te"},
    [7] = {"upgrade", "trailer"},
    [10] = {"connection", "keep-alive"},
    [14] = {"content-length", "http2-settings"},
    [16] = {"proxy-connection"},
    [17] = {"transfer-encoding"},
    [18] = {"proxy-authenticate"},
    [19] = {"proxy-authorization"},
    [25] = {"proxy-authentication-info"},
};

static bool is_always_hop_by_hop(struct str name)
{
    if (name.len >= sizeof(hop_by_len) / sizeof(hop_by_len[0]))
        return false;
    for (size_t i = 0; i < 2 && hop_by_len[name.len][i] != NULL; i++)
        if (str_eq_nocase(name, str_make(hop_by_len[name.len][i], name.len)))
            return true;
    return false;
}

static bool is_named_by_connection(const struct h1_head *head, struct str name)
{
    for (size_t i = 0; i < head->n_fields; i++)
        if (str_eq_nocase(head->fields[i].name, STR("connection")) &&
            h1_list_has(head->fields[i].value, name))
            return true;
    return false;
}

bool h1_is_hop_by_hop(const struct h1_head *head, struct str name)
{
    return is_always_hop_by_hop(name) ||
           (head->has_connection_names && is_named_by_connection(head, name));
}
