/*
 * What an MCP server may say to the bridge, line by line, in the place of a child:
 * answers to the handshake, to questions for its lists, to calls and subscriptions;
 * notifications and requests. Whatever it says, what it hears is one message a
 * line, each request is called back once, and what it lists becomes a catalogue
 * that is JSON. The first byte says how it ends.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/raw.h"
#include "common/xalloc.h"
#include "tests/fuzz/must.h"
#include "worker/runtime/catalogue.h"
#include "worker/stdio/inventory.h"
#include "worker/stdio/lines.h"
#include "worker/stdio/server.h"
#include "worker/stdio/text.h"
#include "worker/stdio/watches.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINE_MAX_BYTES 2048
#define CALLS 4

/* In the place of child.c -------------------------------------------------------- */

struct child {
	struct child_options options;
	struct lines lines;
	bool listens;
};

static struct child *child;

struct child *
child_start(struct family *f UNUSED, const struct child_options *options,
    struct strbuf *error UNUSED)
{
	child = xcalloc(1, sizeof(*child));
	child->options = *options;
	child->listens = true;
	lines_init(&child->lines, LINE_MAX_BYTES);
	return child;
}

/* It goes with the test: lines may be on their way. */
void
child_leave(struct child *take_child)
{
	take_child->listens = false;
	lines_stop(&take_child->lines);
}

bool
child_say(struct child *c, struct slice line)
{
	struct jsonrpc_msg msg;

	MUST(memchr(line.p, '\n', line.n) == NULL);
	MUST(jsonrpc_peek(line.p, line.n, &msg) == 0);
	return c->listens;
}

bool
child_listens(const struct child *c)
{
	return c->listens;
}

void
child_kill(struct child *c, const char *why UNUSED)
{
	c->listens = false;
}

/* What the bridge does with it ------------------------------------------------------ */

static const struct api nothing = { .name = "fuzzed" };
static struct catalogue *catalogue;
static struct watches *watches;
static struct server *server;
static bool reading;
static unsigned waiting, changed;

static void
run_nothing(struct call *call UNUSED, const cJSON *args UNUSED)
{
}

static const struct inventory_runs runs = { run_nothing, run_nothing,
	run_nothing, run_nothing };

static void
require_json(struct slice json)
{
	cJSON *tree = cJSON_ParseWithLength(json.p, json.n);

	MUST(tree != NULL);
	cJSON_Delete(tree);
}

static void
on_lists(struct inventory *take_inventory, const char *why, void *arg UNUSED)
{
	struct strbuf error = STRBUF_INIT(1024);
	struct inventory *l = take_inventory;

	MUST(reading && (l == NULL) == (why != NULL));
	reading = false;
	if (l != NULL && catalogue_set(catalogue, &l->offers, &error))
		require_json(catalogue_json(catalogue));
	else if (l != NULL)
		inventory_free(l);
	strbuf_release(&error);
	watches_server(watches, 0, server);
}

static void
read_lists(void)
{
	if (reading)
		return;
	reading = true;
	inventory_read(server, &runs, on_lists, NULL);
}

static void
on_answer(const struct server_answer *answer UNUSED, void *arg)
{
	bool *answered = arg;

	MUST(!*answered);
	*answered = true;
	waiting--;
}

static void
on_open(struct server *s UNUSED, void *arg UNUSED)
{
	read_lists();
}

static void
on_lost(struct server *s UNUSED, const char *how UNUSED, void *arg UNUSED)
{
	watches_server(watches, 0, NULL);
}

static void
on_notification(struct server *s, const struct jsonrpc_msg *msg,
    void *arg UNUSED)
{
	char *uri = text_copy(raw_find(msg->params, "uri"));

	if (uri != NULL && watches_concern(watches, uri))
		changed++;
	free(uri);
	if (server_is_open(s) &&
	    slice_eq_str(msg->method, "notifications/tools/list_changed"))
		read_lists();
}

static void
on_request(struct server *s, const struct jsonrpc_msg *msg, void *arg UNUSED)
{
	if (msg->params.n > 0 && msg->params.p[0] == '{')
		server_respond(s, msg->id, "result", msg->params);
	else
		server_respond_error(s, msg->id, JSONRPC_INVALID_PARAMS,
		    "params are no object");
}

static void
on_change(const char *uri, void *arg UNUSED)
{
	MUST(uri != NULL);
	changed++;
}

static void
pass_calls_on(bool answered[CALLS])
{
	static const struct slice params = SLICE("{\"name\":\"api_echo\","
	    "\"arguments\":{},\"_meta\":{\"progressToken\":\"x\"}}");

	for (size_t i = 0; i < CALLS; i++) {
		answered[i] = server_pass_on(server, "tools/call", params,
		    "echo", on_answer, &answered[i]) == 0;
		waiting += !answered[i];
	}
}

static void
start(void)
{
	static const char *const uris[] = { "note://one", "note://\"two\"" };
	struct strbuf error = STRBUF_INIT(256);

	log_setup("fuzz", "fuzz", LOG_LEVEL_ERROR);
	reading = false;
	waiting = changed = 0;
	catalogue = catalogue_new(&nothing, "fuzzed", NULL);
	watches = watches_new(1, on_change, NULL);
	watches_want(watches, uris, ARRAY_LEN(uris));
	server = server_new(&(struct server_options){
		.name = "fuzzed",
		.max_line = LINE_MAX_BYTES,
		.on_open = on_open,
		.on_lost = on_lost,
		.on_notification = on_notification,
		.on_request = on_request,
	}, &error);
	MUST(catalogue != NULL && server != NULL);
	strbuf_release(&error);
}

/* Lost, or given up while it is there. */
static void
end(bool lost)
{
	if (lost) {
		lines_finish(&child->lines, child->options.on_line,
		    child->options.arg);
		child->listens = false;
		child->options.on_gone("it is over", child->options.arg);
	}
	server_free(server);
	watches_free(watches);
	catalogue_free(catalogue);
	lines_release(&child->lines);
	free(child);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	bool answered[CALLS] = { false };

	if (size == 0)
		return 0;
	start();
	pass_calls_on(answered);
	lines_feed(&child->lines, slice_of(text + 1, size - 1),
	    child->options.on_line, child->options.arg);
	end(data[0] % 2 == 0);
	MUST(waiting == 0);
	return 0;
}
