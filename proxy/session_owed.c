#include "proxy/session_owed.h"

#include "proxy/session_keys.h"

/* What a session without a stream may be owed: after that it has no use for more. */
#define OWED_EVENTS_MAX "1024"
#define OWED_BYTES_MAX "1048576"

/*
 * Whoever holds a message appends it; two pods may hold the same one (a frozen
 * pod, and the one that sweeps its inbox), so the log is searched first.
 */
static const struct redis_script append_script = {
	"session_append",
	"local t = redis.call('HMGET', KEYS[2], 'epoch', 'given_up',\n"
	"    'owed_bytes')\n"
	"if not t[1] then return -1 end\n"
	"if t[1] ~= ARGV[1] then return 0 end\n"
	"if ARGV[2] ~= '' and string.find(t[2] or '', ARGV[2], 1, true) then\n"
	"  return -1\n"
	"end\n"
	"for _, e in ipairs(redis.call('XRANGE', KEYS[3], '-', '+')) do\n"
	"  local f = {}\n"
	"  for i = 1, #e[2], 2 do f[e[2][i]] = e[2][i + 1] end\n"
	"  if ARGV[2] ~= '' and f['call'] == ARGV[2] and\n"
	"      f['payload'] == ARGV[4] then return 1 end\n"
	"end\n"
	"local bytes = tonumber(t[3] or 0) + #ARGV[4]\n"
	"if redis.call('XLEN', KEYS[3]) >= " OWED_EVENTS_MAX " or\n"
	"    bytes > " OWED_BYTES_MAX " then return -2 end\n"
	"redis.call('HSET', KEYS[2], 'owed_bytes', bytes)\n"
	"redis.call('XADD', KEYS[3], t[1] .. '-*', 'call', ARGV[2],\n"
	"    'session', ARGV[3], 'attempt', '2', 'payload', ARGV[4])\n"
	"if redis.call('PTTL', KEYS[3]) < redis.call('PTTL', KEYS[2]) then\n"
	"  redis.call('PEXPIRE', KEYS[3], redis.call('PTTL', KEYS[2]) + 60000)\n"
	"end\n"
	"return 1\n"
};

bool
session_append_send(struct redis *r, const struct env_message *message,
    uint64_t epoch, redis_cb *cb, void *arg)
{
	struct session_keys k;
	char n[20];

	session_keys(&k, message->session);
	struct slice args[] = { k.key[0], k.key[1], k.key[2],
		u64_slice(n, epoch), message->call, message->session,
		message->payload };
	return redis_eval(r, &append_script, args, ARRAY_LEN(args),
	    SESSION_KEYS, cb, arg);
}

enum session_append
session_append_read(const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0)
		return SESSION_APPEND_GONE;
	return reply->integer > 0 ? SESSION_APPENDED : SESSION_APPEND_MOVED;
}

static const struct redis_script give_up_script = {
	"session_give_up",
	"local t = redis.call('HMGET', KEYS[2], 'epoch', 'given_up')\n"
	"if t[1] ~= ARGV[1] then return 0 end\n"
	"redis.call('HSET', KEYS[2], 'given_up', (t[2] or '') .. ARGV[2])\n"
	"return 1\n"
};

void
session_give_up_send(struct redis *r, struct slice sid, uint64_t epoch,
    struct slice call)
{
	struct session_keys k;
	char n[20];

	session_keys(&k, sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2],
		u64_slice(n, epoch), call };
	(void)!redis_eval(r, &give_up_script, args, ARRAY_LEN(args),
	    SESSION_KEYS, NULL, NULL);
}

/* The trimming first: what was handed over is not fetched again. */
static const struct redis_script fetch_script = {
	"session_fetch",
	"local t = redis.call('HMGET', KEYS[1], 'epoch', 'fresh')\n"
	"if t[1] and t[1] ~= ARGV[1] then return 0 end\n"
	"redis.call('XTRIM', KEYS[2], 'MINID', ARGV[2])\n"
	"local out = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[3])\n"
	"table.insert(out, 1, t[2] or '')\n"
	"return out\n"
};

bool
session_fetch_send(struct redis *r, struct slice sid, uint64_t epoch,
    struct slice from, uint64_t count, redis_cb *cb, void *arg)
{
	struct session_keys k;
	char n[2][20];

	session_keys(&k, sid);
	struct slice args[] = { k.key[1], k.key[2], u64_slice(n[0], epoch), from,
		u64_slice(n[1], count) };
	return redis_eval(r, &fetch_script, args, ARRAY_LEN(args), 2, cb, arg);
}
