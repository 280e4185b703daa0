/*
 * What Redis knows about this worker and its API, kept true.
 *
 * Every ENV_HEARTBEAT_EVERY_MS it writes the worker's hash and its place in the
 * API's list of workers, and makes sure that the catalogue is published. A Redis
 * that lost its data is whole again after one beat. What calls came to it adds to
 * the API's counters.
 *
 * A worker whose API is not up says why, and publishes nothing.
 *
 * While workers with different catalogues run (a rollout), the catalogue of the
 * worker that started last stands. The others leave it alone, until for a minute no
 * worker that has it was there.
 *
 * When no worker is left, the catalogue stays for catalogue_ttl_ms, so that clients
 * keep the tools, and calls wait, while workers are replaced, crash or are scaled to
 * none; after a crash for a minute at least. With 0 it goes with the last worker that
 * stops in order.
 */
#ifndef MCP_WORKER_HEARTBEAT_H
#define MCP_WORKER_HEARTBEAT_H

#include <event2/event.h>

#include "common/redis.h"
#include "worker/runtime/catalogue.h"
#include "worker/runtime/inflight.h"
#include "worker/runtime/worker_env.h"

struct heartbeat;

struct heartbeat_options {
	struct event_base *base;
	struct redis *commands;             /* borrowed, like the rest */
	const struct catalogue *catalogue;
	const struct worker_env *env;
	const struct inflight *inflight;
	const char *worker;
	const char *pod;
	unsigned concurrency;               /* calls at once */
	unsigned reclaim_idle_ms;           /* for proxies to know */
	uint64_t catalogue_ttl_ms;          /* after the last worker; see below */
	/* The catalogue had to be published: other keys may be gone as well. */
	void (*on_published)(void *arg);
	/* After heartbeat_leave(). */
	void (*on_left)(void *arg);
	void *arg;
};

struct heartbeat *heartbeat_new(const struct heartbeat_options *options)
    MUST_CHECK;
/* The command connection has called back all of its commands before this. */
void heartbeat_free(struct heartbeat *h);

/* Beats now, and from then on by itself; nothing while Redis is away. */
void heartbeat_beat(struct heartbeat *h);
/* From now on beats say that this worker takes no new calls. */
void heartbeat_set_draining(struct heartbeat *h);
/*
 * Takes the worker off the list; then on_left, at once if Redis is away.
 */
void heartbeat_leave(struct heartbeat *h);

#endif
