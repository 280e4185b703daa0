/*
 * When a call that has lost workers may begin its last attempt, and what it does
 * not have to suffer from others then.
 *
 * It may be what kills workers, or have been near it. So it begins while nothing
 * new is being read, and beside no other call that has lost a worker, unless that
 * is older than LAST_CHANCE_QUIET_MS: what kills, kills soon. And nothing else
 * begins while it is as young itself.
 */
#ifndef MCP_WORKER_LAST_CHANCE_H
#define MCP_WORKER_LAST_CHANCE_H

#include "worker/runtime/inflight.h"

#define LAST_CHANCE_QUIET_MS 1000

/* Zeroed but for inflight; only these functions write it. Times are monotonic. */
struct last_chance {
	struct inflight *inflight;   /* borrowed */
	uint64_t quiet_until_ms;     /* one is being taken, and young */
	uint64_t suspect_until_ms;   /* another call that lost a worker is */
	uint64_t way_until_ms;       /* one waits for us to read nothing */
};

/* A call that was delivered that often has been taken over. */
void last_chance_note(struct last_chance *l, unsigned deliveries);
/* May one begin now, if nothing new is being read? */
bool last_chance_may_begin(const struct last_chance *l);
/* Must nothing else begin? */
bool last_chance_is_quiet(const struct last_chance *l);

/*
 * Entries have been looked at: does one wait for its last chance? True: nothing
 * new is to be read, for it to begin here. Another worker may take it first.
 */
bool last_chance_waits(struct last_chance *l, bool waiting);
/* Is nothing to be read for the sake of one that waits? */
bool last_chance_makes_way(const struct last_chance *l);

/* A call is done. True, once: the last chance is over, and another may come. */
bool last_chance_ended(struct last_chance *l);

#endif
