#include "proxy/http_chunked.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/bytes.h"
#include "tests/unit/support/suite.h"

#define BODY_MAX 20

struct decoded {
	char body[64];
	size_t n, used;
};

/*
 * Decodes in pieces of `step` bytes as a connection would: each piece behind
 * what the call before left over. Returns the last verdict.
 */
static int
decode(struct slice s, size_t step, struct decoded *out)
{
	struct http_chunked c = { 0 };
	size_t end = 0;
	int rc = 0;

	out->n = out->used = 0;
	while (rc == 0 && end < s.n) {
		end = s.n - end < step ? s.n : end + step;
		while (rc == 0 && out->used < end) {
			char *piece = exact_copy(s.p + out->used, end - out->used);
			size_t used = 0;
			struct slice data = SLICE_NONE;

			rc = http_chunked_feed(&c, piece, end - out->used,
			    BODY_MAX, &used, &data);
			ck_assert(rc < 0 || used > 0);
			ck_assert_uint_le(out->n + data.n, sizeof(out->body));
			if (data.n > 0)
				memcpy(out->body + out->n, data.p, data.n);
			out->n += data.n;
			out->used += used;
			free(piece);
		}
	}
	return rc;
}

static const struct {
	struct slice wire;
	int verdict;
	const char *body; /* when the verdict is 0 or 1 */
	size_t after;     /* bytes behind the end */
} chunked[] = {
#define ROW(verdict, lit, body, after) \
	{ \
		{ "" lit, sizeof(lit) - 1 }, verdict, body, after \
	}
	ROW(1, "0\r\n\r\n", "", 0),
	ROW(1, "5\r\nhello\r\n0\r\n\r\n", "hello", 0),
	ROW(1, "5\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n", "hello 0123456789", 0),
	ROW(1, "0000000000000002\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0),
	ROW(1, "a\r\n0123456789\r\n000\r\n\r\n", "0123456789", 0),
	ROW(1, "14\r\n01234567890123456789\r\n0\r\n\r\n", "01234567890123456789", 0),
	ROW(1, "1\r\na\r\n0\r\n\r\nGET /", "a", 5),
	ROW(1, "0\r\n\r\n0\r\n\r\n", "", 5),
	ROW(0, "", "", 0),
	ROW(0, "5", "", 0),
	ROW(0, "5\r\nhel", "hel", 0),
	ROW(0, "5\r\nhello", "hello", 0),
	ROW(0, "5\r\nhello\r\n", "hello", 0),
	ROW(0, "5\r\nhello\r\n0\r\n\r", "hello", 0),
	/* Sizes that another reader may take otherwise. */
	ROW(-400, "0x5\r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "+5\r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "-0\r\n\r\n", NULL, 0),
	ROW(-400, "-5\r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, " 5\r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5 \r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5\t\r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5_0\r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "g\r\n\r\n", NULL, 0),
	ROW(-400, "\r\n", NULL, 0),
	ROW(-400, "\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5\0\r\nhello", NULL, 0),
	ROW(-400, "00000000000000005\r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "10000000000000005\r\nhello\r\n0\r\n\r\n", NULL, 0),
	/* Extensions and trailers. */
	ROW(-400, "5;a=b\r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5;\r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "0;a\r\n\r\n", NULL, 0),
	ROW(-400, "0\r\nX: y\r\n\r\n", NULL, 0),
	ROW(-400, "0\r\nContent-Length: 5\r\n\r\n", NULL, 0),
	/* Ends of lines. */
	ROW(-400, "5\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5\rhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5\r\r\nhello\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5\r\nhello0\r\n\r\n", NULL, 0),
	ROW(-400, "5\r\nhello\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5\r\nhello\r0\r\n\r\n", NULL, 0),
	ROW(-400, "5\r\nhello!\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5\r\nhell\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "5\r\nhello\r\n\r\n0\r\n\r\n", NULL, 0),
	ROW(-400, "0\r\n\n", NULL, 0),
	ROW(-400, "0\r\n\rx", NULL, 0),
	ROW(-400, "0\n\n", NULL, 0),
	/* Limits: 20 bytes here. */
	ROW(-413, "15\r\n012345678901234567890\r\n0\r\n\r\n", NULL, 0),
	ROW(-413, "15\r\n", NULL, 0),
	ROW(-413, "a\r\n0123456789\r\nb\r\n", NULL, 0),
	ROW(-413, "7fffffffffffffff\r\n", NULL, 0),
	ROW(-413, "ffffffffffffffff\r\n", NULL, 0),
	ROW(-413, "a\r\n0123456789\r\nfffffffffffffffb\r\n", NULL, 0),
#undef ROW
};

START_TEST(decodes_chunks)
{
	struct slice wire = chunked[_i].wire;

	for (size_t step = 1; step <= wire.n + 1; step++) {
		struct decoded d;
		int rc = decode(wire, step, &d);

		ck_assert_msg(
		    rc == chunked[_i].verdict, "%d in steps of %zu for <%s>", rc, step, text(wire));
		if (rc < 0)
			continue;
		ck_assert_str_eq(text(slice_of(d.body, d.n)), chunked[_i].body);
		ck_assert_uint_eq(d.used, wire.n - chunked[_i].after);
	}
}
END_TEST

START_TEST(takes_a_chunk_and_its_frame_at_once)
{
	struct http_chunked c = { 0 };
	struct slice wire = SLICE("5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\nGET"), data;
	size_t used;

	ck_assert_int_eq(http_chunked_feed(&c, wire.p, wire.n, BODY_MAX, &used, &data), 0);
	ck_assert_uint_eq(used, 13);
	ck_assert_str_eq(text(data), "hello");
	ck_assert_ptr_eq(data.p, wire.p + 3);
	ck_assert_int_eq(http_chunked_feed(&c, wire.p + 13, wire.n - 13, BODY_MAX, &used, &data), 1);
	ck_assert_uint_eq(used, 10);
	ck_assert_str_eq(text(data), "abc");
	ck_assert_uint_eq(c.total, 8);
	/* The end is the end: what follows is left alone. */
	ck_assert_int_eq(http_chunked_feed(&c, wire.p + 23, 3, BODY_MAX, &used, &data), 1);
	ck_assert_uint_eq(used, 0);
	ck_assert_uint_eq(data.n, 0);
}
END_TEST

START_TEST(waits_for_more_when_given_nothing)
{
	struct http_chunked c = { 0 };
	struct slice data;
	size_t used = 9;

	ck_assert_int_eq(http_chunked_feed(&c, NULL, 0, BODY_MAX, &used, &data), 0);
	ck_assert_uint_eq(used, 0);
	ck_assert_uint_eq(data.n, 0);
}
END_TEST

START_TEST(takes_a_limit_of_any_size)
{
	struct http_chunked c = { 0 };
	struct slice data;
	size_t used;

	ck_assert_int_eq(http_chunked_feed(&c, "ffffffffffffffff\r\nab", 20,
	    SIZE_MAX, &used, &data), 0);
	ck_assert_uint_eq(data.n, 2);
	ck_assert_uint_eq(c.left, UINT64_MAX - 2);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("chunked", NULL, NULL);

	tcase_add_loop_test(tc, decodes_chunks, 0, ARRAY_LEN(chunked));
	tcase_add_test(tc, takes_a_chunk_and_its_frame_at_once);
	tcase_add_test(tc, waits_for_more_when_given_nothing);
	tcase_add_test(tc, takes_a_limit_of_any_size);
	return run_cases(tc);
}
