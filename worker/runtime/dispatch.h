/*
 * From a stream entry to a running tool: reads the envelope and the JSON-RPC
 * request in it, finds the tool (resource, template, prompt), holds its arguments
 * against the schema.
 * Whatever is wrong with an entry ends as an answer, never as a crash.
 *
 * An entry that was delivered before may have begun then. If its tool is safe it
 * begins again, RECLAIM_ATTEMPTS_MAX times in all; then it is given up, as a dead
 * letter. If its tool is not safe, the answer is that its outcome is unknown.
 */
#ifndef MCP_WORKER_DISPATCH_H
#define MCP_WORKER_DISPATCH_H

#include "worker/runtime/arrival.h"
#include "worker/runtime/budget.h"
#include "worker/runtime/cancels.h"
#include "worker/runtime/catalogue.h"
#include "worker/runtime/dead.h"
#include "worker/runtime/limiter.h"
#include "worker/runtime/inflight.h"
#include "worker/runtime/policy.h"

/* What it works with; all borrowed. */
struct dispatch {
	const struct catalogue *catalogue;
	struct inflight *inflight;
	struct limiter *limiter;
	struct budget *budget;           /* may be NULL */
	const struct policy *policy;     /* may be NULL */
	const struct cancels *cancels;   /* may be NULL */
	const struct dead *dead;
};

/*
 * Begins the call in an entry, unless inflight holds the entry already; tools
 * may answer before this returns. arrival is borrowed.
 */
void dispatch_entry(const struct dispatch *d, const struct arrival *arrival);
/* The budget has room for a call that had none: goes on with it. */
void dispatch_resume(const struct dispatch *d, struct call *call);

#endif
