/*
 * Who may come in: works out the principal of each request before its route
 * sees it, from the request alone. A kept-alive connection proves nothing: a load
 * balancer sends many users' requests over one.
 *
 *	400  two credentials, or a token in the query
 *	401  no credential where one is needed, or one that is not good
 *	403  an origin or a host that is not on the list
 *	429  too many requests from one address: see limits.h
 *
 * Most requests are decided at once, from caches. One whose principal needs an
 * answer from elsewhere waits here, as a copy, and is then handed on, or refused
 * with 503 after wait_ms.
 */
#ifndef MCP_GATE_H
#define MCP_GATE_H

#include "proxy/catalog.h"
#include "proxy/http.h"
#include "proxy/jwt.h"
#include "proxy/limits.h"
#include "proxy/principal.h"
#include "proxy/stats.h"

struct gate;

/* A request that had to wait may go on now. who is gone when this returns. */
typedef void gate_admitted_cb(struct http_conn *c,
    const struct http_request *req, const struct principal *who, void *arg);

struct gate_options {
	struct event_base *base;        /* these are borrowed */
	struct redis *commands;
	struct principals *principals;
	const struct catalog *catalog;
	struct limits *rates;           /* NULL: none */
	metric_value *stats;
	unsigned wait_ms;
	struct http_limits limits;      /* with which heads were parsed */
	gate_admitted_cb *admitted;
	void *arg;
	/* Settings; nothing of these set is a gate that is open to all. */
	unsigned trusted_hops;          /* see caller.h */
	bool closed;                    /* to those without a credential */
	const char *anonymous_scopes;   /* what they may do; NULL: everything */
	const char *jwt_secret_key;     /* see tokens.h */
	const char *jwt_public_key;
	const char *jwt_jwks;
	const char *jwt_jwks_ca;
	struct jwt_rules jwt_rules;
	const char *database_url;       /* of API keys; NULL: they are in Redis */
	struct evdns_base *dns;         /* for its host; borrowed */
	unsigned key_outage_ms;         /* see api_keys.h */
	const char *public_url;         /* see resource.h */
	const char *allowed_origins;    /* see allow.h; NULL: any */
	const char *allowed_hosts;
};

struct gate *gate_new(const struct gate_options *options) MUST_CHECK;
/* Refuses those who wait. After Redis, before the connections. */
void gate_free(struct gate *g);

/*
 * The principal of the request at hand on a path that serves api (empty: all), valid until the next call; or NULL: the
 * request has been answered, or will be handed to admitted() or answered.
 */
const struct principal *gate_check(struct gate *g, struct http_conn *c,
    const struct http_request *req, struct slice api);
/* The secret of user hashes has changed: forgets who is who. */
void gate_forget(struct gate *g);
/* Something that requests wait for may have come: looks again this turn. */
void gate_retry(struct gate *g);
/* Refuses those who waited too long; a few times a second. */
void gate_tick(struct gate *g);

#endif
