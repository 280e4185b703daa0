/* Random ids and hashes. */
#include "common/ident.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

/* More than one refill of the buffer holds. */
#define IDS 1000

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

START_TEST(test_form)
{
	char id[IDENT_HEX_LEN + 1];

	for (int i = 0; i < IDS; i++) {
		ident_hex(id);
		ck_assert_uint_eq(strspn(id, "0123456789abcdef"),
		    IDENT_HEX_LEN);
		ck_assert_int_eq(id[IDENT_HEX_LEN], '\0');
	}
}
END_TEST

static void *
fill(void *arg)
{
	char(*ids)[IDENT_HEX_LEN + 1] = arg;

	for (int i = 0; i < IDS; i++)
		ident_hex(ids[i]);
	return NULL;
}

START_TEST(test_none_twice_in_two_threads)
{
	static char ids[2 * IDS][IDENT_HEX_LEN + 1];
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, fill, ids), 0);
	fill(ids + IDS);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	qsort(ids, ARRAY_LEN(ids), sizeof(ids[0]), compare);
	for (size_t i = 1; i < ARRAY_LEN(ids); i++)
		ck_assert_str_ne(ids[i - 1], ids[i]);
}
END_TEST

/* Each of the 128 bits is set in some ids and clear in others. */
START_TEST(test_every_digit_varies)
{
	unsigned seen[IDENT_HEX_LEN] = { 0 };
	char id[IDENT_HEX_LEN + 1];

	for (int i = 0; i < IDS; i++) {
		ident_hex(id);
		for (int d = 0; d < IDENT_HEX_LEN; d++)
			seen[d] |= 1u << strtoul((char[]){ id[d], 0 }, NULL, 16);
	}
	for (int d = 0; d < IDENT_HEX_LEN; d++)
		ck_assert_uint_eq(seen[d], 0xffff);
}
END_TEST

/* FIPS 180-2, appendix B, and the empty text. */
START_TEST(test_sha256)
{
	char hex[SHA256_HEX_LEN + 1];

	ident_sha256_hex(hex, SLICE("abc"));
	ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
	ident_sha256_hex(hex, SLICE(""));
	ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855");
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("ident", NULL, NULL);

	tcase_add_test(tc, test_form);
	tcase_add_test(tc, test_none_twice_in_two_threads);
	tcase_add_test(tc, test_every_digit_varies);
	tcase_add_test(tc, test_sha256);
	return run_cases(tc);
}
