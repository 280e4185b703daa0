/*
 * The stdio API: an MCP server that speaks over its standard input and output, in
 * any language, as an API of this system.
 */
#include <stdlib.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "worker/stdio/bridge.h"
#include "worker/stdio/capabilities.h"
#include "worker/stdio/inventory.h"
#include "worker/stdio/text.h"

struct settings {
	char *command;
	char *env;
	char *directory;
	unsigned children;
	unsigned child_calls;
	char *client_capabilities;
	unsigned start_timeout_s;
	size_t max_line;
	int stderr_level;
};

#define FIELD(name) CONFIG_FIELD(struct settings, name)

/* As enum log_level has them. */
static const char *const levels[] = { "debug", "info", "warn", "error", NULL };

static const struct config_option options[] = {
	{ "STDIO_COMMAND", CONFIG_STRING, FIELD(command), NULL, 0, 0, NULL,
	    "program of the MCP server and its arguments, in words as a shell "
	    "takes them, without a shell" },
	{ "STDIO_CHILDREN", CONFIG_UINT, FIELD(children), "1", 1, 256, NULL,
	    "processes of it in one worker" },
	{ "STDIO_CHILD_CALLS", CONFIG_UINT, FIELD(child_calls), "0", 0, 65536,
	    NULL, "calls at once in one process, 0 for no limit; with 1 its "
	    "requests and log messages reach the client whose call it is" },
	{ "STDIO_CLIENT_CAPABILITIES", CONFIG_STRING,
	    FIELD(client_capabilities),
	    "sampling,sampling.tools,elicitation,elicitation.url,roots", 0, 0,
	    NULL, "what it is told that clients can do, with commas between, or "
	    "none; it hears from each that cannot when it asks" },
	{ "STDIO_ENV", CONFIG_STRING, FIELD(env), NULL, 0, 0, NULL,
	    "variables of the worker's environment that the server gets, with "
	    "commas between, beside PATH, HOME, LANG and the like" },
	{ "STDIO_DIRECTORY", CONFIG_STRING, FIELD(directory), NULL, 0, 0, NULL,
	    "directory in which it starts; without it the worker's own" },
	{ "STDIO_START_TIMEOUT", CONFIG_UINT, FIELD(start_timeout_s), "30", 1,
	    3600, NULL, "seconds until it has said what it offers" },
	{ "STDIO_MAX_LINE", CONFIG_BYTES, FIELD(max_line), "4m", 4096,
	    (size_t)64 << 20, NULL, "bytes of one of its messages" },
	{ "STDIO_STDERR_LEVEL", CONFIG_ENUM, FIELD(stderr_level), "info", 0, 0,
	    levels, "level at which lines of its standard error are logged" },
	{ .env = NULL },
};

/* The API's state. */
struct stdio {
	struct worker_env *env;
	struct command command;
	struct bridge *bridge;
	const struct inventory *now;   /* on offer, the runtime's; or NULL */
	struct event *failing;
	char *reason;
	bool up;
};

/* Lists ------------------------------------------------------------------------------ */

/* The runtime lets no API fail from within its own callbacks. */
static void
fail_soon(struct stdio *io, const char *reason)
{
	free(io->reason);
	io->reason = xstrdup(reason);
	event_active(io->failing, EV_TIMEOUT, 0);
}

static void
on_failing(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct stdio *io = arg;
	char *reason = io->reason;

	io->reason = NULL;
	worker_env_fail(io->env, reason);
	free(reason);
}

/* Whether it is the runtime's from here. */
static bool
publish(struct stdio *io, const struct inventory *l)
{
	struct strbuf error = STRBUF_INIT(1024);
	char *instructions = text_copy(strbuf_slice(&l->instructions));
	bool ok;

	worker_env_set_instructions(io->env, instructions != NULL ?
	    instructions : "");
	ok = worker_env_set_offers(io->env, &l->offers, &error);
	if (ok)
		io->now = l;
	else
		log_error("lists of the server refused",
		    LF("reason", strbuf_str(&error)));
	if (!ok && !io->up)
		fail_soon(io, strbuf_str(&error));
	free(instructions);
	strbuf_release(&error);
	return ok;
}

static void
on_inventory(struct inventory *take_inventory, void *arg)
{
	struct stdio *io = arg;

	if ((io->now != NULL && inventory_equal(io->now, take_inventory)) ||
	    !publish(io, take_inventory)) {
		inventory_free(take_inventory);
		return;
	}
	if (!io->up) {
		io->up = true;
		worker_env_ready(io->env);
	}
}

static void
on_trouble(const char *reason, void *arg)
{
	struct stdio *io = arg;

	if (!io->up)
		fail_soon(io, reason);
}

static void
on_update(const char *uri, void *arg)
{
	struct stdio *io = arg;

	if (io->up)
		worker_env_resource_changed(io->env, uri);
}

static void
watch(struct worker_env *env, const char *const *uris, size_t n)
{
	struct stdio *io = worker_env_state(env);

	bridge_watch(io->bridge, uris, n);
}

/* Calls ------------------------------------------------------------------------------ */

static void
pass_on(struct call *call, const char *method)
{
	struct stdio *io = call_state(call);

	bridge_take(io->bridge, call, method);
}

static void
run_tool(struct call *call, const cJSON *args UNUSED)
{
	pass_on(call, "tools/call");
}

static void
run_read(struct call *call, const cJSON *args UNUSED)
{
	pass_on(call, "resources/read");
}

static void
run_get(struct call *call, const cJSON *args UNUSED)
{
	pass_on(call, "prompts/get");
}

static void
run_complete(struct call *call, const cJSON *args UNUSED)
{
	pass_on(call, "completion/complete");
}

static const struct inventory_runs runs = {
	.tool = run_tool,
	.read = run_read,
	.get = run_get,
	.complete = run_complete,
};

/* Life ------------------------------------------------------------------------------- */

static void
stdio_free(struct stdio *io)
{
	if (io->bridge != NULL)
		bridge_free(io->bridge, !io->up);
	command_release(&io->command);
	event_free(io->failing);
	free(io->reason);
	free(io);
}

static void
stop(struct worker_env *env)
{
	stdio_free(worker_env_state(env));
}

static bool
make_bridge(struct stdio *io, struct strbuf *error)
{
	const struct settings *s = worker_env_settings(io->env);
	unsigned client_can;

	if (!capabilities_read(s->client_capabilities, &client_can, error) ||
	    !command_init(&io->command, s->command, s->env, s->directory,
	    error))
		return false;
	io->bridge = bridge_new(&(struct bridge_options){
		.base = worker_env_base(io->env),
		.command = &io->command,
		.name = worker_env_name(io->env),
		.servers = s->children,
		.calls = s->child_calls,
		.client_can = client_can,
		.start_timeout_s = s->start_timeout_s,
		.max_line = s->max_line,
		.stderr_level = s->stderr_level,
		.runs = &runs,
		.on_inventory = on_inventory,
		.on_update = on_update,
		.on_trouble = on_trouble,
		.arg = io,
	}, error);
	return io->bridge != NULL;
}

static bool
start(struct worker_env *env, struct strbuf *error)
{
	const struct settings *s = worker_env_settings(env);
	struct stdio *io;

	if (s->command == NULL) {
		strbuf_add_str(error, "STDIO_COMMAND is not set");
		return false;
	}
	io = xcalloc(1, sizeof(*io));
	io->env = env;
	io->failing = evtimer_new(worker_env_base(env), on_failing, io);
	if (io->failing == NULL)
		abort();
	if (!make_bridge(io, error)) {
		stdio_free(io);
		return false;
	}
	worker_env_set_state(env, io);
	worker_env_wait(env);
	return true;
}

/* A command that has no words never will have. */
static bool
is_command(const char *text, struct strbuf *why)
{
	char **words = text != NULL ? command_words(text, why) : NULL;
	bool ok = words != NULL || text == NULL;

	command_free_words(words);
	return ok;
}

static bool
check(void *settings, struct strbuf *errors)
{
	const struct settings *s = settings;
	struct strbuf why = STRBUF_INIT(256);
	const char *wrong = NULL;
	unsigned can;

	if (!is_command(s->command, &why))
		wrong = "STDIO_COMMAND";
	else if (!capabilities_read(s->client_capabilities, &can, &why))
		wrong = "STDIO_CLIENT_CAPABILITIES";
	if (wrong != NULL)
		strbuf_addf(errors, "%s: %s\n", wrong, strbuf_str(&why));
	strbuf_release(&why);
	return wrong == NULL;
}

const struct api api = {
	.name = "stdio",
	.title = "MCP server",
	.named_by_operator = true,
	.options = options,
	.options_size = sizeof(struct settings),
	.check = check,
	.start = start,
	.stop = stop,
	.watch = watch,
};
