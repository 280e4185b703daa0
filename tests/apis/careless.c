/* Tools whose author promised more than they keep. */
#include <pthread.h>
#include <unistd.h>

#include "worker/runtime/tool.h"

struct settings {
	char *mood;
};

static const struct config_option options[] = {
	{ "CARELESS_MOOD", CONFIG_STRING, CONFIG_FIELD(struct settings, mood),
	    NULL, 0, 0, NULL, "how careless" },
	{ .env = NULL },
};

static void
run_misfit(struct call *call, const cJSON *args UNUSED)
{
	call_json(call, SLICE("seven"), SLICE("{\"n\":\"seven\"}"));
}

static void
run_silent(struct call *call, const cJSON *args UNUSED)
{
	call_text(call, SLICE("seven"));
}

static void
compute_misfit(struct work *work, const cJSON *args UNUSED)
{
	work_json(work, SLICE("nothing"), SLICE("{}"));
}

static void
run_broken(struct call *call, const cJSON *args UNUSED)
{
	call_json(call, SLICE("broken"), SLICE("{\"n\":7"));
}

static void
run_broken_block(struct call *call, const cJSON *args UNUSED)
{
	call_add_json(call, SLICE("{\"type\":text}"));
	call_done(call);
}

static void
run_broken_result(struct call *call, const cJSON *args UNUSED)
{
	call_result(call, SLICE("{\"content\":[}"), false);
}

static void
run_broken_log(struct call *call, const cJSON *args UNUSED)
{
	call_log(call, LEVEL_ERROR, NULL, SLICE("{oops}"));
	call_notify(call, "notifications/odd", SLICE("{oops}"));
	call_text(call, SLICE("logged"));
}

static void
ignore(struct call *call UNUSED, const struct call_answer *answer UNUSED,
    void *arg UNUSED)
{
}

static void
run_broken_ask(struct call *call, const cJSON *args UNUSED)
{
	const char *reason = call_ask(call, "roots/list", SLICE("{oops}"), 0,
	    ignore, NULL);

	call_text(call, slice_str(reason != NULL ? reason : "asked"));
}

static void
run_blocking(struct call *call, const cJSON *args UNUSED)
{
	usleep(400000);
	call_text(call, SLICE("slept"));
}

static void
run_twice(struct call *call, const cJSON *args UNUSED)
{
	call_text(call, SLICE("one"));
	call_text(call, SLICE("two"));
}

static void *
answer(void *call)
{
	call_text(call, SLICE("from a thread"));
	return NULL;
}

static void
run_threaded(struct call *call, const cJSON *args UNUSED)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, answer, call) == 0)
		pthread_join(thread, NULL);
}

static void
run_large(struct call *call, const cJSON *args UNUSED)
{
	static char many[2 << 20];

	memset(many, 'm', sizeof(many));
	call_text(call, slice_of(many, sizeof(many)));
}

static void
compute_nothing(struct work *work UNUSED, const cJSON *args UNUSED)
{
}

static void
run_failing(struct call *call, const cJSON *args UNUSED)
{
	call_error(call, "no seven today");
}

/* What cJSON alone would round. */
static void
run_exact(struct call *call, const cJSON *args UNUSED)
{
	call_json(call, SLICE("exact"), SLICE("{\"n\":9007199254740993}"));
}

/* What cJSON would cut. */
static void
run_uncut(struct call *call, const cJSON *args UNUSED)
{
	call_json(call, SLICE("uncut"), SLICE("{\"text\":\"a\\u0000b\"}"));
}

#define SEVEN                                                              \
	"{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}," \
	"\"required\":[\"n\"]}"

#define EXACT                                                              \
	"{\"type\":\"object\",\"properties\":{"                            \
	"\"n\":{\"const\":9007199254740993},"                            \
	"\"text\":{\"minLength\":3,\"pattern\":\"b$\"}}}"

static const struct tool tools[] = {
	{ .name = "misfit", .description = "Another type than it says.",
	    .output_schema = SEVEN, .run = run_misfit },
	{ .name = "silent", .description = "No structured content.",
	    .output_schema = SEVEN, .run = run_silent },
	{ .name = "computed", .description = "Lacks what it says.",
	    .output_schema = SEVEN, .compute = compute_misfit },
	{ .name = "failing", .description = "Fails, which is no misfit.",
	    .output_schema = SEVEN, .run = run_failing },
	{ .name = "exact", .description = "As its schema says, to the digit.",
	    .output_schema = EXACT, .run = run_exact },
	{ .name = "uncut", .description = "As its schema says, with a NUL.",
	    .output_schema = EXACT, .run = run_uncut },
	{ .name = "broken", .description = "Half an object.",
	    .run = run_broken },
	{ .name = "broken_block", .description = "A block that is no JSON.",
	    .run = run_broken_block },
	{ .name = "broken_result", .description = "Nor is this result.",
	    .run = run_broken_result },
	{ .name = "broken_log", .description = "Nor are its messages.",
	    .run = run_broken_log },
	{ .name = "broken_ask", .description = "Nor its question.",
	    .run = run_broken_ask },
	{ .name = "twice", .description = "Answers twice.",
	    .run = run_twice },
	{ .name = "threaded", .description = "Answers from a thread.",
	    .timeout_ms = 1000, .run = run_threaded },
	{ .name = "large", .description = "More than anybody reads.",
	    .run = run_large },
	{ .name = "unanswered", .description = "Computes in vain.",
	    .compute = compute_nothing },
	{ .name = "blocking", .description = "Holds up the event loop.",
	    .run = run_blocking },
	{ .name = NULL },
};

const struct api api = {
	.name = "careless",
	.tools = tools,
	.options = options,
#ifndef FORGETFUL
	.options_size = sizeof(struct settings),
#endif
};
