/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/views.h"
#include "base/time.h"

/* Pages: all of the address space, and what of it is in memory. 0 where they cannot be read. */
static void read_memory(unsigned long long *ret_virtual, unsigned long long *ret_resident)
{
    unsigned long long page = (unsigned long long)sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");

    *ret_virtual = 0;
    *ret_resident = 0;
    if (file == NULL)
        return;
    if (fscanf(file, "%llu %llu", ret_virtual, ret_resident) != 2) {
        *ret_virtual = 0;
        *ret_resident = 0;
    }
    (void)fclose(file);
    *ret_virtual *= page;
    *ret_resident *= page;
}

static unsigned count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    if (dir == NULL)
        return 0;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        n += e->d_name[0] != '.';
    (void)closedir(dir);
    return n > 0 ? n - 1 : 0; /* one is the directory's */
}

static double cpu_seconds(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int print(const char *name, const char *type, const char *help, double value,
                 struct buf *out)
{
    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name,
                      value);
}

int view_process_metrics(struct buf *out)
{
    struct rlimit limit = {0};
    unsigned long long all;
    unsigned long long resident;
    int r;

    read_memory(&all, &resident);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    r = print("process_resident_memory_bytes", "gauge", "Memory in use", (double)resident, out);
    if (r == 0)
        r = print("process_virtual_memory_bytes", "gauge", "Address space", (double)all, out);
    if (r == 0)
        r = print("process_open_fds", "gauge", "Open descriptors", count_descriptors(), out);
    if (r == 0)
        r = print("process_max_fds", "gauge", "Descriptors that may be open",
                  (double)limit.rlim_cur, out);
    return r < 0 ? r
                 : print("process_cpu_seconds_total", "counter",
                         "Processor time, of the process and for it in the kernel", cpu_seconds(),
                         out);
}
