/* SPDX-License-Identifier: MIT */
#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define SECRET_MAX 4096

static int refuse(struct str path, const char *what, struct buf *why)
{
    int r = buf_printf(why, "names `" STR_FMT "`, which %s", STR_ARG(str_head(path, 200)), what);

    return r == -ENOMEM ? r : -EX_CONFIG;
}

/* Opened without waiting for anybody; what is no regular file is not read. */
static int open_regular(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return -EINVAL;
    }
    return fd;
}

int secret_read(struct str path, struct buf *out, struct buf *why)
{
    char *name = str_dup(path);
    char text[SECRET_MAX];
    ssize_t n;
    int fd;

    if (name == NULL)
        return -ENOMEM;
    fd = open_regular(name);
    free(name);
    if (fd < 0)
        return refuse(path, fd == -EINVAL ? "is not a regular file" : err_text(fd), why);
    n = read(fd, text, sizeof(text));
    (void)close(fd);
    if (n < 0 || (size_t)n == sizeof(text))
        return refuse(path, n < 0 ? "cannot be read" : "is too long for a secret", why);
    return buf_put(out, str_trim(str_make(text, (size_t)n)));
}
