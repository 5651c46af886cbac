/* A preload library below one process: it counts the calls that change files of one directory, in all threads, and
   lets one of them go wrong. Calls on other files pass. See `preload.py` for who sets it. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, CREATE = 4, RENAME = 8, REMOVE = 16, RESIZE = 32, OPEN = 64 };
enum { NOTHING, KILL, TEAR, FAIL, STALL };

static char watched[PATH_MAX];
static int kinds, action, code, first, times;
static unsigned stall_ms;
static volatile int count, armed;

void calls_arm(const char *path, int of_kinds, int what, int with_code, int from, int how_often, unsigned for_ms)
{
    snprintf(watched, sizeof watched, "%s", path);
    kinds = of_kinds, action = what, code = with_code, first = from, times = how_often, stall_ms = for_ms;
    count = 0;
    armed = 1;
}

int calls_count(void)
{
    return count;
}

void calls_disarm(void)
{
    armed = 0;
}

static int is_watched(const char *path)
{
    return path && !strncmp(path, watched, strlen(watched));
}

static int is_watched_fd(int fd)
{
    char link[64], path[PATH_MAX];
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_watched(path);
}

/* What happens to the call: NOTHING if it passes. */
static int strikes(int kind)
{
    int number, end = times < 0 ? INT_MAX : first + times;
    if (!(kinds & kind))
        return NOTHING;
    number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    if (action == NOTHING || number < first || number >= end)
        return NOTHING;
    if (action == KILL || (action == TEAR && kind != WRITE))
        raise(SIGKILL);
    if (action == STALL) {
        struct timespec pause = {stall_ms / 1000, stall_ms % 1000 * 1000000L};
        nanosleep(&pause, 0);
        return NOTHING;
    }
    return action;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define ON(watching, kind, failed)                                                                                     \
    if (armed && (watching)) {                                                                                         \
        if (strikes(kind) == FAIL) {                                                                                   \
            errno = code;                                                                                              \
            return failed;                                                                                             \
        }                                                                                                              \
    }

/* A torn write leaves half of its bytes, and nobody who could do anything about it. */
#define ON_WRITE(half)                                                                                                 \
    if (armed && is_watched_fd(fd)) {                                                                                  \
        int what = strikes(WRITE);                                                                                     \
        if (what == TEAR) {                                                                                            \
            (void)!half;                                                                                               \
            raise(SIGKILL);                                                                                            \
        }                                                                                                              \
        if (what == FAIL) {                                                                                            \
            errno = code;                                                                                              \
            return -1;                                                                                                 \
        }                                                                                                              \
    }

ssize_t write(int fd, const void *data, size_t size)
{
    ON_WRITE(REAL(write)(fd, data, size / 2))
    return REAL(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    ON_WRITE(REAL(pwrite)(fd, data, size / 2, at))
    return REAL(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    ON_WRITE(REAL(pwrite64)(fd, data, size / 2, at))
    return REAL(pwrite64)(fd, data, size, at);
}

int fsync(int fd)
{
    ON(is_watched_fd(fd), SYNC, -1)
    return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    ON(is_watched_fd(fd), SYNC, -1)
    return REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to)
{
    ON(is_watched(from), RENAME, -1)
    return REAL(rename)(from, to);
}

int unlink(const char *path)
{
    ON(is_watched(path), REMOVE, -1)
    return REAL(unlink)(path);
}

int unlinkat(int fd, const char *path, int flags)
{
    ON(fd == AT_FDCWD ? is_watched(path) : is_watched_fd(fd), REMOVE, -1)
    return REAL(unlinkat)(fd, path, flags);
}

int rmdir(const char *path)
{
    ON(is_watched(path), REMOVE, -1)
    return REAL(rmdir)(path);
}

int mkdir(const char *path, mode_t mode)
{
    ON(is_watched(path), CREATE, -1)
    return REAL(mkdir)(path, mode);
}

int ftruncate(int fd, off_t size)
{
    ON(is_watched_fd(fd), RESIZE, -1)
    return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    ON(is_watched_fd(fd), RESIZE, -1)
    return REAL(ftruncate64)(fd, size);
}

int posix_fallocate(int fd, off_t at, off_t size)
{
    ON(is_watched_fd(fd), RESIZE, code)
    return REAL(posix_fallocate)(fd, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size)
{
    ON(is_watched_fd(fd), RESIZE, code)
    return REAL(posix_fallocate64)(fd, at, size);
}

static mode_t mode_in(int flags, va_list more)
{
    return flags & O_CREAT ? va_arg(more, mode_t) : 0;
}

#define OPENING(name)                                                                                                  \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list more;                                                                                                  \
        mode_t mode;                                                                                                   \
        va_start(more, flags);                                                                                         \
        mode = mode_in(flags, more);                                                                                   \
        va_end(more);                                                                                                  \
        ON(is_watched(path), flags & O_CREAT ? CREATE : OPEN, -1)                                                      \
        return REAL(name)(path, flags, mode);                                                                          \
    }

OPENING(open)
OPENING(open64)
