/* The answers of tool.h: a call's result, part by part or as a whole. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/runtime/call.h"
#include "worker/runtime/content.h"

/* Part by part --------------------------------------------------------------- */

/* {"jsonrpc":…,"result":{"content":[, or the comma between two parts. */
static bool
open_part(struct call *call)
{
	struct strbuf *sb = &call->answer;

	if (!call_is_open(call))
		return false;
	if (call->dialogue.has_begun) {
		strbuf_add_char(sb, ',');
		return true;
	}
	call->dialogue.has_begun = true;
	jsonrpc_result_open(sb, call->id);
	strbuf_add_slice(sb, SLICE("{\"content\":["));
	return true;
}

void
call_add_text(struct call *call, struct slice text)
{
	if (open_part(call))
		content_text(&call->answer, text);
}

void
call_add_image(struct call *call, struct slice bytes, const char *mime_type)
{
	if (open_part(call))
		content_data(&call->answer, "image", bytes, mime_type);
}

void
call_add_audio(struct call *call, struct slice bytes, const char *mime_type)
{
	if (open_part(call))
		content_data(&call->answer, "audio", bytes, mime_type);
}

void
call_add_resource(struct call *call, const struct contents *contents)
{
	struct strbuf *sb = &call->answer;

	if (!open_part(call))
		return;
	strbuf_add_slice(sb, SLICE("{\"type\":\"resource\",\"resource\":"));
	content_contents(sb, contents);
	strbuf_add_char(sb, '}');
}

void
call_add_link(struct call *call, const struct resource *to)
{
	if (open_part(call))
		content_link(&call->answer, to);
}

void
call_add_json(struct call *call, struct slice block)
{
	if (open_part(call))
		content_raw(&call->answer, block);
}

/* Wholes ------------------------------------------------------------------------ */

/* Behind the last part, of which there may have been none. */
static void
finish(struct call *call, struct slice json, bool is_error)
{
	struct strbuf *sb = &call->answer;

	if (!call_may_answer(call))
		return;
	if (!call->dialogue.has_begun) {
		jsonrpc_result_open(sb, call->id);
		strbuf_add_slice(sb, SLICE("{\"content\":["));
	}
	strbuf_add_char(sb, ']');
	if (json.n > 0) {
		strbuf_add_slice(sb, SLICE(",\"structuredContent\":"));
		content_raw(sb, json);
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

/* The runtime answers so too, for calls whose tool has not begun. */
static void
fail_with(struct call *call, struct slice text)
{
	struct strbuf *sb = &call->answer;

	strbuf_reset(sb);
	jsonrpc_result_open(sb, call->id);
	strbuf_add_slice(sb, SLICE("{\"content\":["));
	call->dialogue.has_begun = true;
	content_text(sb, text);
	call_failed(call);
}

void
call_error(struct call *call, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	if (!call_may_answer(call))
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	fail_with(call, n < 0 ? SLICE("out of memory") : slice_str(text));
	if (n >= 0)
		free(text);
}

/* A response with that member, in place of parts added before. */
static void
whole(struct call *call, const char *member, struct slice json, bool failed)
{
	struct strbuf *sb = &call->answer;

	if (!call_may_answer(call))
		return;
	call->failed = failed;
	strbuf_reset(sb);
	strbuf_add_slice(sb, SLICE("{\"jsonrpc\":\"2.0\",\"id\":"));
	strbuf_add_slice(sb, call->id);
	strbuf_addf(sb, ",\"%s\":", member);
	content_raw(sb, json);
	strbuf_add_char(sb, '}');
	call_answered(call);
}

void
call_result(struct call *call, struct slice json, bool is_error)
{
	whole(call, "result", json, is_error);
}

void
call_refuse_json(struct call *call, struct slice error)
{
	whole(call, "error", error, true);
}
