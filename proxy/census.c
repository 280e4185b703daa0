#include "proxy/census.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"

#define MINUTE_MS 60000
#define HOUR_MS 3600000
#define DAY_MINUTES 1440
/* Hashes of sessions without a stream that exist at a time, about. */
#define SPANS 32
#define SPAN_MIN_MS 1000
/* Above what a loop can hold: as many APIs and clients as it tells apart. */
#define LIVE_NAMES_MAX 4096
/* The published counters outlive some beats that do not come. */
#define PUBLISHED_TTL_MS ENV_HEARTBEAT_TTL_MS

/* Changes to one hash that Redis has not been told yet. */
struct account {
	TAILQ_ENTRY(account) link;
	enum env_key kind;           /* ENV_DETACHED or ENV_HISTORY */
	uint64_t id;                 /* the number in its key */
	uint64_t expire_ms;          /* wall clock */
	struct tally *changes;
};

struct census {
	struct redis *commands;
	struct slice pod;
	uint64_t span_ms;            /* width of ENV_DETACHED's times */
	struct tally *live;
	/* Ages: sessions by the minute of their creation, over a day. */
	uint32_t born[DAY_MINUTES];
	uint32_t older;
	uint32_t minute;             /* the present one; never goes back */
	TAILQ_HEAD(, account) accounts;
	uint64_t published_ms;       /* monotonic */
};

/* Ages ---------------------------------------------------------------------- */

static const struct age {
	uint32_t below_minutes;
	const char *name;
} ages[] = {
	{ 1, "under_1m" },
	{ 10, "1m_to_10m" },
	{ 60, "10m_to_1h" },
	{ 360, "1h_to_6h" },
	{ DAY_MINUTES, "6h_to_24h" },
	{ UINT32_MAX, "over_24h" },
};

static const char *
age_name(uint32_t minutes)
{
	size_t i = 0;

	while (i < ARRAY_LEN(ages) - 1 && minutes >= ages[i].below_minutes)
		i++;
	return ages[i].name;
}

/* The slot of the minute that has just begun holds those a day old. */
static void
advance(struct census *c)
{
	uint32_t now = (uint32_t)(clock_wall_ms() / MINUTE_MS);
	unsigned turns = 0;

	while (c->minute < now && turns++ < DAY_MINUTES) {
		uint32_t *slot = &c->born[++c->minute % DAY_MINUTES];

		c->older += *slot;
		*slot = 0;
	}
	if (c->minute < now)
		c->minute = now;
}

static uint32_t *
age_slot(struct census *c, uint32_t born_minute)
{
	if (c->minute - born_minute >= DAY_MINUTES)
		return &c->older;
	return &c->born[born_minute % DAY_MINUTES];
}

static void
add_ages(const struct census *c, struct tally *to)
{
	for (uint32_t age = 0; age < DAY_MINUTES && age <= c->minute; age++) {
		uint32_t n = c->born[(c->minute - age) % DAY_MINUTES];

		tally_add(to, "age", slice_str(age_name(age)), n);
	}
	tally_add(to, "age", slice_str(age_name(DAY_MINUTES)), c->older);
}

/* Counting ------------------------------------------------------------------ */

static void
count(struct tally *t, const struct census_entry *e, int64_t delta)
{
	tally_add(t, "sessions", SLICE("all"), delta);
	tally_add(t, "user", e->user_kind, delta);
	tally_add(t, "api", e->api.n > 0 ? e->api : SLICE("(all)"), delta);
	tally_add(t, "transport", e->transport, delta);
	tally_add(t, "client", e->client.n > 0 ? e->client :
	    SLICE("(unknown)"), delta);
}

void
census_enter(struct census *c, struct census_entry *e, uint64_t born_ms)
{
	uint64_t minute = born_ms / MINUTE_MS;

	advance(c);
	e->born_minute = minute < c->minute ? (uint32_t)minute : c->minute;
	++*age_slot(c, e->born_minute);
	count(c->live, e, 1);
}

void
census_exit(struct census *c, const struct census_entry *e)
{
	advance(c);
	--*age_slot(c, e->born_minute);
	count(c->live, e, -1);
}

static struct account *
account_of(struct census *c, enum env_key kind, uint64_t id, uint64_t expire_ms)
{
	struct account *a;

	TAILQ_FOREACH(a, &c->accounts, link) {
		if (a->kind == kind && a->id == id)
			return a;
	}
	a = xcalloc(1, sizeof(*a));
	a->kind = kind;
	a->id = id;
	a->expire_ms = expire_ms;
	a->changes = tally_new(CENSUS_NAMES_MAX);
	TAILQ_INSERT_TAIL(&c->accounts, a, link);
	return a;
}

static void
close_account(struct census *c, struct account *a)
{
	TAILQ_REMOVE(&c->accounts, a, link);
	tally_free(a->changes);
	free(a);
}

/* Its age is the one that it had when its stream ended. */
static void
count_detached(struct census *c, const struct census_entry *e,
    uint64_t detached_ms, uint64_t until_ms, int64_t delta)
{
	struct account *a = account_of(c, ENV_DETACHED, until_ms, until_ms);
	uint64_t minute = detached_ms / MINUTE_MS;
	uint32_t age = minute > e->born_minute ?
	    (uint32_t)minute - e->born_minute : 0;

	count(a->changes, e, delta);
	tally_add(a->changes, "age", slice_str(age_name(age)), delta);
}

uint64_t
census_detached(struct census *c, const struct census_entry *e,
    uint64_t detached_ms, uint64_t until_ms)
{
	until_ms += c->span_ms - until_ms % c->span_ms;
	count_detached(c, e, detached_ms, until_ms, 1);
	return until_ms;
}

void
census_returned(struct census *c, const struct census_entry *e,
    uint64_t detached_ms, uint64_t until_ms)
{
	if (until_ms > clock_wall_ms())
		count_detached(c, e, detached_ms, until_ms, -1);
}

uint64_t
census_hour(uint64_t wall_ms)
{
	return wall_ms / HOUR_MS;
}

void
census_note(struct census *c, const char *kind, const char *value)
{
	uint64_t hour = census_hour(clock_wall_ms());
	struct account *a = account_of(c, ENV_HISTORY, hour,
	    (hour + CENSUS_HOURS + 1) * HOUR_MS);

	tally_add(a->changes, kind, slice_str(value), 1);
}

void
census_add_reply(struct tally *sum, const redisReply *hash)
{
	for (size_t i = 0; i + 1 < hash->elements; i += 2) {
		struct slice text = redis_slice(hash->element[i + 1]);
		bool negative = text.n > 0 && text.p[0] == '-';
		uint64_t n;

		if (negative)
			text = slice_of(text.p + 1, text.n - 1);
		if (env_number(text, &n) && n <= INT64_MAX)
			tally_add_name(sum, redis_slice(hash->element[i]),
			    negative ? -(int64_t)n : (int64_t)n);
	}
}

/* Sending ------------------------------------------------------------------- */

/* The arguments of a script: fields and numbers behind a key and a time. */
struct args {
	struct slice *argv;
	size_t n;
	char (*digits)[21];
};

static void
args_init(struct args *a, size_t fields)
{
	a->argv = xcalloc(2 + 2 * fields, sizeof(*a->argv));
	a->digits = xcalloc(1 + fields, sizeof(*a->digits));
	a->n = 2;
}

static void
args_release(struct args *a)
{
	free(a->argv);
	free(a->digits);
}

static void
add_arg(struct slice name, int64_t value, void *arg)
{
	struct args *a = arg;
	char *text = a->digits[a->n / 2];
	int n = snprintf(text, sizeof(a->digits[0]), "%lld", (long long)value);

	a->argv[a->n++] = name;
	a->argv[a->n++] = slice_of(text, (size_t)n);
}

/* Whole: what is no longer there must not stay. */
static const struct redis_script publish_script = {
	"census_publish",
	"redis.call('DEL', KEYS[1])\n"
	"for i = 2, #ARGV, 2 do\n"
	"  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])\n"
	"end\n"
	"return redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
};

/*
 * Nothing is taken out of a hash that is gone: what it counted has ended by
 * itself, or Redis lost it.
 */
static const struct redis_script change_script = {
	"census_change",
	"local there = redis.call('EXISTS', KEYS[1]) == 1\n"
	"for i = 2, #ARGV, 2 do\n"
	"  if there or tonumber(ARGV[i + 1]) > 0 then\n"
	"    local n = redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])\n"
	"    if n == 0 then redis.call('HDEL', KEYS[1], ARGV[i]) end\n"
	"  end\n"
	"end\n"
	"return redis.call('PEXPIREAT', KEYS[1], ARGV[1])\n"
};

static bool
send_tally(struct census *c, const struct redis_script *script,
    struct slice key, uint64_t ms, struct tally *t)
{
	struct args a;
	bool sent;

	args_init(&a, tally_count(t));
	a.argv[0] = key;
	a.argv[1] = u64_slice(a.digits[0], ms);
	tally_each(t, NULL, add_arg, &a);
	sent = redis_eval(c->commands, script, a.argv, a.n, 1, NULL, NULL);
	args_release(&a);
	return sent;
}

static void
copy_counter(struct slice name, int64_t n, void *arg)
{
	tally_add_name(arg, name, n);
}

static void
publish(struct census *c)
{
	struct tally *all = tally_new(CENSUS_NAMES_MAX);
	struct env_keybuf keybuf;

	tally_each(c->live, NULL, copy_counter, all);
	add_ages(c, all);
	if (send_tally(c, &publish_script, env_key(&keybuf, ENV_CENSUS, c->pod),
		PUBLISHED_TTL_MS, all))
		c->published_ms = clock_mono_ms();
	tally_free(all);
}

/* For those who add the hashes up. */
static void
index_detached(struct census *c, struct slice id)
{
	char now[20], ttl[20];
	struct slice zadd[] = { SLICE("ZADD"), SLICE(ENV_DETACHED_KEY), id, id };
	struct slice trim[] = { SLICE("ZREMRANGEBYSCORE"),
		SLICE(ENV_DETACHED_KEY), SLICE("-inf"),
		u64_slice(now, clock_wall_ms()) };
	/* No time that is listed lies further ahead. */
	struct slice pexpire[] = { SLICE("PEXPIRE"), SLICE(ENV_DETACHED_KEY),
		u64_slice(ttl, (SPANS + 2) * c->span_ms) };

	(void)!redis_send(c->commands, zadd, ARRAY_LEN(zadd), NULL, NULL);
	(void)!redis_send(c->commands, trim, ARRAY_LEN(trim), NULL, NULL);
	(void)!redis_send(c->commands, pexpire, ARRAY_LEN(pexpire), NULL, NULL);
}

/*
 * Sent once: what a broken connection leaves in doubt is wrong by so much until
 * its hash expires, rather than counted twice.
 */
static void
send_changes(struct census *c)
{
	struct env_keybuf keybuf;
	struct account *a, *next;
	char digits[20];

	for (a = TAILQ_FIRST(&c->accounts); a != NULL; a = next) {
		struct slice id = u64_slice(digits, a->id);

		next = TAILQ_NEXT(a, link);
		if (tally_count(a->changes) > 0 &&
		    !send_tally(c, &change_script,
			env_key(&keybuf, a->kind, id), a->expire_ms, a->changes))
			return;
		if (tally_count(a->changes) > 0 && a->kind == ENV_DETACHED)
			index_detached(c, id);
		close_account(c, a);
	}
}

/* Redis is away for long: what has ended by itself need not be told. */
static void
drop_expired(struct census *c)
{
	uint64_t now = clock_wall_ms();
	struct account *a, *next;

	for (a = TAILQ_FIRST(&c->accounts); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->expire_ms <= now)
			close_account(c, a);
	}
}

void
census_tick(struct census *c)
{
	advance(c);
	drop_expired(c);
	if (!redis_is_ready(c->commands))
		return;
	send_changes(c);
	if (clock_mono_ms() - c->published_ms >= CENSUS_PUBLISH_MS)
		publish(c);
}

void
census_leave(struct census *c)
{
	struct env_keybuf keybuf;
	struct slice del[] = { SLICE("DEL"),
		env_key(&keybuf, ENV_CENSUS, c->pod) };

	if (redis_is_ready(c->commands))
		send_changes(c);
	(void)!redis_send(c->commands, del, ARRAY_LEN(del), NULL, NULL);
}

/* The object ---------------------------------------------------------------- */

struct census *
census_new(struct redis *commands, struct slice pod, uint64_t window_ms)
{
	struct census *c = xcalloc(1, sizeof(*c));

	c->commands = commands;
	c->pod = pod;
	c->span_ms = window_ms / SPANS > SPAN_MIN_MS ? window_ms / SPANS :
						       SPAN_MIN_MS;
	c->live = tally_new(LIVE_NAMES_MAX);
	c->minute = (uint32_t)(clock_wall_ms() / MINUTE_MS);
	TAILQ_INIT(&c->accounts);
	return c;
}

void
census_free(struct census *c)
{
	struct account *a;

	while ((a = TAILQ_FIRST(&c->accounts)) != NULL)
		/* It leaves the list: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		close_account(c, a);
	tally_free(c->live);
	free(c);
}
