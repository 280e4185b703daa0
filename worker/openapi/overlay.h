/*
 * What the operator wants of an API: which operations are exposed (none by
 * default), what their tools are called, what is sent without asking the model,
 * how requests are authenticated, what comes back. docs/apis/openapi.md explains
 * the file.
 */
#ifndef MCP_OPENAPI_OVERLAY_H
#define MCP_OPENAPI_OVERLAY_H

#include "worker/openapi/fields.h"
#include "worker/openapi/operation.h"

/* Globs, one of which must match. */
struct overlay_patterns {
	const char **p; /* NULL-ended; NULL: anything will do */
	bool *used;     /* by each, where the rule matched too */
};

/* All conditions that are given must hold. */
struct overlay_rule {
	struct overlay_patterns operations; /* of operationId */
	struct overlay_patterns tags;
	struct overlay_patterns methods;
	struct overlay_patterns paths;
	unsigned line;
	bool used; /* overlay_exposes() said so */
};

struct overlay_rules {
	struct overlay_rule *p;
	size_t n;
};

struct overlay_parameter {
	const char *name;   /* in the description */
	const char *rename; /* these three: NULL: as it is */
	const char *description;
	const char *fallback; /* JSON */
	const char *fixed;    /* JSON; sent with each call */
	bool hidden;          /* neither asked for nor sent */
	enum fields_choice required;
	unsigned line;
	bool used;
};

struct overlay_parameters {
	struct overlay_parameter *p;
	size_t n;
};

struct overlay_annotations {
	enum fields_choice read_only, destructive, idempotent, open_world;
};

struct overlay_response {
	const char **select; /* paths, see projection.h */
	size_t max_bytes;
};

/* Of one tool, or of all (defaults). NULL, 0, CHOICE_OPEN: not said. */
struct overlay_tool {
	const char *operation; /* operationId, or "GET /path" */
	const char *name;
	const char *title;
	const char *description;
	unsigned timeout_s;
	const char *idempotency_header;
	struct overlay_annotations annotations;
	struct overlay_response response;
	struct overlay_parameters parameters;
	unsigned line;
	bool used;
};

struct overlay_tools {
	struct overlay_tool *p;
	size_t n;
};

enum overlay_auth_type {
	AUTH_HEADER,
	AUTH_QUERY,
	AUTH_BASIC,
	AUTH_CLIENT_CREDENTIALS,
	AUTH_FORWARD /* the client's own, see call_header() */
};

struct overlay_auth {
	enum overlay_auth_type type;
	const char *name;   /* of the header or query parameter */
	const char *prefix; /* before the secret: "Bearer " */
	const char *user;   /* AUTH_BASIC; NULL: the file has user:secret */
	const char *secret_file; /* relative to the overlay */
	const char *token_url;   /* these: AUTH_CLIENT_CREDENTIALS */
	const char *client_id;
	const char **scopes;
	bool in_body; /* client and secret in the body, not basic */
	unsigned line;
};

struct overlay_header {
	const char *name;
	const char *value;
};

struct overlay_headers {
	struct overlay_header *p;
	size_t n;
};

struct overlay_auths {
	struct overlay_auth *p;
	size_t n;
};

struct overlay {
	const char *server; /* NULL: the description's */
	struct overlay_rules expose, hide;
	struct overlay_tools tools;
	struct overlay_auths auth;
	struct overlay_headers headers; /* of each request */
	struct overlay_tool defaults;
	char *path;
	/* overlay's own */
	struct arena arena;
};

/*
 * Reads the file. NULL and what is wrong, "file:line: …" a line each.
 * overlay_new() reads a text and frees it; overlay_free() for both.
 */
struct overlay *overlay_open(
    const char *path, struct strbuf *errors) MUST_CHECK;
struct overlay *overlay_new(const char *path, char *take_text, size_t n,
    struct strbuf *errors) MUST_CHECK;
void overlay_free(struct overlay *o);

/* Whether some rule exposes the operation and none hides it. */
bool overlay_exposes(struct overlay *o, const struct operation *op) MUST_CHECK;
/* What it says of this operation's tool, or NULL. */
struct overlay_tool *overlay_tool_of(
    struct overlay *o, const struct operation *op) MUST_CHECK;
/* Whether auth or headers set that parameter: the model is not asked for it. */
bool overlay_sets(
    const struct overlay *o, const struct parameter *p) MUST_CHECK;
/*
 * Appends a line for what concerns nothing: rules, their patterns (but of methods)
 * and tools that no operation matched, parameters that none has. False when there
 * is any. After all
 * operations were asked for.
 */
bool overlay_all_used(
    const struct overlay *o, struct strbuf *problems) MUST_CHECK;

#endif
