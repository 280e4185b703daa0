#include "proxy/session_backlog.h"

#include "common/clock.h"
#include "common/log.h"
#include "proxy/session_owed.h"

/*
 * What may wait in the log of a session that lags: together with the client's
 * patience (stuck_timeout_ms) this bounds what it costs Redis.
 */
#define LAG_EVENTS_MAX 256
#define LAG_BYTES_MAX (1024 * 1024)
/* Events fetched from the log at a time once a slow client has caught up. */
#define FETCH_COUNT 16

/* Appending ------------------------------------------------------------------ */

/* The next is the first one that is not on its way to the log. */
static void
begin_with_unsent(struct backlog *b)
{
	b->next = TAILQ_FIRST(&b->deliveries);
	while (b->next != NULL && b->next->sent)
		b->next = TAILQ_NEXT(b->next, link);
}

void
session_log_begin(struct backlog *b)
{
	b->lagging = true;
	begin_with_unsent(b);
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
	b->lag_events++;
	b->lag_bytes += d->payload_len;
}

/*
 * Is its client too slow? Not one that is not given anything, while its session
 * is held, nor one that has taken all that it was given.
 */
static bool
lags_too_much(const struct session *s)
{
	const struct backlog *b = s->backlog;

	return http_stream_unsent(s->stream) > 0 &&
	    (b->lag_events > LAG_EVENTS_MAX || b->lag_bytes > LAG_BYTES_MAX);
}

/* The event is in the log, and stays there until the client has caught up. */
static void
logged(struct delivery *d, struct slice event_id)
{
	struct session *s = d->session;
	bool too_much;

	note_logged(s, d, event_id);
	too_much = lags_too_much(s);
	delivery_take_out(d);
	delivery_finish(d);
	if (s->state != SESSION_LIVE)
		return;
	if (too_much)
		session_end(s, "slow_client", END_DETACHED);
	else
		session_log_fetch(s);
}

/* It has not been sent after all. */
static void
send_again(struct delivery *d)
{
	d->sent = false;
	begin_with_unsent(d->session->backlog);
}

/*
 * Redis is full: it has no room for what this client is owed. What is in the
 * output buffer still has its inbox entry: it may yet drain, or has done so.
 */
static void
not_logged(struct delivery *d, const char *error)
{
	struct session *s = d->session;

	send_again(d);
	if (d->written) {
		if (http_stream_unsent(s->stream) == 0)
			session_delivery_drained(s);
		return;
	}
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
			delivery_finish(d);
		else
			delivery_pass_on(d);
		return;
	}
	s->backlog->appending--;
	if (reply == NULL || redis_is_unfit(reply)) {
		d->repeated |= reply == NULL;
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
	struct slice argv[] = { SLICE("PEXPIRE"), key,
		u64_slice(digits, session_ttl_ms(s) + LOG_EXTRA_TTL_MS) };

	(void)!redis_send(s->all->options.commands, argv, ARRAY_LEN(argv), NULL,
	    NULL);
}

/* May the log be read: has all of its session's output left? */
static bool
is_readable(const struct session *s)
{
	const struct backlog *b = s->backlog;

	return b->lagging && b->held_until_ms == 0 &&
	    http_stream_unsent(s->stream) == 0;
}

/*
 * What has been sent is waited for when the log may be read: a client that reads
 * is not to wait behind a stream of messages without a gap.
 */
static bool
is_turn_of_fetch(const struct session *s)
{
	const struct backlog *b = s->backlog;

	return b->fetching || (b->appending > 0 && is_readable(s));
}

/* Redis refuses the id of an owner that has been replaced: see claim_script. */
bool
session_log_append(struct delivery *d)
{
	struct session *s = d->session;
	struct env_keybuf keybuf;
	struct env_message message = delivery_message(d);
	char id[24];
	size_t n = u64_decimal(id, s->epoch);
	struct slice argv[3 + ENV_MESSAGE_ARGC] = { SLICE("XADD"),
		env_key(&keybuf, ENV_EVENTS, session_sid(s)), slice_of(id, n + 2) };

	if (is_turn_of_fetch(s))
		return false;
	memcpy(id + n, "-*", 2);
	d->sent = redis_send(s->all->options.commands, argv,
	    3 + env_message_fields(argv + 3, &message), on_appended, d);
	if (!d->sent)
		return false;
	s->backlog->appending++;
	keep_log(s, argv[1]);
	return true;
}

/* Catching up --------------------------------------------------------------- */

static bool
hand_over_logged(struct session *s, const struct env_message *message)
{
	struct backlog *b = s->backlog;
	size_t n = message->payload.n;

	if (delivery_hand_over(s, message) == HANDED_NOT)
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

	for (size_t i = 1; i < entries->elements && !backlog_is_full(s); i++) {
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

	if (reply->type == REDIS_REPLY_INTEGER) {
		session_yield(s);
	} else if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
		log_warn("event log not read", LF("error", reply->str));
	} else if (reply->elements > 1) {
		(void)!env_number(redis_slice(reply->element[0]), &s->fresh);
		hand_over_entries(s, reply);
		session_log_fetch(s);
	} else {
		/* The log is empty, and nothing is on its way to it. */
		b->lagging = false;
		b->lag_events = 0;
		b->lag_bytes = 0;
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
		session_delivery_go_on(s);
	}
	session_unref(s);
}

/*
 * Once the output buffer is empty, and the log has answered for all that was
 * sent to it: what was in the buffer is not to be fetched again.
 */
void
session_log_fetch(struct session *s)
{
	struct backlog *b = s->backlog;
	const struct delivery *first;

	if (b == NULL || s->state != SESSION_LIVE || b->fetching ||
	    b->appending > 0 || !is_readable(s))
		return;
	first = TAILQ_FIRST(&b->deliveries);
	if ((first != NULL && first->written) || !ask_log(s, on_fetched))
		return;
	b->fetching = true;
	s->refs++;
}

/* Holding back --------------------------------------------------------------- */

/*
 * Holding back: the session lags, so that what comes goes to its log behind what
 * is there already, and its log is not read.
 */
void
session_hold(struct session *s, uint64_t ms)
{
	struct backlog *b = backlog_get(s);

	session_log_begin(b);
	b->held_until_ms = clock_mono_ms() + ms;
}

void
session_log_release(struct session *s)
{
	s->backlog->held_until_ms = 0;
	session_log_fetch(s);
}
