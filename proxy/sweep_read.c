#include "proxy/sweep_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "proxy/recent.h"

/* Entries per XRANGE. */
#define READ_COUNT "128"
#define TAKEN_TTL_MS "1200000"

/* A message that a watch has delivered: it stays in the inbox. */
struct taken {
	UT_hash_handle hh;
	uint64_t digest;
	struct sweep *sweep;
	char *bytes;         /* call and payload, until it is delivered */
	size_t call_len;
	size_t payload_len;
};

/* An entry whose messages are being dealt with: not to be read again. */
struct sweep_entry {
	UT_hash_handle hh;
	struct sweep *sweep;
	unsigned left;       /* messages not dealt with, plus one while reading */
	size_t id_len;
	char id[ENTRY_ID_MAX + 1];
};

/* Deleting what was dealt with ------------------------------------------------ */

/* Without an answer the entry may still be there: it is read once more. */
static void
on_deleted(struct redis *r, const redisReply *reply, void *arg)
{
	struct sweep_entry *e = arg;
	struct sweep *s = e->sweep;

	(void)r;
	(void)reply;
	HASH_DEL(s->entries, e);
	free(e);
	sweep_unref(s);
}

static void
entry_done(void *arg)
{
	struct sweep_entry *e = arg;
	struct sweep *s = e->sweep;
	struct slice argv[] = { SLICE("XDEL"), s->key,
		slice_of(e->id, e->id_len) };

	if (--e->left > 0)
		return;
	if (s->state == SWEEP_OVER) {
		on_deleted(NULL, NULL, e);
		return;
	}
	stat_add(s->all->options.stats, STAT_SWEPT_ENTRIES, 1);
	if (!redis_send(s->all->options.commands, argv, ARRAY_LEN(argv),
		on_deleted, e))
		on_deleted(NULL, NULL, e);
}

/* Reading ---------------------------------------------------------------------- */

/*
 * By the sweep the session may have moved on to yet another pod, which could not
 * tell that its client has had the message.
 */
static const struct redis_script taken_script = {
	"taken",
	"redis.call('SADD', KEYS[1], redis.sha1hex(ARGV[1] .. ARGV[2]))\n"
	"return redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
};

static void
on_watched(void *arg)
{
	struct taken *t = arg;
	struct sweep *s = t->sweep;
	struct env_keybuf keybuf;
	struct slice args[] = { env_key(&keybuf, ENV_TAKEN, slice_str(s->pod)),
		slice_of(t->bytes, t->call_len),
		slice_of(t->bytes + t->call_len, t->payload_len),
		SLICE(TAKEN_TTL_MS) };

	if (s->commands != NULL)
		(void)!redis_eval(s->commands, &taken_script, args,
		    ARRAY_LEN(args), 1, NULL, NULL);
	free(t->bytes);
	t->bytes = NULL;
	sweep_unref(s);
}

static void
watch_message(struct sweep *s, const struct env_message *message)
{
	const struct sweep_options *o = &s->all->options;
	uint64_t digest = recent_digest(message->call, message->payload);
	struct taken *t = NULL;

	HASH_FIND(hh, s->taken, &digest, sizeof(digest), t);
	if (t != NULL || !o->is_here(message->session, o->arg))
		return;
	t = xcalloc(1, sizeof(*t));
	t->digest = digest;
	t->sweep = s;
	t->bytes = xmalloc(message->call.n + message->payload.n);
	t->call_len = message->call.n;
	t->payload_len = message->payload.n;
	memcpy(t->bytes, message->call.p, t->call_len);
	memcpy(t->bytes + t->call_len, message->payload.p, t->payload_len);
	HASH_ADD(hh, s->taken, digest, sizeof(t->digest), t);
	s->refs++;
	o->pass_on(message, on_watched, t, o->arg);
}

static void
sweep_message(struct sweep_entry *e, const struct env_message *message)
{
	const struct sweep_options *o = &e->sweep->all->options;

	e->left++;
	o->pass_on(message, entry_done, e, o->arg);
}

static struct sweep_entry *
entry_new(struct sweep *s, struct slice id)
{
	struct sweep_entry *e = xcalloc(1, sizeof(*e));

	e->sweep = s;
	e->left = 1;
	e->id_len = id.n;
	memcpy(e->id, id.p, id.n);
	HASH_ADD(hh, s->entries, id, id.n, e);
	s->refs++;
	return e;
}

static void
take_entry(struct sweep *s, const struct env_entry *entry)
{
	struct sweep_entry *e = NULL;
	struct env_message message;
	unsigned malformed = 0;
	size_t at = 0;

	HASH_FIND(hh, s->entries, entry->id.p, entry->id.n, e);
	if (e != NULL)
		return;
	if (s->state == SWEEP_SWEEPING)
		e = entry_new(s, entry->id);
	while (env_message_next(entry->fields, &at, &message, &malformed)) {
		message.attempt = SLICE("2");
		if (env_call_is_notice(message.call))
			continue;   /* that was for the dead */
		if (e != NULL)
			sweep_message(e, &message);
		else
			watch_message(s, &message);
	}
	if (e != NULL)
		entry_done(e);
}

static void
on_read(struct redis *r, const redisReply *reply, void *arg)
{
	struct sweep *s = arg;
	struct env_entry entry;
	size_t n = 0;

	(void)r;
	s->reading = false;
	if (s->state != SWEEP_OVER && reply != NULL &&
	    reply->type == REDIS_REPLY_ARRAY)
		n = reply->elements;
	for (size_t i = 0; i < n; i++) {
		if (!env_entry_at(reply, i, &entry) || entry.fields == NULL ||
		    entry.id.n > ENTRY_ID_MAX)
			continue;
		s->cursor[0] = '(';
		memcpy(s->cursor + 1, entry.id.p, entry.id.n);
		s->cursor[1 + entry.id.n] = '\0';
		take_entry(s, &entry);
	}
	if (n == 0)
		sweep_rewind(s);
	else if (s->reads_left > 0)
		sweep_read(s);
	sweep_unref(s);
}

/* Entries, without the messages that a watch has delivered. */
static const struct redis_script read_script = {
	"sweep_read",
	"local entries = redis.call('XRANGE', KEYS[1], ARGV[1], '+',\n"
	"    'COUNT', ARGV[2])\n"
	"if redis.call('EXISTS', KEYS[2]) == 0 then return entries end\n"
	"for _, e in ipairs(entries) do\n"
	"  local keep, group, call, payload = {}, {}, '', ''\n"
	"  local function close()\n"
	"    if redis.call('SISMEMBER', KEYS[2],\n"
	"        redis.sha1hex(call .. payload)) == 0 then\n"
	"      for _, v in ipairs(group) do keep[#keep + 1] = v end\n"
	"    end\n"
	"    group, call, payload = {}, '', ''\n"
	"  end\n"
	"  for i = 1, #e[2], 2 do\n"
	"    if e[2][i] == 'call' then close() call = e[2][i + 1] end\n"
	"    if e[2][i] == 'payload' then payload = e[2][i + 1] end\n"
	"    group[#group + 1] = e[2][i]\n"
	"    group[#group + 1] = e[2][i + 1]\n"
	"  end\n"
	"  close()\n"
	"  e[2] = keep\n"
	"end\n"
	"return entries\n"
};

void
sweep_read(struct sweep *s)
{
	struct env_keybuf keybuf;
	struct slice args[] = { s->key,
		env_key(&keybuf, ENV_TAKEN, slice_str(s->pod)),
		slice_str(s->cursor), SLICE(READ_COUNT) };

	if (s->reading || !redis_eval(s->all->options.commands, &read_script,
		args, ARRAY_LEN(args), 2, on_read, s))
		return;
	s->reads_left--;
	s->read_ms = clock_mono_ms();
	s->reading = true;
	s->refs++;
}

/* The end --------------------------------------------------------------------- */

static void
forget_taken(struct sweep *s)
{
	struct taken *t, *next;

	for (t = s->taken; t != NULL; t = next) {
		next = t->hh.next;
		/* HASH_DEL relinks: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		HASH_DEL(s->taken, t);
		free(t->bytes);
		free(t);
	}
}

void
sweep_forget(struct sweep *s)
{
	struct sweep_entry *e, *next;

	forget_taken(s);
	for (e = s->entries; e != NULL; e = next) {
		next = e->hh.next;
		/* HASH_DEL relinks: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		HASH_DEL(s->entries, e);
		free(e);
	}
}
