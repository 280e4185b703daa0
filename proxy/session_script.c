#include "proxy/session_script.h"

#include <errno.h>

#include "common/strbuf.h"
#include "proxy/session_keys.h"

/*
 * A pod may die before it has found in the inbox of the one before what that one
 * owed: so the names of former owners are kept until their inboxes are swept.
 */
#define FORMER_MS "60000"
#define FORMER_BYTES "640"

/* Claiming ------------------------------------------------------------------ */

/*
 * The marker entry <epoch>-0 raises the log's last id, so that from here on
 * Redis refuses the XADD <older epoch>-* of an owner that lost the session.
 */
static const struct redis_script claim_script = {
	"session_claim",
	"local epoch = tonumber(redis.call('HGET', KEYS[2], 'epoch') or 0)\n"
	"local known = tonumber(ARGV[4])\n"
	"if known > 0 and epoch > known then return 0 end\n"
	"if known > 0 then epoch = known else epoch = epoch + 1 end\n"
	"local fresh = redis.call('HGET', KEYS[2], 'fresh') or ARGV[8]\n"
	"redis.call('HSET', KEYS[1], 'api', ARGV[2], 'transport', 'sse',\n"
	"    'seen_ms', ARGV[5], 'state', 'live',\n"
	"    'user', ARGV[9], 'user_kind', ARGV[10])\n"
	"redis.call('HSETNX', KEYS[1], 'protocol', ARGV[3])\n"
	"if ARGV[11] ~= '' then\n"
	"  redis.call('HSET', KEYS[1], 'can', ARGV[11],\n"
	"      'log_level', ARGV[12], 'subscribed', ARGV[13])\n"
	"end\n"
	"redis.call('HSETNX', KEYS[1], 'created_ms', ARGV[5])\n"
	"redis.call('HSET', KEYS[2], 'pod', ARGV[1], 'epoch', epoch,\n"
	"    'fresh', fresh, 'since_ms', ARGV[5])\n"
	"redis.pcall('XADD', KEYS[3], epoch .. '-0', 'owner', ARGV[1])\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[6])\n"
	"redis.call('PEXPIRE', KEYS[2], ARGV[6])\n"
	"redis.call('PEXPIRE', KEYS[3], ARGV[7])\n"
	"return epoch\n"
};

bool
session_claim_send(struct redis *r, const struct session_claim *c,
    redis_cb *cb, void *arg)
{
	struct session_keys k;
	char n[5][20];

	session_keys(&k, c->sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2], c->pod, c->api,
		c->protocol, u64_slice(n[0], c->known_epoch),
		u64_slice(n[1], c->now_ms), u64_slice(n[2], c->ttl_ms),
		u64_slice(n[3], c->log_ttl_ms), u64_slice(n[4], c->fresh),
		c->user, c->user_kind, c->can, c->level, c->subscribed };
	return redis_eval(r, &claim_script, args, ARRAY_LEN(args),
	    SESSION_KEYS, cb, arg);
}

/*
 * Recoveries are counted in windows that begin with the first of them: a client
 * that breaks its stream over and over gets a new session each time from then
 * on. Streams that the server itself ended do not count.
 */
static const struct redis_script reattach_script = {
	"session_reattach",
	"local s = redis.call('HMGET', KEYS[1], 'api', 'user', 'state',\n"
	"    'detached_ms', 'planned', 'protocol', 'recoveries', 'recovery_ms',\n"
	"    'can', 'log_level', 'subscribed')\n"
	"local t = redis.call('HMGET', KEYS[2], 'epoch', 'pod', 'fresh',\n"
	"    'given_up', 'former', 'former_ms')\n"
	"if t[1] and t[1] ~= ARGV[10] then return 1 end\n"
	"local now, window = tonumber(ARGV[4]), tonumber(ARGV[8])\n"
	"if not s[1] or not t[1] or not t[2] then return 0 end\n"
	"if s[1] ~= ARGV[2] or (s[2] or '') ~= ARGV[7] then return 0 end\n"
	"local detached = s[3] == 'detached'\n"
	"if detached and now - tonumber(s[4] or 0) > window then return 0 end\n"
	"local count, since = tonumber(s[7] or 0), tonumber(s[8] or 0)\n"
	"if now - since > window then count = 0 since = now end\n"
	"if not (detached and s[5] == '1') then\n"
	"  if count >= tonumber(ARGV[9]) then return 0 end\n"
	"  count = count + 1\n"
	"end\n"
	"local former = t[5] or ''\n"
	"if now - tonumber(t[6] or 0) > " FORMER_MS " then former = '' end\n"
	"if #former > " FORMER_BYTES " then former = '' end\n"
	"former = former .. t[2] .. ' '\n"
	"redis.call('HSET', KEYS[2], 'former', former, 'former_ms', now)\n"
	"local epoch, fresh = tonumber(t[1]) + 1, t[3] or '0'\n"
	"redis.call('HSET', KEYS[1], 'state', 'live', 'seen_ms', ARGV[4],\n"
	"    'recoveries', count, 'recovery_ms', since)\n"
	"redis.call('HDEL', KEYS[1], 'detached_ms', 'planned')\n"
	"redis.call('HSET', KEYS[2], 'pod', ARGV[1], 'epoch', epoch,\n"
	"    'since_ms', ARGV[4], 'owed_bytes', 0)\n"
	"redis.call('XADD', KEYS[3], epoch .. '-0', 'owner', ARGV[1])\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[5])\n"
	"redis.call('PEXPIRE', KEYS[2], ARGV[5])\n"
	"redis.call('PEXPIRE', KEYS[3], ARGV[6])\n"
	"return { epoch, tonumber(fresh), t[2], detached and 1 or 0,\n"
	"    s[6] or '', t[4] or '', former, s[9] or '', s[10] or '',\n"
	"    s[11] or '' }\n"
};

bool
session_reattach_send(struct redis *r, const struct session_reattach *want,
    redis_cb *cb, void *arg)
{
	const struct session_claim *c = &want->claim;
	struct session_keys k;
	char n[6][20];

	session_keys(&k, c->sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2], c->pod, c->api,
		c->protocol, u64_slice(n[0], c->now_ms), u64_slice(n[1], c->ttl_ms),
		u64_slice(n[2], c->log_ttl_ms), c->user,
		u64_slice(n[3], want->window_ms),
		u64_slice(n[4], want->recoveries_max),
		u64_slice(n[5], want->expected_epoch) };
	return redis_eval(r, &reattach_script, args, ARRAY_LEN(args),
	    SESSION_KEYS, cb, arg);
}

int
session_reattach_read(const redisReply *reply, struct session_reattached *out)
{
	redisReply **e;

	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
		return reply->integer == 0 ? -ENOENT : -EAGAIN;
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY ||
	    reply->elements != 10)
		return -EIO;
	e = reply->element;
	if (e[0]->type != REDIS_REPLY_INTEGER ||
	    e[1]->type != REDIS_REPLY_INTEGER ||
	    e[3]->type != REDIS_REPLY_INTEGER)
		return -EIO;
	*out = (struct session_reattached){
		.epoch = (uint64_t)e[0]->integer,
		.fresh = (uint64_t)e[1]->integer,
		.pod = redis_slice(e[2]),
		.detached = e[3]->integer == 1,
		.protocol = redis_slice(e[4]),
		.given_up = redis_slice(e[5]),
		.former = redis_slice(e[6]),
		.can = redis_slice(e[7]),
		.level = redis_slice(e[8]),
		.subscribed = redis_slice(e[9]),
	};
	return 0;
}

/* Letting go ---------------------------------------------------------------- */

static const struct redis_script detach_script = {
	"session_detach",
	"if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[1] then return 0 end\n"
	"redis.call('HSET', KEYS[1], 'state', 'detached',\n"
	"    'detached_ms', ARGV[2], 'planned', ARGV[5])\n"
	"if ARGV[6] ~= '0' then\n"
	"  redis.call('HSET', KEYS[2], 'last', ARGV[6])\n"
	"end\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
	"redis.call('PEXPIRE', KEYS[2], ARGV[3])\n"
	"redis.call('PEXPIRE', KEYS[3], ARGV[4])\n"
	"return 1\n"
};

bool
session_detach_send(struct redis *r, const struct session_detach *d,
    redis_cb *cb, void *arg)
{
	struct session_keys k;
	char n[5][20];

	session_keys(&k, d->sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2],
		u64_slice(n[0], d->epoch), u64_slice(n[1], d->now_ms),
		u64_slice(n[2], d->ttl_ms), u64_slice(n[3], d->log_ttl_ms),
		d->planned ? SLICE("1") : SLICE("0"),
		u64_slice(n[4], d->last) };
	return redis_eval(r, &detach_script, args, ARRAY_LEN(args),
	    SESSION_KEYS, cb, arg);
}

static const struct redis_script release_script = {
	"session_release",
	"if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[1] then return 0 end\n"
	"return redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])\n"
};

void
session_release_send(struct redis *r, struct slice sid, uint64_t epoch)
{
	struct session_keys k;
	char n[20];

	session_keys(&k, sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2],
		u64_slice(n, epoch) };
	(void)!redis_eval(r, &release_script, args, ARRAY_LEN(args),
	    SESSION_KEYS, NULL, NULL);
}

/* Being found ----------------------------------------------------------------- */

static const struct redis_script note_last_script = {
	"session_note_last",
	"if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end\n"
	"return redis.call('HSET', KEYS[1], 'last', ARGV[2])\n"
};

void
session_note_last_send(struct redis *r, struct slice sid, uint64_t epoch,
    uint64_t last)
{
	struct env_keybuf keybuf;
	char n[2][20];
	struct slice args[] = { env_key(&keybuf, ENV_TRANSPORT, sid),
		u64_slice(n[0], epoch), u64_slice(n[1], last) };

	(void)!redis_eval(r, &note_last_script, args, ARRAY_LEN(args), 1, NULL,
	    NULL);
}

/* Whole records, so that it can be written anew after Redis lost its data. */
static const struct redis_script alias_script = {
	"session_alias",
	"redis.call('HSET', KEYS[1], 'api', ARGV[4], 'user', ARGV[5],\n"
	"    'state', 'alias', 'alias', ARGV[1], 'alias_epoch', ARGV[2])\n"
	"redis.call('HSET', KEYS[2], 'pod', ARGV[3], 'epoch', '1',\n"
	"    'since_ms', ARGV[6])\n"
	"redis.call('DEL', KEYS[3])\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[7])\n"
	"return redis.call('PEXPIRE', KEYS[2], ARGV[7])\n"
};

void
session_alias_send(struct redis *r, const struct session_alias *a)
{
	struct session_keys k;
	char n[3][20];

	session_keys(&k, a->sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2], a->target,
		u64_slice(n[0], a->epoch), a->pod, a->api, a->user,
		u64_slice(n[1], a->now_ms), u64_slice(n[2], a->ttl_ms) };
	(void)!redis_eval(r, &alias_script, args, ARRAY_LEN(args),
	    SESSION_KEYS, NULL, NULL);
}

/* Refreshing ------------------------------------------------------------------ */

static const struct redis_script refresh_script = {
	"session_refresh",
	"if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end\n"
	"redis.call('HSET', KEYS[1], 'seen_ms', ARGV[3])\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
	"redis.call('PEXPIRE', KEYS[2], ARGV[1])\n"
	"return redis.call('PEXPIRE', KEYS[3], ARGV[2])\n"
};

bool
session_refresh_send(struct redis *r, struct slice sid, uint64_t ttl_ms,
    uint64_t log_ttl_ms, uint64_t now_ms)
{
	struct session_keys k;
	char n[3][20];

	session_keys(&k, sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2],
		u64_slice(n[0], ttl_ms), u64_slice(n[1], log_ttl_ms),
		u64_slice(n[2], now_ms) };
	return redis_eval(r, &refresh_script, args, ARRAY_LEN(args),
	    SESSION_KEYS, NULL, NULL);
}

/* Proof of ownership ---------------------------------------------------------- */

bool
session_proof_send(struct redis *r, struct slice sid, redis_cb *cb, void *arg)
{
	struct env_keybuf keybuf;
	struct slice argv[] = { SLICE("HMGET"),
		env_key(&keybuf, ENV_TRANSPORT, sid), SLICE("epoch"),
		SLICE("fresh") };

	return redis_send(r, argv, ARRAY_LEN(argv), cb, arg);
}

bool
session_proof_read(const redisReply *reply, uint64_t epoch, uint64_t *fresh)
{
	uint64_t found;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
		return false;
	if (reply->element[0]->type == REDIS_REPLY_NIL)
		return true;
	if (!env_number(redis_slice(reply->element[0]), &found) ||
	    found != epoch)
		return false;
	if (env_number(redis_slice(reply->element[1]), &found))
		*fresh = found;
	return true;
}
