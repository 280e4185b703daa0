/*
 * A call on a thread: what the thread has of it, and the answer on its way back.
 *
 * The event loop makes it, a thread of the pool (pool.h) computes on it, and the
 * loop answers the call from it. Only the word that nobody waits any more crosses
 * over while the thread has it; everything else changes hands as a whole.
 * tool.h has the side that a tool's author sees.
 */
#ifndef MCP_WORKER_WORK_H
#define MCP_WORKER_WORK_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "common/strbuf.h"
#include "worker/runtime/tool.h"

enum work_answer {
	WORK_SILENT,   /* none yet */
	WORK_TEXT,
	WORK_ERROR,
	WORK_JSON,
	WORK_RESULT
};

struct work {
	STAILQ_ENTRY(work) link;   /* the pool's, under its lock */
	LIST_ENTRY(work) all;      /* the loop's */
	struct call *call;         /* for the loop alone */
	const struct tool *tool;
	const cJSON *args;         /* the call's, which waits for the work */
	const void *settings;
	atomic_bool cancelled;
	enum work_answer answer;
	bool is_error;
	struct strbuf text, json;
};

/*
 * The call's work; the call is the tool's from here, see call_hold(). It must be
 * finished, or freed with its call never answered.
 */
struct work *work_new(struct call *call) MUST_CHECK;
void work_free(struct work *work);
/* On a thread: runs the tool, unless nobody waits any more. */
void work_run(struct work *work);
/* Nobody waits any more; from the loop, at any time. */
void work_cancel(struct work *work);
/* On the loop: the thread is done; answers the call and frees the work. */
void work_finish(struct work *take_work);

#endif
