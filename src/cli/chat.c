/* SPDX-License-Identifier: MIT */
#include "cli/chat.h"

#include "base/err.h"
#include "cli/answer.h"
#include "cli/line.h"
#include "json/writer.h"

#define FENCE        STR("\"\"\"")
#define MESSAGES_MAX 4096
#define NAME_MAX_LEN ((size_t)4096)

struct chat {
    struct cli_client *c;
    struct cli_line *line;
    struct buf text;                        /* what is being typed */
    chasqui_message messages[MESSAGES_MAX]; /* the first is for the system's, if there is one */
    size_t n_messages;
    char *system; /* NULL: none */
};

/*
 * What was said
 */

static void drop(struct chat *chat, size_t n_kept)
{
    while (chat->n_messages > n_kept)
        free((void *)(uintptr_t)chat->messages[--chat->n_messages].content);
}

/* Return: EXIT_DONE, else the failure is told. */
static int say(struct chat *chat, const char *role, struct str content)
{
    char *copy;

    if (chat->n_messages == MESSAGES_MAX)
        return cli_complain("the conversation is too long; /clear begins another");
    copy = str_dup(content);
    if (copy == NULL)
        return cli_complain("out of memory");
    chat->messages[chat->n_messages++] = (chasqui_message){.role = role, .content = copy};
    return EXIT_DONE;
}

/* The system's message stands before all others. */
static int begin(struct chat *chat)
{
    drop(chat, 0);
    return say(chat, "system", chat->system != NULL ? str_of(chat->system) : STR(""));
}

/*
 * A question
 */

static void keep_answer(struct chat *chat, const chasqui_answer *answer)
{
    if (say(chat, "assistant", cli_str(answer->text)) != EXIT_DONE)
        drop(chat, chat->n_messages - 1);
}

static void ask(struct chat *chat)
{
    bool has_system = chat->system != NULL;
    struct cli_page page = {.c = chat->c};
    chasqui_chat_request request = {
        .size = sizeof(request),
        .model = chat->c->operands.items[0],
        .messages = chat->messages + (has_system ? 0 : 1),
        .n_messages = chat->n_messages - (has_system ? 0 : 1),
        .context = chat->c->context,
        .on_text = cli_page_put,
        .user = &page,
    };
    chasqui_answer answer;
    int r = chasqui_chat(chat->c->client, &request, &answer);

    cli_page_end(&page);
    if (r == CHASQUI_OK || (atomic_load(&chat->c->is_interrupted) && answer.text.len > 0)) {
        keep_answer(chat, &answer);
        if (r == CHASQUI_OK && chat->c->options.is_verbose)
            cli_print_timings(&answer);
    } else {
        (void)cli_page_fail(&page, &answer);
        drop(chat, chat->n_messages - 1);
    }
    (void)putchar('\n');
    chasqui_answer_free(&answer);
}

/*
 * Commands
 */

static int set_system(struct chat *chat, struct str text)
{
    char *copy = text.len > 0 ? str_dup(text) : NULL;

    if (text.len > 0 && copy == NULL)
        return cli_complain("out of memory");
    free(chat->system);
    chat->system = copy;
    free((void *)(uintptr_t)chat->messages[0].content);
    chat->messages[0].content = str_dup(text);
    (void)puts(text.len > 0 ? "Set system message." : "No system message.");
    return chat->messages[0].content != NULL ? EXIT_DONE : cli_complain("out of memory");
}

static int clear(struct chat *chat, struct str text)
{
    (void)text;
    (void)puts("Cleared session context");
    return begin(chat);
}

static int help(struct chat *chat, struct str text);

/* Has no act: it is looked for before the others. */
#define BYE STR("/bye")

static const struct word {
    struct str name;
    const char *synopsis;
    const char *text;
    int (*act)(struct chat *chat, struct str rest); /* EXIT_DONE; else the end, told */
} words[] = {
    {STR_INIT("/set system"), "/set system TEXT",
     "Set the system message; without TEXT there is none", set_system},
    {STR_INIT("/clear"), "/clear", "Forget what was said", clear},
    {STR_INIT("/bye"), "/bye", "Leave; Ctrl-D does too", NULL},
    {STR_INIT("/?"), "/?, /help", "This help", help},
    {STR_INIT("/help"), NULL, NULL, help},
};

static int help(struct chat *chat, struct str text)
{
    (void)chat;
    (void)text;
    (void)puts("Available commands:");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (words[i].synopsis != NULL)
            (void)printf("  %-18s %s\n", words[i].synopsis, words[i].text);
    (void)puts("\nUse \"\"\" to begin and to end a message of several lines.\n"
               "Ctrl-C stops an answer, or gives up what is typed.\n");
    return EXIT_DONE;
}

static int command(struct chat *chat, struct str line)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct str rest = str_from(line, words[i].name.len);

        if (str_starts(line, words[i].name) && words[i].act != NULL &&
            (rest.len == 0 || rest.s[0] == ' '))
            return words[i].act(chat, str_trim(rest));
    }
    (void)printf("Unknown command '");
    cli_put_text(stdout, line);
    (void)puts("'. Type /? for help");
    return EXIT_DONE;
}

/*
 * Typing
 */

/* What is between two fences, lines and all. Return: as cli_line_read(), or <0. */
static int read_fenced(struct chat *chat, struct str line)
{
    int r = 0;

    line = str_from(line, FENCE.len);
    while (r == 0 && !str_ends(line, FENCE)) {
        r = buf_put(&chat->text, line);
        if (r == 0)
            r = buf_put_char(&chat->text, '\n');
        if (r == 0)
            r = cli_line_read(chat->line, "... ", &line);
    }
    return r != 0 ? r : buf_put(&chat->text, str_head(line, line.len - FENCE.len));
}

/* Return: as cli_line_read(), or <0; the text ends in a NUL byte. */
static int read_text(struct chat *chat)
{
    struct str line;
    int r = cli_line_read(chat->line, ">>> ", &line);

    buf_reset(&chat->text);
    if (r == 0)
        r = str_starts(line, FENCE) ? read_fenced(chat, line)
                                    : buf_put(&chat->text, str_trim(line));
    return r != 0 ? r : buf_put_char(&chat->text, '\0');
}

/* Return: whether the conversation goes on; else *@ret_code is set. */
static bool take_text(struct chat *chat, int *ret_code)
{
    struct str text = str_of(chat->text.data);

    *ret_code = EXIT_DONE;
    if (text.len == 0)
        return true;
    cli_line_remember(chat->line, text.s);
    if (str_eq(text, BYE))
        return false;
    *ret_code = cli_renew(chat->c);
    if (*ret_code == EXIT_DONE && text.s[0] == '/')
        *ret_code = command(chat, text);
    else if (*ret_code == EXIT_DONE && say(chat, "user", text) == EXIT_DONE)
        ask(chat);
    return *ret_code == EXIT_DONE && cli_flush(chat->c);
}

static int talk(struct chat *chat)
{
    int code = begin(chat);
    bool goes_on = code == EXIT_DONE;

    while (goes_on) {
        int r = read_text(chat);

        if (r == CLI_LINE_END) {
            (void)putchar('\n');
            return EXIT_DONE;
        }
        if (r < 0)
            return cli_complain("what is typed: %s", err_text(r));
        goes_on = r == CLI_LINE_INTERRUPTED || take_text(chat, &code);
    }
    return code;
}

/* As Ollama does: loads the model while the first question is thought about, and tells at once what
 * would fail. */
static int load(struct cli_client *c)
{
    struct buf body = BUF_INIT(NAME_MAX_LEN);
    chasqui_reply reply = {0};
    struct json_writer w;
    int code;

    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_key(&w, "model");
    json_str(&w, str_of(c->operands.items[0]));
    json_end(&w);
    if (json_writer_result(&w) < 0)
        code = cli_complain("the name is too long");
    else
        code = cli_ask(c, "ollama.generate", "answer", buf_str(&body), &reply);
    chasqui_reply_free(&reply);
    buf_fini(&body);
    return code;
}

int cli_chat(struct cli_client *c)
{
    struct chat *chat = calloc(1, sizeof(*chat));
    struct buf text = BUF_INIT(CLI_TEXT_MAX);
    int code;

    if (chat == NULL)
        return cli_complain("out of memory");
    chat->c = c;
    chat->text = text;
    code = load(c);
    if (code == EXIT_DONE) {
        chat->line = cli_line_new();
        code = chat->line != NULL ? talk(chat) : cli_complain("the terminal cannot be used");
    }
    cli_line_free(chat->line);
    drop(chat, 0);
    buf_fini(&chat->text);
    free(chat->system);
    free(chat);
    return code;
}
