/*
 * An API's catalogue: its tools by name with their compiled schemas, and the
 * JSON that proxies answer lists from.
 */
#ifndef MCP_WORKER_CATALOGUE_H
#define MCP_WORKER_CATALOGUE_H

#include "common/ident.h"
#include "worker/runtime/schema.h"
#include "worker/runtime/tool.h"

struct catalogue;

/*
 * Checks the API's definition and compiles it. NULL after logging what is wrong
 * with which tool. api is borrowed.
 */
struct catalogue *catalogue_new(const struct api *api) MUST_CHECK;
void catalogue_free(struct catalogue *c);

struct catalogue_tool {
	const struct tool *tool;
	struct schema *input;
};

/* The tool of that bare name, or NULL. */
const struct catalogue_tool *catalogue_find(const struct catalogue *c,
    struct slice name);

const struct api *catalogue_api(const struct catalogue *c);
const char *catalogue_version(const struct catalogue *c);
const char *catalogue_title(const struct catalogue *c);
/*
 * {"instructions":…,"tools":[…],"resources":[],"resourceTemplates":[],
 * "prompts":[]} on one line.
 */
struct slice catalogue_json(const struct catalogue *c);
/* SHA-256 of that JSON in hex. */
const char *catalogue_digest(const struct catalogue *c);

#endif
