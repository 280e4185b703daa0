#include "proxy/session_claim_private.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

/*
 * For so long a reattached stream is not told what the session is owed, unless
 * its client speaks first: a client process that was started anew sends
 * initialize at once, and must not take an answer to the process before it, with
 * the same JSON-RPC id, for its own. A client that reconnects says its protocol
 * version on the GET (with known exceptions), a new one mostly does not.
 */
#define HOLD_RECONNECTED_MS 400
#define HOLD_UNKNOWN_MS 2000

/* What was found is the stream's ----------------------------------------------- */

/* The stream here that has the session, if there is one, loses it. */
static void
yield_here(struct sessions *all, const char *sid)
{
	struct session *before = NULL;

	HASH_FIND(hh, all->table, sid, SID_LEN, before);
	if (before != NULL)
		session_yield(before);
}

static void
adopt_sid(struct session *s, const char *sid)
{
	struct sessions *all = s->all;

	yield_here(all, sid);
	HASH_DEL(all->table, s);
	memcpy(s->sid, sid, SID_LEN);
	HASH_ADD(hh, all->table, sid, SID_LEN, s);
}

/* The last of them is the one that had it until now. */
static void
tell_of_former(struct session *s, const struct session_reattached *got)
{
	const struct session_options *o = &s->all->options;
	struct slice rest = got->former;
	const char *blank;

	while (rest.n > 0 && (blank = memchr(rest.p, ' ', rest.n)) != NULL) {
		struct slice pod = slice_of(rest.p, (size_t)(blank - rest.p));

		rest = slice_of(blank + 1, rest.n - pod.n - 1);
		o->taken_over(pod, rest.n == 0 && got->detached, o->arg);
	}
}

/*
 * A stream that has given its endpoint keeps it: what is posted there is told
 * where it belongs.
 */
static void
go_on_as(struct session *s, const char before[static SID_LEN + 1])
{
	session_claim_free(s);
	session_leads_unlist(s, before);
	free(s->alias);
	s->alias = xstrdup(before);
	session_leads_refresh(s);
	/* What it said belongs to the session before. */
	s->spoken = false;
	session_seek_over(s);
	session_hold(s, 0);
}

/* A live session has none of this yet, or it goes with the session before. */
static void
take_record(struct session *s, const struct session_reattached *got)
{
	enum client_level level;

	s->epoch = got->epoch;
	s->fresh = got->fresh;
	s->proven_ms = s->claimed_ms;
	s->used = true;
	s->generation = s->all->generation;
	s->client_traits = client_traits_read(got->can);
	if (client_level_read(got->level, &level))
		s->client_traits.level = (uint8_t)level;
	free(s->subscribed);
	s->subscribed = got->subscribed.n > 0 ?
	    xstrdup_slice(got->subscribed) : NULL;
	session_watch(s);
	free(s->given_up);
	s->given_up = got->given_up.n > 0 ? xstrdup_slice(got->given_up) : NULL;
}

static void
adopt(struct session *s, const struct session_reattached *got)
{
	struct sessions *all = s->all;
	struct claim *c = s->claim;
	uint64_t hold = c->reconnected ? HOLD_RECONNECTED_MS : HOLD_UNKNOWN_MS;
	char before[SID_LEN + 1];

	memcpy(before, s->sid, sizeof(before));
	if (s->state == SESSION_LIVE)
		session_book_ended(s, "adopted", END_RELEASED);
	adopt_sid(s, c->found);
	take_record(s, got);
	sessions_count_one(all, got->detached ? STAT_SESSIONS_REATTACHED :
						STAT_SESSIONS_RECOVERED);
	if (c->by_looks)
		sessions_count_one(all, STAT_SESSIONS_FOUND);
	log_info("session reattached", LF_S("session", log_session_id(s->sid)),
	    LF_S("from", got->pod), LF("state",
		got->detached ? "detached" : "live"),
	    LF("by", c->by_looks ? "looks" : "name"),
	    LF_N("epoch", s->epoch));
	if (got->detached)
		quota_resumed(all->options.quota, s->user, session_sid(s));
	if (s->state == SESSION_LIVE) {
		go_on_as(s, before);
		session_book_reattached(s, got->detached);
	} else {
		session_leads_point(s);
		session_seek_over(s);
		session_claim_go_live(s);
		session_book_reattached(s, got->detached);
		session_hold(s, hold);
	}
	tell_of_former(s, got);
}

/* What was found is not ---------------------------------------------------------- */

/* A live session stays what it is. */
static void
stay(struct session *s)
{
	session_claim_free(s);
	session_seek_over(s);
}

/* The session of the client key is gone, or not this client's. */
static void
not_found(struct session *s)
{
	struct claim *c = s->claim;

	if (s->state == SESSION_LIVE) {
		stay(s);
		return;
	}
	if (c->by_looks)
		session_seek_over(s);
	if (c->key_asked)
		session_leads_point(s);
	c->by_looks = false;
	c->named[0] = '\0';
	c->found[0] = '\0';
	session_claim_next(s);
}

/* It cannot be told, or must not be: the stream without a session ends. */
static void
fail(struct session *s)
{
	if (s->state == SESSION_LIVE)
		stay(s);
	else
		session_end(s, "claim_failed", END_LOST);
}

/* Taking over -------------------------------------------------------------------- */

static void
on_reattached(struct redis *r, const redisReply *reply, void *arg)
{
	struct session *s = arg;
	struct session_reattached got;
	int rc = session_reattach_read(reply, &got);

	(void)r;
	s->claim_sent = false;
	if (s->state == SESSION_ENDED) {
		if (rc == 0) {
			memcpy(s->sid, s->claim->found, SID_LEN);
			session_detach(s, got.epoch, false);
		}
	} else if (rc == 0) {
		adopt(s, &got);
	} else if (rc == -ENOENT || (rc == -EAGAIN && s->claim->by_looks)) {
		not_found(s);
	} else if (rc == -EAGAIN) {
		session_claim_next(s);
	} else if (reply != NULL && !redis_is_put_off(reply)) {
		log_error("session not reattached", LF("error",
		    reply->type == REDIS_REPLY_ERROR ? reply->str : "reply"));
		fail(s);
	}
	session_claim_let_live(s);
	session_unref(s);
}

static void
send_reattach(struct session *s)
{
	const struct session_options *o = &s->all->options;
	struct claim_texts texts;
	struct session_reattach want = {
		.claim = session_claim_record(s, &texts),
		.expected_epoch = s->claim->epoch,
		.window_ms = o->window_ms,
		.recoveries_max = o->recoveries_max,
	};

	want.claim.sid = slice_of(s->claim->found, SID_LEN);
	want.claim.ttl_ms = o->ttl_ms;
	want.claim.log_ttl_ms = o->ttl_ms + LOG_EXTRA_TTL_MS;
	if (!session_reattach_send(o->commands, &want, on_reattached, s))
		return;
	s->claim_sent = true;
	s->claimed_ms = clock_mono_ms();
	s->refs++;
}

static void
on_told(enum outbox_result result, const char *error, void *arg)
{
	struct session *s = arg;

	s->claim_sent = false;
	if (s->state == SESSION_ENDED) {
		/* Nobody needs it any more. */
	} else if (result == OUTBOX_SENT) {
		send_reattach(s);
	} else if (result == OUTBOX_REFUSED && !redis_is_refusing(
	    s->all->options.commands)) {
		log_error("former owner not told", LF("error", error));
		fail(s);
	}
	session_claim_let_live(s);
	session_unref(s);
}

/*
 * Before anything else the owner hears of it: it must not rely on its last proof
 * of ownership when messages come that this stream's client caused.
 */
static bool
tell_owner(struct session *s, const struct directory_entry *entry)
{
	char digits[20];
	struct env_message notice = {
		.call = SLICE(ENV_CALL_TAKEN_OVER),
		.session = slice_of(s->claim->found, SID_LEN),
		.attempt = SLICE("1"),
		.payload = u64_slice(digits, entry->epoch + 1),
	};

	return outbox_send(s->all->options.outbox, slice_str(entry->pod),
	    &notice, on_told, s);
}

static bool
may_have(const struct session *s, const struct directory_entry *entry)
{
	return memcmp(entry->user, s->user, SHA256_LEN) == 0 &&
	    strcmp(entry->api, s->api) == 0;
}

/* Nobody names it, so that it must be nobody's: not of a stream that is there. */
static bool
is_free(const struct session *s, const struct directory_entry *entry)
{
	const struct session_options *o = &s->all->options;
	const struct fleet_pod *pod = fleet_find(o->fleet, slice_str(entry->pod));

	if (slice_eq_str(o->pod, entry->pod))
		return sessions_find(s->all, slice_str(s->claim->found)) == NULL;
	return entry->detached || (pod != NULL && fleet_is_dead(pod));
}

static void
take(struct session *s, const struct directory_entry *entry)
{
	s->claim->epoch = entry->epoch;
	yield_here(s->all, s->claim->found);
	if (entry->detached || slice_eq_str(s->all->options.pod, entry->pod)) {
		send_reattach(s);
	} else if (tell_owner(s, entry)) {
		s->claim_sent = true;
		s->refs++;
	}
}

static void
on_looked_up(enum directory_result result, const struct directory_entry *entry,
    void *arg)
{
	struct session *s = arg;

	s->claim_sent = false;
	if (s->state == SESSION_ENDED || result == DIRECTORY_AWAY) {
		/* Nobody needs it, or a tick asks again. */
	} else if (result == DIRECTORY_UNKNOWN || !may_have(s, entry) ||
	    (s->claim->by_looks && !is_free(s, entry))) {
		not_found(s);
	} else if (entry->alias[0] != '\0') {
		memcpy(s->claim->found, entry->alias, SID_LEN);
		session_claim_next(s);
	} else {
		take(s, entry);
	}
	session_claim_let_live(s);
	session_unref(s);
}

bool
session_reattach_look_up(struct session *s)
{
	return directory_fetch(s->all->options.directory,
	    slice_of(s->claim->found, SID_LEN), on_looked_up, s);
}
