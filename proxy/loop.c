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
#include "proxy/directory.h"
#include "proxy/gate.h"
#include "proxy/http.h"
#include "proxy/inbox.h"
#include "proxy/outbox.h"
#include "proxy/pod.h"
#include "proxy/post.h"
#include "proxy/principal.h"
#include "proxy/router.h"
#include "proxy/session.h"
#include "proxy/stray.h"

#define TICK_MS 250
/* Above the BLOCK time of the inbox's XREAD by as much as a command may take. */
#define READER_TIMEOUT_MS 10000
#define CONNECT_TIMEOUT_MS 5000
#define REDIS_OUTPUT_MAX (64u * 1024 * 1024)
#define REDIS_PENDING_MAX 200000
/* Files that are not client connections: Redis, epoll, logs, DNS. */
#define FILES_RESERVED 64
/* Time for the last commands of a stopping loop. */
#define FAREWELL_MS 1000
/* An answer made here: one page of a large catalogue. */
#define ANSWER_MAX (16u * 1024 * 1024)

enum loop_state {
	LOOP_RUNNING,
	LOOP_DRAINING,   /* answers what it owes; takes no connections */
	LOOP_LEAVING     /* last commands to Redis are on their way */
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
	struct posts *posts;
	struct strays *strays;
	struct pod *pod;
	struct principals *principals;
	struct gate *gate;
	struct http_server *http;
	struct router router;
	struct event *tick;
	struct event *stop;
	int stop_fd;
	enum loop_state state;
	uint64_t state_since_ms;
	uint64_t redis_lost_ms;   /* since when Redis is away; 0: it is there */
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
		loop->redis_lost_ms = clock_mono_ms();
		stat_add(loop->stats, STAT_REDIS_LOST, 1);
		return;
	}
	loop->redis_lost_ms = 0;
	pod_hurry(loop->pod);
	principals_on_ready(loop->principals);
	sessions_on_ready(loop->sessions);
	posts_on_ready(loop->posts);
}

static void
on_redis_data_lost(void *arg)
{
	struct loop *loop = arg;

	principals_on_ready(loop->principals);
	sessions_rebuild(loop->sessions);
}

static void
on_inbox_done(void *arg)
{
	inbox_done(arg);
}

static void
on_message(const struct env_message *message, struct inbox_entry *entry,
    void *arg)
{
	struct loop *loop = arg;
	struct session *s;
	uint64_t epoch;

	if (slice_eq_str(message->call, ENV_CALL_TAKEN_OVER)) {
		if (env_number(message->payload, &epoch))
			sessions_yield(loop->sessions, message->session, epoch);
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

/* Without Redis nothing can be delivered: after a while clients look elsewhere. */
static void
give_up_without_redis(struct loop *loop)
{
	uint64_t patience = loop->process->options->redis_lost_s * 1000ull;

	if (loop->redis_lost_ms != 0 && sessions_count(loop->sessions) > 0 &&
	    clock_mono_ms() - loop->redis_lost_ms >= patience)
		sessions_end_all(loop->sessions, "redis_lost");
}

/* Stopping ------------------------------------------------------------------ */

static void
set_state(struct loop *loop, enum loop_state state)
{
	loop->state = state;
	loop->state_since_ms = clock_mono_ms();
}

static void
begin_drain(struct loop *loop)
{
	if (loop->state != LOOP_RUNNING)
		return;
	log_info("draining", LF("loop", loop->name),
	    LF_N("streams", sessions_count(loop->sessions)));
	set_state(loop, LOOP_DRAINING);
	http_server_stop_listening(loop->http);
	sessions_end_all(loop->sessions, "shutdown");
	http_server_drain(loop->http);
}

static bool
owes_nothing(const struct loop *loop)
{
	return http_server_connections(loop->http) == 0 &&
	    posts_count(loop->posts) == 0 && strays_count(loop->strays) == 0;
}

static void
drain_further(struct loop *loop)
{
	uint64_t passed = clock_mono_ms() - loop->state_since_ms;
	uint64_t limit = loop->process->options->drain_timeout_s * 1000ull;

	switch (loop->state) {
	case LOOP_RUNNING:
		break;
	case LOOP_DRAINING:
		if (!owes_nothing(loop) && passed < limit)
			break;
		pod_leave(loop->pod);
		set_state(loop, LOOP_LEAVING);
		break;
	case LOOP_LEAVING:
		if (redis_pending_count(loop->redis) == 0 ||
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
	begin_drain(arg);
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
	gate_tick(loop->gate);
	posts_tick(loop->posts);
	strays_tick(loop->strays);
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
make_sessions(struct loop *loop)
{
	const struct options *o = loop->process->options;
	struct session_options sessions = {
		.commands = loop->redis,
		.pod = slice_str(loop->name),
		.ttl_ms = o->session_ttl_s * 1000,
		.unused_ttl_ms = o->session_unused_s * 1000,
		.ping_interval_ms = o->ping_interval_s * 1000,
		.retry_ms = o->retry_ms,
		.max_buffer = o->max_buffer,
		.stats = loop->stats,
		.stray = on_stray,
		.arg = loop,
	};
	struct stray_options strays;

	loop->outbox = outbox_new(loop->base, loop->redis);
	loop->directory = directory_new(loop->redis);
	strays = (struct stray_options){ slice_str(loop->name),
		loop->directory, loop->outbox, loop->stats };
	loop->strays = strays_new(&strays);
	loop->sessions = sessions_new(&sessions);
}

/* The secret of user hashes is there, or another one: who is who anew. */
static void
on_users_known(void *arg)
{
	struct loop *loop = arg;

	gate_forget(loop->gate);
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
		.jwt_rules = { o->jwt_issuer, o->jwt_audience,
		    o->jwt_default_scopes },
		.public_url = o->public_url,
		.allowed_origins = o->allowed_origins,
		.allowed_hosts = o->allowed_hosts,
	};

	loop->catalog = catalog_new(loop->redis, o->list_page_size);
	gate.catalog = loop->catalog;
	loop->principals = principals_new(loop->redis, o->user_hash_secret,
	    on_users_known, loop);
	gate.principals = loop->principals;
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
		.wait_ms = o->redis_wait_s * 1000,
		.call_timeout_ms = o->call_timeout_s * 1000,
		.queue_max = o->queue_max,
		.max_answer = ANSWER_MAX,
		.public_url = o->public_url,
		.stats = loop->stats,
	};

	loop->pod = pod_new(loop->redis, slice_str(loop->name),
	    on_redis_data_lost, loop);
	posts.catalog = loop->catalog;
	posts.self = loop->pod;
	loop->posts = posts_new(&posts);
	loop->router = (struct router){
		.gate = loop->gate,
		.sse = { loop->sessions, loop->posts, loop->catalog },
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
	redis_free(loop->redis);
	outbox_free(loop->outbox);
	strays_free(loop->strays);
	sessions_free(loop->sessions);
	posts_free(loop->posts);
	gate_free(loop->gate);
	principals_free(loop->principals);
	if (loop->http != NULL)
		http_server_free(loop->http);
	inbox_free(loop->inbox);
	directory_free(loop->directory);
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
