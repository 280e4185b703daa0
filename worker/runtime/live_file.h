/*
 * The file whose time of modification says when the event loop last turned: what a
 * liveness probe looks for, since a tool that never returns stops the loop and
 * leaves the process, and its readiness, as they are.
 */
#ifndef MCP_WORKER_LIVE_FILE_H
#define MCP_WORKER_LIVE_FILE_H

#include "common/compiler.h"

/* Only these functions write it. */
struct live_file {
	const char *path;   /* borrowed; NULL: none is wanted */
	uint64_t due_ms;    /* monotonic */
	bool failed;        /* said so */
};

void live_file_init(struct live_file *f, const char *path);
/*
 * Touches the file, or makes it, if that was not done within the last second: to be
 * called more often. What fails is logged once, until it goes well again.
 */
void live_file_tick(struct live_file *f);

#endif
