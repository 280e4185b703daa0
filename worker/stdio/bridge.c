#include "worker/stdio/bridge.h"

#include <stdlib.h>

#include "common/raw.h"
#include "common/xalloc.h"
#include "worker/stdio/bridge_private.h"
#include "worker/stdio/dialogue.h"

/* Calls ---------------------------------------------------------------------------- */

static bool
has_room(const struct slot *slot)
{
	unsigned most = slot->bridge->options.calls;

	return slot->state == SLOT_READY && server_is_open(slot->server) &&
	    (most == 0 || slot->running + slot->abandoned < most);
}

/* Of equal ones the next after the one that had the last call. */
static struct slot *
least_loaded(struct bridge *b)
{
	struct slot *best = NULL;

	for (unsigned i = 0; i < b->options.servers; i++) {
		struct slot *slot =
		    &b->slots[(b->next + i) % b->options.servers];

		if (has_room(slot) && (best == NULL ||
		    slot->running + slot->abandoned <
		    best->running + best->abandoned))
			best = slot;
	}
	if (best != NULL)
		b->next = best->number;
	return best;
}

/* Its server is done with the call; the passage is the caller's. */
static struct call *
leave_slot(struct passage *p)
{
	struct slot *slot = p->slot;

	TAILQ_REMOVE(&slot->passages, p, link);
	slot->running--;
	dialogue_end(p);
	call_on_cancel(p->call, NULL, NULL);
	return p->call;
}

static void
on_answer(const struct server_answer *answer, void *arg)
{
	struct passage *p = arg;
	struct bridge *b = p->slot->bridge;
	struct call *call;

	if (answer->dropped) {
		passage_free(p);
		return;
	}
	call = leave_slot(p);
	passage_free(p);
	if (answer->result.n > 0)
		call_result(call, answer->result,
		    raw_is(raw_find(answer->result, "isError"), "true"));
	else if (answer->error.n > 0)
		call_refuse_json(call, answer->error);
	else if (answer->too_long)
		call_refuse(call, JSONRPC_INTERNAL_ERROR,
		    "the server's answer is longer than STDIO_MAX_LINE");
	else
		call_lost(call);
	bridge_pump(b);
}

static void
on_cancel(struct call *call UNUSED, void *arg)
{
	struct passage *p = arg;
	struct slot *slot = p->slot;

	if (slot == NULL) {
		TAILQ_REMOVE(&p->bridge->waiting, p, link);
	} else {
		server_cancel(slot->server, p->request,
		    "nobody waits for it any more");
		(void)leave_slot(p);
		slot->abandoned++;
		slot_probe(slot);
	}
	passage_free(p);
}

static void
hand_over(struct slot *slot, struct passage *p)
{
	struct call *call = p->call;

	p->slot = slot;
	p->server = slot->server;
	p->request = server_pass_on(slot->server, p->method,
	    call_params(call), call_tool(call)->name, on_answer, p);
	TAILQ_INSERT_TAIL(&slot->passages, p, link);
	slot->running++;
	if (p->request != 0)
		return;
	(void)leave_slot(p);
	passage_free(p);
	call_refuse(call, JSONRPC_INTERNAL_ERROR,
	    "the server does not read what it is sent");
}

/* As many of those that wait as there is room for. */
void
bridge_pump(struct bridge *b)
{
	struct passage *p;
	struct slot *slot;

	while ((p = TAILQ_FIRST(&b->waiting)) != NULL &&
	    (slot = least_loaded(b)) != NULL) {
		TAILQ_REMOVE(&b->waiting, p, link);
		hand_over(slot, p);
	}
}

void
bridge_take(struct bridge *b, struct call *call, const char *method)
{
	struct passage *p = xcalloc(1, sizeof(*p));

	p->bridge = b;
	p->call = call;
	p->method = method;
	LIST_INIT(&p->questions);
	call_on_cancel(call, on_cancel, p);
	TAILQ_INSERT_TAIL(&b->waiting, p, link);
	bridge_pump(b);
}

void
bridge_watch(struct bridge *b, const char *const *uris, size_t n)
{
	watches_want(b->watches, uris, n);
}

/* The object ------------------------------------------------------------------------ */

struct bridge *
bridge_new(const struct bridge_options *options, struct strbuf *error)
{
	struct bridge *b = xcalloc(1, sizeof(*b) +
	    options->servers * sizeof(b->slots[0]));
	bool ok = true;

	b->options = *options;
	b->family = family_new(options->base);
	b->watches = watches_new(options->servers, options->on_update,
	    options->arg);
	TAILQ_INIT(&b->waiting);
	for (unsigned i = 0; i < options->servers; i++)
		slot_init(b, i);
	for (unsigned i = 0; ok && i < options->servers; i++)
		ok = slot_start(&b->slots[i], error);
	if (ok)
		return b;
	bridge_free(b, true);
	return NULL;
}

void
bridge_free(struct bridge *b, bool at_once)
{
	struct passage *p;

	for (unsigned i = 0; i < b->options.servers; i++)
		slot_release(&b->slots[i]);
	while ((p = TAILQ_FIRST(&b->waiting)) != NULL) {
		TAILQ_REMOVE(&b->waiting, p, link);
		passage_free(p);
	}
	watches_free(b->watches);
	family_free(b->family, at_once);
	free(b);
}
