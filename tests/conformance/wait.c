#include "tests/conformance/wait.h"

#include <stdlib.h>

#include "common/xalloc.h"

const char *
text_of(const cJSON *args, const char *name)
{
	return cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(args, name));
}

void
wait_free(struct wait *w)
{
	LIST_REMOVE(w, link);
	event_free(w->timer);
	free(w);
}

static void
on_time(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct wait *w = arg;

	w->then(w);
}

void
wait_for(struct wait *w, unsigned ms, void (*then)(struct wait *w))
{
	const struct timeval time = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };

	w->then = then;
	event_add(w->timer, &time);
}

struct wait *
wait_new(struct call *call, const cJSON *args)
{
	struct wait *w = xcalloc(1, sizeof(*w));
	const cJSON *ms = cJSON_GetObjectItemCaseSensitive(args, "delay_ms");
	struct state *state = call_state(call);

	w->call = call;
	w->ms = ms != NULL ? (unsigned)ms->valuedouble : 0;
	w->nonce = text_of(args, "nonce");
	w->timer = evtimer_new(worker_env_base(call_env(call)), on_time, w);
	if (w->timer == NULL)
		abort();
	LIST_INSERT_HEAD(&state->waits, w, link);
	return w;
}

void
wait_answer(struct wait *take_w, const char *text)
{
	struct call *call = take_w->call;

	wait_free(take_w);
	call_text(call, slice_str(text));
}

void
wait_cancel(struct call *call UNUSED, void *w)
{
	wait_free(w);
}
