/* The text of a session's subscriptions. */
#include "proxy/subscriptions.h"

#include <stdlib.h>

#include "tests/unit/support/suite.h"

static char *text;

static void
teardown(void)
{
	free(text);
	text = NULL;
}

START_TEST(what_is_added_is_there_until_it_is_removed)
{
	ck_assert(!subscriptions_have(text, SLICE("a")));
	ck_assert(subscriptions_add(&text, SLICE("a")));
	ck_assert(subscriptions_add(&text, SLICE("bcd")));
	ck_assert(subscriptions_add(&text, SLICE("a")));
	ck_assert_str_eq(text, "\na\nbcd\n");
	ck_assert(subscriptions_have(text, SLICE("a")));
	ck_assert(subscriptions_have(text, SLICE("bcd")));
	ck_assert(!subscriptions_have(text, SLICE("bc")));
	ck_assert(!subscriptions_have(text, SLICE("cd")));
	ck_assert(!subscriptions_have(text, SLICE("")));
	subscriptions_remove(&text, SLICE("bc"));
	subscriptions_remove(&text, SLICE("a"));
	ck_assert_str_eq(text, "\nbcd\n");
	subscriptions_remove(&text, SLICE("bcd"));
	ck_assert_ptr_null(text);
	subscriptions_remove(&text, SLICE("bcd"));
}
END_TEST

START_TEST(one_comes_after_the_other)
{
	const char *at = text;
	struct slice uri;

	ck_assert(!subscriptions_next(&at, &uri));
	ck_assert(subscriptions_add(&text, SLICE("a")));
	ck_assert(subscriptions_add(&text, SLICE("bcd")));
	at = text;
	ck_assert(subscriptions_next(&at, &uri));
	ck_assert(slice_eq_str(uri, "a"));
	ck_assert(subscriptions_next(&at, &uri));
	ck_assert(slice_eq_str(uri, "bcd"));
	ck_assert(!subscriptions_next(&at, &uri));
}
END_TEST

START_TEST(they_are_bounded)
{
	char uri[SUBSCRIPTION_URI_MAX + 1];
	unsigned added = 0;

	memset(uri, 'x', sizeof(uri));
	ck_assert(!subscriptions_add(&text, slice_of(uri, sizeof(uri))));
	ck_assert(!subscriptions_add(&text, SLICE("")));
	while (added < 100) {
		uri[0] = (char)('!' + added);
		if (!subscriptions_add(&text,
		    slice_of(uri, SUBSCRIPTION_URI_MAX)))
			break;
		added++;
	}
	ck_assert_uint_eq(added, (SUBSCRIPTIONS_MAX - 1) /
	    (SUBSCRIPTION_URI_MAX + 1));
	ck_assert_uint_le(strlen(text), SUBSCRIPTIONS_MAX);
	ck_assert(subscriptions_add(&text, SLICE("short")));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("subscriptions", NULL, teardown);

	tcase_add_test(tc, what_is_added_is_there_until_it_is_removed);
	tcase_add_test(tc, one_comes_after_the_other);
	tcase_add_test(tc, they_are_bounded);
	return run_cases(tc);
}
