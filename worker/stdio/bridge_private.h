/*
 * What bridge.c (calls, and where they go) and slot.c (a server's life, and what
 * it says) share. Nobody else includes it.
 */
#ifndef MCP_STDIO_BRIDGE_PRIVATE_H
#define MCP_STDIO_BRIDGE_PRIVATE_H

#include "worker/stdio/bridge.h"
#include "worker/stdio/passage.h"
#include "worker/stdio/watches.h"

enum slot_state {
	SLOT_DOWN,       /* its server is lost, the timer starts another */
	SLOT_STARTING,   /* handshake and lists; the timer gives it up */
	SLOT_READY       /* takes calls; the timer may wait for a ping's answer */
};

/* A place for a server. */
struct slot {
	struct bridge *bridge;
	unsigned number;           /* from 1 on, for people */
	enum slot_state state;
	struct server *server;     /* NULL when DOWN */
	struct event *timer;
	unsigned pause_ms;
	uint64_t ready_ms;         /* monotonic */
	struct passages passages;  /* calls that it has */
	unsigned running;          /* how many */
	unsigned abandoned;        /* cancelled, and not answered */
	bool probing;
	bool reading;              /* its lists */
	bool stale;                /* they changed since that was begun */
	uint64_t read_ms;          /* monotonic: when that was */
	struct event *again;       /* reads stale ones */
};

struct bridge {
	struct bridge_options options;
	struct family *family;
	struct watches *watches;
	struct passages waiting;   /* calls for which no server has room */
	unsigned next;             /* slot to look at first, modulo */
	struct slot slots[];       /* options.servers */
};

/* bridge.c */

/* There may be room: hands over as many calls as there is room for. */
void bridge_pump(struct bridge *b);

/* slot.c */

void slot_init(struct bridge *b, unsigned i);
/* Ends its server, if it has one. */
void slot_release(struct slot *slot);
/* False and why: the program cannot be started. */
bool slot_start(struct slot *slot, struct strbuf *error) MUST_CHECK;
/* It was told of a cancellation: is it still there? */
void slot_probe(struct slot *slot);

#endif
