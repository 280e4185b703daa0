/*
 * Holds what a tool answers against what it said it would (its output schema):
 * clients do the same, and would refuse the answer with less to tell than we have.
 */
#ifndef MCP_WORKER_OUTPUT_H
#define MCP_WORKER_OUTPUT_H

#include "worker/runtime/call.h"

/*
 * May the call be answered with that structured content (empty: none)? False, and
 * why not; it is in the log as well, for the tool's author.
 */
bool output_ok(const struct call *call, struct slice json,
    struct strbuf *problems) MUST_CHECK;

#endif
