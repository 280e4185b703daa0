/*
 * What other pods left behind: reads their inboxes.
 *
 * Two reasons, one way of reading. A loop that took a session over from a pod
 * that did not let it go in order *watches* that pod's inbox for messages to its
 * own sessions, at once and without deleting anything, until the pod is seen to
 * beat (then it passes things on itself) or its inbox is swept. What was delivered
 * this way is noted beside the inbox, for whoever reads it next. The inbox of a
 * pod that is dead is *swept* by one loop of the fleet: each entry is deleted
 * once its messages have been passed on, delivered, logged or dropped; late
 * answers included, until nothing can come any more, and then the inbox itself
 * goes.
 *
 * Whatever is read here is marked as a possible repeat: its owner may have
 * handed it over in its last moment.
 */
#ifndef MCP_SWEEP_H
#define MCP_SWEEP_H

#include "proxy/fleet.h"
#include "proxy/session.h"

struct sweeps;

struct sweep_options {
	struct redis *commands;       /* these are borrowed */
	struct fleet *fleet;
	struct slice pod;             /* this loop's name */
	metric_value *stats;
	/*
	 * A message from another pod's inbox, to whoever has the session now; its
	 * bytes are gone when this returns, and done(done_arg) must be called
	 * once its fate is known.
	 */
	void (*pass_on)(const struct env_message *message,
	    session_done_cb *done, void *done_arg, void *arg);
	/* Does this loop hold the session's stream? */
	bool (*is_here)(struct slice session, void *arg);
	void *arg;
};

struct sweeps *sweeps_new(const struct sweep_options *options) MUST_CHECK;
/* After Redis; done may still be called, to no effect. */
void sweeps_free(struct sweeps *all);
/* A session was taken over from that pod. */
void sweeps_watch(struct sweeps *all, struct slice pod);
/* A few times a second. */
void sweeps_tick(struct sweeps *all);
/*
 * This loop is to stop: it sweeps no more, and others may at once. (The loops of
 * a process stop one after another: the last ones would else sweep the first
 * ones' inboxes for a moment, and leave them locked.) It still watches.
 */
void sweeps_leave(struct sweeps *all);

#endif
