/* Arguments against schemas: what fits, and how misfits are told. */
#include "worker/json/schema.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"
#include "worker/json/number.h"

#define PAIR                                                               \
	"{\"type\":\"object\",\"properties\":{"                            \
	"\"a\":{\"type\":\"number\"},\"b\":{\"type\":\"number\"}},"        \
	"\"required\":[\"a\",\"b\"],\"additionalProperties\":false}"
#define POINTS                                                             \
	"{\"properties\":{\"list\":{\"type\":\"array\",\"items\":{"        \
	"\"type\":\"object\",\"required\":[\"x\",\"y\"],\"properties\":{"  \
	"\"x\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9}}}}}}"
#define WORD                                                               \
	"{\"properties\":{\"w\":{\"type\":[\"string\",\"null\"],"          \
	"\"minLength\":2,\"maxLength\":3}}}"
#define COLOUR                                                             \
	"{\"properties\":{\"c\":{\"enum\":[\"red\",7,null]}}}"
#define MAP                                                                \
	"{\"type\":\"object\",\"properties\":{\"s\":{\"type\":\"string\"}}," \
	"\"additionalProperties\":{\"type\":\"boolean\"}}"

#define BIG                                                                \
	"{\"properties\":{\"id\":{\"type\":\"integer\","                   \
	"\"minimum\":-9223372036854775808,"                                \
	"\"maximum\":9223372036854775807},"                                \
	"\"e\":{\"enum\":[9007199254740993,1.50,[9007199254740993]]},"     \
	"\"o\":{\"const\":{\"a\":9007199254740993,\"b\":[]}},"             \
	"\"x\":{\"exclusiveMinimum\":0,\"exclusiveMaximum\":0.3},"         \
	"\"y\":{\"minimum\":0,\"exclusiveMinimum\":true}}}"
#define PATTERNED                                                          \
	"{\"patternProperties\":{\"^x\":{}},\"additionalProperties\":false}"

/* problems NULL: it fits. */
static const struct {
	const char *schema, *value, *problems;
} cases[] = {
	{ PAIR, "{\"a\":1,\"b\":-2.5}", NULL },
	{ PAIR, "{\"b\":1}", "a: required number is missing" },
	{ PAIR, "{}", "a: required number is missing; "
	    "b: required number is missing" },
	{ PAIR, "{\"a\":1,\"b\":\"2\"}", "b: expected number, got string" },
	{ PAIR, "{\"a\":null,\"b\":true}", "a: expected number, got null; "
	    "b: expected number, got boolean" },
	{ PAIR, "{\"a\":[],\"b\":{}}", "a: expected number, got array; "
	    "b: expected number, got object" },
	{ PAIR, "{\"a\":1,\"b\":2,\"c\":3}", "c: unknown argument" },
	{ PAIR, "{\"A\":1,\"b\":2}", "a: required number is missing; "
	    "A: unknown argument" },
	{ PAIR, "{\"a\":1e999,\"b\":2}", "a: number is out of range" },
	{ PAIR, "[]", "arguments: expected object, got array" },
	{ POINTS, "{\"list\":[{\"x\":0,\"y\":1},{\"x\":9.0,\"y\":[]}]}", NULL },
	{ POINTS, "{\"list\":[{\"x\":1,\"y\":1},{\"x\":1.5,\"y\":1}]}",
	    "list[1].x: expected integer, got number" },
	{ POINTS, "{\"list\":[{\"x\":-1,\"y\":1},{\"x\":10,\"y\":1}]}",
	    "list[0].x: must be at least 0; list[1].x: must be at most 9" },
	{ POINTS, "{\"list\":[{\"x\":1}]}",
	    "list[0].y: required value is missing" },
	{ POINTS, "{\"list\":7}", "list: expected array, got number" },
	{ POINTS, "{\"list\":[1,2,3,4,5,6,7]}",
	    "list[0]: expected object, got number; "
	    "list[1]: expected object, got number; "
	    "list[2]: expected object, got number; "
	    "list[3]: expected object, got number; "
	    "list[4]: expected object, got number" },
	{ WORD, "{\"w\":null}", NULL },
	{ WORD, "{\"w\":\"\xc3\xa4\xf0\x9f\x98\x80\"}", NULL },
	{ WORD, "{\"w\":\"\xc3\xa4\"}", "w: must have at least 2 characters" },
	{ WORD, "{\"w\":\"abcd\"}", "w: must have at most 3 characters" },
	{ WORD, "{\"w\":1}", "w: expected null or string, got number" },
	{ COLOUR, "{\"c\":\"red\"}", NULL },
	{ COLOUR, "{\"c\":7}", NULL },
	{ COLOUR, "{\"c\":null}", NULL },
	{ COLOUR, "{\"c\":\"Red\"}", "c: must be one of \"red\", 7, null" },
	{ MAP, "{\"s\":\"x\",\"t\":true}", NULL },
	{ MAP, "{\"t\":\"x\"}", "t: expected boolean, got string" },
	{ "{}", "{\"any\":[1]}", NULL },
	{ "{\"properties\":{\"x\":{}},\"required\":[\"y\"]}", "{\"x\":1}",
	    "y: required value is missing" },
	{ "{\"properties\":{\"x\":true}}", "{\"x\":null}", NULL },
	{ PATTERNED, "{\"x1\":1}", NULL },
	{ BIG, "{\"id\":9223372036854775807}", NULL },
	{ BIG, "{\"id\":-9223372036854775808}", NULL },
	{ BIG, "{\"id\":9223372036854775808}",
	    "id: must be at most 9223372036854775807" },
	{ BIG, "{\"id\":-9223372036854775809}",
	    "id: must be at least -9223372036854775808" },
	{ BIG, "{\"id\":1e3}", NULL },
	{ BIG, "{\"id\":9007199254740993.5}",
	    "id: expected integer, got number" },
	{ BIG, "{\"e\":9007199254740993}", NULL },
	{ BIG, "{\"e\":9007199254740993.0}", NULL },
	{ BIG, "{\"e\":1.5}", NULL },
	{ BIG, "{\"e\":[9007199254740993]}", NULL },
	{ BIG, "{\"e\":9007199254740992}", "e: must be one of "
	    "9007199254740993, 1.50, [9007199254740993]" },
	{ BIG, "{\"e\":[9007199254740992]}", "e: must be one of "
	    "9007199254740993, 1.50, [9007199254740993]" },
	{ BIG, "{\"o\":{\"b\":[],\"a\":9007199254740993}}", NULL },
	{ BIG, "{\"o\":{\"b\":[],\"a\":9007199254740993,\"c\":1}}",
	    "o: must be {\"a\":9007199254740993,\"b\":[]}" },
	{ BIG, "{\"x\":1e-300}", NULL },
	{ BIG, "{\"x\":0.0}", "x: must be more than 0" },
	{ BIG, "{\"x\":0.30}", "x: must be less than 0.3" },
	{ BIG, "{\"x\":0.29999999999999999999}", NULL },
	{ BIG, "{\"x\":1e-999}", "x: number is out of range" },
	{ BIG, "{\"y\":0}", "y: must be more than 0" },
	{ BIG, "{\"y\":1e-300}", NULL },
	{ "{\"type\":\"object\",\"x-unknown\":[1],\"$defs\":{}}", "{}", NULL },
};

START_TEST(test_check)
{
	struct strbuf problems = STRBUF_INIT(4096);
	const char *reason = NULL;
	struct schema *s = schema_new(cases[_i].schema, &reason);
	cJSON *value = cJSON_Parse(cases[_i].value);

	ck_assert_msg(s != NULL, "%s: %s", cases[_i].schema, reason);
	ck_assert_ptr_nonnull(value);
	number_keep_all(value, slice_str(cases[_i].value), NUMBER_AS_WRITTEN);
	ck_assert_int_eq(schema_check(s, value, &problems),
	    cases[_i].problems == NULL);
	ck_assert_str_eq(strbuf_str(&problems),
	    cases[_i].problems ? cases[_i].problems : "");
	cJSON_Delete(value);
	schema_free(s);
	strbuf_release(&problems);
}
END_TEST

static const struct {
	const char *schema, *reason;
} refused[] = {
	{ "", "not JSON" },
	{ "{", "not JSON" },
	{ "{} x", "not JSON" },
	{ "[]", "a schema must be an object" },
	{ "7", "a schema must be an object" },
	{ "{\"type\":\"float\"}", "unknown type" },
	{ "{\"type\":7}", "unknown type" },
	{ "{\"type\":[]}", "unknown type" },
	{ "{\"type\":[\"string\",7]}", "unknown type" },
	{ "{\"properties\":[]}", "properties must be an object" },
	{ "{\"properties\":{\"a\":1}}", "a schema must be an object" },
	{ "{\"properties\":{\"a\":{},\"a\":{}}}",
	    "a property is declared twice" },
	{ "{\"required\":true}", "required must be a list" },
	{ "{\"required\":[1]}", "required must hold names" },
	{ "{\"enum\":[]}", "enum must be a list of values" },
	{ "{\"minimum\":\"1\"}", "a limit must be a number" },
	{ "{\"exclusiveMinimum\":[]}", "a limit must be a number" },
	{ "{\"minItems\":null}", "a limit must be a number" },
	{ "{\"contains\":{},\"maxContains\":\"1\"}",
	    "a limit must be a number" },
	{ "{\"multipleOf\":0}", "multipleOf must be more than 0" },
	{ "{\"multipleOf\":1e-999}", "multipleOf must be more than 0" },
	{ "{\"pattern\":7}", "pattern must be a string" },
	{ "{\"patternProperties\":[]}", "patternProperties must be an object" },
	{ "{\"patternProperties\":{\"a\":1}}", "a schema must be an object" },
	{ "{\"propertyNames\":1}", "a schema must be an object" },
	{ "{\"uniqueItems\":1}", "uniqueItems must be true or false" },
	{ "{\"prefixItems\":{}}", "prefixItems must be a list" },
	{ "{\"items\":[1]}", "a schema must be an object" },
	{ "{\"anyOf\":{}}",
	    "allOf, anyOf and oneOf must be lists of schemas" },
	{ "{\"allOf\":[]}",
	    "allOf, anyOf and oneOf must be lists of schemas" },
	{ "{\"oneOf\":[{},7]}", "a schema must be an object" },
	{ "{\"not\":[]}", "a schema must be an object" },
	{ "{\"if\":{},\"then\":7}", "a schema must be an object" },
	{ "{\"$ref\":{}}", "$ref must be a string" },
	{ "{\"$ref\":\"#/a\",\"a\":{\"type\":7}}", "unknown type" },
	{ "{\"dependentRequired\":[]}", "dependencies must be an object" },
	{ "{\"dependentRequired\":{\"a\":[1]}}",
	    "dependencies must hold names" },
	{ "{\"unevaluatedItems\":1}", "a schema must be an object" },
	{ "{\"items\":3}", "a schema must be an object" },
	{ "{\"additionalProperties\":\"no\"}", "a schema must be an object" },
};

START_TEST(test_refused)
{
	const char *reason = NULL;

	ck_assert_ptr_null(schema_new(refused[_i].schema, &reason));
	ck_assert_str_eq(reason, refused[_i].reason);
}
END_TEST

START_TEST(test_too_deep)
{
	struct strbuf sb = STRBUF_INIT(65536);
	const char *reason = NULL;

	for (int i = 0; i < 100; i++)
		strbuf_add_str(&sb, "{\"items\":");
	strbuf_add_str(&sb, "{}");
	for (int i = 0; i < 100; i++)
		strbuf_add_char(&sb, '}');
	ck_assert_ptr_null(schema_new(strbuf_str(&sb), &reason));
	ck_assert_str_eq(reason, "the schema nests too deeply");
	strbuf_release(&sb);
}
END_TEST

/* Names that fill the buffer leave a shorter text, not a broken one. */
START_TEST(test_problems_are_bounded)
{
	struct strbuf problems = STRBUF_INIT(40), text = STRBUF_INIT(65536);
	const char *reason = NULL;
	struct schema *s = schema_new(PAIR, &reason);
	cJSON *value;

	strbuf_add_str(&text, "{\"a\":1,\"b\":2,\"");
	for (int i = 0; i < 1000; i++)
		strbuf_add_char(&text, 'x');
	strbuf_add_str(&text, "\":3}");
	value = cJSON_Parse(strbuf_str(&text));
	ck_assert_ptr_nonnull(value);
	ck_assert(!schema_check(s, value, &problems));
	ck_assert_uint_le(problems.n, 40);
	cJSON_Delete(value);
	schema_free(s);
	strbuf_release(&problems);
	strbuf_release(&text);
}
END_TEST

static bool
fits(const struct schema *s, const char *json)
{
	struct strbuf problems = STRBUF_INIT(200);
	cJSON *value = cJSON_Parse(json);
	bool ok;

	ck_assert_ptr_nonnull(value);
	ok = schema_check(s, value, &problems);
	cJSON_Delete(value);
	strbuf_release(&problems);
	return ok;
}

START_TEST(test_alternatives_may_overlap)
{
	const char *reason = NULL;
	struct schema *s = schema_new("{\"properties\":{"
	    "\"a\":{\"oneOf\":[{\"type\":\"string\"},{\"enum\":[\"x\"]}]},"
	    "\"b\":{\"not\":{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}}"
	    "}}", &reason);

	ck_assert_ptr_nonnull(s);
	ck_assert(!fits(s, "{\"a\":\"x\"}"));
	schema_let_overlap(s);
	ck_assert(fits(s, "{\"a\":\"x\"}"));
	ck_assert(fits(s, "{\"a\":\"y\"}"));
	ck_assert(!fits(s, "{\"a\":1}"));
	/* Whatever passed before still does. */
	ck_assert(fits(s, "{\"b\":3}"));
	ck_assert(!fits(s, "{\"b\":1}"));
	schema_free(s);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("schema", NULL, NULL);

	tcase_add_loop_test(tc, test_check, 0, ARRAY_LEN(cases));
	tcase_add_loop_test(tc, test_refused, 0, ARRAY_LEN(refused));
	tcase_add_test(tc, test_too_deep);
	tcase_add_test(tc, test_problems_are_bounded);
	tcase_add_test(tc, test_alternatives_may_overlap);
	return run_cases(tc);
}
