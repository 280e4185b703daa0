#include "proxy/fleet.h"

#include <stdlib.h>
#include <uthash.h>

#include "common/clock.h"
#include "common/xalloc.h"

#define READ_EVERY_MS 1000
/*
 * What passed since the reading before counts up to here. When more did, pods may
 * have beaten unseen, or had no Redis either and come back to it one by one: who
 * counted it all would sweep the inboxes of those that are a moment later.
 */
#define READ_GAP_MS (3 * READ_EVERY_MS)

struct known {
	UT_hash_handle hh;
	struct fleet_pod pod;   /* its name is the key */
	char score[32];
	unsigned reading;       /* the last one that showed it */
};

struct fleet {
	struct redis *commands;
	struct known *table;
	uint64_t read_ms;       /* when the last reading was asked for */
	uint64_t heard_ms;      /* when the last one came */
	unsigned reading;
	bool waiting;
	bool excused;           /* what passes until the next reading */
};

static struct known *
find(struct fleet *f, struct slice name)
{
	struct known *k = NULL;

	HASH_FIND(hh, f->table, name.p, name.n, k);
	return k;
}

static struct known *
add(struct fleet *f, struct slice name)
{
	struct known *k = xcalloc(1, sizeof(*k));

	memcpy(k->pod.name, name.p, name.n);
	HASH_ADD(hh, f->table, pod.name, name.n, k);
	return k;
}

/* passed_ms: since the reading before. */
static void
take_pod(struct fleet *f, struct slice name, struct slice score,
    uint64_t passed_ms)
{
	struct known *k;

	if (name.n == 0 || name.n > POD_NAME_MAX || score.p == NULL ||
	    score.n >= sizeof(k->score))
		return;
	k = find(f, name);
	if (k == NULL)
		k = add(f, name);
	k->reading = f->reading;
	if (slice_eq_str(score, k->score)) {
		k->pod.silent_ms += passed_ms;
		return;
	}
	k->pod.moves += k->score[0] != '\0';
	k->pod.left = slice_eq_str(score, "0");
	k->pod.moved_ms = f->heard_ms;
	k->pod.silent_ms = 0;
	memcpy(k->score, score.p, score.n);
	k->score[score.n] = '\0';
}

static void
forget(struct fleet *f, struct known *k)
{
	/* HASH_DEL relinks: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	HASH_DEL(f->table, k);
	free(k);
}

/* Since the reading before, as far as it counts: the one at hand is the next. */
static uint64_t
passed_ms(struct fleet *f)
{
	uint64_t now = clock_mono_ms(), passed = now - f->heard_ms;

	f->heard_ms = now;
	if (f->excused)
		passed = 0;
	f->excused = false;
	return passed < READ_GAP_MS ? passed : READ_GAP_MS;
}

static void
on_read(struct redis *r, const redisReply *reply, void *arg)
{
	struct fleet *f = arg;
	struct known *k, *next;
	uint64_t passed;

	(void)r;
	f->waiting = false;
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
		return;
	f->reading++;
	passed = passed_ms(f);
	for (size_t i = 0; i + 1 < reply->elements; i += 2)
		take_pod(f, redis_slice(reply->element[i]),
		    redis_slice(reply->element[i + 1]), passed);
	for (k = f->table; k != NULL; k = next) {
		next = k->hh.next;
		if (k->reading != f->reading)
			forget(f, k);
	}
}

void
fleet_tick(struct fleet *f)
{
	uint64_t now = clock_mono_ms();
	struct slice argv[] = { SLICE("ZRANGE"), SLICE(ENV_PODS_KEY), SLICE("0"),
		SLICE("-1"), SLICE("WITHSCORES") };

	if (f->waiting || now - f->read_ms < READ_EVERY_MS)
		return;
	if (!redis_send(f->commands, argv, ARRAY_LEN(argv), on_read, f))
		return;
	f->waiting = true;
	f->read_ms = now;
}

void
fleet_excuse(struct fleet *f)
{
	f->excused = true;
}

const struct fleet_pod *
fleet_find(struct fleet *f, struct slice name)
{
	struct known *k = find(f, name);

	return k != NULL ? &k->pod : NULL;
}

uint64_t
fleet_silent_ms(const struct fleet_pod *pod)
{
	return pod->silent_ms;
}

/*
 * A heartbeat key lives ENV_HEARTBEAT_TTL_MS from the pod's last beat, which was
 * at most a reading before it was seen.
 */
bool
fleet_is_dead(const struct fleet_pod *pod)
{
	return pod->left || fleet_silent_ms(pod) >= ENV_HEARTBEAT_TTL_MS;
}

void
fleet_each(const struct fleet *f,
    void (*cb)(const struct fleet_pod *pod, void *arg), void *arg)
{
	for (const struct known *k = f->table; k != NULL; k = k->hh.next)
		cb(&k->pod, arg);
}

void
fleet_each_dead(struct fleet *f,
    void (*cb)(const struct fleet_pod *pod, void *arg), void *arg)
{
	struct known *k, *next;

	for (k = f->table; k != NULL; k = next) {
		next = k->hh.next;
		if (fleet_is_dead(&k->pod))
			cb(&k->pod, arg);
	}
}

void
fleet_remove(struct fleet *f, struct slice name)
{
	struct slice argv[] = { SLICE("ZREM"), SLICE(ENV_PODS_KEY), name };
	struct known *k = find(f, name);

	(void)!redis_send(f->commands, argv, ARRAY_LEN(argv), NULL, NULL);
	if (k != NULL)
		forget(f, k);
}

struct fleet *
fleet_new(struct redis *commands)
{
	struct fleet *f = xcalloc(1, sizeof(*f));

	f->commands = commands;
	return f;
}

void
fleet_free(struct fleet *f)
{
	struct known *k, *next;

	for (k = f->table; k != NULL; k = next) {
		next = k->hh.next;
		forget(f, k);
	}
	free(f);
}
