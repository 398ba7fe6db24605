/* SPDX-License-Identifier: MIT */

/*
 * Reads a configuration file with libyaml's events: the syntax, and what of YAML is not for
 * configurations.
 */

#include <errno.h>
#include <fcntl.h>
#include <yaml.h>

#include "base/err.h"
#include "config/state.h"
#include "config/tree.h"

struct loader {
    struct settings *s;
    struct buf *errors;
    struct tree tree;
    bool has_document;
};

static struct setting_place place_of(const yaml_mark_t *mark)
{
    return (struct setting_place){.line = (uint32_t)mark->line + 1,
                                  .column = (uint32_t)mark->column + 1};
}

#define COMPLAIN(l, place_, ...) \
    __extension__({ \
        struct blame blame_ = {.place = (place_)}; \
        blame_tell((l)->s, &blame_, (l)->errors, __VA_ARGS__); \
    })

/* libyaml knows only the offset of bytes that are no text at all. */
static struct setting_place place_of_offset(struct str source, size_t offset)
{
    struct setting_place place = {.line = 1, .column = 1};

    for (size_t i = 0; i < offset && i < source.len; i++) {
        if (source.s[i] == '\n')
            place = (struct setting_place){.line = place.line + 1, .column = 1};
        else if (((unsigned char)source.s[i] & 0xc0) != 0x80)
            place.column++;
    }
    return place;
}

static int tell_syntax(struct loader *l, const yaml_parser_t *parser)
{
    struct str source = buf_str(&l->s->source);
    size_t at = parser->problem_mark.index;

    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    if (parser->error == YAML_READER_ERROR)
        return COMPLAIN(l, place_of_offset(source, parser->problem_offset), "%s", parser->problem);
    if (at < source.len && source.s[at] == '\t')
        return COMPLAIN(l, place_of(&parser->problem_mark), "a tab cannot indent, use spaces");
    if (parser->context != NULL)
        return COMPLAIN(l, place_of(&parser->problem_mark), "%s, %s", parser->problem,
                        parser->context);
    return COMPLAIN(l, place_of(&parser->problem_mark), "%s", parser->problem);
}

static bool is_null_scalar(const yaml_event_t *e)
{
    struct str text = str_make((const char *)e->data.scalar.value, e->data.scalar.length);

    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.len == 0 || str_eq(text, STR("~")) || str_eq(text, STR("null")));
}

/* Return: what in this event has no place in a configuration, or NULL. */
static const char *find_unwanted(const yaml_event_t *e)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;

    if (e->type == YAML_ALIAS_EVENT)
        return "aliases (*name) are not supported";
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    if (anchor != NULL)
        return "anchors (&name) are not supported";
    return tag != NULL ? "tags (!name) are not supported" : NULL;
}

static int feed_tree(struct loader *l, const yaml_event_t *e, enum tree_event_kind kind)
{
    struct tree_event event = {.kind = kind, .place = place_of(&e->start_mark)};
    const char *unwanted = find_unwanted(e);

    if (unwanted != NULL)
        (void)COMPLAIN(l, event.place, "%s", unwanted);
    if (e->type == YAML_SCALAR_EVENT) {
        event.text = str_make((const char *)e->data.scalar.value, e->data.scalar.length);
        event.is_null = is_null_scalar(e);
    }
    return tree_feed(&l->tree, &event);
}

static int on_document(struct loader *l, const yaml_event_t *e)
{
    if (l->has_document)
        return COMPLAIN(l, place_of(&e->start_mark), "only one document is allowed in a file");
    l->has_document = true;
    return 0;
}

/* Return: 0; -EX_CONFIG what follows makes no sense any more; -ENOMEM. */
static int on_event(struct loader *l, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(l, e);
    case YAML_ALIAS_EVENT:
        return feed_tree(l, e, TREE_VOID);
    case YAML_SCALAR_EVENT:
        return feed_tree(l, e, TREE_SCALAR);
    case YAML_SEQUENCE_START_EVENT:
        return feed_tree(l, e, TREE_LIST);
    case YAML_MAPPING_START_EVENT:
        return feed_tree(l, e, TREE_MAPPING);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return feed_tree(l, e, TREE_END);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

static int run(struct loader *l, yaml_parser_t *parser)
{
    bool is_last = false;
    int r = 0;

    while (r == 0 && !is_last) {
        yaml_event_t event;

        if (!yaml_parser_parse(parser, &event))
            return tell_syntax(l, parser);
        is_last = event.type == YAML_STREAM_END_EVENT;
        r = on_event(l, &event);
        yaml_event_delete(&event);
    }
    return r;
}

static int parse_source(struct settings *s, struct buf *errors)
{
    struct loader l = {.s = s, .errors = errors};
    unsigned n_errors = s->n_errors;
    yaml_parser_t parser;
    int r;

    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)s->source.data, s->source.len);
    tree_init(&l.tree, s, errors);
    r = run(&l, &parser);
    tree_fini(&l.tree);
    yaml_parser_delete(&parser);
    return r == 0 && s->n_errors > n_errors ? -EX_CONFIG : r;
}

static int begin(struct settings *s, const char *name)
{
    char *path = str_dup(str_of(name));

    if (path == NULL)
        return -ENOMEM;
    free(s->path);
    s->path = path;
    buf_reset(&s->source);
    return 0;
}

int settings_load_text(struct settings *s, const char *name, struct str text, struct buf *errors)
{
    struct blame file = {.word = NULL};
    int r = begin(s, name);

    if (r < 0)
        return r;
    if (text.len > SETTINGS_MAX_FILE)
        return blame_tell(s, &file, errors, "larger than 1 MiB");
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_from(text, 3);
    /* libyaml wants a pointer also for an empty file. */
    r = buf_reserve(&s->source, text.len + 1);
    if (r == 0)
        r = buf_put(&s->source, text);
    return r < 0 ? r : parse_source(s, errors);
}

/* One byte over the limit is read, so that settings_load_text() sees that it is over. */
static int read_file(int fd, struct buf *text)
{
    for (;;) {
        ssize_t n;
        int r = buf_reserve(text, 4096);

        if (r == -ENOBUFS)
            return 0;
        if (r < 0)
            return r;
        n = read(fd, text->data + text->len, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        text->len += (size_t)n;
    }
}

int settings_load_yaml(struct settings *s, const char *path, struct buf *errors)
{
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP(buf_fini) struct buf text = BUF_INIT(SETTINGS_MAX_FILE + (size_t)2 * 4096);
    struct blame file = {.word = NULL};
    int r = fd < 0 ? -errno : read_file(fd, &text);

    if (r == 0)
        return settings_load_text(s, path, buf_str(&text), errors);
    if (r == -ENOMEM || begin(s, path) < 0)
        return -ENOMEM;
    return blame_tell(s, &file, errors, "%s", strerrordesc_np(-r));
}
