#include "worker/openapi/jsonschema.h"

#include "worker/openapi/spec.h"

/* The runtime reads schemas no deeper than 32. */
#define NESTING_MAX 26

/* One schema that is being written. */
struct object {
	struct place at;
	bool nullable;  /* OpenAPI 3.0, Swagger 2.0 */
	bool empty;     /* nothing written yet */
	bool described; /* description is written already */
	bool has_default;
};

static void
add_name(struct jsonschema *w, struct object *o, const char *name)
{
	strbuf_add_char(w->sb, o->empty ? '{' : ',');
	strbuf_add_json(w->sb, slice_str(name));
	strbuf_add_char(w->sb, ':');
	o->empty = false;
}

static void
end(struct jsonschema *w, struct object *o)
{
	strbuf_add_str(w->sb, o->empty ? "{}" : "}");
}

static void
add_text(
    struct jsonschema *w, struct object *o, const char *name, const char *text)
{
	add_name(w, o, name);
	strbuf_add_json(w->sb, slice_str(text));
}

/* Keywords --------------------------------------------------------------- */

static const char *const type_names[] = { "null", "boolean", "object", "array",
	"number", "string", "integer" };

/* NULL for what JSON Schema does not know. */
static const char *
type_name(const struct node *node)
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
	const char *name = type_name(value);
	const char *between = "";

	if (name != NULL) {
		add_name(w, o, as);
		strbuf_addf(
		    w->sb, o->nullable ? "[\"%s\",\"null\"]" : "\"%s\"", name);
		return;
	}
	if (!node_is(value, NODE_ARRAY) || node_count(value) == 0)
		return;
	for (size_t i = 0; i < node_count(value); i++) {
		if (type_name(node_item(value, i)) == NULL)
			return;
	}
	add_name(w, o, as);
	strbuf_add_char(w->sb, '[');
	for (size_t i = 0; i < node_count(value); i++) {
		strbuf_addf(
		    w->sb, "%s\"%s\"", between, type_name(node_item(value, i)));
		between = ",";
	}
	strbuf_add_char(w->sb, ']');
}

static void
write_value(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	add_name(w, o, as);
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
	add_name(w, o, as);
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

static struct place
in(const struct object *o, const struct node *node)
{
	return (struct place){ o->at.document, node };
}

/* Only answers have it. */
static bool
is_read_only(struct jsonschema *w, struct place at)
{
	struct strbuf error = STRBUF_INIT(512);
	bool yes = node_is_true(node_get(at.node, "readOnly"));

	/* A reference that leads nowhere is told when it is written. */
	if (!yes && refs_follow(w->spec->refs, &at, &error))
		yes = node_is_true(node_get(at.node, "readOnly"));
	strbuf_release(&error);
	return yes;
}

static void
write_properties(struct jsonschema *w, struct object *o,
    const struct node *value, const char *as)
{
	const char *between = "";

	if (!node_is(value, NODE_OBJECT))
		return;
	add_name(w, o, as);
	strbuf_add_char(w->sb, '{');
	for (size_t i = 0; i < node_count(value); i++) {
		const struct member *m = node_member(value, i);

		if (is_read_only(w, in(o, &m->value)))
			continue;
		strbuf_add_str(w->sb, between);
		strbuf_add_json(w->sb, member_name(m));
		strbuf_add_char(w->sb, ':');
		jsonschema_write(w, in(o, &m->value), NULL);
		between = ",";
	}
	strbuf_add_char(w->sb, '}');
}

/* Names; in Swagger 2.0 parameters and old drafts it is a boolean. */
static void
write_required(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	const struct node *properties = node_get(o->at.node, "properties");
	size_t n = node_is(value, NODE_ARRAY) ? node_count(value) : 0;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		const struct node *name = node_item(value, i);
		const struct node *of =
		    node_find(properties, node_string(name));

		if (!node_is(name, NODE_STRING) || is_read_only(w, in(o, of)))
			continue;
		if (!any)
			add_name(w, o, as);
		strbuf_add_char(w->sb, any ? ',' : '[');
		node_write(w->sb, name);
		any = true;
	}
	if (any)
		strbuf_add_char(w->sb, ']');
}

static void
write_sub(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	if (!node_is(value, NODE_OBJECT) && !node_is(value, NODE_BOOL))
		return;
	add_name(w, o, as);
	jsonschema_write(w, in(o, value), NULL);
}

/* False stays false: the runtime takes it here, and it is the usual case. */
static void
write_additional(struct jsonschema *w, struct object *o,
    const struct node *value, const char *as)
{
	if (node_is(value, NODE_BOOL) || node_is(value, NODE_OBJECT)) {
		add_name(w, o, as);
		if (node_count(value) > 0)
			jsonschema_write(w, in(o, value), NULL);
		else
			node_write(w->sb, value);
	}
}

static void
write_list(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	if (!node_is(value, NODE_ARRAY) || node_count(value) == 0)
		return;
	add_name(w, o, as);
	for (size_t i = 0; i < node_count(value); i++) {
		strbuf_add_char(w->sb, i == 0 ? '[' : ',');
		jsonschema_write(w, in(o, node_item(value, i)), NULL);
	}
	strbuf_add_char(w->sb, ']');
}

static const struct keyword {
	const char *name;
	void (*write)(struct jsonschema *w, struct object *o,
	    const struct node *value, const char *as);
} keywords[] = {
	{ "type", write_type },
	{ "description", write_description },
	{ "format", write_text },
	{ "enum", write_enum },
	{ "const", write_value },
	{ "default", write_default },
	{ "properties", write_properties },
	{ "required", write_required },
	{ "items", write_sub },
	{ "additionalProperties", write_additional },
	{ "allOf", write_list },
	{ "oneOf", write_list },
	{ "anyOf", write_list },
	{ "not", write_sub },
	{ "minimum", write_minimum },
	{ "maximum", write_maximum },
	{ "exclusiveMinimum", write_number },
	{ "exclusiveMaximum", write_number },
	{ "multipleOf", write_number },
	{ "minLength", write_number },
	{ "maxLength", write_number },
	{ "pattern", write_text },
	{ "minItems", write_number },
	{ "maxItems", write_number },
	{ "uniqueItems", write_bool },
	{ "minProperties", write_number },
	{ "maxProperties", write_number },
	{ "prefixItems", write_list },
	{ "contains", write_sub },
	{ "propertyNames", write_sub },
	{ "patternProperties", write_properties },
	{ "dependentSchemas", write_properties },
	{ "contentEncoding", write_text },
	{ "contentMediaType", write_text },
	{ "if", write_sub },
	{ "then", write_sub },
	{ "else", write_sub },
};

static void
write_keywords(struct jsonschema *w, struct object *o)
{
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		const struct node *value =
		    node_get(o->at.node, keywords[i].name);

		if (value != NULL)
			keywords[i].write(w, o, value, keywords[i].name);
	}
}

/* Schemas ---------------------------------------------------------------- */

/* What a parameter says comes before what its schema says. */
static void
add_says(struct jsonschema *w, struct object *o, const struct parameter *says)
{
	if (says != NULL && says->description != NULL) {
		add_text(w, o, "description", says->description);
		o->described = true;
	}
	if (says != NULL && says->fallback != NULL) {
		add_name(w, o, "default");
		strbuf_add_str(w->sb, says->fallback);
		o->has_default = true;
	}
}

static void
write_cut(struct jsonschema *w, struct place target, struct slice ref,
    const struct parameter *says)
{
	struct object o = { .at = target, .empty = true };
	const char *type = type_name(node_get(target.node, "type"));
	struct strbuf text = STRBUF_INIT(1024);

	add_says(w, &o, says);
	if (type != NULL)
		add_text(w, &o, "type", type);
	strbuf_addf(&text, "(cut here: see %.*s)", SLICE_ARG(ref));
	if (!o.described)
		add_text(w, &o, "description", strbuf_str(&text));
	strbuf_release(&text);
	end(w, &o);
}

static bool
is_open(const struct jsonschema *w, const struct node *target)
{
	for (unsigned i = 0; i < w->depth; i++) {
		if (w->stack[i] == target)
			return true;
	}
	return false;
}

static void
write_ref(struct jsonschema *w, struct place at, const struct parameter *says)
{
	struct slice ref = node_string(node_get(at.node, "$ref"));
	struct slice text = node_string(node_get(at.node, "description"));
	struct parameter own = says ? *says : (struct parameter){ 0 };
	struct strbuf description = STRBUF_INIT(64 << 10);
	struct place target = at;

	if (own.description == NULL && text.n > 0) {
		strbuf_add_slice(&description, text);
		own.description = strbuf_str(&description);
	}
	if (!refs_follow(w->spec->refs, &target, w->error)) {
		strbuf_add_str(w->sb, "{}");
	} else if (is_open(w, target.node) || w->depth >= w->refs_max) {
		write_cut(w, target, ref, &own);
	} else {
		w->stack[w->depth++] = target.node;
		jsonschema_write(w, target, &own);
		w->depth--;
	}
	strbuf_release(&description);
}

static bool
is_nullable(const struct jsonschema *w, struct place at)
{
	return w->spec->version != SPEC_3_1 &&
	       (node_is_true(node_get(at.node, "nullable")) ||
		   node_is_true(node_get(at.node, "x-nullable")));
}

static void
write_object(
    struct jsonschema *w, struct place at, const struct parameter *says)
{
	struct object o = { .at = at, .empty = true };
	bool wrap = false;

	o.nullable = is_nullable(w, at);
	/* Without a type there is nothing that null could join. */
	if (o.nullable && node_get(at.node, "type") == NULL) {
		wrap = true;
		strbuf_add_str(w->sb, "{\"anyOf\":[");
	}
	add_says(w, &o, says);
	write_keywords(w, &o);
	end(w, &o);
	if (wrap)
		strbuf_add_str(w->sb, ",{\"type\":\"null\"}]}");
}

void
jsonschema_write(
    struct jsonschema *w, struct place at, const struct parameter *says)
{
	if (!strbuf_ok(w->sb) || w->error->n > 0)
		return;
	if (w->nesting == NESTING_MAX) {
		strbuf_add_str(
		    w->sb, "{\"description\":\"(cut here: nested deeply)\"}");
		return;
	}
	w->nesting++;
	if (node_is(at.node, NODE_BOOL) && !node_is_true(at.node))
		strbuf_add_str(w->sb, "{\"not\":{}}");
	else if (node_string(node_get(at.node, "$ref")).p != NULL)
		write_ref(w, at, says);
	else
		write_object(w, at, says);
	w->nesting--;
}
