/*
 * What the parts of a POST's handling share. Nobody else includes it.
 *
 *	post.c              taken on, waiting, given up: the lists
 *	post_owner.c        whose the session is, and on which pod its stream
 *	post_message.c      what the message asks for
 *	post_declaration.c  what it declares is noted first
 *	post_call.c         a worker is to answer: into the queue with it
 *	post_answer.c       the answer is made here: to the stream with it
 *	post_status.c       what the POST itself is answered
 *
 * Each hands the post on to those below it, and must not look at it afterwards:
 * an accepted or refused post is freed. While a command or a delivery is on its
 * way for it, the callback has it, and none but that frees it. One that has been
 * parked, or had to wait for something before it can be answered, begins anew at
 * post_find_owner(): its session may have moved meanwhile.
 */
#ifndef MCP_POST_PRIVATE_H
#define MCP_POST_PRIVATE_H

#include <sys/queue.h>

#include "common/ident.h"
#include "proxy/declaration.h"
#include "proxy/mcp.h"
#include "proxy/post.h"
#include "proxy/resource.h"

enum post_state {
	POST_SENT,
	POST_PARKED,
	POST_METERED,
	POST_STATES
};

struct post {
	TAILQ_ENTRY(post) link;       /* of all->lists[state] */
	struct posts *all;
	struct http_conn *c;          /* held; NULL once answered */
	uint64_t arrived_ms;
	enum post_state state;
	bool in_doubt;                /* queued perhaps, by an attempt before */
	bool declared;                /* see declaration.h */
	bool declined;                /* the record has no room for it */
	unsigned attempt;
	struct jsonrpc_msg msg;       /* points into body */
	struct user user;
	struct scopes *scopes;        /* a reference */
	enum principal_kind kind;
	struct strbuf made;           /* an answer that took its time, or empty */
	struct called called;         /* its host stands behind the body, */
	struct slice headers;         /* and these behind that */
	uint64_t epoch;               /* of the stream whose client posts */
	char sid[SID_LEN];
	char call[CALL_ID_LEN + 1];
	char api[API_NAME_MAX + 1];   /* of the path; empty: all */
	size_t body_len;
	char body[];
};

TAILQ_HEAD(post_list, post);

struct posts {
	struct post_options options;
	struct post_list lists[POST_STATES];
	unsigned count;
};

/* Who owns a session, as far as this loop knows; for the turn at hand. */
struct post_owner {
	struct session *local;        /* this loop, or */
	struct slice pod;             /* that one */
	const char *api;
	struct client_traits client;
};

static inline struct slice
post_sid(const struct post *p)
{
	return slice_of(p->sid, SID_LEN);
}

static inline void
post_count_one(const struct post *p, enum stat which)
{
	stat_add(p->all->options.stats, which, 1);
}

/* post.c */

void post_free(struct post *p);
/* It begins anew with a later tick; one that has been given up is freed. */
void post_park(struct post *p);

/* post_owner.c */

/* Finds out who has the session, then goes on by post_handle(). */
void post_find_owner(struct post *p);

/* post_message.c */

/* Deals with the message, of the session's own user on a path that it serves. */
void post_handle(struct post *p, const struct post_owner *owner);

/* post_declaration.c */

/* Borrows from p. */
struct declaration post_declaration(const struct post *p);
/* Notes it in Redis; then the post is declared, or declined. */
void post_declare(struct post *p);

/* post_call.c */

/* Queues the call, or answers that the queue is full. */
void post_call(struct post *p, const struct post_owner *owner,
    const struct mcp_target *to);

/* post_answer.c */

/* Sends a whole JSON-RPC answer to the session's stream; copies what it needs. */
void post_answer(struct post *p, const struct post_owner *owner,
    struct slice payload);
void post_answer_error(struct post *p, const struct post_owner *owner, int code,
    const char *text);
/* Runs a tool of the proxy's own: its answer becomes p->made. */
void post_run_builtin(struct post *p, const struct catalog_item *tool);

/* post_status.c */

enum post_refusal {
	POST_NOT_JSON,
	POST_NOT_JSONRPC,
	POST_UNKNOWN_SESSION,
	POST_CALL_NOT_QUEUED,
	POST_UNKNOWN_OUTCOME,
	POST_WRITES_REFUSED,
	POST_REDIS_AWAY,
	POST_STOPPING
};

/* Each of these answers the client and frees the post. */
void post_accept(struct post *p);
void post_refuse(struct post *p, enum post_refusal why);
/* The item is outside the scopes that were granted. */
void post_refuse_forbidden(struct post *p, const struct catalog_item *item);
void post_refuse_limited(struct post *p, enum limit which, uint64_t wait_ms);
/* Answers the client only: a command of the post's may still be on its way. */
void post_turn_away(struct post *p, enum post_refusal why);

#endif
