/* SPDX-License-Identifier: MIT */

/*
 * Runs a fuzz target on files, without libFuzzer: the seed corpus in `make check`, or an input that
 * libFuzzer found. usage: TARGET FILE|FOLDER...
 */

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_MAX ((size_t)1 << 20)

static void fail(const char *path)
{
    (void)fprintf(stderr, "%s: %s\n", path, strerrordesc_np(errno));
    exit(1);
}

static void run_file(const char *path)
{
    char *bytes = malloc(INPUT_MAX);
    FILE *f = fopen(path, "rb");
    struct str input;
    size_t n;

    if (bytes == NULL || f == NULL)
        fail(path);
    n = fread(bytes, 1, INPUT_MAX, f);
    input = fuzz_exact(str_make(bytes, n));
    (void)LLVMFuzzerTestOneInput((const uint8_t *)input.s, input.len);
    fuzz_free(input);
    (void)fclose(f);
    free(bytes);
}

/* Return: how many files it has. */
static unsigned run_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[4096];
    unsigned n = 0;

    if (dir == NULL)
        fail(path);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        run_file(name);
        n++;
    }
    (void)closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    struct stat st;
    unsigned n = 0;

    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        if (stat(argv[i], &st) < 0)
            fail(argv[i]);
        if (S_ISDIR(st.st_mode)) {
            n += run_folder(argv[i]);
            continue;
        }
        run_file(argv[i]);
        n++;
    }
    (void)printf("%u inputs\n", n);
    return n > 0 ? 0 : 1;
}
