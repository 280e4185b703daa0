/*
 * The file that is there exactly while this worker reads calls: what a readiness
 * probe looks for.
 */
#ifndef MCP_WORKER_READY_FILE_H
#define MCP_WORKER_READY_FILE_H

#include "common/compiler.h"

/* Only these functions write it. */
struct ready_file {
	const char *path;   /* borrowed; NULL: none is wanted */
	bool there;
};

/* Not ready yet: a process that was killed may have left the file behind. */
void ready_file_init(struct ready_file *f, const char *path);
/* Makes the file or removes it, if it is not so yet. What fails is logged. */
void ready_file_set(struct ready_file *f, bool ready);

#endif
