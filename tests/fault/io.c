/* SPDX-License-Identifier: MIT */

/*
 * A kernel in a bad mood: a library for LD_PRELOAD
 *
 * CHASQUI_FAULT_IO holds words, for the sockets that do not block:
 *   short   the first 16 KiB of a descriptor go byte by byte each way, later ones every other time
 *   intr    every third call is interrupted (EINTR)
 *   again   every third call has nothing to give, or no room (EAGAIN), though there is
 *
 * All of it is what a kernel may do, so nothing may change but the speed.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define FDS_MAX      4096
#define BYTEWISE_MAX 16384

static int is_short;
static int is_interrupted;
static int is_dry;
static _Atomic size_t bytes_of[FDS_MAX];
static _Thread_local unsigned n_calls;

static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_readv)(int, const struct iovec *, int);
static ssize_t (*real_recvmsg)(int, struct msghdr *, int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);

static void find(void *to, const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    memcpy(to, &symbol, sizeof(symbol));
}

__attribute__((constructor)) static void begin(void)
{
    const char *words = getenv("CHASQUI_FAULT_IO");

    find(&real_read, "read");
    find(&real_readv, "readv");
    find(&real_recvmsg, "recvmsg");
    find(&real_write, "write");
    find(&real_writev, "writev");
    find(&real_sendmsg, "sendmsg");
    if (words == NULL)
        return;
    is_short = strstr(words, "short") != NULL;
    is_interrupted = strstr(words, "intr") != NULL;
    is_dry = strstr(words, "again") != NULL;
}

static int is_ours(int fd)
{
    struct stat st;

    return fd >= 0 && fd < FDS_MAX && (is_short || is_interrupted || is_dry) &&
           fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

/* Return: whether the call fails, with errno. */
static int fails(void)
{
    unsigned turn = n_calls++ % 3;

    if (is_interrupted && turn == 0) {
        errno = EINTR;
        return 1;
    }
    if (is_dry && turn == 1) {
        errno = EAGAIN;
        return 1;
    }
    return 0;
}

static size_t allowed(int fd, size_t len)
{
    size_t bytes = bytes_of[fd]++;

    return len > 1 && is_short && (bytes < BYTEWISE_MAX || bytes % 2 == 0) ? 1 : len;
}

/* One byte of the first piece that has any. */
static struct iovec first_byte(const struct iovec *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pieces[i].iov_len > 0)
            return (struct iovec){.iov_base = pieces[i].iov_base, .iov_len = 1};
    return (struct iovec){0};
}

static size_t length(const struct iovec *pieces, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        len += pieces[i].iov_len;
    return len;
}

ssize_t read(int fd, void *to, size_t len)
{
    if (!is_ours(fd))
        return real_read(fd, to, len);
    return fails() ? -1 : real_read(fd, to, allowed(fd, len));
}

ssize_t write(int fd, const void *from, size_t len)
{
    if (!is_ours(fd))
        return real_write(fd, from, len);
    return fails() ? -1 : real_write(fd, from, allowed(fd, len));
}

static ssize_t many(int fd, const struct iovec *pieces, int n,
                    ssize_t (*real)(int, const struct iovec *, int))
{
    size_t len = length(pieces, (size_t)n);
    struct iovec one = first_byte(pieces, (size_t)n);

    if (!is_ours(fd))
        return real(fd, pieces, n);
    if (fails())
        return -1;
    return allowed(fd, len) < len ? real(fd, &one, 1) : real(fd, pieces, n);
}

ssize_t readv(int fd, const struct iovec *pieces, int n)
{
    return many(fd, pieces, n, real_readv);
}

ssize_t writev(int fd, const struct iovec *pieces, int n)
{
    return many(fd, pieces, n, real_writev);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    size_t len = length(message->msg_iov, message->msg_iovlen);
    struct iovec one = first_byte(message->msg_iov, message->msg_iovlen);
    struct msghdr little = *message;

    if (!is_ours(fd))
        return real_sendmsg(fd, message, flags);
    if (fails())
        return -1;
    if (allowed(fd, len) < len) {
        little.msg_iov = &one;
        little.msg_iovlen = 1;
    }
    return real_sendmsg(fd, &little, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    if (!is_ours(fd))
        return real_recvmsg(fd, message, flags);
    return fails() ? -1 : real_recvmsg(fd, message, flags);
}
