#include "proxy/loop_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/catalog.h"
#include "proxy/cleaner.h"
#include "proxy/fleet.h"
#include "proxy/gate.h"
#include "proxy/http_server.h"
#include "proxy/inbox.h"
#include "proxy/janitor.h"
#include "proxy/pod.h"
#include "proxy/post.h"
#include "proxy/stray.h"
#include "proxy/sweep.h"

#define TICK_MS 250
/*
 * A pod that has heard nothing for so long may be taken for dead soon
 * (ENV_HEARTBEAT_TTL_MS): it lets its clients go.
 */
#define ISOLATED_MS 10000

metric_value *
loop_stats(struct loop *loop)
{
	return loop->stats;
}

/* Ticking --------------------------------------------------------------------- */

/*
 * Without Redis nothing can be delivered: after a while clients look elsewhere.
 * A Redis that refuses connections, or loads its data, is down for everybody, and
 * worth the wait; once it is back, so is the time that a heartbeat takes. When
 * there is no answer at all, or this process stood still, others may work on: they
 * hold this pod for dead, and what Redis says later does not change that.
 */
static void
give_up_without_redis(struct loop *loop)
{
	uint64_t patience = loop->process->options->redis_lost_s * 1000ull;
	bool isolated = pod_unheard_ms(loop->pod) >= ISOLATED_MS;

	if (!isolated && !redis_is_ready(loop->redis) &&
	    !redis_is_silent(loop->redis))
		pod_hear(loop->pod);
	if (!isolated && pod_unconfirmed_ms(loop->pod) < patience)
		return;
	if (sessions_count(loop->sessions) > 0)
		sessions_end_all(loop->sessions,
		    isolated ? "isolated" : "redis_lost");
}

/* Clients had better go where a pod is known to be alive. */
static void
publish_gauges(struct loop *loop)
{
	metric_set(&loop->stats[STAT_REDIS_READY],
	    redis_is_ready(loop->redis) && inbox_is_ready(loop->inbox) &&
		pod_unheard_ms(loop->pod) < ISOLATED_MS);
	metric_set(&loop->stats[STAT_REDIS_REFUSING],
	    redis_is_refusing(loop->redis) || pod_is_refused(loop->pod));
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
	if (pod_is_refused(loop->pod))
		fleet_excuse(loop->fleet);
	fleet_tick(loop->fleet);
	if (loop->state != LOOP_LEAVING)
		sweeps_tick(loop->sweeps);
	if (loop->state == LOOP_RUNNING) {
		janitor_tick(loop->janitor);
		cleaner_tick(loop->cleaner);
	}
	give_up_without_redis(loop);
	publish_gauges(loop);
	loop_drain_further(loop);
}

/* Stopping ------------------------------------------------------------------ */

static void
on_stop(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;
	ssize_t n UNUSED = read(fd, &count, sizeof(count));

	(void)what;
	loop_notice_stop(arg);
	loop_drain_further(arg);
}

void
loop_stop(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t n UNUSED = write(loop->stop_fd, &one, sizeof(one));
}

/* Making and freeing ------------------------------------------------------------ */

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
	loop_make_parts(loop);
	loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->stop = event_new(loop->base, loop->stop_fd, EV_READ | EV_PERSIST,
	    on_stop, loop);
	loop->tick = event_new(loop->base, -1, EV_PERSIST, on_tick, loop);
	event_add(loop->stop, NULL);
	event_add(loop->tick, &every);
	if (loop_listen(loop))
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

void
loop_free(struct loop *loop)
{
	loop_free_parts(loop);
	event_free(loop->tick);
	event_free(loop->stop);
	close(loop->stop_fd);
	if (loop->dns != NULL)
		evdns_base_free(loop->dns, 0);
	event_base_free(loop->base);
	free(loop);
}
