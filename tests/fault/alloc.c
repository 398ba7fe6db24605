/* SPDX-License-Identifier: MIT */

/*
 * An allocator that says no: a library for LD_PRELOAD, with glibc
 *
 * CHASQUI_FAULT_ALLOC names a file that a test maps too: struct control. While `fail_at` is not 0
 * allocations of the process are counted, and those from the fail_at-th on, n_fail of them, fail.
 * Blocks that are alive are counted always.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

struct control {
    _Atomic uint32_t fail_at;
    _Atomic uint32_t n_fail;
    _Atomic uint32_t n_seen;
    _Atomic uint32_t n_failed;
    _Atomic int64_t n_live;
};

static struct control *control;
static _Atomic int64_t n_live; /* before the file is there */

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CHASQUI_FAULT_ALLOC");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = MAP_FAILED;

    if (fd >= 0)
        at = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        abort();
    control = at;
    control->n_live = n_live;
}

static int is_refused(void)
{
    uint32_t at;
    uint32_t n;

    if (control == NULL || (at = control->fail_at) == 0)
        return 0;
    n = ++control->n_seen;
    if (n < at || n >= at + control->n_fail)
        return 0;
    control->n_failed++;
    errno = ENOMEM;
    return 1;
}

static void *count(void *block, int by)
{
    if (block != NULL)
        *(control != NULL ? &control->n_live : &n_live) += by;
    return block;
}

void *malloc(size_t size)
{
    return is_refused() ? NULL : count(__libc_malloc(size), 1);
}

void *calloc(size_t n, size_t size)
{
    return is_refused() ? NULL : count(__libc_calloc(n, size), 1);
}

void *realloc(void *block, size_t size)
{
    if (is_refused())
        return NULL;
    return block == NULL ? count(__libc_realloc(NULL, size), 1) : __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size)
{
    return is_refused() ? NULL : count(__libc_memalign(alignment, size), 1);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);

    if (block == NULL)
        return ENOMEM;
    *ret_block = block;
    return 0;
}

void free(void *block)
{
    count(block, -1);
    __libc_free(block);
}
