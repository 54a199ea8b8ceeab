/* A library to preload: the calls that write below a folder fail from the n-th on, or only at it.
 *
 * fault_set(folder, error, at, mode) sets it in this process, FAULT_UNDER, FAULT_ERROR and FAULT_MODE in a process that
 * starts (there from the first call on). Modes: 0 only the n-th call, 1 from it on, 2 the n-th write is short and all
 * later calls fail, as on a disk that becomes full. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char under[PATH_MAX];
static int error_number, mode;
static long at, seen;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void fault_set(const char *folder, int number, long first, int how) {
    snprintf(under, sizeof under, "%s", folder);
    error_number = number, at = first, mode = how, seen = 0;
}

long fault_seen(void) { return seen; }

__attribute__((constructor)) static void from_environment(void) {
    const char *folder = getenv("FAULT_UNDER"), *number = getenv("FAULT_ERROR"), *how = getenv("FAULT_MODE");
    if (folder && number) fault_set(folder, atoi(number), 1, how ? atoi(how) : 1);
}

/* 1: this call fails; 2: it writes a part. */
static int hit(const char *path) {
    if (!under[0] || strncmp(path, under, strlen(under)) != 0) return 0;
    long number = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (at <= 0 || number < at || (mode == 0 && number > at)) return 0;
    errno = error_number;
    return mode == 2 && number == at ? 2 : 1;
}

static int hit_at(int folder, const char *path) {
    char whole[2 * PATH_MAX], base[PATH_MAX];
    if (!under[0] || !path) return 0;
    if (path[0] == '/') return hit(path);
    if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return 0;
        base[length] = 0;
    }
    snprintf(whole, sizeof whole, "%s/%s", base, path);
    return hit(whole);
}

static int hit_open(int descriptor) {
    char link[64], path[PATH_MAX];
    if (!under[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return hit(path);
}

static int writes(int flags) { return (flags & (O_CREAT | O_TRUNC)) || (flags & O_ACCMODE) != O_RDONLY; }

#define OPEN(name)                                                       \
    int name(const char *path, int flags, ...) {                         \
        mode_t bits = 0;                                                 \
        if (flags & O_CREAT) {                                           \
            va_list more;                                                \
            va_start(more, flags), bits = va_arg(more, int), va_end(more); \
        }                                                                \
        if (writes(flags) && hit_at(AT_FDCWD, path)) return -1;          \
        return REAL(name)(path, flags, bits);                            \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                     \
    int name(int folder, const char *path, int flags, ...) {             \
        mode_t bits = 0;                                                 \
        if (flags & O_CREAT) {                                           \
            va_list more;                                                \
            va_start(more, flags), bits = va_arg(more, int), va_end(more); \
        }                                                                \
        if (writes(flags) && hit_at(folder, path)) return -1;            \
        return REAL(name)(folder, path, flags, bits);                    \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                                             \
    FILE *name(const char *path, const char *how) {                             \
        if (strpbrk(how, "wa+") && hit_at(AT_FDCWD, path)) return NULL;         \
        return REAL(name)(path, how);                                           \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int descriptor, const void *data, size_t size) {
    int how = hit_open(descriptor);
    if (how == 1 || (how == 2 && size < 2)) return -1;
    return REAL(write)(descriptor, data, how == 2 ? size / 2 : size);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t place) {
    return hit_open(descriptor) ? -1 : REAL(pwrite)(descriptor, data, size, place);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    return hit_open(descriptor) ? -1 : REAL(writev)(descriptor, parts, count);
}

ssize_t sendfile(int to, int from, off_t *place, size_t size) {
    return hit_open(to) ? -1 : REAL(sendfile)(to, from, place, size);
}

ssize_t sendfile64(int to, int from, off64_t *place, size_t size) {
    return hit_open(to) ? -1 : REAL(sendfile64)(to, from, place, size);
}

int fsync(int descriptor) { return hit_open(descriptor) ? -1 : REAL(fsync)(descriptor); }

int mkdir(const char *path, mode_t bits) { return hit_at(AT_FDCWD, path) ? -1 : REAL(mkdir)(path, bits); }

int mkdirat(int folder, const char *path, mode_t bits) {
    return hit_at(folder, path) ? -1 : REAL(mkdirat)(folder, path, bits);
}

int rename(const char *from, const char *to) { return hit_at(AT_FDCWD, to) ? -1 : REAL(rename)(from, to); }

int renameat(int one, const char *from, int other, const char *to) {
    return hit_at(other, to) ? -1 : REAL(renameat)(one, from, other, to);
}

int renameat2(int one, const char *from, int other, const char *to, unsigned flags) {
    return hit_at(other, to) ? -1 : REAL(renameat2)(one, from, other, to, flags);
}

int link(const char *from, const char *to) { return hit_at(AT_FDCWD, to) ? -1 : REAL(link)(from, to); }

int linkat(int one, const char *from, int other, const char *to, int flags) {
    return hit_at(other, to) ? -1 : REAL(linkat)(one, from, other, to, flags);
}

int symlink(const char *from, const char *to) { return hit_at(AT_FDCWD, to) ? -1 : REAL(symlink)(from, to); }
