/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "admit/keys.h"
#include "base/err.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))
#define A          "aaaaaaaaaaaaaaaa"
#define B          "bbbbbbbbbbbbbbbb"

static const char *errors_of(struct buf *errors)
{
    assert_int_equal(buf_put_char(errors, '\0'), 0);
    return errors->data;
}

static void well_formed_lines_become_keys(void **state)
{
    static const struct {
        const char *text, *name, *secret;
        unsigned scopes;
    } rows[] = {
        {"n:" A ":use", "n", A, KEY_USE},
        {"n:" A ":admin\n", "n", A, KEY_USE | KEY_ADMIN},
        {"n:" A ":use,admin\r\n", "n", A, KEY_USE | KEY_ADMIN},
        {"n:" A ":use , admin \t\r\n", "n", A, KEY_USE | KEY_ADMIN},
        {"  n : " A " : use", "n", A, KEY_USE},
        {"# comment:\n\n \r\n#\nn:" A ":use\n\n", "n", A, KEY_USE},
        {"team-a.gpu_1@lab:sk-#%&/()=?" A ":use", "team-a.gpu_1@lab", "sk-#%&/()=?" A, KEY_USE},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
        CLEANUP(keys_fini) struct keys k = {0};

        assert_int_equal(keys_parse(str_of(rows[i].text), "keys", &k, &errors), 0);
        assert_int_equal(errors.len, 0);
        assert_int_equal(k.n_keys, 1);
        assert_true(str_eq(k.keys[0].name, str_of(rows[i].name)));
        assert_true(str_eq(k.keys[0].secret, str_of(rows[i].secret)));
        assert_int_equal(k.keys[0].scopes, rows[i].scopes);
    }
}

static void each_problem_names_its_line_and_its_cure(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "keys: error: no key in it; write NAME:KEY:SCOPES"},
        {"# only a comment\n", "keys: error: no key in it;"},
        {"n", "keys:1: error: not three parts separated by ':'; write NAME:KEY:SCOPES"},
        {"n:" A, "keys:1: error: not three parts"},
        {"n:" A ":", "keys:1: error: not three parts"},
        {"n:" A ": \r\n", "keys:1: error: not three parts"},
        {"n::use", "keys:1: error: not three parts"},
        {":" A ":use", "keys:1: error: not three parts"},
        {"n:" A ":use:admin", "keys:1: error: not three parts"},
        {"\n#\nn:aaaaaaaaaaaaaaa:use", "keys:3: error: key too short; use at least 16"},
        {"n:" A " " A ":use", "keys:1: error: key with a blank"},
        {"n:" A "\xc3\xa4:use", "keys:1: error: key with a blank or a byte that is not ASCII"},
        {"n n:" A ":use", "keys:1: error: bad name"},
        {"# c\n : " A ":use", "keys:2: error: not three parts"},
        {"n\xc3\xa4:" A ":use", "keys:1: error: bad name"},
        {"n:" A ":root", "keys:1: error: unknown scope; scopes are use and admin"},
        {"n:" A ":Use", "keys:1: error: unknown scope"},
        {"n:" A ":,use", "keys:1: error: unknown scope"},
        {"n:" A ":use\nn:" B ":use", "keys:2: error: same name as in line 1"},
        {"n:" A ":use\n\nm:" A ":use", "keys:3: error: same key as in line 1"},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
        struct keys k = {.n_keys = 77};

        assert_int_equal(keys_parse(str_of(rows[i].text), "keys", &k, &errors), -EX_CONFIG);
        assert_int_equal(k.n_keys, 77);
        if (!str_starts(buf_str(&errors), str_of(rows[i].want)))
            fail_msg("row %zu: got %s, want %s", i, errors_of(&errors), rows[i].want);
    }
}

static void all_problems_are_told_in_one_run(void **state)
{
    CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
    struct keys k;

    (void)state;
    assert_int_equal(
        keys_parse(STR("n:short:root\nfoo\n:x\nok:" A ":use\nok:" A ":use\n"), "f", &k, &errors),
        -EX_CONFIG);
    assert_string_equal(
        errors_of(&errors),
        "f:1: error: key too short; use at least 16 characters, for example from: openssl rand "
        "-hex 24\n"
        "f:1: error: unknown scope; scopes are use and admin, several separated by commas\n"
        "f:2: error: not three parts separated by ':'; write NAME:KEY:SCOPES, for example "
        "laptop:0123456789abcdef:use\n"
        "f:3: error: not three parts separated by ':'; write NAME:KEY:SCOPES, for example "
        "laptop:0123456789abcdef:use\n"
        "f:5: error: same name as in line 4; each may stand once\n");
}

static void no_error_shows_what_may_be_a_secret(void **state)
{
#define SECRET "hunter2hunter2hunter2"
    static const char *const rows[] = {
        SECRET,
        "n:" SECRET,
        SECRET ":n:use",
        "n:use:" SECRET,
        SECRET "!:n:use",
        "n:" SECRET " x:use",
        "n:" SECRET ":use:more",
        "n:" SECRET ":use\nn:" SECRET ":use",
        "n:" SECRET ":use\nm:" SECRET ":use",
        "n:" SECRET ":root",
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
        struct keys k;

        assert_int_equal(keys_parse(str_of(rows[i]), "keys", &k, &errors), -EX_CONFIG);
        assert_true(errors.len > 0);
        assert_int_equal(str_search(buf_str(&errors), STR("hunter2")), errors.len);
    }
#undef SECRET
}

static void a_full_error_buffer_does_not_turn_failure_into_success(void **state)
{
    CLEANUP(buf_fini) struct buf errors = BUF_INIT(1);
    struct keys k;

    (void)state;
    assert_int_equal(keys_parse(STR("nonsense"), "keys", &k, &errors), -EX_CONFIG);
}

/* Return: the text of @n keys, to be freed. */
static struct buf many_keys(unsigned n)
{
    struct buf text = BUF_INIT(1 << 20);

    for (unsigned i = 0; i < n; i++)
        assert_int_equal(buf_printf(&text, "k%u:%016u:use\n", i, i), 0);
    assert_int_equal(buf_put(&text, STR("# end\n")), 0);
    return text;
}

static void there_is_room_for_4096_keys(void **state)
{
    CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
    CLEANUP(buf_fini) struct buf enough = many_keys(4096);
    CLEANUP(buf_fini) struct buf too_many = many_keys(4097);
    CLEANUP(keys_fini) struct keys k = {0};

    (void)state;
    assert_int_equal(keys_parse(buf_str(&enough), "keys", &k, &errors), 0);
    assert_int_equal(k.n_keys, 4096);
    assert_true(str_eq(keys_find(&k, STR("0000000000004095"))->name, STR("k4095")));
    assert_int_equal(keys_parse(buf_str(&too_many), "keys", &k, &errors), -EX_CONFIG);
    assert_true(str_starts(buf_str(&errors), STR("keys:4097: error: more than 4096 keys")));
}

static void keys_at_the_limits_of_length_are_judged_right(void **state)
{
    static const struct {
        int name_len, secret_len, r;
    } rows[] = {
        {64, 16, 0}, {65, 16, -EX_CONFIG}, {1, 15, -EX_CONFIG}, {1, 512, 0}, {1, 513, -EX_CONFIG},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
        CLEANUP(buf_fini) struct buf text = BUF_INIT(4096);
        CLEANUP(keys_fini) struct keys k = {0};

        assert_int_equal(
            buf_printf(&text, "%0*d:%0*d:use", rows[i].name_len, 0, rows[i].secret_len, 0), 0);
        assert_int_equal(keys_parse(buf_str(&text), "keys", &k, &errors), rows[i].r);
    }
}

static void a_key_is_found_by_its_whole_secret_only(void **state)
{
    CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
    CLEANUP(keys_fini) struct keys k = {0};
    const struct keys none = {0};

    (void)state;
    assert_int_equal(
        keys_parse(STR("a:" A ":use\nb:" B ":admin\naa:" A A ":use"), "keys", &k, &errors), 0);
    assert_true(str_eq(keys_find(&k, STR(A))->name, STR("a")));
    assert_true(str_eq(keys_find(&k, STR(B))->name, STR("b")));
    assert_true(str_eq(keys_find(&k, STR(A A))->name, STR("aa")));
    assert_null(keys_find(&k, STR(A "a")));
    assert_null(keys_find(&k, STR(A A A)));
    assert_null(keys_find(&k, STR("aaaaaaaaaaaaaaa")));
    assert_null(keys_find(&k, STR("AAAAAAAAAAAAAAAA")));
    assert_null(keys_find(&k, STR("")));
    assert_null(keys_find(&k, STR_NULL));
    assert_null(keys_find(&none, STR(A)));
    assert_null(keys_find(&none, STR("")));
}

/* --- files --- */

struct file {
    char dir[32];
    char path[64];
};

static int on_setup(void **state)
{
    struct file *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/keys-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/keys", f->dir);
    *state = f;
    return 0;
}

static int on_teardown(void **state)
{
    struct file *f = *state;

    (void)unlink(f->path);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

static void write_file(const struct file *f, struct str text, mode_t mode)
{
    CLEANUP(closep) int fd = open(f->path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.s, text.len), (ssize_t)text.len);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void a_private_file_is_loaded(void **state)
{
    static const mode_t modes[] = {0600, 0400, 0640};
    struct file *f = *state;

    for (size_t i = 0; i < N_OF(modes); i++) {
        CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
        CLEANUP(keys_fini) struct keys k = {0};

        write_file(f, STR("a:" A ":use\n"), modes[i]);
        assert_int_equal(keys_load(f->path, &k, &errors), 0);
        assert_int_equal(k.n_keys, 1);
        assert_int_equal(errors.len, 0);
        assert_int_equal(unlink(f->path), 0);
    }
}

static void a_file_open_to_others_is_refused_with_its_cure(void **state)
{
    static const mode_t modes[] = {0644, 0602, 0601, 0666};
    struct file *f = *state;
    char cure[96];

    (void)snprintf(cure, sizeof(cure), "chmod o= '%s'", f->path);
    for (size_t i = 0; i < N_OF(modes); i++) {
        CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
        struct keys k;

        write_file(f, STR("a:" A ":use\nbad\n"), modes[i]);
        assert_int_equal(keys_load(f->path, &k, &errors), -EX_CONFIG);
        assert_true(str_search(buf_str(&errors), str_of(cure)) < errors.len);
        assert_true(str_search(buf_str(&errors), STR(":2: error: ")) < errors.len);
        write_file(f, STR("a:" A ":use\n"), modes[i]);
        assert_int_equal(keys_load(f->path, &k, &errors), -EX_CONFIG);
    }
}

static void what_cannot_be_read_says_why(void **state)
{
    CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
    struct file *f = *state;
    struct keys k;

    assert_int_equal(keys_load(f->path, &k, &errors), -ENOENT);
    assert_true(str_search(buf_str(&errors), STR("No such file")) < errors.len);
    assert_int_equal(keys_load(f->dir, &k, &errors), -EX_CONFIG);
    assert_true(str_search(buf_str(&errors), STR("not a regular file")) < errors.len);
    assert_int_equal(mkfifo(f->path, 0600), 0); /* must not block */
    assert_int_equal(keys_load(f->path, &k, &errors), -EX_CONFIG);
}

static void a_file_over_its_maximum_is_not_read(void **state)
{
    CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
    struct file *f = *state;
    struct keys k;

    write_file(f, STR("a:" A ":use\n"), 0600);
    assert_int_equal(truncate(f->path, (1 << 20) + 1), 0);
    assert_int_equal(keys_load(f->path, &k, &errors), -EX_CONFIG);
    assert_true(str_search(buf_str(&errors), STR("over 1 MiB")) < errors.len);
}

static void an_empty_file_is_an_error(void **state)
{
    CLEANUP(buf_fini) struct buf errors = BUF_INIT(4096);
    struct file *f = *state;
    struct keys k;

    write_file(f, STR(""), 0600);
    assert_int_equal(keys_load(f->path, &k, &errors), -EX_CONFIG);
    assert_true(str_search(buf_str(&errors), STR("no key in it")) < errors.len);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, on_setup, on_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_lines_become_keys),
        cmocka_unit_test(each_problem_names_its_line_and_its_cure),
        cmocka_unit_test(all_problems_are_told_in_one_run),
        cmocka_unit_test(no_error_shows_what_may_be_a_secret),
        cmocka_unit_test(a_full_error_buffer_does_not_turn_failure_into_success),
        cmocka_unit_test(there_is_room_for_4096_keys),
        cmocka_unit_test(keys_at_the_limits_of_length_are_judged_right),
        cmocka_unit_test(a_key_is_found_by_its_whole_secret_only),
        WITH_FILE(a_private_file_is_loaded),
        WITH_FILE(a_file_open_to_others_is_refused_with_its_cure),
        WITH_FILE(what_cannot_be_read_says_why),
        WITH_FILE(a_file_over_its_maximum_is_not_read),
        WITH_FILE(an_empty_file_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
