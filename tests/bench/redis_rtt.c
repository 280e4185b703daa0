/*
 * The bare Redis streams round trip: XADD a request, XREADGROUP it in another
 * process, XADD the answer, XREAD it; no HTTP at all. Both ends work in batches,
 * as the proxy and its workers do; every answer is checked.
 *
 *	redis_rtt --redis 127.0.0.1:6379 --concurrency 64 --seconds 5
 *	    [--redis-pid PID]
 *
 * Prints one JSON object. Exit status as the load generator's.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "tests/bench/lib/bare.h"
#include "tests/bench/lib/hist.h"
#include "tests/bench/lib/procstat.h"
#include "tests/bench/load/message.h"

#define TEXT_BYTES 64
#define MESSAGE_MAX_BYTES 4096
#define CONCURRENCY_MAX 16384

enum { CLIENT, WORKER, REDIS, PROCESSES };
static const char *const process_names[PROCESSES] = { "client", "worker",
	"redis" };

struct slot {
	uint64_t id;          /* of the call in flight, 0: none */
	uint64_t started_us;
};

struct rtt {
	struct bare_worker worker;
	unsigned concurrency;
	double seconds;
	double warmup_s;
	pid_t pid[PROCESSES];     /* 0: not measured */
	redisContext *requests;   /* XADD */
	redisContext *replies;    /* XREAD BLOCK */
	char last_id[32];
	struct slot slots[CONCURRENCY_MAX];
	unsigned in_flight;
	uint64_t next_id;
	uint64_t completed;       /* while measuring */
	uint64_t verified;        /* warm-up included */
	struct hist latency;
	struct load_errors errors;
	struct strbuf body;
};

static void
send_call(struct rtt *r, unsigned i)
{
	char session[12];
	int n = snprintf(session, sizeof(session), "%u", i);
	const char *argv[] = { "XADD", BARE_REQUESTS, "*", "s", session, "r",
		"0", "p", NULL };
	size_t len[] = { 4, sizeof(BARE_REQUESTS) - 1, 1, 1, (size_t)n, 1, 1, 1,
		0 };

	r->slots[i] = (struct slot){ r->next_id++, clock_mono_us() };
	strbuf_reset(&r->body);
	message_call(&r->body, "echo", "text", i, r->slots[i].id, TEXT_BYTES);
	argv[8] = r->body.p;
	len[8] = r->body.n;
	if (redisAppendCommandArgv(r->requests, (int)ARRAY_LEN(argv), argv,
	    len) != REDIS_OK)
		die("XADD");
	r->in_flight++;
}

/* Fills the free slots; returns how many XADDs now wait for their reply. */
static unsigned
send_calls(struct rtt *r)
{
	unsigned sent = 0;

	for (unsigned i = 0; i < r->concurrency; i++) {
		if (r->slots[i].id != 0)
			continue;
		send_call(r, i);
		sent++;
	}
	return sent;
}

static enum load_error
check(const struct rtt *r, unsigned i, struct slice payload)
{
	struct message m;
	enum load_error error = message_read(payload, &m);

	if (error != LOAD_OK)
		return error;
	if (i >= r->concurrency || r->slots[i].id != m.id)
		return message_classify(&m, i, r->next_id);
	return message_check_call(&m, i, TEXT_BYTES);
}

static void
take_answer(struct rtt *r, const redisReply *session, const redisReply *payload)
{
	unsigned i = (unsigned)strtoul(session->str, NULL, 10);
	struct slice text = slice_of(payload->str, (size_t)payload->len);
	enum load_error error = check(r, i, text);

	if (error != LOAD_OK) {
		load_errors_add(&r->errors, error, i, text);
		return;
	}
	r->completed++;
	r->verified++;
	hist_add(&r->latency, clock_mono_us() - r->slots[i].started_us);
	r->slots[i].id = 0;
	r->in_flight--;
}

static void
take_answers(struct rtt *r, const redisReply *reply)
{
	const redisReply *entries;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
		load_errors_add(&r->errors, LOAD_MISSING, 0,
		    SLICE("no answer in time"));
		return;
	}
	entries = reply->element[0]->element[1];
	for (size_t i = 0; i < entries->elements; i++) {
		const redisReply *fields = entries->element[i]->element[1];

		for (size_t j = 3; j < fields->elements; j += 4)
			take_answer(r, fields->element[j - 2],
			    fields->element[j]);
		snprintf(r->last_id, sizeof(r->last_id), "%s",
		    entries->element[i]->element[0]->str);
	}
}

/* One turn: both commands are under way before either is waited for. */
static void
turn(struct rtt *r, bool send)
{
	unsigned sent = send ? send_calls(r) : 0;
	redisReply *reply;

	bare_flush(r->requests);
	if (redisAppendCommand(r->replies, "XREAD COUNT %d BLOCK 5000 STREAMS "
	    BARE_REPLIES "0 %s", BARE_BATCH, r->last_id) != REDIS_OK)
		die("XREAD");
	bare_flush(r->replies);
	while (sent-- > 0)
		freeReplyObject(bare_reply(r->requests));
	reply = bare_reply(r->replies);
	take_answers(r, reply);
	freeReplyObject(reply);
}

static double
run_for(struct rtt *r, double seconds)
{
	uint64_t from = clock_mono_us();
	uint64_t until = from + (uint64_t)(seconds * 1e6);

	while (clock_mono_us() < until && r->errors.total == 0)
		turn(r, true);
	return (double)(clock_mono_us() - from) / 1e6;
}

static void
look(const struct rtt *r, struct procstat at[PROCESSES])
{
	for (int i = 0; i < PROCESSES; i++) {
		if (r->pid[i] != 0 && !procstat_read(r->pid[i], &at[i]))
			die("/proc");
	}
}

static void
print(const struct rtt *r, double seconds, const struct procstat *before,
    const struct procstat *after)
{
	double calls = r->completed ? (double)r->completed : 1;
	const char *comma = "";

	printf("{\"concurrency\":%u,\"calls\":%lu,\"verified\":%lu,\"seconds\":%.3f,"
	    "\"rps\":%.1f,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,"
	    "\"max_ms\":%.3f,\"errors\":%lu,\"processes\":{", r->concurrency,
	    (unsigned long)r->completed, (unsigned long)r->verified, seconds,
	    (double)r->completed / seconds,
	    hist_percentile_ms(&r->latency, 0.50),
	    hist_percentile_ms(&r->latency, 0.90),
	    hist_percentile_ms(&r->latency, 0.99),
	    (double)r->latency.max_us / 1000, (unsigned long)r->errors.total);
	for (int i = 0; i < PROCESSES; i++) {
		double cpu_s = after[i].cpu_s - before[i].cpu_s;

		if (r->pid[i] == 0)
			continue;
		printf("%s\"%s\":{\"cpu_s\":%.2f,\"cpu_us_each\":%.2f}", comma,
		    process_names[i], cpu_s, cpu_s * 1e6 / calls);
		comma = ",";
	}
	printf("}}\n");
}

static void
measure(struct rtt *r)
{
	static struct procstat before[PROCESSES], after[PROCESSES];
	double seconds;

	run_for(r, r->warmup_s);
	r->completed = 0;
	r->latency = (struct hist){ .count = 0 };
	look(r, before);
	seconds = run_for(r, r->seconds);
	look(r, after);
	print(r, seconds, before, after);
	while (r->in_flight > 0 && r->errors.total == 0)
		turn(r, false);
}

static void
parse(struct rtt *r, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "redis", required_argument, NULL, 'r' },
		{ "concurrency", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "warmup", required_argument, NULL, 'w' },
		{ "redis-pid", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	bool right = true;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'r')
			right = right && net_addr_parse(optarg, &r->worker.redis);
		else if (c == 'c')
			r->concurrency = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 's')
			r->seconds = strtod(optarg, NULL);
		else if (c == 'w')
			r->warmup_s = strtod(optarg, NULL);
		else if (c == 'p')
			r->pid[REDIS] = (pid_t)strtoul(optarg, NULL, 10);
		else
			right = false;
	}
	if (right && r->worker.redis.in.sin_port != 0 && r->concurrency > 0 &&
	    r->concurrency <= CONCURRENCY_MAX && optind == argc)
		return;
	fprintf(stderr, "usage: redis_rtt --redis HOST:PORT [--concurrency C] "
	    "[--seconds S] [--warmup S] [--redis-pid PID]\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	static struct rtt r = { .concurrency = 64, .seconds = 5, .warmup_s = 1,
		.last_id = "0-0", .next_id = 1 };

	parse(&r, argc, argv);
	strbuf_init(&r.body, MESSAGE_MAX_BYTES);
	r.requests = bare_connect(&r.worker.redis);
	r.replies = bare_connect(&r.worker.redis);
	bare_reset(r.requests);
	r.pid[CLIENT] = getpid();
	r.pid[WORKER] = bare_worker_fork(&r.worker);
	measure(&r);
	return r.errors.total == 0 ? 0 : 1;
}
