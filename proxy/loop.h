/*
 * One event loop with all that it owns: listener, Redis connections, sessions.
 *
 * Loops share nothing but the options (read-only) and each other's counters
 * (relaxed atomics, for /metrics); each has its own name, inbox and heartbeat in
 * Redis, so that two loops of one process are to each other what two pods are.
 */
#ifndef MCP_LOOP_H
#define MCP_LOOP_H

#include <stdatomic.h>

#include "common/redis.h"
#include "proxy/options.h"
#include "proxy/stats.h"

struct loop;

/* What the loops of one process have in common. */
struct process {
	const struct options *options;
	struct redis_url redis_url;
	char start_id[9];              /* tells this start of a pod from others */
	struct loop **loops;
	unsigned loop_count;
	atomic_bool draining;
};

/* Binds its socket. NULL: said why in the log. The process is borrowed. */
struct loop *loop_new(struct process *process, unsigned index) MUST_CHECK;
void loop_free(struct loop *loop);
/* Runs until loop_stop() has been called and what was owed is done. */
void loop_run(struct loop *loop);
/* Asks the loop to drain and end; from any thread. */
void loop_stop(struct loop *loop);

metric_value *loop_stats(struct loop *loop);

#endif
