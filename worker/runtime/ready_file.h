/*
 * The file that is there exactly while this worker reads calls: what a readiness
 * probe looks for.
 */
#ifndef MCP_WORKER_READY_FILE_H
#define MCP_WORKER_READY_FILE_H

#include "common/compiler.h"

/* Zeroed but for path; only ready_file_set() writes it. */
struct ready_file {
	const char *path;   /* borrowed; NULL: none is wanted */
	bool there;
};

/* Makes the file or removes it, if it is not so yet. What fails is logged. */
void ready_file_set(struct ready_file *f, bool ready);

#endif
