#include "proxy/session_backlog.h"

#include "common/clock.h"
#include "common/xalloc.h"
#include "proxy/sse.h"

/* How long messages wait in an output buffer without a log. */
#define BUFFERED_MAX_MS 200
/*
 * How long a proof of ownership holds. A pod that takes a session over says so
 * in our inbox, ahead of every message that it causes; the proof is for the case
 * that we slept through that (stopped, frozen, cut off), and a second is far
 * below any time in which another pod takes a sleeper's sessions.
 */
#define PROOF_FRESH_MS 1000
/*
 * How long reading the inbox may stand in for it: HACKING.md ("The fence") gives
 * the argument, and this bounds whatever it overlooks.
 */
#define PROOF_CARRIED_MS 60000

/* Handing over -------------------------------------------------------------- */

/*
 * Does anybody wait for it? Not if its call was made on a stream before the one
 * whose client sent the last initialize, or if an error has answered the call.
 */
bool
delivery_is_awaited(const struct session *s, struct slice call)
{
	if (s->fresh > 1 && env_call_before(call, s->fresh))
		return false;
	return s->given_up == NULL || call.n == 0 ||
	    memmem(s->given_up, strlen(s->given_up), call.p, call.n) == NULL;
}

static void
note_buffered(struct session *s, uint64_t digest)
{
	struct backlog *b = backlog_get(s);

	if (b->buffered_count == 0)
		b->buffered_since_ms = clock_mono_ms();
	b->buffered = xrealloc(b->buffered,
	    (b->buffered_count + 1) * sizeof(*b->buffered));
	b->buffered[b->buffered_count++] = digest;
}

/* Writes a message to the client, unless it is one that the client has had. */
enum handed
delivery_hand_over(struct session *s, const struct env_message *message)
{
	struct recent *recent = s->all->recent;
	bool again = !slice_eq_str(message->attempt, "1");
	uint64_t digest = recent_digest(message->call, message->payload);

	if (recent_has(recent, digest, again)) {
		sessions_count_one(s->all, STAT_EVENTS_REPEATED);
		return HANDED;
	}
	if (!delivery_is_awaited(s, message->call)) {
		sessions_count_one(s->all, STAT_EVENTS_UNAWAITED);
		return HANDED;
	}
	if (!sse_message(s->stream, message->payload))
		return HANDED_NOT;
	session_seek_heard(s, message);
	s->events++;
	recent_add(recent, digest, again);
	sessions_count_one(s->all, STAT_EVENTS);
	if (http_stream_unsent(s->stream) == 0)
		return HANDED;
	note_buffered(s, digest);
	return HANDED_PARTLY;
}

/* Proofs -------------------------------------------------------------------- */

/*
 * By what Redis said of this session within the last second; or of our inbox,
 * if that has been read without a gap since Redis last spoke of the session. The
 * latter knows nothing of an initialize that another pod answered, so a session
 * that was reattached must have heard from its client since.
 */
static bool
is_proven(const struct session *s)
{
	const struct inbox_reading *inbox = s->all->options.inbox;
	uint64_t now = clock_mono_ms(), age = now - s->proven_ms;

	if (age <= PROOF_FRESH_MS)
		return true;
	return inbox != NULL && (s->epoch == 1 || s->spoken) &&
	    age <= PROOF_CARRIED_MS && s->proven_ms >= inbox->unbroken_ms &&
	    now - inbox->complete_ms <= PROOF_FRESH_MS;
}

static void
on_proof(struct redis *r, const redisReply *reply, void *arg)
{
	struct session *s = arg;

	(void)r;
	if (s->state == SESSION_LIVE) {
		s->backlog->asking = false;
		if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
			/* Redis is away, or does not take it: a tick asks again. */
		} else if (!session_proof_read(reply, s->epoch, &s->fresh)) {
			session_yield(s);
		} else {
			s->proven_ms = s->backlog->asked_ms;
			session_delivery_go_on(s);
		}
	}
	session_unref(s);
}

static void
ask_for_proof(struct session *s)
{
	struct backlog *b = s->backlog;
	uint64_t now = clock_mono_ms();

	if (b->asking || !session_proof_send(s->all->options.commands,
		session_sid(s), on_proof, s))
		return;
	b->asking = true;
	b->asked_ms = now;
	s->refs++;
}

/* Delivering ---------------------------------------------------------------- */

static bool
write_next(struct delivery *d)
{
	struct env_message message = delivery_message(d);
	struct backlog *b = d->session->backlog;

	switch (delivery_hand_over(d->session, &message)) {
	case HANDED:
		delivery_take_out(d);
		delivery_finish(d);
		return true;
	case HANDED_PARTLY:
		d->written = true;
		delivery_step_over(b, d);
		return true;
	case HANDED_NOT:
		break;
	}
	return false;
}

/* Does what can be done for the next message; false when it has to wait. */
static bool
deliver_next(struct session *s)
{
	struct backlog *b = s->backlog;

	if (s->state != SESSION_LIVE || b == NULL || b->next == NULL ||
	    session_is_adopting(s))
		return false;
	if (!b->lagging && backlog_is_full(s))
		session_log_begin(b);
	if (b->lagging) {
		if (!session_log_append(b->next))
			return false;
		delivery_step_over(b, b->next);
		return true;
	}
	if (is_proven(s))
		return write_next(b->next);
	ask_for_proof(s);
	return false;
}

void
session_delivery_go_on(struct session *s)
{
	s->refs++;
	while (deliver_next(s))
		;
	backlog_drop_if_done(s);
	session_unref(s);
}

/* The next proof is to tell of an initialize that another pod answered. */
static void
hear_client(struct session *s)
{
	s->spoken = true;
	if (s->epoch > 1)
		s->proven_ms = 0;
	if (s->backlog != NULL && s->backlog->held_until_ms != 0)
		session_log_release(s);
}

void
session_deliver(struct session *s, const struct env_message *message,
    session_done_cb *done, void *arg)
{
	session_use(s);
	if (message->note.n > 0) {
		session_note(s, message->note);
		session_book_introduced(s, message->note);
	}
	if (!s->spoken && session_is_of_this_stream(s, message->call))
		hear_client(s);
	if (s->backlog != NULL || !is_proven(s)) {
		(void)delivery_new(s, message, done, arg);
		session_delivery_go_on(s);
		return;
	}
	switch (delivery_hand_over(s, message)) {
	case HANDED:
		done(arg);
		break;
	case HANDED_PARTLY: {
		struct delivery *d = delivery_new(s, message, done, arg);

		d->written = true;
		delivery_step_over(s->backlog, d);
		break;
	}
	case HANDED_NOT:
		/* The stream's end, soon, passes it on. */
		(void)delivery_new(s, message, done, arg);
		break;
	}
}

/* One of which the kernel has everything, and the log need not know. */
static struct delivery *
first_drained(const struct session *s)
{
	struct delivery *d = s->backlog != NULL ?
	    TAILQ_FIRST(&s->backlog->deliveries) : NULL;

	return d != NULL && d->written && !d->sent &&
	    http_stream_unsent(s->stream) == 0 ? d : NULL;
}

/* What finishing one sets off may end the session, or write another message. */
void
session_delivery_drained(struct session *s)
{
	struct delivery *d;

	s->refs++;
	if (s->backlog != NULL)
		backlog_forget_buffered(s->backlog);
	while ((d = first_drained(s)) != NULL) {
		delivery_take_out(d);
		delivery_finish(d);
	}
	session_log_fetch(s);
	session_delivery_go_on(s);
	session_unref(s);
}

/* All backlogs -------------------------------------------------------------- */

static void
look_after(struct backlog *b, uint64_t now)
{
	struct session *s = b->session;

	if (session_is_adopting(s))
		return;
	if (b->held_until_ms != 0 && now >= b->held_until_ms) {
		s->proven_ms = 0;
		session_log_release(s);
	}
	if (!b->lagging && b->buffered_count > 0 &&
	    now - b->buffered_since_ms >= BUFFERED_MAX_MS)
		session_log_begin(b);
	session_log_fetch(s);
	session_delivery_go_on(s);
}

/* What is set off here may end other sessions and make more backlogs. */
void
sessions_delivery_tick(struct sessions *all)
{
	uint64_t now = clock_mono_ms();
	unsigned count = 0;
	struct backlog *b;

	TAILQ_FOREACH(b, &all->backlogs, link)
		count++;
	while (count-- > 0 && (b = TAILQ_FIRST(&all->backlogs)) != NULL) {
		TAILQ_REMOVE(&all->backlogs, b, link);
		TAILQ_INSERT_TAIL(&all->backlogs, b, link);
		look_after(b, now);
	}
}
