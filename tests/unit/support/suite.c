#include "tests/unit/support/suite.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define TEST_TIMEOUT_S 60

TCase *
new_case(const char *name, SFun setup, SFun teardown)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_checked_fixture(tc, setup, teardown);
	return tc;
}

int
run_case_list(TCase *const *cases)
{
	Suite *suite = suite_create(program_invocation_short_name);
	SRunner *runner;
	int failed;

	for (; *cases != NULL; cases++)
		suite_add_tcase(suite, *cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
