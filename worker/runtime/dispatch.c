#include "worker/runtime/dispatch.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/jsonrpc.h"
#include "common/log.h"
#include "worker/runtime/call.h"
#include "worker/runtime/reclaim.h"

/* Problems are few and short, but name fields that the caller chose. */
#define PROBLEMS_MAX_BYTES 4096
/* Longer names are cut in error messages. */
#define NAME_SHOWN 128

static void
refuse_unknown_tool(struct call *call, struct slice name)
{
	char message[sizeof("Unknown tool: ") + NAME_SHOWN];
	size_t n = name.n < NAME_SHOWN ? name.n : NAME_SHOWN;

	/* Not within a character of UTF-8: back to where one starts. */
	while (n > 0 && n < name.n && ((unsigned char)name.p[n] & 0xc0) == 0x80)
		n--;
	snprintf(message, sizeof(message), "Unknown tool: %.*s", (int)n,
	    n > 0 ? name.p : "");
	call_refuse(call, JSONRPC_INVALID_PARAMS, message);
}

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

/*
 * cJSON ends a string at an escaped NUL, so that a tool would see less than the
 * client sent: such arguments are refused. A \u after an escaped backslash is
 * plain text.
 */
static bool
holds_nul(struct slice json)
{
	const char *p = json.p, *end;

	if (json.n == 0)
		return false;
	end = json.p + json.n;
	while ((p = memmem(p, (size_t)(end - p), "\\u0000", 6)) != NULL) {
		const char *first = p;

		while (first > json.p && first[-1] == '\\')
			first--;
		if ((p - first) % 2 == 0)
			return true;
		p++;
	}
	return false;
}

static cJSON *
parse_params(struct slice json)
{
	const char *end = NULL;
	cJSON *params = cJSON_ParseWithLengthOpts(json.p, json.n, &end, false);

	if (params != NULL && end != json.p + json.n) {
		cJSON_Delete(params);
		return NULL;
	}
	return params;
}

/* The arguments in params, made when the client left them out. */
static const cJSON *
arguments_of(cJSON *params)
{
	cJSON *args = cJSON_GetObjectItemCaseSensitive(params, "arguments");

	return args ? args : cJSON_AddObjectToObject(params, "arguments");
}

/* Answers what does not fit the schema, as MCP asks (SEP-1303): isError. */
static void
run_checked(const struct dispatch *d, struct call *call,
    const struct catalogue_tool *tool, cJSON *take_params, const cJSON *args)
{
	struct strbuf problems = STRBUF_INIT(PROBLEMS_MAX_BYTES);

	if (tool->input == NULL || schema_check(tool->input, args, &problems)) {
		call_prepare(call, tool->tool,
		    policy_safe(d->policy, tool->tool), take_params, args);
		limiter_take(d->limiter, call);
	} else {
		call_error(call, "%s", strbuf_str(&problems));
		cJSON_Delete(take_params);
	}
	strbuf_release(&problems);
}

static void
run_tool(const struct dispatch *d, struct call *call,
    const struct catalogue_tool *tool, const struct jsonrpc_msg *msg)
{
	cJSON *params;
	const cJSON *args;

	if (tool->tool->raw && !call_keep_params(call, msg->params)) {
		refuse_malformed(call, "too large");
		return;
	}
	if (!tool->tool->raw && holds_nul(msg->params)) {
		call_error(call, "arguments: \\u0000 is not allowed in strings");
		return;
	}
	params = parse_params(msg->params);
	args = arguments_of(params);
	if (cJSON_IsObject(args)) {
		run_checked(d, call, tool, params, args);
		return;
	}
	cJSON_Delete(params);
	call_refuse(call, JSONRPC_INVALID_PARAMS,
	    "Invalid params: arguments must be an object");
}

/*
 * May a call begin that other workers may have begun? Answers it if not. A call
 * whose time is up is not begun, but an unsafe one may have run.
 */
static bool
may_begin_again(const struct dispatch *d, struct call *call,
    const struct tool *tool, const struct arrival *arrival)
{
	if (arrival->deliveries <= 1)
		return true;
	if (!policy_safe(d->policy, tool)) {
		call_refuse(call, ENV_ERROR_UNKNOWN_OUTCOME,
		    "the worker was lost while the call was running: "
		    "its outcome is unknown");
		return false;
	}
	if (call->attempt <= RECLAIM_ATTEMPTS_MAX)
		return true;
	dead_add(d->dead, arrival, call->attempt - 1,
	    "its workers were lost while it ran");
	call_refuse(call, ENV_ERROR_GAVE_UP,
	    "given up: each worker that ran the call was lost");
	return false;
}

static bool
too_late(const struct call *call)
{
	return call->deadline_ms != 0 &&
	    clock_wall_ms() > call->deadline_ms;
}

static void
call_a_tool(const struct dispatch *d, struct call *call,
    const struct env_request *request, const struct jsonrpc_msg *msg,
    const struct arrival *arrival)
{
	const struct catalogue_tool *tool =
	    catalogue_find(d->catalogue, request->tool);

	if (tool == NULL)
		refuse_unknown_tool(call, request->tool);
	else if (!may_begin_again(d, call, tool->tool, arrival))
		return;
	else if (too_late(call))
		call_expire(call);
	else
		run_tool(d, call, tool, msg);
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
	else if (slice_eq(request->method, SLICE("tools/call")))
		call_a_tool(d, call, request, msg, arrival);
	else
		call_refuse(call, JSONRPC_METHOD_NOT_FOUND,
		    "Method not found");
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
