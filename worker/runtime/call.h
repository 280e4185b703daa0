/*
 * One call inside the runtime: what came in, and the answer that goes out.
 *
 * A call copies what it needs of its entry, because an entry's memory ends with
 * the Redis callback, and a tool may answer much later.
 */
#ifndef MCP_WORKER_CALL_H
#define MCP_WORKER_CALL_H

#include <sys/queue.h>
#include <uthash.h>

#include "common/envelope.h"
#include "common/strbuf.h"
#include "worker/runtime/inflight.h"
#include "worker/runtime/tool.h"

/* What a client's event log holds in all (1 MiB) is what one answer may be. */
#define CALL_ANSWER_MAX ((size_t)1 << 20)

/* Who holds the call; only call_set_state() writes it. */
enum call_state {
	CALL_OPENED,     /* dispatch: being looked at */
	CALL_RUNNING,    /* its tool, until it answers */
	CALL_ANSWERED,   /* reply's queue: to be sent with the next flush */
	CALL_SENT        /* a flush of reply's: Redis has not confirmed yet */
};

/* A stream entry's id in fixed size. */
struct call_key {
	uint64_t ms, seq;
};

struct call {
	/* inflight's */
	struct inflight *home;
	struct call_key key;
	UT_hash_handle hh;

	enum call_state state;
	STAILQ_ENTRY(call) link;     /* free list, or reply's queue */

	/* Slices into copies. */
	struct strbuf copies;
	struct slice entry;          /* id of the stream entry */
	struct slice call;
	struct slice session;
	struct slice reply_to;
	struct slice user;
	struct slice id;             /* raw JSON-RPC id */
	uint64_t deadline_ms;        /* wall clock; 0: none */
	unsigned attempt;

	struct worker_env *env;      /* borrowed */
	const struct tool *tool;
	void (*on_cancel)(struct call *call, void *arg);
	void *on_cancel_arg;
	cJSON *params;               /* owned; the arguments are in it */

	struct strbuf answer;        /* a JSON-RPC message; empty: none to send */
	bool failed;                 /* the answer is an error */
	bool added;                  /* reply's: Redis has the answer */
	bool repeated;               /* the client may have an answer already */
};

STAILQ_HEAD(call_list, call);

void call_set_state(struct call *call, enum call_state state);

/*
 * Copies what answering needs. request may be malformed: empty fields are fine.
 * id is the raw JSON-RPC id, empty when there is none. False: too large.
 */
bool call_open(struct call *call, const struct env_request *request,
    struct slice id) MUST_CHECK;
/* Hands it to the tool, with parsed params (owned from here; NULL: none). */
void call_run(struct call *call, const struct tool *tool, cJSON *take_params,
    const cJSON *args);

/* Nothing is to be answered: the entry just goes away. */
void call_drop(struct call *call);

#endif
