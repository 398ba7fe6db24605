/* SPDX-License-Identifier: MIT */
#include "api/model_name.h"

#include <errno.h>

enum part {
    PART_HOST,
    PART_NAMESPACE,
    PART_MODEL,
    PART_TAG,
    N_PARTS
};

static const struct {
    size_t max;
    const char *more; /* characters allowed behind the first, beside letters, digits, '_' and '-' */
    const char *other; /* when absent; a model cannot be */
} rules[N_PARTS] = {
    [PART_HOST] = {350, ".:", "registry.ollama.ai"},
    [PART_NAMESPACE] = {80, "", "library"},
    [PART_MODEL] = {80, ".", NULL},
    [PART_TAG] = {80, ".", "latest"},
};

static bool is_alnum(char c)
{
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_valid(struct str text, enum part part)
{
    if (text.len == 0 || text.len > rules[part].max || text.s[0] == '-')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.s[i];

        if (is_alnum(c) || c == '_' || c == '-')
            continue;
        if (i == 0 || c == '\0' || strchr(rules[part].more, c) == NULL)
            return false;
    }
    return true;
}

/* Offset of the last @c in @text, or @text.len. */
static size_t find_last(struct str text, char c)
{
    const char *at = text.len > 0 ? memrchr(text.s, c, text.len) : NULL;

    return at != NULL ? (size_t)(at - text.s) : text.len;
}

/* Cuts the last @sep and what is behind it off @rest; false without a separator. */
static bool cut_last(struct str *rest, char sep, struct str *ret_tail)
{
    size_t at = find_last(*rest, sep);

    if (at == rest->len)
        return false;
    *ret_tail = str_from(*rest, at + 1);
    *rest = str_head(*rest, at);
    return true;
}

/* As cut_last(), but a colon in front of a slash is a port or a scheme. */
static bool cut_tag(struct str *rest, struct str *ret_tag)
{
    size_t slash = find_last(*rest, '/');
    size_t colon = find_last(*rest, ':');

    if (slash < rest->len && colon < slash)
        return false;
    return cut_last(rest, ':', ret_tag);
}

/* Lower-cases @text behind the key; false when the key is full. */
static bool append(struct model_key *key, struct str text)
{
    if (text.len > MODEL_KEY_MAX - key->len)
        return false;
    for (size_t i = 0; i < text.len; i++)
        key->text[key->len++] = ascii_lower(text.s[i]);
    return true;
}

static bool append_part(struct model_key *key, struct str text, enum part part)
{
    static const char separators[N_PARTS] = {'/', '/', ':', '\0'};

    bool is_ours = text.s != NULL && text.s == rules[part].other;

    if (!(is_ours || is_valid(text, part)) || !append(key, text))
        return false;
    return part == PART_TAG || append(key, str_make(&separators[part], 1));
}

/* Takes @text apart; what it leaves out is filled in. */
static bool split(struct str text, struct str parts[static N_PARTS], bool *ret_is_cloud)
{
    size_t scheme;
    struct str source;

    for (int i = 0; i < N_PARTS; i++)
        parts[i] = str_of(rules[i].other);
    *ret_is_cloud = false;
    /*
     * A second tag says where the model runs: "x:8b:cloud" is the model that a node lists as
     * "x:8b-cloud", and "x:8b:local" is plain "x:8b". A single ":cloud" is a tag like any other.
     */
    if (cut_tag(&text, &parts[PART_TAG])) {
        source = parts[PART_TAG];
        if (cut_tag(&text, &parts[PART_TAG])) {
            *ret_is_cloud = str_eq_nocase(source, STR("cloud"));
            if (!*ret_is_cloud && !str_eq_nocase(source, STR("local")))
                return false;
        }
    }
    if (!cut_last(&text, '/', &parts[PART_MODEL])) {
        parts[PART_MODEL] = text;
        return true;
    }
    if (!cut_last(&text, '/', &parts[PART_NAMESPACE])) {
        parts[PART_NAMESPACE] = text;
        return true;
    }
    scheme = str_search(text, STR("://"));
    parts[PART_HOST] = scheme < text.len ? str_from(text, scheme + 3) : text;
    return true;
}

int model_key_parse(struct str name, struct model_key *ret_key)
{
    struct model_key key;
    struct str parts[N_PARTS];
    bool is_cloud;

    key.len = 0;
    if (!split(str_trim(name), parts, &is_cloud))
        return -EINVAL;
    for (int i = 0; i < N_PARTS; i++)
        if (!append_part(&key, parts[i], (enum part)i))
            return -EINVAL;
    if (is_cloud && !append(&key, STR("-cloud")))
        return -EINVAL;
    ret_key->len = key.len;
    memcpy(ret_key->text, key.text, key.len);
    return 0;
}

struct str model_key_short(const struct model_key *key)
{
    struct str text = model_key_str(key);
    struct str host = STR("registry.ollama.ai/");
    struct str namespace = STR("library/");

    if (!str_starts(text, host))
        return text;
    text = str_from(text, host.len);
    return str_starts(text, namespace) ? str_from(text, namespace.len) : text;
}
