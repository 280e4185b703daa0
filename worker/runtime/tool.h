/*
 * What the author of an API sees: describe tools in a table, answer calls.
 *
 *	static void
 *	run_greet(struct call *call, const cJSON *args)
 *	{
 *		const cJSON *name = cJSON_GetObjectItemCaseSensitive(args, "name");
 *
 *		call_text(call, slice_str(cJSON_GetStringValue(name)));
 *	}
 *
 *	static const struct tool tools[] = {
 *		{ .name = "greet", .title = "Greet",
 *		    .description = "Says a name back.",
 *		    .input_schema = "{\"type\":\"object\",...}",
 *		    .promises = TOOL_READ_ONLY | TOOL_CLOSED_WORLD,
 *		    .run = run_greet },
 *		{ .name = NULL },
 *	};
 *
 *	const struct api api = { .name = "hello", .tools = tools };
 *
 * That file alone, in worker/hello/, becomes bin/mcp-worker-hello: the runtime
 * reads calls from Redis, holds arguments against the schema, sends answers.
 */
#ifndef MCP_WORKER_TOOL_H
#define MCP_WORKER_TOOL_H

#include <cjson/cJSON.h>

#include "common/compiler.h"

/* A call that runs: from run() until its answer. */
struct call;

/*
 * What a tool promises (MCP's annotations). Promising nothing is always right:
 * it means MCP's own defaults, those of the most dangerous tool.
 */
enum tool_promise {
	TOOL_READ_ONLY = 1,        /* readOnlyHint: changes nothing */
	TOOL_NOT_DESTRUCTIVE = 2,  /* destructiveHint false: only adds */
	TOOL_IDEMPOTENT = 4,       /* idempotentHint: again changes no more */
	TOOL_CLOSED_WORLD = 8      /* openWorldHint false: no outside systems */
};

struct tool {
	const char *name;           /* bare, unique in its API; NULL ends */
	const char *title;          /* for people; NULL: none */
	const char *description;    /* for models */
	const char *input_schema;   /* JSON Schema; NULL: takes no arguments */
	const char *output_schema;  /* JSON Schema; NULL: not structured */
	unsigned promises;          /* enum tool_promise, or-ed */
	/*
	 * Runs a call whose arguments (an object, never NULL) fit the input
	 * schema. It answers exactly once with one of the functions below: at
	 * once, or later from the event loop, keeping call until then. It must
	 * not block. args is borrowed and lives as long as the call.
	 */
	void (*run)(struct call *call, const cJSON *args);
	const void *data;           /* the tool's own, see call_tool() */
};

struct api {
	const char *name;           /* see env_api_name_ok() */
	const char *title;          /* for people; NULL: the name */
	const char *version;        /* NULL: the project's */
	const char *instructions;   /* for models, how to use it; NULL: none */
	const struct tool *tools;   /* ended by a NULL name */
};

/* Each API's folder defines this one. */
extern const struct api api;

/*
 * The answers. After one of them call belongs to the runtime and is not to be
 * touched again. A second answer within the same run() is refused and logged.
 * All text is UTF-8; it is copied.
 */

/* A result with one text. */
void call_text(struct call *call, struct slice text);
/* A result with isError: the tool failed, and the model should know why. */
void call_error(struct call *call, const char *fmt, ...) PRINTF_LIKE(2, 3);
/*
 * A structured result: json is one JSON object on one line that fits the output
 * schema, and goes out as it is; text says the same to older clients.
 */
void call_json(struct call *call, struct slice text, struct slice json);

/* The tool that is being called, with its data. */
const struct tool *call_tool(const struct call *call);

#endif
