#include "worker/json/schema_private.h"

#include <stdlib.h>

#define BIT(key) (UINT64_C(1) << (key))

static const struct keyword_row {
	const char *name;
	enum schema_shape shape;
} keywords[KEYWORDS] = {
	[KEY_DEFS] = { "$defs", SHAPE_MAP },
	[KEY_DYNAMIC_REF] = { "$dynamicRef", SHAPE_NONE },
	[KEY_RECURSIVE_REF] = { "$recursiveRef", SHAPE_NONE },
	[KEY_REF] = { "$ref", SHAPE_NONE },
	[KEY_ADDITIONAL_ITEMS] = { "additionalItems", SHAPE_SCHEMA },
	[KEY_ADDITIONAL_PROPERTIES] = { "additionalProperties", SHAPE_SCHEMA },
	[KEY_ALL_OF] = { "allOf", SHAPE_LIST },
	[KEY_ANY_OF] = { "anyOf", SHAPE_LIST },
	[KEY_CONST] = { "const", SHAPE_NONE },
	[KEY_CONTAINS] = { "contains", SHAPE_SCHEMA },
	[KEY_DEFINITIONS] = { "definitions", SHAPE_MAP },
	[KEY_DEPENDENCIES] = { "dependencies", SHAPE_MAP },
	[KEY_DEPENDENT_REQUIRED] = { "dependentRequired", SHAPE_NONE },
	[KEY_DEPENDENT_SCHEMAS] = { "dependentSchemas", SHAPE_MAP },
	[KEY_ELSE] = { "else", SHAPE_SCHEMA },
	[KEY_ENUM] = { "enum", SHAPE_NONE },
	[KEY_EXCLUSIVE_MAXIMUM] = { "exclusiveMaximum", SHAPE_NONE },
	[KEY_EXCLUSIVE_MINIMUM] = { "exclusiveMinimum", SHAPE_NONE },
	[KEY_IF] = { "if", SHAPE_SCHEMA },
	[KEY_ITEMS] = { "items", SHAPE_LIST },
	[KEY_MAX_CONTAINS] = { "maxContains", SHAPE_NONE },
	[KEY_MAX_ITEMS] = { "maxItems", SHAPE_NONE },
	[KEY_MAX_LENGTH] = { "maxLength", SHAPE_NONE },
	[KEY_MAX_PROPERTIES] = { "maxProperties", SHAPE_NONE },
	[KEY_MAXIMUM] = { "maximum", SHAPE_NONE },
	[KEY_MIN_CONTAINS] = { "minContains", SHAPE_NONE },
	[KEY_MIN_ITEMS] = { "minItems", SHAPE_NONE },
	[KEY_MIN_LENGTH] = { "minLength", SHAPE_NONE },
	[KEY_MIN_PROPERTIES] = { "minProperties", SHAPE_NONE },
	[KEY_MINIMUM] = { "minimum", SHAPE_NONE },
	[KEY_MULTIPLE_OF] = { "multipleOf", SHAPE_NONE },
	[KEY_NOT] = { "not", SHAPE_SCHEMA },
	[KEY_ONE_OF] = { "oneOf", SHAPE_LIST },
	[KEY_PATTERN] = { "pattern", SHAPE_NONE },
	[KEY_PATTERN_PROPERTIES] = { "patternProperties", SHAPE_MAP },
	[KEY_PREFIX_ITEMS] = { "prefixItems", SHAPE_LIST },
	[KEY_PROPERTIES] = { "properties", SHAPE_MAP },
	[KEY_PROPERTY_NAMES] = { "propertyNames", SHAPE_SCHEMA },
	[KEY_REQUIRED] = { "required", SHAPE_NONE },
	[KEY_THEN] = { "then", SHAPE_SCHEMA },
	[KEY_TYPE] = { "type", SHAPE_NONE },
	[KEY_UNEVALUATED_ITEMS] = { "unevaluatedItems", SHAPE_SCHEMA },
	[KEY_UNEVALUATED_PROPERTIES] = { "unevaluatedProperties", SHAPE_SCHEMA },
	[KEY_UNIQUE_ITEMS] = { "uniqueItems", SHAPE_NONE },
};

const struct schema_rule schema_rules[RULES] = {
	[RULE_CONST] = { BIT(KEY_CONST), TYPE_ANY, compile_const, check_const,
	    release_value },
	[RULE_ENUM] = { BIT(KEY_ENUM), TYPE_ANY, compile_enum, check_enum,
	    release_value },
	[RULE_MINIMUM] = { BIT(KEY_MINIMUM), TYPE_NUMBERS, compile_limit,
	    check_limit, release_value },
	[RULE_MAXIMUM] = { BIT(KEY_MAXIMUM), TYPE_NUMBERS, compile_limit,
	    check_limit, release_value },
	[RULE_ABOVE] = { BIT(KEY_EXCLUSIVE_MINIMUM), TYPE_NUMBERS,
	    compile_limit, check_limit, release_value },
	[RULE_BELOW] = { BIT(KEY_EXCLUSIVE_MAXIMUM), TYPE_NUMBERS,
	    compile_limit, check_limit, release_value },
	[RULE_MULTIPLE] = { BIT(KEY_MULTIPLE_OF), TYPE_NUMBERS,
	    compile_multiple, check_multiple, release_value },
	[RULE_MIN_LENGTH] = { BIT(KEY_MIN_LENGTH), TYPE_STRING, compile_count,
	    check_min_length, NULL },
	[RULE_MAX_LENGTH] = { BIT(KEY_MAX_LENGTH), TYPE_STRING, compile_count,
	    check_max_length, NULL },
	[RULE_PATTERN] = { BIT(KEY_PATTERN), TYPE_STRING, compile_pattern,
	    check_pattern, release_pattern },
	[RULE_MIN_ITEMS] = { BIT(KEY_MIN_ITEMS), TYPE_ARRAY, compile_count,
	    check_min_items, NULL },
	[RULE_MAX_ITEMS] = { BIT(KEY_MAX_ITEMS), TYPE_ARRAY, compile_count,
	    check_max_items, NULL },
	[RULE_UNIQUE] = { BIT(KEY_UNIQUE_ITEMS), TYPE_ARRAY, compile_unique,
	    check_unique, NULL },
	[RULE_ELEMENTS] = { BIT(KEY_ITEMS) | BIT(KEY_PREFIX_ITEMS), TYPE_ARRAY,
	    compile_elements, check_elements, release_elements },
	[RULE_CONTAINS] = { BIT(KEY_CONTAINS), TYPE_ARRAY, compile_contains,
	    check_contains, release_contains },
	[RULE_MEMBERS] = { BIT(KEY_PROPERTIES) | BIT(KEY_REQUIRED) |
	    BIT(KEY_PATTERN_PROPERTIES) | BIT(KEY_ADDITIONAL_PROPERTIES),
	    TYPE_OBJECT, compile_members, check_members, release_members },
	[RULE_MIN_PROPERTIES] = { BIT(KEY_MIN_PROPERTIES), TYPE_OBJECT,
	    compile_count, check_min_properties, NULL },
	[RULE_MAX_PROPERTIES] = { BIT(KEY_MAX_PROPERTIES), TYPE_OBJECT,
	    compile_count, check_max_properties, NULL },
	[RULE_NAMES] = { BIT(KEY_PROPERTY_NAMES), TYPE_OBJECT, compile_names,
	    check_names, NULL },
	[RULE_DEPENDENT] = { BIT(KEY_DEPENDENCIES) |
	    BIT(KEY_DEPENDENT_REQUIRED) | BIT(KEY_DEPENDENT_SCHEMAS),
	    TYPE_OBJECT, compile_dependent, check_dependent,
	    release_dependent },
	[RULE_REF] = { BIT(KEY_REF) | BIT(KEY_DYNAMIC_REF), TYPE_ANY,
	    compile_ref, check_ref, NULL },
	[RULE_UNKNOWN] = { BIT(KEY_RECURSIVE_REF), TYPE_ANY, compile_unknown,
	    check_unknown, NULL },
	[RULE_ALL_OF] = { BIT(KEY_ALL_OF), TYPE_ANY, compile_alternatives,
	    check_all_of, release_list },
	[RULE_ANY_OF] = { BIT(KEY_ANY_OF), TYPE_ANY, compile_alternatives,
	    check_any_of, release_list },
	[RULE_ONE_OF] = { BIT(KEY_ONE_OF), TYPE_ANY, compile_alternatives,
	    check_one_of, release_list },
	[RULE_NOT] = { BIT(KEY_NOT), TYPE_ANY, compile_not, check_not, NULL },
	[RULE_IF] = { BIT(KEY_IF), TYPE_ANY, compile_if, check_if, release_if },
	[RULE_UNEVALUATED_ITEMS] = { BIT(KEY_UNEVALUATED_ITEMS), TYPE_ARRAY,
	    compile_unevaluated, check_unevaluated,
	    release_unevaluated },
	[RULE_UNEVALUATED_PROPERTIES] = { BIT(KEY_UNEVALUATED_PROPERTIES),
	    TYPE_OBJECT, compile_unevaluated, check_unevaluated,
	    release_unevaluated },
};

static int
compare_name(const void *name, const void *row)
{
	return strcmp(name, ((const struct keyword_row *)row)->name);
}

static const struct keyword_row *
find(const char *name)
{
	return bsearch(name, keywords, KEYWORDS, sizeof(*keywords),
	    compare_name);
}

enum schema_shape
schema_shape_of(const cJSON *member)
{
	const struct keyword_row *row = find(member->string);

	if (row == NULL)
		return SHAPE_NONE;
	/* items is either. */
	if (row->shape == SHAPE_LIST && !cJSON_IsArray(member))
		return SHAPE_SCHEMA;
	return row->shape;
}

/* Of a keyword that is there twice, the first counts. */
void
schema_keywords_read(struct keywords *in, cJSON *json)
{
	cJSON *member;

	memset(in, 0, sizeof(*in));
	cJSON_ArrayForEach(member, json) {
		const struct keyword_row *row = find(member->string);
		size_t i = row != NULL ? (size_t)(row - keywords) : 0;

		if (row == NULL || in->of[i] != NULL)
			continue;
		in->of[i] = member;
		in->present |= BIT(i);
	}
}
