/* Rules about single values: enum, const, numbers, strings. */
#include "worker/json/schema_private.h"

#include "common/utf8.h"
#include "worker/json/number.h"
#include "worker/json/schema_pattern.h"

/* What is shown of an expression. */
#define PATTERN_SHOWN 120

/* What must be copied out of the schema's tree. */
static bool
keep(struct compiler *c, struct rule *rule, const cJSON *value)
{
	rule->value = cJSON_Duplicate(value, true);
	return rule->value != NULL || schema_refuse(c, "out of memory");
}

void
release_value(struct rule *rule)
{
	cJSON_Delete(rule->value);
}

/* enum, const ------------------------------------------------------------------- */

bool
compile_const(struct compiler *c, const struct keywords *in, struct rule *rule)
{
	return keep(c, rule, in->of[KEY_CONST]);
}

enum verdict
check_const(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	if (schema_equal(c, rule->value, value))
		return FITS;
	if (c->steps == 0)
		return UNSURE;
	if (schema_problem(c, at)) {
		strbuf_add_str(c->problems, "must be ");
		number_write_tree(c->problems, rule->value);
	}
	return MISFIT;
}

bool
compile_enum(struct compiler *c, const struct keywords *in, struct rule *rule)
{
	const cJSON *value = in->of[KEY_ENUM];

	if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) == 0)
		return schema_refuse(c, "enum must be a list of values");
	return keep(c, rule, value);
}

enum verdict
check_enum(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	const char *between = "must be ";
	const cJSON *choice;

	cJSON_ArrayForEach(choice, rule->value) {
		if (schema_equal(c, choice, value))
			return FITS;
	}
	if (c->steps == 0)
		return UNSURE;
	if (!schema_problem(c, at))
		return MISFIT;
	if (rule->value->child->next != NULL)
		between = "must be one of ";
	cJSON_ArrayForEach(choice, rule->value) {
		strbuf_add_str(c->problems, between);
		number_write_tree(c->problems, choice);
		between = ", ";
	}
	return MISFIT;
}

/* Numbers ----------------------------------------------------------------------- */

/* What a value keeps when its comparison with the limit comes out as that. */
static const struct limit {
	enum keyword keyword, exclusive;
	int allowed;             /* this, and 0 unless it is exclusive */
	bool is_exclusive;
	const char *words;
} limits[RULES] = {
	[RULE_MINIMUM] = { KEY_MINIMUM, KEY_EXCLUSIVE_MINIMUM, 1, false,
	    "must be at least " },
	[RULE_MAXIMUM] = { KEY_MAXIMUM, KEY_EXCLUSIVE_MAXIMUM, -1, false,
	    "must be at most " },
	[RULE_ABOVE] = { KEY_MINIMUM, KEY_EXCLUSIVE_MINIMUM, 1, true,
	    "must be more than " },
	[RULE_BELOW] = { KEY_MAXIMUM, KEY_EXCLUSIVE_MAXIMUM, -1, true,
	    "must be less than " },
};

/* In draft 4 exclusiveMinimum is a boolean that makes minimum exclusive. */
bool
compile_limit(struct compiler *c, const struct keywords *in, struct rule *rule)
{
	const struct limit *limit = &limits[rule->kind];
	const cJSON *value = in->of[limit->keyword];
	const cJSON *exclusive = in->of[limit->exclusive];
	bool none = limit->is_exclusive ? cJSON_IsFalse(exclusive) :
	    cJSON_IsTrue(exclusive);

	if (limit->is_exclusive && !cJSON_IsBool(exclusive))
		value = exclusive;
	if (none || value == NULL) {
		rule->kind = RULE_NONE;
		return true;
	}
	if (!cJSON_IsNumber(value))
		return schema_refuse(c, "a limit must be a number");
	return keep(c, rule, value);
}

enum verdict
check_limit(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	const struct limit *limit = &limits[rule->kind];
	int order = number_compare(value, rule->value);

	if (order == 0 ? !limit->is_exclusive :
	    (order > 0) == (limit->allowed > 0))
		return FITS;
	if (schema_problem(c, at)) {
		strbuf_add_str(c->problems, limit->words);
		number_write(c->problems, rule->value);
	}
	return MISFIT;
}

bool
compile_multiple(struct compiler *c, const struct keywords *in,
    struct rule *rule)
{
	const cJSON *value = in->of[KEY_MULTIPLE_OF];

	if (!cJSON_IsNumber(value) || !number_in_range(value) ||
	    value->valuedouble <= 0)
		return schema_refuse(c, "multipleOf must be more than 0");
	return keep(c, rule, value);
}

enum verdict
check_multiple(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	if (number_is_multiple(value, rule->value))
		return FITS;
	if (schema_problem(c, at)) {
		strbuf_add_str(c->problems, "must be a multiple of ");
		number_write(c->problems, rule->value);
	}
	return MISFIT;
}

/* Strings ----------------------------------------------------------------------- */

/* Of lengths, items, properties. */
bool
compile_count(struct compiler *c, const struct keywords *in, struct rule *rule)
{
	static const enum keyword of[RULES] = {
		[RULE_MIN_LENGTH] = KEY_MIN_LENGTH,
		[RULE_MAX_LENGTH] = KEY_MAX_LENGTH,
		[RULE_MIN_ITEMS] = KEY_MIN_ITEMS,
		[RULE_MAX_ITEMS] = KEY_MAX_ITEMS,
		[RULE_MIN_PROPERTIES] = KEY_MIN_PROPERTIES,
		[RULE_MAX_PROPERTIES] = KEY_MAX_PROPERTIES,
	};
	const cJSON *value = in->of[of[rule->kind]];

	if (!cJSON_IsNumber(value))
		return schema_refuse(c, "a limit must be a number");
	rule->count = value->valuedouble;
	return true;
}

/* Characters of valid UTF-8: every byte but the continuations starts one. */
static double
characters(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return (double)n;
}

static enum verdict
check_length(struct check *c, int sign, const char *words,
    const struct rule *rule, const cJSON *value, const struct place *at)
{
	if (!schema_check_scan(c, strlen(value->valuestring)))
		return UNSURE;
	return schema_check_count(c,
	    sign * (characters(value->valuestring) - rule->count) >= 0, words,
	    rule->count, "character", at);
}

enum verdict
check_min_length(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	return check_length(c, 1, "must have at least ", rule, value, at);
}

enum verdict
check_max_length(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	return check_length(c, -1, "must have at most ", rule, value, at);
}

bool
compile_pattern(struct compiler *c, const struct keywords *in,
    struct rule *rule)
{
	if (!cJSON_IsString(in->of[KEY_PATTERN]))
		return schema_refuse(c, "pattern must be a string");
	rule->pattern = pattern_new(in->of[KEY_PATTERN]->valuestring);
	return true;
}

enum verdict
check_pattern(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	enum verdict verdict = pattern_match(c, rule->pattern,
	    value->valuestring);

	if (verdict == MISFIT && schema_problem(c, at))
		strbuf_addf(c->problems, "must match the pattern %.*s",
		    SLICE_ARG(utf8_cut(slice_str(pattern_text(rule->pattern)),
		    PATTERN_SHOWN)));
	return verdict;
}

void
release_pattern(struct rule *rule)
{
	pattern_free(rule->pattern);
}
