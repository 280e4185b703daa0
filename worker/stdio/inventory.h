/*
 * What a server offers: its whole catalogue, read page by page, each item as it is
 * written.
 */
#ifndef MCP_STDIO_INVENTORY_H
#define MCP_STDIO_INVENTORY_H

#include <sys/queue.h>

#include "worker/runtime/tool.h"
#include "worker/stdio/server.h"

enum inventory_kind {
	INVENTORY_TOOLS,
	INVENTORY_RESOURCES,
	INVENTORY_TEMPLATES,
	INVENTORY_PROMPTS
};
#define INVENTORY_KINDS (INVENTORY_PROMPTS + 1)

struct inventory {
	STAILQ_ENTRY(inventory) link;          /* its owner's */
	struct strbuf items[INVENTORY_KINDS];    /* raw: JSON arrays */
	struct strbuf instructions;            /* raw: a string, or empty */
	/* Ended by a NULL name; their texts are theirs, as long as this lives. */
	struct tool *tools;
};

/*
 * How reading ended: with an inventory, which is the callee's from here, or with NULL
 * and why. Not called when the server is freed before.
 */
typedef void inventory_fn(struct inventory *take_inventory, const char *why,
    void *arg);

/* Reads what the server, which is open, offers; run is what its tools run. */
void inventory_read(struct server *s, void (*run)(struct call *, const cJSON *),
    inventory_fn *fn, void *arg);
void inventory_free(struct inventory *l);
bool inventory_equal(const struct inventory *a, const struct inventory *b);

#endif
