/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <errno.h>
#include <unistd.h>

#include "base/err.h"
#include "config/suggest.h"
#include "sim/duration.h"
#include "sim/sim.h"

typedef int set_fn(struct sim_settings *s, struct str value);

static int set_listen(struct sim_settings *s, struct str value)
{
    return addr_parse(value, 11434, &s->listen);
}

static int set_models(struct sim_settings *s, struct str value)
{
    struct str rest = value;

    s->n_models = 0;
    while (rest.len > 0) {
        struct str name = str_trim(str_split(&rest, ','));

        if (name.len == 0 || s->n_models == SIM_MODELS_MAX)
            return -EINVAL;
        s->models[s->n_models++] = name;
    }
    return s->n_models > 0 ? 0 : -EINVAL;
}

static int set_slots(struct sim_settings *s, struct str value)
{
    uint64_t n;

    if (str_to_u64(value, &n) < 0 || n == 0 || n > 1000000)
        return -EINVAL;
    s->n_slots = (uint32_t)n;
    return 0;
}

static int set_tokens(struct sim_settings *s, struct str value)
{
    return str_to_u64(value, &s->answer_tokens) < 0 || s->answer_tokens == 0 ? -EINVAL : 0;
}

static int set_span(nsec_t *span, struct str value)
{
    nsec_t ns;

    if (sim_duration_parse(value, &ns) != 0 || ns < 0 || ns > 86400 * NSEC_PER_SEC)
        return -EINVAL;
    *span = ns;
    return 0;
}

static int set_interval(struct sim_settings *s, struct str value)
{
    return set_span(&s->token_interval_ns, value);
}

static int set_load_time(struct sim_settings *s, struct str value)
{
    return set_span(&s->load_time_ns, value);
}

static int set_keep_alive(struct sim_settings *s, struct str value)
{
    nsec_t ns;

    if (str_eq(value, STR("-1")))
        ns = -1;
    else if (sim_duration_parse(value, &ns) != 0)
        return -EINVAL;
    s->keep_alive_ns = sim_keep_alive_of(ns);
    return 0;
}

static int set_fault(struct sim_settings *s, struct str value)
{
    return sim_fault_parse(value, &s->fault);
}

static int set_seed(struct sim_settings *s, struct str value)
{
    return str_to_u64(value, &s->seed);
}

static int set_profile(struct sim_settings *s, struct str value)
{
    static const struct str names[] = {[SIM_CONTINUE] = STR_INIT("continue"),
                                       [SIM_ECHO] = STR_INIT("echo"),
                                       [SIM_CLOSED] = STR_INIT("closed"),
                                       [SIM_TRIM] = STR_INIT("trim")};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!str_eq(value, names[i]))
            continue;
        s->profile = (enum sim_profile)i;
        return 0;
    }
    return -EINVAL;
}

static int set_version(struct sim_settings *s, struct str value)
{
    s->version = value;
    return value.len > 0 ? 0 : -EINVAL;
}

static const struct option {
    const char *name;
    const char *value; /* what is expected */
    const char *standard;
    const char *text;
    set_fn *set;
} options[] = {
    {"--listen", "HOST:PORT", "127.0.0.1:11434", "where to listen; port 0 takes a free one",
     set_listen},
    {"--models", "A,B,...", "sim,sim-embed",
     "installed models; \"embed\" in the name: for embeddings", set_models},
    {"--slots", "N, 1 or more", "1", "requests that a model works on at once", set_slots},
    {"--tokens", "N, 1 or more", "32", "length of an answer, in words", set_tokens},
    {"--token-interval", "DURATION, like 20ms", "20ms", "time for a token", set_interval},
    {"--load-time", "DURATION, like 2s", "0s", "time for loading a model", set_load_time},
    {"--keep-alive", "DURATION or -1", "5m", "time an idle model stays loaded", set_keep_alive},
    {"--fault", "KIND:N, like die:5", "none",
     "what goes wrong first: die, stall, cut, reset, error after N tokens; or N times instead of "
     "an answer 503, garbage, "
     "length, endless, 1xx, slow, refuse",
     set_fault},
    {"--seed", "N", "0", "changes all texts", set_seed},
    {"--profile", "continue, echo, closed or trim", "continue",
     "what a trailing assistant message does", set_profile},
    {"--ollama-version", "X.Y.Z", "0.11.4", "version to claim; from 0.30 on prompts can be shown",
     set_version},
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static void print_help(void)
{
    (void)printf("chasqui sim answers like an Ollama node, with text that is computed from seed, "
                 "model and prompt.\n\n"
                 "Usage: chasqui sim [OPTION]...\n\nOptions:\n");
    for (size_t i = 0; i < N_OPTIONS; i++)
        (void)printf("  %s %s\n      %s (default %s)\n", options[i].name, options[i].value,
                     options[i].text, options[i].standard);
    (void)printf(
        "\nGET /sim/state tells what the node does, POST /sim/fault says what goes wrong next.\n");
}

static int print_options(void)
{
    struct setting rows[N_OPTIONS];
    const struct settings_room room = {"sim", rows, N_OPTIONS, NULL};

    for (size_t i = 0; i < N_OPTIONS; i++)
        rows[i] = (struct setting){.flag = options[i].name,
                                   .arg = options[i].value,
                                   .def = options[i].standard,
                                   .text = options[i].text};
    return cli_print_options(&room, 1);
}

/* Return: -EINVAL. */
static int refuse_option(struct str name)
{
    struct suggestion near;

    suggest_init(&near, name);
    for (size_t i = 0; i < N_OPTIONS; i++)
        suggest_offer(&near, str_of(options[i].name));
    (void)fprintf(stderr, "chasqui sim: no option `" STR_FMT "'", STR_ARG(name));
    if (near.best.s != NULL)
        (void)fprintf(stderr, ", did you mean `" STR_FMT "'?", STR_ARG(near.best));
    (void)fprintf(stderr, "\n`chasqui sim --help' lists them\n");
    return -EINVAL;
}

/* Takes "--name value" or "--name=value" at argv[*i]. */
static int take_option(struct sim_settings *s, int argc, char **argv, int *i)
{
    struct str arg = str_of(argv[*i]);
    size_t name_len = str_find(arg, '=');

    for (size_t k = 0; k < N_OPTIONS; k++) {
        struct str value = str_from(arg, name_len + 1);

        if (!str_eq(str_head(arg, name_len), str_of(options[k].name)))
            continue;
        if (name_len == arg.len) {
            value = str_of(*i + 1 < argc ? argv[*i + 1] : "");
            (*i)++;
        }
        if (value.len > 0 && options[k].set(s, value) == 0)
            return 0;
        (void)fprintf(stderr, "chasqui sim: %s expects %s, not `" STR_FMT "'\n", options[k].name,
                      options[k].value, STR_ARG(value));
        return -EINVAL;
    }
    return refuse_option(str_head(arg, name_len));
}

static void say_ready(const struct sim_settings *settings)
{
    char at[280];

    (void)addr_print(&settings->listen, at);
    if (!isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "{\"event\":\"listening\",\"text\":\"listening for sim on %s\"}\n",
                      at);
        return;
    }
    (void)fprintf(stderr, "chasqui sim: listening on %s, models", at);
    for (size_t i = 0; i < settings->n_models; i++)
        (void)fprintf(stderr, "%s " STR_FMT, i > 0 ? "," : "", STR_ARG(settings->models[i]));
    (void)fprintf(stderr, "\n");
}

static void say_failed(const struct sim_settings *settings, int err)
{
    char at[280];

    (void)addr_print(&settings->listen, at);
    if (err == -EADDRINUSE)
        (void)fprintf(stderr,
                      "chasqui sim: cannot listen on %s: another process has this port (Ollama "
                      "itself, maybe). "
                      "Stop it, or choose another with --listen 127.0.0.1:0\n",
                      at);
    else
        (void)fprintf(
            stderr, "chasqui sim: cannot listen on %s: %s. Check the address given with --listen\n",
            at, err_text(err));
}

int cli_sim(int argc, char **argv)
{
    struct sim_settings settings = sim_settings_default;
    int r;

    if (cli_is_asked_for_options(argc, argv))
        return print_options();
    for (int i = 1; i < argc; i++) {
        if (str_eq(str_of(argv[i]), STR("--help")) || str_eq(str_of(argv[i]), STR("-h"))) {
            print_help();
            return EXIT_DONE;
        }
        if (take_option(&settings, argc, argv, &i) < 0)
            return EXIT_USAGE;
    }
    r = sim_run(&settings, say_ready);
    if (r < 0)
        say_failed(&settings, r);
    return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
