#include "proxy/gate.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/xalloc.h"

/* What may wait at once; beyond it requests are refused. */
#define WAITING_MAX 4096
#define WAITING_BYTES_MAX (32u * 1024 * 1024)

#define RETRY_AFTER "Retry-After: 1\r\n"

enum verdict {
	VERDICT_ADMIT,
	VERDICT_WAIT,      /* an answer is on its way: ask again */
	VERDICT_ANSWERED   /* refused */
};

/* A request that waits, with a copy of its bytes. */
struct waiting {
	TAILQ_ENTRY(waiting) link;   /* of gate->waiting, oldest first */
	struct http_conn *c;         /* held */
	uint64_t since_ms;
	size_t head_len;
	size_t body_len;
	char bytes[];                /* head, then body */
};

struct gate {
	struct gate_options options;
	struct principal who;        /* of the last check */
	TAILQ_HEAD(, waiting) waiting;
	size_t waiting_bytes;
	unsigned waiting_count;
	struct event *retry;
};

/* Deciding ------------------------------------------------------------------ */

static enum verdict
decide(struct gate *g, struct http_conn *c, const struct http_request *req)
{
	struct caller caller;

	if (!principals_are_known(g->options.principals))
		return VERDICT_WAIT;
	caller_read(&caller, req->head, http_peer_address(c),
	    g->options.trusted_hops);
	principals_anonymous(g->options.principals, &caller, &g->who);
	return VERDICT_ADMIT;
}

/* Waiting ------------------------------------------------------------------- */

static void
refuse_unavailable(struct http_conn *c)
{
	http_respond_status(c, 503, RETRY_AFTER, "Redis is away");
}

static void
wait_for_answer(struct gate *g, struct http_conn *c,
    const struct http_request *req)
{
	size_t n = req->head_bytes.n + req->body.n;
	struct waiting *w;

	if (g->waiting_count >= WAITING_MAX ||
	    g->waiting_bytes + n > WAITING_BYTES_MAX) {
		refuse_unavailable(c);
		return;
	}
	w = xmalloc(sizeof(*w) + n);
	w->c = c;
	w->since_ms = clock_mono_ms();
	w->head_len = req->head_bytes.n;
	w->body_len = req->body.n;
	memcpy(w->bytes, req->head_bytes.p, w->head_len);
	if (w->body_len > 0)
		memcpy(w->bytes + w->head_len, req->body.p, w->body_len);
	http_hold(c);
	TAILQ_INSERT_TAIL(&g->waiting, w, link);
	g->waiting_count++;
	g->waiting_bytes += n;
}

static void
forget(struct gate *g, struct waiting *w)
{
	TAILQ_REMOVE(&g->waiting, w, link);
	g->waiting_count--;
	g->waiting_bytes -= w->head_len + w->body_len;
	http_release(w->c);
	free(w);
}

static void
look_again(struct gate *g, struct waiting *w)
{
	struct http_head head;
	struct http_request req = { &head, slice_of(w->bytes, w->head_len),
		slice_of(w->bytes + w->head_len, w->body_len) };
	enum verdict verdict = VERDICT_ANSWERED;

	if (http_head_parse(w->bytes, w->head_len, &g->options.limits,
		&head) == 0)
		verdict = decide(g, w->c, &req);
	if (verdict == VERDICT_WAIT)
		return;
	if (verdict == VERDICT_ADMIT)
		g->options.admitted(w->c, &req, &g->who, g->options.arg);
	forget(g, w);
}

/* Those who join meanwhile (pipelined requests) stand behind the last one. */
static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct gate *g = arg;
	struct waiting *w, *next;

	(void)fd;
	(void)what;
	for (w = TAILQ_FIRST(&g->waiting); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		look_again(g, w);
	}
}

/* Answers come in crowds: all who wait are looked at once for all of them. */
void
gate_retry(struct gate *g)
{
	if (!TAILQ_EMPTY(&g->waiting))
		event_active(g->retry, EV_TIMEOUT, 0);
}

void
gate_tick(struct gate *g)
{
	uint64_t now = clock_mono_ms();
	struct waiting *w;

	while ((w = TAILQ_FIRST(&g->waiting)) != NULL &&
	    now - w->since_ms >= g->options.wait_ms) {
		refuse_unavailable(w->c);
		forget(g, w);
	}
	gate_retry(g);
}

/* The gate ------------------------------------------------------------------ */

const struct principal *
gate_check(struct gate *g, struct http_conn *c, const struct http_request *req)
{
	switch (decide(g, c, req)) {
	case VERDICT_ADMIT:
		return &g->who;
	case VERDICT_WAIT:
		wait_for_answer(g, c, req);
		break;
	case VERDICT_ANSWERED:
		break;
	}
	return NULL;
}

struct gate *
gate_new(const struct gate_options *options)
{
	struct gate *g = xcalloc(1, sizeof(*g));

	g->options = *options;
	TAILQ_INIT(&g->waiting);
	g->retry = event_new(options->base, -1, 0, on_retry, g);
	return g;
}

void
gate_free(struct gate *g)
{
	struct waiting *w;

	while ((w = TAILQ_FIRST(&g->waiting)) != NULL) {
		refuse_unavailable(w->c);
		forget(g, w);
	}
	event_free(g->retry);
	free(g);
}
