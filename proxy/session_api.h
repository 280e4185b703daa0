/*
 * The API "session": what is going on here, for clients to ask. The proxy serves
 * it itself, from what pods publish and from indexes that are kept as sessions
 * change; none of its tools costs more with more sessions.
 *
 * On /session/sse and on paths that serve all APIs its tools have the same bare
 * names: health_check, get_user_sessions, get_session_analytics, list_all_tools.
 */
#ifndef MCP_SESSION_API_H
#define MCP_SESSION_API_H

#include <event2/event.h>

#include "common/envelope.h"
#include "common/redis.h"
#include "proxy/catalog.h"
#include "proxy/fleet.h"
#include "proxy/principal.h"

#define SESSION_API ENV_PROXY_API
/*
 * The scope that opens other users' sessions to get_user_sessions. It must be
 * granted by this name: "*", which is everything an API can do, does not hold it.
 */
#define SESSION_API_ADMIN "session:admin"

struct session_api;

struct session_api_options {
	struct event_base *base;       /* these are borrowed */
	struct redis *commands;
	struct fleet *fleet;
	struct catalog *catalog;
	unsigned deadline_ms;          /* for the replies that a call needs */
};

/* Adds its tools to the catalogue. */
struct session_api *session_api_new(
    const struct session_api_options *options) MUST_CHECK;
/* After Redis: no call is under way. */
void session_api_free(struct session_api *api);

struct session_api_call {
	const char *tool;              /* bare name */
	struct slice params;           /* raw JSON, as in jsonrpc_msg */
	struct slice sid;              /* the session that asks */
	const struct user *user;       /* whose it is */
	enum principal_kind kind;
	struct scopes *scopes;         /* NULL: everything */
};

/* result: of tools/call, as JSON, gone on return. */
typedef void session_api_cb(struct slice result, void *arg);
/*
 * Runs a tool. cb is called once, maybe at once, at the deadline at the latest;
 * nothing of the call is needed after this returns.
 */
void session_api_run(struct session_api *api,
    const struct session_api_call *call, session_api_cb *cb, void *arg);

#endif
