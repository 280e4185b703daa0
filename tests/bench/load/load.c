#include "tests/bench/load/load.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/xalloc.h"

/* Sessions are initialized that many at a time, whatever the load is later. */
#define SETUP_LANES 64
#define EXPIRE_EVERY_US 250000
/* After the last answer: a second one to the same call would come by then. */
#define LINGER_US 250000
#define BODY_MAX_BYTES (4u << 20)
/* Connections besides the sessions': POSTs, Redis, standard ones. */
#define FILES_SPARE 1024

void
load_init(struct load *load, const struct load_options *options)
{
	unsigned lanes = options->concurrency > SETUP_LANES
	    ? options->concurrency : SETUP_LANES;

	*load = (struct load){ .options = options, .lane_count = lanes };
	net_allow_files(options->sessions + (unsigned long)lanes *
	    options->posts + FILES_SPARE);
	io_loop_init(&load->loop);
	strbuf_init(&load->body, BODY_MAX_BYTES);
	load->sessions = xcalloc(options->sessions, sizeof(*load->sessions));
	for (unsigned i = 0; i < options->sessions; i++)
		session_init(&load->sessions[i], load, i);
	load->in_state[SESSION_NEW] = options->sessions;
	load->lanes = xcalloc(lanes, sizeof(*load->lanes));
	load->free_lanes = xcalloc(lanes, sizeof(struct lane *));
	for (unsigned i = 0; i < lanes; i++) {
		lane_init(&load->lanes[i], load);
		load_lane_free(load, &load->lanes[i]);
	}
}

void
load_release(struct load *load)
{
	for (unsigned i = 0; i < load->lane_count; i++)
		lane_release(&load->lanes[i]);
	for (unsigned i = 0; i < load->options->sessions; i++)
		session_release(&load->sessions[i]);
	free(load->free_lanes);
	free(load->lanes);
	free(load->sessions);
	strbuf_release(&load->body);
	close(load->loop.epfd);
}

void
load_lane_free(struct load *load, struct lane *lane)
{
	load->free_lanes[load->free_count++] = lane;
}

void
load_record(struct load *load, const struct lane *lane)
{
	load->completed++;
	hist_add(&load->latency, lane->answered_us - lane->started_us);
}

static unsigned
busy_lanes(const struct load *load)
{
	return load->lane_count - load->free_count;
}

static uint64_t
micros(double seconds)
{
	return (uint64_t)(seconds * 1e6);
}

static double
seconds_since(uint64_t from_us)
{
	return (double)(clock_mono_us() - from_us) / 1e6;
}

static void
mark(struct load *load, enum load_mark at)
{
	for (unsigned i = 0; i < load->options->pids; i++) {
		const struct load_pid *p = &load->options->pid[i];

		if (!procstat_read(p->pid, &load->marks[at][i])) {
			fprintf(stderr, "loadgen: cannot read process %s\n",
			    p->name);
			exit(2);
		}
	}
	if (!procstat_read(getpid(), &load->self[at]))
		die("/proc/self");
}

static void
expire(struct load *load)
{
	static uint64_t next_us;
	uint64_t now = clock_mono_us();
	uint64_t patience = micros(load->options->timeout_s);

	if (now < next_us)
		return;
	next_us = now + EXPIRE_EVERY_US;
	for (unsigned i = 0; i < load->lane_count; i++) {
		struct lane *lane = &load->lanes[i];

		if (lane->job != LANE_IDLE && now > lane->started_us + patience)
			lane_expire(lane);
	}
}

static void
turn(struct load *load, uint64_t timeout_us)
{
	io_turn(&load->loop, (int64_t)(timeout_us < EXPIRE_EVERY_US
	    ? timeout_us : EXPIRE_EVERY_US));
	expire(load);
}

/* Opening ---------------------------------------------------------------- */

static void
open_sessions(struct load *load)
{
	const struct load_options *o = load->options;
	uint64_t from = clock_mono_us();
	uint64_t progress_us = from;
	unsigned begun = 0;
	unsigned left = o->sessions;

	while (load->in_state[SESSION_NEW] + load->in_state[SESSION_OPENING] > 0) {
		while (begun < o->sessions &&
		    load->in_state[SESSION_OPENING] < o->open_window)
			session_open(&load->sessions[begun++]);
		turn(load, EXPIRE_EVERY_US);
		if (load->in_state[SESSION_OPENING] +
		    load->in_state[SESSION_NEW] < left) {
			left = load->in_state[SESSION_OPENING] +
			    load->in_state[SESSION_NEW];
			progress_us = clock_mono_us();
		} else if (seconds_since(progress_us) > o->timeout_s) {
			load_errors_add(&load->errors, LOAD_NO_ENDPOINT, begun,
			    SLICE("no endpoint event in time"));
			break;
		}
	}
	load->opened_s = seconds_since(from);
}

static void
initialize_sessions(struct load *load)
{
	unsigned begun = 0;

	while (begun < load->options->sessions || busy_lanes(load) > 0) {
		while (load->free_count > 0 && begun < load->options->sessions) {
			struct session *s = &load->sessions[begun++];

			if (s->state == SESSION_OPEN)
				lane_start(load->free_lanes[--load->free_count],
				    s, LANE_INITIALIZE, clock_mono_us());
		}
		turn(load, EXPIRE_EVERY_US);
	}
}

/* Calls ------------------------------------------------------------------ */

/* A phase of calls: by number or by time, in closed or open loop. */
struct phase {
	uint64_t from_us;
	uint64_t until_us;   /* when calls is 0 */
	uint64_t calls;
};

/* The next session that may take one more call; NULL when none may. */
static struct session *
next_session(struct load *load)
{
	const struct load_options *o = load->options;
	unsigned each = (o->concurrency + o->sessions - 1) / o->sessions;

	for (unsigned i = 0; i < o->sessions; i++) {
		struct session *s = &load->sessions[load->cursor];

		load->cursor = (load->cursor + 1) % o->sessions;
		if (s->state == SESSION_READY && s->in_flight < each)
			return s;
	}
	return NULL;
}

/* In open loop, when the next call is due; now in closed loop. */
static uint64_t
due_us(const struct load *load, const struct phase *phase, uint64_t now)
{
	if (load->options->rate <= 0)
		return now;
	return phase->from_us +
	    micros((double)load->sent / load->options->rate);
}

static bool
over(const struct load *load, const struct phase *phase, uint64_t now)
{
	if (load->in_state[SESSION_READY] == 0)
		return true;
	return phase->calls > 0 ? load->sent >= phase->calls
				: now >= phase->until_us;
}

/* Starts what is due; returns how long nothing more will be, in us. */
static uint64_t
send_calls(struct load *load, const struct phase *phase)
{
	/* A call that fails at once frees its lane: do not spin on it. */
	unsigned tries = load->lane_count;
	uint64_t now = clock_mono_us();

	while (tries-- > 0 && busy_lanes(load) < load->options->concurrency &&
	    !over(load, phase, now)) {
		uint64_t due = due_us(load, phase, now);
		struct session *s;

		if (due > now)
			return due - now;
		s = next_session(load);
		if (s == NULL)
			break;
		load->sent++;
		lane_start(load->free_lanes[--load->free_count], s, LANE_CALL,
		    due);
	}
	return EXPIRE_EVERY_US;
}

static void
run_phase(struct load *load, double seconds, uint64_t calls)
{
	uint64_t now = clock_mono_us();
	struct phase phase = { now, now + micros(seconds), calls };

	load->sent = 0;
	while (!over(load, &phase, now)) {
		uint64_t wait = send_calls(load, &phase);

		now = clock_mono_us();
		if (calls == 0 && now + wait > phase.until_us)
			wait = now < phase.until_us ? phase.until_us - now : 0;
		turn(load, wait);
		now = clock_mono_us();
	}
}

static void
drain(struct load *load)
{
	while (busy_lanes(load) > 0)
		turn(load, EXPIRE_EVERY_US);
}

static void
linger(struct load *load)
{
	uint64_t from = clock_mono_us();

	while (clock_mono_us() - from < LINGER_US)
		turn(load, LINGER_US);
}

static void
measure_calls(struct load *load)
{
	const struct load_options *o = load->options;
	uint64_t from;

	if (o->warmup_s > 0)
		run_phase(load, o->warmup_s, 0);
	mark(load, LOAD_MARK_BEGIN);
	from = clock_mono_us();
	load->measuring = true;
	run_phase(load, o->seconds, o->calls);
	if (o->calls > 0)
		drain(load);
	load->measured_s = seconds_since(from);
	mark(load, LOAD_MARK_END);
	/* Answers that are still to come are checked, but not counted. */
	load->measuring = false;
	drain(load);
	linger(load);
}

static void
measure_idle(struct load *load)
{
	uint64_t from = clock_mono_us();

	mark(load, LOAD_MARK_BEGIN);
	while (seconds_since(from) < load->options->idle_s)
		turn(load, EXPIRE_EVERY_US);
	load->measured_s = seconds_since(from);
	mark(load, LOAD_MARK_END);
}

static void
measure_opens(struct load *load)
{
	memcpy(load->marks[LOAD_MARK_BEGIN], load->marks[LOAD_MARK_START],
	    sizeof(load->marks[LOAD_MARK_BEGIN]));
	load->self[LOAD_MARK_BEGIN] = load->self[LOAD_MARK_START];
	load->measured_s = load->opened_s;
	mark(load, LOAD_MARK_END);
}

void
load_run(struct load *load)
{
	mark(load, LOAD_MARK_START);
	open_sessions(load);
	if (load->options->opens) {
		measure_opens(load);
		return;
	}
	initialize_sessions(load);
	if (load->options->idle_s > 0)
		measure_idle(load);
	else
		measure_calls(load);
}

/* Report ----------------------------------------------------------------- */

static double
share(double a, double b)
{
	return b > 0 ? a / b : 0;
}

/* What costs are divided by: calls, or sessions where there are no calls. */
static double
units(const struct load *load)
{
	return load->completed > 0 ? (double)load->completed
				   : (double)load->options->sessions;
}

static void
print_process(const struct load *load, FILE *to, const char *name,
    const struct procstat *start, const struct procstat *begin,
    const struct procstat *end)
{
	double cpu_s = end->cpu_s - begin->cpu_s;
	double grown_kb = (double)end->uss_kb - (double)start->uss_kb;

	fprintf(to, "\"%s\":{\"cpu_s\":%.2f,\"cpu_us_each\":%.2f,"
	    "\"rss_kb\":%lu,\"uss_kb\":%lu,\"uss_grown_kb\":%.0f,"
	    "\"uss_bytes_per_session\":%.0f}", name, cpu_s,
	    share(cpu_s * 1e6, units(load)), (unsigned long)end->rss_kb,
	    (unsigned long)end->uss_kb, grown_kb,
	    share(grown_kb * 1024, load->options->sessions));
}

static void
print_errors(const struct load_errors *errors, FILE *to)
{
	const char *comma = "";

	fprintf(to, "\"errors\":{");
	for (int kind = LOAD_OK + 1; kind < LOAD_ERROR_KINDS; kind++) {
		if (errors->count[kind] == 0)
			continue;
		fprintf(to, "%s\"%s\":%lu", comma, load_error_name(kind),
		    (unsigned long)errors->count[kind]);
		comma = ",";
	}
	fprintf(to, "}");
}

static void
print_figures(const struct load *load, FILE *to)
{
	unsigned opened = load->in_state[SESSION_OPEN] +
	    load->in_state[SESSION_READY];

	fprintf(to, "\"sessions\":%u,\"concurrency\":%u,\"opened\":%u,"
	    "\"opens_per_s\":%.0f,\"calls\":%lu,\"failed\":%lu,"
	    "\"verified\":%lu,\"seconds\":%.3f,\"rps\":%.1f,",
	    load->options->sessions, load->options->concurrency, opened,
	    share(opened, load->opened_s), (unsigned long)load->completed,
	    (unsigned long)load->failed, (unsigned long)load->verified,
	    load->measured_s,
	    share((double)load->completed, load->measured_s));
	fprintf(to, "\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,"
	    "\"max_ms\":%.3f,",
	    hist_percentile_ms(&load->latency, 0.50),
	    hist_percentile_ms(&load->latency, 0.90),
	    hist_percentile_ms(&load->latency, 0.99),
	    (double)load->latency.max_us / 1000);
}

void
load_print(const struct load *load, FILE *to)
{
	fprintf(to, "{");
	print_figures(load, to);
	print_errors(&load->errors, to);
	fprintf(to, ",\"processes\":{");
	for (unsigned i = 0; i < load->options->pids; i++) {
		print_process(load, to, load->options->pid[i].name,
		    &load->marks[LOAD_MARK_START][i],
		    &load->marks[LOAD_MARK_BEGIN][i],
		    &load->marks[LOAD_MARK_END][i]);
		fprintf(to, ",");
	}
	print_process(load, to, "loadgen", &load->self[LOAD_MARK_START],
	    &load->self[LOAD_MARK_BEGIN], &load->self[LOAD_MARK_END]);
	fprintf(to, "}}\n");
}
