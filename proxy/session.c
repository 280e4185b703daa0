#include "proxy/session_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/sse.h"

/*
 * What may wait in the log of a session that lags: together with the client's
 * patience (stuck_timeout_ms) this bounds what it costs Redis.
 */
#define LAG_EVENTS_MAX 256
#define LAG_BYTES_MAX (1024 * 1024)
/* Events fetched from the log at a time once a slow client has caught up. */
#define FETCH_COUNT 16
/* Records written anew per tick after Redis lost its data. */
#define REBUILD_PER_TICK 2000
/*
 * Streams admitted per tick: a storm of reconnecting clients must leave Redis
 * time for the calls of those that are back. Four ticks a second.
 */
#define CLAIMS_PER_TICK 2000
/* How long a stream may wait for Redis to take its claim. */
#define CLAIM_PATIENCE_MS 30000
/*
 * How long a proof of ownership holds. A pod that takes a session over says so
 * in our inbox, ahead of every message that it causes; the proof is for the case
 * that we slept through that (stopped, frozen, cut off), and a second is far
 * below any time in which another pod takes a sleeper's sessions.
 */
#define PROOF_FRESH_MS 1000

/* One message between Redis and the client. */
struct delivery {
	TAILQ_ENTRY(delivery) link;    /* of all->waiting, while Redis is away */
	struct session *session;
	session_done_cb *done;
	void *arg;
	uint64_t asked_ms;             /* when the command for it was sent */
	bool repeated;                 /* may be the second of its kind */
	size_t payload_len;
	size_t call_len;
	char call[CALL_ID_LEN];
	char payload[];
};

static void fetch_log(struct session *s);

/* States and lifetime ------------------------------------------------------ */

void
session_set_state(struct session *s, enum session_state state)
{
	struct sessions *all = s->all;

	TAILQ_REMOVE(&all->lists[s->state], s, link);
	TAILQ_INSERT_TAIL(&all->lists[state], s, link);
	all->live += (state == SESSION_LIVE) - (s->state == SESSION_LIVE);
	all->claiming += (state == SESSION_CLAIMING) -
	    (s->state == SESSION_CLAIMING);
	if (state == SESSION_ENDED)
		all->leaving -= s->leaving;
	s->state = state;
}

static void
free_session(struct session *s)
{
	TAILQ_REMOVE(&s->all->lists[SESSION_ENDED], s, link);
	session_claim_free(s);
	free(s->given_up);
	free(s);
}

void
session_unref(struct session *s)
{
	if (--s->refs == 0 && s->state == SESSION_ENDED)
		free_session(s);
}

struct slice
session_user_hash(const struct session *s,
    char buf[static SHA256_HEX_LEN + 1])
{
	hex_encode(buf, s->user, SHA256_LEN);
	return slice_of(buf, SHA256_HEX_LEN);
}

/* Records in Redis ---------------------------------------------------------- */

uint64_t
session_ttl_ms(const struct session *s)
{
	const struct session_options *o = &s->all->options;

	return s->used ? o->ttl_ms : 2 * (uint64_t)o->unused_ttl_ms;
}

static void
refresh(struct session *s)
{
	uint64_t ttl = session_ttl_ms(s);

	if (!session_refresh_send(s->all->options.commands, session_sid(s), ttl,
		ttl + LOG_EXTRA_TTL_MS, clock_wall_ms()))
		return;
	s->refreshed_ms = clock_mono_ms();
	session_claim_refresh_leads(s);
}

/* Opening and ending -------------------------------------------------------- */

static void
on_stream_drained(struct http_conn *c, void *arg)
{
	struct session *s = arg;

	(void)c;
	if (s->lagging)
		fetch_log(s);
}

static void
on_stream_closed(struct http_conn *c, const char *reason, void *arg)
{
	struct session *s = arg;

	(void)c;
	s->stream = NULL;
	session_end(s, reason, END_DETACHED);
}

static const struct http_stream_ops stream_ops = {
	.drained = on_stream_drained,
	.closed = on_stream_closed,
};

static void
end_hold(struct session *s)
{
	if (s->held_until_ms == 0)
		return;
	s->held_until_ms = 0;
	TAILQ_REMOVE(&s->all->held, s, held_link);
}

static void
settle_records(struct session *s, enum session_end how)
{
	if (s->epoch == 0)
		return;
	switch (how) {
	case END_DETACHED:
	case END_PLANNED:
		session_detach(s, s->epoch, how == END_PLANNED);
		break;
	case END_RELEASED:
		session_claim_drop_leads(s);
		session_release_send(s->all->options.commands, session_sid(s),
		    s->epoch);
		break;
	case END_LOST:
		break;
	}
}

void
session_end(struct session *s, const char *reason, enum session_end how)
{
	struct sessions *all = s->all;
	struct http_conn *stream = s->stream;

	if (s->state == SESSION_ENDED)
		return;
	log_info("stream closed", LF_S("session", log_session_id(s->sid)),
	    LF("reason", reason), LF("api", s->api),
	    LF_N("seconds", (clock_mono_ms() - s->created_ms) / 1000),
	    LF_N("events", s->events));
	stat_add(all->options.stats, STAT_STREAMS, -1);
	HASH_DEL(all->table, s);
	s->stream = NULL;
	s->refs++;
	end_hold(s);
	session_set_state(s, SESSION_ENDED);
	if (stream != NULL)
		http_stream_end(stream, reason);
	settle_records(s, how);
	session_unref(s);
}

/* Another pod owns it now, which what is on its way is passed on to. */
void
session_yield(struct session *s)
{
	if (s->state == SESSION_ENDED)
		return;
	sessions_count_one(s->all, STAT_SESSIONS_FENCED);
	session_end(s, "taken_over", END_LOST);
}

static void
copy_text(char *to, size_t size, struct slice from)
{
	size_t n = from.n < size ? from.n : size - 1;

	if (n > 0)
		memcpy(to, from.p, n);
	to[n] = '\0';
}

void
session_open(struct sessions *all, struct http_conn *c,
    const struct session_request *request)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->all = all;
	ident_hex(s->sid);
	copy_text(s->api, sizeof(s->api), request->api);
	copy_text(s->protocol, sizeof(s->protocol), request->protocol);
	s->user_kind = (uint8_t)request->who->kind;
	memcpy(s->user, request->who->user.bytes, SHA256_LEN);
	/* Only a client that reconnects sends its protocol version here. */
	s->used = request->protocol.n > 0;
	s->created_ms = s->pinged_ms = s->refreshed_ms = clock_mono_ms();
	if (!sse_open(c, &stream_ops, s)) {
		free(s);
		return;
	}
	s->stream = c;
	s->state = SESSION_CLAIMING;
	TAILQ_INSERT_TAIL(&all->lists[SESSION_CLAIMING], s, link);
	all->claiming++;
	HASH_ADD(hh, all->table, sid, SID_LEN, s);
	stat_add(all->options.stats, STAT_STREAMS, 1);
	sessions_count_one(all, STAT_STREAMS_OPENED);
	session_claim_begin(s, request);
}

struct session *
sessions_find(struct sessions *all, struct slice sid)
{
	struct session *s = NULL;

	if (sid.n == SID_LEN)
		HASH_FIND(hh, all->table, sid.p, SID_LEN, s);
	return s != NULL && s->state == SESSION_LIVE ? s : NULL;
}

void
sessions_yield(struct sessions *all, struct slice sid, uint64_t epoch)
{
	struct session *s = sessions_find(all, sid);

	if (s != NULL && s->epoch < epoch)
		session_yield(s);
}

const char *
session_api(const struct session *s)
{
	return s->api;
}

uint64_t
session_epoch(const struct session *s)
{
	return s->epoch;
}

const unsigned char *
session_user(const struct session *s)
{
	return s->user;
}

/* Delivery ------------------------------------------------------------------ */

static void deliver(struct delivery *d);

static void
finish(struct delivery *d)
{
	struct session *s = d->session;

	d->done(d->arg);
	free(d);
	session_unref(s);
}

static struct env_message
message_of(const struct delivery *d)
{
	return (struct env_message){
		.call = slice_of(d->call, d->call_len),
		.session = session_sid(d->session),
		.attempt = d->repeated ? SLICE("2") : SLICE("1"),
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

/* Writes a message to the client, unless it is one that the client has had. */
static void
hand_over(struct session *s, const struct env_message *message)
{
	struct recent *recent = &s->all->recent;
	bool again = !slice_eq_str(message->attempt, "1");
	uint64_t digest = recent_digest(message->call, message->payload);

	if (recent_has(recent, digest, again)) {
		sessions_count_one(s->all, STAT_EVENTS_REPEATED);
		return;
	}
	if (!is_awaited(s, message->call)) {
		sessions_count_one(s->all, STAT_EVENTS_UNAWAITED);
		return;
	}
	sse_message(s->stream, message->payload);
	s->events++;
	recent_add(recent, digest, again);
	sessions_count_one(s->all, STAT_EVENTS);
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
 * Removes from the log what has been handed over, and fetches count more. What
 * was removed too late, because Redis went away, is not fetched again: the
 * removal comes first, in the same script.
 */
static bool
ask_log(struct session *s, uint64_t count_wanted, redis_cb *cb, void *arg)
{
	char from[2 * 20 + 1];
	size_t n = u64_decimal(from, s->handed.ms);

	from[n++] = '-';
	n += u64_decimal(from + n, s->handed.seq + 1);
	return session_fetch_send(s->all->options.commands, session_sid(s), s->epoch,
	    slice_of(from, n), count_wanted, cb, arg);
}

/* Redis is away or does not take it now: sessions_on_ready() tries again. */
static void
wait_for_redis(struct delivery *d)
{
	TAILQ_INSERT_TAIL(&d->session->all->waiting, d, link);
}

static void
hand_over_or_lag(struct session *s, const struct env_message *message)
{
	hand_over(s, message);
	s->lagging = http_stream_unsent(s->stream) >
	    s->all->options.max_buffer;
}

/* Another owner's epoch stands in the record or in the log. */
static void
fenced(struct delivery *d)
{
	session_yield(d->session);
	pass_on(d);
}

static void
on_proof(struct redis *r, const redisReply *reply, void *arg)
{
	struct delivery *d = arg;
	struct session *s = d->session;

	(void)r;
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
		wait_for_redis(d);
	else if (s->state != SESSION_LIVE)
		pass_on(d);
	else if (!session_proof_read(reply, s->epoch, &s->fresh))
		fenced(d);
	else {
		s->proven_ms = d->asked_ms;
		deliver(d);
	}
}

/* The event is in the log, and stays there until the client has caught up. */
static void
logged(struct delivery *d, struct slice event_id)
{
	struct session *s = d->session;
	struct event_id id;

	/* A log that begins anew was lost: what it holds is all owed. */
	if (read_event_id(event_id, &id) && id.ms == s->handed.ms &&
	    id.seq <= s->handed.seq)
		s->handed = (struct event_id){ 0 };
	sessions_count_one(s->all, STAT_EVENTS_LAGGED);
	s->lagged_since_fetch++;
	s->lag_events++;
	s->lag_bytes += d->payload_len;
	finish(d);
	if (s->lag_events > LAG_EVENTS_MAX || s->lag_bytes > LAG_BYTES_MAX)
		session_end(s, "slow_client", END_DETACHED);
	else if (!s->lagging || http_stream_unsent(s->stream) == 0)
		fetch_log(s);
}

static void
on_logged(struct redis *r, const redisReply *reply, void *arg)
{
	struct delivery *d = arg;
	struct session *s = d->session;

	(void)r;
	if (reply == NULL) {
		d->repeated = true;
		wait_for_redis(d);
	} else if (redis_is_error(reply, "ERR The ID specified in XADD")) {
		fenced(d);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		/* Redis is full: it has no room for what this client is owed. */
		log_warn("event not logged", LF("error", reply->str),
		    LF_S("session", log_session_id(s->sid)));
		session_end(s, "redis_full", END_DETACHED);
		pass_on(d);
	} else if (s->state != SESSION_LIVE) {
		finish(d);
	} else {
		logged(d, redis_slice(reply));
	}
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
	return redis_send(s->all->options.commands, argv,
	    3 + env_message_fields(argv + 3, &message), on_logged, d);
}

static bool
is_proven(const struct session *s)
{
	return clock_mono_ms() - s->proven_ms <= PROOF_FRESH_MS;
}

static void
deliver(struct delivery *d)
{
	struct session *s = d->session;

	d->asked_ms = clock_mono_ms();
	if (!s->lagging && is_proven(s)) {
		struct env_message message = message_of(d);

		hand_over_or_lag(s, &message);
		finish(d);
	} else if (!(s->lagging ? append_to_log(d) : session_proof_send(
		       s->all->options.commands, session_sid(s), on_proof, d))) {
		wait_for_redis(d);
	}
}

static void
copy_and_deliver(struct session *s, const struct env_message *message,
    session_done_cb *done, void *arg)
{
	struct delivery *d = xmalloc(sizeof(*d) + message->payload.n);

	d->session = s;
	d->done = done;
	d->arg = arg;
	d->repeated = !slice_eq_str(message->attempt, "1");
	d->payload_len = message->payload.n;
	d->call_len = message->call.n < CALL_ID_LEN ? message->call.n :
						      CALL_ID_LEN;
	if (d->call_len > 0)
		memcpy(d->call, message->call.p, d->call_len);
	memcpy(d->payload, message->payload.p, message->payload.n);
	s->refs++;
	deliver(d);
}

/*
 * Holding back: the session lags, so that what comes goes to its log behind what
 * is there already, and its log is not read.
 */
void
session_hold(struct session *s, uint64_t ms)
{
	s->lagging = true;
	s->held_until_ms = clock_mono_ms() + ms;
	TAILQ_INSERT_TAIL(&s->all->held, s, held_link);
}

/* The next proof is to tell of an initialize that another pod answered. */
static void
release(struct session *s)
{
	if (s->held_until_ms == 0)
		return;
	end_hold(s);
	s->proven_ms = 0;
	fetch_log(s);
}

/* The client has spoken on this stream: it is not taken by surprise any more. */
static bool
is_of_this_stream(const struct session *s, struct slice call)
{
	return call.n == CALL_ID_LEN && !env_call_before(call, s->epoch);
}

void
session_deliver(struct session *s, const struct env_message *message,
    session_done_cb *done, void *arg)
{
	if (!s->used) {
		s->used = true;
		refresh(s);
	}
	if (s->held_until_ms != 0 && is_of_this_stream(s, message->call))
		release(s);
	if (s->lagging || !is_proven(s)) {
		copy_and_deliver(s, message, done, arg);
		return;
	}
	hand_over_or_lag(s, message);
	done(arg);
}

/* Catching up --------------------------------------------------------------- */

static void
hand_over_logged(struct session *s, const struct env_message *message)
{
	size_t n = message->payload.n;

	hand_over(s, message);
	s->lag_events -= s->lag_events > 0;
	s->lag_bytes -= n < s->lag_bytes ? n : s->lag_bytes;
}

/*
 * The entries come behind the first element. Those without a payload are an
 * owner's marks, not events.
 */
static void
hand_over_entries(struct session *s, const redisReply *entries)
{
	struct env_entry entry;
	struct env_message m;
	unsigned marks = 0;

	for (size_t i = 1; i < entries->elements; i++) {
		size_t at = 0;

		if (!env_entry_at(entries, i, &entry) || entry.fields == NULL)
			continue;
		while (env_message_next(entry.fields, &at, &m, &marks))
			hand_over_logged(s, &m);
		(void)!read_event_id(entry.id, &s->handed);
	}
}

static void
on_fetched(struct redis *r, const redisReply *reply, void *arg)
{
	struct session *s = arg;

	(void)r;
	s->fetching = false;
	if (s->state != SESSION_LIVE || reply == NULL) {
		/* Away: sessions_on_ready() fetches again. */
	} else if (reply->type == REDIS_REPLY_INTEGER) {
		session_yield(s);
	} else if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
		log_warn("event log not read", LF("error", reply->str));
	} else if (reply->elements == 1 && s->lagged_since_fetch == 0) {
		s->lagging = false;
		s->lag_events = 0;
		s->lag_bytes = 0;
	} else {
		(void)!env_number(redis_slice(reply->element[0]), &s->fresh);
		hand_over_entries(s, reply);
		s->lagging = true;
		if (http_stream_unsent(s->stream) == 0)
			fetch_log(s);
		else
			(void)!ask_log(s, 0, NULL, NULL);
	}
	session_unref(s);
}

static void
fetch_log(struct session *s)
{
	if (s->fetching || s->held_until_ms != 0 || s->state != SESSION_LIVE ||
	    !ask_log(s, FETCH_COUNT, on_fetched, s))
		return;
	s->fetching = true;
	s->lagged_since_fetch = 0;
	s->refs++;
}

/* All sessions --------------------------------------------------------------- */

struct sessions *
sessions_new(const struct session_options *options)
{
	struct sessions *all = xcalloc(1, sizeof(*all));

	all->options = *options;
	for (size_t i = 0; i < SESSION_STATES; i++)
		TAILQ_INIT(&all->lists[i]);
	TAILQ_INIT(&all->held);
	TAILQ_INIT(&all->waiting);
	all->claims_left = CLAIMS_PER_TICK;
	return all;
}

void
sessions_free(struct sessions *all)
{
	struct delivery *d;
	struct session *s;

	while ((d = TAILQ_FIRST(&all->waiting)) != NULL) {
		TAILQ_REMOVE(&all->waiting, d, link);
		finish(d);
	}
	while ((s = TAILQ_FIRST(&all->lists[SESSION_ENDED])) != NULL)
		/* It leaves the list: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		free_session(s);
	free(all);
}

/* Those that wait longest first. */
static void
admit(struct sessions *all)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&all->lists[SESSION_CLAIMING]);
	    s != NULL && all->claims_left > 0; s = next) {
		next = TAILQ_NEXT(s, link);
		session_claim_go_on(s);
	}
}

void
sessions_on_ready(struct sessions *all)
{
	TAILQ_HEAD(, delivery) again = TAILQ_HEAD_INITIALIZER(again);
	struct delivery *d;
	struct session *s;

	TAILQ_CONCAT(&again, &all->waiting, link);
	while ((d = TAILQ_FIRST(&again)) != NULL) {
		TAILQ_REMOVE(&again, d, link);
		if (d->session->state == SESSION_ENDED)
			pass_on(d);
		else
			deliver(d);
	}
	admit(all);
	TAILQ_FOREACH(s, &all->lists[SESSION_LIVE], link) {
		if (s->lagging && http_stream_unsent(s->stream) == 0)
			fetch_log(s);
	}
}

void
sessions_rebuild(struct sessions *all)
{
	all->generation++;
	log_warn("redis lost its data, writing session records anew",
	    LF_N("sessions", all->live));
}

static void
rebuild_some(struct sessions *all)
{
	unsigned left = REBUILD_PER_TICK;
	struct session *s;

	TAILQ_FOREACH(s, &all->lists[SESSION_LIVE], link) {
		if (s->generation == all->generation)
			continue;
		if (left-- == 0)
			break;
		session_claim_again(s);
	}
}

static void
release_held(struct sessions *all, uint64_t now)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&all->held); s != NULL; s = next) {
		next = TAILQ_NEXT(s, held_link);
		if (now >= s->held_until_ms)
			release(s);
	}
}

static void
tick_session(struct session *s, uint64_t now)
{
	const struct session_options *o = &s->all->options;

	s->pinged_ms = now;
	session_set_state(s, SESSION_LIVE);
	if (!s->used && now - s->created_ms >= o->unused_ttl_ms) {
		sessions_count_one(s->all, STAT_SESSIONS_UNUSED);
		session_end(s, "unused", END_RELEASED);
		return;
	}
	if (now - s->refreshed_ms >= session_ttl_ms(s) / 4)
		refresh(s);
	session_drain_look(s, now);
	if (http_stream_unsent(s->stream) == 0)
		sse_ping(s->stream);
}

void
sessions_tick(struct sessions *all)
{
	uint64_t now = clock_mono_ms();
	struct session *s;

	all->claims_left = CLAIMS_PER_TICK;
	/* What Redis refused, or the connection had no room for. */
	if (redis_is_ready(all->options.commands))
		sessions_on_ready(all);
	release_held(all, now);
	session_drain_tick(all);
	if (all->generation > 0)
		rebuild_some(all);
	while ((s = TAILQ_FIRST(&all->lists[SESSION_LIVE])) != NULL &&
	    now - s->pinged_ms >= all->options.ping_interval_ms)
		tick_session(s, now);
	while ((s = TAILQ_FIRST(&all->lists[SESSION_CLAIMING])) != NULL &&
	    now - s->created_ms >= CLAIM_PATIENCE_MS)
		session_end(s, "redis_lost", END_PLANNED);
}

void
sessions_end_all(struct sessions *all, const char *reason)
{
	static const enum session_state states[] = { SESSION_CLAIMING,
		SESSION_LIVE };

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		struct session *s = TAILQ_FIRST(&all->lists[states[i]]), *next;

		for (; s != NULL; s = next) {
			next = TAILQ_NEXT(s, link);
			session_end(s, reason, END_PLANNED);
		}
	}
}

void
sessions_set_survey(struct sessions *all, struct survey *survey)
{
	all->survey = survey;
}

unsigned
sessions_count(const struct sessions *all)
{
	return all->live;
}

unsigned
sessions_claiming(const struct sessions *all)
{
	return all->claiming;
}
