#include "worker/runtime/schema_private.h"

#include <math.h>

#include "worker/runtime/number.h"

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
		return number_is_integer(value) ? TYPE_INTEGER : TYPE_NUMBER;
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

/* What a value keeps when its comparison with the limit comes out as that. */
static const struct {
	int allowed;             /* this, and 0 unless it is exclusive */
	bool exclusive;
	const char *words;
} limits[SCHEMA_LIMITS] = {
	[LIMIT_MINIMUM] = { 1, false, "must be at least " },
	[LIMIT_MAXIMUM] = { -1, false, "must be at most " },
	[LIMIT_ABOVE] = { 1, true, "must be more than " },
	[LIMIT_BELOW] = { -1, true, "must be less than " },
};

static bool
keeps_limit(enum limit limit, const cJSON *value, const cJSON *than)
{
	int order = number_compare(value, than);

	return order == 0 ? !limits[limit].exclusive :
	    (order > 0) == (limits[limit].allowed > 0);
}

static void
check_number(struct check *c, const struct schema *s, const cJSON *value,
    const struct place *at)
{
	/* 1e999 is JSON, but no number that C can hold. */
	if (!number_in_range(value)) {
		if (problem(c, at))
			strbuf_add_str(c->problems, "number is out of range");
		return;
	}
	for (unsigned i = 0; i < SCHEMA_LIMITS; i++) {
		if (s->limits[i] == NULL ||
		    keeps_limit(i, value, s->limits[i]) || !problem(c, at))
			continue;
		strbuf_add_str(c->problems, limits[i].words);
		number_write(c->problems, s->limits[i]);
	}
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

static bool is_equal(const cJSON *a, const cJSON *b);

static bool
has_equal(const cJSON *object, const cJSON *of)
{
	const cJSON *item =
	    cJSON_GetObjectItemCaseSensitive(object, of->string);

	return item != NULL && is_equal(item, of);
}

/* Members in any order; of each name one. */
static bool
is_equal_list(const cJSON *a, const cJSON *b)
{
	const cJSON *item, *other = b->child;

	if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b))
		return false;
	cJSON_ArrayForEach(item, a) {
		if (cJSON_IsObject(a) ? !has_equal(b, item) :
		    !is_equal(item, other))
			return false;
		other = other->next;
	}
	return true;
}

/* As cJSON_Compare(), but with numbers as they are written. */
static bool
is_equal(const cJSON *a, const cJSON *b)
{
	if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
		return number_compare(a, b) == 0;
	if ((cJSON_IsArray(a) && cJSON_IsArray(b)) ||
	    (cJSON_IsObject(a) && cJSON_IsObject(b)))
		return is_equal_list(a, b);
	return cJSON_Compare(a, b, true);
}

static void
check_choices(struct check *c, const struct schema *s, const cJSON *value,
    const struct place *at)
{
	bool one = cJSON_GetArraySize(s->choices) == 1;
	const char *between = one ? "must be " : "must be one of ";
	const cJSON *choice;

	cJSON_ArrayForEach(choice, s->choices) {
		if (is_equal(choice, value))
			return;
	}
	if (!problem(c, at))
		return;
	cJSON_ArrayForEach(choice, s->choices) {
		strbuf_add_str(c->problems, between);
		number_write_tree(c->problems, choice);
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
