#include "proxy/pod.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
#include "common/redis_clock.h"
#include "common/xalloc.h"

/* Two beats of every other pod, and the time to write many records. */
#define RECOVERY_MS (2 * POD_BEAT_MS + 1000)

struct pod {
	struct redis *commands;
	struct slice name;
	struct env_keybuf keybuf, inbox_keybuf;
	struct slice key;
	struct slice inbox;      /* its key */
	void (*on_lost)(void *arg);
	void *arg;
	uint64_t started_ms;     /* wall clock */
	uint64_t begun_ms;       /* the same moment, monotonic */
	uint64_t beat_ms;        /* when the last heartbeat was sent; 0: hurry */
	uint64_t sent_ms;        /* the same, hurry or not */
	/*
	 * Of the last one that Redis confirmed, and had no room for, when it was
	 * sent; 0: never. This process may have slept before it heard of it.
	 */
	uint64_t confirmed_ms, full_ms;
	uint64_t heard_ms;       /* see pod_unheard_ms() */
	uint64_t lost_ms;        /* when data was last found lost; 0: never */
	bool refused;            /* the last one was */
	bool waiting;            /* for the reply to a heartbeat */
};

/*
 * Whom Redis lets write nothing is not alone: no other pod can take its sessions
 * either. But a master that its replicas have left may have been replaced.
 */
static void
on_refused(struct pod *p, const redisReply *reply)
{
	enum redis_refusal kind = redis_refusal(reply);

	if (kind == REDIS_REFUSES_ALL)
		p->full_ms = p->sent_ms;
	if (kind == REDIS_REFUSES_ALL || kind == REDIS_REFUSES_HERE)
		p->heard_ms = p->sent_ms;
	log_at(p->refused ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, "heartbeat refused",
	    LF("error", reply->str), LF("remedy", redis_refusal_remedy(reply)));
	p->refused = true;
}

/* HSET says how many fields are new: all of them, when the key was gone. */
static void
on_beat(struct redis *r, const redisReply *reply, void *arg)
{
	struct pod *p = arg;
	uint64_t before = p->confirmed_ms;

	(void)r;
	p->waiting = false;
	if (reply == NULL)
		return;
	if (reply->type != REDIS_REPLY_INTEGER) {
		on_refused(p, reply);
		return;
	}
	if (p->refused)
		log_info("heartbeat taken again");
	p->refused = false;
	p->confirmed_ms = p->heard_ms = p->sent_ms;
	if (reply->integer == 0 || before == 0)
		return;
	/* After a long silence the key may have expired by itself. */
	p->lost_ms = clock_mono_ms();
	p->on_lost(p->arg);
}

/*
 * A full Redis refuses what may need memory if it is a script's first write, or a
 * command by itself: then pods would count as dead, and end their streams, though
 * nothing is wrong with them but that calls wait. So these begin with what it takes.
 *
 * Beat. KEYS: pod. ARGV: its TTL (ms), then the fields. Returns how many are new.
 */
static const struct redis_script beat_script = {
	.name = "pod beat",
	.body =
	"redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
	"local new = redis.call('HSET', KEYS[1], unpack(ARGV, 2))\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
	"return new\n",
};

/* List. KEYS: pods. ARGV: until when (ms), pod. */
static const struct redis_script list_script = {
	.name = "pod list",
	.body =
	"redis.call('ZREM', KEYS[1], '')\n"
	"return redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])\n",
};

static bool
send_beat(struct pod *p, const struct pod_load *load)
{
	char digits[5][20];
	const struct slice args[] = { p->key,
		u64_slice(digits[0], ENV_HEARTBEAT_TTL_MS),
		SLICE("version"), SLICE(MCP_VERSION),
		SLICE("started_ms"), u64_slice(digits[1], p->started_ms),
		SLICE("seen_ms"), u64_slice(digits[2], clock_wall_ms()),
		SLICE("streams"), u64_slice(digits[3], load->streams),
		SLICE("connections"), u64_slice(digits[4], load->connections),
		SLICE("draining"), load->draining ? SLICE("1") : SLICE("0") };

	return redis_eval(p->commands, &beat_script, args, ARRAY_LEN(args), 1,
	    on_beat, p);
}

/* Failing, the beat before still counts: the next one comes soon. */
static void
send_rest(struct pod *p)
{
	char until[20];
	const struct slice inbox[] = { SLICE("PEXPIRE"), p->inbox,
		SLICE(ENV_INBOX_TTL_MS) };
	const struct slice list[] = { SLICE(ENV_PODS_KEY), u64_slice(until,
	    clock_wall_ms() + ENV_HEARTBEAT_TTL_MS), p->name };

	redis_clock_ask(p->commands);
	(void)!redis_send(p->commands, inbox, ARRAY_LEN(inbox), NULL, NULL);
	(void)!redis_eval(p->commands, &list_script, list, ARRAY_LEN(list), 1,
	    NULL, NULL);
}

void
pod_tick(struct pod *p, const struct pod_load *load)
{
	uint64_t now = clock_mono_ms();

	if (p->waiting || (p->beat_ms != 0 && now - p->beat_ms < POD_BEAT_MS))
		return;
	if (!send_beat(p, load))
		return;
	send_rest(p);
	p->waiting = true;
	p->beat_ms = p->sent_ms = now;
}

void
pod_hurry(struct pod *p)
{
	p->beat_ms = 0;
}

bool
pod_lost_recently(const struct pod *p)
{
	return p->lost_ms != 0 && clock_mono_ms() - p->lost_ms < RECOVERY_MS;
}

bool
pod_has_beaten(const struct pod *p)
{
	return p->confirmed_ms != 0;
}

bool
pod_probe(struct pod *p, redis_cb *cb, void *arg)
{
	struct slice argv[] = { SLICE("EXISTS"), p->key };

	return redis_send(p->commands, argv, ARRAY_LEN(argv), cb, arg);
}

uint64_t
pod_unconfirmed_ms(const struct pod *p)
{
	uint64_t since = p->confirmed_ms > p->full_ms ? p->confirmed_ms :
	    p->full_ms;

	return clock_mono_ms() - (since != 0 ? since : p->begun_ms);
}

void
pod_hear(struct pod *p)
{
	p->heard_ms = clock_mono_ms();
}

bool
pod_is_refused(const struct pod *p)
{
	return p->refused;
}

uint64_t
pod_unheard_ms(const struct pod *p)
{
	return clock_mono_ms() - p->heard_ms;
}

void
pod_leave(struct pod *p)
{
	struct slice del[] = { SLICE("DEL"), p->key };
	struct slice left[] = { SLICE("ZADD"), SLICE(ENV_PODS_KEY), SLICE("0"),
		p->name };

	(void)!redis_send(p->commands, del, ARRAY_LEN(del), NULL, NULL);
	(void)!redis_send(p->commands, left, ARRAY_LEN(left), NULL, NULL);
}

struct pod *
pod_new(struct redis *commands, struct slice name, void (*on_lost)(void *arg),
    void *arg)
{
	struct pod *p = xcalloc(1, sizeof(*p));

	p->commands = commands;
	p->name = name;
	p->key = env_key(&p->keybuf, ENV_POD, name);
	p->inbox = env_key(&p->inbox_keybuf, ENV_REPLIES, name);
	p->on_lost = on_lost;
	p->arg = arg;
	p->started_ms = clock_wall_ms();
	p->begun_ms = p->heard_ms = clock_mono_ms();
	return p;
}

void
pod_free(struct pod *p)
{
	free(p);
}
