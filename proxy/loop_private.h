/*
 * What loop.c (a loop's life, its ticks), loop_parts.c (what it consists of, and
 * who knows whom), loop_messages.c (which way messages go) and loop_drain.c (how it
 * stops) share. Nobody else includes it.
 */
#ifndef MCP_LOOP_PRIVATE_H
#define MCP_LOOP_PRIVATE_H

#include "common/envelope.h"
#include "proxy/loop.h"
#include "proxy/router.h"
#include "proxy/session.h"

struct inbox_entry;

enum loop_state {
	LOOP_RUNNING,
	LOOP_NOTICED,    /* not ready, but serves on: load balancers take time */
	LOOP_DRAINING,   /* streams end; who comes is served, but not for long */
	LOOP_GIVING_UP,  /* out of time: errors instead of answers */
	LOOP_LEAVING     /* no longer listens; the last words are on their way */
};

struct loop {
	struct process *process;
	struct event_base *base;
	struct evdns_base *dns;
	struct redis *redis;
	struct inbox *inbox;
	struct outbox *outbox;
	struct sessions *sessions;
	struct directory *directory;
	struct catalog *catalog;
	struct survey *survey;
	struct posts *posts;
	struct strays *strays;
	struct fleet *fleet;
	struct sweeps *sweeps;
	struct janitor *janitor;
	struct cleaner *cleaner;
	struct session_api *session_api;
	struct api_metrics *api_metrics;
	struct pod *pod;
	struct principals *principals;
	struct limits *limits;
	struct quota *quota;
	struct gate *gate;
	struct http_server *http;
	struct router router;
	struct event *tick;
	struct event *stop;
	int stop_fd;
	enum loop_state state;
	uint64_t state_since_ms;
	char name[POD_NAME_MAX];
	metric_value stats[STAT_COUNT];
};

/* loop_parts.c */

/* Makes all but the listener, none of it at work yet. */
void loop_make_parts(struct loop *loop);
void loop_free_parts(struct loop *loop);
/* Binds the socket. False: said why in the log. */
bool loop_listen(struct loop *loop) MUST_CHECK;

/* loop_messages.c: callbacks, arg is the loop */

/* A message from this loop's own inbox. */
void loop_on_message(const struct env_message *message,
    struct inbox_entry *entry, void *arg);
/* A message from the inbox of a pod that is gone, or may be. */
void loop_on_left_message(const struct env_message *message,
    session_done_cb *done, void *done_arg, void *arg);
/* A message that a session here cannot deliver any more. */
void loop_on_stray(const struct env_message *message, session_done_cb *done,
    void *done_arg, void *arg);
bool loop_holds_session(struct slice session, void *arg);
/* A session came from that pod, which had let it go in order, or not. */
void loop_on_taken_over(struct slice pod, bool in_order, void *arg);

/* loop_drain.c */

/* It is to stop: the first time counts. */
void loop_notice_stop(struct loop *loop);
/* Goes on to the next state when its time has come; each tick. */
void loop_drain_further(struct loop *loop);

#endif
