/* Going through a value, and telling what is wrong with it. */
#include "worker/json/schema_private.h"

#include <stdlib.h>

#include "worker/json/number.h"
#include "worker/json/schema_pattern.h"

/* A caller corrects a few mistakes at a time; a list of hundreds helps nobody. */
#define PROBLEMS_MAX 5
/* About a tenth of a second; a message of 1 MiB takes a tenth of that. */
#define STEPS_MAX 6000000
/* Messages nest 64 deep, and a schema's rules within each other as much. */
#define DEPTH_MAX 512
/* What references and alternatives are followed for a type's sake. */
#define TYPES_DEPTH_MAX 8
/* A value's own steps, without those of its rules. */
#define VALUE_STEPS 4

/* Problems --------------------------------------------------------------------- */

static void
add_place(struct strbuf *sb, const struct place *at)
{
	if (at->parent == NULL) {
		strbuf_add_str(sb, "arguments");
		return;
	}
	if (at->parent->parent != NULL)
		add_place(sb, at->parent);
	if (at->name == NULL) {
		strbuf_addf(sb, "[%zu]", at->index);
		return;
	}
	if (at->parent->parent != NULL)
		strbuf_add_char(sb, '.');
	strbuf_add_str(sb, at->name);
}

bool
schema_problem(struct check *c, const struct place *at)
{
	if (!schema_check_tells(c))
		return false;
	if (c->count++ > 0)
		strbuf_add_str(c->problems, c->between);
	add_place(c->problems, at);
	strbuf_add_str(c->problems, ": ");
	return true;
}

enum verdict
schema_misfit(struct check *c, const struct place *at, const char *text)
{
	if (schema_problem(c, at))
		strbuf_add_str(c->problems, text);
	return MISFIT;
}

void
schema_add_types(struct strbuf *sb, unsigned types)
{
	const char *between = "";

	if (types == TYPE_ANY) {
		strbuf_add_str(sb, "value");
		return;
	}
	if (types & TYPE_NUMBER)
		types &= ~(unsigned)TYPE_INTEGER;
	for (size_t i = 0; i < SCHEMA_TYPES; i++) {
		if ((types & schema_types[i].type) == 0)
			continue;
		strbuf_add_str(sb, between);
		strbuf_add_str(sb, schema_types[i].name);
		between = " or ";
	}
}

void
schema_add_count(struct strbuf *sb, double n, const char *what)
{
	size_t stem = strlen(what);

	if (n > 1 || n < 1) {
		bool ies = what[stem - 1] == 'y';

		strbuf_addf(sb, "%.0f %.*s%s", n, (int)(stem - ies), what,
		    ies ? "ies" : "s");
	} else {
		strbuf_addf(sb, "1 %s", what);
	}
}

enum verdict
schema_check_count(struct check *c, bool fits, const char *words, double n,
    const char *what, const struct place *at)
{
	if (fits)
		return FITS;
	if (schema_problem(c, at)) {
		strbuf_add_str(c->problems, words);
		schema_add_count(c->problems, n, what);
	}
	return MISFIT;
}

/* Types ------------------------------------------------------------------------ */

enum type
schema_type_of(const cJSON *value)
{
	int type = value->type & 0xff;

	if (type == cJSON_Number)
		return number_is_integer(value) ? TYPE_INTEGER : TYPE_NUMBER;
	if (type == cJSON_String)
		return TYPE_STRING;
	if (type == cJSON_Object)
		return TYPE_OBJECT;
	if (type == cJSON_Array)
		return TYPE_ARRAY;
	return type == cJSON_NULL ? TYPE_NULL : TYPE_BOOLEAN;
}

static unsigned types_within(const struct subschema *s, unsigned depth);

static unsigned
types_of_list(const struct schema_list *list, bool all, unsigned depth)
{
	unsigned types = all ? TYPE_ANY : 0;

	for (size_t i = 0; i < list->n; i++) {
		unsigned of = types_within(list->of[i], depth);

		types = all ? types & of : types | of;
	}
	return types;
}

static unsigned
types_within(const struct subschema *s, unsigned depth)
{
	unsigned types = s->types;

	for (size_t i = 0; i < s->n && depth < TYPES_DEPTH_MAX; i++) {
		const struct rule *r = &s->rules[i];

		if (r->kind == RULE_REF && r->schema != NULL)
			types &= types_within(r->schema, depth + 1);
		else if (r->kind == RULE_ALL_OF)
			types &= types_of_list(r->list, true, depth + 1);
		else if (r->kind == RULE_ANY_OF || r->kind == RULE_ONE_OF)
			types &= types_of_list(r->list, false, depth + 1);
	}
	return types;
}

unsigned
schema_types_of(const struct subschema *s)
{
	return types_within(s, 0);
}

static enum verdict
wrong_type(struct check *c, unsigned types, enum type got,
    const struct place *at)
{
	if (types == 0)
		return schema_misfit(c, at, "is not allowed");
	if (!schema_problem(c, at))
		return MISFIT;
	strbuf_add_str(c->problems, "expected ");
	schema_add_types(c->problems, types);
	strbuf_add_str(c->problems, ", got ");
	/* Asked for an integer, 1.5 is a number; else every number is one. */
	schema_add_types(c->problems,
	    got == TYPE_INTEGER ? TYPE_NUMBER : got);
	return MISFIT;
}

/* Values ----------------------------------------------------------------------- */

static enum verdict
check_rules(struct check *c, const struct subschema *s, const cJSON *value,
    enum type got, const struct place *at)
{
	enum verdict all = FITS;

	for (size_t i = 0; i < s->n; i++) {
		const struct rule *rule = &s->rules[i];
		const struct schema_rule *row = &schema_rules[rule->kind];

		if ((row->types & got) == 0)
			continue;
		all = worse(all, row->check(c, rule, value, at));
		if (all == MISFIT && !schema_check_tells(c))
			break;
	}
	return all;
}

enum verdict
schema_check_value(struct check *c, const struct subschema *s,
    const cJSON *value, const struct place *at)
{
	enum type got = schema_type_of(value);
	enum verdict verdict;

	if (c->depth == DEPTH_MAX || !schema_check_spend(c, VALUE_STEPS))
		return UNSURE;
	if ((s->types & got) == 0)
		return wrong_type(c, s->types, got, at);
	/* 1e999 is JSON, but no number that C can hold. */
	if ((got & TYPE_NUMBERS) != 0 && !number_in_range(value))
		return schema_misfit(c, at, "number is out of range");
	if ((got & TYPE_NUMBERS) != 0 && value->valuestring != NULL &&
	    !schema_check_scan(c, s->n * strlen(value->valuestring) * 4))
		return UNSURE;
	c->depth++;
	verdict = check_rules(c, s, value, got, at);
	c->depth--;
	return verdict;
}

enum verdict
schema_try(struct check *c, const struct subschema *s, const cJSON *value)
{
	static const struct place nowhere = { .parent = NULL };
	enum verdict verdict;

	c->quiet++;
	verdict = schema_check_value(c, s, value, &nowhere);
	c->quiet--;
	return verdict;
}

bool
schema_check(const struct schema *s, const cJSON *value,
    struct strbuf *problems)
{
	struct check c = { .problems = problems, .between = "; ",
		.max = PROBLEMS_MAX, .overlap = s->overlap,
		.steps = STEPS_MAX };
	struct place root = { .parent = NULL };
	bool fits = schema_check_value(&c, s->root, value, &root) != MISFIT;

	/* There may have been no steps left to find out what to say. */
	if (!fits && c.count == 0)
		schema_misfit(&c, &root, "does not fit its schema");
	pattern_match_free(c.matching);
	return fits;
}
