#include "worker/runtime/dispatch.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/jsonrpc.h"
#include "common/log.h"
#include "worker/runtime/call.h"

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
run_checked(struct call *call, const struct catalogue_tool *tool,
    cJSON *take_params, const cJSON *args)
{
	struct strbuf problems = STRBUF_INIT(PROBLEMS_MAX_BYTES);

	if (schema_check(tool->input, args, &problems)) {
		call_run(call, tool->tool, take_params, args);
	} else {
		call_error(call, "%s", strbuf_str(&problems));
		cJSON_Delete(take_params);
	}
	strbuf_release(&problems);
}

static void
call_a_tool(const struct catalogue *catalogue, struct call *call,
    const struct env_request *request, const struct jsonrpc_msg *msg)
{
	const struct catalogue_tool *tool =
	    catalogue_find(catalogue, request->tool);
	cJSON *params;
	const cJSON *args;

	if (tool == NULL) {
		refuse_unknown_tool(call, request->tool);
		return;
	}
	if (holds_nul(msg->params)) {
		call_error(call, "arguments: \\u0000 is not allowed in strings");
		return;
	}
	params = parse_params(msg->params);
	args = arguments_of(params);
	if (cJSON_IsObject(args)) {
		run_checked(call, tool, params, args);
		return;
	}
	cJSON_Delete(params);
	call_refuse(call, JSONRPC_INVALID_PARAMS,
	    "Invalid params: arguments must be an object");
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

static bool
too_late(const struct env_request *request)
{
	return request->deadline_ms != 0 &&
	    clock_wall_ms() > request->deadline_ms;
}

/* Begins an opened call whose request and message were read. */
static void
begin(const struct catalogue *catalogue, struct call *call,
    const struct env_request *request, const struct jsonrpc_msg *msg)
{
	if (msg->kind != JSONRPC_REQUEST)
		refuse_malformed(call, "not a JSON-RPC request");
	else if (too_late(request))
		call_refuse(call, DISPATCH_TOO_LATE,
		    "deadline passed before the call began");
	else if (slice_eq(request->method, SLICE("tools/call")))
		call_a_tool(catalogue, call, request, msg);
	else
		call_refuse(call, JSONRPC_METHOD_NOT_FOUND,
		    "Method not found");
}

void
dispatch_entry(const struct catalogue *catalogue, struct inflight *inflight,
    const struct env_entry *entry)
{
	struct call *call = inflight_add(inflight, entry->id);
	struct env_request request = { .attempt = 0 };
	struct jsonrpc_msg msg = { .kind = JSONRPC_NOTIFICATION };
	bool ok;

	if (call == NULL)
		return;
	ok = env_request_read(entry->fields, &request);
	if (request.payload.n > 0 &&
	    jsonrpc_peek(request.payload.p, request.payload.n, &msg) != 0)
		ok = false;
	if (!call_open(call, &request, msg.id))
		refuse_malformed(call, "too large");
	else if (!ok)
		refuse_malformed(call, "fields or payload");
	else
		begin(catalogue, call, &request, &msg);
}
