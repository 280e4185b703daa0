#include "worker/openapi/operation.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/openapi/server.h"
#include "worker/openapi/spec.h"

/* What models' APIs take as the name of a property. */
#define ARGUMENT_MAX 64
#define REASON_MAX 512

bool
operation_skip(struct operation *op, struct arena *arena, const char *fmt, ...)
{
	char text[REASON_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	op->skipped = arena_dup(arena, slice_str(text));
	return false;
}

/* At hand ---------------------------------------------------------------- */

static const char *
string_at(struct arena *arena, struct place at, const char *name)
{
	return arena_dup(arena, node_string(node_get(at.node, name)));
}

static const char **
strings_of(struct arena *arena, const struct node *array)
{
	size_t count = node_count(array), n = 0;
	const char **out = arena_alloc(arena, (count + 1) * sizeof(*out));

	for (size_t i = 0; node_is(array, NODE_ARRAY) && i < count; i++) {
		struct slice text = node_string(node_item(array, i));

		if (text.p != NULL)
			out[n++] = arena_dup(arena, text);
	}
	return out;
}

/* Visible characters, with {parameters} where those may be. */
static bool
is_template(struct slice s, bool parameters)
{
	bool open = false;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 0x7f || c == '\\')
			return false;
		if (c != '{' && c != '}')
			continue;
		if (!parameters || open != (c == '}'))
			return false;
		open = c == '{';
	}
	return !open;
}

static bool
path_ok(const char *path)
{
	size_t n = operation_path_length(path);

	return path[0] == '/' && is_template(slice_of(path, n), true) &&
	       is_template(slice_str(path + n), false);
}

size_t
operation_path_length(const char *path)
{
	return strcspn(path, "?#");
}

void
operation_read(struct operation *op, struct arena *arena)
{
	struct slice id = node_string(node_get(op->at.node, "operationId"));

	op->id = id.n > 0 ? arena_dup(arena, id) : NULL;
	op->summary = string_at(arena, op->at, "summary");
	op->description = string_at(arena, op->at, "description");
	op->tags = strings_of(arena, node_get(op->at.node, "tags"));
	op->deprecated = node_is_true(node_get(op->at.node, "deprecated"));
	if (!node_is(op->at.node, NODE_OBJECT))
		operation_skip(op, arena, "it is not described by an object");
	else if (!path_ok(op->path))
		operation_skip(op, arena,
		    "its path is none: it must begin with /, without blanks "
		    "and unpaired braces");
}

/* Security --------------------------------------------------------------- */

/* The schemes that any of its alternatives has. */
static const char **
security_of(const struct node *list, struct arena *arena)
{
	size_t n = 0, count = 0;
	const char **out;

	if (!node_is(list, NODE_ARRAY))
		list = NULL;
	for (size_t i = 0; i < node_count(list); i++)
		count += node_count(node_item(list, i));
	out = arena_alloc(arena, (count + 1) * sizeof(*out));
	for (size_t i = 0; i < node_count(list); i++) {
		const struct node *all = node_item(list, i);

		for (size_t k = 0;
		     node_is(all, NODE_OBJECT) && k < node_count(all); k++)
			out[n++] =
			    arena_dup(arena, member_name(node_member(all, k)));
	}
	return out;
}

static void
map_security(const struct spec *s, struct operation *op, struct arena *arena)
{
	const struct node *own = node_get(op->at.node, "security");

	op->security =
	    security_of(own ? own : node_get(s->root.node, "security"), arena);
}

/* Arguments -------------------------------------------------------------- */

const char *
operation_argument(struct arena *arena, struct slice name)
{
	size_t n = name.n < ARGUMENT_MAX ? name.n : ARGUMENT_MAX;
	char *out = arena_dup(arena, slice_of(name.p, n));

	for (char *p = out; p < out + n; p++) {
		if (!isalnum((unsigned char)*p) && strchr("_.-", *p) == NULL)
			*p = '_';
	}
	/* isalnum() of the C locale, but a NUL is in every string. */
	for (char *p = out; p < out + n; p++) {
		if (*p == '\0')
			*p = '_';
	}
	return out;
}

bool
operation_argument_taken(
    const struct operation *op, const struct parameter *but, const char *name)
{
	for (size_t i = 0; i < op->parameter_count; i++) {
		const struct parameter *p = &op->parameters[i];

		if (p != but && p->argument != NULL &&
		    strcmp(p->argument, name) == 0)
			return true;
	}
	return false;
}

struct parameter *
operation_more(struct operation *op, struct arena *arena, size_t n)
{
	struct parameter *all =
	    arena_alloc(arena, (op->parameter_count + n + 1) * sizeof(*all));

	if (op->parameter_count > 0)
		memcpy(all, op->parameters, op->parameter_count * sizeof(*all));
	op->parameters = all;
	return all + op->parameter_count;
}

bool
operation_map(struct spec *s, struct operation *op, struct arena *arena)
{
	if (op->skipped != NULL)
		return false;
	server_map(s, op, arena);
	map_security(s, op, arena);
	return operation_map_parameters(s, op, arena) &&
	       operation_map_body(s, op, arena);
}
