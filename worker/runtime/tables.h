/*
 * --check of an API that has nothing of its own to look at: its tables, as a worker
 * would read them.
 */
#ifndef MCP_WORKER_TABLES_H
#define MCP_WORKER_TABLES_H

#include "worker/runtime/options.h"
#include "worker/runtime/tool.h"

/*
 * Prints what the API offers, or logs what is wrong with it; the status to exit
 * with.
 */
int tables_check(const struct api *of, const struct worker_options *options);

#endif
