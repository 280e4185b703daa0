/*
 * Tools whose answers tests know beforehand.
 */
#include "worker/runtime/tool.h"

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

const struct api api = {
	.name = "conformance",
	.title = "Conformance",
	.tools = tools,
};
