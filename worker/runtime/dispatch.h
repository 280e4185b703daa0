/*
 * From a stream entry to a running tool: reads the envelope and the JSON-RPC
 * request in it, finds the tool, holds its arguments against the schema.
 * Whatever is wrong with an entry ends as an answer, never as a crash.
 */
#ifndef MCP_WORKER_DISPATCH_H
#define MCP_WORKER_DISPATCH_H

#include "common/envelope.h"
#include "worker/runtime/catalogue.h"
#include "worker/runtime/inflight.h"

/* JSON-RPC error of a call that came too late to begin. */
#define DISPATCH_TOO_LATE (-32001)

/*
 * Begins the call in an entry, unless inflight holds the entry already; tools
 * may answer before this returns. entry is borrowed.
 */
void dispatch_entry(const struct catalogue *catalogue,
    struct inflight *inflight, const struct env_entry *entry);

#endif
