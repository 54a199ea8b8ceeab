/* The one way in which this program gives up. */
#ifndef FAIL_H
#define FAIL_H

enum { WRONG_INPUT = 2, MISSING = 3, UNREADABLE = 5 };

#ifdef __cplusplus
extern "C" {
#endif
/* Print "Error: ..." to standard error and end with `code`. */
__attribute__((noreturn, format(printf, 2, 3))) void fail(int code, const char *format, ...);
#ifdef __cplusplus
}
#endif
#endif
