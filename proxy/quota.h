/*
 * How many streams and sessions a user has, over all pods, and whether he may
 * have one more.
 *
 * Each loop writes how many of a user's streams it holds into
 * mcp_user_streams:{<user>}, as a count of its own, when it changes; what stands
 * there of a pod that does not beat any more is not counted. Sessions that wait
 * for their client are in mcp_user_waiting:{<user>} until they would go. Nothing
 * is done for users where no limit is set.
 *
 * A client that lost its stream stops for good when its GET is refused, and its
 * former stream may still count for some seconds. So a GET that may come from
 * such a client is let in up to twice the limit of streams and four times that of
 * sessions (each reconnection without a name may leave one behind). Beyond it
 * gets a stream that says when to come back, and ends: that does not stop it.
 */
#ifndef MCP_QUOTA_H
#define MCP_QUOTA_H

#include "proxy/fleet.h"
#include "proxy/http.h"
#include "proxy/limits.h"

struct quota;

struct quota_options {
	struct redis *commands;       /* these are borrowed */
	struct fleet *fleet;
	struct limits *limits;
	struct slice pod;             /* this loop's name */
	struct http_limits heads;     /* with which heads were parsed */
	metric_value *stats;
};

struct quota *quota_new(const struct quota_options *options) MUST_CHECK;
/* From now on who waits is refused: before Redis goes for good. */
void quota_stop(struct quota *q);
/* After Redis. */
void quota_free(struct quota *q);
/* Writes the counts anew, some at a time; a few times a second. */
void quota_tick(struct quota *q);
/* Redis lost its data: all counts are to be written anew. */
void quota_rebuild(struct quota *q);

/* A GET that wants a stream. */
struct quota_visit {
	struct http_conn *c;
	const struct http_request *req;
	const struct principal *who;
	struct slice api;             /* of the path */
	/* It says that its client had a stream before, or which session. */
	bool returns;
	/* What its client calls itself: if that leads to a session, it returns. */
	struct slice client_digest;   /* see session_client_digest(); or empty */
};

/* The GET may have its stream. Request and principal are gone afterwards. */
typedef void quota_admitted_cb(struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    struct slice api, void *arg);

/*
 * Calls cb, now or when Redis has answered, or refuses the request. Without a
 * limit, or without Redis, everybody is let in.
 */
void quota_admit(struct quota *q, const struct quota_visit *visit,
    quota_admitted_cb *cb, void *arg);

/* These do nothing when q is NULL. user: SHA256_LEN bytes. */

/* A stream of that user was opened. */
void quota_opened(struct quota *q, const unsigned char *user);
/* It has ended; its session waits for wait_ms for its client, or 0. */
void quota_closed(struct quota *q, const unsigned char *user, struct slice sid,
    uint64_t wait_ms);
/* The session that waited has a stream again. */
void quota_resumed(struct quota *q, const unsigned char *user,
    struct slice sid);

#endif
