/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <signal.h>

#include "config/suggest.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text;
} commands[] = {
    {"serve", cli_serve, "run the gateway"},
    {"check", cli_check, "check a configuration file"},
    {"sim", cli_sim, "run a simulated Ollama node"},
    {"run", cli_run, "ask a model, or talk with it"},
    {"embed", cli_embed, "print embeddings of texts"},
    {"list", cli_list, "list models"},
    {"ps", cli_ps, "list models that are loaded"},
    {"nodes", cli_nodes, "list a gateway's nodes"},
    {"doctor", cli_doctor, "find out what is wrong with a gateway and its nodes"},
    {"show", cli_show, "tell about a model"},
    {"pull", cli_pull, "fetch a model"},
    {"create", cli_create, "make a model from another"},
    {"cp", cli_cp, "copy a model"},
    {"rm", cli_rm, "remove a model"},
    {"stop", cli_stop, "unload a model"},
    {"echo", cli_echo, "send a text to a gateway and back"},
    {"bench", cli_bench, "measure an endpoint under load"},
    {"version", cli_version, "print the version"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
    (void)fprintf(out,
                  "chasqui carries messages between applications and a fleet of Ollama nodes.\n\n"
                  "Usage: chasqui COMMAND [OPTION]...\n\nCommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].text);
    (void)fprintf(out, "\n`chasqui COMMAND --help` tells the options of a command.\n");
}

static void print_manual_of(const struct command *command)
{
    char name[] = "";
    char flag[] = CLI_PRINT_OPTIONS;
    char *argv[] = {name, flag, NULL};

    (void)printf(".TP\n.B %s\n%s\n.RS\n", command->name, command->text);
    (void)command->run(2, argv);
    (void)printf(".RE\n");
}

/* The manual page chasqui(1), in roff. */
static void print_manual(void)
{
    (void)printf(".TH CHASQUI 1\n"
                 ".SH NAME\nchasqui \\- a gateway in front of Ollama nodes, and its client\n"
                 ".SH SYNOPSIS\n.B chasqui\n.I COMMAND\n[\\fIOPTION\\fR]...\n"
                 ".SH DESCRIPTION\n"
                 "Carries messages between applications and a fleet of Ollama nodes.\n"
                 ".B chasqui COMMAND \\-\\-help\ntells the options of a command.\n"
                 ".SH COMMANDS\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        print_manual_of(&commands[i]);
    (void)printf(".SH OPTIONS OF ALL CLIENT COMMANDS\n");
    (void)cli_print_common_options();
    (void)printf(".SH EXIT STATUS\n"
                 "0 done, 1 failed, 2 usage, 3 unreachable, 4 refused, 130 interrupted.\n"
                 ".SH ENVIRONMENT\n"
                 ".TP\n.B CHASQUI_HOST\nwho is asked: \\-\\-host\n"
                 ".TP\n.B CHASQUI_ADMIN\nthe admin listener: \\-\\-admin\n"
                 ".TP\n.B CHASQUI_API_KEY\nthe key: \\-\\-key\n"
                 ".SH FILES\n.TP\n.I $XDG_STATE_HOME/chasqui/history\n"
                 "lines typed in conversations; in ~/.local/state without XDG_STATE_HOME\n"
                 ".SH SEE ALSO\n"
                 ".BR chasqui\\-bench (1),\n.BR libchasqui (3),\n.BR chasqui.yaml (5)\n");
}

static int refuse(struct str name)
{
    struct suggestion near;

    suggest_init(&near, name);
    for (size_t i = 0; i < N_COMMANDS; i++)
        suggest_offer(&near, str_of(commands[i].name));
    (void)fprintf(stderr, "chasqui: no command `%s'", name.s);
    if (near.best.s != NULL)
        (void)fprintf(stderr, ", did you mean `" STR_FMT "'?", STR_ARG(near.best));
    (void)fprintf(stderr, "\n\n");
    print_help(stderr);
    return EXIT_USAGE;
}

int cli_version(int argc, char **argv)
{
    if (!cli_is_asked_for_options(argc, argv))
        (void)printf("chasqui %s\n", CHASQUI_VERSION);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct str name = str_of(argc > 1 ? argv[1] : "");

    /* A peer that closes early is an error of that write, not the end of the process. */
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (str_eq(name, str_of(commands[i].name)))
            return commands[i].run(argc - 1, argv + 1);
    if (str_eq(name, STR("--version")) || str_eq(name, STR("-v")))
        return cli_version(argc - 1, argv + 1);
    if (str_eq(name, STR("--help")) || str_eq(name, STR("-h")) || str_eq(name, STR("help"))) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (str_eq(name, STR("--print-manual"))) {
        print_manual();
        return EXIT_DONE;
    }
    if (name.len > 0)
        return refuse(name);
    print_help(stderr);
    return EXIT_USAGE;
}
