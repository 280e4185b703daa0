/* Settings: where they come from, what is refused and how it is told. */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/config.h"
#include "tests/unit/support/suite.h"

struct settings {
	char *name;
	char *password;
	char *url;
	unsigned port;
	unsigned any;
	size_t body;
	bool quiet;
	int level;
};

static const char *const levels[] = { "debug", "info", "warn", NULL };

static const struct config_option first_table[] = {
	{ "T_NAME", CONFIG_STRING, CONFIG_FIELD(struct settings, name), NULL,
	    0, 0, NULL, "A name." },
	{ "T_PASSWORD", CONFIG_SECRET, CONFIG_FIELD(struct settings, password),
	    "", 0, 0, NULL, "A password." },
	{ "T_URL", CONFIG_URL, CONFIG_FIELD(struct settings, url),
	    "redis://localhost:6379/0", 0, 0, NULL, "Where it is." },
	{ .env = NULL },
};

static const struct config_option second_table[] = {
	{ "T_PORT", CONFIG_UINT, CONFIG_FIELD(struct settings, port), "8080",
	    1, 65535, NULL, "The port." },
	{ "T_ANY", CONFIG_UINT, CONFIG_FIELD(struct settings, any), NULL, 0, 0,
	    NULL, "Any number." },
	{ "T_BODY", CONFIG_BYTES, CONFIG_FIELD(struct settings, body), "1m",
	    1024, 64 << 20, NULL, "The largest body." },
	{ "T_QUIET", CONFIG_BOOL, CONFIG_FIELD(struct settings, quiet),
	    "false", 0, 0, NULL, "Says less." },
	{ "T_LEVEL", CONFIG_ENUM, CONFIG_FIELD(struct settings, level), "info",
	    0, 0, levels, "How much is logged." },
	{ .env = NULL },
};

static const struct config_option *const tables[] = { first_table,
	second_table, NULL };

static struct settings got;
static struct strbuf errors = STRBUF_INIT(16384);

static void
setup(void)
{
	for (size_t i = 0; tables[i] != NULL; i++)
		for (const struct config_option *o = tables[i]; o->env; o++)
			unsetenv(o->env);
	memset(&got, 0xa5, sizeof(got));
	strbuf_reset(&errors);
}

static void
teardown(void)
{
	strbuf_release(&errors);
}

/* Loads the text as a .env file that the messages call path. */
struct dotenv {
	int fd;
	char path[64];
};

static struct dotenv
dotenv_open(struct slice text)
{
	struct dotenv d = { .fd = memfd_create("dotenv", MFD_CLOEXEC) };

	ck_assert_int_ge(d.fd, 0);
	ck_assert_int_eq(write(d.fd, text.p, text.n), (ssize_t)text.n);
	snprintf(d.path, sizeof(d.path), "/proc/self/fd/%d", d.fd);
	return d;
}

static bool
load(struct slice text)
{
	struct dotenv d = dotenv_open(text);
	bool ok = config_load(tables, &got, d.path, &errors);

	close(d.fd);
	return ok;
}

static void
check_loads(struct slice text)
{
	bool ok = load(text);

	ck_assert_msg(ok, "%s", strbuf_str(&errors));
	ck_assert_str_eq(strbuf_str(&errors), "");
}

/* One refused line; want follows "<path>:". */
static void
check_line_refused(struct slice text, const char *want)
{
	struct strbuf whole = STRBUF_INIT(1024);
	struct dotenv d = dotenv_open(text);

	ck_assert(!config_load(tables, &got, d.path, &errors));
	strbuf_addf(&whole, "%s:%s\n", d.path, want);
	ck_assert_str_eq(strbuf_str(&errors), strbuf_str(&whole));
	strbuf_release(&whole);
	close(d.fd);
}

static void
check_value_refused(const char *name, const char *value, const char *want)
{
	setenv(name, value, 1);
	ck_assert(!config_load(tables, &got, NULL, &errors));
	ck_assert_str_eq(strbuf_str(&errors), want);
	ck_assert_ptr_null(got.url);
	unsetenv(name);
	strbuf_reset(&errors);
}

START_TEST(test_fallbacks)
{
	check_loads(SLICE(""));
	ck_assert_ptr_null(got.name);
	ck_assert_ptr_null(got.password);
	ck_assert_str_eq(got.url, "redis://localhost:6379/0");
	ck_assert_uint_eq(got.port, 8080);
	ck_assert_uint_eq(got.any, 0);
	ck_assert_uint_eq(got.body, 1 << 20);
	ck_assert(!got.quiet);
	ck_assert_int_eq(got.level, 1);
	config_release(tables, &got);
	ck_assert_ptr_null(got.url);
	config_release(tables, &got);
}
END_TEST

START_TEST(test_environment_wins_and_empty_is_not_set)
{
	setenv("T_PORT", "1", 1);
	setenv("T_NAME", "", 1);
	setenv("T_LEVEL", "", 1);
	check_loads(SLICE("T_PORT=2\nT_NAME=file\nT_LEVEL=\nT_ANY=\n"));
	ck_assert_uint_eq(got.port, 1);
	ck_assert_str_eq(got.name, "file");
	ck_assert_int_eq(got.level, 1);
	ck_assert_uint_eq(got.any, 0);
	config_release(tables, &got);
}
END_TEST

START_TEST(test_no_file)
{
	ck_assert(config_load(tables, &got, NULL, &errors));
	config_release(tables, &got);
	ck_assert(config_load(tables, &got, "/nonexistent/.env", &errors));
	config_release(tables, &got);
	ck_assert_str_eq(strbuf_str(&errors), "");
}
END_TEST

START_TEST(test_unreadable_file)
{
	struct strbuf want = STRBUF_INIT(256);

	ck_assert(!config_load(tables, &got, "/proc/self", &errors));
	strbuf_addf(&want, "/proc/self: %s\n", strerror(EISDIR));
	ck_assert_str_eq(strbuf_str(&errors), strbuf_str(&want));
	ck_assert(!config_load(tables, &got, "/proc/self", NULL));
	ck_assert(!config_load(tables, &got, "/dev/zero", NULL));
	strbuf_release(&want);
}
END_TEST

static const struct {
	struct slice line;
	const char *name;
} lines[] = {
	{ SLICE("T_NAME=plain"), "plain" },
	{ SLICE("  export \t T_NAME = two words \t\r\n"), "two words" },
	{ SLICE("export=1\nT_NAME=x"), "x" },
	{ SLICE("exported=1\nT_NAME=x"), "x" },
	{ SLICE("\xef\xbb\xbfT_NAME=x"), "x" },
	{ SLICE("# T_NAME=no\n\n \t\n  # T_NAME=no\nT_NAME=x\n"), "x" },
	{ SLICE("T_NAME=a#b # c"), "a#b" },
	{ SLICE("T_NAME=#b"), "#b" },
	{ SLICE("T_NAME= #b"), NULL },
	{ SLICE("T_NAME=a=b"), "a=b" },
	{ SLICE("T_NAME=$HOME `x` \\n \"q\" 'q'"),
	    "$HOME `x` \\n \"q\" 'q'" },
	{ SLICE("T_NAME='a # b\\n\"' # c"), "a # b\\n\"" },
	{ SLICE("T_NAME='' # c"), NULL },
	{ SLICE("T_NAME=\"\""), NULL },
	{ SLICE("T_NAME=\" a # 'b' \" # c"), " a # 'b' " },
	{ SLICE("T_NAME=\"a\\nb\\r\\t\\\"\\\\n\""), "a\nb\r\t\"\\n" },
	{ SLICE("T_NAME=1\nT_NAME=2"), "2" },
	{ SLICE("T_NAME=1\nT_NAME="), NULL },
	{ SLICE("T_NAMES=1\nT_NAM=2\nlower_1=2\n_=3\nT_NAME=x"), "x" },
};

START_TEST(test_lines)
{
	check_loads(lines[_i].line);
	if (lines[_i].name != NULL)
		ck_assert_pstr_eq(got.name, lines[_i].name);
	else
		ck_assert_ptr_null(got.name);
	config_release(tables, &got);
}
END_TEST

#define BAD_NAME \
	"the name before \"=\" must be letters, digits and _, " \
	"not starting with a digit"
#define BAD_ESCAPE "an escape other than \\n \\r \\t \\\" \\\\"
#define OPEN_QUOTE "the quote is not closed in the line"

static const struct {
	struct slice text;
	const char *want;
} bad_lines[] = {
	{ SLICE("A=1\n\nsecret\nB=2"), "3: no \"=\" in the line" },
	{ SLICE("export A"), "1: no \"=\" in the line" },
	{ SLICE("=x"), "1: " BAD_NAME },
	{ SLICE("1A=x"), "1: " BAD_NAME },
	{ SLICE("A-B=x"), "1: " BAD_NAME },
	{ SLICE("A B=x"), "1: " BAD_NAME },
	{ SLICE("A='x"), "1: " OPEN_QUOTE },
	{ SLICE("A='"), "1: " OPEN_QUOTE },
	{ SLICE("A=\""), "1: " OPEN_QUOTE },
	{ SLICE("A=\"x\\"), "1: " OPEN_QUOTE },
	{ SLICE("A=\"x\\\"\nB=1"), "1: " OPEN_QUOTE },
	{ SLICE("A=\"\\x\""), "1: " BAD_ESCAPE },
	{ SLICE("A='x'y"), "1: text after the closing quote" },
	{ SLICE("A=\"x\"#y"), "1: text after the closing quote" },
	{ SLICE("A=x\0y\n"), "1: a NUL byte in the line" },
};

START_TEST(test_bad_lines)
{
	check_line_refused(bad_lines[_i].text, bad_lines[_i].want);
}
END_TEST

START_TEST(test_all_problems_are_told)
{
	ck_assert(!load(SLICE("a\nT_PORT=0\nb\nT_QUIET=perhaps\n")));
	ck_assert_ptr_nonnull(strstr(strbuf_str(&errors), ":1: no \"=\""));
	ck_assert_ptr_nonnull(strstr(strbuf_str(&errors), ":3: no \"=\""));
	ck_assert_ptr_nonnull(strstr(strbuf_str(&errors),
	    "\nT_PORT: \"0\" is not a number from 1 to 65535\n"));
	ck_assert_ptr_nonnull(strstr(strbuf_str(&errors),
	    "\nT_QUIET: \"perhaps\" is not one of false, true, no, yes, off, "
	    "on, 0, 1\n"));
	ck_assert_ptr_null(got.url);
}
END_TEST

START_TEST(test_numbers)
{
	static const char *const bad[] = { "0", "65536", "99999", "-1", "+1",
		" 1", "1 ", "1.0", "0x10", "1k", "x", "4294967297",
		"18446744073709551617" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char want[128];

		snprintf(want, sizeof(want), "T_PORT: \"%s\" is not a number "
		    "from 1 to 65535\n", bad[i]);
		check_value_refused("T_PORT", bad[i], want);
	}
	check_value_refused("T_ANY", "4294967296", "T_ANY: \"4294967296\" is "
	    "not a number from 0 to 4294967295\n");
	check_loads(SLICE("T_PORT=65535\nT_ANY=4294967295"));
	ck_assert_uint_eq(got.port, 65535);
	ck_assert_uint_eq(got.any, UINT_MAX);
	config_release(tables, &got);
}
END_TEST

START_TEST(test_sizes)
{
	static const struct {
		const char *text;
		size_t bytes;
	} good[] = {
		{ "1024", 1024 }, { "1k", 1024 }, { "64K", 65536 },
		{ "64m", 64 << 20 }, { "3M", 3 << 20 }, { "65537", 65537 },
	};
	static const char *const bad[] = { "1023", "65m", "1g", "64kb", "k",
		"1 k", "-1k", "17179869184g",
		"18014398509481985k", "99999999999999999999", "1.5m" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char want[128];

		snprintf(want, sizeof(want), "T_BODY: \"%s\" is not a size in "
		    "bytes from 1k to 64m\n", bad[i]);
		check_value_refused("T_BODY", bad[i], want);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		setenv("T_BODY", good[i].text, 1);
		check_loads(SLICE(""));
		ck_assert_uint_eq(got.body, good[i].bytes);
		config_release(tables, &got);
	}
}
END_TEST

START_TEST(test_bools)
{
	static const char *const words[] = { "false", "true", "no", "YES",
		"Off", "oN", "0", "1" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		setenv("T_QUIET", words[i], 1);
		check_loads(SLICE(""));
		ck_assert_int_eq(got.quiet, i % 2);
		config_release(tables, &got);
	}
}
END_TEST

START_TEST(test_choices)
{
	check_value_refused("T_LEVEL", "loud",
	    "T_LEVEL: \"loud\" is not one of debug, info, warn\n");
	check_loads(SLICE("T_LEVEL=WARN"));
	ck_assert_int_eq(got.level, 2);
	config_release(tables, &got);
}
END_TEST

START_TEST(test_foreign_bytes_in_a_message)
{
	char huge[4096];

	check_value_refused("T_PORT", "1\n2\x1b", "T_PORT: \"1\\n2\\u001b\" is "
	    "not a number from 1 to 65535\n");
	memset(huge, '1', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	setenv("T_PORT", huge, 1);
	ck_assert(!config_load(tables, &got, NULL, &errors));
	ck_assert_ptr_nonnull(strstr(strbuf_str(&errors),
	    "11\"... is not a number from 1 to 65535\n"));
	ck_assert_uint_lt(errors.n, 200);
}
END_TEST

/* What config_print() writes; good until the next call. */
static const char *
printed(void)
{
	static char text[16384];
	FILE *to = fmemopen(text, sizeof(text), "w");

	ck_assert_ptr_nonnull(to);
	config_print(tables, &got, to);
	fclose(to);
	return text;
}

START_TEST(test_print)
{
	check_loads(SLICE("T_NAME=\"it's\\n$x\"\nT_PASSWORD=hunter2\n"
	    "T_URL=rediss://user:pa@ss@host:1/2\nT_QUIET=on\nT_BODY=65537"));
	ck_assert_str_eq(printed(),
	    "T_NAME=\"it's\\n$x\"\n"
	    "T_PASSWORD=***\n"
	    "T_URL=rediss://***@host:1/2\n"
	    "T_PORT=8080\n"
	    "T_ANY=0\n"
	    "T_BODY=65537\n"
	    "T_QUIET=true\n"
	    "T_LEVEL=info\n");
	config_release(tables, &got);
}
END_TEST

START_TEST(test_print_not_set)
{
	memset(&got, 0, sizeof(got));
	ck_assert_str_eq(printed(), "T_NAME=\nT_PASSWORD=\nT_URL=\nT_PORT=\n"
	    "T_ANY=0\nT_BODY=\nT_QUIET=false\nT_LEVEL=debug\n");
}
END_TEST

START_TEST(test_print_urls)
{
	static const struct {
		const char *url;
		const char *shown;
	} rows[] = {
		{ "redis://host:6379/0", "redis://host:6379/0" },
		{ "redis://:pw@host", "redis://***@host" },
		{ "redis://u@host", "redis://***@host" },
		{ "redis://u:p/w?x#y@host/0", "redis://***@host/0" },
		{ "u:pw@host", "***@host" },
		{ "u:p://w@host", "***@host" },
		{ "u@host://x", "***@host://x" },
		{ "postgresql://h/d?password=x&a=b",
		    "'postgresql://h/d?password=***'" },
		{ "postgresql://u:p@h/d?sslPassword=x",
		    "'postgresql://***@h/d?sslPassword=***'" },
		{ "host=h password = x y", "'host=h password =***'" },
		{ "postgresql://password/d", "postgresql://password/d" },
		{ "redis://", "redis://" },
		{ "https://h/jwks?a=1&b=2", "'https://h/jwks?a=1&b=2'" },
	};
	struct strbuf want = STRBUF_INIT(256);

	setenv("T_URL", rows[_i].url, 1);
	check_loads(SLICE(""));
	strbuf_addf(&want, "\nT_URL=%s\n", rows[_i].shown);
	ck_assert_ptr_nonnull(strstr(printed(), strbuf_str(&want)));
	strbuf_release(&want);
	config_release(tables, &got);
}
END_TEST

static const char *const texts[] = {
	"plain", " spaces ", "#", "a #b", "a#b", "'", "\"", "'\"", "\\", "\\n",
	"\n", "a\r\nb\tc", "$x `y`", "'a' # \"b\" \\", "=", "\x01\x7f\xff",
	"\xed\x95\x9c\xea\xb5\xad", "-----BEGIN KEY-----\nabc=\n-----END-----\n",
	"export A=1", "***", "\xef\xbb\xbf",
};

/* What is printed, loaded again, is the same. */
START_TEST(test_print_then_load)
{
	struct strbuf text = STRBUF_INIT(16384);

	setenv("T_NAME", texts[_i], 1);
	check_loads(SLICE(""));
	ck_assert_str_eq(got.name, texts[_i]);
	strbuf_add_str(&text, printed());
	config_release(tables, &got);
	unsetenv("T_NAME");
	check_loads(strbuf_slice(&text));
	ck_assert_str_eq(got.name, texts[_i]);
	ck_assert_str_eq(printed(), strbuf_str(&text));
	config_release(tables, &got);
	strbuf_release(&text);
}
END_TEST

START_TEST(test_help)
{
	static char text[4096];
	FILE *to = fmemopen(text, sizeof(text), "w");

	ck_assert_ptr_nonnull(to);
	config_help(tables, to);
	fclose(to);
	ck_assert_ptr_nonnull(strstr(text,
	    "T_NAME (text; not set by default)\n    A name.\n\n"));
	ck_assert_ptr_nonnull(strstr(text, "T_PORT (a number from 1 to 65535; "
	    "default 8080)\n    The port.\n\n"));
	ck_assert_ptr_nonnull(strstr(text, "T_BODY (a size in bytes from 1k to "
	    "64m; default 1m)\n    The largest body.\n\n"));
	ck_assert_ptr_nonnull(strstr(text, "T_LEVEL (one of debug, info, warn; "
	    "default info)\n    How much is logged.\n\n"));
}
END_TEST

static TCase *
loading_case(void)
{
	TCase *tc = new_case("loading", setup, teardown);

	tcase_add_test(tc, test_fallbacks);
	tcase_add_test(tc, test_environment_wins_and_empty_is_not_set);
	tcase_add_test(tc, test_no_file);
	tcase_add_test(tc, test_unreadable_file);
	tcase_add_loop_test(tc, test_lines, 0, ARRAY_LEN(lines));
	tcase_add_loop_test(tc, test_bad_lines, 0, ARRAY_LEN(bad_lines));
	tcase_add_test(tc, test_all_problems_are_told);
	tcase_add_test(tc, test_numbers);
	tcase_add_test(tc, test_sizes);
	tcase_add_test(tc, test_bools);
	tcase_add_test(tc, test_choices);
	tcase_add_test(tc, test_foreign_bytes_in_a_message);
	return tc;
}

static TCase *
showing_case(void)
{
	TCase *tc = new_case("showing", setup, teardown);

	tcase_add_test(tc, test_print);
	tcase_add_test(tc, test_print_not_set);
	tcase_add_loop_test(tc, test_print_urls, 0, 13);
	tcase_add_loop_test(tc, test_print_then_load, 0, ARRAY_LEN(texts));
	tcase_add_test(tc, test_help);
	return tc;
}

int
main(void)
{
	return run_cases(loading_case(), showing_case());
}
