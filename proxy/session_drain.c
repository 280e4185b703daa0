/*
 * Ending streams that may still be owed answers: those of a stopping loop, those
 * that have grown too old, and those that a call asks to be closed.
 *
 * While any stream is to leave, surveys ask which sessions have calls queued or
 * running (survey.h). The others get a moment to leave, spread at random, so
 * that their clients do not all come back at once, and a random delay before
 * they do. An answer that arises in between is no loss: it goes into the
 * session's log, and is there when the client comes back.
 */
#include "proxy/session_private.h"

#include <event2/util.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/jsonrpc.h"
#include "common/log.h"
#include "proxy/mcp.h"
#include "proxy/session_backlog.h"
#include "proxy/session_owed.h"
#include "proxy/sse.h"

#define SURVEY_EVERY_MS 500
/* Streams leave over so long at most; a few of them much sooner. */
#define SPREAD_MAX_MS 5000
#define ANSWER_MAX 4096

static uint32_t
random_below(uint32_t limit)
{
	uint32_t r;

	evutil_secure_rng_get_bytes(&r, sizeof(r));
	return limit > 0 ? r % limit : 0;
}

/* Between a third of the usual delay and all of it. */
static void
leave_now(struct session *s, const char *reason)
{
	unsigned retry = s->all->options.retry_ms;

	sse_retry(s->stream, retry - random_below(retry * 2 / 3 + 1));
	session_end(s, reason, END_PLANNED);
}

static const char *
reason_of(const struct session *s)
{
	if (s->all->closing)
		return "shutdown";
	return s->asked_to_leave ? "asked" : "rotated";
}

/* Surveys ---------------------------------------------------------------------- */

static void
on_busy(const struct survey_call *call, void *arg)
{
	struct sessions *all = arg;
	struct session *s = sessions_find(all, call->session);

	if (s != NULL)
		s->busy_in = all->surveys;
}

static void
on_surveyed(bool whole, void *arg)
{
	struct sessions *all = arg;
	uint64_t now = clock_mono_ms();
	uint32_t spread = all->live < SPREAD_MAX_MS ? all->live : SPREAD_MAX_MS;
	struct session *s;

	if (!whole)
		return;
	TAILQ_FOREACH(s, &all->lists[SESSION_LIVE], link) {
		if (!s->leaving || s->asked_to_leave)
			continue;
		if (s->busy_in == all->surveys)
			s->leave_ms = 0;
		else if (s->leave_ms == 0)
			s->leave_ms = now + 1 + random_below(spread);
	}
}

static void
begin_survey(struct sessions *all, uint64_t now)
{
	if (all->survey == NULL || now - all->surveyed_ms < SURVEY_EVERY_MS)
		return;
	if (!survey_begin(all->survey, on_busy, on_surveyed, all))
		return;
	all->surveys++;
	all->surveyed_ms = now;
}

/* Leaving ------------------------------------------------------------------------ */

static void
mark(struct session *s)
{
	if (s->leaving)
		return;
	s->leaving = true;
	s->all->leaving++;
}

/*
 * Up to 15 % less than the limit: the id is random hexadecimal, and spreads those
 * that were opened together.
 */
static uint64_t
age_to_leave(const struct session *s)
{
	uint64_t age = s->all->options.max_age_ms;
	unsigned digit = s->sid[0] <= '9' ? (unsigned)(s->sid[0] - '0') :
					    (unsigned)(s->sid[0] - 'a' + 10);

	return age - age * digit / 100;
}

void
session_drain_look(struct session *s, uint64_t now)
{
	if (s->all->options.max_age_ms > 0 &&
	    now - s->created_ms >= age_to_leave(s))
		mark(s);
}

static bool
may_leave(const struct session *s, uint64_t now)
{
	return s->leaving && s->leave_ms != 0 && now >= s->leave_ms &&
	    s->refs == 0 && http_stream_unsent(s->stream) == 0;
}

/* The answer is no loss either: it waits for the client in the session's log. */
void
sessions_close_stream(struct sessions *all, struct slice sid,
    struct slice call)
{
	struct session *s = sessions_find(all, sid);
	uint64_t now = clock_mono_ms();

	if (s == NULL || s->client[0] == '\0' ||
	    !session_is_of_this_stream(s, call))
		return;
	mark(s);
	s->asked_to_leave = true;
	s->leave_ms = now;
	if (may_leave(s, now))
		leave_now(s, reason_of(s));
}

static void begin_giving_up(struct sessions *all);

void
session_drain_tick(struct sessions *all)
{
	uint64_t now = clock_mono_ms();
	struct session *s, *next;

	if (!all->closing && all->leaving == 0)
		return;
	for (s = TAILQ_FIRST(&all->lists[SESSION_LIVE]); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (all->closing)
			mark(s);
		if (may_leave(s, now))
			leave_now(s, reason_of(s));
	}
	if (all->giving_up)
		begin_giving_up(all);
	else if (all->leaving > 0)
		begin_survey(all, now);
}

void
sessions_leave(struct sessions *all)
{
	all->closing = true;
	all->closing_since_ms = clock_mono_ms();
	all->surveyed_ms = 0;
	session_drain_tick(all);
}

static unsigned
count_older(const struct session_list *list, uint64_t than_ms)
{
	const struct session *s;
	unsigned n = 0;

	TAILQ_FOREACH(s, list, link)
		n += s->created_ms <= than_ms;
	return n;
}

unsigned
sessions_to_leave(const struct sessions *all)
{
	return count_older(&all->lists[SESSION_LIVE], all->closing_since_ms) +
	    count_older(&all->lists[SESSION_CLAIMING], all->closing_since_ms);
}

/* Giving up ---------------------------------------------------------------------- */

/*
 * The client is told now, and not again: the answer, if it comes, finds the call
 * among those that were given up.
 */
static void
on_given_up(const struct survey_call *call, void *arg)
{
	struct sessions *all = arg;
	struct session *s = sessions_find(all, call->session);
	struct strbuf answer = STRBUF_INIT(ANSWER_MAX);
	struct jsonrpc_msg msg;

	if (s == NULL || !delivery_is_awaited(s, call->call) ||
	    jsonrpc_peek(call->payload.p, call->payload.n, &msg) != 0)
		return;
	jsonrpc_error(&answer, msg.id, MCP_ERROR_UNKNOWN_OUTCOME,
	    "the server stops before the answer came: "
	    "the call may have run or not");
	if (strbuf_ok(&answer) && sse_message(s->stream, strbuf_slice(&answer))) {
		session_give_up_send(all->options.commands, session_sid(s),
		    s->epoch, call->call);
		sessions_count_one(all, STAT_CALLS_GIVEN_UP);
	}
	strbuf_release(&answer);
}

static void
on_all_given_up(bool whole, void *arg)
{
	struct sessions *all = arg;
	struct session *s;

	(void)whole;
	while ((s = TAILQ_FIRST(&all->lists[SESSION_LIVE])) != NULL)
		leave_now(s, "shutdown");
}

static void
begin_giving_up(struct sessions *all)
{
	if (all->survey != NULL && survey_begin(all->survey, on_given_up,
		on_all_given_up, all))
		all->giving_up = false;
}

void
sessions_give_up(struct sessions *all)
{
	all->giving_up = true;
	begin_giving_up(all);
}
