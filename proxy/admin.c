#include "proxy/admin.h"

#include "common/xalloc.h"
#include "proxy/api_metrics.h"
#include "proxy/loop.h"

#include <stdlib.h>

#define METRICS_MAX (256 * 1024)
#define TEXT "text/plain; charset=utf-8"

static void
say(struct http_conn *c, int status, const char *body)
{
	http_respond(c, &(struct http_response){ .status = status, .type = TEXT,
		.is_probe = true, .headers = "Cache-Control: no-store\r\n",
		.body = slice_str(body) });
}

void
admin_healthz(struct admin *a, struct http_conn *c)
{
	(void)a;
	say(c, 200, "ok\n");
}

static unsigned
loops_with_redis(const struct process *p)
{
	int64_t ready = 0;

	for (unsigned i = 0; i < p->loop_count; i++)
		ready += metric_get(&loop_stats(p->loops[i])[STAT_REDIS_READY]);
	return (unsigned)ready;
}

void
admin_readyz(struct admin *a, struct http_conn *c)
{
	struct process *p = a->process;

	if (atomic_load(&p->draining))
		say(c, 503, "draining\n");
	else if (loops_with_redis(p) < p->loop_count)
		say(c, 503, "redis: not connected\n");
	else
		say(c, 200, "ready\n");
}

static void
add_own(const struct process *p, struct strbuf *body)
{
	metric_value **arrays = xcalloc(p->loop_count, sizeof(*arrays));

	for (unsigned i = 0; i < p->loop_count; i++)
		arrays[i] = loop_stats(p->loops[i]);
	metrics_render(body, "mcp_proxy_", stat_defs, STAT_COUNT, arrays,
	    p->loop_count);
	free(arrays);
}

/* Who asked for the metrics. */
struct scrape {
	const struct process *process;
	struct http_conn *conn;        /* held */
};

static void
on_apis(struct slice apis, void *arg)
{
	struct scrape *s = arg;
	struct strbuf body = STRBUF_INIT(METRICS_MAX + apis.n);

	add_own(s->process, &body);
	strbuf_add_slice(&body, apis);
	http_respond(s->conn, &(struct http_response){ .status = 200,
		.type = "text/plain; version=0.0.4; charset=utf-8",
		.body = strbuf_slice(&body) });
	strbuf_release(&body);
	http_release(s->conn);
	free(s);
}

void
admin_metrics(struct admin *a, struct http_conn *c)
{
	struct scrape *s = xcalloc(1, sizeof(*s));

	s->process = a->process;
	s->conn = c;
	http_hold(c);
	api_metrics_read(a->apis, on_apis, s);
}
