/* SPDX-License-Identifier: MIT */
#include "cli/line.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <sys/stat.h>
#include <wchar.h>

#define HISTORY_LINES 1000
#define CTRL_C        L'\003'

struct cli_line {
    EditLine *editor;
    History *history;
    char path[PATH_MAX]; /* of the history; "": none */
    const char *prompt;
    bool is_interrupted;
};

static struct cli_line *line_of(EditLine *editor)
{
    void *l = NULL;

    (void)el_get(editor, EL_CLIENTDATA, &l);
    return l;
}

static char *on_prompt(EditLine *editor)
{
    /* libedit only reads it */
    return (char *)(uintptr_t)line_of(editor)->prompt;
}

/* Ctrl-C ends the line. It is caught here because libedit never frees what binds a key to a function
 * of ours or to a macro. Return: as EL_GETCFN has it, 1 a character, 0 the end. */
static int get_key(EditLine *editor, wchar_t *ret_key)
{
    wint_t key;

    do {
        clearerr(stdin);
        errno = 0;
        key = fgetwc(stdin);
    } while (key == WEOF && errno == EINTR); /* the terminal's size has changed */
    if (key == WEOF)
        return 0;
    if (key == CTRL_C) {
        line_of(editor)->is_interrupted = true;
        (void)fputs("^C", stdout);
        key = L'\n';
    }
    *ret_key = (wchar_t)key;
    return 1;
}

/*
 * History
 */

/* Return: whether all folders on the way to @path are there. */
static bool make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        int r;

        *slash = '\0';
        r = mkdir(path, 0700);
        *slash = '/';
        if (r < 0 && errno != EEXIST)
            return false;
    }
    return true;
}

static void find_history(struct cli_line *l)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int n = 0;

    if (state != NULL && state[0] == '/')
        n = snprintf(l->path, sizeof(l->path), "%s/chasqui/history", state);
    else if (home != NULL && home[0] == '/')
        n = snprintf(l->path, sizeof(l->path), "%s/.local/state/chasqui/history", home);
    if (n <= 0 || (size_t)n >= sizeof(l->path) || !make_folders(l->path))
        l->path[0] = '\0';
}

static void save_history(struct cli_line *l)
{
    int fd =
        l->path[0] != '\0' ? open(l->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    HistEvent event;

    if (file == NULL)
        return;
    (void)fchmod(fd, 0600); /* also of one that was there */
    (void)history(l->history, &event, H_SAVE_FP, file);
    (void)fclose(file);
}

void cli_line_remember(struct cli_line *l, const char *text)
{
    HistEvent event;

    (void)history(l->history, &event, H_ENTER, text);
    save_history(l);
}

/*
 * Editing
 */

static void set_up(struct cli_line *l)
{
    HistEvent event;

    (void)history(l->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(l->history, &event, H_SETUNIQUE, 1);
    find_history(l);
    if (l->path[0] != '\0')
        (void)history(l->history, &event, H_LOAD, l->path);
    (void)el_set(l->editor, EL_CLIENTDATA, l);
    (void)el_set(l->editor, EL_PROMPT, on_prompt);
    (void)el_set(l->editor, EL_HIST, history, l->history);
    (void)el_set(l->editor, EL_EDITOR, "emacs");
    (void)el_set(l->editor, EL_SIGNAL, 1);
    (void)el_source(l->editor, NULL);
    /* While a line is edited Ctrl-C is a key, no signal, which would have to end a read. */
    (void)el_set(l->editor, EL_SETTY, "-d", "-isig", NULL);
    (void)el_set(l->editor, EL_GETCFN, get_key);
}

struct cli_line *cli_line_new(void)
{
    struct cli_line *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return NULL;
    (void)setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) /* no locale chosen: the model speaks UTF-8 all the same */
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    l->history = history_init();
    l->editor = el_init("chasqui", stdin, stdout, stderr);
    if (l->history == NULL || l->editor == NULL) {
        cli_line_free(l);
        return NULL;
    }
    set_up(l);
    return l;
}

void cli_line_free(struct cli_line *l)
{
    if (l == NULL)
        return;
    if (l->editor != NULL)
        el_end(l->editor);
    if (l->history != NULL)
        history_end(l->history);
    free(l);
}

int cli_line_read(struct cli_line *l, const char *prompt, struct str *ret_line)
{
    const char *line;
    int n = 0;

    l->prompt = prompt;
    l->is_interrupted = false;
    /* el_gets() does so only behind its prompt: a key typed between would be the terminal's. */
    (void)el_set(l->editor, EL_PREP_TERM, 1);
    line = el_gets(l->editor, &n);
    if (l->is_interrupted)
        return CLI_LINE_INTERRUPTED;
    if (line == NULL || n <= 0)
        return CLI_LINE_END;
    *ret_line = str_make(line, strcspn(line, "\r\n"));
    return 0;
}
