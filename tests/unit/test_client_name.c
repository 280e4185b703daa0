/* What clients call themselves. */
#include "proxy/client_name.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

static struct client_names *names;

static void
setup(void)
{
	names = client_names_new();
}

static void
teardown(void)
{
	client_names_free(names);
}

START_TEST(the_same_name_is_kept_once)
{
	struct client_name *a = client_name_get(names, SLICE("c"), SLICE("1"));
	struct client_name *b = client_name_get(names, SLICE("c"), SLICE("1"));
	struct client_name *c = client_name_get(names, SLICE("c"), SLICE("2"));

	ck_assert_ptr_eq(a, b);
	ck_assert_ptr_ne(a, c);
	ck_assert(slice_eq_str(client_name_text(a), "c"));
	ck_assert(slice_eq_str(client_name_version(c), "2"));
	client_name_unref(a);
	ck_assert(slice_eq_str(client_name_text(b), "c"));
	client_name_unref(b);
	client_name_unref(c);
}
END_TEST

START_TEST(who_says_nothing_has_no_name)
{
	ck_assert_ptr_null(client_name_get(names, SLICE_NONE, SLICE_NONE));
	ck_assert_uint_eq(client_name_text(NULL).n, 0);
	ck_assert_uint_eq(client_name_version(NULL).n, 0);
	client_name_unref(NULL);
}
END_TEST

START_TEST(long_texts_are_cut_between_characters)
{
	char text[CLIENT_NAME_MAX + 10];
	struct client_name *cn;

	memset(text, 'x', sizeof(text));
	memcpy(text + CLIENT_NAME_MAX - 2, "\xed\x95\x9c", 3);
	cn = client_name_get(names, slice_of(text, sizeof(text)),
	    slice_of(text, sizeof(text)));
	ck_assert_uint_eq(client_name_text(cn).n, CLIENT_NAME_MAX - 2);
	ck_assert_uint_eq(client_name_version(cn).n, CLIENT_VERSION_MAX);
	client_name_unref(cn);
}
END_TEST

START_TEST(too_many_names_are_one)
{
	static struct client_name *all[CLIENT_NAMES_MAX];
	struct client_name *more[2];
	char text[16];

	for (unsigned i = 0; i < CLIENT_NAMES_MAX; i++) {
		snprintf(text, sizeof(text), "c%u", i);
		all[i] = client_name_get(names, slice_str(text), SLICE("1"));
	}
	more[0] = client_name_get(names, SLICE("new"), SLICE("1"));
	more[1] = client_name_get(names, SLICE("newer"), SLICE("1"));
	ck_assert_ptr_eq(more[0], more[1]);
	ck_assert(slice_eq_str(client_name_text(more[0]), "(other)"));
	for (unsigned i = 0; i < CLIENT_NAMES_MAX; i++)
		client_name_unref(all[i]);
	client_name_unref(more[0]);
	client_name_unref(more[1]);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("client_name", setup, teardown);

	tcase_add_test(tc, the_same_name_is_kept_once);
	tcase_add_test(tc, who_says_nothing_has_no_name);
	tcase_add_test(tc, long_texts_are_cut_between_characters);
	tcase_add_test(tc, too_many_names_are_one);
	return run_cases(tc);
}
