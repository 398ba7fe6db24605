/* SPDX-License-Identifier: MIT */
#include "cli/manage.h"

#include <errno.h>

#include "base/err.h"
#include "cli/modelfile.h"
#include "json/writer.h"

#define FILE_MAX         ((size_t)1024 * 1024)
#define INSTRUCTIONS_MAX 1024

struct create_options {
    char *file;
};

static const struct setting rows[] = {
    {.type = SETTING_STRING,
     .offset = offsetof(struct create_options, file),
     .def = "Modelfile",
     .min = 1,
     .flag = "-f",
     .arg = "FILE",
     .text = "Modelfile: FROM, SYSTEM, TEMPLATE, PARAMETER, MESSAGE, LICENSE"},
};

struct recipe {
    struct buf text;
    struct modelfile_instruction all[INSTRUCTIONS_MAX];
    size_t n;
};

static int read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "re");
    int r = file != NULL ? buf_reserve(out, FILE_MAX) : -errno;

    if (r == 0)
        out->len = fread(out->data, 1, FILE_MAX, file);
    if (r == 0 && ferror(file))
        r = -EIO;
    if (r == 0 && out->len == FILE_MAX)
        r = -EFBIG;
    if (file != NULL)
        (void)fclose(file);
    return r;
}

static unsigned line_at(const struct recipe *recipe, const char *at)
{
    unsigned n = 1;

    for (const char *s = recipe->text.data; s < at; s++)
        n += *s == '\n';
    return n;
}

/* A model's file would have to be uploaded. */
static bool is_file(struct str from)
{
    return from.s[0] == '/' || from.s[0] == '.' || from.s[0] == '~' ||
           str_ends(from, STR(".gguf")) || str_ends(from, STR(".safetensors"));
}

/* Return: EXIT_DONE, else what is wrong is told. */
static int read_recipe(struct recipe *recipe, const char *path)
{
    struct str rest;
    bool has_from = false;
    int r = read_file(path, &recipe->text);

    if (r < 0)
        return cli_complain("%s: %s", path, err_text(r));
    rest = buf_str(&recipe->text);
    while (recipe->n < INSTRUCTIONS_MAX &&
           (r = modelfile_next(&rest, &recipe->all[recipe->n])) == 0) {
        const struct modelfile_instruction *it = &recipe->all[recipe->n++];

        if (it->word == MODELFILE_FROM && is_file(it->value))
            return cli_complain("%s:%u: FROM a file is not supported, only FROM a model; `ollama "
                                "create` can upload through the gateway",
                                path, line_at(recipe, it->value.s));
        has_from = has_from || it->word == MODELFILE_FROM;
    }
    if (r != MODELFILE_END)
        return cli_complain("%s:%u: not an instruction with its value: FROM, SYSTEM, TEMPLATE, "
                            "PARAMETER NAME, MESSAGE ROLE, LICENSE",
                            path, line_at(recipe, rest.s));
    return has_from ? EXIT_DONE : cli_complain("%s: FROM is missing: which model?", path);
}

/*
 * The request
 */

/* The last one counts. */
static void put_text(struct json_writer *w, const struct recipe *recipe, enum modelfile_word word,
                     const char *key)
{
    for (size_t i = recipe->n; i-- > 0;) {
        if (recipe->all[i].word != word)
            continue;
        json_key(w, key);
        json_str(w, recipe->all[i].value);
        return;
    }
}

static void put_licenses(struct json_writer *w, const struct recipe *recipe)
{
    json_key(w, "license");
    json_begin_array(w);
    for (size_t i = 0; i < recipe->n; i++)
        if (recipe->all[i].word == MODELFILE_LICENSE)
            json_str(w, recipe->all[i].value);
    json_end(w);
}

static void put_messages(struct json_writer *w, const struct recipe *recipe)
{
    json_key(w, "messages");
    json_begin_array(w);
    for (size_t i = 0; i < recipe->n; i++) {
        if (recipe->all[i].word != MODELFILE_MESSAGE)
            continue;
        json_begin_object(w);
        json_key(w, "role");
        json_str(w, recipe->all[i].name);
        json_key(w, "content");
        json_str(w, recipe->all[i].value);
        json_end(w);
    }
    json_end(w);
}

static bool is_parameter(const struct modelfile_instruction *it, struct str name)
{
    return it->word == MODELFILE_PARAMETER && str_eq(it->name, name);
}

/* "-1", "0.7" */
static bool is_number(struct str s)
{
    bool has_point = false;

    if (s.len > 1 && s.s[0] == '-')
        s = str_from(s, 1);
    if (s.len > 1 && s.s[0] == '0' && s.s[1] != '.') /* no number of JSON */
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool is_point = s.s[i] == '.' && i > 0 && i + 1 < s.len && !has_point;

        if (!is_point && (s.s[i] < '0' || s.s[i] > '9'))
            return false;
        has_point = has_point || is_point;
    }
    return s.len > 0;
}

/* Numbers and booleans as they are, the rest as text. */
static void put_value(struct json_writer *w, struct str value)
{
    if (is_number(value) || str_eq(value, STR("true")) || str_eq(value, STR("false")))
        json_raw(w, value);
    else
        json_str(w, value);
}

/* "stop" is a list; of the others the last counts. */
static void put_parameters(struct json_writer *w, const struct recipe *recipe)
{
    bool has_stop = false;

    json_key(w, "parameters");
    json_begin_object(w);
    for (size_t i = 0; i < recipe->n; i++) {
        const struct modelfile_instruction *it = &recipe->all[i];
        bool is_last = it->word == MODELFILE_PARAMETER && !is_parameter(it, STR("stop"));

        has_stop = has_stop || is_parameter(it, STR("stop"));
        for (size_t k = i + 1; k < recipe->n && is_last; k++)
            is_last = !is_parameter(&recipe->all[k], it->name);
        if (!is_last)
            continue;
        json_key_str(w, it->name);
        put_value(w, it->value);
    }
    if (has_stop) {
        json_key(w, "stop");
        json_begin_array(w);
        for (size_t i = 0; i < recipe->n; i++)
            if (is_parameter(&recipe->all[i], STR("stop")))
                json_str(w, recipe->all[i].value);
        json_end(w);
    }
    json_end(w);
}

static bool has(const struct recipe *recipe, enum modelfile_word word)
{
    for (size_t i = 0; i < recipe->n; i++)
        if (recipe->all[i].word == word)
            return true;
    return false;
}

static int put_body(struct buf *body, const char *model, const struct recipe *recipe)
{
    struct json_writer w;

    json_writer_init(&w, body);
    json_begin_object(&w);
    json_key(&w, "model");
    json_str(&w, str_of(model));
    put_text(&w, recipe, MODELFILE_FROM, "from");
    put_text(&w, recipe, MODELFILE_SYSTEM, "system");
    put_text(&w, recipe, MODELFILE_TEMPLATE, "template");
    if (has(recipe, MODELFILE_LICENSE))
        put_licenses(&w, recipe);
    if (has(recipe, MODELFILE_MESSAGE))
        put_messages(&w, recipe);
    if (has(recipe, MODELFILE_PARAMETER))
        put_parameters(&w, recipe);
    json_end(&w);
    return json_writer_result(&w);
}

static int create(struct cli_client *c)
{
    const struct create_options *o = c->command->own->target;
    struct recipe *recipe CLEANUP(freep) = calloc(1, sizeof(*recipe));
    struct buf body = BUF_INIT(CLI_TEXT_MAX);
    int code;

    if (recipe == NULL)
        return cli_complain("out of memory");
    recipe->text = BUF_INIT(FILE_MAX);
    code = read_recipe(recipe, o->file);
    if (code == EXIT_DONE && put_body(&body, c->operands.items[0], recipe) < 0)
        code = cli_complain("%s: too long", o->file);
    if (code == EXIT_DONE)
        code = cli_manage(c, "/api/create", buf_str(&body));
    buf_fini(&recipe->text);
    buf_fini(&body);
    return code;
}

int cli_create(int argc, char **argv)
{
    struct create_options options = {0};
    const struct settings_room own = {"options", rows, ARRAY_LEN(rows), &options};
    const struct cli_command command = {
        .synopsis = "create MODEL [-f FILE] [OPTION]...",
        .text = "Makes MODEL from another model, as a Modelfile says; through a gateway on the "
                "nodes that its\nplacement names.\n",
        .min_operands = 1,
        .max_operands = 1,
        .own = &own,
        .act = create,
    };

    return cli_client_run(&command, argc, argv);
}
