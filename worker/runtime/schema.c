#include "worker/runtime/schema_private.h"

#include <math.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/runtime/number.h"

/* Schemas nest less than messages may (JSONRPC_DEPTH_MAX). */
#define DEPTH_MAX 32

const struct schema_type schema_types[SCHEMA_TYPES] = {
	{ "null", TYPE_NULL },
	{ "boolean", TYPE_BOOLEAN },
	{ "object", TYPE_OBJECT },
	{ "array", TYPE_ARRAY },
	{ "number", TYPE_NUMBER },
	{ "string", TYPE_STRING },
	{ "integer", TYPE_INTEGER },
};

struct compiler {
	const char *reason;
	unsigned depth;
};

static struct schema *compile(struct compiler *c, const cJSON *json);

static bool
refuse(struct compiler *c, const char *reason)
{
	c->reason = reason;
	return false;
}

static unsigned
type_named(const cJSON *name)
{
	if (!cJSON_IsString(name))
		return 0;
	for (size_t i = 0; i < SCHEMA_TYPES; i++) {
		if (strcmp(schema_types[i].name, name->valuestring) == 0)
			return schema_types[i].type;
	}
	return 0;
}

static bool
compile_type(struct compiler *c, struct schema *s, const cJSON *value)
{
	const cJSON *name;

	s->types = type_named(value);
	if (cJSON_IsArray(value)) {
		cJSON_ArrayForEach(name, value) {
			if (type_named(name) == 0)
				return refuse(c, "unknown type");
			s->types |= type_named(name);
		}
	}
	/* Every integer is a number. */
	if (s->types & TYPE_NUMBER)
		s->types |= TYPE_INTEGER;
	return s->types != 0 || refuse(c, "unknown type");
}

static struct property *
property(struct schema *s, const char *name)
{
	struct property *p;

	for (size_t i = 0; i < s->property_count; i++) {
		if (strcmp(s->properties[i].name, name) == 0)
			return &s->properties[i];
	}
	s->properties = xrealloc(s->properties,
	    (s->property_count + 1) * sizeof(*s->properties));
	p = &s->properties[s->property_count++];
	*p = (struct property){ .name = xstrdup(name) };
	return p;
}

static bool
compile_properties(struct compiler *c, struct schema *s, const cJSON *value)
{
	const cJSON *item;

	if (!cJSON_IsObject(value))
		return refuse(c, "properties must be an object");
	cJSON_ArrayForEach(item, value) {
		struct property *p = property(s, item->string);

		if (p->schema != NULL)
			return refuse(c, "a property is declared twice");
		p->schema = compile(c, item);
		if (p->schema == NULL)
			return false;
	}
	return true;
}

static bool
compile_required(struct compiler *c, struct schema *s, const cJSON *value)
{
	const cJSON *name;

	if (!cJSON_IsArray(value))
		return refuse(c, "required must be a list");
	cJSON_ArrayForEach(name, value) {
		if (!cJSON_IsString(name))
			return refuse(c, "required must hold names");
		property(s, name->valuestring)->required = true;
	}
	return true;
}

/* What names match is not looked at: then anything may be one of those. */
static bool
compile_patterns(struct compiler *c UNUSED, struct schema *s,
    const cJSON *value UNUSED)
{
	s->patterned = true;
	return true;
}

static bool
compile_additional(struct compiler *c, struct schema *s, const cJSON *value)
{
	s->closed = cJSON_IsFalse(value) && !s->patterned;
	if (cJSON_IsBool(value) || s->patterned)
		return true;
	s->others = compile(c, value);
	return s->others != NULL;
}

static bool
compile_items(struct compiler *c, struct schema *s, const cJSON *value)
{
	s->items = compile(c, value);
	return s->items != NULL;
}

static bool
compile_enum(struct compiler *c, struct schema *s, const cJSON *value)
{
	if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) == 0)
		return refuse(c, "enum must be a list of values");
	if (s->choices != NULL)
		return true;
	s->choices = cJSON_Duplicate(value, true);
	return s->choices != NULL || refuse(c, "out of memory");
}

/* Beside an enum, of which it must be one, it says all. */
static bool
compile_const(struct compiler *c, struct schema *s, const cJSON *value)
{
	s->choices = cJSON_CreateArray();
	return cJSON_AddItemToArray(s->choices, cJSON_Duplicate(value, true)) ||
	    refuse(c, "out of memory");
}

static bool
compile_limit(struct compiler *c, struct schema *s, enum limit limit,
    const cJSON *value)
{
	if (!cJSON_IsNumber(value))
		return refuse(c, "a limit must be a number");
	s->limits[limit] = cJSON_Duplicate(value, false);
	return s->limits[limit] != NULL || refuse(c, "out of memory");
}

static bool
compile_minimum(struct compiler *c, struct schema *s, const cJSON *value)
{
	return compile_limit(c, s, LIMIT_MINIMUM, value);
}

static bool
compile_maximum(struct compiler *c, struct schema *s, const cJSON *value)
{
	return compile_limit(c, s, LIMIT_MAXIMUM, value);
}

/* A boolean is how drafts before 6 wrote it: for the model to read. */
static bool
compile_above(struct compiler *c, struct schema *s, const cJSON *value)
{
	return cJSON_IsBool(value) || compile_limit(c, s, LIMIT_ABOVE, value);
}

static bool
compile_below(struct compiler *c, struct schema *s, const cJSON *value)
{
	return cJSON_IsBool(value) || compile_limit(c, s, LIMIT_BELOW, value);
}

static bool
compile_number(struct compiler *c, double *to, const cJSON *value)
{
	if (!cJSON_IsNumber(value))
		return refuse(c, "a limit must be a number");
	*to = value->valuedouble;
	return true;
}

static bool
compile_min_length(struct compiler *c, struct schema *s, const cJSON *value)
{
	return compile_number(c, &s->min_length, value);
}

static bool
compile_max_length(struct compiler *c, struct schema *s, const cJSON *value)
{
	return compile_number(c, &s->max_length, value);
}

static const struct {
	const char *keyword;
	bool (*compile)(struct compiler *c, struct schema *s,
	    const cJSON *value);
} keywords[] = {
	{ "type", compile_type },
	{ "properties", compile_properties },
	{ "required", compile_required },
	{ "patternProperties", compile_patterns },
	{ "additionalProperties", compile_additional },
	{ "items", compile_items },
	{ "const", compile_const },
	{ "enum", compile_enum },
	{ "minimum", compile_minimum },
	{ "maximum", compile_maximum },
	{ "exclusiveMinimum", compile_above },
	{ "exclusiveMaximum", compile_below },
	{ "minLength", compile_min_length },
	{ "maxLength", compile_max_length },
};

static bool
compile_keywords(struct compiler *c, struct schema *s, const cJSON *json)
{
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(json,
		    keywords[i].keyword);

		if (value != NULL && !keywords[i].compile(c, s, value))
			return false;
	}
	return true;
}

static struct schema *
compile(struct compiler *c, const cJSON *json)
{
	struct schema *s;
	bool ok;

	if (!cJSON_IsObject(json) && !cJSON_IsTrue(json)) {
		refuse(c, "a schema must be an object");
		return NULL;
	}
	if (c->depth == DEPTH_MAX) {
		refuse(c, "the schema nests too deeply");
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->types = TYPE_ANY;
	s->min_length = -INFINITY;
	s->max_length = INFINITY;
	c->depth++;
	ok = compile_keywords(c, s, json);
	c->depth--;
	if (!ok) {
		schema_free(s);
		return NULL;
	}
	return s;
}

struct schema *
schema_new(const char *text, const char **reason)
{
	struct compiler c = { .reason = NULL };
	cJSON *json = cJSON_ParseWithOpts(text, NULL, true);
	struct schema *s;

	if (json == NULL) {
		*reason = "not JSON";
		return NULL;
	}
	number_keep_all(json, slice_str(text), NUMBER_AS_WRITTEN);
	s = compile(&c, json);
	cJSON_Delete(json);
	if (s == NULL)
		*reason = c.reason;
	return s;
}

bool
schema_is_of_objects(const struct schema *s)
{
	return s->types == TYPE_OBJECT;
}

void
schema_free(struct schema *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->property_count; i++) {
		free(s->properties[i].name);
		schema_free(s->properties[i].schema);
	}
	free(s->properties);
	schema_free(s->others);
	schema_free(s->items);
	cJSON_Delete(s->choices);
	for (size_t i = 0; i < SCHEMA_LIMITS; i++)
		cJSON_Delete(s->limits[i]);
	free(s);
}
