#include "proxy/key_store.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"

struct redis_store {
	struct key_store store;
	struct redis *commands;
};

struct question {
	struct redis_store *from;
	char id[API_KEY_ID_LEN];
};

/*
 * Only a key that exists is marked as seen: HSET alone would make one. A Redis that
 * takes no writes (full, say) does not keep anybody out.
 */
static const struct redis_script look_up_script = {
	"api_key_look_up",
	"local key = redis.call('HMGET', KEYS[1], 'sha256', 'scopes')\n"
	"if not key[1] then return {} end\n"
	"redis.pcall('HSET', KEYS[1], 'seen_ms', ARGV[1])\n"
	"return { key[1], key[2] or '' }\n"
};

static void
on_looked_up(struct redis *r, const redisReply *reply, void *arg)
{
	struct question *q = arg;
	struct key_store *store = &q->from->store;
	struct key_record record;

	(void)r;
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
		if (reply != NULL)
			log_warn("API keys cannot be read",
			    LF("error", reply->str));
		store->cb(q->id, KEY_UNAVAILABLE, NULL, store->arg);
	} else if (reply->elements != 2) {
		store->cb(q->id, KEY_NONE, NULL, store->arg);
	} else {
		record = (struct key_record){ redis_slice(reply->element[0]),
			redis_slice(reply->element[1]) };
		store->cb(q->id, KEY_FOUND, &record, store->arg);
	}
	free(q);
}

static bool
look_up(struct key_store *store, const char id[static API_KEY_ID_LEN])
{
	struct redis_store *s = (struct redis_store *)store;
	struct question *q = xcalloc(1, sizeof(*q));
	struct env_keybuf keybuf;
	char digits[20];
	struct slice args[] = {
		env_key(&keybuf, ENV_API_KEY, slice_of(id, API_KEY_ID_LEN)),
		u64_slice(digits, clock_wall_ms()),
	};

	q->from = s;
	memcpy(q->id, id, API_KEY_ID_LEN);
	if (redis_eval(s->commands, &look_up_script, args, ARRAY_LEN(args), 1,
		on_looked_up, q))
		return true;
	free(q);
	return false;
}

static void
free_store(struct key_store *store)
{
	free(store);
}

struct key_store *
key_store_redis(struct redis *commands)
{
	static const struct key_store_ops ops = { .look_up = look_up,
		.free = free_store };
	struct redis_store *s = xcalloc(1, sizeof(*s));

	s->store.ops = &ops;
	s->commands = commands;
	return &s->store;
}
