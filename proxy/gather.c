#include "proxy/gather.h"

#include <stdlib.h>

#include "common/timer.h"
#include "common/xalloc.h"

struct gather {
	struct redis *redis;
	struct event *timer;
	gather_done_cb *done;
	void *arg;
	unsigned open;       /* questions on their way, plus one until started */
	bool whole;
	bool over;           /* done has been called */
};

struct question {
	struct gather *gather;
	gather_reply_cb *cb;
	void *target;
};

static void
end(struct gather *g)
{
	if (g->over)
		return;
	g->over = true;
	event_del(g->timer);
	g->done(g->whole, g->arg);
}

static void
unref(struct gather *g)
{
	if (--g->open > 0)
		return;
	end(g);
	event_free(g->timer);
	free(g);
}

static void
on_reply(struct redis *r, const redisReply *reply, void *arg)
{
	struct question *q = arg;
	struct gather *g = q->gather;

	(void)r;
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
		g->whole = false;
	else if (!g->over)
		q->cb(g, reply, g->arg, q->target);
	free(q);
	unref(g);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct gather *g = arg;

	(void)fd;
	(void)what;
	g->whole = false;
	end(g);
}

static struct question *
question_new(struct gather *g, gather_reply_cb *cb, void *target)
{
	struct question *q = xcalloc(1, sizeof(*q));

	q->gather = g;
	q->cb = cb;
	q->target = target;
	return q;
}

static void
note_sent(struct gather *g, struct question *q, bool sent)
{
	if (sent) {
		g->open++;
		return;
	}
	g->whole = false;
	free(q);
}

void
gather_send(struct gather *g, const struct slice *argv, size_t argc,
    gather_reply_cb *cb, void *target)
{
	struct question *q = question_new(g, cb, target);

	note_sent(g, q, redis_send(g->redis, argv, argc, on_reply, q));
}

void
gather_eval(struct gather *g, const struct redis_script *script,
    const struct slice *args, size_t argc, size_t key_count,
    gather_reply_cb *cb, void *target)
{
	struct question *q = question_new(g, cb, target);

	note_sent(g, q, redis_eval(g->redis, script, args, argc, key_count,
	    on_reply, q));
}

void
gather_start(struct gather *g)
{
	unref(g);
}

struct gather *
gather_new(struct event_base *base, struct redis *redis, unsigned deadline_ms,
    gather_done_cb *done, void *arg)
{
	struct gather *g = xcalloc(1, sizeof(*g));

	g->redis = redis;
	g->done = done;
	g->arg = arg;
	g->open = 1;
	g->whole = true;
	g->timer = evtimer_new(base, on_deadline, g);
	if (g->timer == NULL)
		abort();
	timer_set(g->timer, deadline_ms);
	return g;
}
