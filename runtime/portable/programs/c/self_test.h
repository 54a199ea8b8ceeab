/* Runs the cases of the bundle. */
#ifndef SELF_TEST_H
#define SELF_TEST_H

#ifdef __cplusplus
extern "C" {
#endif
/* Run every case in `folder`/cases.bin on the open model, and print how many there were; 1 if an output differs from the
 * expected one by more than its limit, else 0. */
int self_test(const char *folder, const char *backend);
#ifdef __cplusplus
}
#endif
#endif
