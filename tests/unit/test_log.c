/* Log lines: their shape, and that foreign bytes cannot forge one. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "tests/unit/support/suite.h"

#define LINE_MAX_BYTES 4096
/* 2023-11-14T22:13:20.007Z */
#define NOW_MS UINT64_C(1700000000007)
#define STAMP "ts=2023-11-14T22:13:20.007Z"

static int real_stderr;
static int pipe_read = -1;

/* A pipe's default capacity is 64 KiB: more than any test here writes. */
static void
setup(void)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	real_stderr = dup(STDERR_FILENO);
	ck_assert_int_ge(real_stderr, 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	close(fds[1]);
	pipe_read = fds[0];
	clock_fake(NOW_MS);
	log_setup("proxy", "", LOG_LEVEL_INFO);
}

static void
restore_stderr(void)
{
	if (pipe_read < 0)
		return;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
}

/* All that was logged; the pipe's only writer is closed first. */
static struct slice
logged(void)
{
	static char text[65536];
	size_t n = 0;
	ssize_t got;

	restore_stderr();
	while ((got = read(pipe_read, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(pipe_read);
	pipe_read = -1;
	text[n] = '\0';
	return slice_of(text, n);
}

static void
teardown(void)
{
	restore_stderr();
	clock_fake(0);
}

START_TEST(test_shape)
{
	const char *session = "0123abcd";

	log_info("stream closed", LF("session", session), LF_N("events", -7),
	    LF_S("reason", SLICE("client_closed")));
	ck_assert_str_eq(logged().p, STAMP " level=info program=proxy "
	    "msg=\"stream closed\" session=0123abcd events=-7 "
	    "reason=client_closed\n");
}
END_TEST

START_TEST(test_no_fields_and_pod)
{
	log_setup("proxy", "pod a", LOG_LEVEL_DEBUG);
	log_debug("ready");
	log_warn("ready");
	ck_assert_str_eq(logged().p,
	    STAMP " level=debug program=proxy pod=\"pod a\" msg=ready\n"
	    STAMP " level=warn program=proxy pod=\"pod a\" msg=ready\n");
}
END_TEST

START_TEST(test_levels)
{
	log_setup("proxy", "", LOG_LEVEL_WARN);
	log_debug("a", LF_N("n", 1));
	log_info("b", LF_N("n", 1));
	log_warn("c", LF_N("n", 1));
	log_error("d", LF_N("n", 1));
	ck_assert(!log_enabled(LOG_LEVEL_INFO));
	ck_assert(log_enabled(LOG_LEVEL_ERROR));
	ck_assert_str_eq(logged().p,
	    STAMP " level=warn program=proxy msg=c n=1\n"
	    STAMP " level=error program=proxy msg=d n=1\n");
}
END_TEST

/* A disabled line costs nothing: its fields are not even worked out. */
START_TEST(test_disabled_fields_are_not_evaluated)
{
	int evaluated = 0;

	log_debug("a", LF_N("n", ++evaluated));
	ck_assert_int_eq(evaluated, 0);
	ck_assert_uint_eq(logged().n, 0);
}
END_TEST

static const struct {
	struct slice value;
	const char *shown;
} values[] = {
	{ SLICE("plain-1.2/3:4"), "plain-1.2/3:4" },
	{ SLICE(""), "\"\"" },
	{ SLICE("two words"), "\"two words\"" },
	{ SLICE("a=b"), "\"a=b\"" },
	{ SLICE("a\nlevel=error msg=forged"),
	    "\"a\\nlevel=error msg=forged\"" },
	{ SLICE("a\r\nb"), "\"a\\r\\nb\"" },
	{ SLICE("\" x=\""), "\"\\\" x=\\\"\"" },
	{ SLICE("back\\slash"), "\"back\\\\slash\"" },
	{ SLICE("\x1b[2J\0\x01"), "\"\\u001b[2J\\u0000\\u0001\"" },
	/* A terminal may act on C1 controls: nothing beyond ASCII is raw. */
	{ SLICE("\xed\x95\x9c"), "\"\\xed\\x95\\x9c\"" },
	{ SLICE("a\x7f\x9bz"), "\"a\\x7f\\x9bz\"" },
};

START_TEST(test_foreign_bytes)
{
	struct strbuf want = STRBUF_INIT(4096);

	log_info("x", LF_S("v", values[_i].value), LF_N("n", 1));
	strbuf_addf(&want, STAMP " level=info program=proxy msg=x v=%s n=1\n",
	    values[_i].shown);
	ck_assert_str_eq(logged().p, strbuf_str(&want));
	strbuf_release(&want);
}
END_TEST

/* No byte makes two lines of one, or is a control character in it. */
START_TEST(test_each_byte)
{
	struct slice all;
	unsigned lines = 0;

	for (int c = 0; c < 256; c++) {
		char text[3] = { 'a', (char)c, 'b' };

		log_info("x", LF_S("v", slice_of(text, sizeof(text))));
	}
	all = logged();
	for (size_t i = 0; i < all.n; i++) {
		unsigned char c = (unsigned char)all.p[i];

		lines += c == '\n';
		ck_assert_msg(c >= ' ' || c == '\n', "byte %#x", c);
	}
	ck_assert_uint_eq(lines, 256);
}
END_TEST

START_TEST(test_null_text_is_empty)
{
	const char *nothing = NULL;

	log_info("x", LF("v", nothing));
	ck_assert_str_eq(logged().p,
	    STAMP " level=info program=proxy msg=x v=\"\"\n");
}
END_TEST

START_TEST(test_long_lines_are_cut)
{
	static char big[3 * LINE_MAX_BYTES];
	struct slice line;

	memset(big, 'x', sizeof(big));
	log_info("one", LF_S("a", SLICE("kept")),
	    LF_S("b", slice_of(big, sizeof(big))), LF_S("c", SLICE("after")));
	line = logged();
	ck_assert_uint_le(line.n, LINE_MAX_BYTES + 1);
	ck_assert_ptr_nonnull(strstr(line.p, " msg=one a=kept b="));
	ck_assert_ptr_eq(memchr(line.p, '\n', line.n), line.p + line.n - 1);
}
END_TEST

START_TEST(test_session_ids_are_shortened)
{
	ck_assert(slice_eq_str(log_session_id("0123456789abcdef"), "01234567"));
	ck_assert(slice_eq_str(log_session_id("abc"), "abc"));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("lines", setup, teardown);

	tcase_add_test(tc, test_shape);
	tcase_add_test(tc, test_no_fields_and_pod);
	tcase_add_test(tc, test_levels);
	tcase_add_test(tc, test_disabled_fields_are_not_evaluated);
	tcase_add_loop_test(tc, test_foreign_bytes, 0, ARRAY_LEN(values));
	tcase_add_test(tc, test_each_byte);
	tcase_add_test(tc, test_null_text_is_empty);
	tcase_add_test(tc, test_long_lines_are_cut);
	tcase_add_test(tc, test_session_ids_are_shortened);
	return run_cases(tc);
}
