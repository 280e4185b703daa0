#include "worker/runtime/schema_private.h"

#include <math.h>
#include <stdlib.h>

/* A caller corrects a few mistakes at a time; a list of hundreds helps nobody. */
#define PROBLEMS_MAX 5

/* Where a value stands: a chain through the callers' frames. */
struct place {
	const struct place *parent;   /* NULL: the arguments themselves */
	const char *name;             /* of a property, or NULL: an element */
	size_t index;
};

struct check {
	struct strbuf *problems;
	unsigned count;
};

static void check_value(struct check *c, const struct schema *s,
    const cJSON *value, const struct place *at);

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

/* Begins a problem's text; false when there are enough of them. */
static bool
problem(struct check *c, const struct place *at)
{
	if (c->count++ >= PROBLEMS_MAX)
		return false;
	if (c->count > 1)
		strbuf_add_str(c->problems, "; ");
	add_place(c->problems, at);
	strbuf_add_str(c->problems, ": ");
	return true;
}

/* "number", "string or null", "value" for any. */
static void
add_types(struct strbuf *sb, unsigned wanted)
{
	const char *between = "";

	if (wanted == TYPE_ANY) {
		strbuf_add_str(sb, "value");
		return;
	}
	if (wanted & TYPE_NUMBER)
		wanted &= ~(unsigned)TYPE_INTEGER;
	for (size_t i = 0; i < SCHEMA_TYPES; i++) {
		if ((wanted & schema_types[i].type) == 0)
			continue;
		strbuf_add_str(sb, between);
		strbuf_add_str(sb, schema_types[i].name);
		between = " or ";
	}
}

static enum type
type_of(const cJSON *value)
{
	if (cJSON_IsNumber(value))
		return floor(value->valuedouble) == value->valuedouble ?
		    TYPE_INTEGER : TYPE_NUMBER;
	if (cJSON_IsString(value))
		return TYPE_STRING;
	if (cJSON_IsObject(value))
		return TYPE_OBJECT;
	if (cJSON_IsArray(value))
		return TYPE_ARRAY;
	return cJSON_IsBool(value) ? TYPE_BOOLEAN : TYPE_NULL;
}

static void
check_required(struct check *c, const struct property *p,
    const struct place *parent)
{
	struct place at = { .parent = parent, .name = p->name };

	if (!problem(c, &at))
		return;
	strbuf_add_str(c->problems, "required ");
	add_types(c->problems, p->schema ? p->schema->types : TYPE_ANY);
	strbuf_add_str(c->problems, " is missing");
}

static const struct property *
declared(const struct schema *s, const char *name)
{
	for (size_t i = 0; i < s->property_count; i++) {
		if (s->properties[i].schema != NULL &&
		    strcmp(s->properties[i].name, name) == 0)
			return &s->properties[i];
	}
	return NULL;
}

static void
check_other(struct check *c, const struct schema *s, const cJSON *value,
    const struct place *at)
{
	if (s->others != NULL)
		check_value(c, s->others, value, at);
	else if (s->closed && problem(c, at))
		strbuf_add_str(c->problems, "unknown argument");
}

static void
check_object(struct check *c, const struct schema *s, const cJSON *value,
    const struct place *at)
{
	const cJSON *item;

	for (size_t i = 0; i < s->property_count; i++) {
		const struct property *p = &s->properties[i];

		if (p->required &&
		    !cJSON_GetObjectItemCaseSensitive(value, p->name))
			check_required(c, p, at);
	}
	cJSON_ArrayForEach(item, value) {
		const struct property *p = declared(s, item->string);
		struct place here = { .parent = at, .name = item->string };

		if (p != NULL)
			check_value(c, p->schema, item, &here);
		else
			check_other(c, s, item, &here);
	}
}

static void
check_array(struct check *c, const struct schema *s, const cJSON *value,
    const struct place *at)
{
	struct place here = { .parent = at };
	const cJSON *item;

	if (s->items == NULL)
		return;
	cJSON_ArrayForEach(item, value) {
		check_value(c, s->items, item, &here);
		here.index++;
	}
}

static void
check_number(struct check *c, const struct schema *s, const cJSON *value,
    const struct place *at)
{
	double v = value->valuedouble;

	/* 1e999 is JSON, but no number that C can hold. */
	if (!isfinite(v) && problem(c, at))
		strbuf_add_str(c->problems, "number is out of range");
	else if (v < s->minimum && problem(c, at))
		strbuf_addf(c->problems, "must be at least %.15g", s->minimum);
	else if (v > s->maximum && problem(c, at))
		strbuf_addf(c->problems, "must be at most %.15g", s->maximum);
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

static void
check_string(struct check *c, const struct schema *s, const cJSON *value,
    const struct place *at)
{
	double n;

	if (isinf(s->min_length) && isinf(s->max_length))
		return;
	n = characters(value->valuestring);
	if (n < s->min_length && problem(c, at))
		strbuf_addf(c->problems, "must have at least %.0f characters",
		    s->min_length);
	else if (n > s->max_length && problem(c, at))
		strbuf_addf(c->problems, "must have at most %.0f characters",
		    s->max_length);
}

static void
check_choices(struct check *c, const struct schema *s, const cJSON *value,
    const struct place *at)
{
	const char *between = "must be one of ";
	const cJSON *choice;

	cJSON_ArrayForEach(choice, s->choices) {
		if (cJSON_Compare(choice, value, true))
			return;
	}
	if (!problem(c, at))
		return;
	cJSON_ArrayForEach(choice, s->choices) {
		char *text = cJSON_PrintUnformatted(choice);

		strbuf_add_str(c->problems, between);
		strbuf_add_str(c->problems, text ? text : "?");
		free(text);
		between = ", ";
	}
}

static void
check_type(struct check *c, const struct schema *s, enum type got,
    const struct place *at)
{
	if (!problem(c, at))
		return;
	strbuf_add_str(c->problems, "expected ");
	add_types(c->problems, s->types);
	strbuf_add_str(c->problems, ", got ");
	/* Asked for an integer, 1.5 is a number; else every number is one. */
	add_types(c->problems, got == TYPE_INTEGER ? TYPE_NUMBER : got);
}

static void
check_value(struct check *c, const struct schema *s, const cJSON *value,
    const struct place *at)
{
	enum type got = type_of(value);

	if ((s->types & got) == 0) {
		check_type(c, s, got, at);
		return;
	}
	if (s->choices != NULL)
		check_choices(c, s, value, at);
	if (got == TYPE_NUMBER || got == TYPE_INTEGER)
		check_number(c, s, value, at);
	else if (got == TYPE_STRING)
		check_string(c, s, value, at);
	else if (got == TYPE_OBJECT)
		check_object(c, s, value, at);
	else if (got == TYPE_ARRAY)
		check_array(c, s, value, at);
}

bool
schema_check(const struct schema *s, const cJSON *value,
    struct strbuf *problems)
{
	struct check c = { .problems = problems };
	struct place root = { .parent = NULL };

	check_value(&c, s, value, &root);
	return c.count == 0;
}
