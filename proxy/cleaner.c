#include "proxy/cleaner.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/ident.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "proxy/lock.h"
#include "proxy/user_index.h"

/* The lock outlives two renewals; by then its holder does nothing any more. */
#define LOCK_TTL_MS 15000
#define LOCK_EVERY_MS 5000
#define LOOK_MS 1000
#define CONSUMERS_MS 60000
/* Users looked after at once, and members of an index looked at in one step. */
#define VISITS_MAX 32
#define STEP_MEMBERS 100

/* A user whose index is being looked through, from one rank to the next. */
struct visit {
	struct cleaner *cleaner;
	uint64_t rank;
	char user[SHA256_HEX_LEN + 1];
};

struct cleaner {
	struct cleaner_options options;
	uint64_t asked_ms;        /* when the lock was last asked for */
	uint64_t locked_ms;       /* when that was asked for which we got; 0: not */
	uint64_t looked_ms;
	uint64_t consumers_ms;
	unsigned visits;
	bool locking;
	bool looking;
};

/* Users --------------------------------------------------------------------- */

static struct slice
index_key(const struct visit *v, struct env_keybuf *buf)
{
	return env_key(buf, ENV_USER_INDEX, slice_str(v->user));
}

static void
end_visit(struct visit *v)
{
	v->cleaner->visits--;
	free(v);
}

/* Seen to the end: due again later, or not at all when nothing is left. */
static void
on_rest(struct redis *r, const redisReply *reply, void *arg)
{
	struct visit *v = arg;
	bool empty = reply != NULL && reply->type == REDIS_REPLY_INTEGER &&
	    reply->integer == 0;
	char digits[20];
	struct slice later[] = { SLICE("ZADD"), SLICE(ENV_USERS_KEY),
		SLICE("XX"),
		u64_slice(digits, clock_wall_ms() + USER_INDEX_CLEAN_MS),
		slice_str(v->user) };
	struct slice gone[] = { SLICE("ZREM"), SLICE(ENV_USERS_KEY),
		slice_str(v->user) };

	/* A session that comes in between lists its user with its next record. */
	if (empty)
		(void)!redis_send(r, gone, ARRAY_LEN(gone), NULL, NULL);
	else if (reply != NULL)
		(void)!redis_send(r, later, ARRAY_LEN(later), NULL, NULL);
	end_visit(v);
}

static void
finish_visit(struct visit *v)
{
	struct env_keybuf keybuf;
	struct slice zcard[] = { SLICE("ZCARD"), index_key(v, &keybuf) };

	if (!redis_send(v->cleaner->options.commands, zcard, ARRAY_LEN(zcard),
		on_rest, v))
		end_visit(v);
}

/* KEYS: the index, then its members' records. ARGV: the members. */
static const struct redis_script prune_script = {
	"user_index_prune",
	"local n = 0\n"
	"for i, sid in ipairs(ARGV) do\n"
	"  if redis.call('EXISTS', KEYS[i + 1]) == 0 then\n"
	"    n = n + redis.call('ZREM', KEYS[1], sid)\n"
	"  end\n"
	"end\n"
	"return n\n"
};

static void step(struct visit *v);

static void
on_pruned(struct redis *r, const redisReply *reply, void *arg)
{
	struct visit *v = arg;

	(void)r;
	if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
		end_visit(v);
		return;
	}
	stat_add(v->cleaner->options.stats, STAT_CLEANED_SESSIONS,
	    reply->integer);
	v->rank += STEP_MEMBERS - (uint64_t)reply->integer;
	step(v);
}

static bool
prune(struct visit *v, const redisReply *members)
{
	size_t n = members->elements;
	struct env_keybuf *keys = xcalloc(1 + n, sizeof(*keys));
	struct slice *args = xcalloc(1 + 2 * n, sizeof(*args));
	bool sent;

	args[0] = index_key(v, &keys[0]);
	for (size_t i = 0; i < n; i++) {
		struct slice sid = redis_slice(members->element[i]);

		args[1 + i] = env_user_session_key(&keys[1 + i],
		    slice_str(v->user), sid);
		args[1 + n + i] = sid;
	}
	sent = redis_eval(v->cleaner->options.commands, &prune_script, args,
	    1 + 2 * n, 1 + n, on_pruned, v);
	free(args);
	free(keys);
	return sent;
}

static void
on_members(struct redis *r, const redisReply *reply, void *arg)
{
	struct visit *v = arg;
	bool came = reply != NULL && reply->type == REDIS_REPLY_ARRAY;

	(void)r;
	if (came && reply->elements == 0)
		finish_visit(v);
	else if (!came || !prune(v, reply))
		end_visit(v);
}

static void
step(struct visit *v)
{
	struct env_keybuf keybuf;
	char from[20], to[20];
	struct slice zrange[] = { SLICE("ZRANGE"), index_key(v, &keybuf),
		u64_slice(from, v->rank),
		u64_slice(to, v->rank + STEP_MEMBERS - 1) };

	if (!redis_send(v->cleaner->options.commands, zrange,
		ARRAY_LEN(zrange), on_members, v))
		end_visit(v);
}

static void
on_users(struct redis *r, const redisReply *reply, void *arg)
{
	struct cleaner *c = arg;

	(void)r;
	c->looking = false;
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
		return;
	for (size_t i = 0; i < reply->elements; i++) {
		struct slice user = redis_slice(reply->element[i]);
		struct visit *v;

		if (user.n != SHA256_HEX_LEN)
			continue;
		v = xcalloc(1, sizeof(*v));
		v->cleaner = c;
		memcpy(v->user, user.p, user.n);
		c->visits++;
		step(v);
	}
}

static void
look_for_users(struct cleaner *c)
{
	char now[20], most[20];
	struct slice due[] = { SLICE("ZRANGEBYSCORE"), SLICE(ENV_USERS_KEY),
		SLICE("-inf"), u64_slice(now, clock_wall_ms()),
		SLICE("LIMIT"), SLICE("0"),
		u64_slice(most, VISITS_MAX) };

	if (c->looking || c->visits > 0)
		return;
	c->looking = redis_send(c->options.commands, due, ARRAY_LEN(due),
	    on_users, c);
}

/* Consumers ------------------------------------------------------------------ */

/*
 * KEYS: requests, workers. ARGV: group, idle (ms), now (ms). Of a worker that has
 * a heartbeat the consumer stays, and of one with entries pending: deleting a
 * consumer deletes these.
 */
static const struct redis_script consumers_script = {
	"consumers_clean",
	"local found = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])\n"
	"if found.err then return 0 end\n"
	"local n = 0\n"
	"for _, flat in ipairs(found) do\n"
	"  local f = {}\n"
	"  for i = 1, #flat, 2 do f[flat[i]] = flat[i + 1] end\n"
	"  local until_ms = redis.call('ZSCORE', KEYS[2], f['name'])\n"
	"  local alive = until_ms and\n"
	"      tonumber(until_ms) > tonumber(ARGV[3])\n"
	"  if not alive and f['pending'] == 0 and\n"
	"      f['idle'] >= tonumber(ARGV[2]) then\n"
	"    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], f['name'])\n"
	"    n = n + 1\n"
	"  end\n"
	"end\n"
	"return n\n"
};

static void
on_consumers(struct redis *r, const redisReply *reply, void *arg)
{
	struct cleaner *c = arg;

	(void)r;
	if (reply == NULL)
		return;
	if (reply->type == REDIS_REPLY_INTEGER)
		stat_add(c->options.stats, STAT_CLEANED_CONSUMERS,
		    reply->integer);
	else if (reply->type == REDIS_REPLY_ERROR)
		log_warn("consumers not cleaned", LF("error", reply->str));
}

static void
clean_consumers(const char *api, void *arg)
{
	struct cleaner *c = arg;
	struct env_keybuf keys[2];
	char idle[20], now[20];
	struct slice args[] = {
		env_key(&keys[0], ENV_REQUESTS, slice_str(api)),
		env_key(&keys[1], ENV_WORKERS, slice_str(api)),
		SLICE(ENV_GROUP),
		u64_slice(idle, c->options.consumer_idle_ms),
		u64_slice(now, clock_shared_ms()) };

	(void)!redis_eval(c->options.commands, &consumers_script, args,
	    ARRAY_LEN(args), 2, on_consumers, c);
}

/* Whose turn it is ------------------------------------------------------------ */

static void
on_locked(struct redis *r, const redisReply *reply, void *arg)
{
	struct cleaner *c = arg;

	(void)r;
	c->locking = false;
	c->locked_ms = lock_read(reply) ? c->asked_ms : 0;
}

static bool
is_ours(struct cleaner *c, uint64_t now)
{
	if (!c->locking && now - c->asked_ms >= LOCK_EVERY_MS) {
		c->asked_ms = now;
		c->locking = lock_send(c->options.commands,
		    SLICE(ENV_CLEANER_KEY), c->options.pod, LOCK_TTL_MS,
		    on_locked, c);
	}
	return c->locked_ms != 0 && now - c->locked_ms < LOCK_TTL_MS;
}

void
cleaner_tick(struct cleaner *c)
{
	uint64_t now = clock_mono_ms();

	if (!redis_is_ready(c->options.commands) || !is_ours(c, now))
		return;
	if (now - c->looked_ms >= LOOK_MS) {
		c->looked_ms = now;
		look_for_users(c);
	}
	if (now - c->consumers_ms >= CONSUMERS_MS) {
		c->consumers_ms = now;
		catalog_each_api(c->options.catalog, clean_consumers, c);
	}
}

struct cleaner *
cleaner_new(const struct cleaner_options *options)
{
	struct cleaner *c = xcalloc(1, sizeof(*c));

	c->options = *options;
	return c;
}

void
cleaner_free(struct cleaner *c)
{
	free(c);
}
