/*
 * What server.c (its life, what it says) and server_requests.c (what it is told and
 * asked) share. Nobody else includes it.
 */
#ifndef MCP_STDIO_SERVER_PRIVATE_H
#define MCP_STDIO_SERVER_PRIVATE_H

#include <uthash.h>

#include "worker/stdio/server.h"

/* A request with the largest body that a proxy takes (16 MiB), and what is ours. */
#define SERVER_MESSAGE_MAX (((size_t)16 << 20) + 4096)

enum server_state {
	SERVER_OPENING,   /* initialize has not been answered */
	SERVER_OPEN,
	SERVER_LOST       /* its child has gone */
};

struct request {
	UT_hash_handle hh;       /* of server->requests, by number */
	uint64_t number;
	server_answer_fn *fn;
	void *arg;
};

struct server {
	struct server_options options;
	enum server_state state;
	struct child *child;
	struct request *requests;   /* uthash */
	uint64_t last;              /* number given */
	unsigned can;
	bool batches;               /* its revision has them */
	uint64_t noise_second;      /* monotonic: when lines were last told of, */
	uint64_t noise;             /* and how many came since */
	struct strbuf instructions;
	struct strbuf out;          /* the line being made */
};

/* The request of that number, if it has not been answered; or NULL. */
struct request *server_find_request(const struct server *s, uint64_t number);
/* Nothing of it is left when it calls back. */
void server_settle(struct server *s, struct request *take_r,
    const struct server_answer *answer);

#endif
