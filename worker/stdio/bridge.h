/*
 * Calls on their way through MCP servers: a pool of equal servers, each call with
 * the one that has the least to do, and what servers say meanwhile with the call
 * that it belongs to.
 *
 * A server that is lost starts again, after pauses that grow; calls wait until one
 * is there. Whatever belongs to no call for certain reaches no client: a
 * server's requests and log messages do not name the call that they are for, so
 * they are a call's only when it is the only one that the server has.
 */
#ifndef MCP_STDIO_BRIDGE_H
#define MCP_STDIO_BRIDGE_H

#include "worker/runtime/tool.h"
#include "worker/stdio/command.h"

struct bridge;
struct inventory;
struct inventory_runs;

struct bridge_options {
	struct event_base *base;         /* borrowed, like the rest */
	const struct command *command;
	const char *name;                /* of the API */
	unsigned servers;
	unsigned calls;                  /* at once in one server; 0: any number */
	unsigned client_can;             /* servers are told so */
	unsigned start_timeout_s;        /* until its lists have been read */
	size_t max_line;
	int stderr_level;
	const struct inventory_runs *runs;
	/* A server's lists, the callee's from here; each time they were read. */
	void (*on_inventory)(struct inventory *take_inventory, void *arg);
	/* A resource has changed, says a server; or it may have. */
	void (*on_update)(const char *uri, void *arg);
	/* A server was lost, or did not start; another attempt follows. */
	void (*on_trouble)(const char *reason, void *arg);
	void *arg;
};

/* NULL and why: the program cannot be started. */
struct bridge *bridge_new(const struct bridge_options *options,
    struct strbuf *error) MUST_CHECK;
/* Ends the servers, at once or in order. Calls that it has are not touched. */
void bridge_free(struct bridge *b, bool at_once);

/* What clients have subscribed to, see api.watch in tool.h. */
void bridge_watch(struct bridge *b, const char *const *uris, size_t n);
/* Passes the call of that method on; it has params as its client sent them. */
void bridge_take(struct bridge *b, struct call *call, const char *method);

#endif
