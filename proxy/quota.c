#include "proxy/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/kept_request.h"
#include "proxy/sse.h"

/* How far above its limits a client that reconnects is let in. */
#define RETURNING_STREAMS 2
#define RETURNING_SESSIONS 4
/* When one beyond that is to come back: in between one and two times this. */
#define DEFERRED_MS 10000
#define REFUSED_MS 10000
/* Counts are written anew so often, and live a little longer than twice that. */
#define REWRITE_MS (20u * 60 * 1000)
#define KEPT_MS (45u * 60 * 1000)
#define REWRITES_PER_TICK 500

struct holder {
	UT_hash_handle hh;            /* of quota->table, by user */
	TAILQ_ENTRY(holder) link;     /* of quota->by_written, longest ago first */
	uint64_t written_ms;
	unsigned streams;
	unsigned entering;            /* asked for, and perhaps let in */
	unsigned char user[SHA256_LEN];
};

struct quota {
	struct quota_options options;
	struct holder *table;
	TAILQ_HEAD(, holder) by_written;
	unsigned streams_max;
	unsigned sessions_max;
	bool stopping;
};

/* A GET that waits for Redis's answer. */
struct visit {
	struct quota *quota;
	struct kept_request *request;
	struct principal who;         /* with a reference to its scopes */
	quota_admitted_cb *cb;
	void *arg;
	unsigned place;               /* among this user's streams here */
	bool returns;
};

struct user_keys {
	char hash[SHA256_HEX_LEN + 1];
	struct env_keybuf buf[3];
	struct slice streams, waiting, client;
};

static void
spell_keys(struct user_keys *k, const unsigned char *user, struct slice digest)
{
	struct slice hash;

	hex_encode(k->hash, user, SHA256_LEN);
	hash = slice_of(k->hash, SHA256_HEX_LEN);
	k->streams = env_key(&k->buf[0], ENV_USER_STREAMS, hash);
	k->waiting = env_key(&k->buf[1], ENV_USER_WAITING, hash);
	k->client = env_client_key(&k->buf[2], hash, digest);
}

static bool
is_on(const struct quota *q)
{
	return q != NULL && (q->streams_max > 0 || q->sessions_max > 0);
}

/* Counting here --------------------------------------------------------------- */

static struct holder *
find(struct quota *q, const unsigned char *user)
{
	struct holder *h = NULL;

	HASH_FIND(hh, q->table, user, SHA256_LEN, h);
	return h;
}

static struct holder *
find_or_add(struct quota *q, const unsigned char *user)
{
	struct holder *h = find(q, user);

	if (h != NULL)
		return h;
	h = xcalloc(1, sizeof(*h));
	memcpy(h->user, user, SHA256_LEN);
	HASH_ADD(hh, q->table, user, SHA256_LEN, h);
	TAILQ_INSERT_TAIL(&q->by_written, h, link);
	return h;
}

static void
drop(struct quota *q, struct holder *h)
{
	HASH_DEL(q->table, h);
	TAILQ_REMOVE(&q->by_written, h, link);
	free(h);
}

static void
note_written(struct quota *q, struct holder *h)
{
	h->written_ms = clock_mono_ms();
	TAILQ_REMOVE(&q->by_written, h, link);
	TAILQ_INSERT_TAIL(&q->by_written, h, link);
}

/* "<count> <when>": what is older than KEPT_MS was left by a pod long gone. */
static struct slice
count_text(char buf[static 48], unsigned count)
{
	int n = snprintf(buf, 48, "%u %llu", count,
	    (unsigned long long)clock_wall_ms());

	return slice_of(buf, (size_t)n);
}

static void
write_count(struct quota *q, struct holder *h)
{
	const struct quota_options *o = &q->options;
	struct user_keys k;
	char text[48], ttl[20];

	spell_keys(&k, h->user, SLICE(""));
	struct slice hset[] = { SLICE("HSET"), k.streams, o->pod,
		count_text(text, h->streams + h->entering) };
	struct slice hdel[] = { SLICE("HDEL"), k.streams, o->pod };
	struct slice expire[] = { SLICE("PEXPIRE"), k.streams,
		u64_slice(ttl, KEPT_MS) };

	if (h->streams + h->entering == 0) {
		(void)!redis_send(o->commands, hdel, ARRAY_LEN(hdel), NULL, NULL);
		drop(q, h);
		return;
	}
	if (redis_send(o->commands, hset, ARRAY_LEN(hset), NULL, NULL))
		(void)!redis_send(o->commands, expire, ARRAY_LEN(expire), NULL,
		    NULL);
	note_written(q, h);
}

void
quota_opened(struct quota *q, const unsigned char *user)
{
	if (is_on(q))
		find_or_add(q, user)->streams++;
}

void
quota_closed(struct quota *q, const unsigned char *user, struct slice sid,
    uint64_t wait_ms)
{
	struct user_keys k;
	char score[20], ttl[20];
	struct holder *h;

	if (!is_on(q))
		return;
	h = find(q, user);
	if (h != NULL && h->streams > 0) {
		h->streams--;
		write_count(q, h);
	}
	if (q->sessions_max == 0 || wait_ms == 0)
		return;
	spell_keys(&k, user, SLICE(""));
	struct slice zadd[] = { SLICE("ZADD"), k.waiting,
		u64_slice(score, clock_wall_ms() + wait_ms),
		sid };
	struct slice expire[] = { SLICE("PEXPIRE"), k.waiting,
		u64_slice(ttl, wait_ms + KEPT_MS) };

	if (redis_send(q->options.commands, zadd, ARRAY_LEN(zadd), NULL, NULL))
		(void)!redis_send(q->options.commands, expire,
		    ARRAY_LEN(expire), NULL, NULL);
}

void
quota_resumed(struct quota *q, const unsigned char *user, struct slice sid)
{
	struct user_keys k;

	if (!is_on(q) || q->sessions_max == 0)
		return;
	spell_keys(&k, user, SLICE(""));
	struct slice zrem[] = { SLICE("ZREM"), k.waiting, sid };
	(void)!redis_send(q->options.commands, zrem, ARRAY_LEN(zrem), NULL, NULL);
}

void
quota_rebuild(struct quota *q)
{
	struct holder *h;

	TAILQ_FOREACH(h, &q->by_written, link)
		h->written_ms = 0;
}

void
quota_tick(struct quota *q)
{
	uint64_t now = clock_mono_ms();
	struct holder *h;

	for (unsigned i = 0; i < REWRITES_PER_TICK &&
	     redis_is_ready(q->options.commands); i++) {
		h = TAILQ_FIRST(&q->by_written);
		if (h == NULL || (h->written_ms != 0 &&
		    now - h->written_ms < REWRITE_MS))
			return;
		write_count(q, h);
	}
}

/* Letting in -------------------------------------------------------------------- */

/*
 * Takes a place, and tells who has the others: counts by pod, the number of
 * sessions that wait, and whether the client's key leads to a session.
 */
static const struct redis_script enter_script = {
	"quota_enter",
	"redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
	"redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[4])\n"
	"return { redis.call('ZCARD', KEYS[2]), redis.call('EXISTS', KEYS[3]),\n"
	"    redis.call('HGETALL', KEYS[1]) }\n"
};

static bool
read_count(struct slice text, uint64_t *count, uint64_t *written_ms)
{
	const char *blank = text.n > 0 ? memchr(text.p, ' ', text.n) : NULL;
	size_t n = blank != NULL ? (size_t)(blank - text.p) : 0;

	return blank != NULL && env_number(slice_of(text.p, n), count) &&
	    env_number(slice_of(blank + 1, text.n - n - 1), written_ms);
}

/* Of a pod that fell silent, streams are open no more, or not for long. */
static bool
is_there(const struct quota *q, struct slice pod, uint64_t written_ms)
{
	struct fleet *fleet = q->options.fleet;
	const struct fleet_pod *known = fleet_find(fleet, pod);

	if (known != NULL)
		return !known->left && fleet_silent_ms(known) < FLEET_SILENT_MS;
	/* Perhaps too new for this loop to know it. */
	return clock_wall_ms() < written_ms + ENV_HEARTBEAT_TTL_MS;
}

static void
forget_pod(struct quota *q, const unsigned char *user, struct slice pod)
{
	struct user_keys k;

	spell_keys(&k, user, SLICE(""));
	struct slice hdel[] = { SLICE("HDEL"), k.streams, pod };
	(void)!redis_send(q->options.commands, hdel, ARRAY_LEN(hdel), NULL, NULL);
}

/* Streams that others hold. */
static uint64_t
count_elsewhere(struct quota *q, const unsigned char *user,
    const redisReply *fields)
{
	uint64_t sum = 0, count, written_ms;

	for (size_t i = 0; i + 1 < fields->elements; i += 2) {
		struct slice pod = redis_slice(fields->element[i]);

		if (slice_eq(pod, q->options.pod))
			continue;
		if (!read_count(redis_slice(fields->element[i + 1]), &count,
			&written_ms) || clock_wall_ms() > written_ms + KEPT_MS)
			forget_pod(q, user, pod);
		else if (is_there(q, pod, written_ms))
			sum += count;
	}
	return sum;
}

/* The limit that one more stream would pass, or LIMITS. */
static enum limit
limit_passed(struct quota *q, const struct visit *v, const redisReply *reply)
{
	uint64_t waiting = (uint64_t)reply->element[0]->integer;
	uint64_t streams = v->place +
	    count_elsewhere(q, v->who.user.bytes, reply->element[2]);

	if (q->streams_max > 0 && streams >
	    (uint64_t)q->streams_max * (v->returns ? RETURNING_STREAMS : 1))
		return LIMIT_USER_STREAMS;
	if (q->sessions_max > 0 && streams + waiting >
	    (uint64_t)q->sessions_max * (v->returns ? RETURNING_SESSIONS : 1))
		return LIMIT_USER_SESSIONS;
	return LIMITS;
}

static void
on_deferred(struct http_conn *c, const char *reason, void *arg)
{
	(void)c;
	(void)reason;
	(void)arg;
}

static const struct http_stream_ops deferred_ops = { .closed = on_deferred };

/* To a client that reconnects this is one more stream that broke. */
static void
defer(struct quota *q, struct http_conn *c)
{
	unsigned jitter = (unsigned)(clock_mono_us() % DEFERRED_MS);

	stat_add(q->options.stats, STAT_STREAMS_DEFERRED, 1);
	if (!sse_open(c, &deferred_ops, NULL))
		return;
	sse_retry(c, DEFERRED_MS + jitter);
	http_stream_end(c, "deferred");
}

static void
turn_away(struct quota *q, const struct visit *v, enum limit which)
{
	struct http_conn *c = kept_request_conn(v->request);
	struct limit_refusal refusal = { .text = "" };

	if (v->returns) {
		defer(q, c);
		return;
	}
	limits_refuse(q->options.limits, which, REFUSED_MS, &v->who.user, NULL,
	    &refusal);
	http_respond_status(c, 429, refusal.headers, refusal.text);
}

static void
let_in(struct quota *q, struct visit *v)
{
	struct http_head head;
	struct http_request req;

	if (kept_request_read(v->request, &q->options.heads, &head, &req))
		v->cb(kept_request_conn(v->request), &req, &v->who,
		    kept_request_api(v->request), v->arg);
}

static void
free_visit(struct visit *v)
{
	kept_request_free(v->request);
	scopes_unref(v->who.scopes);
	free(v);
}

/*
 * The place was taken in Redis when this was asked; one that is not used after
 * all is given back.
 */
static void
on_entered(struct redis *r, const redisReply *reply, void *arg)
{
	struct visit *v = arg;
	struct quota *q = v->quota;
	struct holder *h = find(q, v->who.user.bytes);
	unsigned before = h->streams;
	enum limit passed = LIMITS;

	(void)r;
	if (reply != NULL && reply->type == REDIS_REPLY_ARRAY) {
		v->returns = v->returns || reply->element[1]->integer != 0;
		passed = limit_passed(q, v, reply);
	} else if (reply != NULL) {
		log_warn("limits cannot be kept", LF("error", reply->str));
	}
	if (q->stopping)
		http_respond_status(kept_request_conn(v->request), 503,
		    "Retry-After: 1\r\n", "the server is stopping");
	else if (passed == LIMITS)
		let_in(q, v);
	else
		turn_away(q, v, passed);
	h->entering--;
	if (h->streams == before)
		write_count(q, h);
	free_visit(v);
}

static struct visit *
new_visit(struct quota *q, const struct quota_visit *visit,
    quota_admitted_cb *cb, void *arg)
{
	struct visit *v = xmalloc(sizeof(*v));

	*v = (struct visit){ .quota = q, .who = *visit->who, .cb = cb,
		.arg = arg, .returns = visit->returns };
	v->request = kept_request_new(visit->c, visit->req, visit->api);
	scopes_ref(v->who.scopes);
	return v;
}

static bool
ask(struct quota *q, struct visit *v, struct slice digest)
{
	const struct quota_options *o = &q->options;
	struct holder *h = find_or_add(q, v->who.user.bytes);
	struct user_keys k;
	char text[48], digits[2][20];

	spell_keys(&k, v->who.user.bytes, digest);
	h->entering++;
	v->place = h->streams + h->entering;
	struct slice args[] = { k.streams, k.waiting, k.client, o->pod,
		count_text(text, v->place),
		u64_slice(digits[0], KEPT_MS),
		u64_slice(digits[1], clock_wall_ms()) };
	if (redis_eval(o->commands, &enter_script, args, ARRAY_LEN(args), 3,
		on_entered, v)) {
		note_written(q, h);
		return true;
	}
	h->entering--;
	if (h->streams + h->entering == 0)
		drop(q, h);
	return false;
}

void
quota_admit(struct quota *q, const struct quota_visit *visit,
    quota_admitted_cb *cb, void *arg)
{
	struct visit *v;

	if (!is_on(q) || !redis_is_ready(q->options.commands)) {
		cb(visit->c, visit->req, visit->who, visit->api, arg);
		return;
	}
	v = new_visit(q, visit, cb, arg);
	if (ask(q, v, visit->client_digest))
		return;
	cb(visit->c, visit->req, visit->who, visit->api, arg);
	free_visit(v);
}

struct quota *
quota_new(const struct quota_options *options)
{
	struct quota *q = xcalloc(1, sizeof(*q));

	q->options = *options;
	q->streams_max = limits_at_most(options->limits, LIMIT_USER_STREAMS);
	q->sessions_max = limits_at_most(options->limits, LIMIT_USER_SESSIONS);
	TAILQ_INIT(&q->by_written);
	return q;
}

void
quota_stop(struct quota *q)
{
	q->stopping = true;
}

void
quota_free(struct quota *q)
{
	struct holder *h, *next;

	if (q == NULL)
		return;
	HASH_CLEAR(hh, q->table);
	for (h = TAILQ_FIRST(&q->by_written); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		free(h);
	}
	free(q);
}
