/* Each keyword of JSON Schema: what fits, and what is said of what does not. */
#include "worker/json/schema.h"

#include <check.h>

#include "tests/unit/support/suite.h"
#include "worker/json/number.h"

#define SHAPES \
	"{\"oneOf\":[{\"$ref\":\"#/$defs/circle\"},{\"type\":" \
	"\"object\",\"properties\":{\"kind\":{\"enum\":[\"squa" \
	"re\",\"box\"]},\"side\":{\"type\":\"number\"}},\"requi" \
	"red\":[\"kind\",\"side\"],\"additionalProperties\":" \
	"false},{\"type\":\"null\"}],\"$defs\":{\"circle\":{\"" \
	"type\":\"object\",\"properties\":{\"kind\":{\"const\"" \
	":\"circle\"},\"r\":{\"type\":\"number\"}},\"required\"" \
	":[\"kind\",\"r\"]}}}"

struct row {
	const char *schema, *value;
	const char *problems;    /* NULL: it fits */
};

static const struct row values[] = {
	{ "{\"multipleOf\":0.01}",
	    "19.99",
	    NULL },
	{ "{\"multipleOf\":0.01}",
	    "19.995",
	    "arguments: must be a multiple of 0.01" },
	{ "{\"multipleOf\":5}",
	    "15",
	    NULL },
	{ "{\"multipleOf\":5}",
	    "0",
	    NULL },
	{ "{\"multipleOf\":5}",
	    "-7",
	    "arguments: must be a multiple of 5" },
	{ "{\"multipleOf\":0.1}",
	    "0.3",
	    NULL },
	{ "{\"multipleOf\":7}",
	    "9223372036854775803",
	    "arguments: must be a multiple of 7" },
	{ "{\"multipleOf\":7}",
	    "9223372036854775807",
	    NULL },
	{ "{\"multipleOf\":5}",
	    "\"x\"",
	    NULL },
	{ "{\"minLength\":1}",
	    "\"\"",
	    "arguments: must have at least 1 character" },
	{ "{\"pattern\":\"^[a-z]+$\"}",
	    "\"abc\"",
	    NULL },
	{ "{\"pattern\":\"^[a-z]+$\"}",
	    "\"abc\\n\"",
	    "arguments: must match the pattern ^[a-z]+$" },
	{ "{\"pattern\":\"b\"}",
	    "\"abc\"",
	    NULL },
	{ "{\"pattern\":\"^.$\"}",
	    "\"😀\"",
	    NULL },
	{ "{\"pattern\":\"^\\\\u00e4[\\\\u{1F600}]$\"}",
	    "\"ä😀\"",
	    NULL },
	{ "{\"pattern\":\"^\\\\p{Lu}\"}",
	    "\"Ä\"",
	    NULL },
	{ "{\"pattern\":\"^\\\\p{Lu}\"}",
	    "\"ä\"",
	    "arguments: must match the pattern ^\\p{Lu}" },
	{ "{\"pattern\":\"^(a\"}",
	    "\"b\"",
	    NULL },
	{ "{\"pattern\":\"^\\\\w+@(?<h>[^]+)$\"}",
	    "\"a@b\"",
	    NULL },
	{ "{\"pattern\":\"^x\"}",
	    "7",
	    NULL },
	{ "{\"format\":\"email\"}",
	    "\"no\"",
	    NULL },
	{ "{\"const\":1,\"enum\":[1,2]}",
	    "2",
	    "arguments: must be 1" },
	{ "{\"const\":{\"a\":[1.0]}}",
	    "{\"a\":[1]}",
	    NULL },
	{ "{\"enum\":[[false]]}",
	    "[0]",
	    "arguments: must be [false]" },
};

static const struct row arrays[] = {
	{ "{\"minItems\":2}",
	    "[1]",
	    "arguments: must have at least 2 items" },
	{ "{\"maxItems\":1}",
	    "[1,2]",
	    "arguments: must have at most 1 item" },
	{ "{\"minItems\":2,\"maxItems\":2}",
	    "[1,2]",
	    NULL },
	{ "{\"minItems\":2}",
	    "\"x\"",
	    NULL },
	{ "{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"number\"}],\"items\":f"
	    "alse}",
	    "[\"a\",1]",
	    NULL },
	{ "{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"number\"}],\"items\":f"
	    "alse}",
	    "[\"a\",\"b\"]",
	    "[1]: expected number, got string" },
	{ "{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"number\"}],\"items\":f"
	    "alse}",
	    "[\"a\",1,2]",
	    "arguments: must have at most 2 items" },
	{ "{\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"number\"}}",
	    "[\"a\",1,\"b\"]",
	    "[2]: expected number, got string" },
	{ "{\"items\":[{\"type\":\"string\"}],\"additionalItems\":{\"type\":\"number"
	    "\"}}",
	    "[\"a\",\"b\"]",
	    "[1]: expected number, got string" },
	{ "{\"items\":[{\"type\":\"string\"}]}",
	    "[\"a\",\"b\"]",
	    NULL },
	{ "{\"items\":{\"type\":\"string\"},\"additionalItems\":false}",
	    "[\"a\",\"b\"]",
	    NULL },
	{ "{\"items\":false}",
	    "[]",
	    NULL },
	{ "{\"items\":false}",
	    "[1]",
	    "arguments: must have at most 0 items" },
	{ "{\"uniqueItems\":true}",
	    "[1,\"1\",[1],{\"a\":1},{\"a\":2},true,null,false,0]",
	    NULL },
	{ "{\"uniqueItems\":true}",
	    "[1,2,1.0]",
	    "arguments: items must differ, but [0] and [2] are equal" },
	{ "{\"uniqueItems\":true}",
	    "[{\"a\":1,\"b\":[2]},{\"b\":[2],\"a\":1}]",
	    "arguments: items must differ, but [0] and [1] are equal" },
	{ "{\"uniqueItems\":true}",
	    "[9007199254740993,9007199254740992]",
	    NULL },
	{ "{\"uniqueItems\":true}",
	    "[0,-0.0]",
	    "arguments: items must differ, but [0] and [1] are equal" },
	{ "{\"uniqueItems\":false}",
	    "[1,1]",
	    NULL },
	{ "{\"contains\":{\"type\":\"string\"}}",
	    "[1,\"a\"]",
	    NULL },
	{ "{\"contains\":{\"type\":\"string\"}}",
	    "[1]",
	    "arguments: must have at least 1 item of the kind it must conta"
	    "in" },
	{ "{\"contains\":{\"type\":\"string\"},\"minContains\":0}",
	    "[1]",
	    NULL },
	{ "{\"contains\":{\"type\":\"string\"},\"maxContains\":1}",
	    "[\"a\",\"b\"]",
	    "arguments: must have at most 1 item of the kind it must contai"
	    "n" },
	{ "{\"minContains\":3}",
	    "[]",
	    NULL },
};

static const struct row objects[] = {
	{ "{\"minProperties\":2}",
	    "{\"a\":1}",
	    "arguments: must have at least 2 properties" },
	{ "{\"maxProperties\":1}",
	    "{\"a\":1,\"b\":1}",
	    "arguments: must have at most 1 property" },
	{ "{\"patternProperties\":{\"^x-\":{\"type\":\"number\"}},\"additionalProp"
	    "erties\":false,\"properties\":{\"a\":{}}}",
	    "{\"x-1\":1,\"a\":1}",
	    NULL },
	{ "{\"patternProperties\":{\"^x-\":{\"type\":\"number\"}},\"additionalProp"
	    "erties\":false}",
	    "{\"x-1\":\"1\"}",
	    "x-1: expected number, got string" },
	{ "{\"patternProperties\":{\"^x-\":{}},\"additionalProperties\":false}",
	    "{\"y\":1}",
	    "y: unknown argument" },
	{ "{\"patternProperties\":{\"(\":false},\"additionalProperties\":false}",
	    "{\"y\":1}",
	    NULL },
	{ "{\"patternProperties\":{\"^x-\":{\"type\":\"number\"}},\"properties\":{\""
	    "x-a\":{\"maximum\":3}}}",
	    "{\"x-a\":4}",
	    "x-a: must be at most 3" },
	{ "{\"properties\":{\"a\":false}}",
	    "{\"a\":1}",
	    "a: is not allowed" },
	{ "{\"propertyNames\":{\"pattern\":\"^[a-z]+$\"}}",
	    "{\"ab\":1}",
	    NULL },
	{ "{\"propertyNames\":{\"pattern\":\"^[a-z]+$\"}}",
	    "{\"A1\":1}",
	    "A1: is not allowed as a name" },
	{ "{\"dependentRequired\":{\"card\":[\"address\"]}}",
	    "{\"card\":1}",
	    "address: is missing, and required beside card" },
	{ "{\"dependentRequired\":{\"card\":[\"address\"]}}",
	    "{\"other\":1}",
	    NULL },
	{ "{\"dependentSchemas\":{\"card\":{\"required\":[\"x\"]}}}",
	    "{\"card\":1}",
	    "x: required value is missing" },
	{ "{\"dependencies\":{\"a\":[\"b\"],\"c\":{\"maxProperties\":1},\"d\":false}}",
	    "{\"a\":1,\"c\":1}",
	    "b: is missing, and required beside a; arguments: must have at "
	    "most 1 property" },
	{ "{\"dependencies\":{\"a\":[\"b\"],\"c\":{\"maxProperties\":1}}}",
	    "{\"b\":1,\"a\":2}",
	    NULL },
	{ "{\"required\":[\"a\"],\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"string\""
	    "},{\"type\":\"null\"}]}}}",
	    "{}",
	    "a: required null or string is missing" },
	{ "{\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":\"#/$defs/n\"}},\"$de"
	    "fs\":{\"n\":{\"type\":\"number\"}}}",
	    "{}",
	    "a: required number is missing" },
	{ "{\"properties\":{\"a\":{}},\"unevaluatedProperties\":false,\"allOf\":["
	    "{\"properties\":{\"b\":{}}}]}",
	    "{\"a\":1,\"b\":1}",
	    NULL },
	{ "{\"properties\":{\"a\":{}},\"unevaluatedProperties\":false,\"allOf\":["
	    "{\"properties\":{\"b\":{}}}]}",
	    "{\"a\":1,\"b\":1,\"c\":1}",
	    "c: unknown argument" },
	{ "{\"unevaluatedProperties\":{\"type\":\"number\"},\"anyOf\":[{\"properti"
	    "es\":{\"a\":{\"const\":1}},\"required\":[\"a\"]},true]}",
	    "{\"a\":1,\"b\":\"x\"}",
	    "b: expected number, got string" },
	{ "{\"unevaluatedProperties\":false,\"if\":{\"required\":[\"a\"]},\"then\":"
	    "{\"properties\":{\"a\":{}}},\"else\":{\"patternProperties\":{\"^b\":{}}}"
	    "}",
	    "{\"a\":1,\"b\":1}",
	    "b: unknown argument" },
	{ "{\"unevaluatedProperties\":false,\"$ref\":\"http://example.com/othe"
	    "r\"}",
	    "{\"a\":1}",
	    NULL },
	{ "{\"unevaluatedProperties\":false,\"dependentSchemas\":{\"a\":{\"prope"
	    "rties\":{\"a\":{},\"b\":{}}}}}",
	    "{\"a\":1,\"b\":1}",
	    NULL },
	{ "{\"unevaluatedProperties\":false,\"properties\":{\"a\":{\"unevaluated"
	    "Properties\":false}}}",
	    "{\"a\":{\"b\":1}}",
	    "a.b: unknown argument" },
	{ "{\"unevaluatedItems\":false,\"prefixItems\":[{}],\"contains\":{\"type"
	    "\":\"string\"}}",
	    "[1,\"a\"]",
	    NULL },
	{ "{\"unevaluatedItems\":false,\"prefixItems\":[{}]}",
	    "[1,2]",
	    "[1]: is one item too many" },
};

static const struct row combinations[] = {
	{ "{\"allOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
	    "{}",
	    "a: required value is missing; b: required value is missing" },
	{ "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
	    "5",
	    "arguments: expected null or string, got number" },
	{ "{\"anyOf\":[{\"type\":\"string\",\"minLength\":2},{\"type\":\"null\"}]}",
	    "\"x\"",
	    "arguments: must have at least 2 characters" },
	{ "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
	    "null",
	    NULL },
	{ "{\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
	    "{\"c\":1}",
	    "arguments: fits none of the 2 alternatives (a: required value "
	    "is missing, or b: required value is missing)" },
	{ "{\"anyOf\":[{\"minimum\":9},{\"maximum\":1},{\"const\":5},{\"const\":6}]"
	    "}",
	    "7",
	    "arguments: fits none of the 4 alternatives" },
	{ "{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}",
	    "3",
	    "arguments: fits 2 of the alternatives, but must fit only one" },
	{ "{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}",
	    "1",
	    NULL },
	{ "{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}",
	    "2.5",
	    NULL },
	{ "{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}",
	    "1.5",
	    "arguments: must be at least 2" },
	{ SHAPES,
	    "{\"kind\":\"circle\",\"r\":1}",
	    NULL },
	{ SHAPES,
	    "{\"kind\":\"circle\"}",
	    "r: required number is missing" },
	{ SHAPES,
	    "{\"kind\":\"square\",\"r\":1}",
	    "side: required number is missing; r: unknown argument" },
	{ SHAPES,
	    "{\"kind\":\"line\"}",
	    "kind: must be one of \"circle\", \"square\", \"box\"" },
	{ SHAPES,
	    "[]",
	    "arguments: expected null or object, got array" },
	{ "{\"not\":{\"required\":[\"a\"]}}",
	    "{\"b\":1}",
	    NULL },
	{ "{\"not\":{\"required\":[\"a\"]}}",
	    "{\"a\":1}",
	    "arguments: is what \"not\" in its schema rules out" },
	{ "{\"properties\":{\"a\":{\"not\":{}}}}",
	    "{\"a\":1}",
	    "a: is not allowed" },
	{ "{\"not\":{\"pattern\":\"(\"}}",
	    "\"x\"",
	    NULL },
	{ "{\"not\":{\"$ref\":\"#/nowhere\"}}",
	    "\"x\"",
	    NULL },
	{ "{\"oneOf\":[{\"$ref\":\"other.json\"},{\"type\":\"string\"}]}",
	    "\"x\"",
	    NULL },
	{ "{\"contains\":{\"$ref\":\"other.json\"}}",
	    "[1]",
	    NULL },
	{ "{\"if\":{\"properties\":{\"a\":{\"const\":1}}},\"then\":{\"required\":[\"b\""
	    "]},\"else\":{\"required\":[\"c\"]}}",
	    "{\"a\":1}",
	    "b: required value is missing" },
	{ "{\"if\":{\"properties\":{\"a\":{\"const\":1}}},\"then\":{\"required\":[\"b\""
	    "]},\"else\":{\"required\":[\"c\"]}}",
	    "{\"a\":2}",
	    "c: required value is missing" },
	{ "{\"if\":{\"$ref\":\"other.json\"},\"then\":false,\"else\":false}",
	    "1",
	    NULL },
	{ "{\"then\":false}",
	    "1",
	    NULL },
	{ "false",
	    "1",
	    "arguments: is not allowed" },
	{ "true",
	    "1",
	    NULL },
};

static const struct row references[] = {
	{ "{\"$ref\":\"#/$defs/a~1b%25\",\"$defs\":{\"a/b%\":{\"type\":\"string\"}}}",
	    "1",
	    "arguments: expected string, got number" },
	{ "{\"$ref\":\"#/definitions/x~0/items/0\",\"definitions\":{\"x~\":{\"item"
	    "s\":[{\"type\":\"string\"}]}}}",
	    "1",
	    "arguments: expected string, got number" },
	{ "{\"$ref\":\"#name\",\"$defs\":{\"x\":{\"$anchor\":\"name\",\"type\":\"string\""
	    "}}}",
	    "1",
	    "arguments: expected string, got number" },
	{ "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"$ref\":\"#"
	    "name\",\"definitions\":{\"x\":{\"$id\":\"#name\",\"type\":\"string\"}}}",
	    "1",
	    "arguments: expected string, got number" },
	{ "{\"$ref\":\"#name\",\"enum\":[{\"$anchor\":\"name\",\"type\":\"string\"},1]}",
	    "1",
	    NULL },
	{ "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"properti"
	    "es\":{\"a\":{\"$ref\":\"#/definitions/x\",\"maximum\":1}},\"definitions\""
	    ":{\"x\":{}}}",
	    "{\"a\":2}",
	    NULL },
	{ "{\"properties\":{\"a\":{\"$ref\":\"#/definitions/x\",\"maximum\":1}},\"de"
	    "finitions\":{\"x\":{}}}",
	    "{\"a\":2}",
	    "a: must be at most 1" },
	{ "{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}},\"additiona"
	    "lProperties\":false}",
	    "{\"next\":{\"next\":{\"x\":1}}}",
	    "next.next.x: unknown argument" },
	{ "{\"$ref\":\"#\"}",
	    "1",
	    NULL },
	{ "{\"allOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}",
	    "1",
	    NULL },
	{ "{\"not\":{\"$ref\":\"#\"}}",
	    "1",
	    NULL },
	{ "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$r"
	    "ef\":\"#/$defs/a\"}}}",
	    "1",
	    NULL },
	{ "{\"$ref\":\"https://e.x/t.json#/$defs/a\",\"$id\":\"https://e.x/t.jso"
	    "n\",\"$defs\":{\"a\":{\"type\":\"string\"}}}",
	    "1",
	    "arguments: expected string, got number" },
	{ "{\"$ref\":\"#/$defs/a/properties/x\",\"$defs\":{\"a\":{\"$id\":\"https://"
	    "e.x/a\",\"properties\":{\"x\":{\"$ref\":\"#/$defs/y\"}},\"$defs\":{\"y\":{\""
	    "type\":\"null\"}}},\"y\":{\"type\":\"string\"}}}",
	    "1",
	    "arguments: expected null, got number" },
	{ "{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}",
	    "{\"type\":7}",
	    NULL },
	{ "{\"$ref\":\"#/$defs/none\"}",
	    "1",
	    NULL },
	{ "{\"$ref\":\"#%zz\"}",
	    "1",
	    NULL },
	{ "{\"$dynamicRef\":\"#n\",\"$defs\":{\"x\":{\"$dynamicAnchor\":\"n\",\"type\":"
	    "\"string\"}}}",
	    "1",
	    "arguments: expected string, got number" },
	{ "{\"$dynamicRef\":\"#n\",\"$dynamicAnchor\":\"n\",\"$defs\":{\"x\":{\"$dynam"
	    "icAnchor\":\"n\",\"type\":\"string\"}}}",
	    "1",
	    NULL },
	{ "{\"$recursiveRef\":\"#\"}",
	    "1",
	    NULL },
	{ "{\"$defs\":{\"t\":{\"type\":7}}}",
	    "1",
	    NULL },
};

static void
check_row(const struct row *row)
{
	struct strbuf problems = STRBUF_INIT(4096);
	const char *reason = NULL;
	struct schema *s = schema_new(row->schema, &reason);
	cJSON *value = cJSON_Parse(row->value);
	bool fits;

	ck_assert_msg(s != NULL, "%s: %s", row->schema, reason);
	ck_assert_ptr_nonnull(value);
	number_keep_all(value, slice_str(row->value), NUMBER_AS_WRITTEN);
	fits = schema_check(s, value, &problems);
	ck_assert_msg(strcmp(strbuf_str(&problems),
	    row->problems ? row->problems : "") == 0, "%s, %s: %s",
	    row->schema, row->value, strbuf_str(&problems));
	ck_assert(fits == (row->problems == NULL));
	cJSON_Delete(value);
	schema_free(s);
	strbuf_release(&problems);
}

#define CASE(name)                                                         \
	START_TEST(test_##name)                                            \
	{                                                                  \
		check_row(&(name)[_i]);                                    \
	}                                                                  \
	END_TEST

CASE(values)
CASE(arrays)
CASE(objects)
CASE(combinations)
CASE(references)

int
main(void)
{
	TCase *tc = new_case("keywords", NULL, NULL);

	tcase_add_loop_test(tc, test_values, 0, ARRAY_LEN(values));
	tcase_add_loop_test(tc, test_arrays, 0, ARRAY_LEN(arrays));
	tcase_add_loop_test(tc, test_objects, 0, ARRAY_LEN(objects));
	tcase_add_loop_test(tc, test_combinations, 0, ARRAY_LEN(combinations));
	tcase_add_loop_test(tc, test_references, 0, ARRAY_LEN(references));
	return run_cases(tc);
}
