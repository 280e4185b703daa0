#include "proxy/session_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/sse.h"

/* Records written anew per tick after Redis lost its data. */
#define REBUILD_PER_TICK 2000
/*
 * Streams admitted per tick: a storm of reconnecting clients must leave Redis
 * time for the calls of those that are back. Four ticks a second.
 */
#define CLAIMS_PER_TICK 2000
/* How long a stream may wait for Redis to take its claim. */
#define CLAIM_PATIENCE_MS 30000

/* States and lifetime ------------------------------------------------------ */

void
session_set_state(struct session *s, enum session_state state)
{
	struct sessions *all = s->all;

	TAILQ_REMOVE(&all->lists[s->state], s, link);
	TAILQ_INSERT_TAIL(&all->lists[state], s, link);
	all->live += (state == SESSION_LIVE) - (s->state == SESSION_LIVE);
	if (state == SESSION_ENDED)
		all->leaving -= s->leaving;
	s->state = state;
}

static void
free_session(struct session *s)
{
	TAILQ_REMOVE(&s->all->lists[SESSION_ENDED], s, link);
	session_claim_free(s);
	session_book_free(s);
	session_seek_free(s);
	free(s->alias);
	free(s->given_up);
	free(s->subscribed);
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
	session_leads_refresh(s);
	session_watch(s);
	session_book_mark(s);
}

void
session_use(struct session *s)
{
	if (s->used)
		return;
	s->used = true;
	refresh(s);
}

/* Opening and ending -------------------------------------------------------- */

static void
on_stream_drained(struct http_conn *c, void *arg)
{
	(void)c;
	session_delivery_drained(arg);
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
		session_leads_drop(s);
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
	session_seek_stop(s);
	session_set_state(s, SESSION_ENDED);
	if (stream != NULL)
		http_stream_end(stream, reason);
	session_book_ended(s, reason, how);
	settle_records(s, how);
	session_delivery_end(s);
	quota_closed(all->options.quota, s->user, session_sid(s),
	    s->epoch > 0 && (how == END_DETACHED || how == END_PLANNED) ?
		session_wait_ms(s) : 0);
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
	s->client_traits = CLIENT_TRAITS_NONE;
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
	sessions_count_one(all, STAT_STREAMS_OPENED);
	quota_opened(all->options.quota, s->user);
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

struct client_traits
session_client(const struct session *s)
{
	return s->client_traits;
}

const unsigned char *
session_user(const struct session *s)
{
	return s->user;
}

/* All sessions --------------------------------------------------------------- */

struct sessions *
sessions_new(const struct session_options *options)
{
	struct sessions *all = xcalloc(1, sizeof(*all));

	all->options = *options;
	for (size_t i = 0; i < SESSION_STATES; i++)
		TAILQ_INIT(&all->lists[i]);
	TAILQ_INIT(&all->backlogs);
	TAILQ_INIT(&all->unnoted);
	TAILQ_INIT(&all->seeking);
	all->claims_left = CLAIMS_PER_TICK;
	all->recent = recent_new();
	sessions_book_init(all);
	return all;
}

void
sessions_free(struct sessions *all)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&all->lists[SESSION_ENDED])) != NULL)
		/* It leaves the list: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		free_session(s);
	sessions_book_release(all);
	recent_free(all->recent);
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
	sessions_delivery_tick(all);
	admit(all);
}

void
sessions_rebuild(struct sessions *all)
{
	all->generation++;
	all->rebuilding = true;
	log_warn("redis lost its data, writing session records anew",
	    LF_N("sessions", all->live));
}

static void
rebuild_some(struct sessions *all)
{
	unsigned left = REBUILD_PER_TICK;
	struct session *s;

	if (!all->rebuilding || redis_is_refusing(all->options.commands))
		return;
	all->rebuilding = false;
	TAILQ_FOREACH(s, &all->lists[SESSION_LIVE], link) {
		if (s->generation == all->generation)
			continue;
		all->rebuilding = true;
		if (left-- == 0)
			break;
		session_claim_again(s);
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
	sessions_delivery_tick(all);
	if (redis_is_ready(all->options.commands))
		admit(all);
	session_seek_tick(all);
	session_drain_tick(all);
	session_news_tick(all);
	rebuild_some(all);
	while ((s = TAILQ_FIRST(&all->lists[SESSION_LIVE])) != NULL &&
	    now - s->pinged_ms >= all->options.ping_interval_ms)
		tick_session(s, now);
	while ((s = TAILQ_FIRST(&all->lists[SESSION_CLAIMING])) != NULL &&
	    now - s->created_ms >= CLAIM_PATIENCE_MS)
		session_end(s, "redis_lost", END_PLANNED);
	sessions_book_tick(all);
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
sessions_set_survey(struct sessions *all, struct survey *survey,
    const struct catalog *catalog)
{
	all->survey = survey;
	all->catalog = catalog;
}

unsigned
sessions_count(const struct sessions *all)
{
	return all->live;
}
