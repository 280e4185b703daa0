/*
 * This worker's right to the entries that it holds, kept up and checked.
 *
 * An entry that rests longer than WORKER_RECLAIM_IDLE may be taken by another
 * worker (reclaim.h). Redis counts that time from the last command that gave or
 * renewed the entry; this worker counts it from the moment at which it *sent* that
 * command, which is earlier. So while by its own clock
 *
 *  - less than a quarter has passed, there is nothing to do: short calls, nearly
 *    all, cost no command;
 *  - more than a quarter: a script renews the entries that are still its own, many
 *    at once, and tells which are not;
 *  - less than half: nobody else can have the entry, and may not get it before as
 *    much time again has passed: calls begin, and answers go out, unasked;
 *  - more than half: the process was paused, or Redis away. Nothing begins and no
 *    answer goes out before the script has confirmed the entry.
 *
 * A call whose deadline has passed since may be answered by a proxy before that
 * (proxy/janitor.h), when its worker seems not to move. So the right to it ends at
 * the deadline, until it has been renewed: an answer that comes too late, be it that
 * the call's time was up, is confirmed before it goes out.
 *
 * A call whose entry is another's is ended without an answer: the other answers.
 * What is left is a pause between that check and the write to the socket which
 * lasts longer than the other half; then two answers come, one of them marked as
 * a further attempt, and the proxy hands over the first alone (proxy/recent.h).
 *
 * Checking and renewing are one script, because XCLAIM by itself would take an
 * entry back from whoever has it now.
 */
#ifndef MCP_WORKER_LEASE_H
#define MCP_WORKER_LEASE_H

#include <event2/event.h>

#include "common/redis.h"
#include "worker/runtime/inflight.h"

struct lease;

struct lease_options {
	struct redis *commands;      /* borrowed, like the rest */
	struct inflight *inflight;
	struct slice requests_key;
	struct slice worker;         /* consumer name */
	unsigned reclaim_idle_ms;
	/* Some calls may be more than half through no longer. */
	void (*on_kept)(void *arg);
	/* The call's entry is another's: to be ended with call_lose(). */
	void (*on_lost)(struct call *call, void *arg);
	void *arg;
};

struct lease *lease_new(const struct lease_options *options) MUST_CHECK;
/* The command connection has called back all of its commands before this. */
void lease_free(struct lease *l);

/* May the call begin, or talk to its client? now: clock_mono_ms(). */
bool lease_is_fresh(const struct lease *l, const struct call *call,
    uint64_t now);
/* May it be answered? Unlike the above not once its deadline has passed, see there. */
bool lease_may_answer(const struct lease *l, const struct call *call,
    uint64_t now);
/*
 * Renews what is due, and hands the calls that are CALL_RETURNING back to the
 * queue: as new entries, so that another worker has them at once. Some times in a
 * quarter of the time, and when something is known to be due.
 */
void lease_tick(struct lease *l);

#endif
