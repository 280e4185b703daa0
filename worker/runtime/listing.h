/*
 * What an API offers, as the JSON that proxies answer lists from. Each item is
 * as MCP lists it, under its bare name.
 */
#ifndef MCP_WORKER_LISTING_H
#define MCP_WORKER_LISTING_H

#include "common/strbuf.h"
#include "worker/runtime/policy.h"
#include "worker/runtime/tool.h"

/*
 * Appends {"instructions":…,"tools":[…],"resources":[…],"resourceTemplates":[…],
 * "prompts":[…],"completions":<bool>} on one line. policy may be NULL.
 */
void listing_write(struct strbuf *sb, const char *instructions,
    const struct offers *offers, const struct policy *policy);

/* The schema of a tool's arguments, also where its author gave none. */
const char *listing_input_schema(const struct tool *tool);

#endif
