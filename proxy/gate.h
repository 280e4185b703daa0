/*
 * Who may come in: works out the principal of each request before its route
 * sees it.
 *
 * Most requests are decided at once, from caches. One whose principal needs an
 * answer from elsewhere waits here, as a copy, and is then handed on, or refused
 * with 503 after wait_ms.
 */
#ifndef MCP_GATE_H
#define MCP_GATE_H

#include "proxy/http.h"
#include "proxy/principal.h"

struct gate;

/* A request that had to wait may go on now. who is gone when this returns. */
typedef void gate_admitted_cb(struct http_conn *c,
    const struct http_request *req, const struct principal *who, void *arg);

struct gate_options {
	struct event_base *base;        /* these are borrowed */
	struct principals *principals;
	unsigned trusted_hops;          /* see caller.h */
	unsigned wait_ms;
	struct http_limits limits;      /* with which heads were parsed */
	gate_admitted_cb *admitted;
	void *arg;
};

struct gate *gate_new(const struct gate_options *options) MUST_CHECK;
/* Refuses those who wait. Before the connections. */
void gate_free(struct gate *g);

/*
 * The principal of the request at hand, valid until the next call; or NULL: the
 * request has been answered, or will be handed to admitted() or answered.
 */
const struct principal *gate_check(struct gate *g, struct http_conn *c,
    const struct http_request *req);
/* Something that requests wait for may have come: looks again this turn. */
void gate_retry(struct gate *g);
/* Refuses those who waited too long; a few times a second. */
void gate_tick(struct gate *g);

#endif
