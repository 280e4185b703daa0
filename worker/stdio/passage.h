/*
 * One call on its way through a server.
 */
#ifndef MCP_STDIO_PASSAGE_H
#define MCP_STDIO_PASSAGE_H

#include <sys/queue.h>

#include "worker/runtime/tool.h"
#include "worker/stdio/server.h"

struct bridge;
struct slot;
struct question;

struct passage {
	TAILQ_ENTRY(passage) link;   /* of its slot, or of those that wait */
	struct bridge *bridge;
	struct slot *slot;           /* NULL: it waits for one */
	struct server *server;       /* the slot's */
	struct call *call;
	const char *method;
	uint64_t request;            /* number, as the server knows it */
	LIST_HEAD(, question) questions;
};
TAILQ_HEAD(passages, passage);

/* It is on no list any more. */
void passage_free(struct passage *p);

#endif
