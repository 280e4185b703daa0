#include "worker/openapi/spec.h"

#include <stdlib.h>

#include "common/xalloc.h"

/* Those of a path item; the others (OPTIONS, TRACE) are no calls of an API. */
static const struct {
	const char *key, *method;
} methods[] = {
	{ "get", "GET" },
	{ "head", "HEAD" },
	{ "post", "POST" },
	{ "put", "PUT" },
	{ "patch", "PATCH" },
	{ "delete", "DELETE" },
};

static bool
starts_with(struct slice s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

static bool
read_version(struct spec *s, struct strbuf *error)
{
	struct slice two = node_text(node_get(s->root.node, "swagger"));
	struct slice three = node_text(node_get(s->root.node, "openapi"));

	if (starts_with(two, "2.")) {
		s->version = SPEC_2;
	} else if (starts_with(three, "3.0")) {
		s->version = SPEC_3_0;
	} else if (starts_with(three, "3.")) {
		s->version = SPEC_3_1;
	} else {
		strbuf_addf(error,
		    "%s: no description of OpenAPI 3 or Swagger 2.0 "
		    "(\"openapi\" or \"swagger\" is missing or of another "
		    "version)",
		    s->root.document->name);
		return false;
	}
	return true;
}

/* Paths ------------------------------------------------------------------ */

static struct operation *
add(struct spec *s, const char *method, struct slice path, struct place item)
{
	struct operation *op = &s->operations[s->operation_count++];

	op->method = method;
	op->path = arena_dup(&s->arena, path);
	op->item = item;
	return op;
}

/* Not in the specification, and yet many keep each operation in a file. */
static void
add_operation(struct spec *s, struct operation *op, struct place at)
{
	struct strbuf error = STRBUF_INIT(512);

	if (refs_follow(s->refs, &at, &error)) {
		op->at = at;
		operation_read(op, &s->arena);
	} else {
		operation_read(op, &s->arena);
		operation_skip(op, &s->arena, "%s", strbuf_str(&error));
	}
	strbuf_release(&error);
}

static void
add_item(struct spec *s, struct slice path, struct place item)
{
	struct strbuf error = STRBUF_INIT(512);

	if (!refs_follow(s->refs, &item, &error)) {
		/* All of its operations are lost, and nobody knows which. */
		operation_skip(add(s, "*", path, item), &s->arena, "%s",
		    strbuf_str(&error));
	}
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct place at = place_get(item, methods[i].key);

		if (at.node != NULL && node_get(item.node, "$ref") == NULL)
			add_operation(s,
			    add(s, methods[i].method, path, item), at);
	}
	strbuf_release(&error);
}

static bool
read_paths(struct spec *s, struct strbuf *error)
{
	struct place paths = place_get(s->root, "paths");
	size_t n = node_count(paths.node);

	if (!node_is(paths.node, NODE_OBJECT)) {
		strbuf_addf(error, "%s: \"paths\" is missing or no object",
		    s->root.document->name);
		return false;
	}
	s->operations = arena_alloc(&s->arena,
	    (n * (ARRAY_LEN(methods) + 1) + 1) * sizeof(*s->operations));
	for (size_t i = 0; i < n; i++) {
		const struct member *m = node_member(paths.node, i);
		struct slice path = member_name(m);

		if (!starts_with(path, "x-"))
			add_item(s, path,
			    (struct place){ paths.document, &m->value });
	}
	return true;
}

/* The object ------------------------------------------------------------- */

struct spec *
spec_new(struct refs *take_refs, struct strbuf *error)
{
	struct spec *s = xcalloc(1, sizeof(*s));
	struct place info;

	s->refs = take_refs;
	s->root = refs_root(take_refs);
	info = place_get(s->root, "info");
	s->title =
	    arena_dup(&s->arena, node_string(node_get(info.node, "title")));
	if (!read_version(s, error) || !read_paths(s, error)) {
		spec_free(s);
		return NULL;
	}
	return s;
}

void
spec_free(struct spec *s)
{
	if (s == NULL)
		return;
	refs_free(s->refs);
	arena_release(&s->arena);
	free(s);
}

struct spec *
spec_open(const char *path, size_t max, struct strbuf *error)
{
	struct document *d = document_open(path, max, DOCUMENT_LENIENT, error);
	const char *slash = strrchr(path, '/');
	char *directory;
	struct spec *s;

	if (d == NULL)
		return NULL;
	directory = slash == NULL
			? xstrdup(".")
			: xstrdup_slice(slice_of(path,
			      slash == path ? 1 : (size_t)(slash - path)));
	s = spec_new(refs_new(d, directory, max), error);
	free(directory);
	return s;
}

struct spec *
spec_of_text(const char *url, char *take_text, size_t n, struct strbuf *error)
{
	struct document *d =
	    document_new(url, take_text, n, DOCUMENT_LENIENT, error);

	return d ? spec_new(refs_new(d, NULL, 0), error) : NULL;
}
