#include "worker/runtime/watched.h"

#include <stdlib.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"

/* SHA-1 in hex: Redis knows no other. */
#define DIGEST_LEN 40

struct watched {
	struct watched_options options;
	struct env_keybuf keybuf;
	struct slice key;
	char digest[DIGEST_LEN];     /* of what was told last */
	size_t digest_n;             /* 0: nothing was */
	bool asking;
};

/*
 * Key: the set. Argument: the digest of what is known. Returns what there is,
 * behind its digest, or nothing new.
 */
static const struct redis_script look_script = {
	"resources_watched",
	"local t = redis.call('TIME')\n"
	"local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
	"local uris = redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf',\n"
	"    'LIMIT', 0, " ENV_WATCHED_MAX ")\n"
	"table.sort(uris)\n"
	"local digest = redis.sha1hex(table.concat(uris, '\\n'))\n"
	"if digest == ARGV[1] then return false end\n"
	"table.insert(uris, 1, digest)\n"
	"return uris\n"
};

static bool
are_strings(const redisReply *reply)
{
	for (size_t i = 0; i < reply->elements; i++) {
		if (reply->element[i]->type != REDIS_REPLY_STRING)
			return false;
	}
	return reply->elements > 0 && reply->element[0]->len == DIGEST_LEN;
}

static void
tell(struct watched *w, const redisReply *reply)
{
	size_t n = reply->elements - 1;
	const char **uris = xcalloc(n + 1, sizeof(*uris));

	memcpy(w->digest, reply->element[0]->str, DIGEST_LEN);
	w->digest_n = DIGEST_LEN;
	for (size_t i = 0; i < n; i++)
		uris[i] = reply->element[i + 1]->str;
	w->options.on_change(uris, n, w->options.arg);
	free(uris);
}

static void
on_look(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct watched *w = arg;

	w->asking = false;
	if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
		log_warn("subscriptions not read", LF("error", reply->str));
	if (reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
	    are_strings(reply))
		tell(w, reply);
}

void
watched_tick(struct watched *w)
{
	const struct slice args[] = { w->key, slice_of(w->digest,
		w->digest_n) };

	if (!w->asking)
		w->asking = redis_eval(w->options.commands, &look_script, args,
		    ARRAY_LEN(args), 1, on_look, w);
}

struct watched *
watched_new(const struct watched_options *options)
{
	struct watched *w = xcalloc(1, sizeof(*w));

	w->options = *options;
	w->key = env_key(&w->keybuf, ENV_WATCHED, options->api);
	return w;
}

void
watched_free(struct watched *w)
{
	free(w);
}
