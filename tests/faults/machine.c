/* Preloaded into a command and everything that it starts: the system refuses processes or threads, or the clock jumps.

   REFUSE_FORK=N     the N-th start of a process fails with EAGAIN, and every later one
   REFUSE_THREAD=N   the same for threads
   CLOCK_JUMP_S=S    the time of day is S seconds later from the second look at it on
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>

static int refused(const char *name, int *seen) {
    const char *from = getenv(name);
    return from && ++*seen >= atoi(from);
}

static long jump(int *seen) {
    const char *seconds = getenv("CLOCK_JUMP_S");
    return seconds && ++*seen > 1 ? atol(seconds) : 0;
}

static int forks, threads, looks;

#define REFUSED_START(name)                                                   \
    pid_t name(void) {                                                        \
        static pid_t (*real)(void);                                           \
        if (!real) real = (pid_t(*)(void))dlsym(RTLD_NEXT, "fork");           \
        if (refused("REFUSE_FORK", &forks)) { errno = EAGAIN; return -1; }    \
        return real();                                                        \
    }
REFUSED_START(fork)
/* As fork: the frame of a wrapper must not be shared with the child. */
REFUSED_START(vfork)

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) real = dlsym(RTLD_NEXT, "pthread_create");
    return refused("REFUSE_THREAD", &threads) ? EAGAIN : real(thread, attributes, start, argument);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += jump(&looks);
    return code;
}

int gettimeofday(struct timeval *now, void *zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int code = real(now, zone);
    now->tv_sec += jump(&looks);
    return code;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
