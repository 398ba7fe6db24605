/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "observe/log.h"

#define N_THREADS 4
#define N_LINES   2000

/* Standard error and an access log, both caught in files. */
struct caught {
    char events[40];
    char access[40];
    int saved_stderr;
};

static void make_file(char path[static 40], const char *name)
{
    int fd;

    (void)snprintf(path, 40, "/tmp/log_test_%s_XXXXXX", name);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void catch_begin(struct caught *c)
{
    int fd;

    make_file(c->events, "events");
    make_file(c->access, "access");
    fd = open(c->events, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    c->saved_stderr = dup(STDERR_FILENO);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(fd), 0);
}

static void read_all(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    assert_true(fd >= 0);
    do {
        assert_int_equal(buf_reserve(out, 65536), 0);
        n = read(fd, out->data + out->len, 65536);
        assert_true(n >= 0);
        out->len += (size_t)n;
    } while (n > 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(buf_put_char(out, '\0'), 0);
}

static void catch_end(struct caught *c, struct buf *events, struct buf *access)
{
    assert_int_equal(dup2(c->saved_stderr, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(c->saved_stderr), 0);
    read_all(c->events, events);
    read_all(c->access, access);
    assert_int_equal(unlink(c->events), 0);
    assert_int_equal(unlink(c->access), 0);
}

static void before_the_start_events_go_straight_to_stderr(void **state)
{
    struct buf events = BUF_INIT(1 << 20);
    struct buf access = BUF_INIT(1 << 20);
    struct caught c;

    (void)state;
    catch_begin(&c);
    log_event(LOG_WARN, "early", "%s\n%d", "two", 1);
    log_event(LOG_DEBUG, "quiet", "not asked for");
    log_access_line(STR("nowhere\n"));
    assert_false(log_access_is_on());
    catch_end(&c, &events, &access);
    assert_string_equal(events.data, "chasqui: warning: two?1\n");
    assert_string_equal(access.data, "");
    buf_fini(&events);
    buf_fini(&access);
}

static void human_lines_have_no_colour_in_a_file(void **state)
{
    struct buf events = BUF_INIT(1 << 20);
    struct buf access = BUF_INIT(1 << 20);
    struct caught c;

    (void)state;
    catch_begin(&c);
    assert_int_equal(
        log_start(&(struct log_settings){
            .level = LOG_INFO, .format = LOG_HUMAN, .access = c.access, .program = "test"}),
        0);
    assert_int_equal(log_start(&(struct log_settings){.access = "off"}), -EALREADY);
    assert_true(log_access_is_on());
    assert_true(log_access_is_human());
    assert_false(log_access_has_colour());
    assert_false(log_is_on(LOG_DEBUG));
    log_event(LOG_INFO, "up", "serving");
    log_event(LOG_ERROR, "down", "\033[31mred\xc3\xa4");
    log_access_line(STR("a line\n"));
    log_stop();
    log_stop();
    assert_false(log_access_is_on());
    catch_end(&c, &events, &access);
    assert_string_equal(events.data, "test: serving\ntest: error: ?[31mred\xc3\xa4\n");
    assert_string_equal(access.data, "a line\n");
    buf_fini(&events);
    buf_fini(&access);
}

static void json_lines_hold_any_text(void **state)
{
    struct buf events = BUF_INIT(1 << 20);
    struct buf access = BUF_INIT(1 << 20);
    struct caught c;
    json_t *line;

    (void)state;
    catch_begin(&c);
    assert_int_equal(
        log_start(&(struct log_settings){.level = LOG_DEBUG, .format = LOG_AUTO, .access = "off"}),
        0);
    assert_false(log_access_is_on());
    log_event(LOG_DEBUG, "node_down", "a \"b\"\n\\c");
    log_stop();
    catch_end(&c, &events, &access);
    line = json_loads(events.data, 0, NULL);
    assert_non_null(line);
    assert_int_equal(json_object_size(line), 4);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "debug");
    assert_string_equal(json_string_value(json_object_get(line, "event")), "node_down");
    assert_string_equal(json_string_value(json_object_get(line, "text")), "a \"b\"\n\\c");
    assert_int_equal(json_string_length(json_object_get(line, "time")), 24);
    json_decref(line);
    buf_fini(&events);
    buf_fini(&access);
}

static void *log_many(void *id)
{
    for (int i = 0; i < N_LINES; i++) {
        char line[64];
        int n = snprintf(line, sizeof(line), "%c %d\n", *(const char *)id, i);

        log_access_line(str_make(line, (size_t)n));
        log_event(LOG_INFO, "many", "%c %d", *(const char *)id, i);
    }
    return NULL;
}

/* Each thread's lines are there, whole, and in order. */
static void check_many(char *text, const char *prefix)
{
    int next[N_THREADS] = {0};

    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        size_t id;
        char *rest;

        assert_int_equal(strncmp(line, prefix, strlen(prefix)), 0);
        line += strlen(prefix);
        id = (size_t)(line[0] - 'a');
        assert_true(id < N_THREADS);
        assert_int_equal(strtol(line + 2, &rest, 10), next[id]);
        assert_ptr_equal(rest, end);
        next[id]++;
    }
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(next[i], N_LINES);
}

static void lines_of_many_threads_stay_whole_and_in_order(void **state)
{
    char ids[N_THREADS] = {'a', 'b', 'c', 'd'};
    struct buf events = BUF_INIT(4 << 20);
    struct buf access = BUF_INIT(4 << 20);
    pthread_t threads[N_THREADS];
    struct caught c;

    (void)state;
    catch_begin(&c);
    assert_int_equal(log_start(&(struct log_settings){
                         .level = LOG_INFO, .format = LOG_HUMAN, .access = c.access}),
                     0);
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, &ids[i]), 0);
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    log_stop();
    assert_int_equal(log_n_dropped(), 0);
    catch_end(&c, &events, &access);
    check_many(access.data, "");
    check_many(events.data, "chasqui: ");
    buf_fini(&events);
    buf_fini(&access);
}

struct drain {
    int fd;
    struct buf bytes;
};

static void *drain_pipe(void *drain_)
{
    struct drain *d = drain_;
    ssize_t n;

    do {
        assert_int_equal(buf_reserve(&d->bytes, 65536), 0);
        n = read(d->fd, d->bytes.data + d->bytes.len, 65536);
        d->bytes.len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    return NULL;
}

/* What the notes in the log say, in sum; counts all other lines in @ret_n_lines. */
static uint64_t sum_of_notes(char *text, uint64_t *ret_n_lines)
{
    uint64_t sum = 0;

    *ret_n_lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        const char *note = strstr(line, "\"text\":\"");

        if (line[0] == 'x')
            ++*ret_n_lines;
        else if (note != NULL && note < end)
            sum += strtoull(note + strlen("\"text\":\""), NULL, 10);
    }
    return sum;
}

static void a_full_log_drops_counts_and_says_so(void **state)
{
    struct drain d = {.bytes = BUF_INIT(64 << 20)};
    uint64_t n_sent = 0;
    uint64_t n_written;
    pthread_t thread;
    char line[1000];
    char path[40];
    int ends[2];

    (void)state;
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
    assert_int_equal(
        log_start(&(struct log_settings){.level = LOG_ERROR, .format = LOG_JSON, .access = path}),
        0);
    assert_int_equal(close(ends[1]), 0);
    while (log_n_dropped() < 10) {
        log_access_line(str_make(line, sizeof(line)));
        n_sent++;
        assert_true(n_sent < 10000);
    }
    d.fd = ends[0];
    assert_int_equal(pthread_create(&thread, NULL, drain_pipe, &d), 0);
    log_stop();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(buf_put_char(&d.bytes, '\0'), 0);
    assert_int_equal(sum_of_notes(d.bytes.data, &n_written), log_n_dropped());
    assert_int_equal(n_written + log_n_dropped(), n_sent);
    assert_int_equal(close(ends[0]), 0);
    buf_fini(&d.bytes);
}

static void a_reader_that_left_does_no_harm(void **state)
{
    char path[40];
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
    assert_int_equal(
        log_start(&(struct log_settings){.level = LOG_ERROR, .format = LOG_JSON, .access = path}),
        0);
    assert_int_equal(close(ends[0]), 0);
    log_access_line(STR("into the void\n"));
    log_stop();
    assert_int_equal(close(ends[1]), 0);
}

static void an_access_log_that_cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(log_start(&(struct log_settings){.access = "/nowhere/access.log"}), -ENOENT);
    assert_false(log_access_is_on());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_the_start_events_go_straight_to_stderr),
        cmocka_unit_test(human_lines_have_no_colour_in_a_file),
        cmocka_unit_test(json_lines_hold_any_text),
        cmocka_unit_test(lines_of_many_threads_stay_whole_and_in_order),
        cmocka_unit_test(a_full_log_drops_counts_and_says_so),
        cmocka_unit_test(a_reader_that_left_does_no_harm),
        cmocka_unit_test(an_access_log_that_cannot_be_opened_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
