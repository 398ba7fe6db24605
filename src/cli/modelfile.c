/* SPDX-License-Identifier: MIT */
#include "cli/modelfile.h"

#include <errno.h>

#define FENCE STR("\"\"\"")

static const struct {
    struct str text;
    bool has_name;
} words[] = {
    [MODELFILE_FROM] = {STR_INIT("FROM"), false},
    [MODELFILE_SYSTEM] = {STR_INIT("SYSTEM"), false},
    [MODELFILE_TEMPLATE] = {STR_INIT("TEMPLATE"), false},
    [MODELFILE_LICENSE] = {STR_INIT("LICENSE"), false},
    [MODELFILE_PARAMETER] = {STR_INIT("PARAMETER"), true},
    [MODELFILE_MESSAGE] = {STR_INIT("MESSAGE"), true},
};

#define N_WORDS (sizeof(words) / sizeof(words[0]))

static struct str skip_blanks(struct str s)
{
    while (s.len > 0 && (s.s[0] == ' ' || s.s[0] == '\t'))
        s = str_from(s, 1);
    return s;
}

/* Empty lines and comments. */
static struct str skip_nothing(struct str s)
{
    for (;;) {
        while (s.len > 0 && strchr(" \t\r\n", s.s[0]) != NULL)
            s = str_from(s, 1);
        if (s.len == 0 || s.s[0] != '#')
            return s;
        s = str_from(s, str_find(s, '\n'));
    }
}

static struct str take_word(struct str *s)
{
    size_t n = 0;
    struct str word;

    while (n < s->len && strchr(" \t\r\n", s->s[n]) == NULL)
        n++;
    word = str_head(*s, n);
    *s = skip_blanks(str_from(*s, n));
    return word;
}

/* Return: 0; -EINVAL it does not end, or there is none. */
static int take_value(struct str *s, struct str *ret)
{
    struct str value;

    if (str_starts(*s, FENCE)) {
        struct str inside = str_from(*s, FENCE.len);
        size_t end = str_search(inside, FENCE);

        if (end >= inside.len)
            return -EINVAL;
        *ret = str_head(inside, end);
        *s = str_from(inside, end + FENCE.len);
        return 0;
    }
    value = str_trim(str_head(*s, str_find(*s, '\n')));
    *s = str_from(*s, str_find(*s, '\n'));
    if (value.len == 0)
        return -EINVAL;
    if (value.len >= 2 && value.s[0] == '"' && value.s[value.len - 1] == '"')
        value = str_make(value.s + 1, value.len - 2);
    *ret = value;
    return 0;
}

int modelfile_next(struct str *rest, struct modelfile_instruction *ret)
{
    struct modelfile_instruction it = {0};
    struct str s = skip_nothing(*rest);
    struct str word;
    size_t i = 0;

    *rest = s;
    if (s.len == 0)
        return MODELFILE_END;
    word = take_word(&s);
    while (i < N_WORDS && !str_eq_nocase(word, words[i].text))
        i++;
    if (i == N_WORDS)
        return -EINVAL;
    it.word = (enum modelfile_word)i;
    if (words[i].has_name)
        it.name = take_word(&s);
    if (take_value(&s, &it.value) < 0)
        return -EINVAL;
    *ret = it;
    *rest = s;
    return 0;
}
