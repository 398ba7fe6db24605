/* SPDX-License-Identifier: MIT */
#include "cli/models.h"

#include <assert.h>

#include "base/err.h"
#include "cli/json.h"
#include "cli/table.h"

#define CELL_MAX ((size_t)64 * 1024)
#define ID_LEN   12

int cli_model_id(struct str model, struct str value, struct buf *cell)
{
    size_t before = cell->len;
    int r = cli_json_text(value, cell);

    (void)model;
    if (cell->len > before + ID_LEN)
        cell->len = before + ID_LEN;
    return r;
}

int cli_model_size(struct str model, struct str value, struct buf *cell)
{
    char words[CLI_WORDS_MAX];

    (void)model;
    cli_print_size(cli_json_u64(value), words);
    return buf_put(cell, str_of(words));
}

int cli_model_age(struct str model, struct str value, struct buf *cell)
{
    struct buf time = BUF_INIT(CELL_MAX);
    char words[CLI_WORDS_MAX];
    int r = cli_json_text(value, &time);

    (void)model;
    cli_print_age(buf_str(&time), time_wall(), words);
    buf_fini(&time);
    return r < 0 ? r : buf_put(cell, str_of(words));
}

static int put_row(struct cli_table *t, struct str model, const struct cli_model_column *columns)
{
    struct buf cell = BUF_INIT(CELL_MAX);
    int r = 0;

    for (size_t i = 0; i < t->n_columns && r == 0; i++) {
        struct str value = cli_json_member(model, columns[i].member);

        buf_reset(&cell);
        r = columns[i].print != NULL ? columns[i].print(model, value, &cell)
                                     : cli_json_text(value, &cell);
        cli_table_put(t, cell.len > 0 ? buf_str(&cell) : STR("-"));
    }
    buf_fini(&cell);
    return r;
}

int cli_models_print(struct str answer, struct str name, const struct cli_model_column *columns,
                     size_t n_columns)
{
    const char *heads[CLI_COLUMNS_MAX];
    struct json_reader r;
    struct cli_table table;
    struct str model;
    int rc = 0;
    int printed;

    assert(n_columns <= CLI_COLUMNS_MAX);
    for (size_t i = 0; i < n_columns; i++)
        heads[i] = columns[i].head;
    if (!cli_json_begin(&r, cli_json_member(answer, name)))
        return -EX_JSON_SYNTAX;
    cli_table_init(&table, heads, n_columns);
    while (rc == 0 && (rc = cli_json_next(&r, &model)) == 0)
        rc = put_row(&table, model, columns);
    printed = cli_table_print(&table);
    return rc < 0 ? rc : printed;
}
