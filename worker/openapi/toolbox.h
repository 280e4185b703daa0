/*
 * The tools that a description and an overlay make together. Once it is there,
 * the description may go: it has copies of all that calls need.
 */
#ifndef MCP_OPENAPI_TOOLBOX_H
#define MCP_OPENAPI_TOOLBOX_H

#include "worker/openapi/overlay.h"
#include "worker/openapi/projection.h"
#include "worker/openapi/spec.h"
#include "worker/runtime/tool.h"

/* What a tool's data points to. */
struct binding {
	struct operation op;
	const char *server;
	unsigned timeout_ms;            /* 0: not said */
	const char *idempotency_header; /* or NULL */
	struct projection *projection;  /* NULL: everything */
	size_t max_bytes;               /* of an answer */
	bool repeatable;                /* a request may be sent again */
};

/* An exposed operation without a tool. */
struct skipped {
	const char *id; /* or NULL */
	const char *method;
	const char *path;
	const char *reason;
};

struct toolbox {
	struct tool *tools;       /* ended by a NULL name */
	struct binding *bindings; /* tools[i].data */
	size_t count;
	struct skipped *skipped;
	size_t skipped_count;
	size_t hidden; /* operations not exposed */
	/* toolbox's own */
	struct arena arena;
	cJSON *fixed; /* an array that owns the values */
};

struct toolbox_options {
	struct spec *spec;
	struct overlay *overlay;
	size_t max_bytes; /* where the overlay says nothing */
	void (*run)(struct call *call, const cJSON *args);
};

struct toolbox *toolbox_new(const struct toolbox_options *options) MUST_CHECK;
void toolbox_free(struct toolbox *t);

#endif
