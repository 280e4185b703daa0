/*
 * The calls that this worker holds in memory: from the read of an entry until
 * Redis confirmed that its answer is queued and the entry gone.
 *
 * It owns the calls and recycles them. Knowing each by its entry id is what
 * keeps an entry that is read twice (see consume.h) from running twice.
 *
 * A call whose tool goes on after the runtime is done with it (abandoned) is kept
 * for the tool's sake alone, and takes up a place until the tool lets go of it.
 */
#ifndef MCP_WORKER_INFLIGHT_H
#define MCP_WORKER_INFLIGHT_H

#include "common/api_counters.h"
#include "common/envelope.h"

struct call;
struct call_key;
struct inflight;
struct talk;
struct worker_env;

struct inflight_options {
	struct worker_env *env;   /* for tools; borrowed */
	/* A call got its answer, or is to go without one. */
	void (*on_answer)(struct call *call, void *arg);
	/*
	 * A call is about to end other than by its answer: whoever has it on a
	 * list takes it off. May be NULL.
	 */
	void (*on_ending)(struct call *call, void *arg);
	/* A call's tool has let go of it: others may run in its place. */
	void (*on_released)(struct call *call, void *arg);
	/* The arguments of a call that budget has charged are about to be freed. */
	void (*on_freed)(struct call *call, void *arg);
	/* A call is done: there is room for another. */
	void (*on_done)(void *arg);
	void *arg;
};

struct inflight *inflight_new(const struct inflight_options *options)
    MUST_CHECK;
/* What its calls talk through to their clients, borrowed; before the first. */
void inflight_set_talk(struct inflight *f, struct talk *talk);
/* Frees all calls; none may be with a tool that still answers. */
void inflight_free(struct inflight *f);

/*
 * Takes up the entry with that id. Returns the new call, or NULL when the entry
 * is held already or its id is none.
 */
struct call *inflight_add(struct inflight *f, struct slice entry_id)
    MUST_CHECK;
/* The call with that key, or NULL. */
struct call *inflight_find(const struct inflight *f,
    const struct call_key *key);
/* Calls fn for each; fn may end the call at hand in any way. */
void inflight_each(struct inflight *f, void (*fn)(struct call *call, void *arg),
    void *arg);
/* Redis confirmed everything: forgets the call. */
void inflight_done(struct inflight *f, struct call *take_call);
/* The same for a call that has been left to others. */
void inflight_forget(struct inflight *f, struct call *take_call);

/* For call.c. The call has its answer, or needs none. */
void inflight_answered(struct inflight *f, struct call *call);
void inflight_ending(struct inflight *f, struct call *call);
void inflight_released(struct inflight *f, struct call *call);
void inflight_moved(struct inflight *f, const struct call *call, unsigned to);

/* Calls with that enum call_state; those abandoned are in no other count. */
unsigned inflight_in_state(const struct inflight *f, unsigned state);
/* Of the requests of those that are CALL_WAITING. */
size_t inflight_waiting_bytes(const struct inflight *f);
/* Calls that tools have in hand, abandoned ones included. */
unsigned inflight_held(const struct inflight *f);
size_t inflight_count(const struct inflight *f);

/* A call begins again that a worker before this one may have begun. */
void inflight_repeated(struct inflight *f);

/* Since start, for the heartbeat. */
struct inflight_totals {
	uint64_t done;     /* answered and confirmed */
	uint64_t failed;   /* of these: with an error */
	uint64_t counters[API_COUNTERS];
};
const struct inflight_totals *inflight_totals(const struct inflight *f);

#endif
