/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include "base/err.h"
#include "cli/json.h"
#include "json/writer.h"

/* Vectors are printed with the digits they came with. */
static int print(struct str answer)
{
    struct json_reader r;
    struct str vector;
    int rc;

    if (!cli_json_begin(&r, cli_json_member(answer, STR("embeddings"))))
        return -EX_JSON_SYNTAX;
    while ((rc = cli_json_next(&r, &vector)) == 0) {
        (void)fwrite(vector.s, 1, vector.len, stdout);
        (void)fputc('\n', stdout);
    }
    return rc < 0 ? rc : 0;
}

static int put_body(struct buf *out, const struct strings *operands)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "model");
    json_str(&w, str_of(operands->items[0]));
    json_key(&w, "input");
    json_begin_array(&w);
    for (size_t i = 1; i < operands->n; i++)
        json_str(&w, str_of(operands->items[i]));
    json_end(&w);
    json_end(&w);
    return json_writer_result(&w);
}

static int embed(struct cli_client *c)
{
    struct buf body = BUF_INIT(CLI_TEXT_MAX);
    int r = put_body(&body, &c->operands);
    int code;

    if (r == 0)
        code = cli_ask_json(c, "ollama.embed", "answer", buf_str(&body), print);
    else
        code = cli_complain("the texts: %s", err_text(r));
    buf_fini(&body);
    return code;
}

static const struct cli_command command = {
    .synopsis = "embed MODEL TEXT... [OPTION]...",
    .text = "Prints the embedding of each TEXT, a JSON array on a line of its own.\n",
    .min_operands = 2,
    .max_operands = SIZE_MAX,
    .act = embed,
};

int cli_embed(int argc, char **argv)
{
    return cli_client_run(&command, argc, argv);
}
