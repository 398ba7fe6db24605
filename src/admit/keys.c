/* SPDX-License-Identifier: MIT */
#include "admit/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/err.h"

#define MAX_FILE   ((size_t)1 << 20)
#define MAX_KEYS   4096 /* each request is compared with all of them */
#define MAX_NAME   64
#define MIN_SECRET 16
#define MAX_SECRET 512
#define FORM       "write NAME:KEY:SCOPES, for example laptop:0123456789abcdef:use"

/*
 * Problems tell the line and never what stands in it: any part may be the secret.
 */
struct parser {
    const char *name;
    struct buf *errors;
    struct keys *keys;
    size_t line;
    unsigned n_problems;
};

static void problem(struct parser *p, const char *what)
{
    p->n_problems++;
    /* A full buffer loses this text, not the verdict. */
    (void)!buf_printf(p->errors, "%s:%zu: error: %s\n", p->name, p->line, what);
}

static bool is_name(struct str name)
{
    if (name.len == 0 || name.len > MAX_NAME)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = ascii_lower(name.s[i]);

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' &&
            c != '-' && c != '@')
            return false;
    }
    return true;
}

/* What a header field can carry without quoting. */
static bool is_visible(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.s[i] <= ' ' || text.s[i] >= 0x7f)
            return false;
    return true;
}

static const struct {
    const char *name;
    unsigned bits;
} scope_rows[] = {
    {"use", KEY_USE},
    {"admin", KEY_USE | KEY_ADMIN},
};

static unsigned scope_of(struct str name)
{
    for (size_t i = 0; i < sizeof(scope_rows) / sizeof(scope_rows[0]); i++)
        if (str_eq(name, str_of(scope_rows[i].name)))
            return scope_rows[i].bits;
    return 0;
}

/* Return: the bits of all scopes of a comma-separated list, 0 when one is unknown. */
static unsigned scopes_of(struct str list)
{
    unsigned scopes = 0;

    do {
        unsigned bits = scope_of(str_trim(str_split(&list, ',')));

        if (bits == 0)
            return 0;
        scopes |= bits;
    } while (list.len > 0);
    return scopes;
}

/* The line in which @at stands; only for messages. */
static size_t line_of(const struct keys *k, const char *at)
{
    size_t line = 1;

    for (const char *s = k->text; s < at; s++)
        line += *s == '\n';
    return line;
}

static void check_twins(struct parser *p, const struct key *key)
{
    for (size_t i = 0; i < p->keys->n_keys; i++) {
        const struct key *other = &p->keys->keys[i];
        bool is_name_twin = str_eq(other->name, key->name);
        char text[96];

        if (!is_name_twin && !str_eq(other->secret, key->secret))
            continue;
        (void)snprintf(text, sizeof(text), "same %s as in line %zu; each may stand once",
                       is_name_twin ? "name" : "key", line_of(p->keys, other->name.s));
        problem(p, text);
        return;
    }
}

static void check_key(struct parser *p, const struct key *key)
{
    if (!is_name(key->name))
        problem(p, "bad name; use 1 to 64 letters, digits and the signs . _ - @");
    if (key->secret.len < MIN_SECRET)
        problem(
            p, "key too short; use at least 16 characters, for example from: openssl rand -hex 24");
    else if (key->secret.len > MAX_SECRET)
        problem(p, "key too long; use at most 512 characters");
    else if (!is_visible(key->secret))
        problem(p,
                "key with a blank or a byte that is not ASCII; use visible characters without ':'");
    if (key->scopes == 0)
        problem(p, "unknown scope; scopes are use and admin, several separated by commas");
    check_twins(p, key);
}

static void parse_line(struct parser *p, struct str line)
{
    struct key key;
    struct str name;
    struct str secret;

    line = str_trim(line);
    if (line.len == 0 || line.s[0] == '#')
        return;
    name = str_split(&line, ':');
    secret = str_split(&line, ':');
    if (name.len == 0 || secret.len == 0 || line.len == 0 || str_find(line, ':') < line.len) {
        problem(p, "not three parts separated by ':'; " FORM);
        return;
    }
    if (p->keys->n_keys == MAX_KEYS) {
        problem(p, "more than 4096 keys; let callers that belong together share one");
        return;
    }
    key =
        (struct key){.name = str_trim(name), .secret = str_trim(secret), .scopes = scopes_of(line)};
    check_key(p, &key);
    /* Kept also when it has errors, so that its twins are found; all are dropped in the end. */
    p->keys->keys[p->keys->n_keys++] = key;
}

static size_t count_lines(struct str text)
{
    size_t n = 1;

    for (size_t i = 0; i < text.len; i++)
        n += text.s[i] == '\n';
    return n < MAX_KEYS ? n : MAX_KEYS;
}

static void parse_lines(struct parser *p, struct str rest)
{
    while (rest.len > 0) {
        struct str line = str_split(&rest, '\n');

        p->line++;
        parse_line(p, line);
    }
    if (p->keys->n_keys == 0 && p->n_problems == 0) {
        p->n_problems++;
        (void)!buf_printf(p->errors, "%s: error: no key in it; " FORM "\n", p->name);
    }
}

int keys_parse(struct str text, const char *name, struct keys *ret, struct buf *errors)
{
    struct keys made = {.text = str_dup(text),
                        .text_len = text.len,
                        .keys = calloc(count_lines(text), sizeof(struct key))};
    struct parser p = {.name = name, .errors = errors, .keys = &made};

    if (made.text == NULL || made.keys == NULL) {
        keys_fini(&made);
        return -ENOMEM;
    }
    parse_lines(&p, str_make(made.text, text.len));
    if (p.n_problems > 0) {
        keys_fini(&made);
        return -EX_CONFIG;
    }
    *ret = made;
    return 0;
}

/* Reads up to @len bytes, fewer when the file ends. Return: 0, -errno. */
static int read_all(int fd, struct buf *text, size_t len)
{
    int r = buf_reserve(text, len);

    while (r == 0 && text->len < len) {
        ssize_t n = read(fd, text->data + text->len, len - text->len);

        if (n > 0)
            text->len += (size_t)n;
        else if (n == 0)
            break;
        else if (errno != EINTR)
            r = -errno;
    }
    return r;
}

/* Return: 0; -EX_CONFIG when reading it makes no sense. */
static int check_file(const struct stat *st, const char *path, struct buf *errors)
{
    if (!S_ISREG(st->st_mode)) {
        (void)!buf_printf(errors, "%s: error: not a regular file; name the keys file\n", path);
        return -EX_CONFIG;
    }
    if ((size_t)st->st_size > MAX_FILE) {
        (void)!buf_printf(errors, "%s: error: over 1 MiB; is it the keys file?\n", path);
        return -EX_CONFIG;
    }
    return 0;
}

/* Forgets the secrets, not only the memory. */
static void wipe(struct buf *text)
{
    if (text->cap > 0)
        explicit_bzero(text->data, text->cap);
    buf_fini(text);
}

static int load_fd(int fd, const char *path, struct keys *ret, struct buf *errors)
{
    CLEANUP(wipe) struct buf text = BUF_INIT(MAX_FILE);
    struct keys made;
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0)
        return -errno;
    r = check_file(&st, path, errors);
    if (r == 0)
        r = read_all(fd, &text, (size_t)st.st_size);
    if (r == 0)
        r = keys_parse(buf_str(&text), path, &made, errors);
    /* Said after the lines' problems, so that one run shows all of them. */
    if (S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO) != 0) {
        (void)!buf_printf(errors, "%s: error: open to every user; run: chmod o= '%s'\n", path,
                          path);
        if (r == 0)
            keys_fini(&made);
        return -EX_CONFIG;
    }
    if (r == 0)
        *ret = made;
    return r;
}

int keys_load(const char *path, struct keys *ret, struct buf *errors)
{
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int r = fd < 0 ? -errno : load_fd(fd, path, ret, errors);

    if (r < 0 && r != -EX_CONFIG)
        (void)!buf_printf(errors, "%s: error: %s; does it exist, and may this user read it?\n",
                          path, err_text(r));
    return r;
}

void keys_fini(struct keys *k)
{
    if (k->text != NULL)
        explicit_bzero(k->text, k->text_len);
    free(k->text);
    free(k->keys);
    *k = (struct keys){0};
}

const struct key *keys_find(const struct keys *k, struct str secret)
{
    const struct key *found = NULL;

    /* No early end: the time must not tell which key came close. */
    for (size_t i = 0; i < k->n_keys; i++)
        if (str_eq_secret(secret, k->keys[i].secret))
            found = &k->keys[i];
    return found;
}
