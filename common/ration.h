/*
 * A cap on the memory that a library takes, for one that has none of its own:
 * between the two calls the process may grow by so many bytes, and an allocation
 * beyond fails. By the kernel's RLIMIT_DATA, so for single-threaded programs.
 */
#ifndef MCP_RATION_H
#define MCP_RATION_H

#include <sys/resource.h>

#include "common/compiler.h"

struct ration {
	struct rlimit before;
	bool set;
};

/* Without a cap for 0 bytes, or when the system does not let us have one. */
void ration_begin(struct ration *r, size_t bytes);
void ration_end(struct ration *r);

#endif
