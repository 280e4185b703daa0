#include "tests/conformance/fixtures.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/wait.h"

/* Time between two messages of a call. */
#define STEP_MS 50

/* One pixel; one silent sample. */
static const char png[] =
	"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44"
	"\x52\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f"
	"\x15\xc4\x89\x00\x00\x00\x0d\x49\x44\x41\x54\x78\xda\x63\xfc"
	"\xcf\xc0\xf0\x1f\x00\x05\x05\x02\x00\x5f\xc8\xf1\xd2\x00\x00"
	"\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";
static const char wav[] =
	"\x52\x49\x46\x46\x26\x00\x00\x00\x57\x41\x56\x45\x66\x6d\x74"
	"\x20\x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x00\x7d"
	"\x00\x00\x02\x00\x10\x00\x64\x61\x74\x61\x02\x00\x00\x00\x00\x00";
const struct slice fixture_png = { png, sizeof(png) - 1 };
static const struct slice fixture_wav = { wav, sizeof(wav) - 1 };

/* Content ------------------------------------------------------------------------ */

static void
run_simple_text(struct call *call, const cJSON *args UNUSED)
{
	call_text(call, SLICE("This is a simple text response for testing."));
}

static void
run_image(struct call *call, const cJSON *args UNUSED)
{
	call_image(call, fixture_png, "image/png");
}

static void
run_audio(struct call *call, const cJSON *args UNUSED)
{
	call_audio(call, fixture_wav, "audio/wav");
}

static void
run_embedded_resource(struct call *call, const cJSON *args UNUSED)
{
	call_add_resource(call, &(struct contents){
		.uri = "test://embedded-resource", .mime_type = "text/plain",
		.text = SLICE("This is an embedded resource content.") });
	call_done(call);
}

static void
run_multiple(struct call *call, const cJSON *args UNUSED)
{
	call_add_text(call, SLICE("Multiple content types test:"));
	call_add_image(call, fixture_png, "image/png");
	call_add_resource(call, &(struct contents){
		.uri = "test://mixed-content-resource",
		.mime_type = "application/json",
		.text = SLICE("{\"test\":\"data\",\"value\":123}") });
	call_done(call);
}

static void
run_link(struct call *call, const cJSON *args UNUSED)
{
	call_add_link(call, &(struct resource){ .uri = "test://static-text",
		.name = "static-text", .mime_type = "text/plain" });
	call_add_json(call, SLICE("{\"type\":\"text\",\"text\":\"as it is\",\n"
	    "\"annotations\":{\"audience\":[\"user\"]}}"));
	call_done_json(call, SLICE("{\"links\":1}"));
}

static void
run_error(struct call *call, const cJSON *args UNUSED)
{
	call_error(call, "This tool intentionally returns an error for testing");
}

/* Its params as the client sent them, numbers and escapes included. */
static void
run_raw(struct call *call, const cJSON *args UNUSED)
{
	struct strbuf result = STRBUF_INIT(1 << 20);

	strbuf_add_str(&result, "{\"content\":[],\"structuredContent\":");
	strbuf_add_slice(&result, call_params(call));
	strbuf_add_char(&result, '}');
	call_result(call, strbuf_slice(&result), false);
	strbuf_release(&result);
}

/* While it runs -------------------------------------------------------------------- */

static void
log_next(struct wait *w)
{
	static const char *const messages[] = { "Tool execution started",
		"Tool processing data", "Tool execution completed" };

	if (w->step == ARRAY_LEN(messages)) {
		wait_answer(w, "Tool with logging executed successfully");
		return;
	}
	call_log_text(w->call, LEVEL_DEBUG, "steps", "step %u", w->step);
	call_log_text(w->call, LEVEL_INFO, NULL, "%s", messages[w->step++]);
	wait_for(w, STEP_MS, log_next);
}

static void
report_next(struct wait *w)
{
	if (w->step == 3) {
		wait_answer(w, "Tool with progress executed successfully");
		return;
	}
	call_progress(w->call, 50.0 * w->step, 100, "step");
	w->step++;
	wait_for(w, STEP_MS, report_next);
}

static void
reconnected(struct wait *w)
{
	wait_answer(w, "Reconnection test completed successfully. If you "
	    "received this, the client properly reconnected after stream "
	    "closure.");
}

/* SEP-1699: its answer comes on the client's next stream. */
static void
run_reconnection(struct call *call, const cJSON *args)
{
	struct wait *w = wait_new(call, args);

	call_on_cancel(call, wait_cancel, w);
	call_close_stream(call);
	wait_for(w, 2 * STEP_MS, reconnected);
}

/* data is what goes on with it. */
static void
run_steps(struct call *call, const cJSON *args)
{
	struct wait *w = wait_new(call, args);

	call_on_cancel(call, wait_cancel, w);
	w->step = 0;
	if (call_tool(call)->data == NULL)
		log_next(w);
	else
		report_next(w);
}

/* Far more than a call may say. */
static void
run_flood(struct call *call, const cJSON *args UNUSED)
{
	for (unsigned i = 0; i < 1000; i++)
		call_log_text(call, LEVEL_INFO, NULL, "%u", i);
	call_text(call, SLICE("said enough"));
}

/* Asking ----------------------------------------------------------------------------- */

/* Reports what came of it: "<what>: <the answer>". */
static void
answer_with(struct call *call, const struct call_answer *answer, void *arg)
{
	const char *what = arg;

	if (answer->result != NULL) {
		struct strbuf text = STRBUF_INIT(1 << 20);

		strbuf_addf(&text, "%s: %.*s", what, SLICE_ARG(answer->json));
		call_text(call, strbuf_slice(&text));
		strbuf_release(&text);
	} else {
		call_error(call, "%s: %s (%d)", what, answer->message,
		    answer->error);
	}
}

static void
ask(struct call *call, const char *method, struct slice params,
    const char *what)
{
	const char *reason = call_ask(call, method, params, 0, answer_with,
	    (void *)what);

	if (reason != NULL)
		call_error(call, "%s", reason);
}

static void
run_sampling(struct call *call, const cJSON *args)
{
	struct strbuf params = STRBUF_INIT(1 << 20);

	strbuf_add_str(&params, "{\"messages\":[{\"role\":\"user\",\"content\":"
	    "{\"type\":\"text\",\"text\":");
	strbuf_add_json(&params, slice_str(text_of(args, "prompt")));
	strbuf_add_str(&params, "}}],\"maxTokens\":100}");
	ask(call, "sampling/createMessage", strbuf_slice(&params),
	    "LLM response");
	strbuf_release(&params);
}

static void
ask_form(struct call *call, const char *message, const char *schema)
{
	struct strbuf params = STRBUF_INIT(1 << 16);

	strbuf_add_str(&params, "{\"mode\":\"form\",\"message\":");
	strbuf_add_json(&params, slice_str(message));
	strbuf_addf(&params, ",\"requestedSchema\":%s}", schema);
	ask(call, "elicitation/create", strbuf_slice(&params),
	    "User response");
	strbuf_release(&params);
}

#define FORM(properties, required)                                         \
	"{\"type\":\"object\",\"properties\":{" properties "},"            \
	"\"required\":[" required "]}"

static void
run_elicitation(struct call *call, const cJSON *args)
{
	ask_form(call, text_of(args, "message"),
	    FORM("\"response\":{\"type\":\"string\","
	    "\"description\":\"User's response\"}", "\"response\""));
}

static void
run_form(struct call *call, const cJSON *args UNUSED)
{
	ask_form(call, "Please fill in the form.", call_tool(call)->data);
}

static void
run_url(struct call *call, const cJSON *args UNUSED)
{
	ask(call, "elicitation/create", SLICE("{\"mode\":\"url\","
	    "\"message\":\"Please sign in.\",\"elicitationId\":\"e-1\","
	    "\"url\":\"https://example.com/sign-in\"}"), "User response");
}

static void
run_roots(struct call *call, const cJSON *args UNUSED)
{
	ask(call, "roots/list", SLICE_NONE, "Roots");
}

static const char defaults[] = FORM(
    "\"name\":{\"type\":\"string\",\"default\":\"John Doe\"},"
    "\"age\":{\"type\":\"integer\",\"default\":30},"
    "\"score\":{\"type\":\"number\",\"default\":95.5},"
    "\"status\":{\"type\":\"string\",\"enum\":[\"active\",\"inactive\","
    "\"pending\"],\"default\":\"active\"},"
    "\"verified\":{\"type\":\"boolean\",\"default\":true}", "");

#define TITLED(word)                                                       \
	"[{\"const\":\"value1\",\"title\":\"First " word "\"},"            \
	"{\"const\":\"value2\",\"title\":\"Second " word "\"},"            \
	"{\"const\":\"value3\",\"title\":\"Third " word "\"}]"
static const char enums[] = FORM(
    "\"untitledSingle\":{\"type\":\"string\",\"enum\":[\"option1\","
    "\"option2\",\"option3\"]},"
    "\"titledSingle\":{\"type\":\"string\",\"oneOf\":" TITLED("Option") "},"
    "\"legacyEnum\":{\"type\":\"string\",\"enum\":[\"opt1\",\"opt2\","
    "\"opt3\"],\"enumNames\":[\"Option One\",\"Option Two\","
    "\"Option Three\"]},"
    "\"untitledMulti\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
    "\"enum\":[\"option1\",\"option2\",\"option3\"]}},"
    "\"titledMulti\":{\"type\":\"array\",\"items\":{\"anyOf\":"
    TITLED("Choice") "}}", "");

/* Its schema has to reach clients untouched (SEP-1613). */
static void
run_json_schema(struct call *call, const cJSON *args)
{
	struct strbuf text = STRBUF_INIT(1 << 20);
	char *json = cJSON_PrintUnformatted(args);

	strbuf_addf(&text, "JSON Schema 2020-12 tool called with: %s", json);
	call_text(call, strbuf_slice(&text));
	strbuf_release(&text);
	cJSON_free(json);
}

static const char schema_2020_12[] =
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
    "\"type\":\"object\",\"$defs\":{\"address\":{\"$anchor\":\"addressDef\","
    "\"type\":\"object\",\"properties\":{\"street\":{\"type\":\"string\"},"
    "\"city\":{\"type\":\"string\"}}}},\"properties\":{"
    "\"name\":{\"type\":\"string\"},"
    "\"address\":{\"$ref\":\"#/$defs/address\"},"
    "\"contactMethod\":{\"type\":\"string\",\"enum\":[\"phone\",\"email\"]},"
    "\"phone\":{\"type\":\"string\"},\"email\":{\"type\":\"string\"}},"
    "\"allOf\":[{\"anyOf\":[{\"required\":[\"phone\"]},"
    "{\"required\":[\"email\"]}]}],"
    "\"if\":{\"properties\":{\"contactMethod\":{\"const\":\"phone\"}},"
    "\"required\":[\"contactMethod\"]},\"then\":{\"required\":[\"phone\"]},"
    "\"else\":{\"required\":[\"email\"]},\"additionalProperties\":false}";

/* Tools ------------------------------------------------------------------------------- */

#define SAFE                                                               \
	(TOOL_READ_ONLY | TOOL_NOT_DESTRUCTIVE | TOOL_IDEMPOTENT |         \
	    TOOL_CLOSED_WORLD)
#define ONE_TEXT(name)                                                     \
	"{\"type\":\"object\",\"properties\":{\"" name                     \
	"\":{\"type\":\"string\"}},\"required\":[\"" name "\"]}"
#define FIXTURE(of, says, fn)                                              \
	.name = (of), .description = (says), .run = (fn), .promises = SAFE

const struct tool fixture_tools[] = {
	{ FIXTURE("test_simple_text", "A text.", run_simple_text) },
	{ FIXTURE("test_image_content", "A picture.", run_image) },
	{ FIXTURE("test_audio_content", "A sound.", run_audio) },
	{ FIXTURE("test_embedded_resource", "A resource.",
	    run_embedded_resource) },
	{ FIXTURE("test_multiple_content_types",
	    "A text, a picture, a resource.", run_multiple) },
	{ FIXTURE("test_resource_link", "A link, a block as it is, "
	    "a structured result.", run_link),
	    .output_schema = "{\"type\":\"object\",\"properties\":"
	    "{\"links\":{\"type\":\"integer\"}}}" },
	{ FIXTURE("test_error_handling", "Fails.", run_error) },
	{ FIXTURE("test_raw", "Its params.", run_raw), .raw = true,
	    .input_schema = "{\"type\":\"object\",\"properties\":"
	    "{\"n\":{\"type\":\"string\"}}}",
	    .more = "\"icons\":[{\"src\":\"https://example.com/i.png\"}]" },
	{ FIXTURE("test_tool_with_logging", "Logs thrice.", run_steps) },
	{ FIXTURE("test_tool_with_progress", "Reports thrice.", run_steps),
	    .data = "progress" },
	{ FIXTURE("test_reconnection", "Closes the client's stream.",
	    run_reconnection) },
	{ FIXTURE("test_flood", "Logs more than it may.", run_flood) },
	{ FIXTURE("test_sampling", "Asks the client's model.", run_sampling),
	    .input_schema = ONE_TEXT("prompt") },
	{ FIXTURE("test_elicitation", "Asks the user.", run_elicitation),
	    .input_schema = ONE_TEXT("message") },
	{ FIXTURE("test_elicitation_sep1034_defaults",
	    "Asks with defaults.", run_form), .data = defaults },
	{ FIXTURE("test_elicitation_sep1330_enums",
	    "Asks for choices.", run_form), .data = enums },
	{ FIXTURE("test_elicitation_url", "Sends the user to a URL.",
	    run_url) },
	{ FIXTURE("test_touch", "Changes a resource, the watched one if "
	    "there is no other.", fixture_touch),
	    .input_schema = "{\"type\":\"object\",\"properties\":"
	    "{\"uri\":{\"type\":\"string\"}}}" },
	{ FIXTURE("test_change_lists", "Changes what is listed.",
	    fixture_change_lists), .input_schema = "{\"type\":\"object\","
	    "\"properties\":{\"fewer\":{\"type\":\"boolean\"}}}" },
	{ FIXTURE("test_roots", "Asks for the client's roots.", run_roots) },
	{ FIXTURE("json_schema_2020_12_tool", "Has a rich schema.",
	    run_json_schema), .input_schema = schema_2020_12 },
	{ .name = NULL },
};
