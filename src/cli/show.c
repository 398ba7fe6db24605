/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include "base/err.h"
#include "cli/json.h"
#include "json/writer.h"

#define INDENT    2
#define NAME_LEN  20  /* of the column of names */
#define LONG_LINE 200 /* longer ones are licences without line ends */

/* A string's text. The caller frees it; empty without one. */
static struct buf text_of(struct str value)
{
    struct buf text = BUF_INIT(CLI_TEXT_MAX);

    if (cli_json_text(value, &text) < 0)
        buf_reset(&text);
    return text;
}

static void print_pair(const char *name, struct str value)
{
    struct buf text = text_of(value);

    if (text.len > 0) {
        (void)printf("%*s%-*s", 2 * INDENT, "", NAME_LEN, name);
        cli_put_text(stdout, buf_str(&text));
        (void)fputc('\n', stdout);
    }
    buf_fini(&text);
}

/* model_info names its members after the architecture: "llama.context_length". */
static struct str info_of(struct str info, const char *name)
{
    struct buf key = text_of(cli_json_member(info, STR("general.architecture")));
    struct str value = STR_NULL;

    if (key.len > 0 && buf_printf(&key, ".%s", name) == 0)
        value = cli_json_member(info, buf_str(&key));
    buf_fini(&key);
    return value;
}

static void print_model(struct str answer)
{
    struct str details = cli_json_member(answer, STR("details"));
    struct str info = cli_json_member(answer, STR("model_info"));
    struct str architecture = cli_json_member(info, STR("general.architecture"));

    (void)printf("%*sModel\n", INDENT, "");
    print_pair("architecture",
               architecture.len > 0 ? architecture : cli_json_member(details, STR("family")));
    print_pair("parameters", cli_json_member(details, STR("parameter_size")));
    print_pair("context length", info_of(info, "context_length"));
    print_pair("embedding length", info_of(info, "embedding_length"));
    print_pair("quantization", cli_json_member(details, STR("quantization_level")));
}

static void print_head(const char *head)
{
    (void)printf("\n%*s%s\n", INDENT, "", head);
}

static void print_capabilities(struct str list)
{
    struct json_reader r;
    struct str one;

    if (list.len == 0 || !cli_json_begin(&r, list))
        return;
    print_head("Capabilities");
    while (cli_json_next(&r, &one) == 0) {
        struct buf text = text_of(one);

        (void)printf("%*s", 2 * INDENT, "");
        cli_put_text(stdout, buf_str(&text));
        (void)fputc('\n', stdout);
        buf_fini(&text);
    }
}

/* The first @n_lines of a text; more are told by dots. */
static void print_text(const char *head, struct str value, size_t n_lines)
{
    struct buf text = text_of(value);
    struct str rest = str_trim(buf_str(&text));

    if (rest.len > 0)
        print_head(head);
    for (size_t i = 0; i < n_lines && rest.len > 0; i++) {
        struct str line = str_trim(str_split(&rest, '\n'));

        (void)printf("%*s", 2 * INDENT, "");
        cli_put_text(stdout, str_head(line, LONG_LINE));
        (void)fputs(line.len > LONG_LINE ? "...\n" : "\n", stdout);
    }
    if (rest.len > 0)
        (void)printf("%*s...\n", 2 * INDENT, "");
    buf_fini(&text);
}

static int print(struct str answer)
{
    if (!cli_json_is_object(answer))
        return -EX_JSON_SYNTAX;
    print_model(answer);
    print_capabilities(cli_json_member(answer, STR("capabilities")));
    print_text("Parameters", cli_json_member(answer, STR("parameters")), SIZE_MAX);
    print_text("System", cli_json_member(answer, STR("system")), 2);
    print_text("License", cli_json_member(answer, STR("license")), 2);
    return 0;
}

static int show(struct cli_client *c)
{
    struct buf body = BUF_INIT(CLI_TEXT_MAX);
    struct json_writer w;
    int code;
    int r;

    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_key(&w, "model");
    json_str(&w, str_of(c->operands.items[0]));
    json_end(&w);
    r = json_writer_result(&w);
    if (r == 0)
        code = cli_ask_json(c, "ollama.show", "query", buf_str(&body), print);
    else
        code = cli_complain("the name: %s", err_text(r));
    buf_fini(&body);
    return code;
}

static const struct cli_command command = {
    .synopsis = "show MODEL [OPTION]...",
    .text = "Tells about a model. With -o json all that is known.\n",
    .min_operands = 1,
    .max_operands = 1,
    .act = show,
};

int cli_show(int argc, char **argv)
{
    return cli_client_run(&command, argc, argv);
}
