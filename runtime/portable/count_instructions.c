/* A plug-in of QEMU 7.2 and newer that counts the instructions of a guest program. The guest asks for the count so far
 * by system call 9999, whose first argument is printed beside it on standard error.
 * The plug-in interface is stable; the few functions that are used are declared here, because Debian ships no header.
 *     cc -O2 -fPIC -shared -o count.so count_instructions.c */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t Id;
typedef struct qemu_plugin_tb Block;
typedef void Translated(Id, Block *);
typedef void Called(Id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

extern void qemu_plugin_register_vcpu_tb_trans_cb(Id, Translated *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(Block *, int, void *, uint64_t);
extern size_t qemu_plugin_tb_n_insns(const Block *);
extern void qemu_plugin_register_vcpu_syscall_cb(Id, Called *);

enum { ADD = 0, MARK = 9999 };
int qemu_plugin_version = 1;
static uint64_t count;

static void translated(Id id, Block *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD, &count, qemu_plugin_tb_n_insns(block));
}

static void called(Id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                   uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)cpu, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == MARK) fprintf(stderr, "mark %llu %llu\n", (unsigned long long)a, (unsigned long long)count);
}

int qemu_plugin_install(Id id, const void *info, int argument_count, char **arguments) {
    (void)info, (void)argument_count, (void)arguments;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
