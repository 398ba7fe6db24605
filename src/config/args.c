/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/err.h"
#include "config/state.h"
#include "config/suggest.h"

struct args {
    struct settings *s;
    char *const *argv;
    int n;
    int at; /* the next to be read */
    struct buf *errors;
};

static struct setting_state *find_flag(const struct settings *s, struct str flag)
{
    for (size_t i = 0; i < s->n_states; i++) {
        if (str_eq(str_of(s->states[i].row->flag), flag))
            return &s->states[i];
    }
    return NULL;
}

static int refuse_flag(struct args *a, struct str flag)
{
    struct blame at = {.word = "arguments"};
    struct suggestion near;

    suggest_init(&near, flag);
    for (size_t i = 0; i < a->s->n_states; i++) {
        if (a->s->states[i].row->flag != NULL)
            suggest_offer(&near, str_of(a->s->states[i].row->flag));
    }
    if (near.best.s == NULL)
        return blame_tell(a->s, &at, a->errors, "unknown flag `" STR_FMT "`", STR_ARG(flag));
    return blame_tell(a->s, &at, a->errors,
                      "unknown flag `" STR_FMT "`, did you mean `" STR_FMT "`?", STR_ARG(flag),
                      STR_ARG(near.best));
}

/* Another flag is no value: `--listen --mcp x` has forgotten one. */
static bool has_next_value(const struct args *a)
{
    return a->at < a->n && !str_starts(str_of(a->argv[a->at]), STR("--"));
}

static int parse_flag(struct args *a, struct str arg)
{
    size_t at_equals = str_find(arg, '=');
    struct str flag = str_head(arg, at_equals);
    struct setting_state *state = find_flag(a->s, flag);
    struct str value = STR("true");
    struct blame at;

    if (state == NULL)
        return refuse_flag(a, flag);
    at = (struct blame){.word = state->row->flag};
    if (at_equals < arg.len)
        value = str_from(arg, at_equals + 1);
    else if (state->row->type != SETTING_BOOL && has_next_value(a))
        value = str_of(a->argv[a->at++]);
    else if (state->row->type != SETTING_BOOL)
        return blame_tell(a->s, &at, a->errors, "needs a value%s%s",
                          state->row->arg != NULL ? ": " : "",
                          state->row->arg != NULL ? state->row->arg : "");
    return state_set_text(a->s, state, value, SETTING_FROM_FLAG, &at, a->errors);
}

static int put_operand(struct args *a, struct strings *operands, const char *arg)
{
    struct blame at = {.word = "arguments"};

    if (operands != NULL)
        return strings_put(operands, str_of(arg));
    return blame_tell(a->s, &at, a->errors, "unexpected `%s`", arg);
}

int settings_parse_args(struct settings *s, int argc, char *const *argv, struct strings *operands,
                        struct buf *errors)
{
    struct args a = {.s = s, .argv = argv, .n = argc, .at = 1, .errors = errors};
    bool has_ended = false;
    int result = 0;

    while (a.at < a.n) {
        const char *arg = argv[a.at++];
        int r = 0;

        if (!has_ended && strcmp(arg, "--") == 0)
            has_ended = true;
        else if (!has_ended && arg[0] == '-' && arg[1] != '\0')
            r = parse_flag(&a, str_of(arg));
        else
            r = put_operand(&a, operands, arg);
        if (r == -ENOMEM)
            return r;
        result = r < 0 ? r : result;
    }
    return result;
}
