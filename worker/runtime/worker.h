/*
 * One worker process: an event loop, two Redis connections, and what reads calls
 * (intake.h), runs and answers them (pipeline.h), keeps Redis informed
 * (heartbeat.h) and stops it all in the end (shutdown.h). Here these are made, and
 * the news of one is carried to the others.
 *
 * Calls are read while the API is up (worker_env.h); the file WORKER_READY_FILE is
 * there as long as they are.
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
