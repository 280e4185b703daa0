/*
 * An entry of the request stream as it came to this worker, and by what right:
 * read as new, read back, or taken over from a worker that left it to rest.
 */
#ifndef MCP_WORKER_ARRIVAL_H
#define MCP_WORKER_ARRIVAL_H

#include "common/envelope.h"

struct arrival {
	struct env_entry entry;    /* borrowed, like the rest */
	/*
	 * Monotonic: the entry was not this worker's before, for the command that
	 * made it so was sent then. It is Redis's idle time or more, see lease.h.
	 */
	uint64_t held_ms;
	/* To workers that may have begun it, this one included: 1 at first. */
	unsigned deliveries;
	struct slice last_worker;  /* of these, the one before; empty: none */
};

/* Reads {entry, deliveries, …} of a script's reply; the rest stays. */
bool arrival_read(const redisReply *item, struct arrival *out) MUST_CHECK;

typedef void arrival_cb(const struct arrival *arrival, void *arg);

#endif
