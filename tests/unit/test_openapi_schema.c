/* Schemas of descriptions as the input schemas of tools. */
#include "worker/openapi/input.h"

#include <check.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/openapi/spec.h"
#include "tests/unit/support/suite.h"

#define DEFINITIONS \
	"components:\n" \
	"  schemas:\n" \
	"    Name: {type: string, description: own}\n" \
	"    Again: {type: object, properties: {next: {$ref: " \
	"'#/components/schemas/Again'}}}\n" \
	"    Hidden: {type: string, readOnly: true}\n" \
	"    Anchored: {$anchor: anchored, type: 'null'}\n"

/* The schema of the query parameter "q" in a description of that version. */
static struct spec *
describe(const char *version, const char *schema)
{
	struct strbuf error = STRBUF_INIT(1024), text = STRBUF_INIT(65536);
	struct spec *s;

	strbuf_addf(&text,
	    "%s\npaths: {/a: {get: {parameters: [{name: q, in: query, "
	    "schema: %s}]}}}\n" DEFINITIONS,
	    version, schema);
	s = spec_of_text("f", xstrdup(strbuf_str(&text)), text.n, &error);
	ck_assert_msg(s != NULL, "%s", strbuf_str(&error));
	strbuf_release(&error);
	strbuf_release(&text);
	return s;
}

#define V2 "swagger: '2.0'"
#define V30 "openapi: 3.0.3"
#define V31 "openapi: 3.1.0"

static const struct {
	const char *version, *schema, *wanted;
} cases[] = {
	{ V30, "{}", "{}" },
	{ V30, "{type: string, example: x, xml: {}, x-a: 1, title: t}",
	    "{\"type\":\"string\"}" },
	{ V30, "{type: integer, nullable: true}",
	    "{\"type\":[\"integer\",\"null\"]}" },
	{ V31, "{type: integer, nullable: true}", "{\"type\":\"integer\"}" },
	{ V31, "{type: [integer, 'null']}",
	    "{\"type\":[\"integer\",\"null\"]}" },
	{ V30, "{type: string, enum: [a], nullable: true}",
	    "{\"type\":[\"string\",\"null\"],\"enum\":[\"a\",null]}" },
	{ V30, "{nullable: true, allOf: [{type: object}]}",
	    "{\"anyOf\":[{\"allOf\":[{\"type\":\"object\"}]},"
	    "{\"type\":\"null\"}]}" },
	{ V30,
	    "{minimum: 1, exclusiveMinimum: true, maximum: 9, "
	    "exclusiveMaximum: false}",
	    "{\"exclusiveMinimum\":1,\"maximum\":9}" },
	{ V31, "{exclusiveMinimum: 1.50}", "{\"exclusiveMinimum\":1.50}" },
	{ V31, "true", "{}" },
	{ V31, "false", "{\"not\":{}}" },
	{ V31, "{const: [1, {a: ~}]}", "{\"const\":[1,{\"a\":null}]}" },
	{ V30,
	    "{type: object, required: [a, h, z], properties: {a: {}, h: "
	    "{$ref: '#/components/schemas/Hidden'}, i: {readOnly: true}}}",
	    "{\"type\":\"object\",\"properties\":{\"a\":{}},"
	    "\"required\":[\"a\",\"z\"]}" },
	{ V30,
	    "{oneOf: [{type: string}, {$ref: '#/components/schemas/Name'}], "
	    "discriminator: {propertyName: k}}",
	    "{\"oneOf\":[{\"type\":\"string\"},{\"description\":\"own\","
	    "\"type\":\"string\"}]}" },
	{ V30, "{oneOf: [{type: string}], anyOf: [{minLength: 1}]}",
	    "{\"oneOf\":[{\"type\":\"string\"}],"
	    "\"anyOf\":[{\"minLength\":1}]}" },
	{ V30, "{nullable: true, oneOf: [{type: string}, {type: integer}]}",
	    "{\"anyOf\":[{\"oneOf\":[{\"type\":\"string\"},"
	    "{\"type\":\"integer\"}]},{\"type\":\"null\"}]}" },
	/* What only answers have, wherever it is asked for. */
	{ V30,
	    "{allOf: [{properties: {i: {readOnly: true}, a: {}}}, "
	    "{required: [i, a]}], required: [i, a]}",
	    "{\"allOf\":[{\"properties\":{\"a\":{}}},{\"required\":[\"a\"]}],"
	    "\"required\":[\"a\"]}" },
	{ V31,
	    "{properties: {i: {readOnly: true}}, dependentRequired: {a: "
	    "[i]}}",
	    "{\"properties\":{}}" },
	{ V31, "{dependentRequired: {a: [b]}}",
	    "{\"dependentRequired\":{\"a\":[\"b\"]}}" },
	/* Nothing would fit two closed objects. */
	{ V30,
	    "{allOf: [{properties: {a: {}}, additionalProperties: false}, "
	    "{properties: {b: {additionalProperties: false}}}]}",
	    "{\"allOf\":[{\"properties\":{\"a\":{}}},{\"properties\":{\"b\":"
	    "{\"additionalProperties\":false}}}]}" },
	{ V30,
	    "{properties: {a: {}}, additionalProperties: false, anyOf: "
	    "[{required: [b]}]}",
	    "{\"properties\":{\"a\":{}},\"anyOf\":[{\"required\":[\"b\"]}]}" },
	/* Null where only a part says otherwise. */
	{ V30, "{type: object, nullable: true, allOf: [{type: object}]}",
	    "{\"anyOf\":[{\"type\":[\"object\",\"null\"],\"allOf\":["
	    "{\"type\":\"object\"}]},{\"type\":\"null\"}]}" },
	/* Less within a "not" would be more. */
	{ V30, "{not: {properties: {i: {readOnly: true}}}}", "{}" },
	{ V30, "{not: {required: [a]}}", "{\"not\":{\"required\":[\"a\"]}}" },
	{ V31, "{if: {$ref: '#/components/schemas/Again'}, then: {type: object}}",
	    "{}" },
	{ V31, "{if: {type: string}, then: {minLength: 2}, else: false}",
	    "{\"if\":{\"type\":\"string\"},\"then\":{\"minLength\":2},"
	    "\"else\":{\"not\":{}}}" },
	/* No counts, no steps. */
	{ V30, "{minItems: -1, maxItems: 2, multipleOf: 0}",
	    "{\"maxItems\":2}" },
	{ V30, "{multipleOf: 0.01}", "{\"multipleOf\":0.01}" },
	{ V30, "{multipleOf: 1e-999}", "{}" },
	{ V31, "{contains: {type: string}, minContains: 2, maxContains: -1}",
	    "{\"contains\":{\"type\":\"string\"},\"minContains\":2}" },
	/* What stands beside a reference: 3.1 has it, 3.0 has not. */
	{ V31, "{$ref: '#/components/schemas/Name', minLength: 2}",
	    "{\"allOf\":[{\"description\":\"own\",\"type\":\"string\"},"
	    "{\"minLength\":2}]}" },
	{ V31,
	    "{$ref: '#/components/schemas/Name', minLength: 2, description: "
	    "mine, default: ab}",
	    "{\"description\":\"mine\",\"default\":\"ab\",\"allOf\":["
	    "{\"description\":\"own\",\"type\":\"string\"},"
	    "{\"minLength\":2}]}" },
	{ V30, "{$ref: '#/components/schemas/Name', minLength: 2}",
	    "{\"description\":\"own\",\"type\":\"string\"}" },
	{ V31, "{$ref: '#anchored'}", "{\"type\":\"null\"}" },
	{ V31, "{$ref: '#/components/schemas/Name', description: mine}",
	    "{\"description\":\"mine\",\"type\":\"string\"}" },
	{ V30, "{$ref: '#/components/schemas/Again'}",
	    "{\"type\":\"object\",\"properties\":{\"next\":{"
	    "\"type\":\"object\",\"description\":\"(cut here: see "
	    "#/components/schemas/Again)\"}}}" },
	{ V30, "{type: array, items: {}, enum: [], minItems: x}",
	    "{\"type\":\"array\",\"items\":{}}" },
	{ V30, "{type: object, additionalProperties: false}",
	    "{\"type\":\"object\",\"additionalProperties\":false}" },
	{ V30, "{additionalProperties: {type: string}}",
	    "{\"additionalProperties\":{\"type\":\"string\"}}" },
	{ V30, "{type: any, required: true}", "{}" },
};

START_TEST(test_conversion)
{
	struct spec *s = describe(cases[_i].version, cases[_i].schema);
	struct strbuf text = STRBUF_INIT(65536), wanted = STRBUF_INIT(65536);
	struct strbuf error = STRBUF_INIT(1024);
	struct arena arena = { .blocks = NULL };
	struct operation op = s->operations[0];

	ck_assert_msg(operation_map(s, &op, &arena), "%s", op.skipped);
	ck_assert_msg(
	    input_write(s, &op, &text, &error), "%s", strbuf_str(&error));
	strbuf_addf(&wanted,
	    "{\"type\":\"object\",\"properties\":{\"q\":%s},"
	    "\"additionalProperties\":false}",
	    cases[_i].wanted);
	/* Keywords have an order of their own. */
	if (strcmp(strbuf_str(&text), strbuf_str(&wanted)) != 0) {
		cJSON *a = cJSON_Parse(strbuf_str(&text));
		cJSON *b = cJSON_Parse(strbuf_str(&wanted));

		ck_assert_msg(
		    cJSON_Compare(a, b, true), "%s", strbuf_str(&text));
		cJSON_Delete(a);
		cJSON_Delete(b);
	}
	arena_release(&arena);
	spec_free(s);
	strbuf_release(&text);
	strbuf_release(&wanted);
	strbuf_release(&error);
}
END_TEST

START_TEST(test_broken_reference)
{
	struct spec *s = describe(V30, "{items: {$ref: '#/x'}}");
	struct strbuf text = STRBUF_INIT(65536), error = STRBUF_INIT(1024);
	struct arena arena = { .blocks = NULL };
	struct operation op = s->operations[0];

	ck_assert(operation_map(s, &op, &arena));
	ck_assert(!input_write(s, &op, &text, &error));
	ck_assert_str_eq(strbuf_str(&error), "the reference #/x leads nowhere");
	arena_release(&arena);
	spec_free(s);
	strbuf_release(&text);
	strbuf_release(&error);
}
END_TEST

/* Each schema refers twice to the next: written out it would be 2^40. */
START_TEST(test_explosion_is_cut)
{
	struct strbuf text = STRBUF_INIT(1 << 20), error = STRBUF_INIT(1024);
	struct arena arena = { .blocks = NULL };
	struct operation op;
	struct spec *s;

	strbuf_add_str(&text,
	    V30 "\npaths: {/a: {get: {parameters: [{name: q, in: query, "
		"schema: {$ref: '#/components/schemas/S0'}}]}}}\n"
		"components:\n  schemas:\n    S40: {type: string}\n");
	for (int i = 0; i < 40; i++)
		strbuf_addf(&text,
		    "    S%d: {properties: {a: {$ref: '#/components/schemas/S%d"
		    "'}, b: {$ref: '#/components/schemas/S%d'}}}\n",
		    i, i + 1, i + 1);
	s = spec_of_text("f", xstrdup(strbuf_str(&text)), text.n, &error);
	ck_assert_msg(s != NULL, "%s", strbuf_str(&error));
	op = s->operations[0];
	ck_assert(operation_map(s, &op, &arena));
	strbuf_reset(&text);
	ck_assert(input_write(s, &op, &text, &error));
	ck_assert_uint_le(text.n, 24 << 10);
	ck_assert_ptr_nonnull(strstr(strbuf_str(&text), "(cut here"));
	arena_release(&arena);
	spec_free(s);
	strbuf_release(&text);
	strbuf_release(&error);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("schema", NULL, NULL);

	tcase_add_loop_test(tc, test_conversion, 0, ARRAY_LEN(cases));
	tcase_add_test(tc, test_broken_reference);
	tcase_add_test(tc, test_explosion_is_cut);
	return run_cases(tc);
}
