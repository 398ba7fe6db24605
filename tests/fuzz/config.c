/* SPDX-License-Identifier: MIT */

/*
 * The configuration file, with the settings of the unit tests, which have every type. What loads is
 * printed, loads again, and is printed the same.
 */

#include "../unit/config/fixture.h"
#include "fuzz.h"

static int load(struct fixture *f, struct str text)
{
    fixture_init(f);
    return settings_load_text(&f->s, "f.yaml", text, &f->errors);
}

/* Appends what was printed without the origins, which are comments at the ends of lines. */
static void put_values(struct buf *out, struct str printed)
{
    while (printed.len > 0) {
        struct str line = str_split(&printed, '\n');
        size_t len = line.len;

        for (size_t at = 0; at + 4 <= line.len; at++)
            if (str_starts(str_from(line, at), STR("  # ")))
                len = at;
        fuzz_put(out, str_head(line, len));
        fuzz_put(out, STR("\n"));
    }
}

/* What was printed loads again, and has the same values. */
static void check_printed(struct fixture *f)
{
    CLEANUP(buf_fini) struct buf first = BUF_INIT(1u << 20);
    CLEANUP(buf_fini) struct buf second = BUF_INIT(1u << 20);
    struct fixture again;

    if (settings_print(&f->s, &f->out) < 0)
        return; /* longer than the fixture's buffer */
    FUZZ_CHECK(load(&again, buf_str(&f->out)) == 0);
    FUZZ_CHECK(settings_print(&again.s, &again.out) == 0);
    put_values(&first, buf_str(&f->out));
    put_values(&second, buf_str(&again.out));
    FUZZ_CHECK(str_eq(buf_str(&first), buf_str(&second)));
    fixture_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fixture f;
    int r = load(&f, str_make((const char *)data, size));

    FUZZ_CHECK(r == 0 || r == -EX_CONFIG);
    FUZZ_CHECK((r == 0) == (f.errors.len == 0));
    FUZZ_CHECK((r == 0) == (f.s.n_errors == 0));
    if (r == 0)
        check_printed(&f);
    fixture_fini(&f);
    return 0;
}
