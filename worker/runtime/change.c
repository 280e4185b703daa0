#include "worker/runtime/change.h"

#include <stdlib.h>

#include <uthash.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"

/* URIs of one command, and of one tick. */
#define AT_ONCE 64
#define WAITING_MAX 1000

/* A resource to be told of. */
struct change {
	UT_hash_handle hh;
	char *uri;
};

struct changes {
	struct redis *commands;
	struct slice api;
	struct change *waiting;      /* uthash, by URI, in order */
	unsigned refused;            /* since the last tick */
};

/* Keys: the stream, the API's record. Arguments: URIs. */
static const struct redis_script change_script = {
	"resources_changed",
	"if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end\n"
	"local id\n"
	"for i = 1, #ARGV do\n"
	"  id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', "
	ENV_CHANGES_MAX ", '*',\n"
	"      '" ENV_FIELD_URI "', ARGV[i])\n"
	"end\n"
	"redis.call('PEXPIRE', KEYS[1], " ENV_CHANGES_TTL_MS ")\n"
	"return redis.call('HSET', KEYS[2], '" ENV_FIELD_CHANGED "', id)\n"
};

struct changes *
changes_new(struct redis *commands, struct slice api)
{
	struct changes *c = xcalloc(1, sizeof(*c));

	c->commands = commands;
	c->api = api;
	return c;
}

/* The table goes first; what is in it stays linked. */
static void
forget_all(struct changes *c)
{
	struct change *change = c->waiting, *next;

	HASH_CLEAR(hh, c->waiting);
	for (; change != NULL; change = next) {
		next = change->hh.next;
		free(change->uri);
		free(change);
	}
}

void
changes_free(struct changes *c)
{
	if (c == NULL)
		return;
	forget_all(c);
	free(c);
}

void
changes_add(struct changes *c, const char *uri)
{
	struct change *change;

	HASH_FIND_STR(c->waiting, uri, change);
	if (change != NULL)
		return;
	if (HASH_COUNT(c->waiting) >= WAITING_MAX) {
		c->refused++;
		return;
	}
	change = xcalloc(1, sizeof(*change));
	change->uri = xstrdup(uri);
	HASH_ADD_KEYPTR(hh, c->waiting, change->uri, strlen(uri), change);
}

/* From that one on, as many as one command takes; the next one. */
static const struct change *
publish_some(struct changes *c, const struct change *change)
{
	struct env_keybuf keys[2];
	struct slice args[2 + AT_ONCE] = {
		env_key(&keys[0], ENV_CHANGES, c->api),
		env_key(&keys[1], ENV_API, c->api) };
	size_t n = 2;

	for (; change != NULL && n < ARRAY_LEN(args); change = change->hh.next)
		args[n++] = slice_str(change->uri);
	(void)!redis_eval(c->commands, &change_script, args, n, 2, NULL, NULL);
	return change;
}

void
changes_tick(struct changes *c)
{
	const struct change *change = c->waiting;

	if (c->refused > 0)
		log_warn("changes of resources not told of",
		    LF_S("api", c->api), LF_N("changes", c->refused));
	c->refused = 0;
	while (change != NULL)
		change = publish_some(c, change);
	forget_all(c);
}
