/*
 * A JSON-RPC message that a client POSTed, until it is accepted or refused.
 *
 * Accepted (202) means that the request is in Redis, or that its answer has
 * been handed over. While Redis is away a post waits, for as long as
 * wait_ms; then it is refused with 503.
 *
 * States, each a list:
 *
 *	POST_SENT   -> a command or a delivery is on its way for it
 *	POST_PARKED -> waits for Redis to come back, and for the next tick
 *	POST_METERED -> waits to hear whether its user may send more
 */
#ifndef MCP_POST_H
#define MCP_POST_H

#include "common/redis.h"
#include "proxy/catalog.h"
#include "proxy/directory.h"
#include "proxy/fleet.h"
#include "proxy/http.h"
#include "proxy/limits.h"
#include "proxy/outbox.h"
#include "proxy/pod.h"
#include "proxy/session.h"
#include "proxy/session_api.h"
#include "proxy/stats.h"

struct posts;

struct post_options {
	struct slice pod;             /* this loop's name */
	struct redis *commands;       /* these are borrowed */
	struct sessions *sessions;
	struct directory *directory;
	struct catalog *catalog;
	struct outbox *outbox;
	struct fleet *fleet;
	struct pod *self;
	struct limits *limits;        /* NULL: none */
	struct session_api *session_api;
	unsigned window_ms;           /* how long a session waits for its client */
	unsigned wait_ms;
	unsigned call_timeout_ms;
	unsigned queue_max;
	size_t max_answer;            /* bytes of an answer made here */
	const char *public_url;       /* borrowed; NULL: see resource.h */
	const char *forward_headers;  /* borrowed; see forward.h */
	metric_value *stats;
};

struct posts *posts_new(const struct post_options *options) MUST_CHECK;
/* After the connections and Redis: nothing may be on its way any more. */
void posts_free(struct posts *all);

/* What a POST's target says. */
struct post_target {
	struct slice sid;
	struct slice api;             /* of the path; empty: all */
	uint64_t epoch;               /* of the stream that gave the endpoint */
};

/*
 * Takes on the POST at hand on c, by who for a session, on a path that serves
 * its API. Copies what it needs and answers in its own time.
 * Somebody else's session is answered as one that does not exist, after the
 * same question to Redis.
 */
void post_take(struct posts *all, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    const struct post_target *to);

/* Tries the parked ones again, refuses those that waited too long. */
void posts_tick(struct posts *all);
void posts_on_ready(struct posts *all);
/* It may be known now whether users may send more. */
void posts_on_metered(struct posts *all);
unsigned posts_count(const struct posts *all);

#endif
