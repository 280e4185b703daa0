/*
 * What redis.c (a connection: how it is made, lost and made again) and
 * redis_pipeline.c (the commands and answers on it) share. Nobody else includes it.
 */
#ifndef MCP_REDIS_PRIVATE_H
#define MCP_REDIS_PRIVATE_H

#include <event2/bufferevent.h>

#include "common/redis.h"
#include "common/redis_pending.h"

#define REASON_BYTES 256

struct redis {
	struct event_base *base;
	struct evdns_base *dns;
	struct redis_options opt;
	enum redis_state state;
	uint64_t since_ms;           /* when it entered that state */

	struct redis_lookup *lookup; /* first half of CONNECTING */
	struct bufferevent *bev;     /* from then on, to the end of READY */
	struct resp_reader *reader;  /* lives as long as bev */
	struct redis_pending pending;
	struct strbuf out;           /* commands of this turn of the loop */
	struct event *flush;         /* made active by a turn's first command */
	/*
	 * CONNECTING and HANDSHAKE: the connect timeout. READY: the oldest
	 * command's timeout, looked at when it may have passed. BACKOFF: the
	 * next attempt.
	 */
	struct event *timer;

	bool silent;                 /* the last connection ended by a timeout */
	bool answering;              /* a callback of a command is running */
	unsigned attempt;            /* failures since it last went well */
	/* Set where the connection must end but a reply is being handled. */
	char reason[REASON_BYTES];
	char logged[REASON_BYTES];   /* reason in the last warning */
	uint64_t error_logged_ms;
	uint64_t refused_ms;         /* see redis_is_refusing(); 0: never */
	uint64_t commands;
};

/* redis.c */

/*
 * Ends the connection and waits for the next attempt. A server that takes us in
 * and soon throws us out again is not tried at full speed: only a connection
 * that lasted starts the back-off anew.
 */
void redis_lose(struct redis *r, const char *reason);
/* As redis_lose(), from inside a callback of a reply: done once that returned. */
void redis_doom(struct redis *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* redis_pipeline.c */

/*
 * Queues a command without asking whether it may be sent now. False: it is larger
 * than the output buffer may be.
 */
bool redis_queue(struct redis *r, const struct slice *argv, size_t argc,
    redis_cb *cb, void *arg) MUST_CHECK;
/* Callbacks find the connection not READY, so that none can queue more. */
void redis_fail_pending(struct redis *r);
/* Callbacks of the bufferevent and of r->flush; arg is the connection. */
void redis_on_read(struct bufferevent *bev, void *arg);
void redis_on_flush(evutil_socket_t fd, short what, void *arg);

#endif
