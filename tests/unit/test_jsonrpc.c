/* The peek at JSON-RPC messages, against tables of what JSON allows. */
#include <check.h>
#include <stdlib.h>

#include "common/jsonrpc.h"
#include "common/xalloc.h"
#include "tests/unit/support/suite.h"

#define OPEN "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"x\",\"params\":"

/* Peeks at a copy of exactly n bytes, so that ASan sees a byte read too far. */
static int
peek(struct slice text, struct jsonrpc_msg *out, char **take_copy)
{
	*take_copy = xmalloc(text.n);
	memcpy(*take_copy, text.p, text.n);
	return jsonrpc_peek(*take_copy, text.n, out);
}

static int
verdict(struct slice text)
{
	struct jsonrpc_msg msg;
	char *copy;
	int rc = peek(text, &msg, &copy);

	free(copy);
	return rc;
}

static void
check_verdict(struct slice text, int want)
{
	int got = verdict(text);

	ck_assert_msg(got == want, "%.*s: got %d, want %d", SLICE_ARG(text),
	    got, want);
}

/* A message with value somewhere inside its params. */
static void
check_inside(struct slice value, int want)
{
	struct strbuf sb = STRBUF_INIT(1 << 20);

	strbuf_add_str(&sb, OPEN "{\"arguments\":[");
	strbuf_add_slice(&sb, value);
	strbuf_add_str(&sb, "]}}");
	check_verdict(strbuf_slice(&sb), want);
	strbuf_release(&sb);
}

static void
check_slice(struct slice got, const char *want)
{
	ck_assert_msg(want ? slice_eq_str(got, want) : got.p == NULL,
	    "got \"%.*s\", want \"%s\"", SLICE_ARG(got),
	    want ? want : "(absent)");
}

static const struct {
	const char *text;
	int rc;
	enum jsonrpc_kind kind;
	const char *id;
	const char *method;
} kinds[] = {
	{ "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"ping\"}", 0,
	    JSONRPC_REQUEST, "0", "ping" },
	{ "{\"method\":\"ping\",\"id\":\"0\",\"jsonrpc\":\"2.0\"}", 0,
	    JSONRPC_REQUEST, "\"0\"", "ping" },
	{ " \t\r\n{ \"jsonrpc\" : \"2.0\" , \"method\" :\n\"a/b\" } \n", 0,
	    JSONRPC_NOTIFICATION, NULL, "a/b" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", 0,
	    JSONRPC_RESPONSE, "1", NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}", 0,
	    JSONRPC_RESPONSE, "1", NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-1}}", 0,
	    JSONRPC_RESPONSE, "1", NULL },
	{ "{\"jsonrpc\":\"2\\u002e0\",\"id\":1,\"method\":\"ping\"}", 0,
	    JSONRPC_REQUEST, "1", "ping" },
	{ "{\"jsonrpc\":\"2.0\",\"\\u0069d\":1,\"method\":\"tools\\/call\"}", 0,
	    JSONRPC_REQUEST, "1", "tools/call" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\",\"params\":[1]}", 0,
	    JSONRPC_REQUEST, "1", "" },

	/* JSON, but not a message */
	{ "{}", JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ "[]", JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
	    JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ "\"ping\"", JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ " 1 ", JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ "null", JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ "{\"id\":1,\"method\":\"ping\"}", JSONRPC_INVALID_REQUEST, 0, "1",
	    NULL },
	{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}",
	    JSONRPC_INVALID_REQUEST, 0, "1", NULL },
	{ "{\"jsonrpc\":\"2.0 \",\"id\":1,\"method\":\"ping\"}",
	    JSONRPC_INVALID_REQUEST, 0, "1", NULL },
	{ "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"ping\"}",
	    JSONRPC_INVALID_REQUEST, 0, "1", NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\\u0000\"}",
	    JSONRPC_INVALID_REQUEST, 0, "1", NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":1}",
	    JSONRPC_INVALID_REQUEST, 0, "1", NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1}", JSONRPC_INVALID_REQUEST, 0, "1",
	    NULL },
	{ "{\"jsonrpc\":\"2.0\",\"result\":1}", JSONRPC_INVALID_REQUEST, 0,
	    NULL, NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":{}}",
	    JSONRPC_INVALID_REQUEST, 0, "1", NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"result\":1}",
	    JSONRPC_INVALID_REQUEST, 0, "1", NULL },
	{ "{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"error\":1}",
	    JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}",
	    JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"x\"}",
	    JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"x\"}",
	    JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ "{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"x\"}",
	    JSONRPC_INVALID_REQUEST, 0, NULL, NULL },
	{ OPEN "null}", JSONRPC_INVALID_REQUEST, 0, "7", NULL },
	{ OPEN "\"name\"}", JSONRPC_INVALID_REQUEST, 0, "7", NULL },
	{ OPEN "1}", JSONRPC_INVALID_REQUEST, 0, "7", NULL },
};

START_TEST(test_kinds)
{
	struct slice text = slice_str(kinds[_i].text);
	struct jsonrpc_msg msg;
	char *copy;

	ck_assert_int_eq(peek(text, &msg, &copy), kinds[_i].rc);
	check_slice(msg.id, kinds[_i].id);
	if (kinds[_i].rc == 0) {
		ck_assert_int_eq(msg.kind, kinds[_i].kind);
		check_slice(msg.method, kinds[_i].method);
	}
	free(copy);
}
END_TEST

static const char *const ids[] = {
	"0", "-1", "9223372036854775808", "18446744073709551616", "1e3", "-0",
	"1.50", "1E+400", "\"\"", "\"abc\"", "\"\\u0041\\n\"", "\"0\"",
	"123456789012345678901234567890123456789012345678901234567890123456789",
	"\"\xed\x95\x9c\"",
};

START_TEST(test_ids_stay_as_sent)
{
	struct strbuf sb = STRBUF_INIT(4096);
	struct jsonrpc_msg msg;
	char *copy;

	strbuf_addf(&sb, "{\"jsonrpc\":\"2.0\",\"id\": %s ,\"method\":\"x\"}",
	    ids[_i]);
	ck_assert_int_eq(peek(strbuf_slice(&sb), &msg, &copy), 0);
	check_slice(msg.id, ids[_i]);

	strbuf_reset(&sb);
	jsonrpc_result_open(&sb, msg.id);
	strbuf_add_str(&sb, "{}}");
	free(copy);
	ck_assert_int_eq(peek(strbuf_slice(&sb), &msg, &copy), 0);
	ck_assert_int_eq(msg.kind, JSONRPC_RESPONSE);
	ck_assert(msg.has_result && !msg.has_error);
	check_slice(msg.id, ids[_i]);
	free(copy);
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_members_of_params)
{
	const struct slice text = SLICE(OPEN
	    "{\"name\":\"add\",\"uri\":\"test://a\",\"cursor\":\"c1\","
	    "\"protocolVersion\":\"2025-06-18\",\"requestId\":\"r\","
	    "\"clientInfo\":{\"name\":\"cl\",\"title\":{},\"version\":\"1.2\"},"
	    "\"arguments\":{\"name\":\"no\",\"_meta\":{\"progressToken\":1}},"
	    "\"_meta\":{\"progressToken\":\"p\",\"traceparent\":\"00-1\"}}}");
	struct jsonrpc_msg msg;
	char *copy;

	ck_assert_int_eq(peek(text, &msg, &copy), 0);
	check_slice(msg.name, "add");
	check_slice(msg.uri, "test://a");
	check_slice(msg.cursor, "c1");
	check_slice(msg.protocol_version, "2025-06-18");
	check_slice(msg.request_id, "\"r\"");
	check_slice(msg.client_name, "cl");
	check_slice(msg.client_version, "1.2");
	check_slice(msg.progress_token, "\"p\"");
	check_slice(msg.traceparent, "00-1");
	ck_assert(!msg.name_invalid && !msg.uri_invalid &&
	    !msg.cursor_invalid);
	ck_assert(msg.params.p == copy + sizeof(OPEN) - 1);
	ck_assert_uint_eq(msg.params.n, text.n - sizeof(OPEN));
	free(copy);
}
END_TEST

/* Members with the names that count, in places where they do not. */
START_TEST(test_members_elsewhere_do_not_count)
{
	static const struct slice texts[] = {
		SLICE(OPEN "[{\"name\":\"no\",\"_meta\":{}}]}"),
		SLICE(OPEN "{\"arguments\":{\"name\":\"no\",\"cursor\":1}}}"),
		SLICE(OPEN "{\"_meta\":[{\"progressToken\":1}],"
			   "\"clientInfo\":\"name\"}}"),
		SLICE("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"x\","
		      "\"name\":\"no\",\"_meta\":{\"progressToken\":1}}"),
		SLICE("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":"
		      "{\"name\":\"no\",\"id\":9,\"_meta\":{}}}"),
	};
	struct jsonrpc_msg msg;
	char *copy;

	ck_assert_int_eq(peek(texts[_i], &msg, &copy), 0);
	check_slice(msg.id, "7");
	check_slice(msg.name, NULL);
	check_slice(msg.client_name, NULL);
	check_slice(msg.progress_token, NULL);
	ck_assert(!msg.name_invalid && !msg.cursor_invalid);
	free(copy);
}
END_TEST

/* What a string says, whichever of its characters are escaped. */
static const struct {
	const char *sent, *says;
} escapes[] = {
	{ "\"tools\\/call\"", "tools/call" },
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
	{ "\"\\u0041\\u00e9\\uAc00\\uffff\"", "A\xc3\xa9\xea\xb0\x80\xef\xbf\xbf" },
	{ "\"\\u007f\\u0080\\u07ff\\u0800\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80" },
	{ "\"\\ud800\\udc00-\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80-\xf4\x8f\xbf\xbf" },
	{ "\"\xed\x95\x9c\\/\"", "\xed\x95\x9c/" },
	{ "\"\\/\"", "/" },
};

START_TEST(test_escapes_are_read)
{
	const char *v = escapes[_i].sent, *says = escapes[_i].says;
	struct strbuf sb = STRBUF_INIT(4096);
	struct jsonrpc_msg msg;
	char *copy;

	strbuf_addf(&sb, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":%s,"
	    "\"params\":{\"name\":%s,\"uri\":%s,\"cursor\":%s,"
	    "\"protocolVersion\":%s,\"clientInfo\":{\"name\":%s,"
	    "\"version\":%s},\"_meta\":{\"traceparent\":%s,"
	    "\"progressToken\":%s,\"io.example\\/%s}}}", v, v, v, v, v, v, v,
	    v, v, v, "x\":1");
	ck_assert_int_eq(peek(strbuf_slice(&sb), &msg, &copy), 0);
	check_slice(msg.method, says);
	check_slice(msg.name, says);
	check_slice(msg.uri, says);
	check_slice(msg.cursor, says);
	check_slice(msg.protocol_version, says);
	check_slice(msg.client_name, says);
	check_slice(msg.client_version, says);
	check_slice(msg.traceparent, says);
	/* What is only echoed stays as it is. */
	check_slice(msg.id, v);
	check_slice(msg.progress_token, v);
	free(copy);
	strbuf_release(&sb);
}
END_TEST

/* n characters, of which the first is escaped. */
static int
peek_escaped_name(unsigned n, struct jsonrpc_msg *msg, char **take_copy)
{
	struct strbuf sb = STRBUF_INIT(1 << 20);
	int rc;

	strbuf_add_str(&sb, OPEN "{\"name\":\"\\/");
	for (unsigned i = 1; i < n; i++)
		strbuf_add_char(&sb, 'n');
	strbuf_add_str(&sb, "\"}}");
	rc = peek(strbuf_slice(&sb), msg, take_copy);
	strbuf_release(&sb);
	return rc;
}

START_TEST(test_escapes_have_a_limit)
{
	struct jsonrpc_msg msg;
	char *copy;

	ck_assert_int_eq(peek_escaped_name(JSONRPC_TEXT_MAX, &msg, &copy), 0);
	ck_assert_uint_eq(msg.name.n, JSONRPC_TEXT_MAX);
	ck_assert(!msg.name_invalid);
	free(copy);
	ck_assert_int_eq(peek_escaped_name(JSONRPC_TEXT_MAX + 1, &msg, &copy),
	    0);
	check_slice(msg.name, NULL);
	ck_assert(msg.name_invalid);
	free(copy);
}
END_TEST

static const char *const not_plain[] = {
	"1", "null", "true", "{\"name\":\"x\"}", "[\"x\"]", "\"a\\u0000b\"",
};

START_TEST(test_not_plain_strings_are_flagged)
{
	const char *v = not_plain[_i];
	struct strbuf sb = STRBUF_INIT(4096);
	struct jsonrpc_msg msg;
	char *copy;

	strbuf_addf(&sb, OPEN "{\"name\":%s,\"uri\":%s,\"cursor\":%s,"
	    "\"protocolVersion\":%s,\"clientInfo\":{\"name\":%s}}}", v, v, v,
	    v, v);
	ck_assert_int_eq(peek(strbuf_slice(&sb), &msg, &copy), 0);
	ck_assert(msg.name_invalid && msg.uri_invalid && msg.cursor_invalid);
	check_slice(msg.name, NULL);
	check_slice(msg.uri, NULL);
	check_slice(msg.cursor, NULL);
	check_slice(msg.protocol_version, NULL);
	check_slice(msg.client_name, NULL);
	free(copy);
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_tokens_are_strings_or_numbers)
{
	static const struct {
		const char *value;
		bool good;
	} rows[] = {
		{ "0", true }, { "\"a\\n\"", true }, { "-1.5e9", true },
		{ "null", false }, { "true", false }, { "[]", false },
		{ "{}", false },
	};
	const char *v = rows[_i].value;
	struct strbuf sb = STRBUF_INIT(4096);
	struct jsonrpc_msg msg;
	char *copy;

	strbuf_addf(&sb, OPEN "{\"requestId\":%s,\"_meta\":"
	    "{\"progressToken\":%s}}}", v, v);
	ck_assert_int_eq(peek(strbuf_slice(&sb), &msg, &copy), 0);
	check_slice(msg.request_id, rows[_i].good ? v : NULL);
	check_slice(msg.progress_token, rows[_i].good ? v : NULL);
	free(copy);
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_number_grammar)
{
	static const struct slice good[] = {
		SLICE("0"), SLICE("-0"), SLICE("10"), SLICE("1.0"),
		SLICE("-1.25e+10"), SLICE("1E5"), SLICE("0e0"), SLICE("0.0e-0"),
	};
	static const struct slice bad[] = {
		SLICE("-"), SLICE("+1"), SLICE("01"), SLICE("-01"), SLICE("1."),
		SLICE(".5"), SLICE("1e"), SLICE("1e+"), SLICE("1.e1"),
		SLICE("0x10"), SLICE("NaN"), SLICE("Infinity"),
		SLICE("-Infinity"), SLICE("1_000"), SLICE("--1"), SLICE("1e5.0"),
		SLICE("00"), SLICE("1 2"), SLICE("1a"),
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		check_inside(good[i], 0);
		check_verdict(good[i], JSONRPC_INVALID_REQUEST);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		check_inside(bad[i], JSONRPC_PARSE_ERROR);
		check_verdict(bad[i], JSONRPC_PARSE_ERROR);
	}
}
END_TEST

static const struct slice good_texts[] = {
	SLICE("\"\xc2\x80 \xdf\xbf\""), SLICE("\"\xe0\xa0\x80\""),
	SLICE("\"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
	SLICE("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
	SLICE("\"\x7f\""), SLICE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
	SLICE("\"\\u0000\\uFFFF\\ud7ff\\ue000\""),
	SLICE("\"\\ud800\\udc00\\uDBFF\\uDFFF\""),
};

static const struct slice bad_texts[] = {
	/* overlong forms */
	SLICE("\"\xc0\x80\""), SLICE("\"\xc1\xbf\""),
	SLICE("\"\xe0\x80\x80\""), SLICE("\"\xe0\x9f\xbf\""),
	SLICE("\"\xf0\x80\x80\x80\""), SLICE("\"\xf0\x8f\xbf\xbf\""),
	/* surrogates, past U+10FFFF, bytes that never occur */
	SLICE("\"\xed\xa0\x80\""), SLICE("\"\xed\xbf\xbf\""),
	SLICE("\"\xf4\x90\x80\x80\""), SLICE("\"\xf5\x80\x80\x80\""),
	SLICE("\"\xfe\""), SLICE("\"\xff\""),
	/* cut short, or continued by something else */
	SLICE("\"\x80\""), SLICE("\"\xbf\""), SLICE("\"\xc3\""),
	SLICE("\"\xe2\x82\""), SLICE("\"\xe2\x82x\""), SLICE("\"\xf0\x9f\x98\""),
	SLICE("\"\xc3\xc3\xa9\""), SLICE("\"\xf0\x9f\x98\xc0\""),
	/* control characters */
	SLICE("\"\n\""), SLICE("\"\t\""), SLICE("\"\0\""), SLICE("\"\x1f\""),
	/* escapes */
	SLICE("\"\\x\""), SLICE("\"\\\""), SLICE("\"\\u12\""),
	SLICE("\"\\u12g4\""), SLICE("\"\\U0041\""), SLICE("\"\\'\""),
	SLICE("\"\\\0\""), SLICE("\"\\ud800\""), SLICE("\"\\udc00\""),
	SLICE("\"\\ud800x\""), SLICE("\"\\ud800\\n\""),
	SLICE("\"\\ud800\\u0041\""), SLICE("\"\\ud800\\ud800\""),
	SLICE("\"\\ud800\\udc0\""), SLICE("\"\\udc00\\ud800\""),
};

/*
 * Each text with 0 to 17 plain bytes before and behind it: strings are scanned
 * eight bytes at a time, and nothing may hide at any place of a word.
 */
static void
check_at_all_places(struct slice quoted, int want)
{
	for (size_t shift = 0; shift < 18; shift++) {
		struct strbuf sb = STRBUF_INIT(256);

		strbuf_addf(&sb, "\"%.*s", (int)shift, "plain bytes ahead");
		strbuf_add(&sb, quoted.p + 1, quoted.n - 2);
		strbuf_addf(&sb, "%.*s\"", (int)(17 - shift),
		    "plain byte behind");
		check_inside(strbuf_slice(&sb), want);
		check_verdict(strbuf_slice(&sb),
		    want ? want : JSONRPC_INVALID_REQUEST);
		strbuf_release(&sb);
	}
}

START_TEST(test_good_text)
{
	check_inside(good_texts[_i], 0);
	check_at_all_places(good_texts[_i], 0);
}
END_TEST

START_TEST(test_bad_text)
{
	check_verdict(bad_texts[_i], JSONRPC_PARSE_ERROR);
	check_inside(bad_texts[_i], JSONRPC_PARSE_ERROR);
	check_at_all_places(bad_texts[_i], JSONRPC_PARSE_ERROR);
}
END_TEST

/* Every byte alone, at every place of a word, against the rule itself. */
START_TEST(test_each_byte_in_a_string)
{
	for (int c = 0; c < 256; c++) {
		bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

		for (size_t at = 1; at < 19; at++) {
			char text[20];

			memset(text, 'a', sizeof(text));
			text[0] = text[19] = '"';
			text[at] = (char)c;
			ck_assert_int_eq(verdict(slice_of(text, sizeof(text))),
			    plain ? JSONRPC_INVALID_REQUEST :
				    JSONRPC_PARSE_ERROR);
		}
	}
}
END_TEST

START_TEST(test_structure)
{
	static const struct slice bad[] = {
		SLICE(""), SLICE(" "), SLICE("{"), SLICE("}"), SLICE("["),
		SLICE("]"), SLICE("[1,]"), SLICE("[,1]"), SLICE("[1 2]"),
		SLICE("{\"a\"}"), SLICE("{\"a\":}"), SLICE("{\"a\":1,}"),
		SLICE("{,}"), SLICE("{a:1}"), SLICE("{'a':1}"), SLICE("{1:1}"),
		SLICE("{\"a\":1 \"b\":2}"), SLICE("[1}"), SLICE("{\"a\":1]"),
		SLICE("\""), SLICE("\"abc"), SLICE("tru"), SLICE("truE"),
		SLICE("nul"), SLICE("True"), SLICE("truefalse"), SLICE("{}{}"),
		SLICE("{} x"), SLICE("[]]"), SLICE("{}\0"), SLICE("\0{}"),
		SLICE("/**/{}"), SLICE("{}//"), SLICE("\xef\xbb\xbf{}"),
		SLICE("\x0b{}"), SLICE("\x0c{}"), SLICE("\xc2\xa0{}"),
		SLICE("{\"a\":undefined}"), SLICE("[1,,2]"),
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_verdict(bad[i], JSONRPC_PARSE_ERROR);
}
END_TEST

/* Every proper prefix of a good message is a parse error. */
START_TEST(test_prefixes)
{
	const struct slice text = SLICE(OPEN
	    "{\"a\":[1.5e3,true,null,{\"\\ud83d\\ude00\":\"\xed\x95\x9c\"}]}}");

	check_verdict(text, 0);
	for (size_t n = 1; n < text.n; n++)
		check_verdict(slice_of(text.p, n), JSONRPC_PARSE_ERROR);
}
END_TEST

/* depth counts the containers around the innermost one, that one included. */
static int
verdict_at_depth(unsigned depth, const char *open, const char *close)
{
	struct strbuf sb = STRBUF_INIT(1 << 20);
	int rc;

	strbuf_add_str(&sb, OPEN);
	for (unsigned i = 1; i < depth; i++)
		strbuf_add_str(&sb, open);
	for (unsigned i = 1; i < depth; i++)
		strbuf_add_str(&sb, close);
	strbuf_add_str(&sb, "}");
	rc = verdict(strbuf_slice(&sb));
	strbuf_release(&sb);
	return rc;
}

START_TEST(test_depth)
{
	const unsigned max = JSONRPC_DEPTH_MAX;

	ck_assert_int_eq(verdict_at_depth(max, "[", "]"), 0);
	ck_assert_int_eq(verdict_at_depth(max + 1, "[", "]"),
	    JSONRPC_PARSE_ERROR);
	ck_assert_int_eq(verdict_at_depth(100000, "[", "]"),
	    JSONRPC_PARSE_ERROR);
	/* {"a":{"a":…0}} holds as many objects as it opens */
	check_inside(SLICE("{\"a\":{\"a\":{}}}"), 0);
	ck_assert_int_eq(verdict_at_depth(max - 1, "[{\"a\":", "}]"),
	    JSONRPC_PARSE_ERROR);
}
END_TEST

/* Depth is given back: many containers side by side are not deep. */
START_TEST(test_width)
{
	struct strbuf sb = STRBUF_INIT(1 << 20);

	for (unsigned i = 0; i < 1000; i++)
		strbuf_add_str(&sb, "[],{},[[]],{\"a\":{}},");
	strbuf_add_str(&sb, "0");
	check_inside(strbuf_slice(&sb), 0);
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_duplicate_names)
{
	static const struct slice bad[] = {
		SLICE("{\"a\":1,\"a\":2}"),
		SLICE("{\"\":1,\"b\":2,\"\":2}"),
		SLICE("{\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\"}"),
		SLICE(OPEN "{},\"\\u0069d\":7}"),
		SLICE(OPEN "{\"name\":\"a\",\"n\\u0061me\":\"b\"}}"),
		SLICE(OPEN "{\"n\\u0061me\":\"a\",\"\\u006eame\":\"b\"}}"),
		/* cJSON would take it for another "name" */
		SLICE(OPEN "{\"name\\u0000\":\"a\"}}"),
		SLICE(OPEN "{\"name\":\"a\",\"x\":1,\"name\":\"a\"}}"),
		SLICE(OPEN "{\"_meta\":{\"a\":1,\"a\":1}}}"),
		SLICE(OPEN "{\"_meta\":{},\"_meta\":{}}}"),
		SLICE(OPEN "{\"clientInfo\":{\"name\":\"a\",\"name\":\"b\"}}}"),
		SLICE(OPEN "{},\"params\":{}}"),
	};
	static const struct slice good[] = {
		/* the same name at another place, or where nobody looks */
		SLICE(OPEN "{\"method\":1,\"params\":{\"a\":1,\"a\":2}}}"),
		SLICE(OPEN "{\"arguments\":{\"\\u0061\":1,\"a\":1,\"a\":2}}}"),
		SLICE(OPEN "{\"_meta\":{\"_meta\":{\"a\":1,\"a\":1}}}}"),
		SLICE(OPEN "{\"n\\u0061me\":\"a\",\"_meta\":{\"\\n\":1}}}"),
		/* names with the same length, first and last byte */
		SLICE(OPEN "{\"axb\":1,\"ayb\":2,\"\":3,\"a\":4,\"aa\":5}}"),
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_verdict(bad[i], JSONRPC_PARSE_ERROR);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		check_verdict(good[i], 0);
}
END_TEST

static int
verdict_with_members(const char *open, unsigned count, const char *close)
{
	struct strbuf sb = STRBUF_INIT(1 << 20);
	int rc;

	strbuf_add_str(&sb, open);
	for (unsigned i = 0; i < count; i++)
		strbuf_addf(&sb, "%s\"m%u\":%u", i ? "," : "", i, i);
	strbuf_add_str(&sb, close);
	rc = verdict(strbuf_slice(&sb));
	strbuf_release(&sb);
	return rc;
}

START_TEST(test_member_counts)
{
	static const struct {
		const char *open, *close;
	} rows[] = {
		{ OPEN "{", "}}" },
		{ OPEN "{\"_meta\":{", "}}}" },
		{ OPEN "{\"clientInfo\":{", "}}}" },
	};
	const unsigned max = JSONRPC_MEMBERS_MAX;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_int_eq(verdict_with_members(rows[i].open, max,
		    rows[i].close), 0);
		ck_assert_int_eq(verdict_with_members(rows[i].open, max + 1,
		    rows[i].close), JSONRPC_PARSE_ERROR);
	}
	/* three are there before: jsonrpc, id, method */
	ck_assert_int_eq(verdict_with_members("{\"jsonrpc\":\"2.0\","
	    "\"id\":1,\"method\":\"x\",", max - 3, "}"), 0);
	ck_assert_int_eq(verdict_with_members("{\"jsonrpc\":\"2.0\","
	    "\"id\":1,\"method\":\"x\",", max - 2, "}"), JSONRPC_PARSE_ERROR);
	ck_assert_int_eq(verdict_with_members(OPEN "{\"arguments\":{", 1000,
	    "}}}"), 0);
}
END_TEST

START_TEST(test_id_after_a_parse_error)
{
	static const struct {
		const char *text;
		const char *id;
	} rows[] = {
		{ "{\"id\":5,\"method\":}", "5" },
		{ "{\"id\":\"a\",", "\"a\"" },
		{ "{\"id\":\"a\"", NULL },
		{ "{\"id\":5,\"id\":5}", NULL },
		{ "{\"id\":5,\"id\":6,", NULL },
		{ "{\"method\":},\"id\":5}", NULL },
		{ "{\"params\":{\"id\":5},}", NULL },
		{ "{\"id\":01}", NULL },
	};
	struct jsonrpc_msg msg;
	char *copy;

	ck_assert_int_eq(peek(slice_str(rows[_i].text), &msg, &copy),
	    JSONRPC_PARSE_ERROR);
	check_slice(msg.id, rows[_i].id);
	free(copy);
}
END_TEST

START_TEST(test_null_text)
{
	struct jsonrpc_msg msg;

	ck_assert_int_eq(jsonrpc_peek(NULL, 0, &msg), JSONRPC_PARSE_ERROR);
	check_slice(msg.id, NULL);
}
END_TEST

START_TEST(test_error_text)
{
	struct strbuf sb = STRBUF_INIT(1024);

	jsonrpc_error(&sb, SLICE("\"a\\u0062\""), JSONRPC_METHOD_NOT_FOUND,
	    "no \"x\"\n");
	ck_assert_str_eq(strbuf_str(&sb),
	    "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0062\",\"error\":"
	    "{\"code\":-32601,\"message\":\"no \\\"x\\\"\\n\"}}");
	strbuf_reset(&sb);
	jsonrpc_error(&sb, SLICE_NONE, JSONRPC_PARSE_ERROR, "bad JSON");
	ck_assert_str_eq(strbuf_str(&sb),
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":"
	    "{\"code\":-32700,\"message\":\"bad JSON\"}}");
	strbuf_reset(&sb);
	jsonrpc_result_open(&sb, SLICE("0"));
	ck_assert_str_eq(strbuf_str(&sb),
	    "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":");
	strbuf_release(&sb);
}
END_TEST

int
main(void)
{
	TCase *messages = new_case("messages", NULL, NULL);
	TCase *grammar = new_case("grammar", NULL, NULL);

	tcase_add_loop_test(messages, test_kinds, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(messages, test_ids_stay_as_sent, 0, ARRAY_LEN(ids));
	tcase_add_test(messages, test_members_of_params);
	tcase_add_loop_test(messages, test_members_elsewhere_do_not_count, 0, 5);
	tcase_add_loop_test(messages, test_escapes_are_read, 0,
	    ARRAY_LEN(escapes));
	tcase_add_test(messages, test_escapes_have_a_limit);
	tcase_add_loop_test(messages, test_not_plain_strings_are_flagged, 0,
	    ARRAY_LEN(not_plain));
	tcase_add_loop_test(messages, test_tokens_are_strings_or_numbers, 0, 7);
	tcase_add_loop_test(messages, test_id_after_a_parse_error, 0, 8);
	tcase_add_test(messages, test_null_text);
	tcase_add_test(messages, test_error_text);

	tcase_add_test(grammar, test_number_grammar);
	tcase_add_loop_test(grammar, test_good_text, 0, ARRAY_LEN(good_texts));
	tcase_add_loop_test(grammar, test_bad_text, 0, ARRAY_LEN(bad_texts));
	tcase_add_test(grammar, test_each_byte_in_a_string);
	tcase_add_test(grammar, test_structure);
	tcase_add_test(grammar, test_prefixes);
	tcase_add_test(grammar, test_depth);
	tcase_add_test(grammar, test_width);
	tcase_add_test(grammar, test_duplicate_names);
	tcase_add_test(grammar, test_member_counts);
	return run_cases(messages, grammar);
}
