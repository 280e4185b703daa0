#include <ctype.h>
#include <strings.h>

#include "worker/openapi/spec.h"

/* More properties than that are one argument: a list to read through. */
#define FLAT_MAX 100

static const char WHOLE[] = "body";

/* Media types ------------------------------------------------------------ */

static bool
type_is(struct slice type, const char *wanted)
{
	size_t n = strlen(wanted);

	return type.n >= n && strncasecmp(type.p, wanted, n) == 0 &&
	       (type.n == n || strchr("; \t", type.p[n]) != NULL);
}

static bool
type_ends(struct slice type, const char *end)
{
	size_t n = strlen(end);
	const char *semicolon = type.n > 0 ? memchr(type.p, ';', type.n) : NULL;

	if (semicolon != NULL)
		type.n = (size_t)(semicolon - type.p);
	return type.n >= n && strncasecmp(type.p + type.n - n, end, n) == 0;
}

/* Best first; the number of its row. The last is of all others. */
static size_t
rank(struct slice type, enum body_kind *kind)
{
	const bool fits[] = {
		type_is(type, "application/json"),
		type_ends(type, "+json"),
		type_is(type, "*/*") || type_is(type, "application/*"),
		type_is(type, "application/x-www-form-urlencoded"),
		type_is(type, "multipart/form-data"),
		type.n > 5 && strncasecmp(type.p, "text/", 5) == 0,
		type_is(type, "application/octet-stream"),
		true,
	};
	static const enum body_kind kinds[ARRAY_LEN(fits)] = { BODY_JSON,
		BODY_JSON, BODY_JSON, BODY_FORM, BODY_MULTIPART, BODY_RAW,
		BODY_RAW, BODY_RAW };
	size_t i = 0;

	while (!fits[i])
		i++;
	*kind = kinds[i];
	return i;
}

/* What becomes a header; ranges (image/…) are none, then it is otherwise. */
static const char *
media_type_of(struct arena *arena, struct slice type, const char *otherwise)
{
	for (size_t i = 0; i < type.n; i++) {
		if ((unsigned char)type.p[i] < ' ' || type.p[i] == 0x7f ||
		    type.p[i] == '*')
			return otherwise;
	}
	return arena_dup(arena, type);
}

/* Properties as arguments ------------------------------------------------ */

static bool
has_any(struct place schema, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (node_get(schema.node, *names) != NULL)
			return true;
	}
	return false;
}

/* An object whose properties are all that it can have. */
static bool
is_plain_object(struct place schema)
{
	static const char *const more[] = { "allOf", "oneOf", "anyOf", "not",
		"if", "patternProperties", "dependentSchemas", NULL };
	const struct node *others =
	    node_get(schema.node, "additionalProperties");
	const struct node *type = node_get(schema.node, "type");
	size_t n = node_count(node_get(schema.node, "properties"));

	return (type == NULL || node_eq(type, "object")) && n > 0 &&
	       n <= FLAT_MAX && !has_any(schema, more) &&
	       !node_is(others, NODE_OBJECT);
}

static bool
is_required(struct place schema, struct slice name)
{
	const struct node *list = node_get(schema.node, "required");

	for (size_t i = 0; node_is(list, NODE_ARRAY) && i < node_count(list);
	     i++) {
		if (slice_eq(node_string(node_item(list, i)), name))
			return true;
	}
	return false;
}

/* encoding: of that property, for forms and parts. */
static void
read_encoding(
    struct parameter *p, const struct node *encoding, struct arena *arena)
{
	const struct node *style = node_get(encoding, "style");
	const struct node *explode = node_get(encoding, "explode");
	struct slice type = node_string(node_get(encoding, "contentType"));

	p->encoding.style = STYLE_FORM;
	p->encoding.explode = true;
	if (node_eq(style, "deepObject"))
		p->encoding.style = STYLE_DEEP;
	else if (node_eq(style, "spaceDelimited"))
		p->encoding.style = STYLE_SPACE;
	else if (node_eq(style, "pipeDelimited"))
		p->encoding.style = STYLE_PIPE;
	p->encoding.explode = explode != NULL ? node_is_true(explode)
					      : p->encoding.style == STYLE_FORM;
	if (type.p == NULL)
		return;
	if (memchr(type.p, ',', type.n) == NULL)
		p->encoding.content_type =
		    media_type_of(arena, type, "application/octet-stream");
	p->encoding.json = type_ends(type, "json");
}

/* Bytes rather than text: an upload. */
static bool
is_file(struct spec *s, struct place schema)
{
	struct place items = refs_get(s->refs, schema, "items");

	return node_eq(node_get(schema.node, "format"), "binary") ||
	       node_eq(node_get(schema.node, "type"), "file") ||
	       node_get(schema.node, "contentMediaType") != NULL ||
	       node_eq(node_get(items.node, "format"), "binary");
}

/* Fills *p; false for what only answers have (readOnly). */
static bool
make_field(struct spec *s, struct parameter *p, struct place schema, size_t i,
    struct arena *arena)
{
	struct place properties = place_get(schema, "properties");
	const struct member *m = node_member(properties.node, i);
	struct place to = { properties.document, &m->value };
	struct strbuf error = STRBUF_INIT(512);

	*p = (struct parameter){
		.in = IN_FIELD,
		.name = arena_dup(arena, member_name(m)),
		.argument = operation_argument(arena, member_name(m)),
		.required = is_required(schema, member_name(m)),
		.schema = to,
	};
	if (!refs_follow(s->refs, &to, &error))
		to.node = NULL;
	strbuf_release(&error);
	p->encoding.file = is_file(s, to);
	return !node_is_true(node_get(to.node, "readOnly"));
}

/* False: names collide, or the body is no plain object. */
static bool
map_flat(struct spec *s, struct operation *op, struct arena *arena,
    struct place schema, const struct node *encodings)
{
	size_t before = op->parameter_count, n;
	struct parameter *p;

	if (op->body.kind == BODY_RAW || !is_plain_object(schema))
		return false;
	n = node_count(node_get(schema.node, "properties"));
	p = operation_more(op, arena, n);
	for (size_t i = 0; i < n; i++) {
		if (!make_field(s, p, schema, i, arena))
			continue;
		if (operation_argument_taken(op, NULL, p->argument)) {
			op->parameter_count = before;
			return false;
		}
		read_encoding(
		    p, node_find(encodings, slice_str(p->name)), arena);
		op->parameter_count++;
		p++;
	}
	op->body.flat = true;
	return true;
}

static void
map_whole(struct operation *op, struct arena *arena, struct place schema,
    struct slice description)
{
	struct parameter *p = operation_more(op, arena, 1);
	bool taken = operation_argument_taken(op, NULL, WHOLE);

	*p = (struct parameter){
		.in = IN_BODY,
		.name = WHOLE,
		.argument = taken ? "request_body" : WHOLE,
		.required = op->body.required,
		.description =
		    description.n > 0 ? arena_dup(arena, description) : NULL,
		.schema = schema,
	};
	op->parameter_count++;
}

/* Choosing --------------------------------------------------------------- */

/* A way to write the body, among those that the description offers. */
struct way {
	size_t rank; /* the least is best */
	enum body_kind kind;
	struct slice type;
	struct place at; /* what has its schema */
	const struct node *encodings;
};

/* Whether one string can be it: text, or bytes of whatever media type. */
static bool
can_be_string(struct place schema)
{
	static const char *const others[] = { "properties", "items", "allOf",
		NULL };
	const struct node *type = node_get(schema.node, "type");

	return type == NULL ? !has_any(schema, others)
			    : node_eq(type, "string") || node_eq(type, "file");
}

static bool
is_range(struct slice type)
{
	return memchr(type.p, '*', type.n) != NULL;
}

static void
consider(struct spec *s, struct way *best, struct way one)
{
	struct place schema = refs_get(s->refs, one.at, "schema");

	if (one.type.n == 0)
		return;
	one.rank = rank(one.type, &one.kind);
	/* Of anything, bytes are sent as such, and not as a string of JSON. */
	if (is_range(one.type) && is_file(s, schema))
		one.kind = BODY_RAW;
	if (one.rank < best->rank &&
	    (one.kind != BODY_RAW || can_be_string(schema)))
		*best = one;
}

static struct way
no_way(void)
{
	return (struct way){ .rank = SIZE_MAX };
}

static const char *
otherwise(const struct way *way)
{
	if (way->kind != BODY_RAW)
		return "application/json";
	return type_is(way->type, "text/*") ? "text/plain"
					    : "application/octet-stream";
}

/* first: a media type, for the reason when there is no way. */
static bool
map_way(struct spec *s, struct operation *op, struct arena *arena,
    const struct way *way, struct slice first, struct place says)
{
	struct place schema = place_get(way->at, "schema"), target = schema;
	struct strbuf error = STRBUF_INIT(512);
	bool ok;

	if (way->rank == SIZE_MAX)
		return operation_skip(op, arena,
		    "no body that can be made: %.*s is neither JSON, form nor "
		    "text, and its schema no string",
		    SLICE_ARG(first));
	op->body = (struct body){ .kind = way->kind,
		.media_type =
		    media_type_of(arena, way->type, otherwise(way)),
		.required = node_is_true(node_get(says.node, "required")) };
	ok = refs_follow(s->refs, &target, &error);
	if (!ok)
		operation_skip(op, arena, "its body: %s", strbuf_str(&error));
	else if (!map_flat(s, op, arena, target, way->encodings))
		map_whole(op, arena, schema,
		    node_string(node_get(says.node, "description")));
	strbuf_release(&error);
	return ok;
}

/* OpenAPI 3 -------------------------------------------------------------- */

static bool
map_content(struct spec *s, struct operation *op, struct arena *arena,
    struct place request)
{
	struct place content = place_get(request, "content");
	struct way best = no_way();

	for (size_t i = 0; i < node_count(content.node); i++) {
		const struct member *m = node_member(content.node, i);
		struct place of = { content.document, &m->value };

		consider(s, &best,
		    (struct way){ .type = member_name(m),
			.at = of,
			.encodings = node_get(of.node, "encoding") });
	}
	return map_way(s, op, arena, &best,
	    member_name(node_member(content.node, 0)), request);
}

static bool
map_request(struct spec *s, struct operation *op, struct arena *arena)
{
	struct place request = place_get(op->at, "requestBody");
	struct strbuf error = STRBUF_INIT(512);
	bool ok = refs_follow(s->refs, &request, &error);

	if (!ok)
		operation_skip(op, arena, "its body: %s", strbuf_str(&error));
	strbuf_release(&error);
	if (!ok)
		return false;
	if (node_count(node_get(request.node, "content")) == 0 ||
	    !node_is(node_get(request.node, "content"), NODE_OBJECT))
		return true;
	return map_content(s, op, arena, request);
}

/* Swagger 2.0 ------------------------------------------------------------ */

/* The media types that it takes, or none. */
static const struct node *
consumed(const struct spec *s, const struct operation *op)
{
	const struct node *list = node_get(op->at.node, "consumes");

	if (list == NULL)
		list = node_get(s->root.node, "consumes");
	return node_is(list, NODE_ARRAY) ? list : NULL;
}

static bool
consumes_parts(const struct spec *s, const struct operation *op)
{
	const struct node *list = consumed(s, op);

	for (size_t i = 0; i < node_count(list); i++) {
		if (type_is(node_string(node_item(list, i)),
			"multipart/form-data"))
			return true;
	}
	return false;
}

static bool
map_swagger_body(
    struct spec *s, struct operation *op, struct arena *arena, struct place at)
{
	const struct node *list = consumed(s, op);
	struct way best = no_way(), one = { .at = at };

	for (size_t i = 0; i < node_count(list); i++) {
		one.type = node_string(node_item(list, i));
		consider(s, &best, one);
	}
	if (node_count(list) == 0) {
		/* JSON is what such descriptions mean. */
		one.type = SLICE("application/json");
		consider(s, &best, one);
	}
	return map_way(s, op, arena, &best, one.type, at);
}

static bool
map_swagger_field(
    struct spec *s, struct operation *op, struct arena *arena, struct place at)
{
	struct parameter *p = operation_more(op, arena, 1);
	struct slice name = node_string(node_get(at.node, "name"));
	struct slice says = node_string(node_get(at.node, "description"));
	bool file = node_eq(node_get(at.node, "type"), "file");

	*p = (struct parameter){
		.in = IN_FIELD,
		.name = arena_dup(arena, name),
		.argument = operation_argument(arena, name),
		.description = says.n > 0 ? arena_dup(arena, says) : NULL,
		.required = node_is_true(node_get(at.node, "required")),
		.schema = at,
		.encoding.file = file,
	};
	if (name.n == 0 || !operation_collection(p, at) ||
	    operation_argument_taken(op, NULL, p->argument))
		return operation_skip(op, arena,
		    "form field %s: its name is taken, or its "
		    "collectionFormat unknown",
		    p->name);
	op->parameter_count++;
	if (file || consumes_parts(s, op))
		op->body.kind = BODY_MULTIPART;
	else if (op->body.kind == BODY_NONE)
		op->body.kind = BODY_FORM;
	op->body.flat = true;
	op->body.required |= p->required;
	op->body.media_type = op->body.kind == BODY_FORM
				  ? "application/x-www-form-urlencoded"
				  : "multipart/form-data";
	return true;
}

static bool
map_swagger(struct spec *s, struct operation *op, struct arena *arena,
    struct place list)
{
	for (size_t i = 0;
	     node_is(list.node, NODE_ARRAY) && i < node_count(list.node); i++) {
		struct place at = refs_item(s->refs, list, i);
		const struct node *in = node_get(at.node, "in");

		if (node_eq(in, "body") && !map_swagger_body(s, op, arena, at))
			return false;
		if (node_eq(in, "formData") &&
		    !map_swagger_field(s, op, arena, at))
			return false;
	}
	return true;
}

bool
operation_map_body(struct spec *s, struct operation *op, struct arena *arena)
{
	if (s->version != SPEC_2)
		return map_request(s, op, arena);
	if (!map_swagger(s, op, arena, place_get(op->at, "parameters")))
		return false;
	/* The path's own, where the operation says nothing. */
	return op->body.kind != BODY_NONE ||
	       map_swagger(s, op, arena, place_get(op->item, "parameters"));
}
