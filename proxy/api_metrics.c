#include "proxy/api_metrics.h"

#include <stdlib.h>

#include "common/api_counters.h"
#include "common/clock.h"
#include "common/envelope.h"
#include "common/metrics.h"
#include "common/xalloc.h"
#include "proxy/api_state.h"

/* Read anew after this. */
#define FRESH_MS 1000
/* Heartbeats that are read of one API. */
#define WORKERS_MAX 1000
/* Ten kilobytes are what one API takes. */
#define TEXT_MAX ((size_t)4 << 20)

/* What is shown of an API: gauges, then the counters that are kept of it. */
enum value {
	QUEUE_LENGTH,
	QUEUE_OLDEST,
	DEAD_LETTERS,
	WORKERS_UP,
	WORKERS_STARTING,
	WORKERS_FAILED,
	WORKERS_DRAINING,
	CALLS_RUNNING,
	CONCURRENCY,
	COUNTERS,
	VALUES = COUNTERS + API_COUNTERS
};

/* Those without a name are shown in another form: see add_histograms(). */
static const struct metric_def defs[VALUES] = {
	[QUEUE_LENGTH] = { "queue_length", NULL, METRIC_GAUGE,
	    "Calls queued and running: what to scale on." },
	[QUEUE_OLDEST] = { "queue_oldest_age_seconds", NULL, METRIC_GAUGE,
	    "Since the oldest of these calls was queued." },
	[DEAD_LETTERS] = { "dead_letters", NULL, METRIC_GAUGE,
	    "Calls in the dead-letter stream." },
	[WORKERS_UP] = { "workers", "state=\"up\"", METRIC_GAUGE,
	    "Workers that beat." },
	[WORKERS_STARTING] = { "workers", "state=\"starting\"", METRIC_GAUGE,
	    NULL },
	[WORKERS_FAILED] = { "workers", "state=\"failed\"", METRIC_GAUGE, NULL },
	[WORKERS_DRAINING] = { "workers", "state=\"draining\"", METRIC_GAUGE,
	    NULL },
	[CALLS_RUNNING] = { "calls_running", NULL, METRIC_GAUGE,
	    "Calls that tools have in hand." },
	[CONCURRENCY] = { "concurrency", NULL, METRIC_GAUGE,
	    "Calls that the workers that take calls run at once at most." },
	[COUNTERS + API_CALLS_OK] = { "calls_total", "outcome=\"ok\"",
	    METRIC_COUNTER, "Calls that workers ended, by what became of them." },
	[COUNTERS + API_CALLS_TOOL_ERROR] = { "calls_total",
	    "outcome=\"tool_error\"", METRIC_COUNTER, NULL },
	[COUNTERS + API_CALLS_REFUSED] = { "calls_total",
	    "outcome=\"refused\"", METRIC_COUNTER, NULL },
	[COUNTERS + API_CALLS_TIMEOUT] = { "calls_total",
	    "outcome=\"timeout\"", METRIC_COUNTER, NULL },
	[COUNTERS + API_CALLS_UNKNOWN] = { "calls_total",
	    "outcome=\"unknown\"", METRIC_COUNTER, NULL },
	[COUNTERS + API_CALLS_GIVEN_UP] = { "calls_total",
	    "outcome=\"given_up\"", METRIC_COUNTER, NULL },
	[COUNTERS + API_CALLS_CANCELLED] = { "calls_total",
	    "outcome=\"cancelled\"", METRIC_COUNTER, NULL },
	[COUNTERS + API_CALLS_REPEATED] = { "calls_repeated_total", NULL,
	    METRIC_COUNTER, "Calls begun again after a worker was lost." },
	[COUNTERS + API_CALLS_EXPIRED] = { "calls_expired_total", NULL,
	    METRIC_COUNTER,
	    "Calls that no worker answered in time: the proxies did." },
	[COUNTERS + API_WORKERS_STARTED] = { "worker_starts_total", NULL,
	    METRIC_COUNTER, "Workers that have started." },
};

struct row {
	char name[API_NAME_MAX + 1];
	bool read;                     /* all below is from Redis */
	uint64_t values[VALUES];
};

struct api_metrics {
	struct api_metrics_options options;
	struct strbuf text;
	uint64_t read_ms;              /* monotonic; 0: never */
	/* While it reads. */
	api_metrics_cb *cb;
	void *arg;
	struct row *rows;
	size_t count;
};

/* Reading ---------------------------------------------------------------- */

static void
on_queue(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct row *row = target;
	struct api_queue queue;

	(void)g;
	(void)arg;
	if (!api_state_read_queue(reply, &queue))
		return;
	row->values[QUEUE_LENGTH] = queue.length;
	row->values[QUEUE_OLDEST] = queue.oldest_ms / 1000;
	row->values[DEAD_LETTERS] = queue.dead_letters;
	row->read = true;
}

static uint64_t
number(struct slice text)
{
	uint64_t n;

	return env_number(text, &n) ? n : 0;
}

static enum value
state_of(const redisReply *hash)
{
	struct slice state = env_field(hash, "state");

	if (api_state_is_draining(hash))
		return WORKERS_DRAINING;
	if (slice_eq_str(state, "up"))
		return WORKERS_UP;
	return slice_eq_str(state, "failed") ? WORKERS_FAILED :
	    WORKERS_STARTING;
}

static void
on_worker(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct row *row = target;
	enum value state;

	(void)g;
	(void)arg;
	/* It left between the two questions. */
	if (reply->elements == 0)
		return;
	state = state_of(reply);
	row->values[state]++;
	row->values[CALLS_RUNNING] += number(env_field(reply, "running"));
	if (state == WORKERS_UP)
		row->values[CONCURRENCY] +=
		    number(env_field(reply, "concurrency"));
}

static void
on_workers(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct row *row = target;

	(void)arg;
	for (size_t i = 0; i < reply->elements; i++)
		api_state_ask_worker(g, row->name,
		    redis_slice(reply->element[i]), on_worker, row);
}

static void
on_counters(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct row *row = target;

	(void)g;
	(void)arg;
	for (size_t i = 0; i < API_COUNTERS; i++)
		row->values[COUNTERS + i] =
		    number(env_field(reply, api_counter_fields[i]));
}

static void
ask(struct gather *g, struct row *row)
{
	struct env_keybuf key;
	struct slice counters[] = { SLICE("HGETALL"),
		env_key(&key, ENV_COUNTERS, slice_str(row->name)) };

	api_state_ask_queue(g, row->name, on_queue, row);
	api_state_ask_workers(g, row->name, WORKERS_MAX, on_workers, row);
	gather_send(g, counters, ARRAY_LEN(counters), on_counters, row);
}

static void
make_rows(struct api_metrics *m)
{
	const char *name;

	m->count = 0;
	while (catalog_api_name(m->options.catalog, m->count) != NULL)
		m->count++;
	m->rows = xcalloc(m->count + 1, sizeof(*m->rows));
	for (size_t i = 0; i < m->count; i++) {
		name = catalog_api_name(m->options.catalog, i);
		snprintf(m->rows[i].name, sizeof(m->rows[i].name), "%s", name);
	}
}

/* Showing ---------------------------------------------------------------- */

#define PREFIX "mcp_api_"

static void
add_samples(struct api_metrics *m, enum value which)
{
	const struct metric_def *def = &defs[which];

	for (const struct row *row = m->rows; row < m->rows + m->count; row++) {
		if (row->read)
			strbuf_addf(&m->text, PREFIX "%s{api=\"%s\"%s%s} "
			    "%llu\n", def->name, row->name,
			    def->labels ? "," : "",
			    def->labels ? def->labels : "",
			    (unsigned long long)row->values[which]);
	}
}

static void
add_families(struct api_metrics *m)
{
	for (size_t i = 0; i < VALUES; i++) {
		if (defs[i].name == NULL)
			continue;
		if (defs[i].help != NULL)
			metrics_add_family(&m->text, PREFIX, &defs[i]);
		add_samples(m, i);
	}
}

/* Every call that ended has a duration. */
static uint64_t
calls_ended(const uint64_t *counters)
{
	uint64_t sum = 0;

	for (size_t i = API_CALLS_OK; i <= API_CALLS_CANCELLED; i++)
		sum += counters[i];
	return sum;
}

static const struct metric_def durations = { "call_duration_seconds", NULL,
	METRIC_HISTOGRAM, "From a call's queueing to its end." };

static void
add_histogram(struct strbuf *sb, const char *api, const uint64_t *counters)
{
	unsigned long long all = calls_ended(counters), below = 0;

	for (size_t i = 0; i < API_BUCKETS; i++) {
		below += counters[API_CALL_LE + i];
		strbuf_addf(sb, PREFIX "%s_bucket{api=\"%s\",le=\"%g\"} "
		    "%llu\n", durations.name, api, api_bucket_ms[i] / 1e3,
		    below);
	}
	strbuf_addf(sb, PREFIX "%s_bucket{api=\"%s\",le=\"+Inf\"} %llu\n",
	    durations.name, api, all);
	strbuf_addf(sb, PREFIX "%s_sum{api=\"%s\"} %.3f\n", durations.name,
	    api, (double)counters[API_CALL_MS] / 1e3);
	strbuf_addf(sb, PREFIX "%s_count{api=\"%s\"} %llu\n", durations.name,
	    api, all);
}

static void
add_histograms(struct api_metrics *m)
{
	metrics_add_family(&m->text, PREFIX, &durations);
	for (size_t i = 0; i < m->count; i++) {
		if (m->rows[i].read)
			add_histogram(&m->text, m->rows[i].name,
			    m->rows[i].values + COUNTERS);
	}
}

/* Redis lost what it was asked: better nothing than numbers that lack some. */
static void
forget_rows(struct api_metrics *m)
{
	for (size_t i = 0; i < m->count; i++)
		m->rows[i].read = false;
}

static void
on_done(bool whole, void *arg)
{
	struct api_metrics *m = arg;
	api_metrics_cb *cb = m->cb;

	if (!whole)
		forget_rows(m);
	strbuf_reset(&m->text);
	add_families(m);
	add_histograms(m);
	free(m->rows);
	m->rows = NULL;
	m->count = 0;
	m->cb = NULL;
	m->read_ms = clock_mono_ms();
	cb(strbuf_slice(&m->text), m->arg);
}

void
api_metrics_read(struct api_metrics *m, api_metrics_cb *cb, void *arg)
{
	bool fresh = m->read_ms != 0 &&
	    clock_mono_ms() - m->read_ms < FRESH_MS;
	struct gather *g;

	if (m->cb != NULL || fresh) {
		cb(strbuf_slice(&m->text), arg);
		return;
	}
	m->cb = cb;
	m->arg = arg;
	make_rows(m);
	g = gather_new(m->options.base, m->options.commands,
	    m->options.deadline_ms, on_done, m);
	for (size_t i = 0; i < m->count; i++)
		ask(g, &m->rows[i]);
	gather_start(g);
}

struct api_metrics *
api_metrics_new(const struct api_metrics_options *options)
{
	struct api_metrics *m = xcalloc(1, sizeof(*m));

	m->options = *options;
	strbuf_init(&m->text, TEXT_MAX);
	return m;
}

void
api_metrics_free(struct api_metrics *m)
{
	if (m == NULL)
		return;
	strbuf_release(&m->text);
	free(m);
}
