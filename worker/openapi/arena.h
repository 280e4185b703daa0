/*
 * Memory that is freed as a whole: for what is read once, kept, and let go of
 * together (a document's tree, an API's tools).
 */
#ifndef MCP_OPENAPI_ARENA_H
#define MCP_OPENAPI_ARENA_H

#include "common/compiler.h"

struct arena_block;

/* All zero is an empty one. */
struct arena {
	struct arena_block *blocks;
	char *next; /* free bytes of the newest block */
	size_t left;
};

/* Frees all that it gave; it is empty and usable again. */
void arena_release(struct arena *a);
/* Zeroed, aligned for anything; aborts without memory, like xcalloc(). */
void *arena_alloc(struct arena *a, size_t n) MUST_CHECK;
/* A NUL-terminated copy; a slice without bytes becomes "". */
char *arena_dup(struct arena *a, struct slice s) MUST_CHECK;

#endif
