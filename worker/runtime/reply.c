#include "worker/runtime/reply.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/inbox_life.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/call.h"

/* A larger entry would hold up everything behind it on both connections. */
#define ENTRY_MAX_BYTES ((size_t)512 << 10)
/* Before sending again what Redis refused. */
#define RETRY_SECONDS 1

/* XADD key MAXLEN ~ n *, then the messages. */
#define XADD_ARGC 6
#define XADD_ARGC_MAX (XADD_ARGC + ENV_MESSAGES_PER_ENTRY * ENV_MESSAGE_ARGC)
/* XACK key group, then the ids; XDEL needs one less in front. */
#define XACK_ARGC 3

struct reply {
	struct reply_options options;
	struct event *flush;           /* at the end of this turn */
	struct event *retry;
	struct call_list answered;     /* CALL_ANSWERED, to be sent */
	struct call_list stale;        /* the same, until lease confirms them */
	struct slice *argv;            /* room for max_calls in one command */
	struct inbox_lives lives;
};

/*
 * What one flush sent: calls[0..n), those of one XADD side by side. It lives
 * until each of its commands was called back.
 */
struct flush {
	struct reply *reply;
	size_t outstanding;            /* commands without a callback yet */
	bool forgotten;                /* XDEL and XACK confirmed */
	size_t n;
	struct call *calls[];
};

/* The calls of one XADD: count of them from flush->calls[first]. */
struct parcel {
	struct flush *flush;
	size_t first, count;
};

/* Waiting for certainty -------------------------------------------------- */

static bool
is_fresh(const struct reply *r, const struct call *call, uint64_t now)
{
	return r->options.lease == NULL ||
	    lease_may_answer(r->options.lease, call, now);
}

/* Sets aside what may be another worker's by now, and has that found out. */
static void
set_stale_aside(struct reply *r)
{
	struct call_list fresh = TAILQ_HEAD_INITIALIZER(fresh);
	uint64_t now = clock_mono_ms();
	struct call *call;

	while ((call = TAILQ_FIRST(&r->answered)) != NULL) {
		TAILQ_REMOVE(&r->answered, call, link);
		if (is_fresh(r, call, now))
			TAILQ_INSERT_TAIL(&fresh, call, link);
		else
			TAILQ_INSERT_TAIL(&r->stale, call, link);
	}
	TAILQ_CONCAT(&r->answered, &fresh, link);
	if (!TAILQ_EMPTY(&r->stale))
		lease_tick(r->options.lease);
}

static bool
list_has(const struct call_list *list, const struct call *wanted)
{
	const struct call *call;

	TAILQ_FOREACH(call, list, link) {
		if (call == wanted)
			return true;
	}
	return false;
}

void
reply_remove(struct reply *r, struct call *call)
{
	struct call_list *list = list_has(&r->stale, call) ? &r->stale :
	    &r->answered;

	if (list_has(list, call))
		TAILQ_REMOVE(list, call, link);
}

/* Choosing --------------------------------------------------------------- */

static size_t
count_answered(const struct reply *r)
{
	const struct call *call;
	size_t n = 0;

	TAILQ_FOREACH(call, &r->answered, link)
		n++;
	return n;
}

static bool
needs_xadd(const struct call *call)
{
	return call->answer.n > 0 && !call->added;
}

/*
 * Moves from the queue into the flush what can share an XADD with the queue's
 * first call, up to the caps; calls that need none come alone as they come.
 * Returns how many. The queue is passed over once per pod: pods are few.
 */
static size_t
choose(struct reply *r, struct flush *flush)
{
	struct call *head = TAILQ_FIRST(&r->answered);
	struct call_list rest = TAILQ_HEAD_INITIALIZER(rest);
	struct call *call;
	size_t first = flush->n, bytes = 0;

	while ((call = TAILQ_FIRST(&r->answered)) != NULL) {
		size_t count = flush->n - first;

		TAILQ_REMOVE(&r->answered, call, link);
		if (flush->n == r->options.max_calls ||
		    (count > 0 && (count == ENV_MESSAGES_PER_ENTRY ||
		    bytes + call->answer.n > ENTRY_MAX_BYTES ||
		    needs_xadd(call) != needs_xadd(head) ||
		    !slice_eq(call->reply_to, head->reply_to)))) {
			TAILQ_INSERT_TAIL(&rest, call, link);
			continue;
		}
		bytes += call->answer.n;
		call_set_state(call, CALL_SENT);
		flush->calls[flush->n++] = call;
	}
	TAILQ_CONCAT(&r->answered, &rest, link);
	return flush->n - first;
}

/* Confirmed or not ------------------------------------------------------- */

static void
requeue(struct reply *r, struct call *call)
{
	call_set_state(call, CALL_ANSWERED);
	TAILQ_INSERT_TAIL(&r->answered, call, link);
}

static void
retry_later(struct reply *r)
{
	const struct timeval pause = { .tv_sec = RETRY_SECONDS };

	if (!event_pending(r->retry, EV_TIMEOUT, NULL))
		event_add(r->retry, &pause);
}

static void
flush_finish(struct flush *flush)
{
	struct reply *r = flush->reply;

	for (size_t i = 0; i < flush->n; i++) {
		struct call *call = flush->calls[i];

		call->entry_gone |= flush->forgotten;
		if (flush->forgotten && !needs_xadd(call))
			inflight_done(r->options.inflight, call);
		else
			requeue(r, call);
	}
	free(flush);
	if (!TAILQ_EMPTY(&r->answered))
		retry_later(r);
}

static void
flush_unref(struct flush *flush)
{
	if (--flush->outstanding == 0)
		flush_finish(flush);
}

static void
log_refusal(const char *command, const redisReply *reply)
{
	log_error("redis refused", LF("command", command),
	    LF_S("reason", slice_of(reply->str, (size_t)reply->len)));
}

static void
on_added(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct parcel *parcel = arg;
	struct flush *flush = parcel->flush;
	bool refused = reply != NULL && reply->type == REDIS_REPLY_ERROR;

	if (refused)
		log_refusal("XADD", reply);
	for (size_t i = 0; i < parcel->count; i++) {
		struct call *call = flush->calls[parcel->first + i];

		call->added = reply != NULL && !refused;
		call->in_doubt |= reply == NULL;
		call->repeated |= reply == NULL;
	}
	free(parcel);
	flush_unref(flush);
}

/* XDEL and XACK: the entries are gone when both say so. */
static void
on_forgotten(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct flush *flush = arg;

	if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
		log_refusal("XDEL or XACK", reply);
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
		flush->forgotten = false;
	flush_unref(flush);
}

/* Sending ---------------------------------------------------------------- */

static size_t
add_message(struct slice *argv, const struct call *call)
{
	const struct env_message message = {
		.call = call->call,
		.session = call->session,
		.attempt = call->repeated ? SLICE("2") : SLICE("1"),
		.payload = strbuf_slice(&call->answer),
	};

	return env_message_fields(argv, &message);
}

/* One XADD for count calls from calls[first]; false when it was not sent. */
static bool
send_answers(struct flush *flush, size_t first, size_t count)
{
	struct reply *r = flush->reply;
	struct slice *argv = r->argv;
	struct parcel *parcel = xmalloc(sizeof(*parcel));
	struct env_keybuf key;
	size_t argc = 0;

	*parcel = (struct parcel){ flush, first, count };
	argv[argc++] = SLICE("XADD");
	argv[argc++] = env_key(&key, ENV_REPLIES, flush->calls[first]->reply_to);
	argv[argc++] = SLICE("MAXLEN");
	argv[argc++] = SLICE("~");
	argv[argc++] = SLICE(ENV_INBOX_MAX);
	argv[argc++] = SLICE("*");
	for (size_t i = 0; i < count; i++)
		argc += add_message(argv + argc, flush->calls[first + i]);
	if (!redis_send(r->options.commands, argv, argc, on_added, parcel)) {
		free(parcel);
		return false;
	}
	flush->outstanding++;
	inbox_lives_renew(&r->lives, r->options.commands, argv[1]);
	return true;
}

static bool
send_counted(struct flush *flush, const struct slice *argv, size_t argc)
{
	if (!redis_send(flush->reply->options.commands, argv, argc,
	    on_forgotten, flush))
		return false;
	flush->outstanding++;
	return true;
}

/* XDEL, then XACK, of all entries in the flush. */
static void
send_forget(struct flush *flush)
{
	struct reply *r = flush->reply;
	struct slice *argv = r->argv;
	bool sent;

	for (size_t i = 0; i < flush->n; i++)
		argv[XACK_ARGC + i] = flush->calls[i]->entry;
	/* Without the group, one place further on. */
	argv[1] = SLICE("XDEL");
	argv[2] = r->options.requests_key;
	sent = send_counted(flush, argv + 1, XACK_ARGC - 1 + flush->n);
	argv[0] = SLICE("XACK");
	argv[1] = r->options.requests_key;
	argv[2] = SLICE(ENV_GROUP);
	sent = sent && send_counted(flush, argv, XACK_ARGC + flush->n);
	flush->forgotten = sent;
}

/* Takes calls back that could not be sent: they are the last of the flush. */
static void
give_back(struct flush *flush, size_t count)
{
	while (count-- > 0)
		requeue(flush->reply, flush->calls[--flush->n]);
}

/* Sends up to max_calls; false when Redis took less than it was given. */
static bool
send_flush(struct reply *r)
{
	struct flush *flush = xmalloc(sizeof(*flush) +
	    count_answered(r) * sizeof(struct call *));
	bool sent = true;

	*flush = (struct flush){ .reply = r, .outstanding = 1 };
	while (sent && flush->n < r->options.max_calls &&
	    !TAILQ_EMPTY(&r->answered)) {
		size_t first = flush->n;
		size_t count = choose(r, flush);

		if (needs_xadd(flush->calls[first]))
			sent = send_answers(flush, first, count);
		if (!sent)
			give_back(flush, count);
	}
	if (flush->n > 0)
		send_forget(flush);
	flush_unref(flush);
	return sent;
}

static void
on_flush(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct reply *r = arg;

	if (!redis_is_ready(r->options.commands))
		return;
	set_stale_aside(r);
	while (!TAILQ_EMPTY(&r->answered) && send_flush(r))
		;
}

/* The object ------------------------------------------------------------- */

struct reply *
reply_new(const struct reply_options *options)
{
	struct reply *r = xcalloc(1, sizeof(*r));
	size_t argc = XACK_ARGC + options->max_calls;

	r->options = *options;
	TAILQ_INIT(&r->answered);
	TAILQ_INIT(&r->stale);
	r->flush = evtimer_new(options->base, on_flush, r);
	r->retry = evtimer_new(options->base, on_flush, r);
	r->argv = xcalloc(argc > XADD_ARGC_MAX ? argc : XADD_ARGC_MAX,
	    sizeof(*r->argv));
	if (r->flush == NULL || r->retry == NULL)
		abort();
	return r;
}

void
reply_free(struct reply *r)
{
	if (r == NULL)
		return;
	event_free(r->flush);
	event_free(r->retry);
	free(r->argv);
	free(r);
}

void
reply_add(struct reply *r, struct call *call)
{
	/* Activated within a turn, it runs after this turn's other events. */
	if (TAILQ_EMPTY(&r->answered))
		event_active(r->flush, EV_TIMEOUT, 0);
	TAILQ_INSERT_TAIL(&r->answered, call, link);
}

void
reply_wake(struct reply *r)
{
	TAILQ_CONCAT(&r->answered, &r->stale, link);
	if (!TAILQ_EMPTY(&r->answered))
		event_active(r->flush, EV_TIMEOUT, 0);
}
