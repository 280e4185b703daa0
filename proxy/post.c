#include "proxy/post_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/queue.h"
#include "common/xalloc.h"
#include "proxy/forward.h"

/* A request's head is no larger. */
#define FORWARDED_MAX ((size_t)512 << 10)

/* One post ------------------------------------------------------------------- */

static void
set_state(struct post *p, enum post_state state)
{
	TAILQ_REMOVE(&p->all->lists[p->state], p, link);
	p->state = state;
	TAILQ_INSERT_TAIL(&p->all->lists[state], p, link);
}

/* Its body, and behind that what else of the request outlives it. */
static struct post *
new_post(struct posts *all, const struct http_request *req,
    const struct principal *who, const struct post_target *to)
{
	struct slice body = req->body, host = req->head->host;
	struct strbuf headers = STRBUF_INIT(FORWARDED_MAX);
	struct post *p;

	forward_write(all->options.forward_headers, req->head, &headers);
	p = xmalloc(sizeof(*p) + body.n + host.n + headers.n);
	*p = (struct post){ .all = all, .attempt = 1,
		.arrived_ms = clock_mono_ms(), .user = who->user,
		.kind = who->kind, .made = STRBUF_INIT(all->options.max_answer),
		.scopes = scopes_ref(who->scopes), .epoch = to->epoch,
		.body_len = body.n };
	memcpy(p->body, body.p, body.n);
	called_read(&p->called, req->head);
	if (p->called.host.n > 0)
		p->called.host.p = memcpy(p->body + body.n, p->called.host.p,
		    p->called.host.n);
	if (headers.n > 0)
		p->headers = slice_of(memcpy(p->body + body.n + host.n, headers.p,
		    headers.n), headers.n);
	strbuf_release(&headers);
	memcpy(p->sid, to->sid.p, SID_LEN);
	if (to->api.n > 0)
		memcpy(p->api, to->api.p, to->api.n);
	return p;
}

void
post_free(struct post *p)
{
	TAILQ_REMOVE(&p->all->lists[p->state], p, link);
	p->all->count--;
	scopes_unref(p->scopes);
	strbuf_release(&p->made);
	free(p);
}

void
post_park(struct post *p)
{
	if (p->c == NULL) {
		post_free(p);
		return;
	}
	if (p->state != POST_PARKED)
		post_count_one(p, STAT_POSTS_PARKED);
	set_state(p, POST_PARKED);
}

/* Taking it on --------------------------------------------------------------- */

/*
 * Everything counts, but only requests are held up or refused: a client that is
 * at its limit may still cancel calls and answer what it was asked.
 */
static void
take_token(struct post *p)
{
	enum meter_result result;
	uint64_t wait_ms;

	result = limits_take_user(p->all->options.limits, &p->user, &wait_ms);
	if (result == METER_PASS || p->msg.kind != JSONRPC_REQUEST)
		post_find_owner(p);
	else if (result == METER_WAIT)
		set_state(p, POST_METERED);
	else
		post_refuse_limited(p, LIMIT_USER_RATE, wait_ms);
}

void
post_take(struct posts *all, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    const struct post_target *to)
{
	struct post *p = new_post(all, req, who, to);

	p->c = c;
	http_hold(c);
	TAILQ_INSERT_TAIL(&all->lists[POST_SENT], p, link);
	all->count++;
	switch (jsonrpc_peek(p->body, p->body_len, &p->msg)) {
	case 0:
		ident_hex(p->call);
		env_call_stamp(p->call, p->epoch);
		take_token(p);
		break;
	case JSONRPC_PARSE_ERROR:
		post_refuse(p, POST_NOT_JSON);
		break;
	default:
		post_refuse(p, POST_NOT_JSONRPC);
		break;
	}
}

/* All posts ------------------------------------------------------------------ */

struct posts *
posts_new(const struct post_options *options)
{
	struct posts *all = xcalloc(1, sizeof(*all));

	all->options = *options;
	for (size_t i = 0; i < POST_STATES; i++)
		TAILQ_INIT(&all->lists[i]);
	return all;
}

void
posts_free(struct posts *all)
{
	struct post *p, *next;

	for (size_t i = 0; i < POST_STATES; i++) {
		TAILQ_FOREACH_SAFE(p, &all->lists[i], link, next)
			post_refuse(p, POST_STOPPING);
	}
	free(all);
}

/* Each of a list once: it may join that list again, at its end. */
static void
try_again(struct posts *all, enum post_state state, void (*go)(struct post *p))
{
	unsigned count = 0;
	struct post *p;

	TAILQ_FOREACH(p, &all->lists[state], link)
		count++;
	while (count-- > 0) {
		p = TAILQ_FIRST(&all->lists[state]);
		set_state(p, POST_SENT);
		go(p);
	}
}

void
posts_on_ready(struct posts *all)
{
	try_again(all, POST_PARKED, post_find_owner);
}

void
posts_on_metered(struct posts *all)
{
	try_again(all, POST_METERED, take_token);
}

static bool
waited_too_long(const struct post *p, uint64_t now)
{
	return now - p->arrived_ms >= p->all->options.wait_ms;
}

static void
give_up(struct post *p)
{
	if (p->c == NULL)
		return;
	post_count_one(p, STAT_POSTS_GAVE_UP);
	post_turn_away(p, p->in_doubt ? POST_UNKNOWN_OUTCOME : POST_REDIS_AWAY);
}

void
posts_tick(struct posts *all)
{
	uint64_t now = clock_mono_ms();
	struct post *p, *next;

	TAILQ_FOREACH_SAFE(p, &all->lists[POST_PARKED], link, next) {
		if (!waited_too_long(p, now))
			continue;
		give_up(p);
		post_free(p);
	}
	TAILQ_FOREACH(p, &all->lists[POST_SENT], link) {
		if (waited_too_long(p, now))
			give_up(p);
	}
	if (redis_is_ready(all->options.commands))
		posts_on_ready(all);
}

unsigned
posts_count(const struct posts *all)
{
	return all->count;
}
