#include "worker/stdio/server.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
#include "common/raw.h"
#include "common/xalloc.h"
#include "worker/stdio/capabilities.h"
#include "worker/stdio/lines.h"
#include "worker/stdio/server_private.h"

/* Instructions are read by models. */
#define INSTRUCTIONS_MAX ((size_t)256 << 10)

/* Revisions in which what is bridged looks alike. */
static const char *const revisions[] = { "2025-11-25", "2025-06-18",
	"2025-03-26", "2024-11-05" };
/* The only one in which a line may be an array of messages. */
#define REVISION_OF_BATCHES "2025-03-26"

static void
server_set_state(struct server *s, enum server_state state)
{
	static const char *const names[] = {
		[SERVER_OPENING] = "opening",
		[SERVER_OPEN] = "open",
		[SERVER_LOST] = "lost",
	};

	log_debug("server state", LF_N("child", s->options.number),
	    LF("from", names[s->state]), LF("to", names[state]));
	s->state = state;
}

/* Listening ------------------------------------------------------------------------ */

/* Whose id that is. Clients that are not ours take "1" for 1, so servers do it. */
static struct request *
requested(const struct server *s, struct slice id)
{
	uint64_t number;

	if (id.n > 2 && id.p[0] == '"')
		id = slice_of(id.p + 1, id.n - 2);
	return id.n > 0 && env_number(id, &number) ?
	    server_find_request(s, number) : NULL;
}

static void
take_response(struct server *s, const struct jsonrpc_msg *msg)
{
	struct request *r = requested(s, msg->id);

	if (r == NULL) {
		log_debug("answer to nobody", LF_N("child", s->options.number));
		return;
	}
	server_settle(s, r, &(struct server_answer){ .result = msg->result,
	    .error = msg->result.n > 0 ? SLICE_NONE : msg->error.n > 0 ?
	    msg->error : SLICE("{\"code\":-32603,\"message\":"
	    "\"the server's answer is not an object\"}") });
}

static void
take_message(struct server *s, const struct jsonrpc_msg *msg)
{
	switch (msg->kind) {
	case JSONRPC_RESPONSE:
		take_response(s, msg);
		break;
	case JSONRPC_NOTIFICATION:
		s->options.on_notification(s, msg, s->options.arg);
		break;
	case JSONRPC_REQUEST:
		if (slice_eq_str(msg->method, "ping"))
			server_respond(s, msg->id, "result", SLICE("{}"));
		else
			s->options.on_request(s, msg, s->options.arg);
		break;
	}
}

/* The number behind the last colon of a line that ends in ,"id":<number>} */
static struct slice
id_at_end(struct slice line)
{
	static const char before[] = ",\"id\":";
	size_t end = line.n > 0 && line.p[line.n - 1] == '}' ? line.n - 1 : 0;
	size_t from = end;

	while (from > 0 && line.p[from - 1] >= '0' && line.p[from - 1] <= '9')
		from--;
	if (from < sizeof(before) - 1 || memcmp(line.p + from -
	    (sizeof(before) - 1), before, sizeof(before) - 1) != 0)
		return SLICE_NONE;
	return slice_of(line.p + from, end - from);
}

/* An answer of which but the ends are left; somebody waits for it. */
static void
take_cut(struct server *s, struct slice line)
{
	struct slice id = raw_find(slice_of(line.p, LINES_END), "id");
	struct request *r;

	if (id.n == 0)
		id = id_at_end(line);
	r = requested(s, id);
	log_warn("line of a server is too long",
	    LF_N("child", s->options.number));
	if (r != NULL)
		server_settle(s, r, &(struct server_answer){ .too_long = true });
}

/* Once a second: some servers write whatever they do there. */
static void
note_noise(struct server *s, struct slice line)
{
	uint64_t second = clock_mono_ms() / 1000;

	s->noise++;
	if (second == s->noise_second)
		return;
	log_warn("line of a server is no message",
	    LF_N("child", s->options.number), LF_N("bytes", line.n),
	    LF_N("lines", s->noise));
	s->noise_second = second;
	s->noise = 0;
}

/*
 * What is no message (NaN, bytes that are no UTF-8) may be an answer all the same,
 * that somebody waits for.
 */
static void
take_broken(struct server *s, struct slice line)
{
	struct request *r = raw_find(line, "method").p == NULL ?
	    requested(s, raw_find(line, "id")) : NULL;

	note_noise(s, line);
	if (r != NULL)
		server_settle(s, r, &(struct server_answer){ .error = SLICE(
		    "{\"code\":-32603,\"message\":"
		    "\"the server's answer is not valid JSON-RPC\"}") });
}

static void
take_text(struct server *s, struct slice text)
{
	struct jsonrpc_msg msg;

	if (jsonrpc_peek(text.p, text.n, &msg) == 0)
		take_message(s, &msg);
	else
		take_broken(s, text);
}

static void
on_line(struct slice line, bool cut, void *arg)
{
	struct server *s = arg;
	struct slice item;
	struct raw_walk w;

	if (cut) {
		take_cut(s, line);
	} else if (s->batches && line.p[0] == '[' && raw_enter(line, &w)) {
		while (raw_item(&w, &item))
			take_text(s, item);
	} else {
		take_text(s, line);
	}
}

static void
on_gone(const char *how, void *arg)
{
	struct server *s = arg;
	struct request *r, *next;

	server_set_state(s, SERVER_LOST);
	/* Each callback may forget others, but not the next: they are one's own. */
	for (r = s->requests; r != NULL; r = next) {
		next = r->hh.next;
		server_settle(s, r, &(struct server_answer){ .too_long = false });
	}
	s->options.on_lost(s, how, s->options.arg);
}

/* Handshake ------------------------------------------------------------------------ */

static bool
speaks(struct slice revision)
{
	for (size_t i = 0; i < ARRAY_LEN(revisions); i++) {
		/* Within its quotes. */
		if (revision.n == strlen(revisions[i]) + 2 &&
		    memcmp(revision.p + 1, revisions[i], revision.n - 2) == 0)
			return true;
	}
	return false;
}

static unsigned
read_capabilities(struct slice capabilities)
{
	static const struct { const char *name; enum server_can can; } all[] = {
		{ "tools", SERVER_TOOLS },
		{ "resources", SERVER_RESOURCES },
		{ "prompts", SERVER_PROMPTS },
		{ "completions", SERVER_COMPLETIONS },
		{ "logging", SERVER_LOGGING },
	};
	struct slice resources = raw_find(capabilities, "resources");
	unsigned can = 0;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct slice one = raw_find(capabilities, all[i].name);

		if (one.n > 0 && one.p[0] == '{')
			can |= all[i].can;
	}
	if (raw_is(raw_find(resources, "subscribe"), "true"))
		can |= SERVER_SUBSCRIBE;
	return can;
}

static void
ignore(const struct server_answer *answer UNUSED, void *arg UNUSED)
{
}

/* Every level: each call's client says which ones it wants. */
static void
open_up(struct server *s, struct slice result)
{
	s->can = read_capabilities(raw_find(result, "capabilities"));
	s->batches = raw_is(raw_find(result, "protocolVersion"),
	    "\"" REVISION_OF_BATCHES "\"");
	strbuf_add_slice(&s->instructions, raw_find(result, "instructions"));
	server_set_state(s, SERVER_OPEN);
	server_notify(s, "notifications/initialized", SLICE_NONE);
	if ((s->can & SERVER_LOGGING) != 0)
		(void)!server_ask(s, "logging/setLevel",
		    SLICE("{\"level\":\"debug\"}"), ignore, NULL);
	s->options.on_open(s, s->options.arg);
}

static void
on_initialized(const struct server_answer *answer, void *arg)
{
	struct server *s = arg;

	if (s->state != SERVER_OPENING || answer->dropped)
		return;
	if (answer->result.n == 0)
		server_give_up(s, "it has refused initialize");
	else if (!speaks(raw_find(answer->result, "protocolVersion")))
		server_give_up(s, "it speaks another revision of MCP");
	else
		open_up(s, answer->result);
}

static bool
initialize(struct server *s)
{
	struct strbuf params = STRBUF_INIT(4096);
	bool sent;

	strbuf_addf(&params, "{\"protocolVersion\":\"%s\",\"capabilities\":",
	    revisions[0]);
	capabilities_add(&params, s->options.client_can);
	strbuf_addf(&params, ",\"clientInfo\":{\"name\":\"mcp-relay/%s\","
	    "\"version\":\"" MCP_VERSION "\"}}", s->options.name);
	sent = server_ask(s, "initialize", strbuf_slice(&params),
	    on_initialized, s) != 0;
	strbuf_release(&params);
	return sent;
}

/* The object ----------------------------------------------------------------------- */

struct server *
server_new(const struct server_options *options, struct strbuf *error)
{
	struct server *s = xcalloc(1, sizeof(*s));

	s->options = *options;
	strbuf_init(&s->out, SERVER_MESSAGE_MAX);
	strbuf_init(&s->instructions, INSTRUCTIONS_MAX);
	s->child = child_start(options->family, &(struct child_options){
		.command = options->command,
		.number = options->number,
		.max_line = options->max_line,
		.stderr_level = options->stderr_level,
		.on_line = on_line,
		.on_gone = on_gone,
		.arg = s,
	}, error);
	if (s->child == NULL || !initialize(s)) {
		server_free(s);
		return NULL;
	}
	return s;
}

void
server_free(struct server *s)
{
	struct request *r, *next;

	if (s == NULL)
		return;
	if (s->child != NULL)
		child_leave(s->child);
	for (r = s->requests; r != NULL; r = next) {
		next = r->hh.next;
		server_settle(s, r, &(struct server_answer){ .dropped = true });
	}
	strbuf_release(&s->out);
	strbuf_release(&s->instructions);
	free(s);
}

void
server_give_up(struct server *s, const char *why)
{
	if (s->state != SERVER_LOST)
		child_kill(s->child, why);
}

bool
server_is_open(const struct server *s)
{
	return s->state == SERVER_OPEN && child_listens(s->child);
}

unsigned
server_can(const struct server *s)
{
	return s->can;
}

struct slice
server_instructions(const struct server *s)
{
	return strbuf_slice(&s->instructions);
}
