#include "proxy/sweep.h"

#include <stdlib.h>
#include <uthash.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/recent.h"

/* Entries per XRANGE, and XRANGEs per inbox and tick. */
#define READ_COUNT "128"
#define READS_PER_TICK 32
#define ENTRY_ID_MAX 41
/* Dead inboxes are looked at this often: late answers trickle in. */
#define SWEEP_EVERY_MS 1000
/* The right to sweep an inbox, in Redis, and how long we rely on having it. */
#define LOCK_TTL_MS "10000"
#define LOCK_HELD_MS 5000
/* Once a pod has been dead for so long, no worker can still answer to it. */
#define KEEP_MS (15 * 60 * 1000)
#define TAKEN_TTL_MS "1200000"
/* The first beat that is seen may be from before the pod's death. */
#define BEATS_ALIVE 2
/* A watch that saw neither a beat nor a death: the pod is in no index. */
#define WATCH_MAX_MS 60000

enum sweep_state {
	SWEEP_WATCHING,
	SWEEP_SWEEPING,
	SWEEP_OVER       /* freed with its last reference */
};

struct sweep;

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

struct sweep {
	UT_hash_handle hh;             /* of all->table, until over */
	struct sweeps *all;
	struct redis *commands;        /* NULL once the program ends */
	enum sweep_state state;
	unsigned refs;                 /* commands and entries on their way */
	uint64_t began_ms;
	unsigned moves;                /* of the pod, when the watch began */
	uint64_t locked_ms;            /* when the lock was taken; 0: not ours */
	uint64_t read_ms;
	unsigned reads_left;           /* of this tick */
	bool reading;
	bool locking;
	struct taken *taken;
	struct sweep_entry *entries;
	struct env_keybuf keybuf;
	struct slice key;
	char cursor[ENTRY_ID_MAX + 2]; /* "(" and the last id read; or "-" */
	char pod[POD_NAME_MAX + 1];
};

struct sweeps {
	struct sweep_options options;
	struct sweep *table;
	uint64_t looked_ms;            /* when dead pods were last looked for */
};

static void read_some(struct sweep *s);

/* Lifetime ---------------------------------------------------------------- */

static void
rewind_cursor(struct sweep *s)
{
	memcpy(s->cursor, "-", sizeof("-"));
}

static struct sweep *
find(struct sweeps *all, struct slice pod)
{
	struct sweep *s = NULL;

	HASH_FIND(hh, all->table, pod.p, pod.n, s);
	return s;
}

static struct sweep *
sweep_new(struct sweeps *all, struct slice pod, enum sweep_state state)
{
	struct sweep *s = xcalloc(1, sizeof(*s));

	s->all = all;
	s->commands = all->options.commands;
	s->state = state;
	s->refs = 1;
	s->began_ms = clock_mono_ms();
	memcpy(s->pod, pod.p, pod.n);
	s->key = env_key(&s->keybuf, ENV_REPLIES, slice_str(s->pod));
	rewind_cursor(s);
	HASH_ADD(hh, all->table, pod, pod.n, s);
	return s;
}

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

static void
unref(struct sweep *s)
{
	struct sweep_entry *e, *next;

	if (--s->refs > 0)
		return;
	forget_taken(s);
	for (e = s->entries; e != NULL; e = next) {
		next = e->hh.next;
		/* HASH_DEL relinks: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		HASH_DEL(s->entries, e);
		free(e);
	}
	free(s);
}

static void
end(struct sweep *s)
{
	HASH_DEL(s->all->table, s);
	s->state = SWEEP_OVER;
	unref(s);
}

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
	unref(s);
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
	unref(s);
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
		if (slice_eq_str(message.call, ENV_CALL_TAKEN_OVER))
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
		rewind_cursor(s);
	else if (s->reads_left > 0)
		read_some(s);
	unref(s);
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

static void
read_some(struct sweep *s)
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

/* One sweeper per inbox --------------------------------------------------------- */

static void
on_locked(struct redis *r, const redisReply *reply, void *arg)
{
	struct sweep *s = arg;

	(void)r;
	s->locking = false;
	if (s->state == SWEEP_SWEEPING) {
		if (reply != NULL && reply->type == REDIS_REPLY_STATUS)
			s->locked_ms = clock_mono_ms();
		else
			end(s);
	}
	unref(s);
}

/* Ours for a while, or somebody else's: then end. Taken anew when it ran out. */
static const struct redis_script lock_script = {
	"sweep_lock",
	"local holder = redis.call('GET', KEYS[1])\n"
	"if holder and holder ~= ARGV[1] then return 0 end\n"
	"return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
};

static void
lock(struct sweep *s)
{
	const struct sweep_options *o = &s->all->options;
	struct env_keybuf keybuf;
	struct slice args[] = { env_key(&keybuf, ENV_SWEEP, slice_str(s->pod)),
		o->pod, SLICE(LOCK_TTL_MS) };

	if (s->locking || !redis_eval(o->commands, &lock_script, args,
		ARRAY_LEN(args), 1, on_locked, s))
		return;
	s->locking = true;
	s->refs++;
}

/*
 * Nothing can come for it any more: its place in the index goes. Its inbox is
 * left to expire, for who adds to one that is not there makes it anew.
 */
static void
bury(struct sweep *s)
{
	const struct sweep_options *o = &s->all->options;
	struct env_keybuf keybuf;
	struct slice unlock[] = { SLICE("DEL"),
		env_key(&keybuf, ENV_SWEEP, slice_str(s->pod)) };
	struct slice expire[] = { SLICE("PEXPIRE"), s->key,
		SLICE(ENV_INBOX_TTL_MS) };

	log_info("dead pod's inbox left to expire", LF("dead", s->pod));
	(void)!redis_send(o->commands, expire, ARRAY_LEN(expire), NULL, NULL);
	(void)!redis_send(o->commands, unlock, ARRAY_LEN(unlock), NULL, NULL);
	fleet_remove(o->fleet, slice_str(s->pod));
	end(s);
}

/* Ticking ------------------------------------------------------------------------ */

/* Somebody sweeps a dead pod: everybody tries, the lock lets one. */
static void
begin_sweep(const struct fleet_pod *pod, void *arg)
{
	struct sweeps *all = arg;
	struct slice name = slice_str(pod->name);
	struct sweep *s = find(all, name);

	if (slice_eq(name, all->options.pod) || !redis_is_ready(all->options.commands))
		return;
	if (s == NULL)
		s = sweep_new(all, name, SWEEP_SWEEPING);
	if (s->state == SWEEP_SWEEPING &&
	    clock_mono_ms() - s->locked_ms >= LOCK_HELD_MS)
		lock(s);
}

static void
tick_sweep(struct sweep *s, const struct fleet_pod *pod, uint64_t now)
{
	if (pod == NULL || !fleet_is_dead(pod)) {
		end(s);
		return;
	}
	if (s->locked_ms == 0 || now - s->locked_ms >= 2 * LOCK_HELD_MS ||
	    now - s->read_ms < SWEEP_EVERY_MS)
		return;
	if (fleet_silent_ms(pod) >= KEEP_MS)
		bury(s);
	else
		read_some(s);
}

/*
 * A dead pod's inbox is swept by somebody now, us perhaps. What came until here
 * the watch has read; what the sweeper passes on to us is marked.
 */
static void
tick_watch(struct sweep *s, const struct fleet_pod *pod, uint64_t now)
{
	bool beats = pod != NULL && !pod->left &&
	    pod->moves >= s->moves + BEATS_ALIVE;
	bool dead = pod != NULL && fleet_is_dead(pod) &&
	    now - s->began_ms >= SWEEP_EVERY_MS;

	if (beats || dead || now - s->began_ms >= WATCH_MAX_MS)
		end(s);
	else
		read_some(s);
}

void
sweeps_tick(struct sweeps *all)
{
	uint64_t now = clock_mono_ms();
	struct sweep *s, *next;

	if (now - all->looked_ms >= SWEEP_EVERY_MS) {
		all->looked_ms = now;
		fleet_each_dead(all->options.fleet, begin_sweep, all);
	}
	for (s = all->table; s != NULL; s = next) {
		const struct fleet_pod *pod = fleet_find(all->options.fleet,
		    slice_str(s->pod));

		next = s->hh.next;
		s->reads_left = READS_PER_TICK;
		if (s->state == SWEEP_SWEEPING)
			tick_sweep(s, pod, now);
		else
			tick_watch(s, pod, now);
	}
}

void
sweeps_watch(struct sweeps *all, struct slice pod)
{
	const struct fleet_pod *known = fleet_find(all->options.fleet, pod);
	struct sweep *s;

	if (pod.n == 0 || pod.n > POD_NAME_MAX || slice_eq(pod, all->options.pod))
		return;
	s = find(all, pod);
	if (s == NULL)
		s = sweep_new(all, pod, SWEEP_WATCHING);
	s->began_ms = clock_mono_ms();
	s->moves = known != NULL ? known->moves : 0;
	rewind_cursor(s);
	s->reads_left = READS_PER_TICK;
	read_some(s);
}

/* The sweeps ---------------------------------------------------------------------- */

struct sweeps *
sweeps_new(const struct sweep_options *options)
{
	struct sweeps *all = xcalloc(1, sizeof(*all));

	all->options = *options;
	return all;
}

void
sweeps_free(struct sweeps *all)
{
	struct sweep *s, *next;

	for (s = all->table; s != NULL; s = next) {
		next = s->hh.next;
		s->commands = NULL;
		end(s);
	}
	free(all);
}
