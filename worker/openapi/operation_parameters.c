#include "worker/openapi/header.h"
#include "worker/openapi/spec.h"

static const struct {
	const char *name;
	enum parameter_in in;
	enum style style; /* OpenAPI's default */
} places[] = {
	{ "path", IN_PATH, STYLE_SIMPLE },
	{ "query", IN_QUERY, STYLE_FORM },
	{ "header", IN_HEADER, STYLE_SIMPLE },
	{ "cookie", IN_COOKIE, STYLE_FORM },
};

#define AT(in) (1u << (in))

static const struct {
	const char *name;
	enum style style;
	unsigned where; /* AT(IN_…) of those that it is defined for */
} styles[] = {
	{ "simple", STYLE_SIMPLE, AT(IN_PATH) | AT(IN_HEADER) },
	{ "label", STYLE_LABEL, AT(IN_PATH) },
	{ "matrix", STYLE_MATRIX, AT(IN_PATH) },
	{ "form", STYLE_FORM, AT(IN_QUERY) | AT(IN_COOKIE) },
	{ "cookie", STYLE_FORM, AT(IN_COOKIE) },
	{ "spaceDelimited", STYLE_SPACE, AT(IN_QUERY) },
	{ "pipeDelimited", STYLE_PIPE, AT(IN_QUERY) },
	{ "deepObject", STYLE_DEEP, AT(IN_QUERY) },
};

static const struct {
	const char *name;
	enum style style;
	bool explode;
} collections[] = {
	{ "csv", STYLE_FORM, false },
	{ "ssv", STYLE_SPACE, false },
	{ "tsv", STYLE_TAB, false },
	{ "pipes", STYLE_PIPE, false },
	{ "multi", STYLE_FORM, true },
};

/* How it is written ------------------------------------------------------ */

bool
operation_collection(struct parameter *p, struct place at)
{
	const struct node *format = node_get(at.node, "collectionFormat");

	p->encoding.style =
	    p->in == IN_PATH || p->in == IN_HEADER ? STYLE_SIMPLE : STYLE_FORM;
	p->encoding.explode = false;
	if (format == NULL)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(collections); i++) {
		if (!node_eq(format, collections[i].name))
			continue;
		if (collections[i].style != STYLE_FORM ||
		    p->encoding.style == STYLE_FORM)
			p->encoding.style = collections[i].style;
		p->encoding.explode = collections[i].explode;
		return true;
	}
	return false;
}

static bool
read_style(struct parameter *p, struct place at)
{
	const struct node *style = node_get(at.node, "style");
	const struct node *explode = node_get(at.node, "explode");
	bool known = style == NULL;

	p->encoding.style = places[p->in].style;
	for (size_t i = 0; !known && i < ARRAY_LEN(styles); i++) {
		known = node_eq(style, styles[i].name) &&
			(styles[i].where & AT(p->in)) != 0;
		if (known)
			p->encoding.style = styles[i].style;
	}
	p->encoding.explode = explode != NULL ? node_is_true(explode)
					      : p->encoding.style == STYLE_FORM;
	p->encoding.reserved = node_is_true(node_get(at.node, "allowReserved"));
	return known;
}

/* content: instead of a schema; JSON is what can be written. */
static bool
read_content(struct spec *s, struct parameter *p, struct place content)
{
	const struct member *m;
	struct slice type;

	if (node_count(content.node) != 1)
		return false;
	m = node_member(content.node, 0);
	type = member_name(m);
	p->encoding.json = true;
	p->schema = refs_get(
	    s->refs, (struct place){ content.document, &m->value }, "schema");
	return (type.n >= 4 && memcmp(type.p + type.n - 4, "json", 4) == 0);
}

static bool
read_encoding(struct spec *s, struct parameter *p, struct place at)
{
	struct place content = place_get(at, "content");

	if (s->version == SPEC_2) {
		p->schema = at;
		return operation_collection(p, at);
	}
	if (!read_style(p, at))
		return false;
	if (node_is(content.node, NODE_OBJECT))
		return read_content(s, p, content);
	p->schema = place_get(at, "schema");
	return true;
}

/* One parameter ---------------------------------------------------------- */

static bool
find_in(struct place at, enum parameter_in *in)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (node_eq(node_get(at.node, "in"), places[i].name)) {
			*in = places[i].in;
			return true;
		}
	}
	return false;
}

static struct parameter *
find(struct operation *op, enum parameter_in in, const char *name)
{
	for (size_t i = 0; i < op->parameter_count; i++) {
		struct parameter *p = &op->parameters[i];

		if (p->in == in && strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

static bool
in_template(const char *path, const char *name)
{
	size_t n = strlen(name);

	for (; (path = strchr(path, '{')) != NULL; path++) {
		if (strncmp(path + 1, name, n) == 0 && path[n + 1] == '}')
			return true;
	}
	return false;
}

/* Whether it is one to send; what HTTP itself sets is silently not ours. */
static bool
is_wanted(const struct operation *op, const struct parameter *p)
{
	if (p->in == IN_PATH)
		return in_template(op->path, p->name);
	return p->in != IN_HEADER || !header_is_reserved(p->name);
}

/*
 * Keeps the parameter; one of the operation takes the place of its path's. What
 * cannot be written is left out, unless nothing works without it.
 */
static bool
keep(struct operation *op, struct arena *arena, struct parameter p,
    const char *wrong)
{
	struct parameter *same = find(op, p.in, p.name);
	bool needed = p.required || p.in == IN_PATH;

	if (!is_wanted(op, &p))
		return true;
	if (wrong != NULL && needed)
		return operation_skip(
		    op, arena, "parameter %s: %s", p.name, wrong);
	if (wrong != NULL)
		return true;
	p.required = needed;
	if (same != NULL)
		*same = p;
	else
		op->parameters[op->parameter_count++] = p;
	return true;
}

static bool
map_one(
    struct spec *s, struct operation *op, struct arena *arena, struct place at)
{
	struct strbuf error = STRBUF_INIT(512);
	struct parameter p = { .description = NULL };
	struct slice name, says;
	const char *wrong = NULL;

	if (!refs_follow(s->refs, &at, &error)) {
		operation_skip(
		    op, arena, "a parameter: %s", strbuf_str(&error));
		strbuf_release(&error);
		return false;
	}
	strbuf_release(&error);
	name = node_string(node_get(at.node, "name"));
	says = node_string(node_get(at.node, "description"));
	p.name = arena_dup(arena, name);
	p.description = says.n > 0 ? arena_dup(arena, says) : NULL;
	p.required = node_is_true(node_get(at.node, "required"));
	/* Swagger's body and formData: operation_map_body() reads them. */
	if (s->version == SPEC_2 &&
	    (node_eq(node_get(at.node, "in"), "body") ||
		node_eq(node_get(at.node, "in"), "formData")))
		return true;
	if (name.n == 0)
		return operation_skip(op, arena, "a parameter has no name");
	if (!find_in(at, &p.in))
		return !p.required ||
		       operation_skip(op, arena,
			   "parameter %s: \"in\" is neither path, query, "
			   "header nor cookie",
			   p.name);
	if ((p.in == IN_HEADER || p.in == IN_COOKIE) && !header_name_ok(p.name))
		wrong = "its name is none for a header or cookie";
	else if (!read_encoding(s, &p, at))
		wrong = "its style or content cannot be written";
	return keep(op, arena, p, wrong);
}

/* All of them ------------------------------------------------------------ */

static bool
map_list(struct spec *s, struct operation *op, struct arena *arena,
    struct place list)
{
	size_t n = node_count(list.node);

	if (!node_is(list.node, NODE_ARRAY))
		return list.node == NULL ||
		       operation_skip(
			   op, arena, "its parameters are not a list");
	op->parameters = operation_more(op, arena, n) - op->parameter_count;
	for (size_t i = 0; i < n; i++) {
		struct place at = { list.document, node_item(list.node, i) };

		if (!map_one(s, op, arena, at))
			return false;
	}
	return true;
}

/* "page", or "page_query" where something else already has that name. */
static void
name_arguments(struct operation *op, struct arena *arena)
{
	for (size_t i = 0; i < op->parameter_count; i++) {
		struct parameter *p = &op->parameters[i];
		struct strbuf name = STRBUF_INIT(128);

		strbuf_add_str(
		    &name, operation_argument(arena, slice_str(p->name)));
		for (unsigned n = 2;
		     operation_argument_taken(op, p, strbuf_str(&name)); n++) {
			strbuf_reset(&name);
			strbuf_addf(&name, "%.48s_%s",
			    operation_argument(arena, slice_str(p->name)),
			    places[p->in].name);
			if (n > 2)
				strbuf_addf(&name, "_%u", n);
		}
		p->argument = arena_dup(arena, strbuf_slice(&name));
		strbuf_release(&name);
	}
}

static bool
check_template(struct operation *op, struct arena *arena)
{
	const char *from = op->path, *end;

	for (; (from = strchr(from, '{')) != NULL; from = end) {
		end = strchr(from, '}');
		char *name = arena_dup(
		    arena, slice_of(from + 1, (size_t)(end - from) - 1));

		if (find(op, IN_PATH, name) == NULL)
			return operation_skip(op, arena,
			    "path parameter %s is not described", name);
	}
	return true;
}

bool
operation_map_parameters(
    struct spec *s, struct operation *op, struct arena *arena)
{
	if (!map_list(s, op, arena, place_get(op->item, "parameters")) ||
	    !map_list(s, op, arena, place_get(op->at, "parameters")) ||
	    !check_template(op, arena))
		return false;
	name_arguments(op, arena);
	return true;
}
