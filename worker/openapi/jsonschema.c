#include "worker/openapi/jsonschema_private.h"

#include "worker/openapi/spec.h"

/* The runtime reads schemas no deeper than 64, of which each has up to two. */
#define NESTING_MAX 26

static void
add_text(
    struct jsonschema *w, struct object *o, const char *name, const char *text)
{
	object_add_name(w, o, name);
	strbuf_add_json(w->sb, slice_str(text));
}

/* What a parameter says comes before what its schema says. */
static void
add_says(struct jsonschema *w, struct object *o, const struct parameter *says)
{
	if (says != NULL && says->description != NULL) {
		add_text(w, o, "description", says->description);
		o->described = true;
	}
	if (says != NULL && says->fallback != NULL) {
		object_add_name(w, o, "default");
		strbuf_add_str(w->sb, says->fallback);
		o->has_default = true;
	}
}

static void
write_cut(struct jsonschema *w, struct place target, struct slice ref,
    const struct parameter *says)
{
	struct object o = { .at = target, .empty = true };
	const char *type = keywords_type(node_get(target.node, "type"));
	struct strbuf text = STRBUF_INIT(1024);

	w->left_out++;
	add_says(w, &o, says);
	if (type != NULL)
		add_text(w, &o, "type", type);
	strbuf_addf(&text, "(cut here: see %.*s)", SLICE_ARG(ref));
	if (!o.described)
		add_text(w, &o, "description", strbuf_str(&text));
	strbuf_release(&text);
	object_end(w, &o);
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

/* text: a description in place of the target's, unless it is empty. */
static void
write_target(struct jsonschema *w, struct place at, struct slice text,
    const struct parameter *says)
{
	struct slice ref = node_string(node_get(at.node, "$ref"));
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
		jsonschema_write_part(w, target, &own);
		w->depth--;
	}
	strbuf_release(&description);
}

/* Beside a $ref, as OpenAPI 3.1 has it: both hold. */
static void
write_beside(
    struct jsonschema *w, struct place at, const struct parameter *says)
{
	struct object o = { .at = at, .empty = true };
	struct object beside = { .at = at,
		.empty = true,
		.described = true,
		.has_default = true };

	add_says(w, &o, says);
	keywords_annotate(w, &o);
	object_add_name(w, &o, "allOf");
	strbuf_add_char(w->sb, '[');
	w->joined++;
	write_target(w, at, SLICE_NONE, NULL);
	strbuf_add_char(w->sb, ',');
	keywords_write(w, &beside);
	object_end(w, &beside);
	w->joined--;
	strbuf_add_char(w->sb, ']');
	object_end(w, &o);
}

static void
write_ref(struct jsonschema *w, struct place at, const struct parameter *says)
{
	if (w->spec->version == SPEC_3_1 && keywords_ask(at.node))
		write_beside(w, at, says);
	else
		write_target(w, at,
		    node_string(node_get(at.node, "description")), says);
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
	bool wrap;

	o.nullable = is_nullable(w, at);
	/* Null may join a type, if that is all that has to fit. */
	wrap = o.nullable && (node_get(at.node, "type") == NULL ||
	    node_get(at.node, "allOf") != NULL ||
	    node_get(at.node, "oneOf") != NULL ||
	    node_get(at.node, "anyOf") != NULL);
	if (wrap)
		strbuf_add_str(w->sb, "{\"anyOf\":[");
	add_says(w, &o, says);
	keywords_write(w, &o);
	object_end(w, &o);
	if (wrap)
		strbuf_add_str(w->sb, ",{\"type\":\"null\"}]}");
}

void
jsonschema_write_part(
    struct jsonschema *w, struct place at, const struct parameter *says)
{
	if (!strbuf_ok(w->sb) || w->error->n > 0)
		return;
	if (w->nesting == NESTING_MAX) {
		w->left_out++;
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

void
jsonschema_write(
    struct jsonschema *w, struct place at, const struct parameter *says)
{
	struct place whole = w->whole;
	unsigned joined = w->joined;

	w->whole = at;
	w->joined = 0;
	jsonschema_write_part(w, at, says);
	w->whole = whole;
	w->joined = joined;
}
