/*
 * What a server offers: its whole catalogue, read page by page, each item as it is
 * written.
 */
#ifndef MCP_STDIO_INVENTORY_H
#define MCP_STDIO_INVENTORY_H

#include "worker/runtime/tool.h"
#include "worker/stdio/server.h"

enum inventory_kind {
	INVENTORY_TOOLS,
	INVENTORY_RESOURCES,
	INVENTORY_TEMPLATES,
	INVENTORY_PROMPTS
};
#define INVENTORY_KINDS (INVENTORY_PROMPTS + 1)

/* What the rows of an inventory run. */
struct inventory_runs {
	void (*tool)(struct call *call, const cJSON *args);
	void (*read)(struct call *call, const cJSON *args);
	void (*get)(struct call *call, const cJSON *args);
	/* If the server completes anything. */
	void (*complete)(struct call *call, const cJSON *args);
};

struct inventory {
	struct strbuf items[INVENTORY_KINDS];    /* raw: JSON arrays */
	struct strbuf instructions;              /* raw: a string, or empty */
	/* Made of the items; all raw. Their release() frees the inventory. */
	struct offers offers;
	void *rows[INVENTORY_KINDS];             /* the offers, to be freed */
	char **texts;                            /* theirs, likewise */
	size_t text_count;
};

/*
 * How reading ended: with an inventory, which is the callee's from here, or with
 * NULL and why. Not called when the server is freed before.
 */
typedef void inventory_fn(struct inventory *take_inventory, const char *why,
    void *arg);

/* Reads what the server, which is open, offers. runs is borrowed. */
void inventory_read(struct server *s, const struct inventory_runs *runs,
    inventory_fn *fn, void *arg);
void inventory_free(struct inventory *l);
bool inventory_equal(const struct inventory *a, const struct inventory *b);

#endif
