#include "proxy/loop_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "proxy/http_server.h"
#include "proxy/pod.h"
#include "proxy/post.h"
#include "proxy/stray.h"
#include "proxy/sweep.h"

/* Time for the last commands and answers of a stopping loop. */
#define FAREWELL_MS 1000
/* Time to find out which calls are to be answered with an error. */
#define GIVE_UP_MS 2000

static void
set_state(struct loop *loop, enum loop_state state)
{
	loop->state = state;
	loop->state_since_ms = clock_mono_ms();
}

void
loop_notice_stop(struct loop *loop)
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

void
loop_drain_further(struct loop *loop)
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
