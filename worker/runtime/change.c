#include "worker/runtime/change.h"

#include "common/envelope.h"

/* Keys: the stream, the API's record. Arguments: the URI. */
static const struct redis_script change_script = {
	"resource_changed",
	"if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end\n"
	"local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', "
	ENV_CHANGES_MAX ", '*',\n"
	"    '" ENV_FIELD_URI "', ARGV[1])\n"
	"redis.call('PEXPIRE', KEYS[1], " ENV_CHANGES_TTL_MS ")\n"
	"return redis.call('HSET', KEYS[2], '" ENV_FIELD_CHANGED "', id)\n"
};

void
change_publish(struct redis *commands, struct slice api, struct slice uri)
{
	struct env_keybuf keys[2];
	const struct slice args[] = { env_key(&keys[0], ENV_CHANGES, api),
		env_key(&keys[1], ENV_API, api), uri };

	(void)!redis_eval(commands, &change_script, args, ARRAY_LEN(args), 2,
	    NULL, NULL);
}
