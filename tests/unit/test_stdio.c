/* What the stdio API reads: commands, lines, texts, words of its settings. */
#include <check.h>
#include <stdlib.h>

#include "common/strbuf.h"
#include "tests/unit/support/suite.h"
#include "worker/stdio/capabilities.h"
#include "worker/stdio/command.h"
#include "worker/stdio/lines.h"
#include "worker/stdio/text.h"

/* Commands ------------------------------------------------------------------------ */

static const struct {
	const char *text;
	const char *words[6];
	const char *error;
} commands[] = {
	{ "python server.py", { "python", "server.py" }, NULL },
	{ "  a\t b\n", { "a", "b" }, NULL },
	{ "sh -c 'exec \"$0\" x'", { "sh", "-c", "exec \"$0\" x" }, NULL },
	{ "a \"b c\" d\\ e", { "a", "b c", "d e" }, NULL },
	{ "\"a\\\"b\\\\c\\d\"", { "a\"b\\c\\d" }, NULL },
	{ "a '' \"\"", { "a", "", "" }, NULL },
	{ "a'b'\"c\"d", { "abcd" }, NULL },
	{ "a $HOME *.c ~ | b", { "a", "$HOME", "*.c", "~", "|", "b" }, NULL },
	{ "'open", { NULL }, "a quote is not closed" },
	{ "a \"b\\\"", { NULL }, "a quote is not closed" },
	{ "a\\", { NULL }, "it ends in a backslash" },
	{ " \t", { NULL }, "it has no words" },
};

START_TEST(command_is_split)
{
	struct strbuf error = STRBUF_INIT(256);
	char **words = command_words(commands[_i].text, &error);
	size_t n = 0;

	if (commands[_i].error != NULL) {
		ck_assert_ptr_null(words);
		ck_assert_str_eq(strbuf_str(&error), commands[_i].error);
	} else {
		ck_assert_ptr_nonnull(words);
		for (; n < 6 && commands[_i].words[n] != NULL; n++)
			ck_assert_str_eq(words[n], commands[_i].words[n]);
		ck_assert_ptr_null(words[n]);
	}
	command_free_words(words);
	strbuf_release(&error);
}
END_TEST

static bool
has(char **env, const char *wanted)
{
	for (; *env != NULL; env++) {
		if (strcmp(*env, wanted) == 0)
			return true;
	}
	return false;
}

START_TEST(environment_is_what_is_allowed)
{
	struct strbuf error = STRBUF_INIT(256);
	struct command c;

	setenv("PATH", "/bin", 1);
	setenv("ONE", "a,b=c", 1);
	setenv("TWO", "2", 1);
	setenv("REDIS_URL", "redis://:secret@h", 1);
	unsetenv("THREE");
	ck_assert(command_init(&c, "x", "ONE,, THREE ,TWO", "/d", &error));
	ck_assert(has(c.env, "PATH=/bin"));
	ck_assert(has(c.env, "ONE=a,b=c"));
	ck_assert(has(c.env, "TWO=2"));
	for (char **each = c.env; *each != NULL; each++)
		ck_assert_ptr_null(strstr(*each, "secret"));
	ck_assert_str_eq(c.directory, "/d");
	command_release(&c);
	ck_assert(command_init(&c, "x", NULL, NULL, &error));
	ck_assert(!has(c.env, "TWO=2"));
	command_release(&c);
	strbuf_release(&error);
}
END_TEST

/* Lines --------------------------------------------------------------------------- */

#define CAP ((size_t)600)
#define LONG 2000

static struct strbuf seen;
static struct lines *stops;

/* "<bytes>" of a whole line, "<bytes>!" of one that is cut. */
static void
on_line(struct slice line, bool cut, void *arg UNUSED)
{
	strbuf_addf(&seen, "%.*s%s|", line.n > 20 ? 20 : (int)line.n, line.p,
	    cut ? "!" : "");
	if (cut) {
		ck_assert_uint_eq(line.n, 2 * LINES_END);
		ck_assert_int_eq(line.p[line.n - 1], 'z');
		ck_assert_int_eq(line.p[LINES_END], 'y');
	}
	if (stops != NULL)
		lines_stop(stops);
}

/* Fed in pieces of that size; the whole at once for 0. */
static const char *
fed(const char *text, size_t piece)
{
	struct lines l;
	size_t n = strlen(text);

	lines_init(&l, CAP);
	strbuf_reset(&seen);
	if (piece == 0)
		piece = n;
	for (size_t at = 0; at < n; at += piece)
		lines_feed(&l, slice_of(text + at, n - at < piece ? n - at :
		    piece), on_line, NULL);
	lines_finish(&l, on_line, NULL);
	lines_release(&l);
	return strbuf_str(&seen);
}

static void
set_up(void)
{
	strbuf_init(&seen, 1 << 20);
	stops = NULL;
}

static void
tear_down(void)
{
	strbuf_release(&seen);
}

START_TEST(lines_come_whole)
{
	for (size_t piece = 0; piece < 8; piece++) {
		ck_assert_str_eq(fed("a\nbc\r\n\n\r\nd", piece), "a|bc|d|");
		ck_assert_str_eq(fed("a\r\rb\n", piece), "a\r\rb|");
		ck_assert_str_eq(fed("", piece), "");
	}
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char text[LONG + 32];

	memset(text, 'y', sizeof(text));
	memcpy(text, "first\nx", 7);
	memcpy(text + LONG, "z\nlast\n", 8);
	for (size_t piece = 0; piece < LONG + 16; piece += 1 + piece / 3)
		ck_assert_str_eq(fed(text, piece),
		    "first|xyyyyyyyyyyyyyyyyyyy!|last|");
	text[LONG + 1] = '\0';
	ck_assert_str_eq(fed(text, 100), "first|xyyyyyyyyyyyyyyyyyyy!|");
}
END_TEST

START_TEST(longest_line_is_whole)
{
	char text[CAP + 3];

	memset(text, 'w', sizeof(text));
	memcpy(text + CAP, "\n", 2);
	for (size_t piece = 0; piece < 64; piece++)
		ck_assert_str_eq(fed(text, piece), "wwwwwwwwwwwwwwwwwwww|");
}
END_TEST

START_TEST(lines_can_be_stopped)
{
	struct lines l;

	lines_init(&l, CAP);
	stops = &l;
	lines_feed(&l, SLICE("a\nb\nc"), on_line, NULL);
	lines_finish(&l, on_line, NULL);
	ck_assert_str_eq(strbuf_str(&seen), "a|");
	lines_release(&l);
}
END_TEST

/* Text ---------------------------------------------------------------------------- */

static const struct {
	const char *words;       /* to be read, and what is said then */
	const char *json;        /* NULL: they are refused */
} capabilities[] = {
	{ "", "{}" },
	{ "none", "{}" },
	{ "sampling", "{\"sampling\":{}}" },
	{ "sampling.tools", "{\"sampling\":{\"tools\":{}}}" },
	{ " roots ,sampling,", "{\"sampling\":{},\"roots\":{}}" },
	{ "elicitation", "{\"elicitation\":{\"form\":{}}}" },
	{ "elicitation.url", "{\"elicitation\":{\"url\":{}}}" },
	{ "elicitation.url elicitation roots",
	    "{\"elicitation\":{\"form\":{},\"url\":{}},\"roots\":{}}" },
	{ "Sampling", NULL },
	{ "roots,dance", NULL },
	{ "initialized", NULL },
};

START_TEST(capabilities_are_told)
{
	struct strbuf out = STRBUF_INIT(1024), error = STRBUF_INIT(256);
	unsigned can = 0;
	bool ok = capabilities_read(capabilities[_i].words, &can, &error);

	ck_assert_int_eq(ok, capabilities[_i].json != NULL);
	ck_assert_int_eq(error.n > 0, !ok);
	capabilities_add(&out, can);
	if (ok)
		ck_assert_str_eq(strbuf_str(&out), capabilities[_i].json);
	strbuf_release(&out);
	strbuf_release(&error);
}
END_TEST

START_TEST(text_is_what_a_string_says)
{
	char *text = text_copy(SLICE("\"\\\"q\\u00e9\""));

	ck_assert_str_eq(text, "\"q\xc3\xa9");
	ck_assert_ptr_null(text_copy(SLICE("true")));
	ck_assert_ptr_null(text_copy(SLICE_NONE));
	free(text);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("stdio", set_up, tear_down);

	tcase_add_loop_test(tc, command_is_split, 0, ARRAY_LEN(commands));
	tcase_add_test(tc, environment_is_what_is_allowed);
	tcase_add_test(tc, lines_come_whole);
	tcase_add_test(tc, long_lines_are_cut);
	tcase_add_test(tc, longest_line_is_whole);
	tcase_add_test(tc, lines_can_be_stopped);
	tcase_add_loop_test(tc, capabilities_are_told, 0,
	    ARRAY_LEN(capabilities));
	tcase_add_test(tc, text_is_what_a_string_says);
	return run_cases(tc);
}
