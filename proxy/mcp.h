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

/*
 * Deals with a request. Returns NULL when the whole JSON-RPC answer has been
 * appended to answer, or the tool whose worker must answer; whether the caller
 * may call it is then still to be checked.
 */
const struct catalog_tool *mcp_request(const struct mcp_scope *scope,
    const struct jsonrpc_msg *request, struct strbuf *answer);

/* The revision that initialize answers to a client that asks for wanted. */
const char *mcp_negotiate(struct slice wanted);

#endif
