#include "worker/runtime/counter_report.h"

#include <stdlib.h>

#include "common/envelope.h"
#include "common/xalloc.h"

/* KEYS: counters. ARGV: their TTL (ms), then fields with what to add. */
static const struct redis_script add_script = {
	.name = "counters add",
	.body =
	"for i = 2, #ARGV, 2 do\n"
	"	redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])\n"
	"end\n"
	"return redis.call('PEXPIRE', KEYS[1], ARGV[1])\n",
};

#define FIXED_ARGC 2

struct counter_report {
	struct redis *commands;
	struct env_keybuf keybuf;
	struct slice key;
	const uint64_t *counters;
	uint64_t sent[API_COUNTERS];   /* confirmed, or on its way */
};

/* On its way. */
struct addition {
	struct counter_report *report;
	uint64_t by[API_COUNTERS];
};

struct counter_report *
counter_report_new(struct redis *commands, struct slice api,
    const uint64_t *counters)
{
	struct counter_report *r = xcalloc(1, sizeof(*r));

	r->commands = commands;
	r->key = env_key(&r->keybuf, ENV_COUNTERS, api);
	r->counters = counters;
	return r;
}

void
counter_report_free(struct counter_report *r)
{
	free(r);
}

static void
end(struct addition *take_addition, bool confirmed)
{
	struct addition *a = take_addition;

	for (size_t i = 0; i < API_COUNTERS && !confirmed; i++)
		a->report->sent[i] -= a->by[i];
	free(a);
}

static void
on_added(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	end(arg, reply != NULL && reply->type != REDIS_REPLY_ERROR);
}

static uint64_t
now_of(const struct counter_report *r, size_t i)
{
	return i == API_WORKERS_STARTED ? 1 : r->counters[i];
}

void
counter_report_send(struct counter_report *r)
{
	struct addition *a = xcalloc(1, sizeof(*a));
	struct slice argv[FIXED_ARGC + 2 * API_COUNTERS] = { r->key,
		SLICE(API_COUNTERS_TTL_MS) };
	char numbers[API_COUNTERS][20];
	size_t argc = FIXED_ARGC;

	a->report = r;
	for (size_t i = 0; i < API_COUNTERS; i++) {
		a->by[i] = now_of(r, i) - r->sent[i];
		if (a->by[i] == 0)
			continue;
		argv[argc++] = slice_str(api_counter_fields[i]);
		argv[argc++] = u64_slice(numbers[i], a->by[i]);
		r->sent[i] += a->by[i];
	}
	if (argc == FIXED_ARGC || !redis_eval(r->commands, &add_script, argv,
	    argc, 1, on_added, a))
		end(a, false);
}
