/*
 * Clears away what nobody is left to remove:
 *
 *  - members of users' indexes whose sessions have ended by themselves (their
 *    client never came back), and users without sessions;
 *  - consumers of request streams whose workers died: without a heartbeat, idle
 *    for an hour, with nothing pending (what was theirs others have taken over).
 *
 * One event loop of all pods does it, by a lock (mcp_cleaner). It looks only at
 * what is listed, a bounded number at a time: mcp_users says which user is due,
 * the catalogue which APIs there are. Inboxes of dead pods are swept elsewhere
 * (proxy/sweep.h).
 */
#ifndef MCP_CLEANER_H
#define MCP_CLEANER_H

#include "common/redis.h"
#include "proxy/catalog.h"
#include "proxy/stats.h"

#define CLEANER_CONSUMER_IDLE_MS 3600000

struct cleaner;

struct cleaner_options {
	struct slice pod;              /* this loop's name */
	struct redis *commands;        /* these are borrowed */
	const struct catalog *catalog;
	uint64_t consumer_idle_ms;     /* idle for so long, a consumer may go */
	metric_value *stats;
};

struct cleaner *cleaner_new(const struct cleaner_options *options) MUST_CHECK;
/* After Redis. */
void cleaner_free(struct cleaner *c);
/* A few times a second. */
void cleaner_tick(struct cleaner *c);

#endif
