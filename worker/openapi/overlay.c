#include "worker/openapi/overlay.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/openapi/auth_fields.h"
#include "worker/openapi/header.h"
#include "worker/openapi/server.h"

#define OVERLAY_BYTES_MAX ((size_t)1 << 20)
#define JSON_MAX ((size_t)64 << 10)

/* Rules ------------------------------------------------------------------ */

#define RULE(name) offsetof(struct overlay_rule, name)

static bool
read_patterns(struct fields *f, const struct node *node, void *to)
{
	struct overlay_patterns *patterns = to;
	size_t n = 0;

	if (!fields_strings(f, node, &patterns->p))
		return false;
	while (patterns->p[n] != NULL)
		n++;
	patterns->used = arena_alloc(f->arena, n + 1);
	return true;
}

static const struct field rule_fields[] = {
	{ "operation", read_patterns, RULE(operations) },
	{ "tag", read_patterns, RULE(tags) },
	{ "method", read_patterns, RULE(methods) },
	{ "path", read_patterns, RULE(paths) },
	{ .name = NULL },
};

static bool
read_rules(struct fields *f, const struct node *node, void *to)
{
	struct overlay_rules *rules = to;
	size_t n = node_count(node);
	bool ok = true;

	if (!node_is(node, NODE_ARRAY))
		return fields_wrong(f, node, "must be a list of rules");
	rules->p = arena_alloc(f->arena, (n + 1) * sizeof(*rules->p));
	rules->n = n;
	for (size_t i = 0; i < n; i++) {
		const struct node *item = node_item(node, i);

		rules->p[i].line = item->line;
		ok &= fields_read(f, item, "a rule", rule_fields, &rules->p[i]);
		if (node_is(item, NODE_OBJECT) && node_count(item) == 0)
			ok = fields_wrong(f, item,
			    "a rule without a condition; {path: \"*\"} is all");
	}
	return ok;
}

/* Parameters ------------------------------------------------------------- */

/* Any value, as JSON. */
static bool
read_json(struct fields *f, const struct node *node, void *to)
{
	struct strbuf json = STRBUF_INIT(JSON_MAX);
	bool ok;

	node_write(&json, node);
	ok = strbuf_ok(&json) || fields_wrong(f, node, "is too large");
	if (ok)
		*(const char **)to = arena_dup(f->arena, strbuf_slice(&json));
	strbuf_release(&json);
	return ok;
}

#define PARAMETER(name) offsetof(struct overlay_parameter, name)

static const struct field parameter_fields[] = {
	{ "name", fields_string, PARAMETER(rename) },
	{ "description", fields_string, PARAMETER(description) },
	{ "default", read_json, PARAMETER(fallback) },
	{ "fixed", read_json, PARAMETER(fixed) },
	{ "hidden", fields_bool, PARAMETER(hidden) },
	{ "required", fields_choice, PARAMETER(required) },
	{ .name = NULL },
};

static bool
read_parameters(struct fields *f, const struct node *node, void *to)
{
	struct overlay_parameters *all = to;
	size_t n = node_count(node);
	bool ok = true;

	if (!node_is(node, NODE_OBJECT))
		return fields_wrong(f, node, "must name parameters");
	all->p = arena_alloc(f->arena, (n + 1) * sizeof(*all->p));
	all->n = n;
	for (size_t i = 0; i < n; i++) {
		const struct member *m = node_member(node, i);
		struct overlay_parameter *p = &all->p[i];

		p->name = arena_dup(f->arena, member_name(m));
		p->line = m->value.line;
		ok &= fields_read(
		    f, &m->value, "a parameter", parameter_fields, p);
		if (p->fixed != NULL && p->hidden)
			ok = fields_wrong(f, &m->value,
			    "fixed and hidden: a fixed value is sent, a "
			    "hidden one is not");
	}
	return ok;
}

/* Tools ------------------------------------------------------------------ */

#define TOOL(name) offsetof(struct overlay_tool, name)
#define ANNOTATION(name) offsetof(struct overlay_annotations, name)
#define RESPONSE(name) offsetof(struct overlay_response, name)

static const struct field annotation_fields[] = {
	{ "read_only", fields_choice, ANNOTATION(read_only) },
	{ "destructive", fields_choice, ANNOTATION(destructive) },
	{ "idempotent", fields_choice, ANNOTATION(idempotent) },
	{ "open_world", fields_choice, ANNOTATION(open_world) },
	{ .name = NULL },
};

static const struct field response_fields[] = {
	{ "select", fields_strings, RESPONSE(select) },
	{ "max_bytes", fields_bytes, RESPONSE(max_bytes) },
	{ .name = NULL },
};

static bool
read_annotations(struct fields *f, const struct node *node, void *to)
{
	return fields_read(f, node, "annotations", annotation_fields, to);
}

static bool
read_response(struct fields *f, const struct node *node, void *to)
{
	return fields_read(f, node, "response", response_fields, to);
}

static const struct field default_fields[] = {
	{ "timeout", fields_seconds, TOOL(timeout_s) },
	{ "idempotency_header", fields_string, TOOL(idempotency_header) },
	{ "response", read_response, TOOL(response) },
	{ "parameters", read_parameters, TOOL(parameters) },
	{ .name = NULL },
};

static const struct field tool_fields[] = {
	{ "name", fields_string, TOOL(name) },
	{ "title", fields_string, TOOL(title) },
	{ "description", fields_string, TOOL(description) },
	{ "annotations", read_annotations, TOOL(annotations) },
	{ "timeout", fields_seconds, TOOL(timeout_s) },
	{ "idempotency_header", fields_string, TOOL(idempotency_header) },
	{ "response", read_response, TOOL(response) },
	{ "parameters", read_parameters, TOOL(parameters) },
	{ .name = NULL },
};

static bool
read_defaults(struct fields *f, const struct node *node, void *to)
{
	return fields_read(f, node, "defaults", default_fields, to);
}

static bool
read_tools(struct fields *f, const struct node *node, void *to)
{
	struct overlay_tools *tools = to;
	size_t n = node_count(node);
	bool ok = true;

	if (!node_is(node, NODE_OBJECT))
		return fields_wrong(f, node,
		    "must name operations: operationId or \"GET /path\"");
	tools->p = arena_alloc(f->arena, (n + 1) * sizeof(*tools->p));
	tools->n = n;
	for (size_t i = 0; i < n; i++) {
		const struct member *m = node_member(node, i);

		tools->p[i].operation = arena_dup(f->arena, member_name(m));
		tools->p[i].line = m->value.line;
		ok &= fields_read(
		    f, &m->value, "a tool", tool_fields, &tools->p[i]);
	}
	return ok;
}

/* Headers ---------------------------------------------------------------- */

static bool
read_headers(struct fields *f, const struct node *node, void *to)
{
	struct overlay_headers *all = to;
	size_t n = node_count(node);
	bool ok = true;

	if (!node_is(node, NODE_OBJECT))
		return fields_wrong(f, node, "must name headers");
	all->p = arena_alloc(f->arena, (n + 1) * sizeof(*all->p));
	all->n = n;
	for (size_t i = 0; i < n; i++) {
		const struct member *m = node_member(node, i);

		all->p[i].name = arena_dup(f->arena, member_name(m));
		if (!header_name_ok(all->p[i].name) ||
		    header_is_reserved(all->p[i].name))
			ok = fields_wrong(f, &m->value,
			    "\"%s\" is no header that can be set",
			    all->p[i].name);
		ok &= auth_fields_visible(f, &m->value, &all->p[i].value);
	}
	return ok;
}

/* The file --------------------------------------------------------------- */

static bool
read_server(struct fields *f, const struct node *node, void *to)
{
	struct strbuf url = STRBUF_INIT(4096);
	const char *text;
	bool ok = fields_string(f, node, &text);

	if (ok && (!server_resolve(text, "", &url) || !strbuf_ok(&url)))
		ok = fields_wrong(f, node,
		    "must be an http:// or https:// URL without user, query, "
		    "fragment and variables");
	if (ok)
		*(const char **)to = arena_dup(f->arena, strbuf_slice(&url));
	strbuf_release(&url);
	return ok;
}

#define OVERLAY(name) offsetof(struct overlay, name)

static const struct field overlay_fields[] = {
	{ "server", read_server, OVERLAY(server) },
	{ "expose", read_rules, OVERLAY(expose) },
	{ "hide", read_rules, OVERLAY(hide) },
	{ "defaults", read_defaults, OVERLAY(defaults) },
	{ "tools", read_tools, OVERLAY(tools) },
	{ "auth", auth_fields_read, OVERLAY(auth) },
	{ "headers", read_headers, OVERLAY(headers) },
	{ .name = NULL },
};

static struct overlay *
overlay_of(struct document *take_document, struct strbuf *errors)
{
	struct overlay *o = xcalloc(1, sizeof(*o));
	struct fields f = {
		.document = take_document, .arena = &o->arena, .errors = errors
	};

	o->path = xstrdup(take_document->name);
	if (!fields_read(
		&f, take_document->root, "an overlay", overlay_fields, o)) {
		overlay_free(o);
		o = NULL;
	}
	document_free(take_document);
	return o;
}

static struct overlay *
opened(struct document *take_document, struct strbuf *errors)
{
	if (take_document == NULL)
		strbuf_add_char(errors, '\n');
	return take_document ? overlay_of(take_document, errors) : NULL;
}

struct overlay *
overlay_open(const char *path, struct strbuf *errors)
{
	return opened(
	    document_open(path, OVERLAY_BYTES_MAX, DOCUMENT_STRICT, errors),
	    errors);
}

struct overlay *
overlay_new(const char *path, char *take_text, size_t n, struct strbuf *errors)
{
	return opened(
	    document_new(path, take_text, n, DOCUMENT_STRICT, errors), errors);
}

void
overlay_free(struct overlay *o)
{
	if (o == NULL)
		return;
	arena_release(&o->arena);
	free(o->path);
	free(o);
}
