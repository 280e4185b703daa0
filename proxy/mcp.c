#include "proxy/mcp.h"

#include "proxy/declaration.h"

typedef const struct catalog_tool *mcp_method_fn(const struct mcp_scope *scope,
    const struct jsonrpc_msg *request, struct strbuf *answer);

/* <api>_<tool> */
#define FULL_NAME_MAX (API_NAME_MAX + 1 + TOOL_NAME_MAX)

/* Revisions that open a session with initialize, oldest first. */
static const char *const revisions[] = { "2024-11-05", "2025-03-26",
	"2025-06-18", MCP_PROTOCOL_LATEST };

const char *
mcp_negotiate(struct slice wanted)
{
	for (size_t i = 0; i < ARRAY_LEN(revisions); i++) {
		if (slice_eq_str(wanted, revisions[i]))
			return revisions[i];
	}
	return MCP_PROTOCOL_LATEST;
}

static const struct catalog_tool *
initialize(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer)
{
	(void)scope;
	if (request->protocol_version.p == NULL) {
		jsonrpc_error(answer, request->id, JSONRPC_INVALID_PARAMS,
		    "protocolVersion is missing");
		return NULL;
	}
	jsonrpc_result_open(answer, request->id);
	strbuf_addf(answer,
	    "{\"protocolVersion\":\"%s\","
	    "\"capabilities\":{\"tools\":{},\"logging\":{}},"
	    "\"serverInfo\":{\"name\":\"mcp-relay\",\"version\":\"%s\"}}}",
	    mcp_negotiate(request->protocol_version), MCP_VERSION);
	return NULL;
}

static const struct catalog_tool *
ping(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer)
{
	(void)scope;
	jsonrpc_result_open(answer, request->id);
	strbuf_add_str(answer, "{}}");
	return NULL;
}

/* What it changes has been noted before, see declaration.h. */
static const struct catalog_tool *
set_level(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer)
{
	enum client_level level;

	if (declaration_level(request->params, &level))
		return ping(scope, request, answer);
	jsonrpc_error(answer, request->id, JSONRPC_INVALID_PARAMS,
	    "params.level is none of debug, info, notice, warning, error, "
	    "critical, alert, emergency");
	return NULL;
}

static const struct catalog_tool *
tools_list(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer)
{
	size_t before = answer->n;

	jsonrpc_result_open(answer, request->id);
	if (!request->cursor_invalid &&
	    catalog_list_tools(scope->catalog, scope->api, scope->granted,
		request->cursor, answer)) {
		strbuf_add_char(answer, '}');
		return NULL;
	}
	answer->n = before;
	jsonrpc_error(answer, request->id, JSONRPC_INVALID_PARAMS,
	    "unknown cursor: list again from the start");
	return NULL;
}

static const struct catalog_tool *
tools_call(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer)
{
	struct strbuf message = STRBUF_INIT(512);
	const struct catalog_tool *tool;

	if (request->name.p == NULL || request->name.n > FULL_NAME_MAX) {
		jsonrpc_error(answer, request->id, JSONRPC_INVALID_PARAMS,
		    request->name.p == NULL && !request->name_invalid ?
			"params.name is missing" :
			"params.name must be a string, not longer than the "
			"names of tools are");
		return NULL;
	}
	tool = catalog_find(scope->catalog, scope->api, request->name);
	if (tool == NULL) {
		strbuf_addf(&message, "Unknown tool: %.*s",
		    SLICE_ARG(request->name));
		jsonrpc_error(answer, request->id, JSONRPC_INVALID_PARAMS,
		    strbuf_str(&message));
		strbuf_release(&message);
	}
	return tool;
}

static const struct {
	const char *method;
	mcp_method_fn *fn;
} methods[] = {
	{ "tools/call", tools_call },
	{ "tools/list", tools_list },
	{ "ping", ping },
	{ "initialize", initialize },
	{ "logging/setLevel", set_level },
};

const struct catalog_tool *
mcp_request(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (slice_eq_str(request->method, methods[i].method))
			return methods[i].fn(scope, request, answer);
	}
	/* At once, for whatever method: clients fall back on this answer. */
	jsonrpc_error(answer, request->id, JSONRPC_METHOD_NOT_FOUND,
	    "Method not found");
	return NULL;
}
