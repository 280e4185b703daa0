/*
 * Tools whose answers tests know beforehand, and an API that can fail to start.
 */
#include <unistd.h>

#include "worker/runtime/tool.h"

struct settings {
	char *needs;
};

#define FIELD(name) CONFIG_FIELD(struct settings, name)

static const struct config_option options[] = {
	{ "START_NEEDS", CONFIG_STRING, FIELD(needs), NULL, 0, 0, NULL,
	    "file without which the API does not start" },
	{ .env = NULL },
};

static void
run_echo(struct call *call, const cJSON *args)
{
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(args, "text");

	call_text(call, slice_str(text->valuestring));
}

static const struct tool tools[] = {
	{
		.name = "echo",
		.title = "Echo",
		.description = "Answers with the text it is given.",
		.input_schema =
		    "{\"type\":\"object\",\"properties\":{"
		    "\"text\":{\"type\":\"string\",\"description\":"
		    "\"what to answer\"}},"
		    "\"required\":[\"text\"],\"additionalProperties\":false}",
		.promises = TOOL_READ_ONLY | TOOL_NOT_DESTRUCTIVE |
		    TOOL_IDEMPOTENT | TOOL_CLOSED_WORLD,
		.run = run_echo,
	},
	{ .name = NULL },
};

/* Hands its tools in, so that tests see that way too. */
static bool
start(struct worker_env *env, struct strbuf *error)
{
	const struct settings *s = worker_env_settings(env);

	if (s->needs != NULL && access(s->needs, R_OK) != 0) {
		strbuf_addf(error, "%s is missing", s->needs);
		return false;
	}
	return worker_env_set_tools(env, tools, error);
}

const struct api api = {
	.name = "conformance",
	.title = "Conformance",
	.named_by_operator = true,
	.options = options,
	.options_size = sizeof(struct settings),
	.start = start,
};
