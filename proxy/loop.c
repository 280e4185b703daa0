#include "proxy/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
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
#include "proxy/router.h"
#include "proxy/session.h"
#include "proxy/session_api.h"
#include "proxy/stray.h"
#include "proxy/sweep.h"

#define TICK_MS 250
/* Above the BLOCK time of the inbox's XREAD by as much as a command may take. */
#define READER_TIMEOUT_MS 10000
#define CONNECT_TIMEOUT_MS 5000
#define REDIS_OUTPUT_MAX (64u * 1024 * 1024)
#define REDIS_PENDING_MAX 200000
/* Files that are not client connections: Redis, epoll, logs, DNS. */
#define FILES_RESERVED 64
/* Time for the last commands and answers of a stopping loop. */
#define FAREWELL_MS 1000
/* Time to find out which calls are to be answered with an error. */
#define GIVE_UP_MS 2000
/*
 * A pod without a confirmed heartbeat for so long may be taken for dead soon
 * (ENV_HEARTBEAT_TTL_MS): it lets its clients go.
 */
#define ISOLATED_MS 10000
/* What a tool of the proxy's own may take to ask Redis, within a POST's wait. */
#define SESSION_API_MS(wait_ms) ((wait_ms) / 2)
/* An answer made here: one page of a large catalogue. */
#define ANSWER_MAX (16u * 1024 * 1024)

enum loop_state {
	LOOP_RUNNING,
	LOOP_NOTICED,    /* not ready, but serves on: load balancers take time */
	LOOP_DRAINING,   /* streams end; who comes is served, but not for long */
	LOOP_GIVING_UP,  /* out of time: errors instead of answers */
	LOOP_LEAVING     /* no longer listens; the last words are on their way */
};

struct loop {
	struct process *process;
	struct event_base *base;
	struct evdns_base *dns;
	struct redis *redis;
	struct inbox *inbox;
	struct outbox *outbox;
	struct sessions *sessions;
	struct directory *directory;
	struct catalog *catalog;
	struct survey *survey;
	struct posts *posts;
	struct strays *strays;
	struct fleet *fleet;
	struct sweeps *sweeps;
	struct janitor *janitor;
	struct cleaner *cleaner;
	struct session_api *session_api;
	struct pod *pod;
	struct principals *principals;
	struct limits *limits;
	struct quota *quota;
	struct gate *gate;
	struct http_server *http;
	struct router router;
	struct event *tick;
	struct event *stop;
	int stop_fd;
	enum loop_state state;
	uint64_t state_since_ms;
	char name[POD_NAME_MAX];
	metric_value stats[STAT_COUNT];
};

metric_value *
loop_stats(struct loop *loop)
{
	return loop->stats;
}

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
on_inbox_done(void *arg)
{
	inbox_done(arg);
}

/* What is meant for this loop and not for a client. */
static void
take_notice(struct loop *loop, const struct env_message *notice)
{
	uint64_t epoch;

	if (slice_eq_str(notice->call, ENV_CALL_CLOSE_STREAM))
		sessions_close_stream(loop->sessions, notice->session,
		    notice->payload);
	else if (env_number(notice->payload, &epoch))
		sessions_yield(loop->sessions, notice->session, epoch);
}

static void
on_message(const struct env_message *message, struct inbox_entry *entry,
    void *arg)
{
	struct loop *loop = arg;
	struct session *s;

	if (env_call_is_notice(message->call)) {
		take_notice(loop, message);
		inbox_done(entry);
		return;
	}
	s = sessions_find(loop->sessions, message->session);
	if (s != NULL)
		session_deliver(s, message, on_inbox_done, entry);
	else
		stray_pass_on(loop->strays, message, on_inbox_done, entry);
}

static void
on_stray(const struct env_message *message, session_done_cb *done,
    void *done_arg, void *arg)
{
	struct loop *loop = arg;

	stray_pass_on(loop->strays, message, done, done_arg);
}

/* A message from the inbox of a pod that is gone, or may be. */
static void
on_left_message(const struct env_message *message, session_done_cb *done,
    void *done_arg, void *arg)
{
	struct loop *loop = arg;
	struct session *s = sessions_find(loop->sessions, message->session);

	if (s != NULL)
		session_deliver(s, message, done, done_arg);
	else
		stray_pass_on(loop->strays, message, done, done_arg);
}

static bool
holds_session(struct slice session, void *arg)
{
	struct loop *loop = arg;

	return sessions_find(loop->sessions, session) != NULL;
}

/* A pod that let the session go and beats will pass on what comes to it. */
static void
on_taken_over(struct slice pod, bool in_order, void *arg)
{
	struct loop *loop = arg;
	const struct fleet_pod *from = fleet_find(loop->fleet, pod);

	if (!in_order || from == NULL || fleet_silent_ms(from) >= FLEET_SILENT_MS)
		sweeps_watch(loop->sweeps, pod);
}

/*
 * Without Redis nothing can be delivered: after a while clients look elsewhere.
 * A Redis that refuses connections, or loads its data, is down for everybody, and
 * worth the wait. When there is no answer at all, or this process stood still,
 * others may work on: they hold this pod for dead.
 */
static void
give_up_without_redis(struct loop *loop)
{
	uint64_t patience = loop->process->options->redis_lost_s * 1000ull;
	bool refused = !redis_is_ready(loop->redis) &&
	    !redis_is_silent(loop->redis);

	if (!refused && patience > ISOLATED_MS)
		patience = ISOLATED_MS;
	if (pod_unconfirmed_ms(loop->pod) < patience)
		return;
	if (sessions_count(loop->sessions) > 0)
		sessions_end_all(loop->sessions,
		    refused ? "redis_lost" : "isolated");
}

/* News of workers ------------------------------------------------------------ */

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

/* Stopping ------------------------------------------------------------------ */

static void
set_state(struct loop *loop, enum loop_state state)
{
	loop->state = state;
	loop->state_since_ms = clock_mono_ms();
}

static void
notice_stop(struct loop *loop)
{
	if (loop->state != LOOP_RUNNING)
		return;
	log_info("stopping soon", LF("loop", loop->name),
	    LF_N("streams", sessions_count(loop->sessions)));
	set_state(loop, LOOP_NOTICED);
	sweeps_leave(loop->sweeps);
	http_server_wind_down(loop->http);
}

static void
begin_drain(struct loop *loop)
{
	log_info("draining", LF("loop", loop->name),
	    LF_N("streams", sessions_count(loop->sessions)));
	set_state(loop, LOOP_DRAINING);
	sessions_leave(loop->sessions);
}

static void
begin_giving_up(struct loop *loop)
{
	set_state(loop, LOOP_GIVING_UP);
	sessions_give_up(loop->sessions);
}

static void
leave(struct loop *loop)
{
	http_server_stop_listening(loop->http);
	sessions_end_all(loop->sessions, "shutdown");
	sessions_sign_off(loop->sessions);
	pod_leave(loop->pod);
	set_state(loop, LOOP_LEAVING);
}

/*
 * Streams that came during the drain are not waited for: clients that know no
 * other pod come back for as long as this one listens.
 */
static bool
owes_nothing(const struct loop *loop)
{
	return sessions_to_leave(loop->sessions) == 0 &&
	    http_server_busy(loop->http) == 0 &&
	    posts_count(loop->posts) == 0 && strays_count(loop->strays) == 0;
}

static void
drain_further(struct loop *loop)
{
	const struct options *o = loop->process->options;
	uint64_t passed = clock_mono_ms() - loop->state_since_ms;

	switch (loop->state) {
	case LOOP_RUNNING:
		break;
	case LOOP_NOTICED:
		if (passed >= o->drain_delay_s * 1000ull)
			begin_drain(loop);
		break;
	case LOOP_DRAINING:
		if (owes_nothing(loop))
			leave(loop);
		else if (passed >= o->drain_timeout_s * 1000ull)
			begin_giving_up(loop);
		break;
	case LOOP_GIVING_UP:
		if (owes_nothing(loop) || passed >= GIVE_UP_MS)
			leave(loop);
		break;
	case LOOP_LEAVING:
		if ((redis_pending_count(loop->redis) == 0 &&
			http_server_busy(loop->http) == 0) ||
		    passed >= FAREWELL_MS)
			event_base_loopbreak(loop->base);
		break;
	}
}

static void
on_stop(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;
	ssize_t n UNUSED = read(fd, &count, sizeof(count));

	(void)what;
	notice_stop(arg);
	drain_further(arg);
}

void
loop_stop(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t n UNUSED = write(loop->stop_fd, &one, sizeof(one));
}

/* Ticking --------------------------------------------------------------------- */

static void
publish_gauges(struct loop *loop)
{
	metric_set(&loop->stats[STAT_REDIS_READY],
	    redis_is_ready(loop->redis) && inbox_is_ready(loop->inbox));
	metric_set(&loop->stats[STAT_INBOX_UNDELETED],
	    inbox_undeleted(loop->inbox));
	metric_set(&loop->stats[STAT_REDIS_COMMANDS],
	    (int64_t)(redis_commands_sent(loop->redis) +
		inbox_commands_sent(loop->inbox)));
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct pod_load load = {
		.streams = sessions_count(loop->sessions),
		.connections = http_server_connections(loop->http),
		.draining = loop->state != LOOP_RUNNING,
	};

	(void)fd;
	(void)what;
	http_server_tick(loop->http);
	if (loop->state != LOOP_LEAVING)
		pod_tick(loop->pod, &load);
	catalog_tick(loop->catalog);
	inbox_tick(loop->inbox);
	sessions_tick(loop->sessions);
	quota_tick(loop->quota);
	gate_tick(loop->gate);
	posts_tick(loop->posts);
	strays_tick(loop->strays);
	fleet_tick(loop->fleet);
	if (loop->state != LOOP_LEAVING)
		sweeps_tick(loop->sweeps);
	if (loop->state == LOOP_RUNNING) {
		janitor_tick(loop->janitor);
		cleaner_tick(loop->cleaner);
	}
	give_up_without_redis(loop);
	publish_gauges(loop);
	drain_further(loop);
}

/* Making and freeing ------------------------------------------------------------ */

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
	    slice_str(loop->name), on_message, loop);
}

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
		.pass_on = on_left_message,
		.is_here = holds_session,
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
		.stray = on_stray,
		.taken_over = on_taken_over,
		.arg = loop,
	};

	loop->outbox = sessions.outbox;
	loop->directory = sessions.directory;
	loop->sessions = sessions_new(&sessions);
	make_strays(loop);
}

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
		slice_str(loop->name), loop->redis, loop->catalog, loop->outbox,
		loop->stats });
	loop->cleaner = cleaner_new(&(struct cleaner_options){
		slice_str(loop->name), loop->redis, loop->catalog,
		CLEANER_CONSUMER_IDLE_MS, loop->stats });
	loop->session_api = session_api_new(&(struct session_api_options){
		loop->base, loop->redis, loop->fleet, loop->catalog,
		SESSION_API_MS(posts.wait_ms) });
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
		.admin = { loop->process },
	};
}

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

static bool
make_http(struct loop *loop)
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

/*
 * No locks: only eventfds cross threads. The changelist folds the many changes
 * of write interest within one turn into at most one epoll_ctl each.
 */
static struct event_base *
make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config != NULL) {
		event_config_set_flag(config,
		    EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (base == NULL) {
		log_error("no event base", LF("error", strerror(errno)));
		exit(1);
	}
	return base;
}

struct loop *
loop_new(struct process *process, unsigned index)
{
	struct timeval every = { 0, TICK_MS * 1000 };
	struct loop *loop = xcalloc(1, sizeof(*loop));

	loop->process = process;
	snprintf(loop->name, sizeof(loop->name), "%s.%u.%s",
	    process->options->common.pod_name, index, process->start_id);
	loop->base = make_base();
	loop->dns = evdns_base_new(loop->base,
	    EVDNS_BASE_INITIALIZE_NAMESERVERS |
		EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	make_redis(loop);
	make_limits(loop);
	make_sessions(loop);
	make_gate(loop);
	make_posts(loop);
	loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->stop = event_new(loop->base, loop->stop_fd, EV_READ | EV_PERSIST,
	    on_stop, loop);
	loop->tick = event_new(loop->base, -1, EV_PERSIST, on_tick, loop);
	event_add(loop->stop, NULL);
	event_add(loop->tick, &every);
	if (make_http(loop))
		return loop;
	loop_free(loop);
	return NULL;
}

void
loop_run(struct loop *loop)
{
	redis_open(loop->redis);
	inbox_open(loop->inbox);
	event_base_dispatch(loop->base);
}

/*
 * First Redis: its outstanding callbacks come back to the modules, which must
 * all still be there. Then from those who wait to those who are waited for.
 */
void
loop_free(struct loop *loop)
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
	event_free(loop->tick);
	event_free(loop->stop);
	close(loop->stop_fd);
	if (loop->dns != NULL)
		evdns_base_free(loop->dns, 0);
	event_base_free(loop->base);
	free(loop);
}
