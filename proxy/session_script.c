#include "proxy/session_script.h"

#include "common/envelope.h"
#include "common/strbuf.h"

#define KEYS 3

/* The digits that a decimal argument borrows. */
struct number {
	char digits[20];
};

static struct slice
decimal(struct number *n, uint64_t v)
{
	return slice_of(n->digits, u64_decimal(n->digits, v));
}

struct session_keys {
	struct env_keybuf buf[KEYS];
	struct slice key[KEYS];
};

static void
session_keys(struct session_keys *k, struct slice sid)
{
	static const enum env_key kinds[KEYS] = { ENV_SESSION, ENV_TRANSPORT,
		ENV_EVENTS };

	for (size_t i = 0; i < KEYS; i++)
		k->key[i] = env_key(&k->buf[i], kinds[i], sid);
}

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
	"redis.call('HSET', KEYS[1], 'api', ARGV[2], 'transport', 'sse',\n"
	"    'protocol', ARGV[3], 'seen_ms', ARGV[5], 'state', 'live',\n"
	"    'user', ARGV[8], 'user_kind', ARGV[9])\n"
	"redis.call('HSETNX', KEYS[1], 'created_ms', ARGV[5])\n"
	"redis.call('HSET', KEYS[2], 'pod', ARGV[1], 'epoch', epoch,\n"
	"    'since_ms', ARGV[5])\n"
	"redis.pcall('XADD', KEYS[3], epoch .. '-0', 'owner', ARGV[1])\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[6])\n"
	"redis.call('PEXPIRE', KEYS[2], ARGV[6])\n"
	"redis.call('PEXPIRE', KEYS[3], ARGV[7])\n"
	"return epoch\n"
};

static const struct redis_script refresh_script = {
	"session_refresh",
	"if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end\n"
	"redis.call('HSET', KEYS[1], 'seen_ms', ARGV[3])\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
	"redis.call('PEXPIRE', KEYS[2], ARGV[1])\n"
	"return redis.call('PEXPIRE', KEYS[3], ARGV[2])\n"
};

static const struct redis_script fetch_script = {
	"session_fetch",
	"local epoch = redis.call('HGET', KEYS[1], 'epoch')\n"
	"if epoch and epoch ~= ARGV[1] then return 0 end\n"
	"redis.call('XTRIM', KEYS[2], 'MINID', ARGV[2])\n"
	"return redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[3])\n"
};

static const struct redis_script release_script = {
	"session_release",
	"if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[1] then return 0 end\n"
	"return redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])\n"
};

bool
session_claim_send(struct redis *r, const struct session_claim *c,
    redis_cb *cb, void *arg)
{
	struct session_keys k;
	struct number n[4];

	session_keys(&k, c->sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2], c->pod, c->api,
		c->protocol, decimal(&n[0], c->known_epoch),
		decimal(&n[1], c->now_ms), decimal(&n[2], c->ttl_ms),
		decimal(&n[3], c->log_ttl_ms), c->user, c->user_kind };
	return redis_eval(r, &claim_script, args, ARRAY_LEN(args), KEYS, cb, arg);
}

bool
session_refresh_send(struct redis *r, struct slice sid, uint64_t ttl_ms,
    uint64_t log_ttl_ms, uint64_t now_ms)
{
	struct session_keys k;
	struct number n[3];

	session_keys(&k, sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2],
		decimal(&n[0], ttl_ms), decimal(&n[1], log_ttl_ms),
		decimal(&n[2], now_ms) };
	return redis_eval(r, &refresh_script, args, ARRAY_LEN(args), KEYS, NULL,
	    NULL);
}

bool
session_fetch_send(struct redis *r, struct slice sid, uint64_t epoch,
    struct slice from, uint64_t count, redis_cb *cb, void *arg)
{
	struct session_keys k;
	struct number n[2];

	session_keys(&k, sid);
	struct slice args[] = { k.key[1], k.key[2], decimal(&n[0], epoch), from,
		decimal(&n[1], count) };
	return redis_eval(r, &fetch_script, args, ARRAY_LEN(args), 2, cb, arg);
}

/* Only on a record that exists: it must not outlive its session. */
static const struct redis_script client_script = {
	"session_client",
	"if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
	"return redis.call('HSET', KEYS[1], 'protocol', ARGV[1],\n"
	"    'client', ARGV[2], 'client_version', ARGV[3])\n"
};

/* What a client says of itself is kept up to this many bytes. */
#define CLIENT_TEXT_MAX 128

static struct slice
cut(struct slice text)
{
	return slice_of(text.n > 0 ? text.p : "",
	    text.n < CLIENT_TEXT_MAX ? text.n : CLIENT_TEXT_MAX);
}

void
session_client_send(struct redis *r, struct slice sid, const char *protocol,
    struct slice name, struct slice version)
{
	struct session_keys k;

	session_keys(&k, sid);
	struct slice args[] = { k.key[0], slice_str(protocol), cut(name),
		cut(version) };
	(void)!redis_eval(r, &client_script, args, ARRAY_LEN(args), 1, NULL,
	    NULL);
}

void
session_release_send(struct redis *r, struct slice sid, uint64_t epoch)
{
	struct session_keys k;
	struct number n;

	session_keys(&k, sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2],
		decimal(&n, epoch) };
	(void)!redis_eval(r, &release_script, args, ARRAY_LEN(args), KEYS, NULL,
	    NULL);
}
