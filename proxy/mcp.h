/*
 * MCP without a transport: which requests the proxy answers itself, which go to
 * a worker. One row per method in mcp.c.
 */
#ifndef MCP_MCP_H
#define MCP_MCP_H

#include "common/envelope.h"
#include "common/jsonrpc.h"
#include "proxy/catalog.h"

/* The latest dated revision that initialize negotiates. */
#define MCP_PROTOCOL_LATEST "2025-11-25"

/* Errors of this server, in JSON-RPC's range for implementations. */
enum {
	MCP_ERROR_BUSY = -32000,         /* the API's queue is full */
	MCP_ERROR_UNKNOWN_OUTCOME = ENV_ERROR_UNKNOWN_OUTCOME,
	MCP_ERROR_FORBIDDEN = -32003     /* outside the caller's scopes */
};

struct mcp_scope {
	const struct catalog *catalog;
	struct slice api;                /* empty: all APIs */
	const struct scopes *granted;    /* what is listed; NULL: everything */
};

/* Where a request goes. */
struct mcp_target {
	const struct catalog_item *item;
	struct slice about;              /* bare name or URI; as item, or the
					  * request's own */
};

/*
 * Deals with a request. False when the whole JSON-RPC answer has been appended
 * to answer; true and the target whose worker must answer: whether the caller
 * may use it is then still to be checked.
 */
bool mcp_request(const struct mcp_scope *scope,
    const struct jsonrpc_msg *request, struct strbuf *answer,
    struct mcp_target *to) MUST_CHECK;

/*
 * The resource that the request would subscribe to, if the caller may not read it;
 * NULL: nothing is in its way.
 */
const struct catalog_item *mcp_forbidden(const struct mcp_scope *scope,
    const struct jsonrpc_msg *request);

/* The revision that initialize answers to a client that asks for wanted. */
const char *mcp_negotiate(struct slice wanted);

#endif
