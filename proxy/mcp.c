#include "proxy/mcp.h"

#include <cjson/cJSON.h>

#include "proxy/declaration.h"

/* Returns as mcp_request(). */
typedef bool mcp_method_fn(const struct mcp_scope *scope,
    const struct jsonrpc_msg *request, struct strbuf *answer,
    struct mcp_target *to);

/* "Resource not found" (MCP, "Resources", section "Error Handling"). */
#define NOT_FOUND (-32002)
/* Of a URI in an error message; names are no longer. */
#define NAME_SHOWN 256
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

/* Answers ----------------------------------------------------------------------- */

static bool
refuse(const struct jsonrpc_msg *request, struct strbuf *answer,
    const char *message)
{
	jsonrpc_error(answer, request->id, JSONRPC_INVALID_PARAMS, message);
	return false;
}

static bool
refuse_name(const struct jsonrpc_msg *request, struct strbuf *answer, int code,
    const char *what, struct slice name)
{
	struct strbuf message = STRBUF_INIT(512);

	strbuf_addf(&message, "%s: %.*s", what,
	    (int)(name.n < NAME_SHOWN ? name.n : NAME_SHOWN), name.p);
	jsonrpc_error(answer, request->id, code, strbuf_str(&message));
	strbuf_release(&message);
	return false;
}

static bool
answer_with(const struct jsonrpc_msg *request, struct strbuf *answer,
    const char *result)
{
	jsonrpc_result_open(answer, request->id);
	strbuf_addf(answer, "%s}", result);
	return false;
}

static bool
send_to(const struct catalog_item *item, struct mcp_target *to)
{
	*to = (struct mcp_target){ item, slice_str(item->name) };
	return true;
}

/* The session -------------------------------------------------------------------- */

static void
add_capabilities(const struct mcp_scope *scope, struct strbuf *answer)
{
	const struct catalog *c = scope->catalog;
	struct slice api = scope->api;

	strbuf_add_str(answer, "{\"tools\":{\"listChanged\":true},"
	    "\"logging\":{}");
	if (catalog_offers(c, api, CATALOG_RESOURCES) ||
	    catalog_offers(c, api, CATALOG_TEMPLATES))
		strbuf_add_str(answer, ",\"resources\":{\"subscribe\":true,"
		    "\"listChanged\":true}");
	if (catalog_offers(c, api, CATALOG_PROMPTS))
		strbuf_add_str(answer, ",\"prompts\":{\"listChanged\":true}");
	if (catalog_completes(c, api))
		strbuf_add_str(answer, ",\"completions\":{}");
	strbuf_add_char(answer, '}');
}

static bool
initialize(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer, struct mcp_target *to)
{
	const char *instructions =
	    catalog_instructions(scope->catalog, scope->api);

	(void)to;
	if (request->protocol_version.p == NULL)
		return refuse(request, answer, "protocolVersion is missing");
	jsonrpc_result_open(answer, request->id);
	strbuf_addf(answer, "{\"protocolVersion\":\"%s\",\"capabilities\":",
	    mcp_negotiate(request->protocol_version));
	add_capabilities(scope, answer);
	strbuf_addf(answer,
	    ",\"serverInfo\":{\"name\":\"mcp-relay\",\"version\":\"%s\"}",
	    MCP_VERSION);
	/* Of one API: those of all would be more than models want to read. */
	if (instructions != NULL) {
		strbuf_add_str(answer, ",\"instructions\":");
		strbuf_add_json(answer, slice_str(instructions));
	}
	strbuf_add_str(answer, "}}");
	return false;
}

static bool
ping(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer, struct mcp_target *to)
{
	(void)scope;
	(void)to;
	return answer_with(request, answer, "{}");
}

/* What it changes has been noted before, see declaration.h. */
static bool
set_level(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer, struct mcp_target *to)
{
	enum client_level level;

	(void)scope;
	(void)to;
	if (declaration_level(request->params, &level))
		return answer_with(request, answer, "{}");
	return refuse(request, answer, "params.level is none of debug, info, "
	    "notice, warning, error, critical, alert, emergency");
}

/* Lists -------------------------------------------------------------------------- */

static bool
list(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer, enum catalog_kind kind)
{
	const struct catalog_query query = { kind, scope->api, scope->granted,
		request->cursor };
	size_t before = answer->n;

	jsonrpc_result_open(answer, request->id);
	if (!request->cursor_invalid &&
	    catalog_list(scope->catalog, &query, answer)) {
		strbuf_add_char(answer, '}');
		return false;
	}
	answer->n = before;
	return refuse(request, answer,
	    "unknown cursor: list again from the start");
}

#define LIST(fn, kind)                                                     \
	static bool                                                        \
	fn(const struct mcp_scope *scope, const struct jsonrpc_msg *request, \
	    struct strbuf *answer, struct mcp_target *to)                  \
	{                                                                  \
		(void)to;                                                  \
		return list(scope, request, answer, kind);                 \
	}

LIST(tools_list, CATALOG_TOOLS)
LIST(resources_list, CATALOG_RESOURCES)
LIST(templates_list, CATALOG_TEMPLATES)
LIST(prompts_list, CATALOG_PROMPTS)

/* What workers answer --------------------------------------------------------------- */

static bool
by_name(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer, struct mcp_target *to, enum catalog_kind kind)
{
	const struct catalog_item *item;

	if (request->name.p == NULL || request->name.n > FULL_NAME_MAX)
		return refuse(request, answer,
		    request->name.p == NULL && !request->name_invalid ?
			"params.name is missing" :
			"params.name must be a string, not longer than names "
			"of tools and prompts are");
	item = catalog_find(scope->catalog, kind, scope->api, request->name);
	if (item != NULL)
		return send_to(item, to);
	return refuse_name(request, answer, JSONRPC_INVALID_PARAMS,
	    kind == CATALOG_TOOLS ? "Unknown tool" : "Unknown prompt",
	    request->name);
}

static bool
tools_call(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer, struct mcp_target *to)
{
	return by_name(scope, request, answer, to, CATALOG_TOOLS);
}

static bool
prompts_get(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer, struct mcp_target *to)
{
	return by_name(scope, request, answer, to, CATALOG_PROMPTS);
}

/* One that the caller may read, before one that he may not. */
static bool
by_uri(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer, const struct catalog_item **out)
{
	if (request->uri.p == NULL)
		return refuse(request, answer, request->uri_invalid ?
		    "params.uri must be a string of at most 2048 bytes" :
		    "params.uri is missing");
	*out = catalog_find_uri(scope->catalog, scope->api, scope->granted,
	    request->uri);
	if (*out == NULL)
		*out = catalog_find_uri(scope->catalog, scope->api, NULL,
		    request->uri);
	if (*out == NULL)
		return refuse_name(request, answer, NOT_FOUND,
		    "Resource not found", request->uri);
	return true;
}

static bool
resources_read(const struct mcp_scope *scope,
    const struct jsonrpc_msg *request, struct strbuf *answer,
    struct mcp_target *to)
{
	if (!by_uri(scope, request, answer, &to->item))
		return false;
	to->about = request->uri;
	return true;
}

/*
 * As with set_level(). Unlike a read, of whatever URI: its API may come later, or
 * only its parts may be offered (common/uri.h).
 */
static bool
resources_subscribe(const struct mcp_scope *scope,
    const struct jsonrpc_msg *request, struct strbuf *answer,
    struct mcp_target *to)
{
	(void)to;
	return declaration_is(request) ?
	    ping(scope, request, answer, to) :
	    refuse(request, answer, "params.uri must be a URI of at most "
	    "2048 bytes");
}

const struct catalog_item *
mcp_forbidden(const struct mcp_scope *scope, const struct jsonrpc_msg *request)
{
	if (!slice_eq_str(request->method, "resources/subscribe") ||
	    catalog_find_uri(scope->catalog, scope->api, scope->granted,
	    request->uri) != NULL)
		return NULL;
	return catalog_find_uri(scope->catalog, scope->api, NULL, request->uri);
}

/* The prompt or template that params.ref names. */
static const struct catalog_item *
completed(const struct mcp_scope *scope, const cJSON *ref)
{
	const char *type = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(ref, "type"));
	const char *name = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(ref, "name"));
	const char *uri = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(ref, "uri"));

	if (slice_eq_str(slice_str(type), "ref/prompt"))
		return catalog_find(scope->catalog, CATALOG_PROMPTS,
		    scope->api, slice_str(name));
	if (slice_eq_str(slice_str(type), "ref/resource"))
		return catalog_find_template(scope->catalog, scope->api,
		    scope->granted, slice_str(uri));
	return NULL;
}

static bool
complete(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer, struct mcp_target *to)
{
	cJSON *params = cJSON_ParseWithLength(request->params.p,
	    request->params.n);
	const struct catalog_item *item = completed(scope,
	    cJSON_GetObjectItemCaseSensitive(params, "ref"));

	cJSON_Delete(params);
	if (item == NULL)
		return refuse(request, answer,
		    "params.ref names no prompt and no resource template");
	if (item->completes)
		return send_to(item, to);
	return answer_with(request, answer, "{\"completion\":{\"values\":[],"
	    "\"total\":0,\"hasMore\":false}}");
}

static const struct {
	const char *method;
	mcp_method_fn *fn;
} methods[] = {
	{ "tools/call", tools_call },
	{ "tools/list", tools_list },
	{ "ping", ping },
	{ "initialize", initialize },
	{ "resources/read", resources_read },
	{ "resources/list", resources_list },
	{ "resources/templates/list", templates_list },
	{ "resources/subscribe", resources_subscribe },
	{ "resources/unsubscribe", resources_subscribe },
	{ "prompts/get", prompts_get },
	{ "prompts/list", prompts_list },
	{ "completion/complete", complete },
	{ "logging/setLevel", set_level },
};

bool
mcp_request(const struct mcp_scope *scope, const struct jsonrpc_msg *request,
    struct strbuf *answer, struct mcp_target *to)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (slice_eq_str(request->method, methods[i].method))
			return methods[i].fn(scope, request, answer, to);
	}
	/* At once, for whatever method: clients fall back on this answer. */
	jsonrpc_error(answer, request->id, JSONRPC_METHOD_NOT_FOUND,
	    "Method not found");
	return false;
}
