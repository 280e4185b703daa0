#include "proxy/session_client.h"

#include "common/utf8.h"
#include "proxy/session_keys.h"
#include "proxy/subscriptions.h"

/* What a client says of itself is kept up to this many bytes. */
#define CLIENT_TEXT_MAX 128

/*
 * Only on a record that exists: it must not outlive its session. Trimming the
 * log keeps its last id, and with it the fence against replaced owners.
 */
static const struct redis_script client_script = {
	"session_client",
	"if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
	"redis.call('HSET', KEYS[1], 'protocol', ARGV[2],\n"
	"    'client', ARGV[3], 'client_version', ARGV[4], 'can', ARGV[5])\n"
	"redis.call('HDEL', KEYS[1], 'log_level', 'subscribed')\n"
	"local t = redis.call('HMGET', KEYS[2], 'epoch', 'fresh')\n"
	"local of = tonumber(ARGV[1])\n"
	"if not t[1] then return 1 end\n"
	"if of > tonumber(t[1]) then of = tonumber(t[1]) end\n"
	"if of <= tonumber(t[2] or 0) then return 1 end\n"
	"redis.call('HSET', KEYS[2], 'fresh', of)\n"
	"redis.call('HDEL', KEYS[2], 'last')\n"
	"if of > 1 then redis.call('XTRIM', KEYS[3], 'MAXLEN', 0) end\n"
	"return 1\n"
};

static struct slice
cut(struct slice text)
{
	return text.n > 0 ? utf8_cut(text, CLIENT_TEXT_MAX) : SLICE("");
}

bool
session_client_send(struct redis *r, const struct session_client *client,
    redis_cb *cb, void *arg)
{
	struct session_keys k;
	char n[20];

	session_keys(&k, client->sid);
	struct slice args[] = { k.key[0], k.key[1], k.key[2],
		u64_slice(n, client->epoch), slice_str(client->protocol),
		cut(client->name), cut(client->version), client->can };
	return redis_eval(r, &client_script, args, ARRAY_LEN(args),
	    SESSION_KEYS, cb, arg);
}

static const struct redis_script level_script = {
	"session_level",
	"if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
	"redis.call('HSET', KEYS[1], 'log_level', ARGV[1])\n"
	"return 1\n"
};

bool
session_level_send(struct redis *r, struct slice sid, struct slice level,
    redis_cb *cb, void *arg)
{
	struct env_keybuf keybuf;
	struct slice args[] = { env_key(&keybuf, ENV_SESSION, sid), level };

	return redis_eval(r, &level_script, args, ARRAY_LEN(args), 1, cb, arg);
}

/* The text is that of subscriptions.h. Keys: session. Arguments: URI, 1 or 0. */
static const struct redis_script subscribe_script = {
	"session_subscribe",
	"if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
	"local s = redis.call('HGET', KEYS[1], 'subscribed') or ''\n"
	"if s == '' then s = '\\n' end\n"
	"local at = string.find(s, '\\n' .. ARGV[1] .. '\\n', 1, true)\n"
	"if (ARGV[2] == '1') == (at ~= nil) then return 1 end\n"
	"if at then\n"
	"  s = string.sub(s, 1, at) .. string.sub(s, at + #ARGV[1] + 2)\n"
	"elseif #s + #ARGV[1] + 1 > " SUBSCRIPTIONS_MAX_TEXT " then\n"
	"  return -1\n"
	"else\n"
	"  s = s .. ARGV[1] .. '\\n'\n"
	"end\n"
	"redis.call('HSET', KEYS[1], 'subscribed', s == '\\n' and '' or s)\n"
	"return 1\n"
};

bool
session_subscribe_send(struct redis *r, struct slice sid, struct slice uri,
    bool on, redis_cb *cb, void *arg)
{
	struct env_keybuf keybuf;
	struct slice args[] = { env_key(&keybuf, ENV_SESSION, sid), uri,
		on ? SLICE("1") : SLICE("0") };

	return redis_eval(r, &subscribe_script, args, ARRAY_LEN(args), 1, cb,
	    arg);
}
