#include "proxy/loop_private.h"

#include <errno.h>
#include <sys/resource.h>

#include "common/log.h"
#include "proxy/api_metrics.h"
#include "proxy/catalog.h"
#include "proxy/cleaner.h"
#include "proxy/directory.h"
#include "proxy/fleet.h"
#include "proxy/gate.h"
#include "proxy/http_server.h"
#include "proxy/inbox.h"
#include "proxy/janitor.h"
#include "proxy/outbox.h"
#include "proxy/pod.h"
#include "proxy/post.h"
#include "proxy/principal.h"
#include "proxy/session_api.h"
#include "proxy/stray.h"
#include "proxy/sweep.h"

/* Above the BLOCK time of the inbox's XREAD by as much as a command may take. */
#define READER_TIMEOUT_MS 10000
#define CONNECT_TIMEOUT_MS 5000
#define REDIS_OUTPUT_MAX (64u * 1024 * 1024)
#define REDIS_PENDING_MAX 200000
/* Files that are not client connections: Redis, epoll, logs, DNS. */
#define FILES_RESERVED 64
/* What a tool of the proxy's own may take to ask Redis, within a POST's wait. */
#define SESSION_API_MS(wait_ms) ((wait_ms) / 2)
/* Scrapes give up after seconds, and must show the rest when Redis is stuck. */
#define API_METRICS_MS 1000
/* An answer made here: one page of a large catalogue. */
#define ANSWER_MAX (16u * 1024 * 1024)

/* Redis ------------------------------------------------------------------- */

static void
on_redis_state(struct redis *r, bool ready, void *arg)
{
	struct loop *loop = arg;

	(void)r;
	if (!ready) {
		stat_add(loop->stats, STAT_REDIS_LOST, 1);
		return;
	}
	pod_hurry(loop->pod);
	principals_on_ready(loop->principals);
	sessions_on_ready(loop->sessions);
	posts_on_ready(loop->posts);
}

static void
on_redis_data_lost(void *arg)
{
	struct loop *loop = arg;

	inbox_reread(loop->inbox);
	principals_on_ready(loop->principals);
	sessions_rebuild(loop->sessions);
	quota_rebuild(loop->quota);
}

static void
make_redis(struct loop *loop)
{
	const struct options *o = loop->process->options;
	struct redis_options options = {
		.url = &loop->process->redis_url,
		.tls_ca_file = o->common.redis_tls_ca,
		.client_name = loop->name,
		.command_timeout_ms = o->redis_wait_s * 1000,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.max_output_bytes = REDIS_OUTPUT_MAX,
		.max_pending = REDIS_PENDING_MAX,
		.on_state = on_redis_state,
		.arg = loop,
	};

	loop->redis = redis_new(loop->base, loop->dns, &options);
	options.command_timeout_ms = READER_TIMEOUT_MS;
	loop->inbox = inbox_new(loop->base, loop->dns, loop->redis, &options,
	    slice_str(loop->name), loop_on_message, loop);
}

/* Sessions ------------------------------------------------------------------ */

static void
make_strays(struct loop *loop)
{
	struct stray_options strays = {
		.pod = slice_str(loop->name),
		.directory = loop->directory,
		.outbox = loop->outbox,
		.fleet = loop->fleet,
		.sessions = loop->sessions,
		.commands = loop->redis,
		.stats = loop->stats,
	};
	struct sweep_options sweeps = {
		.commands = loop->redis,
		.fleet = loop->fleet,
		.pod = slice_str(loop->name),
		.stats = loop->stats,
		.pass_on = loop_on_left_message,
		.is_here = loop_holds_session,
		.arg = loop,
	};

	loop->strays = strays_new(&strays);
	loop->sweeps = sweeps_new(&sweeps);
}

static void
make_sessions(struct loop *loop)
{
	const struct options *o = loop->process->options;
	struct session_options sessions = {
		.commands = loop->redis,
		.directory = directory_new(loop->redis),
		.outbox = outbox_new(loop->base, loop->redis),
		.quota = loop->quota,
		.pod = slice_str(loop->name),
		.ttl_ms = o->session_ttl_s * 1000,
		.unused_ttl_ms = o->session_unused_s * 1000,
		.ping_interval_ms = o->ping_interval_s * 1000,
		.window_ms = o->session_reuse_s * 1000,
		.recoveries_max = o->session_recovery_max,
		.max_age_ms = o->stream_max_age_s * 1000ull,
		.retry_ms = o->retry_ms,
		.max_buffer = o->max_buffer,
		.inbox = inbox_reading(loop->inbox),
		.fleet = loop->fleet,
		.stats = loop->stats,
		.stray = loop_on_stray,
		.taken_over = loop_on_taken_over,
		.arg = loop,
	};

	loop->outbox = sessions.outbox;
	loop->directory = sessions.directory;
	loop->sessions = sessions_new(&sessions);
	make_strays(loop);
}

/* Who may do what ------------------------------------------------------------ */

/* The secret of user hashes is there, or another one: who is who anew. */
static void
on_users_known(void *arg)
{
	struct loop *loop = arg;

	gate_forget(loop->gate);
}

/* A bucket has answered. */
static void
on_metered(void *arg)
{
	struct loop *loop = arg;

	gate_retry(loop->gate);
	posts_on_metered(loop->posts);
}

static void
make_limits(struct loop *loop)
{
	const struct options *o = loop->process->options;
	struct limit_options limits = {
		.commands = loop->redis,
		.principals = loop->principals,
		.stats = loop->stats,
		.on_answer = on_metered,
		.arg = loop,
		.at_most = {
			[LIMIT_USER_RATE] = o->user_rate,
			[LIMIT_IP_RATE] = o->ip_rate,
			[LIMIT_USER_STREAMS] = o->user_max_streams,
			[LIMIT_USER_SESSIONS] = o->user_max_sessions,
			[LIMIT_USER_CALLS] = o->user_max_calls,
		},
		.user_burst = o->user_burst,
		.ip_burst = o->ip_burst,
	};
	struct quota_options quota = {
		.commands = loop->redis,
		.pod = slice_str(loop->name),
		.heads = { o->max_header, o->max_uri, o->max_body },
		.stats = loop->stats,
	};

	loop->principals = principals_new(loop->redis, o->user_hash_secret,
	    on_users_known, loop);
	limits.principals = loop->principals;
	loop->limits = limits_new(&limits);
	loop->fleet = fleet_new(loop->redis);
	quota.limits = loop->limits;
	quota.fleet = loop->fleet;
	loop->quota = quota_new(&quota);
}

static void
make_gate(struct loop *loop)
{
	const struct options *o = loop->process->options;
	struct gate_options gate = {
		.base = loop->base,
		.wait_ms = o->redis_wait_s * 1000,
		.limits = { o->max_header, o->max_uri, o->max_body },
		.commands = loop->redis,
		.stats = loop->stats,
		.admitted = router_admitted,
		.arg = &loop->router,
		.trusted_hops = o->trusted_hops,
		.closed = !o->anonymous,
		.anonymous_scopes = o->anonymous_scopes,
		.jwt_secret_key = o->jwt_secret_key,
		.jwt_public_key = o->jwt_public_key,
		.jwt_jwks = o->jwt_jwks,
		.jwt_jwks_ca = o->jwt_jwks_ca,
		.jwt_rules = { o->jwt_issuer, o->jwt_audience,
		    o->jwt_default_scopes },
		.database_url = o->database_url,
		.dns = loop->dns,
		.key_outage_ms = o->api_key_outage_s * 1000,
		.public_url = o->public_url,
		.allowed_origins = o->allowed_origins,
		.allowed_hosts = o->allowed_hosts,
	};

	loop->catalog = catalog_new(loop->redis, o->list_page_size);
	gate.catalog = loop->catalog;
	gate.principals = loop->principals;
	gate.rates = loop->limits;
	loop->gate = gate_new(&gate);
}

/* Posts and what answers them ------------------------------------------------ */

static void
on_lists_changed(struct slice api, unsigned changes, void *arg)
{
	struct loop *loop = arg;

	sessions_list_changed(loop->sessions, api, changes);
}

static void
on_resource_changed(struct slice api, struct slice uri, void *arg)
{
	struct loop *loop = arg;

	sessions_resource_changed(loop->sessions, api, uri);
}

static void
make_posts(struct loop *loop)
{
	const struct options *o = loop->process->options;
	struct post_options posts = {
		.pod = slice_str(loop->name),
		.commands = loop->redis,
		.sessions = loop->sessions,
		.directory = loop->directory,
		.outbox = loop->outbox,
		.fleet = loop->fleet,
		.window_ms = o->session_reuse_s * 1000,
		.wait_ms = o->redis_wait_s * 1000,
		.call_timeout_ms = o->call_timeout_s * 1000,
		.queue_max = o->queue_max,
		.max_answer = ANSWER_MAX,
		.public_url = o->public_url,
		.forward_headers = o->forward_headers,
		.stats = loop->stats,
	};

	loop->survey = survey_new(loop->redis, loop->catalog,
	    slice_str(loop->name));
	sessions_set_survey(loop->sessions, loop->survey, loop->catalog);
	loop->pod = pod_new(loop->redis, slice_str(loop->name),
	    on_redis_data_lost, loop);
	catalog_set_pod(loop->catalog, loop->pod);
	catalog_set_news(loop->catalog, &(struct catalog_news){
		on_lists_changed, on_resource_changed, loop });
	loop->janitor = janitor_new(&(struct janitor_options){
		slice_str(loop->name), loop->redis, loop->catalog, loop->outbox });
	loop->cleaner = cleaner_new(&(struct cleaner_options){
		slice_str(loop->name), loop->redis, loop->catalog,
		CLEANER_CONSUMER_IDLE_MS, loop->stats });
	loop->session_api = session_api_new(&(struct session_api_options){
		loop->base, loop->redis, loop->fleet, loop->catalog,
		SESSION_API_MS(posts.wait_ms) });
	loop->api_metrics = api_metrics_new(&(struct api_metrics_options){
		loop->base, loop->redis, loop->catalog, API_METRICS_MS });
	posts.session_api = loop->session_api;
	posts.catalog = loop->catalog;
	posts.self = loop->pod;
	posts.limits = loop->limits;
	loop->posts = posts_new(&posts);
	loop->router = (struct router){
		.gate = loop->gate,
		.sse = { loop->sessions, loop->posts, loop->catalog,
		    loop->quota },
		.resource = { loop->catalog, o->public_url,
		    o->authorization_servers },
		.admin = { loop->process, loop->api_metrics },
	};
}

/* The listener ---------------------------------------------------------------- */

/* Each loop's share of the connections; main() has raised the limit of files. */
static unsigned
max_connections(const struct process *p)
{
	unsigned wanted = p->options->max_connections;
	struct rlimit files = { .rlim_cur = 1024 };

	if (wanted == 0) {
		getrlimit(RLIMIT_NOFILE, &files);
		wanted = (unsigned)(files.rlim_cur > 2 * FILES_RESERVED ?
			files.rlim_cur - FILES_RESERVED : FILES_RESERVED);
	}
	return wanted / p->loop_count > 0 ? wanted / p->loop_count : 1;
}

bool
loop_listen(struct loop *loop)
{
	const struct options *o = loop->process->options;
	struct http_options options = {
		.limits = { o->max_header, o->max_uri, o->max_body },
		.idle_timeout_ms = o->idle_timeout_s * 1000,
		.head_timeout_ms = o->header_timeout_s * 1000,
		.body_timeout_ms = o->body_timeout_s * 1000,
		.stuck_timeout_ms = o->stuck_timeout_s * 1000,
		.max_connections = max_connections(loop->process),
		.handler = router_handle,
		.arg = &loop->router,
		.stats = loop->stats,
	};
	struct sockaddr_storage addr;
	socklen_t len;

	if (!proxy_options_address(o, &addr, &len))
		return false;
	loop->http = http_server_new(loop->base, (struct sockaddr *)&addr, len,
	    &options);
	if (loop->http == NULL)
		log_error("cannot listen", LF("host", o->host),
		    LF_N("port", o->port), LF("error", strerror(errno)));
	return loop->http != NULL;
}

/* All of them ------------------------------------------------------------------ */

void
loop_make_parts(struct loop *loop)
{
	make_redis(loop);
	make_limits(loop);
	make_sessions(loop);
	make_gate(loop);
	make_posts(loop);
}

/*
 * First Redis: its outstanding callbacks come back to the modules, which must
 * all still be there. Then from those who wait to those who are waited for.
 */
void
loop_free_parts(struct loop *loop)
{
	sessions_end_all(loop->sessions, "shutdown");
	quota_stop(loop->quota);
	redis_free(loop->redis);
	outbox_free(loop->outbox);
	sweeps_free(loop->sweeps);
	janitor_free(loop->janitor);
	cleaner_free(loop->cleaner);
	sessions_free(loop->sessions);
	strays_free(loop->strays);
	fleet_free(loop->fleet);
	posts_free(loop->posts);
	session_api_free(loop->session_api);
	api_metrics_free(loop->api_metrics);
	gate_free(loop->gate);
	quota_free(loop->quota);
	limits_free(loop->limits);
	principals_free(loop->principals);
	if (loop->http != NULL)
		http_server_free(loop->http);
	inbox_free(loop->inbox);
	directory_free(loop->directory);
	survey_free(loop->survey);
	catalog_free(loop->catalog);
	pod_free(loop->pod);
}
