/*
 * All pods as this event loop sees them: who beats, who fell silent, who left.
 *
 * The index mcp_pods is read once a second. A pod's beat moves its score, and
 * only that it moved counts here, by this loop's own clock: pods' wall clocks
 * may differ. A pod that stops in order sets its score to 0.
 *
 * Silence is what was heard of it: while Redis was away, took no beats from
 * anybody, or this loop stood still, nobody's counts.
 */
#ifndef MCP_FLEET_H
#define MCP_FLEET_H

#include "common/envelope.h"
#include "common/redis.h"

/* Two beats of a pod and the time between two readings (see POD_BEAT_MS). */
#define FLEET_SILENT_MS 4500

struct fleet;

/* A pod; the struct lives as long as the pod is in the index. */
struct fleet_pod {
	char name[POD_NAME_MAX + 1];
	uint64_t moved_ms;    /* monotonic: when its score was last seen to move */
	uint64_t silent_ms;   /* how long it has been seen not to, since then */
	unsigned moves;       /* how often, since this loop knows the pod */
	bool left;            /* it stopped in order */
};

struct fleet *fleet_new(struct redis *commands) MUST_CHECK;
void fleet_free(struct fleet *f);
/* Reads the index when it is time; a few times a second. */
void fleet_tick(struct fleet *f);

/* Redis takes no beats at this moment: that none is seen says nothing. */
void fleet_excuse(struct fleet *f);

/* NULL: not in the index (or it has not been read yet). */
const struct fleet_pod *fleet_find(struct fleet *f, struct slice name);
/* How long a pod has not beaten; for one that has left, since then. */
uint64_t fleet_silent_ms(const struct fleet_pod *pod);
/* Its heartbeat has expired, or it has left: it answers for nothing. */
bool fleet_is_dead(const struct fleet_pod *pod);
/* Calls cb for each pod in the index. */
void fleet_each(const struct fleet *f,
    void (*cb)(const struct fleet_pod *pod, void *arg), void *arg);
/* Calls cb for each dead pod. */
void fleet_each_dead(struct fleet *f,
    void (*cb)(const struct fleet_pod *pod, void *arg), void *arg);
/* Takes a dead pod out of the index, once nothing of it is left. */
void fleet_remove(struct fleet *f, struct slice name);

#endif
