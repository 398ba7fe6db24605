/* SPDX-License-Identifier: MIT */
#include "sim/text.h"

#include "base/rng.h"

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

static const char *const words[] = {
    "the",     "runner",   "carries", "a",        "message",   "over",    "high",    "passes",
    "to",      "next",     "house",   "and",      "hands",     "it",      "on",      "without",
    "losing",  "single",   "word",    "road",     "is",        "long",    "but",     "every",
    "stage",   "short",    "so",      "that",     "no",        "one",     "tires",   "before",
    "río",     "quipu",    "ñandú",   "puente",   "señal",     "montaña", "corazón", "café",
    "knots",   "tell",     "how",     "many",     "llamas",    "climb",   "from",    "valley",
    "at",      "dawn",     "wind",    "sings",    "in",        "ropes",   "of",      "bridge",
    "while",   "stones",   "keep",    "warmth",   "through",   "night",   "stars",   "turn",
    "naïve",   "Straße",   "Øresund", "élan",     "žluťoučký", "世界",    "言葉",    "山",
    "мост",    "весть",    "γέφυρα",  "🏔️",  "→",         "…",       "½",       "“so”",
    "when",    "rain",     "falls",   "water",    "finds",     "its",     "way",     "down",
    "steps",   "terraces", "feed",    "towns",    "whose",     "people",  "weave",   "colours",
    "into",    "cloth",    "as",      "fine",     "morning",   "mist",    "they",    "remember",
    "names",   "distant",  "places",  "by",       "songs",     "which",   "travel",  "faster",
    "than",    "any",      "feet",    "could",    "ever",      "go",      "until",   "silence",
    "answers", "with",     "another", "question", "left",      "open",    "for",     "whoever",
};

#define N_WORDS (sizeof(words) / sizeof(words[0]))

static uint64_t mix(uint64_t x)
{
    struct rng r = {.state = x};

    return rng_next(&r);
}

static uint64_t fnv_step(uint64_t state, char c)
{
    return (state ^ (uint8_t)c) * FNV_PRIME;
}

static uint64_t fnv(uint64_t state, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        state = fnv_step(state, bytes.s[i]);
    return state;
}

uint64_t sim_hash(uint64_t seed, struct str bytes)
{
    return mix(fnv(FNV_OFFSET ^ mix(seed), bytes));
}

/*
 * What stands behind word @k: a function of hash and index alone, so the next word can tell whether
 * it begins a sentence.
 */
static const char *mark_behind(uint64_t hash, uint64_t k)
{
    static const char *const marks[16] = {
        [0] = ".", [1] = ",", [2] = ".", [3] = ",", [4] = "!", [5] = "?"};
    const char *mark = marks[mix(hash ^ mix(k + 1)) >> 60];

    return mark != NULL ? mark : "";
}

static bool ends_sentence(const char *mark)
{
    return *mark == '.' || *mark == '!' || *mark == '?';
}

static size_t put(char *out, size_t at, const char *s)
{
    size_t n = strlen(s);

    memcpy(out + at, s, n);
    return at + n;
}

static size_t make_token(uint64_t hash, uint64_t k, char out[static SIM_TOKEN_MAX])
{
    const char *word = words[mix(hash + k * UINT64_C(0x9e3779b97f4a7c15)) % N_WORDS];
    size_t at = k > 0 ? put(out, 0, " ") : 0;
    size_t begin = at;

    at = put(out, at, word);
    if ((k == 0 || ends_sentence(mark_behind(hash, k - 1))) && out[begin] >= 'a' &&
        out[begin] <= 'z')
        out[begin] = (char)(out[begin] - 'a' + 'A');
    return put(out, at, mark_behind(hash, k));
}

/* Whether @rest is how the answer chosen by @hash begins. */
static bool is_beginning(uint64_t hash, struct str rest, struct sim_text *ret_text)
{
    char token[SIM_TOKEN_MAX];
    uint64_t k = 0;

    for (; rest.len > 0; k++) {
        size_t n = make_token(hash, k, token);

        if (memcmp(token, rest.s, n < rest.len ? n : rest.len) != 0)
            return false;
        if (n > rest.len)
            break;
        rest = str_from(rest, n);
    }
    *ret_text = (struct sim_text){.hash = hash, .token = k, .offset = rest.len};
    return true;
}

static size_t behind_last_mark(struct str prompt)
{
    const struct str mark = STR(SIM_ASSISTANT);
    size_t at = prompt.len;

    while (at > 0) {
        const char *c = memrchr(prompt.s, '<', at);

        if (c == NULL)
            return 0;
        at = (size_t)(c - prompt.s);
        if (str_starts(str_from(prompt, at), mark))
            return at + mark.len;
    }
    return 0;
}

void sim_text_begin(struct sim_text *t, uint64_t seed, struct str prompt)
{
    size_t at = behind_last_mark(prompt);
    uint64_t state = fnv(FNV_OFFSET ^ mix(seed), str_head(prompt, at));

    if (is_beginning(mix(state), str_from(prompt, at), t))
        return;
    for (size_t begin = at; at <= prompt.len; at++) {
        bool is_near = prompt.len - at <= SIM_PREFILL_MAX;

        if (at > begin && is_near && is_beginning(mix(state), str_from(prompt, at), t))
            return;
        if (at < prompt.len)
            state = fnv_step(state, prompt.s[at]);
    }
}

struct str sim_text_next(struct sim_text *t, char out[static SIM_TOKEN_MAX])
{
    struct str token = str_make(out, make_token(t->hash, t->token, out));

    token = str_from(token, t->offset);
    t->token++;
    t->offset = 0;
    return token;
}

uint64_t sim_count_tokens(struct str text)
{
    uint64_t n = 0;
    bool in_word = false;

    for (size_t i = 0; i < text.len; i++) {
        bool is_space = text.s[i] == ' ' || text.s[i] == '\n';

        n += !is_space && !in_word;
        in_word = !is_space;
    }
    return n > 0 ? n : 1;
}
