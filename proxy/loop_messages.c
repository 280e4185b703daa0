#include "proxy/loop_private.h"

#include "proxy/fleet.h"
#include "proxy/inbox.h"
#include "proxy/stray.h"
#include "proxy/sweep.h"

static void
on_inbox_done(void *arg)
{
	inbox_done(arg);
}

static void
close_stream(struct loop *loop, const struct env_message *notice)
{
	sessions_close_stream(loop->sessions, notice->session, notice->payload);
}

static void
yield(struct loop *loop, const struct env_message *notice)
{
	uint64_t epoch;

	if (env_number(notice->payload, &epoch))
		sessions_yield(loop->sessions, notice->session, epoch);
}

static void
hear_declaration(struct loop *loop, const struct env_message *notice)
{
	directory_hear(loop->directory, notice->session, notice->payload);
}

/* What is meant for this loop and not for a client. */
static const struct {
	const char *call;
	void (*take)(struct loop *loop, const struct env_message *notice);
} notices[] = {
	{ ENV_CALL_CLOSE_STREAM, close_stream },
	{ ENV_CALL_TAKEN_OVER, yield },
	{ ENV_CALL_DECLARED, hear_declaration },
};

static void
take_notice(struct loop *loop, const struct env_message *notice)
{
	for (size_t i = 0; i < ARRAY_LEN(notices); i++) {
		if (slice_eq_str(notice->call, notices[i].call))
			notices[i].take(loop, notice);
	}
}

/* To its session, or onwards when that is not here. */
static void
hand_over(struct loop *loop, const struct env_message *message,
    session_done_cb *done, void *done_arg)
{
	struct session *s = sessions_find(loop->sessions, message->session);

	if (s != NULL)
		session_deliver(s, message, done, done_arg);
	else
		stray_pass_on(loop->strays, message, done, done_arg);
}

void
loop_on_message(const struct env_message *message, struct inbox_entry *entry,
    void *arg)
{
	struct loop *loop = arg;

	if (env_call_is_notice(message->call)) {
		take_notice(loop, message);
		inbox_done(entry);
		return;
	}
	hand_over(loop, message, on_inbox_done, entry);
}

void
loop_on_stray(const struct env_message *message, session_done_cb *done,
    void *done_arg, void *arg)
{
	struct loop *loop = arg;

	stray_pass_on(loop->strays, message, done, done_arg);
}

void
loop_on_left_message(const struct env_message *message, session_done_cb *done,
    void *done_arg, void *arg)
{
	hand_over(arg, message, done, done_arg);
}

bool
loop_holds_session(struct slice session, void *arg)
{
	struct loop *loop = arg;

	return sessions_find(loop->sessions, session) != NULL;
}

/* A pod that let the session go and beats will pass on what comes to it. */
void
loop_on_taken_over(struct slice pod, bool in_order, void *arg)
{
	struct loop *loop = arg;
	const struct fleet_pod *from = fleet_find(loop->fleet, pod);

	if (!in_order || from == NULL || fleet_silent_ms(from) >= FLEET_SILENT_MS)
		sweeps_watch(loop->sweeps, pod);
}
