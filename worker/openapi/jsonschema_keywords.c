#include "worker/openapi/jsonschema_private.h"

#include <math.h>
#include <stdlib.h>

#include "worker/openapi/spec.h"

void
object_add_name(struct jsonschema *w, struct object *o, const char *name)
{
	strbuf_add_char(w->sb, o->empty ? '{' : ',');
	strbuf_add_json(w->sb, slice_str(name));
	strbuf_add_char(w->sb, ':');
	o->empty = false;
}

void
object_end(struct jsonschema *w, struct object *o)
{
	strbuf_add_str(w->sb, o->empty ? "{}" : "}");
}

/* Values ----------------------------------------------------------------- */

static const char *const type_names[] = { "null", "boolean", "object", "array",
	"number", "string", "integer" };

/* NULL for what JSON Schema does not know. */
const char *
keywords_type(const struct node *node)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (node_eq(node, type_names[i]))
			return type_names[i];
	}
	/* Swagger 2.0's upload. */
	return node_eq(node, "file") ? "string" : NULL;
}

static void
write_type(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	const char *name = keywords_type(value);
	const char *between = "";

	if (name != NULL) {
		object_add_name(w, o, as);
		strbuf_addf(
		    w->sb, o->nullable ? "[\"%s\",\"null\"]" : "\"%s\"", name);
		return;
	}
	if (!node_is(value, NODE_ARRAY) || node_count(value) == 0)
		return;
	for (size_t i = 0; i < node_count(value); i++) {
		if (keywords_type(node_item(value, i)) == NULL)
			return;
	}
	object_add_name(w, o, as);
	strbuf_add_char(w->sb, '[');
	for (size_t i = 0; i < node_count(value); i++) {
		strbuf_addf(
		    w->sb, "%s\"%s\"", between, keywords_type(node_item(value, i)));
		between = ",";
	}
	strbuf_add_char(w->sb, ']');
}

static void
write_value(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	object_add_name(w, o, as);
	node_write(w->sb, value);
}

static void
write_text(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	if (node_is(value, NODE_STRING))
		write_value(w, o, value, as);
}

static void
write_description(struct jsonschema *w, struct object *o,
    const struct node *value, const char *as)
{
	if (!o->described && node_string(value).n > 0)
		write_value(w, o, value, as);
}

static void
write_default(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	if (!o->has_default)
		write_value(w, o, value, as);
}

static void
write_number(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	if (node_is(value, NODE_NUMBER))
		write_value(w, o, value, as);
}

/* A number of things. */
static void
write_count(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	struct slice text = node_text(value);

	if (node_is(value, NODE_NUMBER) && text.p[0] != '-')
		write_value(w, o, value, as);
}

static void
write_multiple(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	struct strbuf text = STRBUF_INIT(64);
	double v;

	strbuf_add_slice(&text, node_text(value));
	v = strtod(strbuf_str(&text), NULL);
	if (node_is(value, NODE_NUMBER) && isfinite(v) && v > 0)
		write_value(w, o, value, as);
	strbuf_release(&text);
}

static void
write_bool(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	if (node_is_true(value))
		write_value(w, o, value, as);
}

static void
write_enum(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	bool has_null = false;

	if (!node_is(value, NODE_ARRAY) || node_count(value) == 0)
		return;
	object_add_name(w, o, as);
	strbuf_add_char(w->sb, '[');
	for (size_t i = 0; i < node_count(value); i++) {
		const struct node *one = node_item(value, i);

		has_null |= one->type == NODE_NULL;
		if (i > 0)
			strbuf_add_char(w->sb, ',');
		node_write(w->sb, one);
	}
	strbuf_add_str(w->sb, o->nullable && !has_null ? ",null]" : "]");
}

/* "minimum" and "exclusiveMinimum": true make one number. */
static bool
is_exclusive(const struct object *o, const char *name)
{
	return node_is_true(node_get(o->at.node, name));
}

static void
write_minimum(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	write_number(w, o, value,
	    is_exclusive(o, "exclusiveMinimum") ? "exclusiveMinimum" : as);
}

static void
write_maximum(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	write_number(w, o, value,
	    is_exclusive(o, "exclusiveMaximum") ? "exclusiveMaximum" : as);
}

/* Schemas ---------------------------------------------------------------- */

static void
write_sub(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	if (!node_is(value, NODE_OBJECT) && !node_is(value, NODE_BOOL))
		return;
	object_add_name(w, o, as);
	jsonschema_write(w, object_in(o, value), NULL);
}

/*
 * What is unlike the original only in asking for less would ask for more within a
 * "not" and its kin: then that is left out, too.
 */
static void
write_exact(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	unsigned left_out = w->left_out;
	size_t n = w->sb->n;
	bool empty = o->empty;

	write_sub(w, o, value, as);
	if (w->left_out == left_out)
		return;
	w->sb->n = n;
	o->empty = empty;
}

static void
write_if(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	unsigned left_out = w->left_out;

	write_exact(w, o, value, as);
	o->unconditional = w->left_out != left_out;
}

static void
write_then(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	if (o->unconditional)
		return;
	object_add_name(w, o, as);
	jsonschema_write_part(w, object_in(o, value), NULL);
}

/* What more than one schema says of a value cannot be closed by one of them. */
static bool
is_joined(const struct jsonschema *w, const struct object *o)
{
	return w->joined > 0 || node_get(o->at.node, "allOf") != NULL ||
	       node_get(o->at.node, "anyOf") != NULL ||
	       node_get(o->at.node, "oneOf") != NULL;
}

/*
 * False stays false: it is the usual case. Beside allOf and its kin it is a mistake
 * that descriptions make and servers do not: nothing would fit.
 */
static void
write_additional(struct jsonschema *w, struct object *o,
    const struct node *value, const char *as)
{
	if (node_is(value, NODE_BOOL) && is_joined(w, o)) {
		w->left_out++;
	} else if (node_is(value, NODE_BOOL) || node_is(value, NODE_OBJECT)) {
		object_add_name(w, o, as);
		if (node_count(value) > 0)
			jsonschema_write(w, object_in(o, value), NULL);
		else
			node_write(w->sb, value);
	}
}

/* Alternatives and parts ------------------------------------------------- */

static void
write_list_with(struct jsonschema *w, struct object *o,
    const struct node *value, const char *as,
    void (*write)(struct jsonschema *w, struct place at,
	const struct parameter *says))
{
	if (!node_is(value, NODE_ARRAY) || node_count(value) == 0)
		return;
	object_add_name(w, o, as);
	for (size_t i = 0; i < node_count(value); i++) {
		strbuf_add_char(w->sb, i == 0 ? '[' : ',');
		write(w, object_in(o, node_item(value, i)), NULL);
	}
	strbuf_add_char(w->sb, ']');
}

static void
write_list(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	write_list_with(w, o, value, as, jsonschema_write);
}

static void
write_all_of(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	w->joined++;
	write_list_with(w, o, value, as, jsonschema_write_part);
	w->joined--;
}

static void
write_alternatives(struct jsonschema *w, struct object *o,
    const struct node *value, const char *as)
{
	write_list_with(w, o, value, as, jsonschema_write_part);
}

static const struct keyword {
	const char *name;
	keyword_write_fn *write;
} keywords[] = {
	{ "type", write_type },
	{ "description", write_description },
	{ "format", write_text },
	{ "enum", write_enum },
	{ "const", write_value },
	{ "default", write_default },
	{ "properties", keywords_properties },
	{ "required", keywords_required },
	{ "items", write_sub },
	{ "additionalProperties", write_additional },
	{ "allOf", write_all_of },
	{ "oneOf", write_alternatives },
	{ "anyOf", write_alternatives },
	{ "not", write_exact },
	{ "minimum", write_minimum },
	{ "maximum", write_maximum },
	{ "exclusiveMinimum", write_number },
	{ "exclusiveMaximum", write_number },
	{ "multipleOf", write_multiple },
	{ "minLength", write_count },
	{ "maxLength", write_count },
	{ "pattern", write_text },
	{ "minItems", write_count },
	{ "maxItems", write_count },
	{ "uniqueItems", write_bool },
	{ "minProperties", write_count },
	{ "maxProperties", write_count },
	{ "prefixItems", write_list },
	{ "contains", write_exact },
	{ "minContains", write_count },
	{ "maxContains", write_count },
	{ "propertyNames", write_sub },
	{ "patternProperties", keywords_properties },
	{ "dependentRequired", keywords_dependent },
	{ "dependentSchemas", keywords_properties },
	{ "contentEncoding", write_text },
	{ "contentMediaType", write_text },
	{ "if", write_if },
	{ "then", write_then },
	{ "else", write_then },
};

static bool
is_annotation(const struct keyword *k)
{
	return k->write == write_description || k->write == write_default;
}

static void
write_some(struct jsonschema *w, struct object *o, bool annotations)
{
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		const struct keyword *k = &keywords[i];
		const struct node *value = node_get(o->at.node, k->name);

		if (value != NULL && (!annotations || is_annotation(k)))
			k->write(w, o, value, k->name);
	}
}

void
keywords_write(struct jsonschema *w, struct object *o)
{
	write_some(w, o, false);
}

void
keywords_annotate(struct jsonschema *w, struct object *o)
{
	write_some(w, o, true);
}

bool
keywords_ask(const struct node *node)
{
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		if (!is_annotation(&keywords[i]) &&
		    node_get(node, keywords[i].name) != NULL)
			return true;
	}
	return false;
}
