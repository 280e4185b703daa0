/* The answers of tool.h: a call's result, part by part or as a whole. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/runtime/call.h"
#include "worker/runtime/content.h"
#include "worker/runtime/output.h"

/* Problems are few and short. */
#define PROBLEMS_MAX 4096

/* Frames -------------------------------------------------------------------- */

/* A tool's result holds content, a resource's contents, a prompt's messages. */
static void
open_result(struct call *call)
{
	struct strbuf *sb = &call->answer;

	call->dialogue.has_begun = true;
	jsonrpc_result_open(sb, call->id);
	switch (call->kind) {
	case OFFER_TOOL:
		strbuf_add_slice(sb, SLICE("{\"content\":["));
		break;
	case OFFER_RESOURCE:
	case OFFER_TEMPLATE:
		strbuf_add_slice(sb, SLICE("{\"contents\":["));
		break;
	case OFFER_PROMPT:
		strbuf_add_char(sb, '{');
		if (call->description != NULL) {
			strbuf_add_slice(sb, SLICE("\"description\":"));
			strbuf_add_json(sb, slice_str(call->description));
			strbuf_add_char(sb, ',');
		}
		strbuf_add_slice(sb, SLICE("\"messages\":["));
		break;
	}
}

static void
add_raw(struct call *call, struct slice json)
{
	content_raw(&call->answer, json);
	call->has_raw = true;
}

/* Part by part --------------------------------------------------------------- */

static bool
is_read(const struct call *call)
{
	return call->kind == OFFER_RESOURCE || call->kind == OFFER_TEMPLATE;
}

/* The result's head, or the comma between two parts. */
static bool
open_part(struct call *call)
{
	struct strbuf *sb = &call->answer;

	if (!call_is_open(call))
		return false;
	if (call->dialogue.has_begun)
		strbuf_add_char(sb, ',');
	else
		open_result(call);
	if (call->kind == OFFER_PROMPT)
		strbuf_addf(sb, "{\"role\":\"%s\",\"content\":",
		    call->role ? call->role : "user");
	return true;
}

static void
close_part(struct call *call)
{
	if (call->kind == OFFER_PROMPT)
		strbuf_add_char(&call->answer, '}');
}

/* What is read, with that content. */
static struct contents
own_contents(const struct call *call, const char *mime_type)
{
	return (struct contents){ .uri = call_uri(call),
		.mime_type = mime_type ? mime_type : call->mime_type };
}

void
call_add_text(struct call *call, struct slice text)
{
	struct contents own = own_contents(call, NULL);

	if (!open_part(call))
		return;
	own.text = text;
	if (is_read(call))
		content_contents(&call->answer, &own);
	else
		content_text(&call->answer, text);
	close_part(call);
}

static void
add_data(struct call *call, const char *type, struct slice bytes,
    const char *mime_type)
{
	struct contents own = own_contents(call, mime_type);

	if (!open_part(call))
		return;
	own.blob = slice_of(bytes.n > 0 ? bytes.p : "", bytes.n);
	if (is_read(call))
		content_contents(&call->answer, &own);
	else
		content_data(&call->answer, type, bytes, mime_type);
	close_part(call);
}

void
call_add_image(struct call *call, struct slice bytes, const char *mime_type)
{
	add_data(call, "image", bytes, mime_type);
}

void
call_add_audio(struct call *call, struct slice bytes, const char *mime_type)
{
	add_data(call, "audio", bytes, mime_type);
}

void
call_add_resource(struct call *call, const struct contents *contents)
{
	struct strbuf *sb = &call->answer;

	if (!open_part(call))
		return;
	if (is_read(call)) {
		content_contents(sb, contents);
		return;
	}
	strbuf_add_slice(sb, SLICE("{\"type\":\"resource\",\"resource\":"));
	content_contents(sb, contents);
	strbuf_add_char(sb, '}');
	close_part(call);
}

void
call_add_link(struct call *call, const struct resource *to)
{
	if (!open_part(call))
		return;
	content_link(&call->answer, to);
	close_part(call);
}

void
call_add_json(struct call *call, struct slice block)
{
	if (!open_part(call))
		return;
	add_raw(call, block);
	close_part(call);
}

void
call_as(struct call *call, const char *role)
{
	call->role = role;
}

/* Wholes ------------------------------------------------------------------------ */

static void
finish(struct call *call, struct slice json, bool is_error);

/* In place of parts added before; also for calls whose tool has not begun. */
static void
fail_with(struct call *call, struct slice text)
{
	struct strbuf *sb = &call->answer;

	strbuf_reset(sb);
	open_result(call);
	content_text(sb, text);
	finish(call, SLICE_NONE, true);
}

/* False: the call was answered with what is wrong with its answer. */
static bool
fits(struct call *call, struct slice json)
{
	struct strbuf problems = STRBUF_INIT(PROBLEMS_MAX);
	struct strbuf text = STRBUF_INIT(PROBLEMS_MAX + 128);
	bool ok = output_ok(call, json, &problems);

	if (!ok) {
		strbuf_addf(&text, "the tool has run, but its answer does not "
		    "fit its output schema: %s", strbuf_str(&problems));
		fail_with(call, strbuf_slice(&text));
	}
	strbuf_release(&problems);
	strbuf_release(&text);
	return ok;
}

/* Behind the last part, of which there may have been none. */
static void
finish(struct call *call, struct slice json, bool is_error)
{
	struct strbuf *sb = &call->answer;

	if (!call_may_answer(call) || (!is_error && !fits(call, json)))
		return;
	if (!call->dialogue.has_begun)
		open_result(call);
	strbuf_add_char(sb, ']');
	if (json.n > 0) {
		strbuf_add_slice(sb, SLICE(",\"structuredContent\":"));
		add_raw(call, json);
	}
	if (is_error)
		strbuf_add_slice(sb, SLICE(",\"isError\":true"));
	strbuf_add_slice(sb, SLICE("}}"));
	call->failed = is_error;
	call_answered(call);
}

void
call_done(struct call *call)
{
	finish(call, SLICE_NONE, false);
}

void
call_done_json(struct call *call, struct slice json)
{
	finish(call, json, false);
}

void
call_failed(struct call *call)
{
	finish(call, SLICE_NONE, true);
}

void
call_text(struct call *call, struct slice text)
{
	call_add_text(call, text);
	call_done(call);
}

void
call_image(struct call *call, struct slice bytes, const char *mime_type)
{
	call_add_image(call, bytes, mime_type);
	call_done(call);
}

void
call_audio(struct call *call, struct slice bytes, const char *mime_type)
{
	call_add_audio(call, bytes, mime_type);
	call_done(call);
}

void
call_json(struct call *call, struct slice text, struct slice json)
{
	call_add_text(call, text);
	call_done_json(call, json);
}

void
call_error(struct call *call, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	if (!call_may_answer(call))
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (call->kind == OFFER_TOOL)
		fail_with(call, slice_str(text));
	else
		call_refuse(call, JSONRPC_INTERNAL_ERROR, text ? text : "");
	free(text);
}

void
call_complete(struct call *call, const char *const *values, size_t n,
    size_t total)
{
	struct strbuf *sb = &call->answer;
	size_t shown = n < CALL_COMPLETE_MAX ? n : CALL_COMPLETE_MAX;

	if (!call_may_answer(call))
		return;
	strbuf_reset(sb);
	jsonrpc_result_open(sb, call->id);
	strbuf_add_slice(sb, SLICE("{\"completion\":{\"values\":["));
	for (size_t i = 0; i < shown; i++) {
		if (i > 0)
			strbuf_add_char(sb, ',');
		strbuf_add_json(sb, slice_str(values[i]));
	}
	strbuf_addf(sb, "],\"total\":%zu,\"hasMore\":%s}}}",
	    total > n ? total : n,
	    total > shown || n > shown ? "true" : "false");
	call_answered(call);
}

/*
 * A response in place of parts added before: a result, or (code not 0) an error,
 * whatever code it has in itself.
 */
static void
whole(struct call *call, struct slice json, bool failed, int code)
{
	struct strbuf *sb = &call->answer;

	if (!call_may_answer(call))
		return;
	call->failed = failed;
	call->error = code;
	strbuf_reset(sb);
	strbuf_add_slice(sb, SLICE("{\"jsonrpc\":\"2.0\",\"id\":"));
	strbuf_add_slice(sb, call->id);
	strbuf_addf(sb, ",\"%s\":", code != 0 ? "error" : "result");
	add_raw(call, json);
	strbuf_add_char(sb, '}');
	call_answered(call);
}

void
call_result(struct call *call, struct slice json, bool is_error)
{
	whole(call, json, is_error, 0);
}

void
call_refuse_json(struct call *call, struct slice error)
{
	whole(call, error, true, JSONRPC_INTERNAL_ERROR);
}
