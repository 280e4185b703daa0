/*
 * The lists of <sys/queue.h>, with the loop that glibc's lacks.
 */
#ifndef MCP_QUEUE_H
#define MCP_QUEUE_H

#include <sys/queue.h>

#ifndef TAILQ_FOREACH_SAFE
/* As TAILQ_FOREACH, but the body may remove and free var. */
#define TAILQ_FOREACH_SAFE(var, head, field, next)                         \
	for ((var) = TAILQ_FIRST(head);                                    \
	     (var) != NULL && ((next) = TAILQ_NEXT(var, field), 1);        \
	     (var) = (next))
#endif

#endif
