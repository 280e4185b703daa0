#include "proxy/lock.h"

/* Ours for a while, or somebody else's. Taken anew when it ran out. */
static const struct redis_script lock_script = {
	"lock",
	"local holder = redis.call('GET', KEYS[1])\n"
	"if holder and holder ~= ARGV[1] then return 0 end\n"
	"return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
};

bool
lock_send(struct redis *r, struct slice key, struct slice holder,
    uint64_t ttl_ms, redis_cb *cb, void *arg)
{
	char digits[20];
	struct slice args[] = { key, holder,
		u64_slice(digits, ttl_ms) };

	return redis_eval(r, &lock_script, args, ARRAY_LEN(args), 1, cb, arg);
}

static const struct redis_script drop_script = {
	"lock_drop",
	"if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
	"return redis.call('DEL', KEYS[1])\n"
};

void
lock_drop(struct redis *r, struct slice key, struct slice holder)
{
	struct slice args[] = { key, holder };

	(void)!redis_eval(r, &drop_script, args, ARRAY_LEN(args), 1, NULL, NULL);
}

bool
lock_read(const redisReply *reply)
{
	return reply != NULL && reply->type == REDIS_REPLY_STATUS;
}
