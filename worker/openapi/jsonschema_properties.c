/* Keywords about properties, but for those that only answers have (readOnly). */
#include "worker/openapi/jsonschema_private.h"

#include "worker/openapi/spec.h"

/* Alternatives within alternatives whose properties are looked at. */
#define PARTS_DEPTH_MAX 6

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

static bool hides(
    struct jsonschema *w, struct place at, struct slice name, unsigned depth);

static bool
part_hides(struct jsonschema *w, struct place list, struct slice name,
    unsigned depth)
{
	for (size_t i = 0; node_is(list.node, NODE_ARRAY) &&
			   i < node_count(list.node);
	     i++) {
		struct place part = { list.document, node_item(list.node, i) };

		if (hides(w, part, name, depth))
			return true;
	}
	return false;
}

/* Does a schema, or one it is made of, have that property for answers only? */
static bool
hides(struct jsonschema *w, struct place at, struct slice name, unsigned depth)
{
	struct strbuf error = STRBUF_INIT(512);
	bool found = refs_follow(w->spec->refs, &at, &error);
	struct place of = { at.document, node_find(
	    node_get(at.node, "properties"), name) };

	strbuf_release(&error);
	if (!found || depth == PARTS_DEPTH_MAX)
		return false;
	if (of.node != NULL)
		return is_read_only(w, of);
	return part_hides(w, place_get(at, "allOf"), name, depth + 1) ||
	       part_hides(w, place_get(at, "oneOf"), name, depth + 1) ||
	       part_hides(w, place_get(at, "anyOf"), name, depth + 1);
}

void
keywords_properties(struct jsonschema *w, struct object *o,
    const struct node *value, const char *as)
{
	const char *between = "";

	if (!node_is(value, NODE_OBJECT))
		return;
	object_add_name(w, o, as);
	strbuf_add_char(w->sb, '{');
	for (size_t i = 0; i < node_count(value); i++) {
		const struct member *m = node_member(value, i);

		if (is_read_only(w, object_in(o, &m->value))) {
			w->left_out++;
			continue;
		}
		strbuf_add_str(w->sb, between);
		strbuf_add_json(w->sb, member_name(m));
		strbuf_add_char(w->sb, ':');
		jsonschema_write(w, object_in(o, &m->value), NULL);
		between = ",";
	}
	strbuf_add_char(w->sb, '}');
}

/* May the model be asked for it? Only what answers have may not. */
static bool
is_asked(struct jsonschema *w, struct object *o, const struct node *name)
{
	return node_is(name, NODE_STRING) &&
	       !hides(w, o->at, node_string(name), 0) &&
	       !hides(w, w->whole, node_string(name), 0);
}

/* Names; in Swagger 2.0 parameters and old drafts it is a boolean. */
void
keywords_required(struct jsonschema *w, struct object *o, const struct node *value,
    const char *as)
{
	size_t n = node_is(value, NODE_ARRAY) ? node_count(value) : 0;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		const struct node *name = node_item(value, i);

		if (!is_asked(w, o, name)) {
			w->left_out++;
			continue;
		}
		if (!any)
			object_add_name(w, o, as);
		strbuf_add_char(w->sb, any ? ',' : '[');
		node_write(w->sb, name);
		any = true;
	}
	if (any)
		strbuf_add_char(w->sb, ']');
}

static bool
are_names(struct jsonschema *w, struct object *o, const struct node *list)
{
	if (!node_is(list, NODE_ARRAY))
		return false;
	for (size_t i = 0; i < node_count(list); i++) {
		if (!is_asked(w, o, node_item(list, i)))
			return false;
	}
	return true;
}

void
keywords_dependent(struct jsonschema *w, struct object *o,
    const struct node *value, const char *as)
{
	if (!node_is(value, NODE_OBJECT))
		return;
	for (size_t i = 0; i < node_count(value); i++) {
		if (are_names(w, o, &node_member(value, i)->value))
			continue;
		w->left_out++;
		return;
	}
	object_add_name(w, o, as);
	node_write(w->sb, value);
}
