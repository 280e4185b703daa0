/*
 * What one user, and one client address, may do at most: the settings, the
 * buckets behind the rates, and how it is said that a limit was reached.
 *
 *	user_rate      POSTs a second, of one user, fleet-wide
 *	ip_rate        POSTs and new streams a second, from one address, fleet-wide
 *	user_streams   open streams of one user; see quota.h
 *	user_sessions  these, and sessions that wait for their client; see quota.h
 *	user_calls     calls of one user that an API has queued or running; see
 *	               calls.h
 *
 * A limit of 0 is none. A refusal is answered 429 with Retry-After and a text
 * that names the limit, counted, and logged once per minute and user.
 */
#ifndef MCP_LIMITS_H
#define MCP_LIMITS_H

#include <netinet/in.h>

#include "proxy/meter.h"
#include "proxy/principal.h"
#include "proxy/stats.h"

enum limit {
	LIMIT_USER_RATE,
	LIMIT_IP_RATE,
	LIMIT_USER_STREAMS,
	LIMIT_USER_SESSIONS,
	LIMIT_USER_CALLS,
	LIMITS
};

struct limits;

struct limit_options {
	struct redis *commands;              /* these are borrowed */
	const struct principals *principals;
	metric_value *stats;
	/* Something has come from Redis: ask again for those who wait. */
	void (*on_answer)(void *arg);
	void *arg;
	unsigned at_most[LIMITS];            /* 0: no limit */
	unsigned user_burst;                 /* 0: twice the rate */
	unsigned ip_burst;
};

struct limits *limits_new(const struct limit_options *options) MUST_CHECK;
/* After Redis. */
void limits_free(struct limits *l);

/* Of no limits at all when l is NULL. */
unsigned limits_at_most(const struct limits *l, enum limit which);
/* See meter_take(). */
enum meter_result limits_take_user(struct limits *l, const struct user *user,
    uint64_t *wait_ms) MUST_CHECK;
/*
 * An IPv6 address counts as its /64, which is what one subscriber has. Only when
 * the secret of user hashes is known: see principals_are_known().
 */
enum meter_result limits_take_address(struct limits *l,
    const struct in6_addr *address, uint64_t *wait_ms) MUST_CHECK;

#define LIMIT_HEADERS_MAX 40

/* How a request is refused. */
struct limit_refusal {
	char headers[LIMIT_HEADERS_MAX];  /* Retry-After, in seconds */
	const char *text;                 /* lives as long as the limits */
};

/*
 * Counts and logs a refusal, and says how to word it. who: the user, or (for
 * LIMIT_IP_RATE) NULL, and then address is said.
 */
void limits_refuse(struct limits *l, enum limit which, uint64_t wait_ms,
    const struct user *who, const struct in6_addr *address,
    struct limit_refusal *out);

#endif
