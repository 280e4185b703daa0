/*
 * A place for a server: it starts there, says what it offers, is asked whether it
 * still listens, is lost and starts again.
 *
 *	DOWN --timer--> STARTING --lists read--> READY --lost--> DOWN
 */
#include "worker/stdio/bridge_private.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/util.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/raw.h"
#include "common/timer.h"
#include "common/xalloc.h"
#include "worker/stdio/dialogue.h"
#include "worker/stdio/inventory.h"
#include "worker/stdio/text.h"

/* Between attempts to start a server: doubled each time, until it stayed. */
#define PAUSE_FIRST_MS 500
#define PAUSE_LAST_MS 30000
#define STAYED_MS 60000
/* For a server that answers no call that was cancelled, to answer a ping. */
#define PROBE_MS 10000
/*
 * Between two readings of its lists at least: some servers say with each list that
 * it has changed.
 */
#define READING_EVERY_MS 250

static void
slot_set_state(struct slot *slot, enum slot_state state)
{
	static const char *const names[] = {
		[SLOT_DOWN] = "down",
		[SLOT_STARTING] = "starting",
		[SLOT_READY] = "ready",
	};

	log_debug("slot state", LF_N("child", slot->number),
	    LF("from", names[slot->state]), LF("to", names[state]));
	slot->state = state;
}

/* A server that is stuck ------------------------------------------------------------ */

static void
on_pong(const struct server_answer *answer, void *arg)
{
	struct slot *slot = arg;

	if (answer->dropped)
		return;
	slot->probing = false;
	if (slot->state != SLOT_READY || answer->result.n == 0)
		return;
	/* It listens: so it has heard what was cancelled, too. */
	slot->abandoned = 0;
	event_del(slot->timer);
	bridge_pump(slot->bridge);
}

/*
 * It may be busy with the calls that it has, but one that has nothing to do and
 * answers no ping will never answer again.
 */
void
slot_probe(struct slot *slot)
{
	if (slot->probing || slot->state != SLOT_READY)
		return;
	slot->probing = server_ask(slot->server, "ping", SLICE_NONE, on_pong,
	    slot) != 0;
	timer_set(slot->timer, PROBE_MS);
}

static void
probe_overdue(struct slot *slot)
{
	if (slot->running > 0)
		timer_set(slot->timer, PROBE_MS);
	else
		server_give_up(slot->server, "it does not answer any more");
}

/* Lists ------------------------------------------------------------------------------ */

static void read_when_due(struct slot *slot);

static void
become_ready(struct slot *slot)
{
	if (slot->state != SLOT_STARTING)
		return;
	event_del(slot->timer);
	slot->ready_ms = clock_mono_ms();
	slot_set_state(slot, SLOT_READY);
	log_info("server ready", LF_N("child", slot->number));
	watches_server(slot->bridge->watches, slot->number - 1, slot->server);
}

static void
on_lists(struct inventory *take_inventory, const char *why, void *arg)
{
	struct slot *slot = arg;
	struct bridge *b = slot->bridge;

	slot->reading = false;
	if (take_inventory == NULL) {
		log_error("lists of a server not read",
		    LF_N("child", slot->number), LF("reason", why));
		if (slot->state == SLOT_STARTING)
			server_give_up(slot->server, why);
		else
			read_when_due(slot);
		return;
	}
	become_ready(slot);
	b->options.on_inventory(take_inventory, b->options.arg);
	read_when_due(slot);
	bridge_pump(b);
}

static void
read_lists(struct slot *slot)
{
	slot->stale = false;
	slot->reading = true;
	slot->read_ms = clock_mono_ms();
	inventory_read(slot->server, slot->bridge->options.runs, on_lists,
	    slot);
}

/* One reading at a time; a change meanwhile makes it worth another. */
static void
read_when_due(struct slot *slot)
{
	uint64_t since = clock_mono_ms() - slot->read_ms;

	if (!slot->stale || slot->reading)
		return;
	if (since >= READING_EVERY_MS)
		read_lists(slot);
	else
		timer_set(slot->again, READING_EVERY_MS - since);
}

static void
on_again(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	read_when_due(arg);
}

/* What servers say ------------------------------------------------------------------- */

/* One that can be asked to watch resources is heard of those it was asked for. */
static void
note_update(struct slot *slot, struct slice params)
{
	struct bridge *b = slot->bridge;
	char *uri = text_copy(raw_find(params, "uri"));

	if (uri != NULL && strlen(uri) <= WATCHES_URI_MAX &&
	    ((server_can(slot->server) & SERVER_SUBSCRIBE) == 0 ||
	    watches_concern(b->watches, uri)))
		b->options.on_update(uri, b->options.arg);
	free(uri);
}

static void
on_progress(struct slot *slot, struct slice params)
{
	dialogue_progress(&slot->passages, params);
}

static void
on_message(struct slot *slot, struct slice params)
{
	dialogue_log(&slot->passages, slot->number, params);
}

static void
on_completed(struct slot *slot, struct slice params)
{
	dialogue_completed(&slot->passages, params);
}

static void
on_withdrawn(struct slot *slot, struct slice params)
{
	dialogue_withdraw(&slot->passages, params);
}

static void
on_list_changed(struct slot *slot, struct slice params UNUSED)
{
	slot->stale = true;
	if (slot->state == SLOT_READY)
		read_when_due(slot);
}

static const struct {
	const char *method;
	void (*fn)(struct slot *slot, struct slice params);
} notifications[] = {
	{ "notifications/progress", on_progress },
	{ "notifications/message", on_message },
	{ "notifications/elicitation/complete", on_completed },
	{ "notifications/cancelled", on_withdrawn },
	{ "notifications/tools/list_changed", on_list_changed },
	{ "notifications/resources/list_changed", on_list_changed },
	{ "notifications/prompts/list_changed", on_list_changed },
	{ "notifications/resources/updated", note_update },
};

static void
on_notification(struct server *s UNUSED, const struct jsonrpc_msg *msg,
    void *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(notifications); i++) {
		if (slice_eq_str(msg->method, notifications[i].method))
			notifications[i].fn(arg, msg->params);
	}
}

static void
on_request(struct server *s, const struct jsonrpc_msg *msg, void *arg)
{
	struct slot *slot = arg;

	dialogue_ask(s, &slot->passages, msg);
}

/* Life ------------------------------------------------------------------------------- */

static void
on_open(struct server *s UNUSED, void *arg)
{
	read_lists(arg);
}

/* Half of the pause at least: servers that fell together come back apart. */
static void
start_later(struct slot *slot)
{
	unsigned random, most = slot->pause_ms;

	if (slot->ready_ms != 0 &&
	    clock_mono_ms() - slot->ready_ms >= STAYED_MS)
		most = PAUSE_FIRST_MS;
	slot->ready_ms = 0;
	slot->pause_ms = most * 2 < PAUSE_LAST_MS ? most * 2 : PAUSE_LAST_MS;
	evutil_secure_rng_get_bytes(&random, sizeof(random));
	slot_set_state(slot, SLOT_DOWN);
	timer_set(slot->timer, most / 2 + random % (most / 2 + 1));
}

static void
on_lost(struct server *s, const char *how, void *arg)
{
	struct slot *slot = arg;
	struct bridge *b = slot->bridge;
	char reason[160];

	watches_server(b->watches, slot->number - 1, NULL);
	server_free(s);
	slot->server = NULL;
	slot->abandoned = 0;
	slot->probing = slot->reading = slot->stale = false;
	event_del(slot->again);
	snprintf(reason, sizeof(reason), "the server has ended: %s", how);
	start_later(slot);
	b->options.on_trouble(reason, b->options.arg);
}

bool
slot_start(struct slot *slot, struct strbuf *error)
{
	const struct bridge_options *o = &slot->bridge->options;

	slot->server = server_new(&(struct server_options){
		.base = o->base,
		.family = slot->bridge->family,
		.command = o->command,
		.name = o->name,
		.number = slot->number,
		.client_can = o->client_can,
		.max_line = o->max_line,
		.stderr_level = o->stderr_level,
		.on_open = on_open,
		.on_lost = on_lost,
		.on_notification = on_notification,
		.on_request = on_request,
		.arg = slot,
	}, error);
	if (slot->server == NULL)
		return false;
	slot_set_state(slot, SLOT_STARTING);
	timer_set(slot->timer, o->start_timeout_s * 1000);
	return true;
}

static void
start_again(struct slot *slot)
{
	struct strbuf error = STRBUF_INIT(1024);

	if (!slot_start(slot, &error)) {
		log_error("server not started", LF_N("child", slot->number),
		    LF("reason", strbuf_str(&error)));
		start_later(slot);
	}
	strbuf_release(&error);
}

static void
on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct slot *slot = arg;

	switch (slot->state) {
	case SLOT_DOWN:
		start_again(slot);
		break;
	case SLOT_STARTING:
		server_give_up(slot->server, "it was not ready in time");
		break;
	case SLOT_READY:
		probe_overdue(slot);
		break;
	}
}

void
slot_init(struct bridge *b, unsigned i)
{
	struct slot *slot = &b->slots[i];

	*slot = (struct slot){ .bridge = b, .number = i + 1,
		.pause_ms = PAUSE_FIRST_MS };
	TAILQ_INIT(&slot->passages);
	slot->timer = evtimer_new(b->options.base, on_timer, slot);
	slot->again = evtimer_new(b->options.base, on_again, slot);
	if (slot->timer == NULL || slot->again == NULL)
		abort();
}

void
slot_release(struct slot *slot)
{
	server_free(slot->server);
	event_free(slot->timer);
	event_free(slot->again);
}
