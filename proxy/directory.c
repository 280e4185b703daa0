#include "proxy/directory.h"

#include <stdlib.h>
#include <uthash.h>

#include "common/clock.h"
#include "common/queue.h"
#include "common/xalloc.h"
#include "proxy/declaration.h"

struct cached {
	UT_hash_handle hh;
	TAILQ_ENTRY(cached) link;    /* of directory->by_age, oldest first */
	uint64_t fetched_ms;
	struct directory_entry entry;
	char sid[SID_LEN];
};

struct directory {
	struct redis *commands;
	struct cached *table;
	TAILQ_HEAD(, cached) by_age;
	unsigned count;
};

/* A question on its way to Redis. */
struct question {
	struct directory *directory;
	directory_cb *cb;
	void *arg;
	char sid[SID_LEN];
};

static const struct redis_script lookup_script = {
	"session_lookup",
	"local s = redis.call('HMGET', KEYS[1], 'api', 'user', 'state',\n"
	"    'can', 'log_level', 'alias', 'alias_epoch')\n"
	"local t = redis.call('HMGET', KEYS[2], 'pod', 'epoch', 'since_ms')\n"
	"return { s[1], s[2], t[1], t[2], t[3], s[3], s[4] or '',\n"
	"    s[5] or '', s[6] or '', s[7] or '' }\n"
};

static void
drop(struct directory *d, struct cached *c)
{
	/* NOLINTNEXTLINE(clang-analyzer-core*): every entry is in the table. */
	HASH_DEL(d->table, c);
	TAILQ_REMOVE(&d->by_age, c, link);
	d->count--;
	free(c);
}

static void
drop_old(struct directory *d)
{
	uint64_t now = clock_mono_ms();
	struct cached *c, *next;

	TAILQ_FOREACH_SAFE(c, &d->by_age, link, next) {
		if (now - c->fetched_ms < DIRECTORY_TTL_MS &&
		    d->count <= DIRECTORY_ENTRIES_MAX)
			break;
		drop(d, c);
	}
}

static void
forget(struct directory *d, const char *sid)
{
	struct cached *c = NULL;

	HASH_FIND(hh, d->table, sid, SID_LEN, c);
	if (c != NULL)
		drop(d, c);
}

static void
remember(struct directory *d, const char *sid,
    const struct directory_entry *entry)
{
	struct cached *c = xcalloc(1, sizeof(*c));

	forget(d, sid);
	c->entry = *entry;
	c->fetched_ms = clock_mono_ms();
	memcpy(c->sid, sid, SID_LEN);
	HASH_ADD(hh, d->table, sid, SID_LEN, c);
	TAILQ_INSERT_TAIL(&d->by_age, c, link);
	d->count++;
	drop_old(d);
}

const struct directory_entry *
directory_find(struct directory *d, struct slice sid)
{
	struct cached *c = NULL;

	drop_old(d);
	if (sid.n == SID_LEN)
		HASH_FIND(hh, d->table, sid.p, SID_LEN, c);
	return c != NULL ? &c->entry : NULL;
}

/* Copies a string that fits; false when there is none, or a longer one. */
static bool
copy_text(char *to, size_t size, const redisReply *from)
{
	struct slice text = redis_slice(from);

	if (text.p == NULL || text.n >= size)
		return false;
	memcpy(to, text.p, text.n);
	to[text.n] = '\0';
	return true;
}

/* A field that does not exist is nil in the answer: the session is unknown. */
static enum directory_result
judge(const redisReply *reply, struct directory_entry *out)
{
	enum client_level level;

	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
		return DIRECTORY_AWAY;
	if (reply->elements != 10 ||
	    !copy_text(out->api, sizeof(out->api), reply->element[0]) ||
	    !hex_decode(out->user, SHA256_LEN, redis_slice(reply->element[1])) ||
	    !copy_text(out->pod, sizeof(out->pod), reply->element[2]) ||
	    !env_number(redis_slice(reply->element[3]), &out->epoch) ||
	    !env_number(redis_slice(reply->element[4]), &out->since_ms))
		return DIRECTORY_UNKNOWN;
	out->detached = slice_eq_str(redis_slice(reply->element[5]), "detached");
	out->client = client_traits_read(redis_slice(reply->element[6]));
	if (client_level_read(redis_slice(reply->element[7]), &level))
		out->client.level = (uint8_t)level;
	if (!copy_text(out->alias, sizeof(out->alias), reply->element[8]) ||
	    !env_number(redis_slice(reply->element[9]), &out->alias_epoch))
		out->alias[0] = '\0';
	return DIRECTORY_FOUND;
}

static void
on_answer(struct redis *r, const redisReply *reply, void *arg)
{
	struct question *q = arg;
	struct directory_entry entry;
	enum directory_result result = judge(reply, &entry);

	(void)r;
	if (result == DIRECTORY_FOUND)
		remember(q->directory, q->sid, &entry);
	else if (result == DIRECTORY_UNKNOWN)
		forget(q->directory, q->sid);
	q->cb(result, result == DIRECTORY_FOUND ? &entry : NULL, q->arg);
	free(q);
}

void
directory_hear(struct directory *d, struct slice sid, struct slice note)
{
	struct cached *c = NULL;

	if (sid.n == SID_LEN)
		HASH_FIND(hh, d->table, sid.p, SID_LEN, c);
	if (c != NULL)
		declaration_apply(note, &c->entry.client);
}

bool
directory_fetch(struct directory *d, struct slice sid, directory_cb *cb,
    void *arg)
{
	struct env_keybuf keybuf[2];
	struct slice keys[] = { env_key(&keybuf[0], ENV_SESSION, sid),
		env_key(&keybuf[1], ENV_TRANSPORT, sid) };
	struct question *q = xcalloc(1, sizeof(*q));

	*q = (struct question){ .directory = d, .cb = cb, .arg = arg };
	memcpy(q->sid, sid.p, SID_LEN);
	if (redis_eval(d->commands, &lookup_script, keys, ARRAY_LEN(keys),
		ARRAY_LEN(keys), on_answer, q))
		return true;
	free(q);
	return false;
}

struct directory *
directory_new(struct redis *commands)
{
	struct directory *d = xcalloc(1, sizeof(*d));

	d->commands = commands;
	TAILQ_INIT(&d->by_age);
	return d;
}

void
directory_free(struct directory *d)
{
	struct cached *c, *next;

	TAILQ_FOREACH_SAFE(c, &d->by_age, link, next)
		drop(d, c);
	free(d);
}
