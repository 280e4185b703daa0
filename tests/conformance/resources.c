/* The resources and prompts of the official suite, and what changes them. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/fixtures.h"
#include "tests/conformance/wait.h"

#define WATCHED "test://watched-resource"

/* Resources ---------------------------------------------------------------------- */

static void
read_text(struct call *call, const cJSON *args UNUSED)
{
	call_text(call, slice_str(call_tool(call)->data));
}

static void
read_binary(struct call *call, const cJSON *args UNUSED)
{
	call_image(call, fixture_png, NULL);
}

static void
read_forbidden(struct call *call, const cJSON *args UNUSED)
{
	call_refuse(call, CALL_NOT_FOUND, "Resource not found");
}

static void
read_parts(struct call *call, const cJSON *args UNUSED)
{
	call_add_text(call, SLICE("first"));
	call_add_resource(call, &(struct contents){ .uri = "test://parts/2",
		.mime_type = "text/html", .text = SLICE("second") });
	call_done(call);
}

const struct resource fixture_resources[] = {
	{ .uri = "test://static-text", .name = "Static Text Resource",
	    .description = "A static text resource for testing",
	    .mime_type = "text/plain", .read = read_text,
	    .data = "This is the content of the static text resource." },
	{ .uri = "test://static-binary", .name = "Static Binary Resource",
	    .description = "A static binary resource (image) for testing",
	    .mime_type = "image/png", .read = read_binary },
	{ .uri = WATCHED, .name = "Watched Resource",
	    .mime_type = "text/plain", .read = read_text,
	    .data = "Watched resource content" },
	{ .uri = "test://gone", .name = "Gone", .read = read_forbidden },
	{ .uri = "test://parts", .name = "Parts", .mime_type = "text/plain",
	    .read = read_parts },
	{ .uri = NULL },
};

static void
read_template(struct call *call, const cJSON *args)
{
	struct strbuf text = STRBUF_INIT(1 << 16), data = STRBUF_INIT(1 << 16);
	const char *id = text_of(args, "id");

	strbuf_addf(&data, "Data for ID: %s", id);
	strbuf_add_str(&text, "{\"id\":");
	strbuf_add_json(&text, slice_str(id));
	strbuf_add_str(&text, ",\"templateTest\":true,\"data\":");
	strbuf_add_json(&text, strbuf_slice(&data));
	strbuf_add_char(&text, '}');
	call_text(call, strbuf_slice(&text));
	strbuf_release(&text);
	strbuf_release(&data);
}

/* 150 of them that begin with the value. */
static void
complete_id(struct call *call, const cJSON *args)
{
	char texts[150][32];
	const char *values[150];
	size_t n = 0;

	for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
		const char *value = text_of(args, "value");

		snprintf(texts[n], sizeof(texts[n]), "%u", i);
		values[n] = texts[n];
		n += strncmp(texts[n], value, strlen(value)) == 0;
	}
	call_complete(call, values, n, 0);
}

const struct resource_template fixture_templates[] = {
	{ .uri_template = "test://template/{id}/data",
	    .name = "Dynamic Resource Template",
	    .description = "A resource template with parameter substitution",
	    .mime_type = "application/json", .read = read_template,
	    .complete = complete_id },
	{ .uri_template = NULL },
};

/* Prompts ------------------------------------------------------------------------ */

static void
get_simple(struct call *call, const cJSON *args UNUSED)
{
	call_text(call, SLICE("This is a simple prompt for testing."));
}

static void
get_with_arguments(struct call *call, const cJSON *args)
{
	struct strbuf text = STRBUF_INIT(1 << 16);

	strbuf_addf(&text, "Prompt with arguments: arg1='%s', arg2='%s'",
	    text_of(args, "arg1"), text_of(args, "arg2"));
	call_text(call, strbuf_slice(&text));
	strbuf_release(&text);
}

static void
get_with_resource(struct call *call, const cJSON *args)
{
	call_add_resource(call, &(struct contents){
		.uri = text_of(args, "resourceUri"),
		.mime_type = "text/plain",
		.text = SLICE("Embedded resource content for testing.") });
	call_add_text(call,
	    SLICE("Please process the embedded resource above."));
	call_done(call);
}

static void
get_with_image(struct call *call, const cJSON *args UNUSED)
{
	call_add_image(call, fixture_png, "image/png");
	call_as(call, "assistant");
	call_add_text(call, SLICE("Please analyze the image above."));
	call_done(call);
}

static void
get_failing(struct call *call, const cJSON *args UNUSED)
{
	call_error(call, "no such luck");
}

static const struct prompt_argument two[] = {
	{ .name = "arg1", .description = "First test argument",
	    .required = true },
	{ .name = "arg2", .description = "Second test argument",
	    .required = true },
	{ .name = NULL },
};

static const struct prompt_argument resource_uri[] = {
	{ .name = "resourceUri", .description = "URI of the resource to embed",
	    .required = true },
	{ .name = NULL },
};

const struct prompt fixture_prompts[] = {
	{ .name = "test_simple_prompt",
	    .description = "A simple prompt without arguments",
	    .get = get_simple },
	{ .name = "test_prompt_with_arguments",
	    .description = "A prompt with required arguments",
	    .arguments = two, .get = get_with_arguments },
	{ .name = "test_prompt_with_embedded_resource",
	    .description = "A prompt that includes an embedded resource",
	    .arguments = resource_uri, .get = get_with_resource },
	{ .name = "test_prompt_with_image",
	    .description = "A prompt that includes image content",
	    .get = get_with_image },
	{ .name = "test_failing_prompt",
	    .description = "A prompt that fails", .get = get_failing },
	{ .name = NULL },
};

/* Changes -------------------------------------------------------------------------- */

void
fixture_touch(struct call *call, const cJSON *args)
{
	const char *uri = text_of(args, "uri");

	worker_env_resource_changed(call_env(call), uri ? uri : WATCHED);
	call_text(call, SLICE("touched"));
}

/* With the last of each left out, or all of them again. */
void
fixture_change_lists(struct call *call, const cJSON *args)
{
	struct state *state = call_state(call);
	struct strbuf error = STRBUF_INIT(256);
	bool fewer = cJSON_IsTrue(
	    cJSON_GetObjectItemCaseSensitive(args, "fewer"));
	struct offers offers = { .tools = state->tools,
		.resources = fixture_resources };

	if (!fewer) {
		offers.templates = fixture_templates;
		offers.prompts = fixture_prompts;
	}
	if (worker_env_set_offers(call_env(call), &offers, &error))
		call_text(call, fewer ? SLICE("fewer") : SLICE("all"));
	else
		call_error(call, "%s", strbuf_str(&error));
	strbuf_release(&error);
}
