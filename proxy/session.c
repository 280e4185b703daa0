#include "proxy/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#include "common/clock.h"
#include "common/ident.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/recent.h"
#include "proxy/session_script.h"
#include "proxy/sse.h"

#define PROTOCOL_MAX 16
#define ENDPOINT_MAX 64
/*
 * What may wait in the log of a session that lags: together with the client's
 * patience (stuck_timeout_ms) this bounds what it costs Redis.
 */
#define LAG_EVENTS_MAX 256
#define LAG_BYTES_MAX (1024 * 1024)
/* Events fetched from the log at a time once a slow client has caught up. */
#define FETCH_COUNT "16"
/* Records written anew per tick after Redis lost its data. */
#define REBUILD_PER_TICK 2000
/* How long a stream may wait for Redis to take its claim. */
#define CLAIM_PATIENCE_MS 30000
/*
 * A proof of ownership that came so long ago that another pod may have taken
 * over since: this process, or the machine, stood still in between.
 */
#define PROOF_FRESH_MS 1000
/* The log must outlive the ownership record: it carries the fence. */
#define LOG_EXTRA_TTL_MS 60000

enum session_state {
	SESSION_CLAIMING,
	SESSION_LIVE,
	SESSION_ENDED,
	SESSION_STATES
};

struct session {
	UT_hash_handle hh;             /* of all->table, while not ended */
	TAILQ_ENTRY(session) link;     /* of all->lists[state] */
	struct sessions *all;
	struct http_conn *stream;      /* NULL once ended */
	uint64_t epoch;                /* 0 until claimed */
	uint64_t created_ms;
	uint64_t pinged_ms;
	uint64_t refreshed_ms;
	unsigned refs;                 /* commands and deliveries on their way */
	unsigned events;
	unsigned generation;           /* of the records in Redis */
	unsigned lag_events;           /* in the log since it lags */
	size_t lag_bytes;
	unsigned lagged_since_fetch;
	enum session_state state;
	bool claim_sent;
	bool used;                     /* somebody talks on it */
	bool lagging;
	bool fetching;
	char sid[SID_LEN + 1];
	char api[API_NAME_MAX + 1];
	char protocol[PROTOCOL_MAX];
};

TAILQ_HEAD(session_list, session);

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

struct sessions {
	struct session_options options;
	struct session *table;
	struct session_list lists[SESSION_STATES];
	TAILQ_HEAD(, delivery) waiting;
	struct recent recent;
	unsigned live;
	unsigned generation;
};

static void end_session(struct session *s, const char *reason, bool tell);
static void fetch_log(struct session *s);

/* States and lifetime ------------------------------------------------------ */

static void
set_state(struct session *s, enum session_state state)
{
	struct sessions *all = s->all;

	TAILQ_REMOVE(&all->lists[s->state], s, link);
	TAILQ_INSERT_TAIL(&all->lists[state], s, link);
	all->live += (state == SESSION_LIVE) - (s->state == SESSION_LIVE);
	s->state = state;
}

static void
unref(struct session *s)
{
	if (--s->refs > 0 || s->state != SESSION_ENDED)
		return;
	TAILQ_REMOVE(&s->all->lists[SESSION_ENDED], s, link);
	free(s);
}

static struct slice
sid_of(const struct session *s)
{
	return slice_of(s->sid, SID_LEN);
}

static void
count(struct sessions *all, enum stat which)
{
	stat_add(all->options.stats, which, 1);
}

/* Records in Redis ---------------------------------------------------------- */

static uint64_t
record_ttl_ms(const struct session *s)
{
	const struct session_options *o = &s->all->options;

	return s->used ? o->ttl_ms : 2 * (uint64_t)o->unused_ttl_ms;
}

static void
on_claimed(struct redis *r, const redisReply *reply, void *arg)
{
	struct session *s = arg;

	(void)r;
	s->claim_sent = false;
	if (s->state == SESSION_ENDED || reply == NULL) {
		/* Away: sessions_on_ready() claims again. */
	} else if (reply->type != REDIS_REPLY_INTEGER) {
		log_error("session not claimed",
		    LF_S("session", log_session_id(s->sid)),
		    LF("error", reply->str));
		end_session(s, "claim_failed", true);
	} else if (reply->integer <= 0) {
		count(s->all, STAT_SESSIONS_FENCED);
		end_session(s, "taken_over", true);
	} else {
		s->epoch = (uint64_t)reply->integer;
		s->refreshed_ms = clock_mono_ms();
		if (s->state == SESSION_CLAIMING) {
			char path[ENDPOINT_MAX];

			snprintf(path, sizeof(path), "%s%s/messages/",
			    s->api[0] ? "/" : "", s->api);
			set_state(s, SESSION_LIVE);
			sse_endpoint(s->stream, path, s->sid,
			    s->all->options.retry_ms);
		}
	}
	unref(s);
}

/* Claims the session, or writes its records anew when it has an epoch. */
static void
claim(struct session *s)
{
	const struct session_options *o = &s->all->options;
	struct session_claim c = {
		.sid = sid_of(s),
		.pod = o->pod,
		.api = slice_str(s->api),
		.protocol = slice_str(s->protocol),
		.known_epoch = s->epoch,
		.now_ms = clock_wall_ms(),
		.ttl_ms = record_ttl_ms(s),
		.log_ttl_ms = record_ttl_ms(s) + LOG_EXTRA_TTL_MS,
	};

	if (s->claim_sent || !session_claim_send(o->commands, &c, on_claimed, s))
		return;
	s->claim_sent = true;
	s->generation = s->all->generation;
	s->refs++;
}

static void
refresh(struct session *s)
{
	uint64_t ttl = record_ttl_ms(s);

	if (session_refresh_send(s->all->options.commands, sid_of(s), ttl,
		ttl + LOG_EXTRA_TTL_MS, clock_wall_ms()))
		s->refreshed_ms = clock_mono_ms();
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
	end_session(s, reason, false);
}

static const struct http_stream_ops stream_ops = {
	.drained = on_stream_drained,
	.closed = on_stream_closed,
};

static void
end_session(struct session *s, const char *reason, bool tell)
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
	set_state(s, SESSION_ENDED);
	if (tell && stream != NULL)
		http_stream_end(stream, reason);
	if (s->epoch > 0)
		session_release_send(all->options.commands, sid_of(s), s->epoch);
	unref(s);
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
	HASH_ADD(hh, all->table, sid, SID_LEN, s);
	stat_add(all->options.stats, STAT_STREAMS, 1);
	count(all, STAT_STREAMS_OPENED);
	claim(s);
}

struct session *
sessions_find(struct sessions *all, struct slice sid)
{
	struct session *s = NULL;

	if (sid.n == SID_LEN)
		HASH_FIND(hh, all->table, sid.p, SID_LEN, s);
	return s != NULL && s->state == SESSION_LIVE ? s : NULL;
}

const char *
session_api(const struct session *s)
{
	return s->api;
}

/* Delivery ------------------------------------------------------------------ */

static void deliver(struct delivery *d);

static void
finish(struct delivery *d)
{
	struct session *s = d->session;

	d->done(d->arg);
	free(d);
	unref(s);
}

static struct env_message
message_of(const struct delivery *d)
{
	return (struct env_message){
		.call = slice_of(d->call, d->call_len),
		.session = sid_of(d->session),
		.attempt = d->repeated ? SLICE("2") : SLICE("1"),
		.payload = slice_of(d->payload, d->payload_len),
	};
}

/* Another owner's epoch stands in the log: the session is not ours. */
static void
fenced(struct delivery *d)
{
	struct session *s = d->session;
	struct env_message message = message_of(d);

	if (s->state != SESSION_ENDED)
		count(s->all, STAT_SESSIONS_FENCED);
	s->epoch = 0;
	end_session(s, "taken_over", true);
	s->all->options.stray(&message, d->done, d->arg, s->all->options.arg);
	free(d);
	unref(s);
}

/* Writes a message to the client, unless it is one that the client has had. */
static void
hand_over(struct session *s, const struct env_message *message)
{
	struct recent *recent = &s->all->recent;
	bool again = !slice_eq_str(message->attempt, "1");

	if (recent_has(recent, message->call, again)) {
		count(s->all, STAT_EVENTS_REPEATED);
		return;
	}
	sse_message(s->stream, message->payload);
	s->events++;
	recent_add(recent, message->call, again);
	count(s->all, STAT_EVENTS);
}

/*
 * Removes events that have been handed over, up to the one with that id. Redis
 * may refuse to take the command now: then the next fetch repeats them, which
 * recent_has() notices.
 */
static void
trim_log(struct session *s, struct slice event_id)
{
	struct env_keybuf keybuf;
	char next[48];
	struct slice argv[] = { SLICE("XTRIM"),
		env_key(&keybuf, ENV_EVENTS, sid_of(s)), SLICE("MINID"),
		SLICE_NONE };
	const char *dash = memchr(event_id.p, '-', event_id.n);
	size_t head;
	uint64_t seq;

	if (dash == NULL)
		return;
	head = (size_t)(dash - event_id.p) + 1;
	if (head > sizeof(next) - 20 ||
	    !env_number(slice_of(dash + 1, event_id.n - head), &seq))
		return;
	memcpy(next, event_id.p, head);
	argv[3] = slice_of(next, head + u64_decimal(next + head, seq + 1));
	(void)!redis_send(s->all->options.commands, argv, ARRAY_LEN(argv), NULL,
	    NULL);
}

/* Redis is away: sessions_on_ready() tries again. */
static void
wait_for_redis(struct delivery *d)
{
	TAILQ_INSERT_TAIL(&d->session->all->waiting, d, link);
}

static void
hand_over_delivery(struct delivery *d)
{
	struct session *s = d->session;
	struct env_message message = message_of(d);

	hand_over(s, &message);
	s->lagging = http_stream_unsent(s->stream) >
	    s->all->options.max_buffer;
	finish(d);
}

static void
drop_delivery(struct delivery *d)
{
	count(d->session->all, STAT_EVENTS_UNDELIVERABLE);
	finish(d);
}

/* Proof of ownership: the epoch in the record, or no record (Redis lost it). */
static bool
proves_ownership(const struct session *s, const redisReply *reply)
{
	uint64_t epoch;

	return reply->type == REDIS_REPLY_NIL ||
	    (env_number(redis_slice(reply), &epoch) && epoch == s->epoch);
}

static void
on_proof(struct redis *r, const redisReply *reply, void *arg)
{
	struct delivery *d = arg;
	struct session *s = d->session;

	(void)r;
	if (reply == NULL)
		wait_for_redis(d);
	else if (s->state != SESSION_LIVE)
		drop_delivery(d);
	else if (!proves_ownership(s, reply))
		fenced(d);
	else if (s->lagging ||
	    clock_mono_ms() - d->asked_ms > PROOF_FRESH_MS)
		deliver(d);
	else
		hand_over_delivery(d);
}

static bool
ask_for_proof(struct delivery *d)
{
	struct session *s = d->session;
	struct env_keybuf keybuf;
	struct slice argv[] = { SLICE("HGET"),
		env_key(&keybuf, ENV_TRANSPORT, sid_of(s)), SLICE("epoch") };

	return redis_send(s->all->options.commands, argv, ARRAY_LEN(argv),
	    on_proof, d);
}

/* The event is in the log, and stays there until the client has caught up. */
static void
logged(struct delivery *d)
{
	struct session *s = d->session;

	count(s->all, STAT_EVENTS_LAGGED);
	s->lagged_since_fetch++;
	s->lag_events++;
	s->lag_bytes += d->payload_len;
	finish(d);
	if (s->lag_events > LAG_EVENTS_MAX || s->lag_bytes > LAG_BYTES_MAX)
		end_session(s, "slow_client", true);
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
	} else if (s->state != SESSION_LIVE) {
		drop_delivery(d);
	} else if (redis_is_error(reply, "ERR The ID specified in XADD")) {
		fenced(d);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		/* Redis is full: it has no room for what this client is owed. */
		log_warn("event not logged", LF("error", reply->str),
		    LF_S("session", log_session_id(s->sid)));
		end_session(s, "redis_full", true);
		drop_delivery(d);
	} else {
		logged(d);
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
		env_key(&keybuf, ENV_EVENTS, sid_of(s)), slice_of(id, n + 2) };

	memcpy(id + n, "-*", 2);
	return redis_send(s->all->options.commands, argv,
	    3 + env_message_fields(argv + 3, &message), on_logged, d);
}

static void
deliver(struct delivery *d)
{
	d->asked_ms = clock_mono_ms();
	if (!(d->session->lagging ? append_to_log(d) : ask_for_proof(d)))
		wait_for_redis(d);
}

void
session_deliver(struct session *s, const struct env_message *message,
    session_done_cb *done, void *arg)
{
	struct delivery *d;

	d = xmalloc(sizeof(*d) + message->payload.n);
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
	if (!s->used) {
		s->used = true;
		refresh(s);
	}
	deliver(d);
}

/* Catching up --------------------------------------------------------------- */

/* Entries without a payload are an owner's marks, not events. */
static struct slice
hand_over_entries(struct session *s, const redisReply *entries)
{
	struct slice last = SLICE_NONE;
	struct env_entry entry;
	struct env_message m;
	unsigned marks = 0;

	for (size_t i = 0; i < entries->elements; i++) {
		size_t at = 0;

		if (!env_entry_at(entries, i, &entry) || entry.fields == NULL)
			continue;
		last = entry.id;
		while (env_message_next(entry.fields, &at, &m, &marks))
			hand_over(s, &m);
	}
	return last;
}

static void
on_fetched(struct redis *r, const redisReply *reply, void *arg)
{
	struct session *s = arg;
	struct slice last;

	(void)r;
	s->fetching = false;
	if (s->state != SESSION_LIVE || reply == NULL ||
	    reply->type != REDIS_REPLY_ARRAY)
		goto out;
	last = hand_over_entries(s, reply);
	if (last.n > 0) {
		trim_log(s, last);
		s->lagging = true;
	} else if (s->lagged_since_fetch == 0) {
		s->lagging = false;
		s->lag_events = 0;
		s->lag_bytes = 0;
		goto out;
	}
	if (http_stream_unsent(s->stream) == 0)
		fetch_log(s);
out:
	unref(s);
}

static void
fetch_log(struct session *s)
{
	struct env_keybuf keybuf;
	struct slice argv[] = { SLICE("XRANGE"),
		env_key(&keybuf, ENV_EVENTS, sid_of(s)), SLICE("-"), SLICE("+"),
		SLICE("COUNT"), SLICE(FETCH_COUNT) };

	if (s->fetching || s->state != SESSION_LIVE)
		return;
	if (!redis_send(s->all->options.commands, argv, ARRAY_LEN(argv),
		on_fetched, s))
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
	TAILQ_INIT(&all->waiting);
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
	while ((s = TAILQ_FIRST(&all->lists[SESSION_ENDED])) != NULL) {
		TAILQ_REMOVE(&all->lists[SESSION_ENDED], s, link);
		free(s);
	}
	free(all);
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
			finish(d);
		else
			deliver(d);
	}
	TAILQ_FOREACH(s, &all->lists[SESSION_CLAIMING], link)
		claim(s);
	TAILQ_FOREACH(s, &all->lists[SESSION_LIVE], link) {
		if (s->lagging)
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
		claim(s);
	}
}

static void
tick_session(struct session *s, uint64_t now)
{
	const struct session_options *o = &s->all->options;

	s->pinged_ms = now;
	set_state(s, SESSION_LIVE);
	if (!s->used && now - s->created_ms >= o->unused_ttl_ms) {
		count(s->all, STAT_SESSIONS_UNUSED);
		end_session(s, "unused", true);
		return;
	}
	if (now - s->refreshed_ms >= record_ttl_ms(s) / 4)
		refresh(s);
	if (http_stream_unsent(s->stream) == 0)
		sse_ping(s->stream);
}

void
sessions_tick(struct sessions *all)
{
	uint64_t now = clock_mono_ms();
	struct session *s;

	if (all->generation > 0)
		rebuild_some(all);
	while ((s = TAILQ_FIRST(&all->lists[SESSION_LIVE])) != NULL &&
	    now - s->pinged_ms >= all->options.ping_interval_ms)
		tick_session(s, now);
	while ((s = TAILQ_FIRST(&all->lists[SESSION_CLAIMING])) != NULL &&
	    now - s->created_ms >= CLAIM_PATIENCE_MS)
		end_session(s, "redis_lost", true);
}

void
sessions_end_all(struct sessions *all, const char *reason)
{
	static const enum session_state states[] = { SESSION_CLAIMING,
		SESSION_LIVE };
	struct session *s;

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		while ((s = TAILQ_FIRST(&all->lists[states[i]])) != NULL)
			end_session(s, reason, true);
	}
}

unsigned
sessions_count(const struct sessions *all)
{
	return all->live;
}
