/*
 * From method and path to a handler: one row per route in router.c.
 *
 * A route that serves APIs stands for /<path> (all APIs) and /<api>/<path>.
 */
#ifndef MCP_ROUTER_H
#define MCP_ROUTER_H

#include "proxy/admin.h"
#include "proxy/gate.h"
#include "proxy/http.h"
#include "proxy/resource.h"
#include "proxy/transport_sse.h"

struct router {
	struct gate *gate;   /* borrowed */
	struct transport_sse sse;
	struct resource resource;
	struct admin admin;
};

/* An http_handler; arg is a struct router. */
void router_handle(struct http_conn *c, const struct http_request *req,
    void *arg);
/* The gate let a request in that had to wait; arg is a struct router. */
void router_admitted(struct http_conn *c, const struct http_request *req,
    const struct principal *who, void *arg);

#endif
