/* SPDX-License-Identifier: MIT */
#include "sim/render.h"

#include "sim/text.h"

/* "<|role|>\ncontent<|end|>\n" */
static int put_turn(struct buf *out, struct str role, struct str content)
{
    int r = buf_reserve(out, role.len + content.len + 32);

    if (r == 0)
        r = buf_put(out, STR("<|"));
    if (r == 0)
        r = buf_put(out, role);
    if (r == 0)
        r = buf_put(out, STR("|>\n"));
    if (r == 0)
        r = buf_put(out, content);
    return r == 0 ? buf_put(out, STR("<|end|>\n")) : r;
}

/* A turn without its end: the model goes on in it. */
static int put_open_turn(struct buf *out, struct str content)
{
    int r = buf_put(out, STR(SIM_ASSISTANT));

    return r == 0 ? buf_put(out, content) : r;
}

static struct str without_space_behind(struct str text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.s[text.len - 1]) != NULL)
        text.len--;
    return text;
}

static int put_messages(const struct sim_ask *ask, enum sim_profile profile, struct buf *out,
                        struct str *ret_echo)
{
    for (const struct sim_message *m = ask->first; m != NULL; m = m->next) {
        int r;

        if (m->next == NULL && profile != SIM_CLOSED && str_eq_nocase(m->role, STR("assistant"))) {
            if (profile == SIM_ECHO)
                *ret_echo = m->content;
            return put_open_turn(out, profile == SIM_TRIM ? without_space_behind(m->content)
                                                          : m->content);
        }
        r = put_turn(out, m->role, m->content);
        if (r < 0)
            return r;
    }
    return put_open_turn(out, STR_NULL);
}

int sim_render(const struct sim_ask *ask, enum sim_profile profile, struct buf *out,
               struct str *ret_echo)
{
    int r = 0;

    *ret_echo = STR_NULL;
    if (ask->is_raw)
        return buf_put(out, ask->prompt);
    if (ask->system.len > 0)
        r = put_turn(out, STR("system"), ask->system);
    if (r < 0 || (ask->dialect & (SIM_GENERATE | SIM_V1_COMPLETIONS)) == 0)
        return r < 0 ? r : put_messages(ask, profile, out, ret_echo);
    r = put_turn(out, STR("user"), ask->prompt);
    return r == 0 ? put_open_turn(out, STR_NULL) : r;
}
