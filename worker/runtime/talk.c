#include "worker/runtime/talk.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/content.h"

/* As large as an answer: a log message may hold what a tool has seen. */
#define MESSAGE_MAX CALL_ANSWER_MAX
/* A call's allowance: so many at once, and one more each so many ms. */
#define BURST 32
#define EVERY_MS 100
/* Progress has to grow from one report to the next. */
#define STEP 0.000001

struct talk {
	struct talk_options options;
};

struct talk *
talk_new(const struct talk_options *options)
{
	struct talk *t = xcalloc(1, sizeof(*t));

	t->options = *options;
	return t;
}

void
talk_free(struct talk *t)
{
	free(t);
}

struct asks *
talk_asks(const struct talk *t)
{
	return t->options.asks;
}

/* Sending ---------------------------------------------------------------------- */

/* What has been said is paid for at EVERY_MS a piece, BURST of them later. */
bool
talk_may(struct call *call)
{
	uint64_t now = clock_mono_ms(), *paid = &call->dialogue.paid_ms;

	if (*paid > now + (uint64_t)(BURST - 1) * EVERY_MS)
		return false;
	*paid = (*paid > now ? *paid : now) + EVERY_MS;
	return true;
}

/* Adds a message of that call id to the inbox of the client's pod. */
static bool
send_as(struct call *call, struct slice id, struct slice message)
{
	const struct talk_options *o;
	struct env_keybuf key;
	struct slice argv[6 + ENV_MESSAGE_ARGC] = { SLICE("XADD"),
		env_key(&key, ENV_REPLIES, call->reply_to), SLICE("MAXLEN"),
		SLICE("~"), SLICE(ENV_INBOX_MAX), SLICE("*") };
	const struct env_message m = {
		.call = id,
		.session = call->session,
		.attempt = SLICE("1"),
		.payload = message,
	};
	size_t argc = 6 + env_message_fields(argv + 6, &m);

	if (call->talk == NULL)
		return false;
	o = &call->talk->options;
	if (o->lease != NULL &&
	    !lease_is_fresh(o->lease, call, clock_mono_ms()))
		return false;
	return redis_send(o->commands, argv, argc, NULL, NULL);
}

bool
talk_send(struct call *call, struct slice message)
{
	return send_as(call, call->call, message);
}

void
call_close_stream(struct call *call)
{
	if (call_may_talk(call) && talk_may(call))
		(void)send_as(call, SLICE(ENV_CALL_CLOSE_STREAM), call->call);
}

static void
open_notification(struct strbuf *sb, const char *method)
{
	strbuf_addf(sb, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":",
	    method);
}

/* Takes what was opened; says it if it fits, and if the call may. */
static void
say(struct call *call, struct strbuf *take_sb)
{
	struct jsonrpc_msg msg;

	strbuf_add_char(take_sb, '}');
	if (strbuf_ok(take_sb) && talk_may(call)) {
		if (jsonrpc_peek(take_sb->p, take_sb->n, &msg) == 0)
			talk_send(call, strbuf_slice(take_sb));
		else
			log_error("message is not strict JSON",
			    LF("tool", call->tool->name));
	}
	strbuf_release(take_sb);
}

void
call_notify(struct call *call, const char *method, struct slice params)
{
	struct strbuf sb = STRBUF_INIT(MESSAGE_MAX);

	if (!call_may_talk(call))
		return;
	open_notification(&sb, method);
	content_raw(&sb, params);
	say(call, &sb);
}

/* Progress ------------------------------------------------------------------------ */

static void
report(struct call *call, const char *message)
{
	struct dialogue *d = &call->dialogue;
	struct strbuf sb = STRBUF_INIT(MESSAGE_MAX);

	d->reported_ms = clock_mono_ms();
	open_notification(&sb, "notifications/progress");
	strbuf_add_slice(&sb, SLICE("{\"progressToken\":"));
	strbuf_add_slice(&sb, call->token);
	strbuf_add_slice(&sb, SLICE(",\"progress\":"));
	strbuf_add_number(&sb, d->done);
	if (d->total > 0) {
		strbuf_add_slice(&sb, SLICE(",\"total\":"));
		strbuf_add_number(&sb, d->total);
	}
	content_member(&sb, "message", message);
	strbuf_add_char(&sb, '}');
	say(call, &sb);
}

void
call_progress(struct call *call, double done, double total,
    const char *message)
{
	struct dialogue *d = &call->dialogue;

	if (call->token.n == 0 || !call_may_talk(call) || !isfinite(done) ||
	    !isfinite(total) || (d->reported_ms != 0 && done <= d->done))
		return;
	d->done = done;
	d->total = total;
	report(call, message);
}

/* As little more as is seen: the tool itself may have more to say next. */
static void
report_silence(struct call *call, uint64_t running_ms)
{
	struct dialogue *d = &call->dialogue;
	char message[64];

	d->done = fmax(d->done + STEP, nextafter(d->done, INFINITY));
	if (d->total > 0 && d->done > d->total)
		d->total = 0;
	snprintf(message, sizeof(message), "running for %llu s",
	    (unsigned long long)running_ms / 1000);
	report(call, message);
}

void
talk_tick(struct call *call)
{
	const struct dialogue *d = &call->dialogue;
	uint64_t now, since, patience;

	if (call->token.n == 0 || call->talk == NULL ||
	    (call->state != CALL_RUNNING && call->state != CALL_WAITING))
		return;
	patience = call->talk->options.progress_ms;
	now = clock_mono_ms();
	since = d->reported_ms != 0 ? d->reported_ms : d->begun_ms;
	if (patience > 0 && now - since >= patience)
		report_silence(call, now - d->begun_ms);
}

struct slice
call_progress_token(const struct call *call)
{
	return call->token;
}

/* Log messages ---------------------------------------------------------------------- */

bool
call_logs(const struct call *call, enum client_level level)
{
	return call_may_talk(call) && level >= call->client.level;
}

static void
open_log(struct strbuf *sb, enum client_level level, const char *logger)
{
	open_notification(sb, "notifications/message");
	strbuf_addf(sb, "{\"level\":\"%s\"", client_level_name(level));
	content_member(sb, "logger", logger);
	strbuf_add_slice(sb, SLICE(",\"data\":"));
}

void
call_log(struct call *call, enum client_level level, const char *logger,
    struct slice data)
{
	struct strbuf sb = STRBUF_INIT(MESSAGE_MAX);

	if (!call_logs(call, level))
		return;
	open_log(&sb, level, logger);
	content_raw(&sb, data);
	strbuf_add_char(&sb, '}');
	say(call, &sb);
}

void
call_log_text(struct call *call, enum client_level level, const char *logger,
    const char *fmt, ...)
{
	struct strbuf sb = STRBUF_INIT(MESSAGE_MAX);
	char *text = NULL;
	va_list ap;
	int n;

	if (!call_logs(call, level))
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	open_log(&sb, level, logger);
	strbuf_add_json(&sb, slice_of(text, (size_t)n));
	strbuf_add_char(&sb, '}');
	say(call, &sb);
	free(text);
}
