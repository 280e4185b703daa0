#include "worker/runtime/dispatch.h"

#include <stdio.h>

#include "common/jsonrpc.h"
#include "common/log.h"
#include "worker/runtime/arguments.h"
#include "worker/runtime/call.h"
#include "worker/runtime/reclaim.h"

/* Problems are few and short, but name fields that the caller chose. */
#define PROBLEMS_MAX_BYTES 4096
/* Longer names are cut in error messages. */
#define NAME_SHOWN 128

static void
refuse_malformed(struct call *call, const char *reason)
{
	log_warn("malformed entry", LF_S("entry", call->entry),
	    LF("reason", reason));
	if (call->session.n > 0 && call->reply_to.n > 0 && call->id.n > 0)
		call_refuse(call, JSONRPC_INVALID_REQUEST,
		    "the queued call is malformed");
	else
		call_drop(call);
}

/* Not within a character of UTF-8: back to where one starts. */
static struct slice
shown(struct slice name)
{
	size_t n = name.n < NAME_SHOWN ? name.n : NAME_SHOWN;

	while (n > 0 && n < name.n && ((unsigned char)name.p[n] & 0xc0) == 0x80)
		n--;
	return slice_of(n > 0 ? name.p : "", n);
}

/* What requests of a method are about, and how their arguments are found. */
struct method {
	const char *name;
	const struct catalogue_offer *(*find)(const struct catalogue *c,
	    struct slice key);
	arguments_fn *arguments;
	const char *unknown;     /* what to say when there is no such thing */
	int code;
	bool completes;
};

static const struct catalogue_offer *
find_tool(const struct catalogue *c, struct slice key)
{
	return catalogue_find(c, OFFER_TOOL, key);
}

static const struct catalogue_offer *
find_prompt(const struct catalogue *c, struct slice key)
{
	return catalogue_find(c, OFFER_PROMPT, key);
}

static const struct catalogue_offer *
find_resource(const struct catalogue *c, struct slice uri)
{
	const struct catalogue_offer *offer =
	    catalogue_find(c, OFFER_RESOURCE, uri);
	struct uri_variable variables[URI_VARIABLES_MAX];
	size_t count;

	return offer ? offer : catalogue_match(c, uri, variables, &count);
}

/* A prompt's name cannot be a URI template. */
static const struct catalogue_offer *
find_completed(const struct catalogue *c, struct slice key)
{
	const struct catalogue_offer *offer = find_prompt(c, key);

	return offer ? offer : catalogue_find(c, OFFER_TEMPLATE, key);
}

static const struct method methods[] = {
	{ "tools/call", find_tool, arguments_given, "Unknown tool: ",
	    JSONRPC_INVALID_PARAMS, false },
	{ "resources/read", find_resource, arguments_of_uri,
	    "Resource not found: ", CALL_NOT_FOUND, false },
	{ "prompts/get", find_prompt, arguments_given, "Unknown prompt: ",
	    JSONRPC_INVALID_PARAMS, false },
	{ "completion/complete", find_completed, arguments_of_completion,
	    "Nothing to complete: ", JSONRPC_INVALID_PARAMS, true },
};

static const struct method *
find_method(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (slice_eq_str(name, methods[i].name))
			return &methods[i];
	}
	return NULL;
}

/* What does not fit: of tools an answer that models see, as MCP asks (SEP-1303). */
static void
refuse_arguments(struct call *call, const struct catalogue_offer *offer,
    const char *problems)
{
	if (offer->kind == OFFER_TOOL)
		call_error(call, "%s", problems);
	else
		call_refuse(call, JSONRPC_INVALID_PARAMS, problems);
}

static void
run_checked(const struct dispatch *d, struct call *call,
    const struct catalogue_offer *offer, cJSON *take_params, const cJSON *args)
{
	struct strbuf problems = STRBUF_INIT(PROBLEMS_MAX_BYTES);

	if (offer->input == NULL || call->completes ||
	    schema_check(offer->input, args, &problems)) {
		call_prepare(call, offer, policy_safe(d->policy, &offer->tool),
		    take_params, args);
		limiter_take(d->limiter, call);
	} else {
		refuse_arguments(call, offer, strbuf_str(&problems));
		cJSON_Delete(take_params);
	}
	strbuf_release(&problems);
}

/* params may be the call's own copy. */
static void
run_offer(const struct dispatch *d, struct call *call,
    const struct catalogue_offer *offer, struct slice params_text)
{
	cJSON *params;
	const cJSON *args;

	if (!offer->tool.raw && arguments_hold_nul(params_text)) {
		refuse_arguments(call, offer,
		    "arguments: \\u0000 is not allowed in strings");
		return;
	}
	params = arguments_parse(params_text);
	args = call->method->arguments(params, offer);
	if (args != NULL) {
		run_checked(d, call, offer, params, args);
		return;
	}
	cJSON_Delete(params);
	call_refuse(call, JSONRPC_INVALID_PARAMS, call->completes ?
	    "Invalid params: argument must have a name and a value" :
	    "Invalid params: arguments must be an object");
}

/* Parses what it may have the memory for, and lets the others wait. */
static void
admit(const struct dispatch *d, struct call *call,
    const struct catalogue_offer *offer, struct slice target,
    struct slice params)
{
	bool room = budget_take(d->budget, call, arguments_weight(params));

	if ((offer->tool.raw || !room) &&
	    !call_keep_request(call, target, params))
		refuse_malformed(call, "too large");
	else if (room)
		run_offer(d, call, offer, params);
	else
		budget_wait(d->budget, call);
}

/*
 * May a call begin that other workers may have begun? Answers it if not. A call
 * whose time is up is not begun, but an unsafe one may have run.
 */
static bool
may_begin_again(const struct dispatch *d, struct call *call,
    const struct tool *tool, const struct arrival *arrival)
{
	if (arrival->deliveries <= 1 && call->attempt <= RECLAIM_ATTEMPTS_MAX)
		return true;
	if (!policy_safe(d->policy, tool)) {
		log_warn("outcome unknown", LF_S("call", call->call),
		    LF("tool", tool->name), LF("reason", "worker lost"),
		    LF_S("last_worker", arrival->last_worker));
		call_refuse(call, ENV_ERROR_UNKNOWN_OUTCOME,
		    "the worker was lost while the call was running: "
		    "its outcome is unknown");
		return false;
	}
	if (call->attempt <= RECLAIM_ATTEMPTS_MAX)
		return true;
	/* Whoever was lost while giving it up had not begun it. */
	dead_add(d->dead, arrival, RECLAIM_ATTEMPTS_MAX,
	    "its workers were lost while it ran");
	call_refuse(call, ENV_ERROR_GAVE_UP,
	    "given up: each worker that ran the call was lost");
	return false;
}

static void
refuse_unknown(struct call *call, const struct method *method,
    struct slice name)
{
	char message[64 + NAME_SHOWN];

	snprintf(message, sizeof(message), "%s%.*s", method->unknown,
	    SLICE_ARG(shown(name)));
	call_refuse(call, method->code, message);
}

static void
begin_offer(const struct dispatch *d, struct call *call,
    const struct env_request *request, const struct jsonrpc_msg *msg,
    const struct arrival *arrival)
{
	const struct method *method = find_method(request->method);
	const struct catalogue_offer *offer;

	call->method = method;
	if (method == NULL) {
		call_refuse(call, JSONRPC_METHOD_NOT_FOUND,
		    "Method not found");
		return;
	}
	offer = method->find(d->catalogue, request->tool);
	if (offer == NULL)
		refuse_unknown(call, method, request->tool);
	else if (!may_begin_again(d, call, &offer->tool, arrival))
		return;
	else if (call_is_late(call))
		call_expire(call);
	else {
		if (call->attempt > 1)
			inflight_repeated(d->inflight);
		call->completes = method->completes;
		admit(d, call, offer, request->tool, msg->params);
	}
}

void
dispatch_resume(const struct dispatch *d, struct call *call)
{
	/* The catalogue may have changed since. */
	const struct catalogue_offer *offer =
	    call->method->find(d->catalogue, call->target);

	call_set_state(call, CALL_OPENED);
	if (offer == NULL)
		refuse_unknown(call, call->method, call->target);
	else if (call_is_late(call))
		call_expire(call);
	else
		run_offer(d, call, offer, call->raw_params);
}

/* Begins an opened call whose request and message were read. */
static void
begin(const struct dispatch *d, struct call *call,
    const struct env_request *request, const struct jsonrpc_msg *msg,
    const struct arrival *arrival)
{
	if (msg->kind != JSONRPC_REQUEST)
		refuse_malformed(call, "not a JSON-RPC request");
	else if (d->cancels != NULL && cancels_has(d->cancels, call))
		call_drop(call);
	else
		begin_offer(d, call, request, msg, arrival);
}

/* Each further delivery is a further attempt. */
static void
note_arrival(struct call *call, const struct arrival *arrival)
{
	unsigned again = arrival->deliveries > 0 ? arrival->deliveries - 1 : 0;

	call->lease_ms = arrival->held_ms;
	call->deliveries = arrival->deliveries;
	call->attempt += again;
	call->repeated |= again > 0;
}

void
dispatch_entry(const struct dispatch *d, const struct arrival *arrival)
{
	const struct env_entry *entry = &arrival->entry;
	struct call *call = inflight_add(d->inflight, entry->id);
	struct env_request request = { .attempt = 0 };
	struct jsonrpc_msg msg = { .kind = JSONRPC_NOTIFICATION };
	bool ok;

	if (call == NULL)
		return;
	ok = env_request_read(entry->fields, &request);
	if (request.payload.n > 0 &&
	    jsonrpc_peek(request.payload.p, request.payload.n, &msg) != 0)
		ok = false;
	if (!call_open(call, &request, &msg))
		refuse_malformed(call, "too large");
	note_arrival(call, arrival);
	if (call->state != CALL_OPENED)
		return;
	if (!ok)
		refuse_malformed(call, "fields or payload");
	else
		begin(d, call, &request, &msg, arrival);
}
