/*
 * Schemas and values made to take for ever: the check ends, and what it could not
 * find out counts as fitting. Check's own timeout is what fails here.
 */
#include "worker/json/schema.h"

#include <check.h>

#include "common/jsonrpc.h"
#include "tests/unit/support/suite.h"
#include "worker/json/number.h"

#define TEXT_MAX ((size_t)16 << 20)
#define LONG 200000

static void
repeat(struct strbuf *sb, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strbuf_add_str(sb, text);
}

static bool
fits(const char *schema, const char *value)
{
	struct strbuf problems = STRBUF_INIT(4096);
	const char *reason = NULL;
	struct schema *s = schema_new(schema, &reason);
	cJSON *json = cJSON_Parse(value);
	bool ok;

	ck_assert_msg(s != NULL, "%s: %s", schema, reason);
	ck_assert_ptr_nonnull(json);
	number_keep_all(json, slice_str(value), NUMBER_AS_WRITTEN);
	ok = schema_check(s, json, &problems);
	ck_assert(ok == (problems.n == 0));
	cJSON_Delete(json);
	schema_free(s);
	strbuf_release(&problems);
	return ok;
}

/* A value: before, then many times part, then behind. */
static const struct {
	const char *schema, *before, *part, *behind;
	bool fits;
} cases[] = {
	/* Patterns that go back for ever, at one place or at each. */
	{ "{\"pattern\":\"^(a+)+$\"}", "\"", "a", "!\"", true },
	{ "{\"pattern\":\"(.*)\\\\1x\"}", "\"", "ab", "\"", false },
	{ "{\"pattern\":\"[a-z]+[0-9]\"}", "\"", "a", "\"", true },
	{ "{\"pattern\":\"^(.*,)*x\"}", "\"", "a,", "\"", true },
	{ "{\"items\":{\"pattern\":\"^(a+)+$\"}}", "[0",
	    ",\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"", "]", true },
	{ "{\"patternProperties\":{\"^(a+)+$\":false},"
	    "\"additionalProperties\":false}", "{\"", "a", "!\":1}", true },
	/* Long, but simple: these are checked. */
	{ "{\"pattern\":\"^[a-z]*$\"}", "\"", "a", "!\"", false },
	{ "{\"pattern\":\"^[a-z]*$\"}", "\"", "a", "\"", true },
	{ "{\"items\":{\"type\":\"number\"}}", "[0", ",1", ",\"\"]", false },
	{ "{\"uniqueItems\":true}", "[0", ",[[1,{}]]", "]", false },
	/* Everything with everything. */
	{ "{\"items\":{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"},"
	    "{\"const\":[]}]}}", "[0", ",[[[[[[[7]]]]]]]", "]", true },
	{ "{\"unevaluatedProperties\":false,\"anyOf\":[{\"$ref\":\"#/$defs/d\"},"
	    "{\"$ref\":\"#/$defs/d\"}],\"$defs\":{\"d\":{"
	    "\"unevaluatedProperties\":false,\"patternProperties\":{"
	    "\"\":{\"$ref\":\"#\"}}}}}", "{\"x\":0", ",\"y\":{\"z\":{\"z\":"
	    "{\"z\":{\"z\":{\"z\":{\"z\":{\"z\":{\"z\":1}}}}}}}}", "}", true },
};

START_TEST(test_long)
{
	struct strbuf value = STRBUF_INIT(TEXT_MAX);

	strbuf_add_str(&value, cases[_i].before);
	repeat(&value, cases[_i].part, LONG / strlen(cases[_i].part));
	strbuf_add_str(&value, cases[_i].behind);
	ck_assert(strbuf_ok(&value));
	ck_assert(fits(cases[_i].schema, strbuf_str(&value)) ==
	    cases[_i].fits);
	strbuf_release(&value);
}
END_TEST

/* Two to the power of the depth, unless something ends it. */
START_TEST(test_deep)
{
	struct strbuf value = STRBUF_INIT(TEXT_MAX);

	repeat(&value, "{\"a\":", JSONRPC_DEPTH_MAX);
	strbuf_add_str(&value, "1");
	repeat(&value, "}", JSONRPC_DEPTH_MAX);
	ck_assert(fits("{\"anyOf\":["
	    "{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"b\"]},"
	    "{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"type\":\"object\"},"
	    "{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"type\":\"object\"}]}",
	    strbuf_str(&value)));
	strbuf_release(&value);
}
END_TEST

/* Numbers that differ in their last digit only have the same double and hash. */
START_TEST(test_same_hash)
{
	struct strbuf value = STRBUF_INIT(TEXT_MAX);

	strbuf_add_str(&value, "[0");
	for (unsigned i = 1000; i < 9000; i++) {
		strbuf_add_str(&value, ",1");
		repeat(&value, "0", 250);
		strbuf_addf(&value, "%u", i);
	}
	strbuf_add_str(&value, "]");
	ck_assert(fits("{\"uniqueItems\":true}", strbuf_str(&value)));
	strbuf_release(&value);
}
END_TEST

/* Alternatives beyond what is looked at for a hint, nested in each other. */
START_TEST(test_many_alternatives)
{
	struct strbuf schema = STRBUF_INIT(TEXT_MAX);

	strbuf_add_str(&schema, "{\"properties\":{\"a\":{\"$ref\":\"#\"}},"
	    "\"anyOf\":[false");
	for (unsigned i = 0; i < 200; i++)
		strbuf_addf(&schema, ",{\"required\":[\"b%u\"]}", i);
	strbuf_add_str(&schema, "]}");
	ck_assert(!fits(strbuf_str(&schema), "{\"a\":{\"a\":{\"a\":{}}}}"));
	strbuf_release(&schema);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("hostile", NULL, NULL);

	tcase_add_loop_test(tc, test_long, 0, ARRAY_LEN(cases));
	tcase_add_test(tc, test_deep);
	tcase_add_test(tc, test_same_hash);
	tcase_add_test(tc, test_many_alternatives);
	return run_cases(tc);
}
