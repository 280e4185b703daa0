#include "proxy/watch.h"

#include "common/envelope.h"

/* URIs of one command. */
#define AT_ONCE 64

/* Key: the set. Arguments: how long (ms), then URIs. Redis's clock, for all. */
static const struct redis_script watch_script = {
	"resources_watch",
	"local t = redis.call('TIME')\n"
	"local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
	"local life = tonumber(ARGV[1])\n"
	"redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)\n"
	"local room = " ENV_WATCHED_MAX " - redis.call('ZCARD', KEYS[1])\n"
	"for i = 2, #ARGV do\n"
	"  local known = redis.call('ZSCORE', KEYS[1], ARGV[i])\n"
	"  if not known then room = room - 1 end\n"
	"  if known or room >= 0 then\n"
	"    redis.call('ZADD', KEYS[1], 'GT', now + life, ARGV[i])\n"
	"  end\n"
	"end\n"
	"if redis.call('PTTL', KEYS[1]) < life then\n"
	"  redis.call('PEXPIRE', KEYS[1], life)\n"
	"end\n"
	"return 0\n"
};

void
watch_resources(struct redis *commands, struct slice api,
    const struct slice *uris, size_t n, uint64_t life_ms)
{
	struct slice args[2 + AT_ONCE];
	struct env_keybuf key;
	char life[20];

	args[0] = env_key(&key, ENV_WATCHED, api);
	args[1] = u64_slice(life, life_ms);
	while (n > 0) {
		size_t some = n < AT_ONCE ? n : AT_ONCE;

		memcpy(args + 2, uris, some * sizeof(*uris));
		if (!redis_eval(commands, &watch_script, args, 2 + some, 1,
		    NULL, NULL))
			return;
		uris += some;
		n -= some;
	}
}
