/*
 * Answers the calls that no worker took in time.
 *
 * Workers answer what they find past its deadline themselves. What they cannot
 * find are the calls of an API that has no worker left, or none that still moves.
 * So about every second one loop of all pods looks through each API's queue, from
 * its oldest entry on, for calls past their deadline that
 *
 *  - were never delivered, or
 *  - have rested with a worker since before their deadline, which passed a second
 *    ago, or for as long as other workers would let them rest (the API's
 *    reclaim_idle_ms): it has no right to them any more (worker/runtime/lease.h),
 *    and finds that out before it answers.
 *
 * A script moves them, each at once, from the queue to mcp_expired:{<api>}: from
 * then on no worker can have them. They are answered from there, and removed when
 * the answer is in its inbox. A janitor that dies leaves them there for the next;
 * what two of them answer is marked as a repeat, and handed over once.
 *
 * As long as a look finds as many as it takes, the next one follows when these have
 * been answered.
 *
 * Which loop looks is settled per API by a lease in Redis, which the script takes
 * and renews; the others ask now and then.
 */
#ifndef MCP_JANITOR_H
#define MCP_JANITOR_H

#include "common/redis.h"
#include "proxy/catalog.h"
#include "proxy/outbox.h"

struct janitor;

struct janitor_options {
	struct slice pod;             /* this loop's name */
	struct redis *commands;       /* these are borrowed */
	struct catalog *catalog;
	struct outbox *outbox;
};

struct janitor *janitor_new(const struct janitor_options *options) MUST_CHECK;
/* After Redis and the outbox: nothing is on its way any more. */
void janitor_free(struct janitor *j);
/* Looks when it is time; a few times a second. */
void janitor_tick(struct janitor *j);

#endif
