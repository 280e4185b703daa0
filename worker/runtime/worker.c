#include "worker/runtime/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/dns.h>
#include <event2/event.h>

#include "common/envelope.h"
#include "common/ident.h"
#include "common/redis.h"
#include "common/xalloc.h"
#include "worker/runtime/catalogue.h"
#include "worker/runtime/change.h"
#include "worker/runtime/heartbeat.h"
#include "worker/runtime/intake.h"
#include "worker/runtime/pipeline.h"
#include "worker/runtime/policy.h"
#include "worker/runtime/live_file.h"
#include "worker/runtime/ready_file.h"
#include "worker/runtime/shutdown.h"
#include "worker/runtime/watched.h"
#include "worker/runtime/worker_env.h"

#define REDIS_TIMEOUT_MS 5000
/* Unsent answers; more of them wait in their calls. */
#define REDIS_OUTPUT_MAX ((size_t)64 << 20)
#define REDIS_PENDING_MAX 4096
/* How exact deadlines are, and how soon a cancellation is heard of. */
#define TICK_MS 250
/*
 * Tells apart what one pod starts one after the other: a consumer's name may not
 * come again while the one before has entries. Among 30 of 16 bits, one start in
 * 2,000 took another's.
 */
#define START_SUFFIX_LEN 8
#define WORKER_NAME_MAX (OPTIONS_POD_MAX + 1 + START_SUFFIX_LEN)

struct worker {
	const struct worker_options *options;
	char name[WORKER_NAME_MAX + 1];
	struct env_keybuf key;
	struct slice requests_key;
	struct redis_url url;

	struct event_base *base;
	struct evdns_base *dns;
	struct event *tick;
	struct redis *commands;

	struct policy *policy;
	struct catalogue *catalogue;
	struct worker_env *env;
	struct changes *changes;
	struct watched *watched;     /* NULL: the API does not ask for it */
	struct pipeline *pipeline;
	struct intake *intake;
	struct heartbeat *heartbeat;
	struct shutdown *shutdown;
	struct ready_file ready_file;
	struct live_file live_file;
};

static bool
is_serving(const struct worker *w)
{
	return shutdown_state(w->shutdown) == SHUTDOWN_SERVING;
}

static size_t
calls_in_flight(const struct worker *w)
{
	return inflight_count(pipeline_inflight(w->pipeline));
}

/* Reads calls, and Redis is there to read them from. */
static void
update_ready(struct worker *w)
{
	ready_file_set(&w->ready_file, is_serving(w) &&
	    intake_is_open(w->intake) && redis_is_ready(w->commands));
}

static void
leave_when_drained(struct worker *w)
{
	if (!intake_is_open(w->intake) && calls_in_flight(w) == 0)
		shutdown_drained(w->shutdown);
}

/* News of the connection --------------------------------------------------- */

static void
on_commands_state(struct redis *redis UNUSED, bool ready, void *arg)
{
	struct worker *w = arg;
	enum shutdown_state state = shutdown_state(w->shutdown);

	if (state == SHUTDOWN_LEFT)
		return;
	if (ready && state != SHUTDOWN_LEAVING)
		heartbeat_beat(w->heartbeat);
	if (ready)
		pipeline_on_ready(w->pipeline);
	intake_commands_ready(w->intake, ready);
	update_ready(w);
}

/* News of calls ------------------------------------------------------------ */

static void
on_entry(const struct arrival *arrival, void *arg)
{
	struct worker *w = arg;

	pipeline_begin(w->pipeline, arrival);
}

static void
on_released(void *arg)
{
	struct worker *w = arg;

	intake_wake(w->intake);
}

static void
on_done(void *arg)
{
	struct worker *w = arg;

	intake_done(w->intake);
	leave_when_drained(w);
}

static void
on_stopped(void *arg)
{
	struct worker *w = arg;

	pipeline_hand_back(w->pipeline);
	leave_when_drained(w);
}

static void
on_tick(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct worker *w = arg;

	live_file_tick(&w->live_file);
	pipeline_tick(w->pipeline);
	intake_tick(w->intake);
	if (redis_is_ready(w->commands))
		changes_tick(w->changes);
	if (w->watched != NULL && worker_env_is_up(w->env))
		watched_tick(w->watched);
}

/* News of the API ---------------------------------------------------------- */

static void
on_published(void *arg)
{
	struct worker *w = arg;

	intake_regroup(w->intake);
}

static void
on_api_change(void *arg)
{
	struct worker *w = arg;

	if (!is_serving(w))
		return;
	if (worker_env_is_up(w->env) && !intake_is_open(w->intake))
		intake_open(w->intake);
	update_ready(w);
	heartbeat_beat(w->heartbeat);
}

static void
on_resource_changed(const char *uri, void *arg)
{
	struct worker *w = arg;

	changes_add(w->changes, uri);
}

static void
on_watched(const char *const *uris, size_t n, void *arg)
{
	struct worker *w = arg;

	worker_env_watch(w->env, uris, n);
}

/* Stopping ----------------------------------------------------------------- */

static void
on_drain(int number, void *arg)
{
	struct worker *w = arg;

	log_info("worker draining", LF("signal", strsignal(number)),
	    LF_N("in_flight", calls_in_flight(w)));
	update_ready(w);
	heartbeat_set_draining(w->heartbeat);
	pipeline_drain(w->pipeline);
	intake_stop(w->intake);
	leave_when_drained(w);
}

static void
on_cut(void *arg)
{
	struct worker *w = arg;

	pipeline_cut(w->pipeline);
}

static void
on_leave(void *arg)
{
	struct worker *w = arg;

	heartbeat_leave(w->heartbeat);
}

/* The heartbeat has withdrawn this worker. */
static void
on_withdrawn(void *arg)
{
	struct worker *w = arg;

	shutdown_left(w->shutdown);
}

static void
on_left(void *arg)
{
	struct worker *w = arg;

	event_base_loopbreak(w->base);
}

/* Making ----------------------------------------------------------------- */

static void
set_names(struct worker *w)
{
	char id[IDENT_HEX_LEN + 1];

	ident_hex(id);
	snprintf(w->name, sizeof(w->name), "%s.%.*s",
	    w->options->common.pod_name, START_SUFFIX_LEN, id);
	w->requests_key = env_key(&w->key, ENV_REQUESTS,
	    slice_str(catalogue_name(w->catalogue)));
}

static void
make_events(struct worker *w)
{
	w->base = event_base_new();
	if (w->base == NULL)
		abort();
	w->dns = evdns_base_new(w->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
	    EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
	if (w->tick == NULL)
		abort();
	w->shutdown = shutdown_new(&(struct shutdown_options){
		.base = w->base,
		.drain_timeout_s = w->options->drain_timeout_s,
		.on_drain = on_drain,
		.on_cut = on_cut,
		.on_leave = on_leave,
		.on_left = on_left,
		.arg = w,
	});
}

static struct redis_options
redis_options(struct worker *w)
{
	return (struct redis_options){
		.url = &w->url,
		.tls_ca_file = w->options->common.redis_tls_ca,
		.client_name = w->name,
		.command_timeout_ms = REDIS_TIMEOUT_MS,
		.connect_timeout_ms = REDIS_TIMEOUT_MS,
		.max_output_bytes = REDIS_OUTPUT_MAX,
		.max_pending = REDIS_PENDING_MAX,
		.on_state = on_commands_state,
		.arg = w,
	};
}

static void
make_pipeline(struct worker *w)
{
	w->pipeline = pipeline_new(&(struct pipeline_options){
		.base = w->base,
		.commands = w->commands,
		.settings = w->options,
		.policy = w->policy,
		.catalogue = w->catalogue,
		.env = w->env,
		.requests_key = w->requests_key,
		.worker = slice_str(w->name),
		.on_released = on_released,
		.on_done = on_done,
		.arg = w,
	});
}

static void
make_intake(struct worker *w)
{
	w->intake = intake_new(&(struct intake_options){
		.base = w->base,
		.dns = w->dns,
		.commands = w->commands,
		.redis = redis_options(w),
		.settings = w->options,
		.inflight = pipeline_inflight(w->pipeline),
		.requests_key = w->requests_key,
		.worker = slice_str(w->name),
		.on_entry = on_entry,
		.on_stopped = on_stopped,
		.arg = w,
	});
}

static void
make_heartbeat(struct worker *w)
{
	w->heartbeat = heartbeat_new(&(struct heartbeat_options){
		.base = w->base,
		.commands = w->commands,
		.catalogue = w->catalogue,
		.env = w->env,
		.inflight = pipeline_inflight(w->pipeline),
		.worker = w->name,
		.pod = w->options->common.pod_name,
		.concurrency = w->options->concurrency,
		.reclaim_idle_ms = worker_options_reclaim_idle_ms(w->options),
		.catalogue_ttl_ms = w->options->catalogue_ttl_s * UINT64_C(1000),
		.on_published = on_published,
		.on_left = on_withdrawn,
		.arg = w,
	});
}

static void
make_env(struct worker *w, const struct api *of, const void *own)
{
	w->env = worker_env_new(&(struct worker_env_options){
		.base = w->base,
		.dns = w->dns,
		.api = of,
		.name = catalogue_name(w->catalogue),
		.settings = own,
		.catalogue = w->catalogue,
		.on_change = on_api_change,
		.on_resource_changed = on_resource_changed,
		.arg = w,
	});
}

static void
make_subscriptions(struct worker *w, const struct api *of)
{
	const struct slice name = slice_str(catalogue_name(w->catalogue));

	w->changes = changes_new(w->commands, name);
	if (of->watch != NULL)
		w->watched = watched_new(&(struct watched_options){
			.commands = w->commands,
			.api = name,
			.on_change = on_watched,
			.arg = w,
		});
}

static bool
make_policy(struct worker *w)
{
	struct policy_options options = worker_options_policy(w->options);
	struct strbuf errors = STRBUF_INIT(4096);

	w->policy = policy_new(&options, &errors);
	if (w->policy == NULL)
		log_error("settings refused",
		    LF("reason", strbuf_str(&errors)));
	strbuf_release(&errors);
	return w->policy != NULL;
}

/* What settings or the API's tables may get wrong; logs what it was. */
static bool
read_settings(struct worker *w, const struct api *of)
{
	const char *name = w->options->api_name;
	const char *reason = NULL;

	if (!make_policy(w))
		return false;
	w->catalogue = catalogue_new(of, name != NULL ? name : of->name,
	    w->policy);
	if (w->catalogue == NULL)
		return false;
	if (redis_url_parse(w->options->common.redis_url, &w->url, &reason))
		return true;
	log_error("REDIS_URL refused", LF("reason", reason));
	return false;
}

struct worker *
worker_new(const struct api *of, const struct worker_options *options,
    const void *own)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	struct redis_options redis;

	w->options = options;
	ready_file_init(&w->ready_file, options->ready_file);
	live_file_init(&w->live_file, options->live_file);
	if (!read_settings(w, of))
		goto fail;
	set_names(w);
	make_events(w);
	make_env(w, of, own);
	redis = redis_options(w);
	w->commands = redis_new(w->base, w->dns, &redis);
	if (w->commands == NULL)
		goto fail;
	make_subscriptions(w, of);
	make_pipeline(w);
	make_intake(w);
	make_heartbeat(w);
	return w;
fail:
	worker_free(w);
	return NULL;
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	if (w->env != NULL)
		worker_env_close(w->env);
	/* Before the rest, so that its commands are called back while all is. */
	redis_free(w->commands);
	intake_free(w->intake);
	heartbeat_free(w->heartbeat);
	pipeline_free(w->pipeline);
	watched_free(w->watched);
	changes_free(w->changes);
	worker_env_free(w->env);
	catalogue_free(w->catalogue);
	policy_free(w->policy);
	shutdown_free(w->shutdown);
	if (w->tick != NULL)
		event_free(w->tick);
	if (w->dns != NULL)
		evdns_base_free(w->dns, 0);
	if (w->base != NULL)
		event_base_free(w->base);
	redis_url_release(&w->url);
	free(w);
}

/* Running ---------------------------------------------------------------- */

bool
worker_run(struct worker *w)
{
	const struct timeval every = { .tv_usec = TICK_MS * 1000 };
	const struct inflight_totals *totals;

	log_info("worker started",
	    LF("api", catalogue_name(w->catalogue)),
	    LF("worker", w->name),
	    LF("version", catalogue_version(w->catalogue)),
	    LF("redis", w->url.host));
	event_add(w->tick, &every);
	redis_open(w->commands);
	worker_env_open(w->env);
	event_base_dispatch(w->base);
	totals = inflight_totals(pipeline_inflight(w->pipeline));
	log_info("worker stopped",
	    LF("reason", shutdown_reason(w->shutdown)),
	    LF("worker", w->name), LF_N("done", totals->done),
	    LF_N("failed", totals->failed),
	    LF_N("unfinished", calls_in_flight(w)));
	return pipeline_stop(w->pipeline, SHUTDOWN_LEAVE_SECONDS * 1000);
}
