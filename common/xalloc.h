/*
 * Allocation for bookkeeping whose size the program itself decides.
 *
 * These never return NULL: without a few hundred bytes for its own records a
 * process cannot keep its promises, so it aborts and Kubernetes starts another.
 * Memory whose size a client chooses never comes from here: see strbuf.h.
 */
#ifndef MCP_XALLOC_H
#define MCP_XALLOC_H

#include "common/compiler.h"

void *xmalloc(size_t n) MUST_CHECK;
void *xcalloc(size_t count, size_t size) MUST_CHECK;
void *xrealloc(void *take_p, size_t n) MUST_CHECK;
char *xstrdup(const char *s) MUST_CHECK;
/* A NUL-terminated copy of a slice; the caller frees it. */
char *xstrdup_slice(struct slice s) MUST_CHECK;
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) MUST_CHECK;

#endif
