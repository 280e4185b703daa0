/* The bytes of RESP: commands as they go out, replies as they come in. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/resp.h"
#include "common/resp_reader.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "tests/unit/support/suite.h"

/* Commands -------------------------------------------------------------- */

static struct strbuf
encode(const struct slice *argv, size_t argc)
{
	struct strbuf sb = STRBUF_INIT(64 << 20);
	size_t bound = resp_command_bound(argv, argc);
	char *p = strbuf_reserve(&sb, bound);

	ck_assert_ptr_nonnull(p);
	sb.n = (size_t)(resp_command_write(p, argv, argc) - p);
	ck_assert_uint_le(sb.n, bound);
	return sb;
}

START_TEST(command_bytes)
{
	static const char want[] = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n\0x\r\n";
	const struct slice argv[] = {
		SLICE("SET"), SLICE_NONE, SLICE("\r\n\0x")
	};
	struct strbuf sb = encode(argv, ARRAY_LEN(argv));

	ck_assert_uint_eq(sb.n, sizeof(want) - 1);
	ck_assert_mem_eq(sb.p, want, sb.n);
	strbuf_release(&sb);
}
END_TEST

/* Lengths around each change of the number of digits. */
static const size_t lengths[] = {
	0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 9999, 10000, 99999, 100000,
	999999, 1000000, 1 << 20, 9999999, 10000000
};

START_TEST(command_equals_hiredis)
{
	size_t n = lengths[_i];
	char *value = xmalloc(n);
	const struct slice argv[] = {
		SLICE("XADD"), SLICE("key"), SLICE("*"), slice_of(value, n)
	};
	const char *args[] = { "XADD", "key", "*", value };
	size_t lens[] = { 4, 3, 1, n };
	struct strbuf sb;
	char *want;
	int want_n;

	for (size_t i = 0; i < n; i++)
		value[i] = (char)(i * 7);
	want_n = redisFormatCommandArgv(&want, ARRAY_LEN(args), args, lens);
	sb = encode(argv, ARRAY_LEN(argv));
	ck_assert_int_eq((int)sb.n, want_n);
	ck_assert_mem_eq(sb.p, want, sb.n);
	strbuf_release(&sb);
	redisFreeCommand(want);
	free(value);
}
END_TEST

START_TEST(command_with_many_arguments)
{
	struct slice argv[1234];
	const char *args[1234];
	size_t lens[1234];
	struct strbuf sb;
	char *want;
	int want_n;

	for (size_t i = 0; i < ARRAY_LEN(argv); i++) {
		args[i] = "0123456789abcdef";
		lens[i] = i % 16;
		argv[i] = slice_of(args[i], lens[i]);
	}
	for (size_t argc = 0; argc <= ARRAY_LEN(argv); argc += 617) {
		want_n = redisFormatCommandArgv(&want, (int)argc, args, lens);
		sb = encode(argv, argc);
		ck_assert_int_eq((int)sb.n, want_n);
		ck_assert_mem_eq(sb.p, want, sb.n);
		strbuf_release(&sb);
		redisFreeCommand(want);
	}
}
END_TEST

/* Replies --------------------------------------------------------------- */

/* A reply as text: types as letters, nesting as brackets. */
static void
render(struct strbuf *sb, const redisReply *reply)
{
	switch (reply->type) {
	case REDIS_REPLY_STRING:
		ck_assert_int_eq(reply->str[reply->len], '\0');
		strbuf_addf(sb, "s%zu:", reply->len);
		strbuf_add(sb, reply->str, reply->len);
		break;
	case REDIS_REPLY_STATUS:
		strbuf_addf(sb, "+%s", reply->str);
		break;
	case REDIS_REPLY_ERROR:
		strbuf_addf(sb, "-%s", reply->str);
		break;
	case REDIS_REPLY_INTEGER:
		strbuf_addf(sb, "i%lld", reply->integer);
		break;
	case REDIS_REPLY_NIL:
		strbuf_add_str(sb, "nil");
		break;
	case REDIS_REPLY_ARRAY:
		strbuf_add_str(sb, "[");
		for (size_t i = 0; i < reply->elements; i++) {
			strbuf_add_str(sb, i > 0 ? " " : "");
			render(sb, reply->element[i]);
		}
		strbuf_add_str(sb, "]");
		break;
	default:
		ck_abort_msg("type %d", reply->type);
	}
}

static void
render_all(struct resp_reader *rr, struct strbuf *sb)
{
	const redisReply *reply;

	while ((reply = resp_reader_next(rr)) != NULL) {
		render(sb, reply);
		strbuf_add_char(sb, ';');
	}
}

static const struct {
	const char *bytes;
	const char *want;
} streams[] = {
	{ "+OK\r\n", "+OK;" },
	{ "+\r\n", "+;" },
	{ "-ERR no\r\n:0\r\n:-9223372036854775808\r\n",
	    "-ERR no;i0;i-9223372036854775808;" },
	{ "$-1\r\n*-1\r\n", "nil;nil;" },
	{ "$0\r\n\r\n$5\r\na\r\nbc\r\n", "s0:;s5:a\r\nbc;" },
	{ "*0\r\n*1\r\n*0\r\n", "[];[[]];" },
	{ "*3\r\n:1\r\n$-1\r\n*2\r\n+a\r\n-b\r\n", "[i1 nil [+a -b]];" },
	{ "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1"
	  "\r\nv\r\n", "[[s1:s [[s3:1-1 [s1:f s1:v]]]]];" },
	{ "*2\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n*2\r\n$3\r\n1-2\r\n$-1\r\n",
	    "[[s3:1-1 nil] [s3:1-2 nil]];" },
};

START_TEST(replies_come_whole_however_they_are_cut)
{
	const char *bytes = streams[_i].bytes;
	size_t n = strlen(bytes);

	for (size_t cut = 1; cut <= n; cut++) {
		struct resp_reader *rr = resp_reader_new();
		struct strbuf sb = STRBUF_INIT(4096);

		for (size_t at = 0; at < n; at += cut) {
			resp_reader_feed(rr, bytes + at,
			    cut < n - at ? cut : n - at);
			render_all(rr, &sb);
		}
		ck_assert_ptr_null(resp_reader_error(rr));
		ck_assert_str_eq(strbuf_str(&sb), streams[_i].want);
		strbuf_release(&sb);
		resp_reader_free(rr);
	}
}
END_TEST

static const char *const malformed[] = {
	"HTTP/1.1 400\r\n", "\r\n", "\n", "%1\r\n", "_\r\n", "$-2\r\n", "*-2\r\n",
	"$1x\r\n", "*1x\r\n", "$99999999999999999999\r\n",
	"*2147483648\r\n", "*2147483647\r\n", "*1048577\r\n",
	"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
};

START_TEST(malformed_replies_are_an_error_for_good)
{
	struct resp_reader *rr = resp_reader_new();

	resp_reader_feed(rr, malformed[_i], strlen(malformed[_i]));
	ck_assert_ptr_null(resp_reader_next(rr));
	ck_assert_ptr_nonnull(resp_reader_error(rr));
	ck_assert_uint_gt(strlen(resp_reader_error(rr)), 0);
	resp_reader_feed(rr, "+OK\r\n", 5);
	ck_assert_ptr_null(resp_reader_next(rr));
	resp_reader_free(rr);
}
END_TEST

START_TEST(what_came_before_the_error_is_delivered)
{
	static const char bytes[] = "+one\r\n:2\r\n!\r\n";
	struct resp_reader *rr = resp_reader_new();
	struct strbuf sb = STRBUF_INIT(4096);

	resp_reader_feed(rr, bytes, sizeof(bytes) - 1);
	render_all(rr, &sb);
	ck_assert_str_eq(strbuf_str(&sb), "+one;i2;");
	ck_assert_ptr_nonnull(resp_reader_error(rr));
	strbuf_release(&sb);
	resp_reader_free(rr);
}
END_TEST

/* Feeds "$<n>\r\n", n bytes and "\r\n" in the portions of a connection. */
static void
feed_bulk(struct resp_reader *rr, char *value, size_t n)
{
	char header[32];
	int len = snprintf(header, sizeof(header), "$%zu\r\n", n);

	resp_reader_feed(rr, header, (size_t)len);
	for (size_t at = 0; at < n; at += RESP_FEED_BYTES) {
		ck_assert_ptr_null(resp_reader_next(rr));
		resp_reader_feed(rr, value + at,
		    n - at < RESP_FEED_BYTES ? n - at : RESP_FEED_BYTES);
	}
	resp_reader_feed(rr, "\r\n", 2);
}

/* Blocks of the arena of every size, and a reader made anew in between. */
START_TEST(large_and_small_replies_alternate)
{
	size_t max = (3 << 20) + 1;
	struct resp_reader *rr = resp_reader_new();
	char *value = xmalloc(max);
	const redisReply *reply;

	for (size_t i = 0; i < max; i++)
		value[i] = (char)(i * 13 + (i >> 8));
	for (size_t n = 1; n <= max; n = n * 3 + 1) {
		feed_bulk(rr, value, n);
		reply = resp_reader_next(rr);
		ck_assert_ptr_nonnull(reply);
		ck_assert_uint_eq(reply->len, n);
		ck_assert_mem_eq(reply->str, value, n);
		ck_assert_ptr_null(resp_reader_next(rr));
		resp_reader_feed(rr, ":1\r\n+x\r\n", 8);
		reply = resp_reader_next(rr);
		ck_assert_ptr_nonnull(reply);
		ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
		reply = resp_reader_next(rr);
		ck_assert_ptr_nonnull(reply);
		ck_assert_str_eq(reply->str, "x");
		ck_assert_ptr_null(resp_reader_next(rr));
	}
	ck_assert_ptr_null(resp_reader_error(rr));
	free(value);
	resp_reader_free(rr);
}
END_TEST

START_TEST(an_array_of_many_strings_keeps_them_apart)
{
	enum { COUNT = 50000 };
	struct resp_reader *rr = resp_reader_new();
	struct strbuf sb = STRBUF_INIT(4 << 20);
	const redisReply *reply;

	strbuf_addf(&sb, "*%d\r\n", COUNT);
	for (unsigned i = 0; i < COUNT; i++)
		strbuf_addf(&sb, "$5\r\n%05u\r\n", i);
	resp_reader_feed(rr, sb.p, sb.n);
	reply = resp_reader_next(rr);
	ck_assert_ptr_nonnull(reply);
	ck_assert_uint_eq(reply->elements, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		char want[16];

		snprintf(want, sizeof(want), "%05u", i);
		ck_assert_str_eq(reply->element[i]->str, want);
	}
	strbuf_release(&sb);
	resp_reader_free(rr);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("resp", NULL, NULL);

	tcase_add_test(tc, command_bytes);
	tcase_add_loop_test(tc, command_equals_hiredis, 0,
	    (int)ARRAY_LEN(lengths));
	tcase_add_test(tc, command_with_many_arguments);
	tcase_add_loop_test(tc, replies_come_whole_however_they_are_cut, 0,
	    (int)ARRAY_LEN(streams));
	tcase_add_loop_test(tc, malformed_replies_are_an_error_for_good, 0,
	    (int)ARRAY_LEN(malformed));
	tcase_add_test(tc, what_came_before_the_error_is_delivered);
	tcase_add_test(tc, large_and_small_replies_alternate);
	tcase_add_test(tc, an_array_of_many_strings_keeps_them_apart);
	return run_cases(tc);
}
