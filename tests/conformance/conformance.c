/*
 * Tools whose answers tests know beforehand, tools that take their time or a whole
 * core, tools that do harm, and an API that can fail to start.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "tests/conformance/fixtures.h"
#include "tests/conformance/wait.h"

struct settings {
	char *needs;
	char *ledger;
};

#define FIELD(name) CONFIG_FIELD(struct settings, name)

static const struct config_option options[] = {
	{ "START_NEEDS", CONFIG_STRING, FIELD(needs), NULL, 0, 0, NULL,
	    "file without which the API does not start" },
	{ "LEDGER_FILE", CONFIG_STRING, FIELD(ledger), NULL, 0, 0, NULL,
	    "file that ledger_append writes to" },
	{ .env = NULL },
};

static const char *
ledger_of(const struct call *call)
{
	const struct settings *s = worker_env_settings(call_env(call));

	return s->ledger;
}

/* The ledger ------------------------------------------------------------------ */

static bool
ledger_append(const char *path, const char *nonce)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	struct strbuf line = STRBUF_INIT(4096);
	bool ok;

	if (fd < 0)
		return false;
	strbuf_addf(&line, "%s\n", nonce);
	ok = write(fd, line.p, line.n) == (ssize_t)line.n && fsync(fd) == 0;
	close(fd);
	strbuf_release(&line);
	return ok;
}

static bool
ledger_contains(const char *path, const char *nonce)
{
	size_t n = strlen(nonce), size = 0;
	char *line = NULL;
	ssize_t got;
	bool found = false;
	FILE *f = fopen(path, "re");

	while (f != NULL && !found && (got = getline(&line, &size, f)) > 0)
		found = (size_t)got == n + 1 && memcmp(line, nonce, n) == 0;
	free(line);
	if (f != NULL)
		fclose(f);
	return found;
}

static void
appended(struct wait *w)
{
	wait_answer(w, "appended");
}

/* In the middle of its time: a kill may come before the effect, or after it. */
static void
append(struct wait *w)
{
	struct call *call = w->call;

	if (ledger_append(ledger_of(call), w->nonce)) {
		wait_for(w, w->ms / 2, appended);
		return;
	}
	wait_free(w);
	call_error(call, "ledger: %s", strerror(errno));
}

static void
look_up(struct wait *w)
{
	wait_answer(w, ledger_contains(ledger_of(w->call), w->nonce) ? "yes" : "no");
}

static void
run_ledger(struct call *call, const cJSON *args, void (*then)(struct wait *w),
    unsigned share)
{
	struct wait *w;

	if (ledger_of(call) == NULL) {
		call_error(call, "LEDGER_FILE is not set");
		return;
	}
	w = wait_new(call, args);
	wait_for(w, w->ms / share, then);
}

static void
run_ledger_append(struct call *call, const cJSON *args)
{
	run_ledger(call, args, append, 2);
}

static void
run_ledger_contains(struct call *call, const cJSON *args)
{
	run_ledger(call, args, look_up, 1);
}

/* The others ------------------------------------------------------------------ */

static void
run_echo(struct call *call, const cJSON *args)
{
	call_text(call, slice_str(text_of(args, "text")));
}

static void
slept(struct wait *w)
{
	wait_answer(w, "slept");
}

/* Leaves a trace, for a test to see that it was told. */
static void
on_cancel(struct call *call, void *arg)
{
	struct wait *w = arg;

	if (ledger_of(call) != NULL && w->nonce != NULL)
		(void)!ledger_append(ledger_of(call), w->nonce);
	wait_free(w);
}

static void
run_sleep(struct call *call, const cJSON *args)
{
	struct wait *w = wait_new(call, args);

	call_on_cancel(call, on_cancel, w);
	wait_for(w, w->ms, slept);
}

/* Does not ask to be told. */
static void
run_stubborn(struct call *call, const cJSON *args)
{
	struct wait *w = wait_new(call, args);

	wait_for(w, w->ms, slept);
}

static void
run_identity(struct call *call, const cJSON *args UNUSED)
{
	struct strbuf text = STRBUF_INIT(256);

	strbuf_addf(&text, "%.*s %u", SLICE_ARG(call_idempotency_key(call)),
	    call_attempt(call));
	call_text(call, strbuf_slice(&text));
	strbuf_release(&text);
}

static void
run_poison(struct call *call UNUSED, const cJSON *args UNUSED)
{
	raise(SIGKILL);
}

/* As a tool that blocks does, or a frozen node: until a test has it go on. */
static void
run_wedge(struct call *call, const cJSON *args UNUSED)
{
	raise(SIGSTOP);
	call_text(call, SLICE("free again"));
}

/* Keeps its thread and a core busy; one that is not "deaf" can be stopped. */
static void
compute(struct work *work, const cJSON *args)
{
	const struct settings *s = work_settings(work);
	const cJSON *ms = cJSON_GetObjectItemCaseSensitive(args, "delay_ms");
	const cJSON *deaf = cJSON_GetObjectItemCaseSensitive(args, "deaf");
	const char *nonce = text_of(args, "nonce");
	uint64_t end = clock_mono_ms() + (uint64_t)ms->valuedouble;

	while (clock_mono_ms() < end && !work_cancelled(work))
		;
	while (clock_mono_ms() < end && cJSON_IsTrue(deaf))
		;
	if (work_cancelled(work) && s->ledger != NULL && nonce != NULL)
		(void)!ledger_append(s->ledger, nonce);
	work_text(work, SLICE("computed"));
}

/* Tools -------------------------------------------------------------------------- */

#define OBJECT(properties, required)                                       \
	"{\"type\":\"object\",\"properties\":{" properties "},"            \
	"\"required\":[" required "],\"additionalProperties\":false}"
#define TEXT "\"text\":{\"type\":\"string\"}"
#define NONCE "\"nonce\":{\"type\":\"string\",\"maxLength\":1000}"
#define DELAY "\"delay_ms\":{\"type\":\"integer\",\"minimum\":0,"          \
	"\"maximum\":3600000}"
#define SAFE                                                               \
	(TOOL_READ_ONLY | TOOL_NOT_DESTRUCTIVE | TOOL_IDEMPOTENT |         \
	    TOOL_CLOSED_WORLD)

static const struct tool tools[] = {
	{ .name = "echo", .title = "Echo",
	    .description = "Answers with the text it is given.",
	    .input_schema = OBJECT(TEXT, "\"text\""),
	    .promises = SAFE, .run = run_echo },
	{ .name = "ledger_append",
	    .description = "Appends the nonce to the ledger; not safe.",
	    .input_schema = OBJECT(NONCE "," DELAY, "\"nonce\""),
	    .run = run_ledger_append },
	{ .name = "ledger_contains",
	    .description = "Whether the ledger has the nonce: yes or no.",
	    .input_schema = OBJECT(NONCE "," DELAY, "\"nonce\""),
	    .promises = SAFE, .run = run_ledger_contains },
	{ .name = "sleep",
	    .description = "Answers after a while. Told to stop, it appends "
	    "the nonce to the ledger.",
	    .input_schema = OBJECT(NONCE "," DELAY, "\"delay_ms\""),
	    .promises = SAFE, .run = run_sleep },
	{ .name = "stubborn",
	    .description = "Answers after a while, come what may.",
	    .input_schema = OBJECT(DELAY, "\"delay_ms\""),
	    .promises = SAFE, .run = run_stubborn },
	{ .name = "pair",
	    .description = "Like sleep, but only two at once.",
	    .input_schema = OBJECT(DELAY, "\"delay_ms\""),
	    .promises = SAFE, .max_running = 2, .run = run_sleep },
	{ .name = "brief",
	    .description = "Like sleep, but with one second of time.",
	    .input_schema = OBJECT(DELAY, "\"delay_ms\""),
	    .promises = SAFE, .timeout_ms = 1000, .run = run_sleep },
	{ .name = "identity",
	    .description = "The call's idempotency key and attempt.",
	    .promises = SAFE, .run = run_identity },
	{ .name = "poison",
	    .description = "Kills the worker that runs it.",
	    .promises = SAFE, .run = run_poison },
	{ .name = "wedge",
	    .description = "Stops the worker that runs it, until it is told to "
	    "continue.",
	    .promises = SAFE, .run = run_wedge },
	{ .name = "compute",
	    .description = "Computes for a while, on a thread. Told to stop, it "
	    "appends the nonce to the ledger.",
	    .input_schema = OBJECT(NONCE "," DELAY
		",\"deaf\":{\"type\":\"boolean\"}", "\"delay_ms\""),
	    .promises = SAFE, .compute = compute },
	{ .name = NULL },
};

static size_t
count(const struct tool *of)
{
	size_t n = 0;

	while (of[n].name != NULL)
		n++;
	return n;
}

/* These, then the fixtures, which end the table. */
static struct tool *
all_tools(void)
{
	size_t n = count(tools), more = count(fixture_tools) + 1;
	struct tool *all = xcalloc(n + more, sizeof(*all));

	memcpy(all, tools, n * sizeof(*all));
	memcpy(all + n, fixture_tools, more * sizeof(*all));
	return all;
}

/* What still waits answers nobody any more. */
static void
state_free(struct state *state)
{
	struct wait *w, *next;

	for (w = LIST_FIRST(&state->waits); w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		wait_free(w);
	}
	free(state->tools);
	free(state);
}

/* Hands its tools in, so that tests see that way too. */
static bool
start(struct worker_env *env, struct strbuf *error)
{
	const struct settings *s = worker_env_settings(env);
	struct state *state;

	if (s->needs != NULL && access(s->needs, R_OK) != 0) {
		strbuf_addf(error, "%s is missing", s->needs);
		return false;
	}
	state = xcalloc(1, sizeof(*state));
	state->tools = all_tools();
	if (!worker_env_set_offers(env, &(struct offers){ .tools = state->tools,
		.resources = fixture_resources,
		.templates = fixture_templates,
		.prompts = fixture_prompts }, error)) {
		state_free(state);
		return false;
	}
	worker_env_set_state(env, state);
	return true;
}

static void
stop(struct worker_env *env)
{
	state_free(worker_env_state(env));
}

const struct api api = {
	.name = "conformance",
	.title = "Conformance",
	.named_by_operator = true,
	.options = options,
	.options_size = sizeof(struct settings),
	.start = start,
	.stop = stop,
};
