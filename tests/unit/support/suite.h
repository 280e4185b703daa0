/* What the main() of every test binary consists of. */
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>

/*
 * An empty case. Its tests have a minute each, since machines may be busy, and
 * run between setup and teardown (NULL: none).
 */
TCase *new_case(const char *name, SFun setup, SFun teardown);

/* Runs the cases; what main() returns, 0 when no test failed. */
#define run_cases(...) run_case_list((TCase *[]){ __VA_ARGS__, NULL })
int run_case_list(TCase *const *cases);

#endif
