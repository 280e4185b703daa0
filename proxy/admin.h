/*
 * What operators and load balancers ask: /healthz, /readyz, /metrics.
 */
#ifndef MCP_ADMIN_H
#define MCP_ADMIN_H

#include "proxy/http.h"

struct api_metrics;
struct process;

struct admin {
	struct process *process;
	struct api_metrics *apis;
};

/* 200 as long as the event loop turns. */
void admin_healthz(struct admin *a, struct http_conn *c);
/* 200 when every loop reaches Redis and none is draining, else 503. */
void admin_readyz(struct admin *a, struct http_conn *c);
/* The counters of all loops, then those of all APIs, as Prometheus text. */
void admin_metrics(struct admin *a, struct http_conn *c);

#endif
