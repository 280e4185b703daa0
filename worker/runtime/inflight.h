/*
 * The calls that this worker holds in memory: from the read of an entry until
 * Redis confirmed that its answer is queued and the entry gone.
 *
 * It owns the calls and recycles them. Knowing each by its entry id is what
 * keeps an entry that is read twice (see consume.h) from running twice.
 */
#ifndef MCP_WORKER_INFLIGHT_H
#define MCP_WORKER_INFLIGHT_H

#include "common/envelope.h"

struct call;
struct inflight;
struct worker_env;

struct inflight_options {
	struct worker_env *env;   /* for tools; borrowed */
	/* A call got its answer, or is to go without one. */
	void (*on_answer)(struct call *call, void *arg);
	/* A call is done: there is room for another. */
	void (*on_done)(void *arg);
	void *arg;
};

struct inflight *inflight_new(const struct inflight_options *options)
    MUST_CHECK;
/* Frees all calls; none may be with a tool that still answers. */
void inflight_free(struct inflight *f);

/*
 * Takes up the entry with that id. Returns the new call, or NULL when the entry
 * is held already or its id is none.
 */
struct call *inflight_add(struct inflight *f, struct slice entry_id)
    MUST_CHECK;
/* For call.c: the call has its answer, or needs none. */
void inflight_answered(struct inflight *f, struct call *call);
/* Redis confirmed everything: forgets the call. */
void inflight_done(struct inflight *f, struct call *take_call);

size_t inflight_count(const struct inflight *f);

/* Since start, for the heartbeat. */
struct inflight_totals {
	uint64_t done;     /* answered and confirmed */
	uint64_t failed;   /* of these: with an error */
};
struct inflight_totals inflight_totals(const struct inflight *f);

#endif
