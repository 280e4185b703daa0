#include "worker/json/schema_private.h"

#include <stdlib.h>

#include "common/jsonrpc.h"
#include "common/xalloc.h"
#include "worker/json/number.h"

/* No message nests deeper, so no listing can hold a deeper schema. */
#define DEPTH_MAX JSONRPC_DEPTH_MAX

const struct schema_type schema_types[SCHEMA_TYPES] = {
	{ "null", TYPE_NULL },
	{ "boolean", TYPE_BOOLEAN },
	{ "object", TYPE_OBJECT },
	{ "array", TYPE_ARRAY },
	{ "number", TYPE_NUMBER },
	{ "string", TYPE_STRING },
	{ "integer", TYPE_INTEGER },
};

const struct subschema schema_any = { .types = TYPE_ANY };
const struct subschema schema_none = { .types = 0 };

/* A reference whose end is not known yet. */
struct pending {
	struct rule *rule;
	cJSON *resource;         /* within which it stands */
	const char *ref;
	bool dynamic;
};

struct compiler {
	struct schema *schema;
	struct subschema **made; /* what of the JSON has been compiled */
	size_t n;
	struct pending *pending;
	size_t pending_count;
	struct schema_refs refs;
	cJSON *resource;
	const struct subschema *now;
	const char *reason;
	unsigned depth;
};

bool
schema_refuse(struct compiler *c, const char *reason)
{
	c->reason = reason;
	return false;
}

const struct subschema *
schema_compiling(const struct compiler *c)
{
	return c->now;
}

/* Types ------------------------------------------------------------------------ */

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
compile_type(struct compiler *c, struct subschema *s, const cJSON *value)
{
	unsigned types = type_named(value);
	const cJSON *name;

	if (cJSON_IsArray(value)) {
		cJSON_ArrayForEach(name, value) {
			if (type_named(name) == 0)
				return schema_refuse(c, "unknown type");
			types |= type_named(name);
		}
	}
	/* Every integer is a number. */
	if (types & TYPE_NUMBER)
		types |= TYPE_INTEGER;
	s->types = (unsigned char)types;
	return types != 0 || schema_refuse(c, "unknown type");
}

/* Rules ------------------------------------------------------------------------ */

static void
release_rule(struct rule *rule)
{
	if (schema_rules[rule->kind].release != NULL)
		schema_rules[rule->kind].release(rule);
}

static bool
compile_rule(struct compiler *c, const struct keywords *in, struct rule *rule,
    enum rule_kind kind)
{
	const struct schema_rule *row = &schema_rules[kind];

	memset(rule, 0, sizeof(*rule));
	rule->kind = RULE_NONE;
	if ((row->keywords & in->present) == 0)
		return true;
	rule->kind = kind;
	return row->compile(c, in, rule);
}

/* Its rules stay where they are from here on. */
static void
add_pending(struct compiler *c, struct rule *rule, const struct keywords *in)
{
	bool dynamic = in->of[KEY_REF] == NULL;
	const cJSON *ref = in->of[dynamic ? KEY_DYNAMIC_REF : KEY_REF];

	c->pending = xrealloc(c->pending,
	    (c->pending_count + 1) * sizeof(*c->pending));
	c->pending[c->pending_count++] = (struct pending){ .rule = rule,
		.resource = c->resource, .ref = ref->valuestring,
		.dynamic = dynamic };
}

static void
keep_rules(struct compiler *c, struct subschema *s, const struct rule *rules,
    size_t n, const struct keywords *in)
{
	if (n == 0)
		return;
	s->rules = xcalloc(n, sizeof(*rules));
	memcpy(s->rules, rules, n * sizeof(*rules));
	s->n = (unsigned char)n;
	for (size_t i = 0; i < n; i++) {
		if (rules[i].kind == RULE_REF)
			add_pending(c, &s->rules[i], in);
	}
}

static bool
compile_rules(struct compiler *c, struct subschema *s,
    const struct keywords *in)
{
	struct rule rules[RULES];
	size_t n = 0;
	bool ok = true;

	for (unsigned kind = 0; ok && kind < RULES; kind++) {
		c->now = s;
		ok = compile_rule(c, in, &rules[n], kind);
		if (rules[n].kind != RULE_NONE)
			n++;
	}
	/* References are followed, and the rest freed, where the rules are kept. */
	keep_rules(c, s, rules, n, in);
	return ok;
}

/* Subschemas ------------------------------------------------------------------- */

static bool
compile_object(struct compiler *c, struct subschema *s, cJSON *json)
{
	struct keywords in;

	schema_keywords_read(&in, json);
	if (in.of[KEY_REF] != NULL && c->refs.alone) {
		in.present = UINT64_C(1) << KEY_REF;
		in.of[KEY_TYPE] = NULL;
	}
	if (in.of[KEY_TYPE] != NULL && !compile_type(c, s, in.of[KEY_TYPE]))
		return false;
	return compile_rules(c, s, &in);
}

/*
 * There before it is filled, so that it may hold itself. cJSON uses valueint for
 * numbers and booleans alone: of objects it says which has been made.
 */
static struct subschema *
add_subschema(struct compiler *c, cJSON *json)
{
	struct subschema *s = xcalloc(1, sizeof(*s));

	s->types = TYPE_ANY;
	s->next = c->schema->all;
	c->schema->all = s;
	c->made = xrealloc(c->made, (c->n + 1) * sizeof(struct subschema *));
	c->made[c->n++] = s;
	json->valueint = (int)c->n;
	return s;
}

const struct subschema *
schema_compile(struct compiler *c, cJSON *json)
{
	const struct subschema *before = c->now;
	cJSON *resource = c->resource;
	struct subschema *s;
	bool ok;

	if (cJSON_IsBool(json))
		return cJSON_IsTrue(json) ? &schema_any : &schema_none;
	if (!cJSON_IsObject(json)) {
		schema_refuse(c, "a schema must be an object");
		return NULL;
	}
	if (json->valueint > 0)
		return c->made[json->valueint - 1];
	if (c->depth == DEPTH_MAX) {
		schema_refuse(c, "the schema nests too deeply");
		return NULL;
	}
	s = add_subschema(c, json);
	if (schema_refs_is_resource(&c->refs, json))
		c->resource = json;
	c->depth++;
	ok = compile_object(c, s, json);
	c->depth--;
	c->resource = resource;
	c->now = before;
	return ok ? s : NULL;
}

struct schema_list *
schema_compile_list(struct compiler *c, cJSON *json)
{
	size_t n = (size_t)cJSON_GetArraySize(json);
	struct schema_list *list;
	cJSON *item;

	list = xcalloc(1, sizeof(*list) + n * sizeof(list->of[0]));
	cJSON_ArrayForEach(item, json) {
		const struct subschema *s = schema_compile(c, item);

		if (s == NULL) {
			free(list);
			return NULL;
		}
		list->of[list->n++] = s;
	}
	return list;
}

const struct rule *
schema_rule_of(const struct subschema *s, enum rule_kind kind)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->rules[i].kind == kind)
			return &s->rules[i];
	}
	return NULL;
}

/* The document ----------------------------------------------------------------- */

/* What references lead to may hold more of them. */
static bool
follow_references(struct compiler *c)
{
	for (size_t i = 0; i < c->pending_count; i++) {
		struct pending p = c->pending[i];
		cJSON *target = schema_refs_find(&c->refs, p.ref, p.dynamic,
		    &p.resource);

		if (!cJSON_IsObject(target) && !cJSON_IsBool(target))
			continue;
		c->resource = p.resource;
		p.rule->schema = schema_compile(c, target);
		if (p.rule->schema == NULL)
			return false;
	}
	return true;
}

static bool
compile_document(struct compiler *c, cJSON *json)
{
	c->resource = json;
	c->schema->root = schema_compile(c, json);
	return c->schema->root != NULL && follow_references(c);
}

struct schema *
schema_new(const char *text, const char **reason)
{
	struct compiler c = { .reason = NULL };
	cJSON *json = cJSON_ParseWithOpts(text, NULL, true);

	if (json == NULL) {
		*reason = "not JSON";
		return NULL;
	}
	number_keep_all(json, slice_str(text), NUMBER_AS_WRITTEN);
	c.schema = xcalloc(1, sizeof(*c.schema));
	schema_refs_init(&c.refs, json);
	if (!compile_document(&c, json)) {
		*reason = c.reason;
		schema_free(c.schema);
		c.schema = NULL;
	}
	schema_refs_release(&c.refs);
	free(c.made);
	free(c.pending);
	cJSON_Delete(json);
	return c.schema;
}

void
schema_let_overlap(struct schema *s)
{
	s->overlap = true;
}

bool
schema_is_of_objects(const struct schema *s)
{
	return s->root->types == TYPE_OBJECT;
}

void
schema_free(struct schema *s)
{
	struct subschema *sub, *next;

	for (sub = s != NULL ? s->all : NULL; sub != NULL; sub = next) {
		next = sub->next;
		for (size_t i = 0; i < sub->n; i++)
			release_rule(&sub->rules[i]);
		free(sub->rules);
		free(sub);
	}
	free(s);
}
