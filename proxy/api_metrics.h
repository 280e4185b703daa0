/*
 * What /metrics says of the APIs: their queues and workers as they are in Redis
 * now, and what all workers of an API have counted together.
 *
 * Every proxy says the same of an API, since it is about the API and not about
 * the proxy: whoever adds up takes the maximum over the proxies, not the sum.
 * Redis is asked at most once a second, however often somebody looks. What it
 * does not say in time is left out, never shown as zero.
 */
#ifndef MCP_API_METRICS_H
#define MCP_API_METRICS_H

#include <event2/event.h>

#include "common/redis.h"
#include "proxy/catalog.h"

struct api_metrics;

struct api_metrics_options {
	struct event_base *base;       /* these are borrowed */
	struct redis *commands;
	struct catalog *catalog;
	unsigned deadline_ms;          /* for Redis's answers */
};

struct api_metrics *api_metrics_new(
    const struct api_metrics_options *options) MUST_CHECK;
/* After Redis: nothing is under way. */
void api_metrics_free(struct api_metrics *m);

/* text: Prometheus text, gone on return. */
typedef void api_metrics_cb(struct slice text, void *arg);
/*
 * Calls cb once, maybe at once, at the deadline at the latest. While one waits
 * for Redis others get what was read last.
 */
void api_metrics_read(struct api_metrics *m, api_metrics_cb *cb, void *arg);

#endif
