#include "proxy/session_claim_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/ident.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/sse.h"

#define ENDPOINT_MAX 64

/* Owning --------------------------------------------------------------------- */

struct session_claim
session_claim_record(struct session *s, struct claim_texts *texts)
{
	struct client_traits can = { s->client_traits.can, LEVEL_DEFAULT };

	return (struct session_claim){
		.sid = session_sid(s),
		.pod = s->all->options.pod,
		.api = slice_str(s->api),
		.protocol = slice_str(s->protocol),
		.can = client_traits_text(texts->can, can),
		.level = slice_str(client_level_name(s->client_traits.level)),
		.subscribed = slice_str(s->subscribed),
		.user = session_user_hash(s, texts->user),
		.user_kind = slice_str(principal_kind_name(s->user_kind)),
		.known_epoch = s->epoch,
		.fresh = s->fresh,
		.now_ms = clock_wall_ms(),
		.ttl_ms = session_ttl_ms(s),
		.log_ttl_ms = session_ttl_ms(s) + LOG_EXTRA_TTL_MS,
	};
}

uint64_t
session_wait_ms(const struct session *s)
{
	const struct session_options *o = &s->all->options;

	return s->used || o->window_ms < o->unused_ttl_ms ? o->window_ms :
							    o->unused_ttl_ms;
}

void
session_detach(struct session *s, uint64_t epoch, bool planned)
{
	const struct session_options *o = &s->all->options;
	uint64_t ttl = session_wait_ms(s);
	struct session_detach d = {
		.sid = session_sid(s),
		.epoch = epoch,
		.now_ms = clock_wall_ms(),
		.ttl_ms = ttl,
		.log_ttl_ms = ttl + LOG_EXTRA_TTL_MS,
		.planned = planned,
		.last = s->last,
	};

	sessions_count_one(s->all, STAT_SESSIONS_DETACHED);
	(void)!session_detach_send(o->commands, &d, NULL, NULL);
	session_leads_list(s, ttl);
}

/*
 * The endpoint names the stream's epoch from the second one on: what is posted
 * there belongs to this stream's client (see env_call_stamp()).
 */
void
session_claim_go_live(struct session *s)
{
	char path[ENDPOINT_MAX], query[ENDPOINT_MAX];

	session_claim_free(s);
	s->refreshed_ms = clock_mono_ms();
	session_leads_list(s, session_ttl_ms(s));
	snprintf(path, sizeof(path), "%s%s/messages/", s->api[0] ? "/" : "",
	    s->api);
	snprintf(query, sizeof(query), s->epoch > 1 ? "%s&attach=%llu" : "%s",
	    s->sid, (unsigned long long)s->epoch);
	session_set_state(s, SESSION_LIVE);
	sse_endpoint(s->stream, path, query, s->all->options.retry_ms);
}

static void
on_claimed(struct redis *r, const redisReply *reply, void *arg)
{
	struct session *s = arg;

	(void)r;
	s->claim_sent = false;
	if (reply == NULL || redis_is_put_off(reply)) {
		/* A tick claims again, or writes the records again. */
		s->generation = s->all->generation - 1;
		s->all->rebuilding = true;
	} else if (s->state == SESSION_ENDED) {
		if (reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
			session_detach(s, (uint64_t)reply->integer, false);
	} else if (reply->type != REDIS_REPLY_INTEGER) {
		log_error("session not claimed",
		    LF_S("session", log_session_id(s->sid)),
		    LF("error", reply->str));
		session_end(s, "claim_failed", END_LOST);
	} else if (reply->integer <= 0) {
		session_yield(s);
	} else {
		s->epoch = (uint64_t)reply->integer;
		s->proven_ms = s->claimed_ms;
		if (s->state == SESSION_CLAIMING) {
			session_claim_go_live(s);
			session_book_opened(s);
		}
		session_book_mark(s);
	}
	session_unref(s);
}

void
session_claim_again(struct session *s)
{
	struct claim_texts texts;
	struct session_claim c = session_claim_record(s, &texts);

	if (s->claim_sent || !session_claim_send(s->all->options.commands, &c,
		on_claimed, s))
		return;
	s->claim_sent = true;
	s->claimed_ms = clock_mono_ms();
	s->generation = s->all->generation;
	s->refs++;
	if (s->epoch > 0) {
		session_leads_refresh(s);
		session_watch(s);
	}
}

/* Finding ----------------------------------------------------------------------- */

static void
on_key(struct redis *r, const redisReply *reply, void *arg)
{
	struct session *s = arg;
	struct slice sid = redis_slice(reply);

	(void)r;
	s->claim_sent = false;
	if (s->state != SESSION_ENDED && reply != NULL &&
	    !redis_is_put_off(reply)) {
		s->claim->key_asked = true;
		if (sid.n == SID_LEN)
			memcpy(s->claim->found, sid.p, SID_LEN);
		session_claim_next(s);
	}
	session_unref(s);
}

/* Takes the key for this stream's new session, unless it has one already. */
static bool
ask_key(struct session *s)
{
	const struct session_options *o = &s->all->options;
	struct env_keybuf keybuf;
	char digits[20];
	struct slice argv[] = { SLICE("SET"), session_leads_key(s, &keybuf),
		session_sid(s), SLICE("NX"), SLICE("GET"), SLICE("PX"),
		u64_slice(digits, o->ttl_ms) };

	return redis_send(o->commands, argv, ARRAY_LEN(argv), on_key, s);
}

/* If Redis is away: sessions_on_ready() takes the same step again. */
static void
send_step(struct session *s, bool (*send)(struct session *s))
{
	if (!send(s))
		return;
	s->claim_sent = true;
	s->refs++;
}

void
session_claim_next(struct session *s)
{
	struct claim *c = s->claim;

	if (c->named[0] != '\0' && c->found[0] == '\0')
		memcpy(c->found, c->named, sizeof(c->found));
	if (c->found[0] != '\0') {
		send_step(s, session_reattach_look_up);
	} else if (s->client[0] != '\0' && !c->key_asked) {
		send_step(s, ask_key);
	} else if (s->seek != NULL && !c->sought) {
		session_seek_look(s);
	} else {
		session_claim_again(s);
	}
}

void
session_claim_let_live(struct session *s)
{
	if (s->state == SESSION_LIVE && s->claim != NULL && !s->claim_sent)
		session_claim_free(s);
}

void
session_claim_sought(struct session *s, const char *sid)
{
	struct claim *c = s->claim;

	s->claim_sent = false;
	c->sought = true;
	c->by_looks = sid != NULL;
	if (sid != NULL)
		memcpy(c->found, sid, SID_LEN);
	session_claim_next(s);
}

void
session_claim_adopt(struct session *s, const char *sid)
{
	s->claim = xcalloc(1, sizeof(*s->claim));
	s->claim->by_looks = true;
	memcpy(s->claim->found, sid, SID_LEN);
	session_claim_next(s);
	session_claim_let_live(s);
}

void
session_claim_go_on(struct session *s)
{
	struct sessions *all = s->all;

	if (s->claim_sent || all->claims_left == 0 ||
	    !redis_is_ready(all->options.commands) ||
	    redis_is_refusing(all->options.commands))
		return;
	all->claims_left--;
	session_claim_next(s);
}

/* Digests keep what a client chose out of keys, and keys short. */
void
session_client_digest(char out[static IDENT_HEX_LEN + 1], struct slice api,
    struct slice client_key)
{
	char hex[SHA256_HEX_LEN + 1];
	struct strbuf all = STRBUF_INIT(4096);

	strbuf_add_slice(&all, api);
	strbuf_add_char(&all, '\n');
	strbuf_add_slice(&all, client_key);
	ident_sha256_hex(hex, strbuf_slice(&all));
	strbuf_release(&all);
	memcpy(out, hex, IDENT_HEX_LEN);
	out[IDENT_HEX_LEN] = '\0';
}

void
session_claim_begin(struct session *s, const struct session_request *want)
{
	s->claim = xcalloc(1, sizeof(*s->claim));
	s->claim->reconnected = want->protocol.n > 0;
	if (want->named.n == SID_LEN)
		memcpy(s->claim->named, want->named.p, SID_LEN);
	if (want->client_key.n > 0)
		session_client_digest(s->client, want->api, want->client_key);
	session_seek_begin(s, want);
	session_claim_go_on(s);
}

void
session_claim_free(struct session *s)
{
	free(s->claim);
	s->claim = NULL;
}
