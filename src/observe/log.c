/* SPDX-License-Identifier: MIT */
#include "observe/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "json/writer.h"
#include "observe/text.h"

/* Half of a stream's memory: one buffer fills while the thread writes the other. */
#define STREAM_MAX ((size_t)1024 * 1024)
#define MAX_EVENT  ((size_t)32 * 1024)
#define MAX_TEXT   4096

enum stream_id {
    STREAM_EVENTS,
    STREAM_ACCESS,
    N_STREAMS
};

struct stream {
    int fd; /* -1: off */
    bool is_human;
    bool has_colour;
    struct buf filling; /* under sink.lock */
    uint64_t n_dropped; /* under sink.lock; not yet told in the stream */
    struct buf writing; /* the thread's alone */
};

struct sink {
    pthread_mutex_t lock;
    pthread_cond_t has_lines; /* or is_stopping */
    pthread_t thread;
    bool is_running;
    bool is_stopping;
    uint64_t n_dropped;
    const char *program;
    struct stream streams[N_STREAMS];
};

static struct sink sink = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .has_lines = PTHREAD_COND_INITIALIZER,
    .program = "chasqui",
    .streams = {{.fd = STDERR_FILENO, .is_human = true}, {.fd = -1}},
};

/* What is asked for every line without the lock; written by log_start() and log_stop() only. */
static atomic_int least_level = LOG_INFO;

enum {
    ACCESS_IS_ON = 1,
    ACCESS_IS_HUMAN = 2,
    ACCESS_HAS_COLOUR = 4,
};
static atomic_int access_flags;

/* ---- writing ---- */

/*
 * A full pipe that somebody made non-blocking is waited for; any other failure loses the bytes,
 * there is nobody to tell.
 */
static void write_all(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.s, bytes.len);

        if (n > 0)
            bytes = str_from(bytes, (size_t)n);
        else if (n < 0 && errno == EAGAIN)
            (void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (n == 0 || errno != EINTR)
            return;
    }
}

static int put_event(const struct stream *s, const char *program, enum log_level level,
                     const char *event, struct str text, struct buf *out);

static void tell_dropped(const struct stream *s, const char *program, uint64_t n)
{
    CLEANUP(buf_fini) struct buf line = BUF_INIT(MAX_EVENT);
    char text[64];

    (void)snprintf(text, sizeof(text), "%llu log lines were dropped here", (unsigned long long)n);
    if (put_event(s, program, LOG_WARN, "log_dropped", str_of(text), &line) == 0)
        write_all(s->fd, buf_str(&line));
}

static bool has_lines(const struct sink *k)
{
    for (int i = 0; i < N_STREAMS; i++) {
        if (k->streams[i].filling.len > 0)
            return true;
    }
    return false;
}

static void swap(struct stream *s)
{
    struct buf empty = s->writing;

    s->writing = s->filling;
    s->filling = empty;
}

static void flush(struct stream *s, const char *program, uint64_t n_dropped)
{
    write_all(s->fd, buf_str(&s->writing));
    buf_reset(&s->writing);
    if (n_dropped > 0)
        tell_dropped(s, program, n_dropped);
}

/* Return: whether there may be more. */
static bool write_batch(struct sink *k)
{
    uint64_t n_dropped[N_STREAMS];
    bool is_last;

    (void)pthread_mutex_lock(&k->lock);
    while (!has_lines(k) && !k->is_stopping)
        (void)pthread_cond_wait(&k->has_lines, &k->lock);
    is_last = !has_lines(k);
    for (int i = 0; i < N_STREAMS; i++) {
        swap(&k->streams[i]);
        n_dropped[i] = k->streams[i].n_dropped;
        k->streams[i].n_dropped = 0;
    }
    (void)pthread_mutex_unlock(&k->lock);
    for (int i = 0; i < N_STREAMS; i++)
        flush(&k->streams[i], k->program, n_dropped[i]);
    return !is_last;
}

static void *run_writer(void *arg)
{
    while (write_batch(arg))
        ;
    return NULL;
}

/* Under the lock. */
static void put_line(struct sink *k, struct stream *s, struct str line)
{
    bool was_empty = !has_lines(k);

    if (buf_put(&s->filling, line) < 0) {
        s->n_dropped++;
        k->n_dropped++;
        return;
    }
    if (was_empty)
        (void)pthread_cond_signal(&k->has_lines);
}

/* ---- start and stop ---- */

static void set_form(struct stream *s, enum log_format format)
{
    bool is_terminal = s->fd >= 0 && isatty(s->fd) == 1;
    const char *no_colour = secure_getenv("NO_COLOR");

    s->is_human = format == LOG_HUMAN || (format == LOG_AUTO && is_terminal);
    s->has_colour = s->is_human && is_terminal && (no_colour == NULL || no_colour[0] == '\0');
}

static int open_access(const char *access)
{
    int fd;

    if (access == NULL || strcmp(access, "off") == 0)
        return -1;
    if (strcmp(access, "stdout") == 0)
        return STDOUT_FILENO;
    fd = open(access, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    return fd < 0 ? -errno : fd;
}

static void close_access(struct stream *s)
{
    if (s->fd > STDERR_FILENO)
        (void)close(s->fd);
    s->fd = -1;
}

/*
 * Signals are for the thread that waits for them; a pipe whose reader is gone is an error of
 * write() here.
 */
static int start_thread(struct sink *k)
{
    sigset_t all;
    sigset_t before;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&k->thread, NULL, run_writer, k);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

static void publish_access(const struct stream *s)
{
    int flags = s->fd >= 0 ? ACCESS_IS_ON : 0;

    flags |= s->is_human ? ACCESS_IS_HUMAN : 0;
    flags |= s->has_colour ? ACCESS_HAS_COLOUR : 0;
    atomic_store_explicit(&access_flags, flags, memory_order_relaxed);
}

/* Under the lock. */
static int start(struct sink *k, const struct log_settings *settings)
{
    int fd = open_access(settings->access);
    int r;

    if (fd < -1)
        return fd;
    k->streams[STREAM_ACCESS].fd = fd;
    for (int i = 0; i < N_STREAMS; i++) {
        set_form(&k->streams[i], settings->format);
        k->streams[i].filling = BUF_INIT(STREAM_MAX);
        k->streams[i].writing = BUF_INIT(STREAM_MAX);
        k->streams[i].n_dropped = 0;
    }
    k->program = settings->program != NULL ? settings->program : "chasqui";
    k->n_dropped = 0;
    k->is_stopping = false;
    r = start_thread(k);
    if (r < 0) {
        close_access(&k->streams[STREAM_ACCESS]);
        return r;
    }
    k->is_running = true;
    atomic_store_explicit(&least_level, (int)settings->level, memory_order_relaxed);
    publish_access(&k->streams[STREAM_ACCESS]);
    return 0;
}

int log_start(const struct log_settings *settings)
{
    int r = -EALREADY;

    (void)pthread_mutex_lock(&sink.lock);
    if (!sink.is_running)
        r = start(&sink, settings);
    (void)pthread_mutex_unlock(&sink.lock);
    return r;
}

void log_stop(void)
{
    bool was_running;

    (void)pthread_mutex_lock(&sink.lock);
    was_running = sink.is_running;
    sink.is_running = false;
    sink.is_stopping = true;
    (void)pthread_cond_signal(&sink.has_lines);
    (void)pthread_mutex_unlock(&sink.lock);
    if (!was_running)
        return;
    (void)pthread_join(sink.thread, NULL);
    (void)pthread_mutex_lock(&sink.lock);
    close_access(&sink.streams[STREAM_ACCESS]);
    publish_access(&sink.streams[STREAM_ACCESS]);
    for (int i = 0; i < N_STREAMS; i++) {
        buf_fini(&sink.streams[i].filling);
        buf_fini(&sink.streams[i].writing);
    }
    (void)pthread_mutex_unlock(&sink.lock);
}

/* ---- events ---- */

struct level_word {
    const char *name;
    const char *prefix; /* of a human line */
    const char *colour;
};

static const struct level_word levels[] = {
    [LOG_DEBUG] = {"debug", "debug: ", "\033[2m"},
    [LOG_INFO] = {"info", "", ""},
    [LOG_WARN] = {"warn", "warning: ", "\033[33m"},
    [LOG_ERROR] = {"error", "error: ", "\033[31m"},
};

static int put_human_event(const struct stream *s, const char *program, enum log_level level,
                           struct str text, struct buf *out)
{
    const struct level_word *word = &levels[level];
    bool has_colour = s->has_colour && word->prefix[0] != '\0';
    int r = buf_printf(out, "%s: %s%s%s", program, has_colour ? word->colour : "", word->prefix,
                       has_colour ? "\033[0m" : "");

    if (r == 0)
        r = text_put_printable(text, out);
    return r < 0 ? r : buf_put_char(out, '\n');
}

static int put_json_event(enum log_level level, const char *event, struct str text, struct buf *out)
{
    char stamp[TEXT_STAMP_LEN];
    struct json_writer w;
    int r;

    text_stamp(time_wall(), stamp);
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "time");
    json_str(&w, str_make(stamp, sizeof(stamp)));
    json_key(&w, "level");
    json_str(&w, str_of(levels[level].name));
    json_key(&w, "event");
    json_str(&w, str_of(event));
    json_key(&w, "text");
    json_str(&w, text);
    json_end(&w);
    r = json_writer_result(&w);
    return r < 0 ? r : buf_put_char(out, '\n');
}

static int put_event(const struct stream *s, const char *program, enum log_level level,
                     const char *event, struct str text, struct buf *out)
{
    if (s->is_human)
        return put_human_event(s, program, level, text, out);
    return put_json_event(level, event, text, out);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least_level, (int)level, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    static const struct stream direct = {.fd = STDERR_FILENO, .is_human = true};
    CLEANUP(buf_fini) struct buf line = BUF_INIT(MAX_EVENT);
    char text[MAX_TEXT];
    va_list args;

    if (!log_is_on(level))
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)pthread_mutex_lock(&sink.lock);
    if (sink.is_running) {
        const struct stream *events = &sink.streams[STREAM_EVENTS];

        if (put_event(events, sink.program, level, event, str_of(text), &line) == 0)
            put_line(&sink, &sink.streams[STREAM_EVENTS], buf_str(&line));
    } else if (put_event(&direct, sink.program, level, event, str_of(text), &line) == 0) {
        write_all(STDERR_FILENO, buf_str(&line));
    }
    (void)pthread_mutex_unlock(&sink.lock);
}

/* ---- access lines ---- */

static bool has_access_flag(int flag)
{
    return (atomic_load_explicit(&access_flags, memory_order_relaxed) & flag) != 0;
}

bool log_access_is_on(void)
{
    return has_access_flag(ACCESS_IS_ON);
}

bool log_access_is_human(void)
{
    return has_access_flag(ACCESS_IS_HUMAN);
}

bool log_access_has_colour(void)
{
    return has_access_flag(ACCESS_HAS_COLOUR);
}

void log_access_line(struct str line)
{
    struct stream *access = &sink.streams[STREAM_ACCESS];

    (void)pthread_mutex_lock(&sink.lock);
    if (sink.is_running && access->fd >= 0)
        put_line(&sink, access, line);
    (void)pthread_mutex_unlock(&sink.lock);
}

uint64_t log_n_dropped(void)
{
    uint64_t n;

    (void)pthread_mutex_lock(&sink.lock);
    n = sink.n_dropped;
    (void)pthread_mutex_unlock(&sink.lock);
    return n;
}
