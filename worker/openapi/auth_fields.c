#include "worker/openapi/auth_fields.h"

#include <ctype.h>

#include "common/xalloc.h"
#include "worker/openapi/overlay.h"

static const struct {
	const char *name;
	enum overlay_auth_type type;
	/* Keys that it needs beside its type. */
	const char *needs[4];
} types[] = {
	{ "header", AUTH_HEADER, { "name", "secret_file" } },
	{ "query", AUTH_QUERY, { "name", "secret_file" } },
	{ "basic", AUTH_BASIC, { "secret_file" } },
	{ "client_credentials", AUTH_CLIENT_CREDENTIALS,
	    { "token_url", "client_id", "secret_file" } },
	{ "forward", AUTH_FORWARD, { "name" } },
};

static bool
read_type(struct fields *f, const struct node *node, void *to)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (node_eq(node, types[i].name)) {
			*(enum overlay_auth_type *)to = types[i].type;
			return true;
		}
	}
	return fields_wrong(f, node,
	    "must be header, query, basic, client_credentials or forward");
}

/* Where it is relative, beside the overlay. */
static bool
read_path(struct fields *f, const struct node *node, void *to)
{
	const char *path, *slash = strrchr(f->document->name, '/');
	char *joined;

	if (!fields_string(f, node, &path))
		return false;
	if (path[0] == '/' || slash == NULL) {
		*(const char **)to = path;
		return true;
	}
	joined = arena_alloc(
	    f->arena, (size_t)(slash - f->document->name) + strlen(path) + 2);
	memcpy(
	    joined, f->document->name, (size_t)(slash - f->document->name) + 1);
	memcpy(joined + (slash - f->document->name) + 1, path, strlen(path));
	*(const char **)to = joined;
	return true;
}

static bool
read_url(struct fields *f, const struct node *node, void *to)
{
	const char *url;

	if (!fields_string(f, node, &url))
		return false;
	if ((strncmp(url, "https://", 8) != 0 &&
		strncmp(url, "http://", 7) != 0) ||
	    strpbrk(url, "#@ ") != NULL)
		return fields_wrong(f, node,
		    "must be an http:// or https:// URL without user and "
		    "fragment");
	*(const char **)to = url;
	return true;
}

/* A header's or a parameter's name, what stands before a secret, or a value. */
bool
auth_fields_visible(struct fields *f, const struct node *node, void *to)
{
	const char *text;

	if (!fields_string(f, node, &text))
		return false;
	for (const char *p = text; *p != '\0'; p++) {
		if (iscntrl((unsigned char)*p))
			return fields_wrong(
			    f, node, "must not hold control characters");
	}
	*(const char **)to = text;
	return true;
}

static bool
read_name(struct fields *f, const struct node *node, void *to)
{
	const char *text = "";

	if (!auth_fields_visible(f, node, &text))
		return false;
	if (*text == '\0' || strpbrk(text, " :,;\"") != NULL)
		return fields_wrong(
		    f, node, "must be a header's or parameter's name");
	*(const char **)to = text;
	return true;
}

#define AUTH(name) offsetof(struct overlay_auth, name)

static const struct field auth_fields[] = {
	{ "type", read_type, AUTH(type) },
	{ "name", read_name, AUTH(name) },
	{ "prefix", auth_fields_visible, AUTH(prefix) },
	{ "user", auth_fields_visible, AUTH(user) },
	{ "secret_file", read_path, AUTH(secret_file) },
	{ "token_url", read_url, AUTH(token_url) },
	{ "client_id", auth_fields_visible, AUTH(client_id) },
	{ "scopes", fields_strings, AUTH(scopes) },
	{ "client_in_body", fields_bool, AUTH(in_body) },
	{ .name = NULL },
};

static bool
read_one(struct fields *f, const struct node *node, struct overlay_auth *auth)
{
	bool ok = fields_read(f, node, "auth", auth_fields, auth);

	auth->line = node->line;
	if (ok && node_get(node, "type") == NULL)
		ok = fields_wrong(f, node, "auth without its type");
	for (size_t i = 0; ok && i < ARRAY_LEN(types[0].needs); i++) {
		const char *key = types[auth->type].needs[i];

		if (key != NULL && node_get(node, key) == NULL)
			ok = fields_wrong(f, node, "auth of type %s needs %s",
			    types[auth->type].name, key);
	}
	return ok;
}

bool
auth_fields_read(struct fields *f, const struct node *node, void *to)
{
	struct overlay_auths *auths = to;
	size_t n = node_count(node);
	bool ok = true;

	if (!node_is(node, NODE_ARRAY))
		return fields_wrong(f, node, "must be a list");
	auths->p = arena_alloc(f->arena, (n + 1) * sizeof(*auths->p));
	auths->n = n;
	for (size_t i = 0; i < n; i++)
		ok &= read_one(f, node_item(node, i), &auths->p[i]);
	return ok;
}
