#include "proxy/http_status.h"

#include <check.h>

#include "common/compiler.h"
#include "tests/unit/support/suite.h"

START_TEST(names_each_status)
{
	static const int statuses[] = { 100, 200, 202, 204, 400, 401, 403, 404, 405, 406, 408, 411,
		413, 414, 415, 417, 421, 429, 431, 500, 501, 503, 504, 505 };

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		ck_assert_str_ne(http_status_text(statuses[i]), "Unknown");
	ck_assert_str_eq(http_status_text(200), "OK");
	ck_assert_str_eq(http_status_text(404), "Not Found");
	ck_assert_str_eq(http_status_text(299), "Unknown");
	ck_assert_str_eq(http_status_text(0), "Unknown");
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("status", NULL, NULL);

	tcase_add_test(tc, names_each_status);
	return run_cases(tc);
}
