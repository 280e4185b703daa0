/* Documents in JSON and YAML: what they become, and how mistakes are told. */
#include "worker/openapi/document.h"

#include <check.h>
#include <stdio.h>

#include "common/utf8.h"
#include "common/xalloc.h"
#include "tests/unit/support/suite.h"

static struct document *
read_text(struct slice text, enum document_kind kind, struct strbuf *error)
{
	return document_new("f", xstrdup_slice(text), text.n, kind, error);
}

/* json NULL: error tells what is wrong. */
static const struct {
	const char *text, *json, *error;
} cases[] = {
	{ "{}", "{}", NULL },
	{ " [1,-0.5e+3,true,false,null,\"x\"]\n",
	    "[1,-0.5e+3,true,false,null,\"x\"]", NULL },
	{ "\xef\xbb\xbf[]", "[]", NULL },
	{ "[\"\\u00e9\\ud83d\\ude00\\n\\/\"]",
	    "[\"\xc3\xa9\xf0\x9f\x98\x80\\n/\"]", NULL },
	{ "[12345678901234567890.000]", "[12345678901234567890.000]", NULL },
	{ "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}", NULL },
	{ "[1,]", NULL, "f:1: neither JSON nor the start of a value" },
	{ "[01]", NULL, "f:1: expected , or the end of a list or object" },
	{ "[1] x", NULL, "f:1: something behind the end" },
	{ "{\n\"a\" 1}", NULL, "f:2: expected : behind a name" },
	{ "[\n\n\"a\tb\"]", NULL, "f:3: a control character in a string" },
	{ "[\"\\x\"]", NULL, "f:1: an escape that is none" },
	{ "[\"\\ud800\"]", NULL, "f:1: an escape that is none" },
	{ "[\"\xff\"]", NULL, "f:1: not UTF-8" },
	{ "[\"\xed\xa0\x80\"]", NULL, "f:1: not UTF-8" },
	{ "[\"abc", NULL, "f:1: a string without its end" },
	{ "{a: 1}", NULL, "f:1: expected a name in quotes" },
	{ "a: 1\nb: [x, 'y', \"z\"]", "{\"a\":1,\"b\":[\"x\",\"y\",\"z\"]}",
	    NULL },
	{ "a: yes\nb: true\nc: ~\nd:\ne: 2024-01-01\nf: '1'\ng: 0x1F\n"
	  "h: 0o17\ni: +1\nj: 007\nk: .5\nl: 1e3\nm: no",
	    "{\"a\":\"yes\",\"b\":true,\"c\":null,\"d\":null,"
	    "\"e\":\"2024-01-01\",\"f\":\"1\",\"g\":31,\"h\":15,\"i\":1,"
	    "\"j\":\"007\",\"k\":\".5\",\"l\":1e3,\"m\":\"no\"}",
	    NULL },
	{ "a: !!str 12", "{\"a\":\"12\"}", NULL },
	{ "200: x\ntrue: y", "{\"200\":\"x\",\"true\":\"y\"}", NULL },
	{ "a: &x {b: 1}\nc: *x\nd: [*x, *x]",
	    "{\"a\":{\"b\":1},\"c\":{\"b\":1},\"d\":[{\"b\":1},{\"b\":1}]}",
	    NULL },
	{ "a: &x {b: 1, c: 2}\nd: {c: 3, <<: *x, e: 4}\nf: {<<: [*x, {b: 5, g: "
	  "6}]}",
	    "{\"a\":{\"b\":1,\"c\":2},\"d\":{\"c\":3,\"e\":4,\"b\":1},"
	    "\"f\":{\"b\":1,\"c\":2,\"g\":6}}",
	    NULL },
	{ "a: {<<: 1, b: 2}", "{\"a\":{\"b\":2}}", NULL },
	{ "a: |\n  x\n  y\nb: >-\n  x\n  y",
	    "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}", NULL },
	{ "a: &x [*x]", NULL,
	    "f:1: an alias of something that does not stand before it" },
	{ "a: b\n? [c]\n: d", NULL, "f:2: a name that is a list or an object" },
	{ "a: 1\n---\nb: 2", NULL, "f:2: a second document" },
	{ "", NULL, "f:1: it is empty" },
};

START_TEST(test_reading)
{
	struct strbuf error = STRBUF_INIT(1024), json = STRBUF_INIT(4096);
	struct document *d =
	    read_text(slice_str(cases[_i].text), DOCUMENT_LENIENT, &error);

	if (cases[_i].json == NULL) {
		ck_assert_ptr_null(d);
		ck_assert_str_eq(strbuf_str(&error), cases[_i].error);
	} else {
		ck_assert_msg(d != NULL, "%s", strbuf_str(&error));
		node_write(&json, d->root);
		ck_assert_str_eq(strbuf_str(&json), cases[_i].json);
	}
	document_free(d);
	strbuf_release(&error);
	strbuf_release(&json);
}
END_TEST

static const struct {
	const char *text, *error;
} twice[] = {
	{ "{\"a\":1,\n\"a\":2}", "f:2: \"a\" is given twice" },
	{ "x:\n  a: 1\n  b: 2\n  a: 3\ny: 4", "f:4: \"a\" is given twice" },
};

START_TEST(test_strict)
{
	struct strbuf error = STRBUF_INIT(1024);

	ck_assert_ptr_null(
	    read_text(slice_str(twice[_i].text), DOCUMENT_STRICT, &error));
	ck_assert_str_eq(strbuf_str(&error), twice[_i].error);
	strbuf_release(&error);
}
END_TEST

START_TEST(test_depth)
{
	struct strbuf error = STRBUF_INIT(1024), text = STRBUF_INIT(4096);
	struct document *d;

	for (int json = 0; json < 2; json++) {
		strbuf_reset(&text);
		strbuf_add_str(&text, json ? "" : "a: ");
		for (int i = 0; i < 200; i++)
			strbuf_add_char(&text, '[');
		for (int i = 0; i < 200; i++)
			strbuf_add_char(&text, ']');
		strbuf_reset(&error);
		d = read_text(strbuf_slice(&text), DOCUMENT_LENIENT, &error);
		ck_assert_ptr_null(d);
		ck_assert_str_eq(strbuf_str(&error), "f:1: nested too deeply");
	}
	strbuf_release(&error);
	strbuf_release(&text);
}
END_TEST

/* Above a few members an index finds them; the last of two counts there too. */
START_TEST(test_large_objects)
{
	struct strbuf error = STRBUF_INIT(64), text = STRBUF_INIT(1 << 20);
	struct document *d;
	char name[16];

	strbuf_add_char(&text, '{');
	for (int i = 0; i < 3000; i++)
		strbuf_addf(&text, "\"n%d\":%d,", i, i);
	strbuf_add_str(&text, "\"n7\":\"again\"}");
	d = read_text(strbuf_slice(&text), DOCUMENT_LENIENT, &error);
	ck_assert_ptr_nonnull(d);
	ck_assert_uint_eq(node_count(d->root), 3000);
	for (int i = 0; i < 3000; i++) {
		const struct node *node;

		snprintf(name, sizeof(name), "n%d", i);
		node = node_get(d->root, name);
		ck_assert_ptr_nonnull(node);
		snprintf(name, sizeof(name), "%d", i);
		ck_assert(
		    slice_eq_str(node_text(node), i == 7 ? "again" : name));
	}
	ck_assert_ptr_null(node_get(d->root, "n3000"));
	document_free(d);
	strbuf_release(&error);
	strbuf_release(&text);
}
END_TEST

START_TEST(test_files)
{
	struct strbuf error = STRBUF_INIT(1024);

	ck_assert_ptr_null(
	    document_open("/dev/zero", 10, DOCUMENT_LENIENT, &error));
	ck_assert_str_eq(strbuf_str(&error), "/dev/zero: not a regular file");
	strbuf_reset(&error);
	ck_assert_ptr_null(document_open(
	    "tests/specs/odd.yaml", 10, DOCUMENT_LENIENT, &error));
	ck_assert_str_eq(
	    strbuf_str(&error), "tests/specs/odd.yaml: larger than 10 bytes");
	strbuf_release(&error);
}
END_TEST

START_TEST(test_utf8)
{
	ck_assert(utf8_ok(SLICE("a\xc3\xa9\xf0\x9f\x98\x80")));
	ck_assert(!utf8_ok(SLICE("\xc0\x80")));
	ck_assert(!utf8_ok(SLICE("\xf4\x90\x80\x80")));
	ck_assert(!utf8_ok(SLICE("\xc3")));
	ck_assert_uint_eq(utf8_cut(SLICE("\xc3\xa9\xc3\xa9"), 3).n, 2);
	ck_assert_uint_eq(utf8_cut(SLICE("\xc3\xa9"), 9).n, 2);
	ck_assert_uint_eq(utf8_cut(SLICE("\xf0\x9f\x98\x80"), 3).n, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("openapi_document", NULL, NULL);

	tcase_add_loop_test(tc, test_reading, 0, ARRAY_LEN(cases));
	tcase_add_loop_test(tc, test_strict, 0, ARRAY_LEN(twice));
	tcase_add_test(tc, test_depth);
	tcase_add_test(tc, test_large_objects);
	tcase_add_test(tc, test_files);
	tcase_add_test(tc, test_utf8);
	return run_cases(tc);
}
