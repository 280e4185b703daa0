#include "worker/runtime/call.h"

#include "common/clock.h"
#include "common/log.h"
#include "worker/runtime/ask.h"
#include "worker/runtime/work.h"
#include "worker/runtime/worker_env.h"

/* A progress token goes out with each report: longer ones are ignored. */
#define TOKEN_MAX 1024
/* A tool that does not return for so long should be one that computes. */
#define BLOCKED_MS 250

static const char *const state_names[] = {
	[CALL_OPENED] = "opened",
	[CALL_WAITING] = "waiting",
	[CALL_RUNNING] = "running",
	[CALL_ANSWERED] = "answered",
	[CALL_SENT] = "sent",
	[CALL_RETURNING] = "returning",
	[CALL_ABANDONED] = "abandoned",
};

void
call_set_state(struct call *call, enum call_state state)
{
	log_debug("call state", LF_S("call", call->call),
	    LF("from", state_names[call->state]),
	    LF("to", state_names[state]));
	inflight_moved(call->home, call, state);
	call->state = state;
}

/* For the log; before it is known, empty. */
static const char *
tool_name(const struct call *call)
{
	return call->tool != NULL ? call->tool->name : "";
}

/* Coming in -------------------------------------------------------------- */

/* The next n bytes of the copies, as a slice. */
static struct slice
next_copy(const struct call *call, size_t *at, size_t n)
{
	struct slice s = slice_of(strbuf_str(&call->copies) + *at, n);

	*at += n;
	return s;
}

bool
call_open(struct call *call, const struct env_request *request,
    const struct jsonrpc_msg *msg)
{
	struct strbuf *sb = &call->copies;
	struct slice id = msg->id, token = msg->progress_token;
	size_t at = 0;
	bool ok;

	if (token.n > TOKEN_MAX)
		token = SLICE_NONE;

	strbuf_add_slice(sb, request->call);
	strbuf_add_slice(sb, request->session);
	strbuf_add_slice(sb, request->reply_to);
	strbuf_add_slice(sb, request->user);
	strbuf_add_slice(sb, id);
	strbuf_add_slice(sb, token);
	strbuf_add_slice(sb, request->headers);
	ok = strbuf_ok(sb);
	call->repeated = request->attempt > 1;
	/* Only now: the bytes moved while they grew. */
	call->entry = next_copy(call, &at, call->entry.n);
	call->call = next_copy(call, &at, ok ? request->call.n : 0);
	call->session = next_copy(call, &at, ok ? request->session.n : 0);
	call->reply_to = next_copy(call, &at, ok ? request->reply_to.n : 0);
	call->user = next_copy(call, &at, ok ? request->user.n : 0);
	call->id = next_copy(call, &at, ok ? id.n : 0);
	call->token = next_copy(call, &at, ok ? token.n : 0);
	call->headers = next_copy(call, &at, ok ? request->headers.n : 0);
	if (call->token.n > 0)
		call->dialogue.begun_ms = clock_mono_ms();
	call->client = client_traits_read(request->client);
	call->size = request->payload.n;
	call->deadline_ms = request->deadline_ms;
	call->attempt = (unsigned)request->attempt;
	return ok;
}

bool
call_keep_request(struct call *call, struct slice target, struct slice params)
{
	struct slice *const kept[] = { &call->entry, &call->call,
		&call->session, &call->reply_to, &call->user, &call->id,
		&call->token, &call->headers, &call->target,
		&call->raw_params };
	size_t at = 0;

	call->target.n = target.n;
	call->raw_params.n = params.n;
	strbuf_add_slice(&call->copies, target);
	strbuf_add_slice(&call->copies, params);
	if (!strbuf_ok(&call->copies))
		return false;
	/* The bytes may have moved; they lie in this order. */
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		*kept[i] = next_copy(call, &at, kept[i]->n);
	return true;
}

static void
complete_nothing(struct call *call, const cJSON *args UNUSED)
{
	call_complete(call, NULL, 0, 0);
}

/* In the place of a tool: what the answer needs to know of it. */
static void
stand_in(struct call *call, const struct catalogue_offer *offer)
{
	const struct prompt *prompt = offer->item;

	call->stand_in = offer->tool;
	call->tool = &call->stand_in;
	call->mime_type = offer->mime_type;
	if (offer->kind == OFFER_PROMPT)
		call->description = prompt->description;
	if (call->completes)
		call->stand_in.run = offer->complete != NULL ?
		    offer->complete : complete_nothing;
}

void
call_prepare(struct call *call, const struct catalogue_offer *offer, bool safe,
    cJSON *take_params, const cJSON *args)
{
	call->kind = offer->kind;
	call->listing = catalogue_hold(offer);
	call->output = offer->output;
	if (offer->kind == OFFER_TOOL)
		call->tool = offer->item;
	else
		stand_in(call, offer);
	call->safe = safe;
	call->params = take_params;
	call->args = args;
}

void
call_hold(struct call *call)
{
	call->held = true;
	call_set_state(call, CALL_RUNNING);
}

/* Its tool may have answered: nothing of the call is to be looked at. */
static void
note_run(const char *tool, uint64_t ms)
{
	if (ms >= BLOCKED_MS)
		log_warn("tool blocked the event loop", LF("tool", tool),
		    LF_N("ms", ms));
}

void
call_run(struct call *call)
{
	const char *tool = call->tool->name;
	uint64_t began_ms = clock_mono_ms();

	call_hold(call);
	call->tool->run(call, call->args);
	note_run(tool, clock_mono_ms() - began_ms);
}

/* The tool has answered, or knows that it need not. */
static void
release(struct call *call)
{
	call->held = false;
	inflight_released(call->home, call);
}

static void
let_go(struct call *call)
{
	void (*fn)(struct call *of, void *arg) = call->on_cancel;

	ask_end_all(call);
	if (!call->held || call->let_go)
		return;
	call->let_go = true;
	/* Its thread has the arguments until it returns. */
	if (call->work != NULL)
		work_cancel(call->work);
	if (fn == NULL)
		return;
	call->on_cancel = NULL;
	fn(call, call->on_cancel_arg);
	/* Within fn it may have answered after all. */
	if (call->held)
		release(call);
}

/* Going out -------------------------------------------------------------- */

/*
 * A tool that starts threads of its own would have them race with the loop, for a
 * call that may be another's by then: it is told, and its call ends as late.
 */
static bool
is_on_loop(const struct call *call)
{
	if (call->env == NULL || worker_env_is_on_loop(call->env))
		return true;
	log_error("call used on a thread", LF_S("call", call->call),
	    LF("tool", tool_name(call)));
	return false;
}

bool
call_is_open(const struct call *call)
{
	return is_on_loop(call) && !call->let_go && (call->state == CALL_OPENED ||
	    call->state == CALL_WAITING || call->state == CALL_RUNNING);
}

bool
call_may_answer(struct call *call)
{
	if (!is_on_loop(call))
		return false;
	if (call->held && call->let_go) {
		release(call);
		return false;
	}
	if (call_is_open(call))
		return true;
	log_error("second answer refused", LF_S("call", call->call),
	    LF("tool", tool_name(call)));
	return false;
}

bool
call_may_talk(const struct call *call)
{
	return is_on_loop(call) && call->state == CALL_RUNNING &&
	    !call->let_go;
}

static void
error_answer(struct call *call, int code, const char *message)
{
	strbuf_reset(&call->answer);
	jsonrpc_error(&call->answer, call->id, code, message);
	call->failed = true;
	call->error = code;
}

/* A client that cannot read its answer would wait for it in vain. */
static void
check_raw(struct call *call)
{
	struct jsonrpc_msg msg;

	if (!call->has_raw || !strbuf_ok(&call->answer) ||
	    jsonrpc_peek(call->answer.p, call->answer.n, &msg) == 0)
		return;
	log_error("answer is not strict JSON",
	    LF("tool", call->tool ? call->tool->name : ""));
	error_answer(call, JSONRPC_INTERNAL_ERROR,
	    "the tool has run, but its answer is not JSON");
}

static void
too_large(struct call *call)
{
	log_error("answer is larger than 1 MiB", LF_S("call", call->call),
	    LF("tool", tool_name(call)));
	error_answer(call, JSONRPC_INTERNAL_ERROR,
	    "the tool's answer is larger than 1 MiB");
}

void
call_answered(struct call *call)
{
	ask_end_all(call);
	check_raw(call);
	if (!strbuf_ok(&call->answer))
		too_large(call);
	if (!strbuf_ok(&call->answer)) {
		log_error("answer dropped", LF_S("call", call->call),
		    LF("reason", "its id leaves no room"));
		strbuf_reset(&call->answer);
	}
	call_set_state(call, CALL_ANSWERED);
	if (call->held && !call->let_go)
		release(call);
	inflight_answered(call->home, call);
}

void
call_refuse(struct call *call, int code, const char *message)
{
	if (!call_may_answer(call))
		return;
	error_answer(call, code, message);
	call_answered(call);
}

void
call_drop(struct call *call)
{
	if (!call_may_answer(call))
		return;
	strbuf_reset(&call->answer);
	call_answered(call);
}

bool
call_is_late(const struct call *call)
{
	return call->deadline_ms != 0 &&
	    clock_shared_ms() > call->deadline_ms;
}

/* Other ends ----------------------------------------------------------------- */

static void
answer_unknown(struct call *call, const char *message)
{
	log_warn("outcome unknown", LF_S("call", call->call),
	    LF("tool", tool_name(call)), LF("reason", message));
	error_answer(call, ENV_ERROR_UNKNOWN_OUTCOME, message);
	call_answered(call);
}

void
call_expire(struct call *call)
{
	bool begun = call->state == CALL_RUNNING;

	if (begun)
		log_warn("tool not done in time", LF_S("call", call->call),
		    LF("tool", tool_name(call)));
	inflight_ending(call->home, call);
	let_go(call);
	error_answer(call, ENV_ERROR_TIMEOUT, begun ?
	    "the tool did not answer before the call's deadline" :
	    "deadline passed before the call began");
	call_answered(call);
}

void
call_cancel(struct call *call)
{
	inflight_ending(call->home, call);
	let_go(call);
	strbuf_reset(&call->answer);
	call_answered(call);
}

void
call_return(struct call *call)
{
	bool begun = call->state == CALL_RUNNING;

	inflight_ending(call->home, call);
	let_go(call);
	/* What is off the queue cannot go back there. */
	if (call->entry_gone || (begun && !call->safe)) {
		answer_unknown(call, "the worker stopped while the call was "
		    "running: its outcome is unknown");
		return;
	}
	call->attempt += begun;
	strbuf_reset(&call->answer);
	call_set_state(call, CALL_RETURNING);
}

void
call_lost(struct call *call)
{
	if (!call_may_answer(call))
		return;
	if (call->entry_gone || !call->safe) {
		answer_unknown(call, "what ran the call was lost on the way: "
		    "its outcome is unknown");
		return;
	}
	ask_end_all(call);
	call->attempt++;
	strbuf_reset(&call->answer);
	call_set_state(call, CALL_RETURNING);
	release(call);
}

void
call_lose(struct call *call)
{
	inflight_ending(call->home, call);
	let_go(call);
	inflight_forget(call->home, call);
}

/* What a tool may ask ---------------------------------------------------- */

const struct tool *
call_tool(const struct call *call)
{
	return call->tool;
}

const char *
call_uri(const struct call *call)
{
	return call->kind != OFFER_RESOURCE && call->kind != OFFER_TEMPLATE ?
	    NULL : cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
	    call->params, "uri"));
}

struct slice
call_params(const struct call *call)
{
	return call->raw_params;
}

struct worker_env *
call_env(const struct call *call)
{
	return call->env;
}

void *
call_state(const struct call *call)
{
	return worker_env_state(call->env);
}

struct slice
call_idempotency_key(const struct call *call)
{
	return call->call;
}

unsigned
call_attempt(const struct call *call)
{
	return call->attempt;
}

struct slice
call_user(const struct call *call)
{
	return call->user;
}

struct slice
call_header(const struct call *call, const char *name)
{
	struct slice left = call->headers;
	size_t n = strlen(name);

	while (left.n > 0) {
		const char *end = memchr(left.p, '\n', left.n);
		size_t line = end ? (size_t)(end - left.p) : left.n;

		if (line >= n + 2 && strncasecmp(left.p, name, n) == 0 &&
		    memcmp(left.p + n, ": ", 2) == 0)
			return slice_of(left.p + n + 2, line - n - 2);
		line += end != NULL;
		left = slice_of(left.p + line, left.n - line);
	}
	return SLICE_NONE;
}

uint64_t
call_deadline_ms(const struct call *call)
{
	if (call->deadline_ms == 0)
		return 0;
	return call->deadline_ms - clock_shared_ms() + clock_wall_ms();
}

uint64_t
call_left_ms(const struct call *call)
{
	uint64_t now = clock_shared_ms();

	if (call->deadline_ms == 0)
		return UINT64_MAX;
	return call->deadline_ms > now ? call->deadline_ms - now : 0;
}

void
call_on_cancel(struct call *call, void (*fn)(struct call *call, void *arg),
    void *arg)
{
	call->on_cancel = fn;
	call->on_cancel_arg = arg;
}
