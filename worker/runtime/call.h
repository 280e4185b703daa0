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

#include "common/client_traits.h"
#include "common/envelope.h"
#include "common/jsonrpc.h"
#include "common/strbuf.h"
#include "worker/runtime/catalogue.h"
#include "worker/runtime/inflight.h"
#include "worker/runtime/tool.h"

/* What a client's event log holds in all (1 MiB) is what one answer may be. */
#define CALL_ANSWER_MAX ((size_t)1 << 20)

/* Who holds the call; only call_set_state() writes it. */
enum call_state {
	CALL_OPENED,     /* dispatch: being looked at */
	CALL_WAITING,    /* limiter's list: may not begin yet */
	CALL_RUNNING,    /* its tool, until it answers */
	CALL_ANSWERED,   /* reply's queue: to be sent with the next flush */
	CALL_SENT,       /* a flush of reply's: Redis has not confirmed yet */
	CALL_RETURNING,  /* lease: to be given back to the queue */
	CALL_ABANDONED   /* done with, but its tool has not let go of it */
};
#define CALL_STATES (CALL_ABANDONED + 1)

/* A stream entry's id in fixed size. */
struct call_key {
	uint64_t ms, seq;
};

struct use;
struct ask;
struct method;
struct talk;
struct work;

/* What a call has said to its client so far, see talk.h and ask.h. */
struct dialogue {
	LIST_HEAD(, ask) asks;       /* that the client has not answered */
	uint64_t begun_ms;           /* monotonic: when it came */
	uint64_t reported_ms;        /* monotonic: the last progress; 0: none */
	double done, total;          /* of that */
	uint64_t paid_ms;            /* monotonic: sent for up to that time */
	bool has_begun;              /* the answer, part by part */
};

struct call {
	/* inflight's */
	struct inflight *home;
	struct call_key key;
	UT_hash_handle hh;

	enum call_state state;
	TAILQ_ENTRY(call) link;     /* a list of inflight, limiter or reply */

	/* Slices into copies. */
	struct strbuf copies;
	struct slice entry;          /* id of the stream entry */
	struct slice call;
	struct slice session;
	struct slice reply_to;
	struct slice user;
	struct slice id;             /* raw JSON-RPC id */
	struct slice token;          /* raw progress token; empty: none */
	struct slice headers;        /* lines, see call_header() */
	struct slice target;         /* see call_keep_request() */
	struct slice raw_params;     /* likewise */
	size_t size;                 /* of the request, bytes */
	struct client_traits client;
	uint64_t deadline_ms;        /* clock_shared_ms(); 0: none */
	unsigned attempt;            /* of the call, over all of its entries */

	/* The right to the entry, see lease.h. */
	uint64_t lease_ms;           /* monotonic: renewed at, or after */
	unsigned deliveries;         /* of this entry */
	bool renewing;               /* lease's: a script is on its way */
	bool entry_gone;             /* off the queue: nobody else has it */

	struct worker_env *env;      /* borrowed */
	struct talk *talk;           /* borrowed; NULL: nobody to talk to */
	struct dialogue dialogue;
	const struct tool *tool;     /* the API's, or stand_in */
	struct listing *listing;     /* held: the tool, and texts below, are of it */
	const struct schema *output; /* what it is to answer; NULL: anything */
	struct tool stand_in;        /* of what is no tool */
	enum offer_kind kind;
	const char *description;     /* of a prompt, borrowed like the next */
	const char *mime_type;       /* of a resource */
	const char *role;            /* of a prompt's messages from here on */
	bool completes;              /* asks what an argument may be */
	void (*on_cancel)(struct call *call, void *arg);
	void *on_cancel_arg;
	const struct method *method; /* dispatch's */
	cJSON *params;               /* owned; the arguments are in it */
	const cJSON *args;
	bool safe;                   /* may run again */
	bool held;                   /* its tool has it, and may touch it */
	bool let_go;                 /* nobody waits for its tool any more */
	size_t weight;               /* budget's: bytes that params take; 0: few */
	bool charged;                /* budget's: they are counted */
	bool unparsed;               /* budget's, while CALL_WAITING: for those */
	struct use *uses[3];         /* limiter's: see its enum which */
	struct use *waits_for;       /* limiter's, while CALL_WAITING */
	struct work *work;           /* while a thread has it, see work.h */

	struct strbuf answer;        /* a JSON-RPC message; empty: none to send */
	bool failed;                 /* the answer is an error */
	int error;                   /* JSON-RPC code of that; 0: a result */
	bool has_raw;                /* JSON of the API's own making is in it */
	bool added;                  /* reply's: Redis has the answer */
	bool in_doubt;               /* reply's: Redis may have the answer */
	bool repeated;               /* the client may have an answer already */
};

TAILQ_HEAD(call_list, call);

void call_set_state(struct call *call, enum call_state state);

/*
 * Copies what answering needs. request may be malformed: empty fields are fine,
 * in msg too. False: too large.
 */
bool call_open(struct call *call, const struct env_request *request,
    const struct jsonrpc_msg *msg) MUST_CHECK;
/*
 * Copies what the entry holds beside that: for a raw tool, or a call that waits to
 * be parsed. target is what the method is about (name, URI). Once; false: too large.
 */
bool call_keep_request(struct call *call, struct slice target,
    struct slice params) MUST_CHECK;
/* What the tool will get: parsed params (owned from here) with args in it. */
void call_prepare(struct call *call, const struct catalogue_offer *offer,
    bool safe, cJSON *take_params, const cJSON *args);
/* Its tool has it from here, until it answers. */
void call_hold(struct call *call);
/* The same, and runs it. */
void call_run(struct call *call);

/* Has its deadline passed? */
bool call_is_late(const struct call *call);

/*
 * The ends that are not the tool's doing. A tool that runs is told, if it asked
 * for that with call_on_cancel(), or computes; another goes on to nobody's use.
 */
/* Its deadline has passed: answers so. */
void call_expire(struct call *call);
/* The client cancelled it: answers nothing, the entry just goes away. */
void call_cancel(struct call *call);
/* The worker stops: safe calls and those not begun go back to the queue. */
void call_return(struct call *call);
/* Its entry is another worker's, who answers: forgets the call. */
void call_lose(struct call *call);

/* Nothing is to be answered: the entry just goes away. */
void call_drop(struct call *call);

/* For answer.c. */

/*
 * Exactly one answer: refuses a second one while the first is on its way, and one
 * that nobody waits for. That is the last the tool has to do with the call.
 */
bool call_may_answer(struct call *call) MUST_CHECK;
/* May it still add to its answer? Unlike the one above, ends nothing. */
bool call_is_open(const struct call *call) MUST_CHECK;
/* May its tool talk to its client? */
bool call_may_talk(const struct call *call) MUST_CHECK;
/* The answer is complete: it goes out. */
void call_answered(struct call *call);

#endif
