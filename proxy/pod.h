/*
 * This event loop as a pod that others can see: its heartbeat in Redis.
 *
 * The heartbeat doubles as a probe: when its key had vanished although it was
 * written in time, Redis has lost its data (a flush, a failover to an empty
 * replica), and the loop must write the records of its sessions anew.
 */
#ifndef MCP_POD_H
#define MCP_POD_H

#include "common/redis.h"

/*
 * Shorter than a third of the heartbeat's life: it also bounds how long a
 * flushed Redis goes unnoticed, and a POST waits that out.
 */
#define POD_BEAT_MS 1500

struct pod;

struct pod_load {
	unsigned streams;
	unsigned connections;
	bool draining;
};

/* name: as it stands in keys, borrowed. on_lost: Redis lost its data. */
struct pod *pod_new(struct redis *commands, struct slice name,
    void (*on_lost)(void *arg), void *arg) MUST_CHECK;
void pod_free(struct pod *p);
/* Beats when it is time; a few times a second. */
void pod_tick(struct pod *p, const struct pod_load *load);
/* Beats with the next tick, whatever the time. */
void pod_hurry(struct pod *p);
/*
 * Did Redis lose data so recently that other pods may not have written their
 * sessions' records anew yet?
 */
bool pod_lost_recently(const struct pod *p);
/* Has Redis confirmed a heartbeat yet? */
bool pod_has_beaten(const struct pod *p);
/*
 * Asks whether the heartbeat still stands: cb gets the integer 1 or 0, and 0
 * means that Redis lost its data, noticed or not, if pod_has_beaten(). Returns as
 * redis_send().
 */
bool pod_probe(struct pod *p, redis_cb *cb, void *arg) MUST_CHECK;
/*
 * How long Redis has neither confirmed a heartbeat nor refused it because it takes
 * no writes at all (REDIS_REFUSES_ALL), which is worth any wait.
 */
uint64_t pod_unconfirmed_ms(const struct pod *p);
/*
 * How long it has neither done so nor been down for everybody: another pod may
 * hold this one for dead then, and take its sessions.
 */
uint64_t pod_unheard_ms(const struct pod *p);
/* Was the last heartbeat refused, for whatever reason? */
bool pod_is_refused(const struct pod *p);
/* It is down for everybody at this moment: nobody can take anything. */
void pod_hear(struct pod *p);
/*
 * Removes the heartbeat, and says in the index that this pod has left: what still
 * comes to its inbox is somebody else's from here on.
 */
void pod_leave(struct pod *p);

#endif
