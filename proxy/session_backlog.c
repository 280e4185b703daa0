#include "proxy/session_backlog.h"

#include <stdlib.h>

#include "common/xalloc.h"

/* Messages in an output buffer. */
#define BUFFERED_MAX 64

struct backlog *
backlog_get(struct session *s)
{
	struct backlog *b = s->backlog;

	if (b != NULL)
		return b;
	b = s->backlog = xcalloc(1, sizeof(*b));
	b->session = s;
	TAILQ_INIT(&b->deliveries);
	TAILQ_INSERT_TAIL(&s->all->backlogs, b, link);
	return b;
}

static void
free_backlog(struct session *s)
{
	struct backlog *b = s->backlog;

	s->backlog = NULL;
	TAILQ_REMOVE(&s->all->backlogs, b, link);
	free(b->buffered);
	free(b);
}

void
backlog_drop_if_done(struct session *s)
{
	const struct backlog *b = s->backlog;

	if (b != NULL && TAILQ_EMPTY(&b->deliveries) && !b->asking &&
	    !b->lagging && !b->fetching && b->buffered_count == 0)
		free_backlog(s);
}

struct delivery *
delivery_new(struct session *s, const struct env_message *message,
    session_done_cb *done, void *arg)
{
	struct backlog *b = backlog_get(s);
	struct delivery *d = xmalloc(sizeof(*d) + message->payload.n);

	*d = (struct delivery){ .session = s, .done = done, .arg = arg,
		.repeated = !slice_eq_str(message->attempt, "1"),
		.payload_len = message->payload.n };
	d->call_len = message->call.n < CALL_ID_LEN ? message->call.n :
						      CALL_ID_LEN;
	if (d->call_len > 0)
		memcpy(d->call, message->call.p, d->call_len);
	memcpy(d->payload, message->payload.p, message->payload.n);
	TAILQ_INSERT_TAIL(&b->deliveries, d, link);
	if (b->next == NULL)
		b->next = d;
	s->refs++;
	return d;
}

/*
 * Written, or sent: the one behind it is the next; but one behind it may still
 * be on its way to the log when this one had to be sent again.
 */
void
delivery_step_over(struct backlog *b, struct delivery *d)
{
	if (b->next != d)
		return;
	do
		b->next = TAILQ_NEXT(b->next, link);
	while (b->next != NULL && b->next->sent);
}

void
delivery_take_out(struct delivery *d)
{
	struct backlog *b = d->session->backlog;

	delivery_step_over(b, d);
	TAILQ_REMOVE(&b->deliveries, d, link);
}

/* It is in no backlog any more. What done() sets off may end the session. */
void
delivery_finish(struct delivery *d)
{
	struct session *s = d->session;

	d->done(d->arg);
	free(d);
	session_unref(s);
}

/*
 * What has been written to an output buffer may come again from the log: then
 * this loop knows that it has been handed over.
 */
struct env_message
delivery_message(const struct delivery *d)
{
	return (struct env_message){
		.call = slice_of(d->call, d->call_len),
		.session = session_sid(d->session),
		.attempt = d->repeated || d->written ? SLICE("2") : SLICE("1"),
		.payload = slice_of(d->payload, d->payload_len),
	};
}

/*
 * This session has no stream here any more: whoever has it now, or its log, gets
 * the message. Somebody else may have taken it from our inbox meanwhile, so that
 * it counts as a possible repeat.
 */
void
delivery_pass_on(struct delivery *d)
{
	struct session *s = d->session;
	struct env_message message = delivery_message(d);

	s->all->options.stray(&message, d->done, d->arg, s->all->options.arg);
	free(d);
	session_unref(s);
}

void
backlog_forget_buffered(struct backlog *b)
{
	free(b->buffered);
	b->buffered = NULL;
	b->buffered_count = 0;
}

/* What is on its way to the log is settled by its answer. */
void
session_delivery_end(struct session *s)
{
	TAILQ_HEAD(, delivery) rest = TAILQ_HEAD_INITIALIZER(rest);
	struct backlog *b = s->backlog;
	struct delivery *d;

	if (b == NULL)
		return;
	for (unsigned i = 0; i < b->buffered_count; i++)
		recent_forget(s->all->recent, b->buffered[i]);
	TAILQ_CONCAT(&rest, &b->deliveries, link);
	free_backlog(s);
	while ((d = TAILQ_FIRST(&rest)) != NULL) {
		TAILQ_REMOVE(&rest, d, link);
		if (!d->sent)
			delivery_pass_on(d);
	}
}

bool
backlog_is_full(const struct session *s)
{
	return http_stream_unsent(s->stream) > s->all->options.max_buffer ||
	    s->backlog->buffered_count >= BUFFERED_MAX;
}
