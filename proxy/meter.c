#include "proxy/meter.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"

/* How much of a bucket a loop may hand out before it says so. */
#define CREDIT_SHARE 16
/* How long tokens fetched in advance may be used. */
#define PREPAID_MS 1000
/* Between two questions about a bucket that is empty. */
#define REFUSED_MIN_MS 50
#define LOG_EVERY_MS 60000

struct account {
	UT_hash_handle hh;            /* of meter->table, by subject */
	TAILQ_ENTRY(account) link;    /* of meter->by_use, longest ago first */
	int64_t left;                 /* tokens in advance; below 0: on credit */
	int64_t reported;             /* of the credit, by the question under way */
	uint64_t prepaid_until_ms;
	uint64_t refused_until_ms;
	unsigned wanted;              /* in advance, by that question */
	unsigned waiting;             /* takers told to wait for its answer */
	bool asking;
	bool trusted;                 /* the bucket was half full at the last look */
	unsigned char subject[METER_SUBJECT_LEN];
};

struct meter {
	struct meter_options options;
	struct account *table;
	TAILQ_HEAD(, account) by_use;
	unsigned count;
	unsigned credit;
	uint64_t logged_ms;
};

/* A question on its way; the account may be gone when the answer comes. */
struct question {
	struct meter *meter;
	unsigned char subject[METER_SUBJECT_LEN];
};

/*
 * ARGV: rate, burst, tokens used already, tokens wanted. Returns what is left,
 * what was granted, and the milliseconds until there is a token again.
 */
static const struct redis_script take_script = {
	"limit_take",
	"local t = redis.call('TIME')\n"
	"local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
	"local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])\n"
	"local want = tonumber(ARGV[4])\n"
	"local b = redis.call('HMGET', KEYS[1], 'tokens', 'at_ms')\n"
	"local tokens = burst\n"
	"if b[1] and b[2] then\n"
	"  local passed = math.max(0, now - tonumber(b[2]))\n"
	"  tokens = math.min(burst, tonumber(b[1]) + passed * rate / 1000)\n"
	"end\n"
	"tokens = tokens - tonumber(ARGV[3])\n"
	"local grant = math.max(0, math.min(want, math.floor(tokens)))\n"
	"tokens = tokens - grant\n"
	"redis.call('HSET', KEYS[1], 'tokens', string.format('%.3f', tokens),\n"
	"    'at_ms', string.format('%.0f', now))\n"
	"redis.call('PEXPIRE', KEYS[1], string.format('%.0f',\n"
	"    math.ceil((burst - tokens) * 1000 / rate) + 1000))\n"
	"local wait = math.max(0, math.ceil((1 - tokens) * 1000 / rate))\n"
	"return { math.floor(tokens), grant, wait }\n"
};

/* Accounts -------------------------------------------------------------------- */

static struct account *
find(struct meter *m, const unsigned char *subject)
{
	struct account *a = NULL;

	HASH_FIND(hh, m->table, subject, METER_SUBJECT_LEN, a);
	return a;
}

static void
drop(struct meter *m, struct account *a)
{
	HASH_DEL(m->table, a);
	TAILQ_REMOVE(&m->by_use, a, link);
	m->count--;
	free(a);
}

static struct account *
add(struct meter *m, const unsigned char *subject)
{
	struct account *a = xcalloc(1, sizeof(*a));

	if (m->count >= METER_SUBJECTS_MAX)
		drop(m, TAILQ_FIRST(&m->by_use));
	memcpy(a->subject, subject, METER_SUBJECT_LEN);
	a->trusted = true;
	HASH_ADD(hh, m->table, subject, METER_SUBJECT_LEN, a);
	TAILQ_INSERT_TAIL(&m->by_use, a, link);
	m->count++;
	return a;
}

static struct account *
account_of(struct meter *m, const unsigned char *subject)
{
	struct account *a = find(m, subject);

	if (a == NULL)
		return add(m, subject);
	TAILQ_REMOVE(&m->by_use, a, link);
	TAILQ_INSERT_TAIL(&m->by_use, a, link);
	return a;
}

/* Asking Redis ---------------------------------------------------------------- */

/* Without an answer the loop grants what was asked for. */
static void
settle(const struct meter *m, struct account *a, const redisReply *reply)
{
	uint64_t now = clock_mono_ms();
	bool ok = reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
	    reply->elements == 3;
	int64_t granted = ok ? reply->element[1]->integer : a->waiting;
	uint64_t wait_ms = ok ? (uint64_t)reply->element[2]->integer : 0;

	a->asking = false;
	a->waiting = 0;
	a->left += a->reported + granted;
	a->trusted = !ok || reply->element[0]->integer >= m->options.burst / 2;
	a->prepaid_until_ms = now + PREPAID_MS;
	if (!a->trusted && a->wanted > 0 && granted == 0)
		a->refused_until_ms = now +
		    (wait_ms > REFUSED_MIN_MS ? wait_ms : REFUSED_MIN_MS);
}

static void
log_problem(struct meter *m, const char *error)
{
	uint64_t now = clock_mono_ms();

	if (m->logged_ms != 0 && now - m->logged_ms < LOG_EVERY_MS)
		return;
	m->logged_ms = now;
	log_warn("a limit cannot be kept", LF("error", error));
}

static void
on_reply(struct redis *r, const redisReply *reply, void *arg)
{
	struct question *q = arg;
	struct meter *m = q->meter;
	struct account *a = find(m, q->subject);

	(void)r;
	if (redis_is_error(reply, ""))
		log_problem(m, reply->str);
	if (a != NULL)
		settle(m, a, reply);
	free(q);
	m->options.on_answer(m->options.arg);
}

static void
ask(struct meter *m, struct account *a, unsigned want)
{
	const struct meter_options *o = &m->options;
	struct question *q;
	char name[SHA256_HEX_LEN + 1], digits[4][20];
	struct env_keybuf keybuf;
	uint64_t owed = a->left < 0 ? (uint64_t)-a->left : 0;
	struct slice args[] = { SLICE_NONE,
		u64_slice(digits[0], o->rate),
		u64_slice(digits[1], o->burst),
		u64_slice(digits[2], owed),
		u64_slice(digits[3], want) };

	if (a->asking || !redis_is_ready(o->commands))
		return;
	o->name(a->subject, name, o->arg);
	args[0] = env_key(&keybuf, ENV_LIMIT, slice_of(name, SHA256_HEX_LEN));
	q = xcalloc(1, sizeof(*q));
	q->meter = m;
	memcpy(q->subject, a->subject, METER_SUBJECT_LEN);
	a->asking = redis_eval(o->commands, &take_script, args, ARRAY_LEN(args),
	    1, on_reply, q);
	a->reported = (int64_t)owed;
	a->wanted = want;
	if (!a->asking)
		free(q);
}

/* Taking ------------------------------------------------------------------------ */

static enum meter_result
take_on_credit(struct meter *m, struct account *a)
{
	a->left--;
	if (-a->left >= (m->credit + 1) / 2)
		ask(m, a, 0);
	return METER_PASS;
}

/* Those who wait already want one each, too. */
static enum meter_result
take_in_advance(struct meter *m, struct account *a)
{
	unsigned want = a->waiting + 1 > m->credit ? a->waiting + 1 : m->credit;

	ask(m, a, want < m->options.burst ? want : m->options.burst);
	if (!a->asking)
		return METER_PASS;
	a->waiting++;
	return METER_WAIT;
}

enum meter_result
meter_take(struct meter *m, const unsigned char subject[static METER_SUBJECT_LEN],
    uint64_t *wait_ms)
{
	struct account *a = account_of(m, subject);
	uint64_t now = clock_mono_ms();

	if (a->left > 0 && now >= a->prepaid_until_ms)
		a->left = 0;
	if (a->left > 0) {
		a->left--;
		return METER_PASS;
	}
	if (now < a->refused_until_ms) {
		*wait_ms = a->refused_until_ms - now;
		return METER_REFUSED;
	}
	if (a->trusted && -a->left < (int64_t)m->credit)
		return take_on_credit(m, a);
	return take_in_advance(m, a);
}

struct meter *
meter_new(const struct meter_options *options)
{
	struct meter *m = xcalloc(1, sizeof(*m));

	m->options = *options;
	m->credit = options->burst / CREDIT_SHARE;
	if (m->credit == 0)
		m->credit = 1;
	TAILQ_INIT(&m->by_use);
	return m;
}

void
meter_free(struct meter *m)
{
	struct account *a, *next;

	if (m == NULL)
		return;
	HASH_CLEAR(hh, m->table);
	for (a = TAILQ_FIRST(&m->by_use); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		free(a);
	}
	free(m);
}
