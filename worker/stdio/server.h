/*
 * One MCP server behind a child's pipes: the handshake, and JSON-RPC both ways.
 *
 *	OPENING --initialize answered--> OPEN --its child has gone--> LOST
 *
 * Requests are numbered here; whoever sent one is called back once, also when the
 * server is lost, unless it has forgotten the request before.
 */
#ifndef MCP_STDIO_SERVER_H
#define MCP_STDIO_SERVER_H

#include "common/jsonrpc.h"
#include "worker/stdio/child.h"

struct server;

/* What became of a request: all empty, the server was lost. */
struct server_answer {
	struct slice result;     /* raw: a JSON object */
	struct slice error;      /* raw: a JSON object */
	bool too_long;           /* longer than max_line, and lost for that */
	/* server_free(): the callee releases what is its own, and no more. */
	bool dropped;
};
typedef void server_answer_fn(const struct server_answer *answer, void *arg);

/* What it offers, from its capabilities. */
enum server_can {
	SERVER_TOOLS = 1,
	SERVER_RESOURCES = 2,
	SERVER_PROMPTS = 4,
	SERVER_COMPLETIONS = 8,
	SERVER_LOGGING = 16,
	SERVER_SUBSCRIBE = 32
};

struct server_options {
	struct event_base *base;
	struct family *family;
	const struct command *command;
	const char *name;        /* of the API: what we call ourselves to it */
	unsigned number;
	unsigned client_can;     /* it is told so: enum client_can, or-ed */
	size_t max_line;
	int stderr_level;
	/* It has answered initialize. */
	void (*on_open)(struct server *s, void *arg);
	/* It has gone; to be followed by server_free(). */
	void (*on_lost)(struct server *s, const char *how, void *arg);
	/* Of the server's own accord. */
	void (*on_notification)(struct server *s, const struct jsonrpc_msg *msg,
	    void *arg);
	/* To be answered with server_respond(); ping is not among them. */
	void (*on_request)(struct server *s, const struct jsonrpc_msg *msg,
	    void *arg);
	void *arg;
};

/* NULL and why: the program could not be started. All is borrowed. */
struct server *server_new(const struct server_options *options,
    struct strbuf *error) MUST_CHECK;
/* Ends its child; requests that it has not answered are dropped. */
void server_free(struct server *s);

/* Sends a request; params: one JSON object, or empty. Its number; 0: not sent. */
uint64_t server_ask(struct server *s, const char *method, struct slice params,
    server_answer_fn *fn, void *arg) MUST_CHECK;
/*
 * The same for somebody else's params, in which two values are replaced, where
 * they are: the string name, of params or of its ref, by name, and the progress
 * token by the request's number.
 */
uint64_t server_pass_on(struct server *s, const char *method,
    struct slice params, const char *name, server_answer_fn *fn,
    void *arg) MUST_CHECK;
/* Nobody waits for the answer: tells the server, and does not call back. */
void server_cancel(struct server *s, uint64_t request, const char *reason);
void server_notify(struct server *s, const char *method, struct slice params);
/* Answers its request; member is "result" or "error", json the object. */
void server_respond(struct server *s, struct slice id, const char *member,
    struct slice json);
void server_respond_error(struct server *s, struct slice id, int code,
    const char *message);
/* It does not do its work: ends it, on_lost follows. */
void server_give_up(struct server *s, const char *why);

/* May it be asked? */
bool server_is_open(const struct server *s);
/* enum server_can, or-ed; its instructions, raw JSON, may be empty. */
unsigned server_can(const struct server *s);
struct slice server_instructions(const struct server *s);

#endif
