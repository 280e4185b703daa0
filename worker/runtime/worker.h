/*
 * One worker process: an event loop, two Redis connections, and the modules
 * that read calls, run them, send answers and keep the heartbeat.
 *
 *	SERVING --SIGTERM--> DRAINING --no call left, or time out--> LEAVING --> LEFT
 *
 * Calls are read while the API is up (worker_env.h); the file WORKER_READY_FILE is
 * there as long as they are.
 *
 * The first SIGTERM or SIGINT drains, a second one ends the process with 1.
 */
#ifndef MCP_WORKER_WORKER_H
#define MCP_WORKER_WORKER_H

#include "worker/runtime/options.h"
#include "worker/runtime/tool.h"

struct worker;

/* NULL after logging why. The arguments are borrowed; own: the API's settings. */
struct worker *worker_new(const struct api *of,
    const struct worker_options *options, const void *own) MUST_CHECK;
/*
 * Serves until it has been told to stop and has left. False: a tool still computes
 * on its thread, and nothing may be freed any more.
 */
bool worker_run(struct worker *w) MUST_CHECK;
void worker_free(struct worker *w);

#endif
