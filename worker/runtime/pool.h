/*
 * A few threads for tools that compute (compute in struct tool), so that the event
 * loop goes on serving: other calls run, and the entries of those that compute
 * are kept (lease.h).
 *
 * Threads are made when there is something to do for them, and see nothing but
 * their work (work.h). How many calls compute at once, limiter.h says: never
 * more than there are threads.
 */
#ifndef MCP_WORKER_POOL_H
#define MCP_WORKER_POOL_H

#include <event2/event.h>

#include "common/compiler.h"

struct call;
struct pool;

/* most: threads, at least 1. base is borrowed. */
struct pool *pool_new(struct event_base *base, unsigned most) MUST_CHECK;
/*
 * Tells all work that nobody waits for it, and gives the threads up to ms
 * milliseconds to end. False: some have not; then neither the pool nor the calls
 * may be freed, and the process should end.
 */
bool pool_stop(struct pool *p, unsigned ms) MUST_CHECK;
/* After pool_stop(). Calls that were with it stay unanswered. */
void pool_free(struct pool *p);

/* Runs the call, which is prepared and may begin, on a thread. */
void pool_run(struct pool *p, struct call *call);

#endif
