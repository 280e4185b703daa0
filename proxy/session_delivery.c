/*
 * Messages on their way from an inbox (or an answer made here) to a client.
 *
 * A message is dealt with once the kernel has all of its bytes, or the session's
 * event log has it. Until then it waits in the session's backlog, in the order in
 * which messages came, and whoever brought it keeps it in Redis. In the usual
 * case there is no backlog: the owner is proven, the socket takes everything, and
 * a message costs neither memory nor a command.
 *
 * A backlog is made for a session that must ask for a proof first, whose socket
 * does not take a message at once, or that lags. What only part of has gone to
 * the kernel stays in the backlog until the output buffer has drained. That may
 * hold up the inbox entry that it came in for a moment only: after
 * BUFFERED_MAX_MS, or when more than max_buffer bytes wait, the session lags.
 *
 * While a session lags, messages are appended to its log, those in the output
 * buffer too. Of the log, what has been handed over is trimmed when the buffer
 * has drained, and not before: if the stream breaks, the rest is owed.
 */
#include "proxy/session_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/declaration.h"
#include "proxy/sse.h"

/*
 * What may wait in the log of a session that lags: together with the client's
 * patience (stuck_timeout_ms) this bounds what it costs Redis.
 */
#define LAG_EVENTS_MAX 256
#define LAG_BYTES_MAX (1024 * 1024)
/* Events fetched from the log at a time once a slow client has caught up. */
#define FETCH_COUNT 16
/* Messages in an output buffer, and how long they wait there without a log. */
#define BUFFERED_MAX 64
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

/* One message that could not be handed over at once. */
struct delivery {
	TAILQ_ENTRY(delivery) link;    /* of its backlog, while in it */
	struct session *session;
	session_done_cb *done;
	void *arg;
	bool repeated;                 /* may be the second of its kind */
	bool written;                  /* some of it is in the output buffer */
	bool sent;                     /* an XADD to the log is on its way */
	size_t payload_len;
	size_t call_len;
	char call[CALL_ID_LEN];
	char payload[];
};

struct backlog {
	TAILQ_ENTRY(backlog) link;     /* of all->backlogs */
	struct session *session;
	/*
	 * In the order in which they came: first those that are written or, in a
	 * session that lags, sent; then, from next on, those that are neither.
	 */
	TAILQ_HEAD(, delivery) deliveries;
	struct delivery *next;
	bool asking;                   /* for a proof */
	bool lagging;                  /* messages go through the log */
	bool fetching;                 /* from the log */
	uint64_t asked_ms;             /* when the proof was asked for */
	uint64_t held_until_ms;        /* 0: not held */
	struct event_id handed;        /* the last one taken from the log */
	unsigned lagged_since_fetch;
	unsigned lag_events;           /* in the log, not handed over */
	size_t lag_bytes;
	/* What recent.h knows of the messages in the output buffer. */
	uint64_t *buffered;
	unsigned buffered_count;
	uint64_t buffered_since_ms;
};

enum handed {
	HANDED,        /* the kernel has it, or nobody needs it */
	HANDED_PARTLY, /* the rest is in the output buffer */
	HANDED_NOT     /* the stream is broken */
};

static void go_on(struct session *s);
static void fetch_log(struct session *s);

/* Lifetime ------------------------------------------------------------------ */

static struct backlog *
backlog_of(struct session *s)
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

static void
drop_if_done(struct session *s)
{
	const struct backlog *b = s->backlog;

	if (b != NULL && TAILQ_EMPTY(&b->deliveries) && !b->asking &&
	    !b->lagging && !b->fetching && b->buffered_count == 0)
		free_backlog(s);
}

static struct delivery *
enqueue(struct session *s, const struct env_message *message,
    session_done_cb *done, void *arg)
{
	struct backlog *b = backlog_of(s);
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

/* Written, or sent: the one behind it is the next. */
static void
step_over(struct backlog *b, struct delivery *d)
{
	if (b->next == d)
		b->next = TAILQ_NEXT(d, link);
}

static void
take_out(struct delivery *d)
{
	struct backlog *b = d->session->backlog;

	step_over(b, d);
	TAILQ_REMOVE(&b->deliveries, d, link);
}

/* It is in no backlog any more. What done() sets off may end the session. */
static void
finish(struct delivery *d)
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
static struct env_message
message_of(const struct delivery *d)
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
static void
pass_on(struct delivery *d)
{
	struct session *s = d->session;
	struct env_message message = message_of(d);

	s->all->options.stray(&message, d->done, d->arg, s->all->options.arg);
	free(d);
	session_unref(s);
}

static void
forget_buffered(struct backlog *b)
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
		recent_forget(&s->all->recent, b->buffered[i]);
	TAILQ_CONCAT(&rest, &b->deliveries, link);
	free_backlog(s);
	while ((d = TAILQ_FIRST(&rest)) != NULL) {
		TAILQ_REMOVE(&rest, d, link);
		if (!d->sent)
			pass_on(d);
	}
}

/* Handing over -------------------------------------------------------------- */

/*
 * Does anybody wait for it? Not if its call was made on a stream before the one
 * whose client sent the last initialize, or if an error has answered the call.
 */
static bool
is_awaited(const struct session *s, struct slice call)
{
	if (s->fresh > 1 && env_call_before(call, s->fresh))
		return false;
	return s->given_up == NULL || call.n == 0 ||
	    memmem(s->given_up, strlen(s->given_up), call.p, call.n) == NULL;
}

static void
note_buffered(struct session *s, uint64_t digest)
{
	struct backlog *b = backlog_of(s);

	if (b->buffered_count == 0)
		b->buffered_since_ms = clock_mono_ms();
	b->buffered = xrealloc(b->buffered,
	    (b->buffered_count + 1) * sizeof(*b->buffered));
	b->buffered[b->buffered_count++] = digest;
}

/* Writes a message to the client, unless it is one that the client has had. */
static enum handed
hand_over(struct session *s, const struct env_message *message)
{
	struct recent *recent = &s->all->recent;
	bool again = !slice_eq_str(message->attempt, "1");
	uint64_t digest = recent_digest(message->call, message->payload);

	if (recent_has(recent, digest, again)) {
		sessions_count_one(s->all, STAT_EVENTS_REPEATED);
		return HANDED;
	}
	if (!is_awaited(s, message->call)) {
		sessions_count_one(s->all, STAT_EVENTS_UNAWAITED);
		return HANDED;
	}
	if (!sse_message(s->stream, message->payload))
		return HANDED_NOT;
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
			go_on(s);
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

/* The log ------------------------------------------------------------------- */

static void
begin_lag(struct backlog *b)
{
	b->lagging = true;
	b->next = TAILQ_FIRST(&b->deliveries);
}

static bool
read_event_id(struct slice text, struct event_id *out)
{
	const char *dash = text.n > 0 ? memchr(text.p, '-', text.n) : NULL;
	size_t head = dash != NULL ? (size_t)(dash - text.p) : 0;

	return dash != NULL && env_number(slice_of(text.p, head), &out->ms) &&
	    env_number(slice_of(dash + 1, text.n - head - 1), &out->seq);
}

/*
 * What is in the output buffer counts as handed over: the log is trimmed when
 * that has drained.
 */
static void
note_logged(struct session *s, const struct delivery *d, struct slice event_id)
{
	struct backlog *b = s->backlog;
	struct event_id id = { 0 };

	/* A log that begins anew was lost: what it holds is all owed. */
	if (read_event_id(event_id, &id) && id.ms == b->handed.ms &&
	    id.seq <= b->handed.seq)
		b->handed = (struct event_id){ 0 };
	if (d->written) {
		b->handed = id;
		return;
	}
	sessions_count_one(s->all, STAT_EVENTS_LAGGED);
	b->lagged_since_fetch++;
	b->lag_events++;
	b->lag_bytes += d->payload_len;
}

/* The event is in the log, and stays there until the client has caught up. */
static void
logged(struct delivery *d, struct slice event_id)
{
	struct session *s = d->session;
	const struct backlog *b = s->backlog;
	bool too_much;

	note_logged(s, d, event_id);
	too_much = b->lag_events > LAG_EVENTS_MAX || b->lag_bytes > LAG_BYTES_MAX;
	take_out(d);
	finish(d);
	if (s->state != SESSION_LIVE)
		return;
	if (too_much)
		session_end(s, "slow_client", END_DETACHED);
	else
		fetch_log(s);
}

/* It has not been sent after all, nor has what came after it. */
static void
send_again(struct delivery *d)
{
	struct backlog *b = d->session->backlog;

	d->sent = false;
	for (b->next = TAILQ_FIRST(&b->deliveries); b->next->sent;)
		b->next = TAILQ_NEXT(b->next, link);
}

/*
 * Redis is full: it has no room for what this client is owed. What is in the
 * output buffer still has its inbox entry, and may yet drain.
 */
static void
not_logged(struct delivery *d, const char *error)
{
	struct session *s = d->session;

	send_again(d);
	if (d->written)
		return;
	log_warn("event not logged", LF("error", error),
	    LF_S("session", log_session_id(s->sid)));
	session_end(s, "redis_full", END_DETACHED);
}

static void
settle_append(struct delivery *d, const redisReply *reply)
{
	bool ok = reply != NULL && reply->type != REDIS_REPLY_ERROR;
	struct session *s = d->session;

	if (s->state != SESSION_LIVE) {
		if (ok)
			finish(d);
		else
			pass_on(d);
	} else if (reply == NULL) {
		d->repeated = true;
		send_again(d);
	} else if (redis_is_error(reply, "ERR The ID specified in XADD")) {
		send_again(d);
		session_yield(s);
	} else if (!ok) {
		not_logged(d, reply->str);
	} else {
		logged(d, redis_slice(reply));
	}
}

static void
on_appended(struct redis *r, const redisReply *reply, void *arg)
{
	struct delivery *d = arg;
	struct session *s = d->session;

	(void)r;
	s->refs++;
	settle_append(d, reply);
	session_unref(s);
}

/* A Redis that lost its data makes the log anew, without an expiry. */
static void
keep_log(struct session *s, struct slice key)
{
	char digits[20];
	struct slice argv[] = { SLICE("PEXPIRE"), key, slice_of(digits,
	    u64_decimal(digits, session_ttl_ms(s) + LOG_EXTRA_TTL_MS)) };

	(void)!redis_send(s->all->options.commands, argv, ARRAY_LEN(argv), NULL,
	    NULL);
}

/* Redis refuses the id of an owner that has been replaced: see claim_script. */
static bool
append_to_log(struct delivery *d)
{
	struct session *s = d->session;
	struct env_keybuf keybuf;
	struct env_message message = message_of(d);
	char id[24];
	size_t n = u64_decimal(id, s->epoch);
	struct slice argv[3 + ENV_MESSAGE_ARGC] = { SLICE("XADD"),
		env_key(&keybuf, ENV_EVENTS, session_sid(s)), slice_of(id, n + 2) };

	memcpy(id + n, "-*", 2);
	d->sent = redis_send(s->all->options.commands, argv,
	    3 + env_message_fields(argv + 3, &message), on_appended, d);
	if (d->sent)
		keep_log(s, argv[1]);
	return d->sent;
}

/* Delivering ---------------------------------------------------------------- */

static bool
is_full(const struct session *s)
{
	return http_stream_unsent(s->stream) > s->all->options.max_buffer ||
	    s->backlog->buffered_count >= BUFFERED_MAX;
}

static bool
write_next(struct delivery *d)
{
	struct env_message message = message_of(d);
	struct backlog *b = d->session->backlog;

	switch (hand_over(d->session, &message)) {
	case HANDED:
		take_out(d);
		finish(d);
		return true;
	case HANDED_PARTLY:
		d->written = true;
		step_over(b, d);
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

	if (s->state != SESSION_LIVE || b == NULL || b->next == NULL)
		return false;
	if (!b->lagging && is_full(s))
		begin_lag(b);
	if (b->lagging) {
		if (!append_to_log(b->next))
			return false;
		step_over(b, b->next);
		return true;
	}
	if (is_proven(s))
		return write_next(b->next);
	ask_for_proof(s);
	return false;
}

static void
go_on(struct session *s)
{
	s->refs++;
	while (deliver_next(s))
		;
	drop_if_done(s);
	session_unref(s);
}

/* The client has spoken on this stream: it is not taken by surprise any more. */
static bool
is_of_this_stream(const struct session *s, struct slice call)
{
	return call.n == CALL_ID_LEN && !env_call_before(call, s->epoch);
}

/*
 * Holding back: the session lags, so that what comes goes to its log behind what
 * is there already, and its log is not read.
 */
void
session_hold(struct session *s, uint64_t ms)
{
	struct backlog *b = backlog_of(s);

	begin_lag(b);
	b->held_until_ms = clock_mono_ms() + ms;
}

static void
release(struct session *s)
{
	s->backlog->held_until_ms = 0;
	fetch_log(s);
}

/* The next proof is to tell of an initialize that another pod answered. */
static void
hear_client(struct session *s)
{
	s->spoken = true;
	if (s->epoch > 1)
		s->proven_ms = 0;
	if (s->backlog != NULL && s->backlog->held_until_ms != 0)
		release(s);
}

void
session_deliver(struct session *s, const struct env_message *message,
    session_done_cb *done, void *arg)
{
	session_use(s);
	if (message->note.n > 0)
		declaration_apply(message->note, &s->client_traits);
	if (!s->spoken && is_of_this_stream(s, message->call))
		hear_client(s);
	if (s->backlog != NULL || !is_proven(s)) {
		(void)enqueue(s, message, done, arg);
		go_on(s);
		return;
	}
	switch (hand_over(s, message)) {
	case HANDED:
		done(arg);
		break;
	case HANDED_PARTLY: {
		struct delivery *d = enqueue(s, message, done, arg);

		d->written = true;
		step_over(s->backlog, d);
		break;
	}
	case HANDED_NOT:
		/* The stream's end, soon, passes it on. */
		(void)enqueue(s, message, done, arg);
		break;
	}
}

/* Catching up --------------------------------------------------------------- */

static bool
hand_over_logged(struct session *s, const struct env_message *message)
{
	struct backlog *b = s->backlog;
	size_t n = message->payload.n;

	if (hand_over(s, message) == HANDED_NOT)
		return false;
	b->lag_events -= b->lag_events > 0;
	b->lag_bytes -= n < b->lag_bytes ? n : b->lag_bytes;
	return true;
}

/*
 * The entries come behind the first element. Those without a payload are an
 * owner's marks, not events. What there is no room for is fetched again.
 */
static void
hand_over_entries(struct session *s, const redisReply *entries)
{
	struct env_entry entry;
	struct env_message m;
	unsigned marks = 0;

	for (size_t i = 1; i < entries->elements && !is_full(s); i++) {
		size_t at = 0;

		if (!env_entry_at(entries, i, &entry) || entry.fields == NULL)
			continue;
		while (env_message_next(entry.fields, &at, &m, &marks)) {
			if (!hand_over_logged(s, &m))
				return;
		}
		(void)!read_event_id(entry.id, &s->backlog->handed);
	}
}

/*
 * Removes from the log what has been handed over, and fetches more. What was
 * removed too late, because Redis went away, is not fetched again: the removal
 * comes first, in the same script.
 */
static bool
ask_log(struct session *s, redis_cb *cb)
{
	const struct event_id *handed = &s->backlog->handed;
	char from[2 * 20 + 1];
	size_t n = u64_decimal(from, handed->ms);

	from[n++] = '-';
	n += u64_decimal(from + n, handed->seq + 1);
	return session_fetch_send(s->all->options.commands, session_sid(s),
	    s->epoch, slice_of(from, n), FETCH_COUNT, cb, s);
}

static void
take_fetched(struct session *s, const redisReply *reply)
{
	struct backlog *b = s->backlog;
	const struct delivery *first = TAILQ_FIRST(&b->deliveries);

	if (reply->type == REDIS_REPLY_INTEGER) {
		session_yield(s);
	} else if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
		log_warn("event log not read", LF("error", reply->str));
	} else if (reply->elements > 1 || b->lagged_since_fetch > 0) {
		(void)!env_number(redis_slice(reply->element[0]), &s->fresh);
		hand_over_entries(s, reply);
		fetch_log(s);
	} else if (first == NULL || !first->sent) {
		/* The log is empty, and nothing is on its way to it. */
		b->lagging = false;
		b->lag_events = 0;
		b->lag_bytes = 0;
		go_on(s);
	}
}

static void
on_fetched(struct redis *r, const redisReply *reply, void *arg)
{
	struct session *s = arg;

	(void)r;
	if (s->state == SESSION_LIVE) {
		s->backlog->fetching = false;
		/* NULL: Redis is away, and a tick fetches again. */
		if (reply != NULL)
			take_fetched(s, reply);
	}
	session_unref(s);
}

/*
 * Once the output buffer is empty, and the log has answered for what was in it:
 * that is not to be fetched again.
 */
static void
fetch_log(struct session *s)
{
	struct backlog *b = s->backlog;
	const struct delivery *first;

	if (b == NULL || s->state != SESSION_LIVE || !b->lagging ||
	    b->fetching || b->held_until_ms != 0 ||
	    http_stream_unsent(s->stream) > 0)
		return;
	first = TAILQ_FIRST(&b->deliveries);
	if ((first != NULL && first->written) || !ask_log(s, on_fetched))
		return;
	b->fetching = true;
	b->lagged_since_fetch = 0;
	s->refs++;
}

/* The kernel has everything. */
void
session_delivery_drained(struct session *s)
{
	struct delivery *d;

	if (s->backlog == NULL)
		return;
	s->refs++;
	forget_buffered(s->backlog);
	while (s->state == SESSION_LIVE && s->backlog != NULL &&
	    (d = TAILQ_FIRST(&s->backlog->deliveries)) != NULL && d->written &&
	    !d->sent) {
		take_out(d);
		finish(d);
	}
	fetch_log(s);
	go_on(s);
	session_unref(s);
}

/* All backlogs -------------------------------------------------------------- */

static void
look_after(struct backlog *b, uint64_t now)
{
	struct session *s = b->session;

	if (b->held_until_ms != 0 && now >= b->held_until_ms) {
		s->proven_ms = 0;
		release(s);
	}
	if (!b->lagging && b->buffered_count > 0 &&
	    now - b->buffered_since_ms >= BUFFERED_MAX_MS)
		begin_lag(b);
	fetch_log(s);
	go_on(s);
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
