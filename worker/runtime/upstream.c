#include "worker/runtime/upstream_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "common/timer.h"
#include "common/xalloc.h"

/* Idle connections kept; what a burst opened beyond is closed after it. */
#define IDLE_CONNECTIONS 128L

struct upstream_host *
upstream_find_host(struct upstream *u, const char *origin)
{
	struct upstream_host *host;
	size_t n = strlen(origin);

	SLIST_FOREACH(host, &u->hosts, link) {
		if (strcmp(host->origin, origin) == 0)
			return host;
	}
	host = xcalloc(1, sizeof(*host) + n + 1);
	memcpy(host->origin, origin, n);
	SLIST_INSERT_HEAD(&u->hosts, host, link);
	return host;
}

/* libcurl on the event loop ---------------------------------------------- */

static void
reap(struct upstream *u)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(u->multi, &left)) != NULL) {
		struct upstream_transfer *t = NULL;
		CURLcode result = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
		upstream_attempt_ended(t, result);
	}
}

static void
act(struct upstream *u, curl_socket_t fd, int what)
{
	int running;

	curl_multi_socket_action(u->multi, fd, what, &running);
	reap(u);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	act(arg, fd,
	    ((what & EV_READ) ? CURL_CSELECT_IN : 0) |
		((what & EV_WRITE) ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl wants to know of other events on fd. */
static int
watch_socket(
    CURL *easy UNUSED, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct upstream *u = arg;
	struct event *ev = socket_arg;
	short events = EV_PERSIST;

	if (ev != NULL)
		event_free(ev);
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(u->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	ev = event_new(u->base, fd, events, on_socket, u);
	if (ev == NULL || event_add(ev, NULL) != 0)
		abort();
	curl_multi_assign(u->multi, fd, ev);
	return 0;
}

static int
watch_time(CURLM *multi UNUSED, long ms, void *arg)
{
	struct upstream *u = arg;

	if (ms < 0)
		event_del(u->timer);
	else
		timer_set(u->timer, (uint64_t)ms);
	return 0;
}

/* The module itself ------------------------------------------------------ */

/* Each connection is an open file: as many as the system lets us have. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("limit of open files not raised",
		    LF("error", strerror(errno)));
}

bool
upstream_settings_ok(const struct upstream_settings *settings,
    struct strbuf *errors)
{
	struct egress *egress = egress_new();
	struct strbuf reason = STRBUF_INIT(512);
	bool ok = egress_add_networks(egress, settings->networks, &reason);

	if (!ok)
		strbuf_addf(
		    errors, "UPSTREAM_NETWORKS: %s\n", strbuf_str(&reason));
	if (settings->ca_file != NULL && access(settings->ca_file, R_OK) != 0) {
		strbuf_addf(errors, "UPSTREAM_CA: \"%s\" is not a readable "
		    "file: %s\n", settings->ca_file, strerror(errno));
		ok = false;
	}
	strbuf_release(&reason);
	egress_free(egress);
	return ok;
}

struct upstream *
upstream_new(struct event_base *base, const struct upstream_settings *settings,
    const struct egress *egress)
{
	struct upstream *u = xcalloc(1, sizeof(*u));

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	raise_file_limit();
	u->base = base;
	u->settings = settings;
	u->egress = egress;
	LIST_INIT(&u->transfers);
	SLIST_INIT(&u->hosts);
	u->multi = curl_multi_init();
	u->timer = evtimer_new(base, on_timer, u);
	if (u->multi == NULL || u->timer == NULL)
		abort();
	curl_multi_setopt(u->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(u->multi, CURLMOPT_SOCKETDATA, u);
	curl_multi_setopt(u->multi, CURLMOPT_TIMERFUNCTION, watch_time);
	curl_multi_setopt(u->multi, CURLMOPT_TIMERDATA, u);
	curl_multi_setopt(u->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    (long)settings->connections);
	curl_multi_setopt(u->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
	return u;
}

void
upstream_free(struct upstream *u)
{
	struct upstream_transfer *t, *after;
	struct upstream_host *host;

	if (u == NULL)
		return;
	for (t = LIST_FIRST(&u->transfers); t != NULL; t = after) {
		after = LIST_NEXT(t, link);
		if (t->dropped != NULL)
			t->dropped(t->arg);
		upstream_transfer_free(t);
	}
	curl_multi_cleanup(u->multi);
	event_free(u->timer);
	while ((host = SLIST_FIRST(&u->hosts)) != NULL) {
		SLIST_REMOVE_HEAD(&u->hosts, link);
		free(host);
	}
	free(u);
	curl_global_cleanup();
}
