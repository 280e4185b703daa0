/* The growing buffer: its maximum, its failure, its JSON strings. */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

#include "common/strbuf.h"

START_TEST(test_appends)
{
	struct strbuf sb = STRBUF_INIT(1024);

	ck_assert_str_eq(strbuf_str(&sb), "");
	strbuf_add_str(&sb, "one ");
	strbuf_add_slice(&sb, SLICE("two"));
	strbuf_add_char(&sb, ' ');
	strbuf_add_u64(&sb, UINT64_MAX);
	strbuf_addf(&sb, " %s-%d", "x", -3);
	strbuf_add(&sb, NULL, 0);
	ck_assert_str_eq(strbuf_str(&sb), "one two 18446744073709551615 x--3");
	ck_assert_uint_eq(sb.n, strlen(sb.p));
	ck_assert(strbuf_ok(&sb));
	strbuf_release(&sb);
	ck_assert_ptr_null(sb.p);
	strbuf_add_str(&sb, "again");
	ck_assert_str_eq(strbuf_str(&sb), "again");
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_holds_nuls)
{
	struct strbuf sb = STRBUF_INIT(16);

	strbuf_add(&sb, "a\0b", 3);
	ck_assert_uint_eq(sb.n, 3);
	ck_assert(slice_eq(strbuf_slice(&sb), SLICE("a\0b")));
	ck_assert_int_eq(sb.p[3], '\0');
	strbuf_release(&sb);
}
END_TEST

/* Grown to the last byte of its maximum, one byte and many at a time. */
START_TEST(test_maximum)
{
	struct strbuf sb = STRBUF_INIT(1000);

	for (int i = 0; i < 1000; i++)
		strbuf_add_char(&sb, 'x');
	ck_assert(strbuf_ok(&sb));
	ck_assert_uint_eq(sb.n, 1000);
	ck_assert_int_eq(sb.p[1000], '\0');
	strbuf_add(&sb, NULL, 0);
	ck_assert(strbuf_ok(&sb));
	strbuf_add_char(&sb, 'x');
	ck_assert(!strbuf_ok(&sb));
	ck_assert_uint_eq(sb.n, 1000);
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_failure_stays)
{
	struct strbuf sb = STRBUF_INIT(4);

	strbuf_add_str(&sb, "abc");
	strbuf_add_str(&sb, "de");
	ck_assert(!strbuf_ok(&sb));
	strbuf_add_char(&sb, 'd');
	strbuf_addf(&sb, "%c", 'd');
	ck_assert_ptr_null(strbuf_reserve(&sb, 0));
	ck_assert_str_eq(strbuf_str(&sb), "abc");
	strbuf_reset(&sb);
	ck_assert(strbuf_ok(&sb));
	ck_assert_str_eq(strbuf_str(&sb), "");
	strbuf_add_str(&sb, "abcd");
	ck_assert(strbuf_ok(&sb));
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_maximum_of_nothing)
{
	struct strbuf sb = STRBUF_INIT(0);

	strbuf_add_str(&sb, "");
	ck_assert(strbuf_ok(&sb));
	strbuf_add_char(&sb, 'x');
	ck_assert(!strbuf_ok(&sb));
	ck_assert_str_eq(strbuf_str(&sb), "");
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_huge_append_fails)
{
	struct strbuf sb = STRBUF_INIT(1 << 20);

	strbuf_add_str(&sb, "abc");
	ck_assert_ptr_null(strbuf_reserve(&sb, SIZE_MAX));
	strbuf_reset(&sb);
	strbuf_add_str(&sb, "abc");
	ck_assert_ptr_null(strbuf_reserve(&sb, SIZE_MAX - 3));
	ck_assert_str_eq(strbuf_str(&sb), "abc");
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_reserve)
{
	struct strbuf sb = STRBUF_INIT(4096);
	char *room;

	strbuf_add_str(&sb, "ab");
	room = strbuf_reserve(&sb, 4000);
	ck_assert_ptr_nonnull(room);
	memset(room, 'c', 4000);
	ck_assert_ptr_eq(room, sb.p + 2);
	ck_assert(slice_eq(slice_of(sb.p, 3), SLICE("abc")));
	ck_assert_uint_eq(sb.n, 2);
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_drain)
{
	struct strbuf sb = STRBUF_INIT(64);

	strbuf_drain(&sb, 3);
	ck_assert_str_eq(strbuf_str(&sb), "");
	strbuf_add_str(&sb, "abcdef");
	strbuf_drain(&sb, 0);
	ck_assert_str_eq(strbuf_str(&sb), "abcdef");
	strbuf_drain(&sb, 2);
	ck_assert_str_eq(strbuf_str(&sb), "cdef");
	strbuf_add_char(&sb, 'g');
	ck_assert_str_eq(strbuf_str(&sb), "cdefg");
	strbuf_drain(&sb, 100);
	ck_assert_str_eq(strbuf_str(&sb), "");
	ck_assert_uint_eq(sb.n, 0);
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_decimal)
{
	static const struct {
		uint64_t v;
		const char *text;
	} rows[] = {
		{ 0, "0" }, { 9, "9" }, { 10, "10" }, { 1000000, "1000000" },
		{ UINT64_MAX, "18446744073709551615" },
	};
	char buf[20];
	size_t n = u64_decimal(buf, rows[_i].v);

	ck_assert(slice_eq_str(slice_of(buf, n), rows[_i].text));
}
END_TEST

START_TEST(test_json_strings)
{
	static const struct {
		struct slice in;
		const char *out;
	} rows[] = {
		{ SLICE(""), "\"\"" },
		{ SLICE("plain"), "\"plain\"" },
		{ SLICE("\"q\\"), "\"\\\"q\\\\\"" },
		{ SLICE("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"" },
		{ SLICE("a\0b\x1f\x01"), "\"a\\u0000b\\u001f\\u0001\"" },
		{ SLICE("a/b\x7f"), "\"a/b\x7f\"" },
		{ SLICE("\xed\x95\x9c"), "\"\xed\x95\x9c\"" },
	};
	struct strbuf sb = STRBUF_INIT(256);

	strbuf_add_json(&sb, rows[_i].in);
	ck_assert_str_eq(strbuf_str(&sb), rows[_i].out);
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_slices)
{
	ck_assert(slice_eq(SLICE_NONE, SLICE("")));
	ck_assert(slice_eq(slice_str(NULL), SLICE("")));
	ck_assert(slice_eq_str(SLICE("ab"), "ab"));
	ck_assert(!slice_eq_str(SLICE("ab"), "abc"));
	ck_assert(!slice_eq_str(SLICE("a\0b"), "a"));
	ck_assert(!slice_eq(SLICE("ab"), SLICE("ac")));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("all", NULL, NULL);

	tcase_add_test(tc, test_appends);
	tcase_add_test(tc, test_holds_nuls);
	tcase_add_test(tc, test_maximum);
	tcase_add_test(tc, test_failure_stays);
	tcase_add_test(tc, test_maximum_of_nothing);
	tcase_add_test(tc, test_huge_append_fails);
	tcase_add_test(tc, test_reserve);
	tcase_add_test(tc, test_drain);
	tcase_add_loop_test(tc, test_decimal, 0, 5);
	tcase_add_loop_test(tc, test_json_strings, 0, 7);
	tcase_add_test(tc, test_slices);
	return run_cases(tc);
}
