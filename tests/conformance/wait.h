/*
 * Calls of the conformance worker between two of their steps. They are the API's
 * state, so that they end with it.
 */
#ifndef MCP_CONFORMANCE_WAIT_H
#define MCP_CONFORMANCE_WAIT_H

#include <sys/queue.h>

#include "worker/runtime/tool.h"

struct wait {
	LIST_ENTRY(wait) link;
	struct call *call;
	struct event *timer;
	void (*then)(struct wait *w);
	const char *nonce;          /* of the arguments, like ms */
	unsigned ms;
	unsigned step;              /* the caller's */
};

/* The API's state; the caller's to fill in from tools on. */
struct state {
	LIST_HEAD(, wait) waits;
	struct tool *tools;         /* all of them; owned */
};

struct wait *wait_new(struct call *call, const cJSON *args);
void wait_free(struct wait *w);
/* then(w) goes on, and takes w with it at last. */
void wait_for(struct wait *w, unsigned ms, void (*then)(struct wait *w));
/* Answers the call with a text. Takes the wait with it. */
void wait_answer(struct wait *take_w, const char *text);
/* For call_on_cancel(): the wait ends with the call. */
void wait_cancel(struct call *call, void *w);

const char *text_of(const cJSON *args, const char *name);

#endif
