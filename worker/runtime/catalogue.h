/*
 * An API's catalogue: its tools by name with their compiled schemas, and the
 * JSON that proxies answer lists from.
 */
#ifndef MCP_WORKER_CATALOGUE_H
#define MCP_WORKER_CATALOGUE_H

#include "common/ident.h"
#include "worker/runtime/policy.h"
#include "worker/runtime/schema.h"
#include "worker/runtime/tool.h"

struct catalogue;

/*
 * Checks the API's definition and compiles it; name is what the operator calls
 * it, policy (may be NULL) what he has decided about its tools. NULL after
 * logging what is wrong with which tool. All are borrowed.
 */
struct catalogue *catalogue_new(const struct api *api, const char *name,
    const struct policy *policy) MUST_CHECK;
void catalogue_free(struct catalogue *c);

/*
 * Lists these tools instead, see worker_env_set_tools(). False and what is wrong
 * with which tool: nothing has changed.
 */
bool catalogue_set_tools(struct catalogue *c, const struct tool *tools,
    struct strbuf *error) MUST_CHECK;
/* Until the first tools are there, the rest is empty. */
bool catalogue_is_set(const struct catalogue *c);

struct catalogue_tool {
	const struct tool *tool;
	struct schema *input;    /* NULL: a raw tool's, not for us to check */
};

/* The tool of that bare name, or NULL. */
const struct catalogue_tool *catalogue_find(const struct catalogue *c,
    struct slice name);

/* The API's name as the operator wants it, its version and title. */
const char *catalogue_name(const struct catalogue *c);
const char *catalogue_version(const struct catalogue *c);
const char *catalogue_title(const struct catalogue *c);
/*
 * {"instructions":…,"tools":[…],"resources":[],"resourceTemplates":[],
 * "prompts":[]} on one line.
 */
struct slice catalogue_json(const struct catalogue *c);
/* SHA-256 of that JSON in hex; changes when the tools do. */
const char *catalogue_digest(const struct catalogue *c);

#endif
