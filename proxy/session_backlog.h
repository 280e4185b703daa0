/*
 * Messages on their way from an inbox (or an answer made here) to a client: what
 * session_backlog.c (lifetimes), session_delivery.c (handing over) and
 * session_log.c (what goes through the event log) share. Nobody else includes it.
 *
 * A message is dealt with once the kernel has all of its bytes, or the session's
 * event log has it. Until then it waits in the session's backlog, in the order in
 * which messages came, and whoever brought it keeps it in Redis. In the usual
 * case there is no backlog: the owner is proven, the socket takes everything, and
 * a message costs neither memory nor a command.
 *
 * A backlog is made for a session that must ask for a proof first, whose socket
 * does not take a message at once, or that lags. What only part of has gone to
 * the kernel stays in the backlog until the output buffer has drained. That may
 * hold up the inbox entry that it came in for a moment only: after
 * BUFFERED_MAX_MS, or when more than max_buffer bytes wait, the session lags.
 *
 * While a session lags, messages are appended to its log, those in the output
 * buffer too. Of the log, what has been handed over is trimmed when the buffer
 * has drained, and not before: if the stream breaks, the rest is owed.
 *
 * Appending and fetching take turns. A log that Redis lost begins anew with ids
 * that the old one had, and only the answers to what was appended tell; a fetch
 * that did not wait for them would trim new events for old ones.
 */
#ifndef MCP_SESSION_BACKLOG_H
#define MCP_SESSION_BACKLOG_H

#include "proxy/session_private.h"

/* The id of an entry in an event log: "<ms>-<seq>", ms being an owner's epoch. */
struct event_id {
	uint64_t ms, seq;
};

/* One message that could not be handed over at once. */
struct delivery {
	TAILQ_ENTRY(delivery) link;    /* of its backlog, while in it */
	struct session *session;
	session_done_cb *done;
	void *arg;
	bool repeated;                 /* may be the second of its kind */
	bool written;                  /* some of it is in the output buffer */
	bool sent;                     /* an XADD to the log is on its way */
	size_t payload_len;
	size_t call_len;
	char call[CALL_ID_LEN];
	char payload[];
};

struct backlog {
	TAILQ_ENTRY(backlog) link;     /* of all->backlogs */
	struct session *session;
	/*
	 * In the order in which they came: first those that are written or, in a
	 * session that lags, sent; then, from next on, those that are neither.
	 */
	TAILQ_HEAD(, delivery) deliveries;
	struct delivery *next;
	bool asking;                   /* for a proof */
	bool lagging;                  /* messages go through the log */
	bool fetching;                 /* from the log */
	uint64_t asked_ms;             /* when the proof was asked for */
	uint64_t held_until_ms;        /* 0: not held */
	struct event_id handed;        /* the last one taken from the log */
	unsigned appending;            /* XADDs to the log on their way */
	unsigned lag_events;           /* in the log, not handed over */
	size_t lag_bytes;
	/* What recent.h knows of the messages in the output buffer. */
	uint64_t *buffered;
	unsigned buffered_count;
	uint64_t buffered_since_ms;
};

enum handed {
	HANDED,        /* the kernel has it, or nobody needs it */
	HANDED_PARTLY, /* the rest is in the output buffer */
	HANDED_NOT     /* the stream is broken */
};

/* session_backlog.c */

/* The session's backlog, made when it has none. */
struct backlog *backlog_get(struct session *s);
/* Frees it when nothing waits and nothing is on its way. */
void backlog_drop_if_done(struct session *s);
/* The output buffer has drained. */
void backlog_forget_buffered(struct backlog *b);
/* Is there so much in the output buffer that more is to go to the log? */
bool backlog_is_full(const struct session *s);

/* Copies a message to the end of the session's backlog. */
struct delivery *delivery_new(struct session *s,
    const struct env_message *message, session_done_cb *done, void *arg);
/* Written, or sent: the one behind it is the next. */
void delivery_step_over(struct backlog *b, struct delivery *d);
void delivery_take_out(struct delivery *d);
/*
 * Frees one that was taken out: it has been dealt with, or is whoever's the
 * session is now. What that sets off may end the session.
 */
void delivery_finish(struct delivery *d);
void delivery_pass_on(struct delivery *d);
/* Borrows from d. */
struct env_message delivery_message(const struct delivery *d);

/* session_delivery.c */

/* Is the call the present client's, and has nobody answered in its place? */
bool delivery_is_awaited(const struct session *s, struct slice call) MUST_CHECK;
/* Writes a message to the client, unless it is one that the client has had. */
enum handed delivery_hand_over(struct session *s,
    const struct env_message *message) MUST_CHECK;
/* Does for what waits whatever can be done now. */
void session_delivery_go_on(struct session *s);

/* session_log.c */

/* From here on messages go to the log, those in the output buffer first. */
void session_log_begin(struct backlog *b);
/* Sends an XADD; false when Redis is away, or it is the turn of a fetch. */
bool session_log_append(struct delivery *d) MUST_CHECK;
/* Asks for what is in the log, if it is time. */
void session_log_fetch(struct session *s);
/* Ends a hold. */
void session_log_release(struct session *s);

#endif
