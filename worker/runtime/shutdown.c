#include "worker/runtime/shutdown.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xalloc.h"

static const int stop_signals[] = { SIGTERM, SIGINT };

struct shutdown {
	struct shutdown_options options;
	enum shutdown_state state;
	const char *reason;
	bool cut;                      /* draining took too long */
	struct event *signals[ARRAY_LEN(stop_signals)];
	struct event *limit;           /* of draining, then of leaving */
};

static void
shutdown_set_state(struct shutdown *s, enum shutdown_state state)
{
	static const char *const names[] = {
		[SHUTDOWN_SERVING] = "serving",
		[SHUTDOWN_DRAINING] = "draining",
		[SHUTDOWN_LEAVING] = "leaving",
		[SHUTDOWN_LEFT] = "left",
	};

	log_debug("worker state", LF("from", names[s->state]),
	    LF("to", names[state]));
	s->state = state;
}

static void
set_limit(struct shutdown *s, unsigned seconds)
{
	const struct timeval limit = { .tv_sec = seconds };

	event_add(s->limit, &limit);
}

static void
leave(struct shutdown *s, const char *reason)
{
	s->reason = reason;
	shutdown_set_state(s, SHUTDOWN_LEAVING);
	set_limit(s, SHUTDOWN_LEAVE_SECONDS);
	s->options.on_leave(s->options.arg);
}

void
shutdown_drained(struct shutdown *s)
{
	if (s->state == SHUTDOWN_DRAINING)
		leave(s, s->cut ? "drain_timeout" : "signal");
}

void
shutdown_left(struct shutdown *s)
{
	shutdown_set_state(s, SHUTDOWN_LEFT);
	s->options.on_left(s->options.arg);
}

static void
cut(struct shutdown *s)
{
	s->cut = true;
	set_limit(s, SHUTDOWN_LEAVE_SECONDS);
	s->options.on_cut(s->options.arg);
}

static void
on_limit(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct shutdown *s = arg;

	if (s->state == SHUTDOWN_DRAINING && !s->cut)
		cut(s);
	else if (s->state == SHUTDOWN_DRAINING)
		leave(s, "drain_timeout");
	else
		shutdown_left(s);
}

static void
on_signal(evutil_socket_t number, short what UNUSED, void *arg)
{
	struct shutdown *s = arg;

	if (s->state != SHUTDOWN_SERVING)
		_exit(EXIT_FAILURE);
	shutdown_set_state(s, SHUTDOWN_DRAINING);
	set_limit(s, s->options.drain_timeout_s);
	s->options.on_drain((int)number, s->options.arg);
}

enum shutdown_state
shutdown_state(const struct shutdown *s)
{
	return s->state;
}

const char *
shutdown_reason(const struct shutdown *s)
{
	return s->reason;
}

/* The object ----------------------------------------------------------------- */

struct shutdown *
shutdown_new(const struct shutdown_options *options)
{
	struct shutdown *s = xcalloc(1, sizeof(*s));

	s->options = *options;
	s->limit = evtimer_new(options->base, on_limit, s);
	if (s->limit == NULL)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(stop_signals); i++) {
		s->signals[i] = evsignal_new(options->base, stop_signals[i],
		    on_signal, s);
		if (s->signals[i] == NULL ||
		    event_add(s->signals[i], NULL) != 0)
			abort();
	}
	return s;
}

void
shutdown_free(struct shutdown *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(stop_signals); i++)
		event_free(s->signals[i]);
	event_free(s->limit);
	free(s);
}
