#include "worker/runtime/work.h"

#include <stdarg.h>
#include <stdlib.h>

#include "common/jsonrpc.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/call.h"

struct work *
work_new(struct call *call)
{
	struct work *work = xcalloc(1, sizeof(*work));

	work->call = call;
	work->tool = call->tool;
	work->args = call->args;
	work->settings = worker_env_settings(call->env);
	strbuf_init(&work->text, CALL_ANSWER_MAX);
	strbuf_init(&work->json, CALL_ANSWER_MAX);
	call->work = work;
	call_hold(call);
	return work;
}

void
work_free(struct work *work)
{
	strbuf_release(&work->text);
	strbuf_release(&work->json);
	free(work);
}

/* On a thread ---------------------------------------------------------------- */

void
work_run(struct work *work)
{
	if (!work_cancelled(work))
		work->tool->compute(work, work->args);
}

/* Takes the first answer alone. */
static bool
may_answer(struct work *work, enum work_answer answer)
{
	if (work->answer != WORK_SILENT) {
		log_error("second answer refused",
		    LF("tool", work->tool->name));
		return false;
	}
	work->answer = answer;
	return true;
}

void
work_text(struct work *work, struct slice text)
{
	if (may_answer(work, WORK_TEXT))
		strbuf_add_slice(&work->text, text);
}

void
work_error(struct work *work, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	if (!may_answer(work, WORK_ERROR))
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) >= 0) {
		strbuf_add_str(&work->text, text);
		free(text);
	}
	va_end(ap);
}

void
work_json(struct work *work, struct slice text, struct slice json)
{
	if (!may_answer(work, WORK_JSON))
		return;
	strbuf_add_slice(&work->text, text);
	strbuf_add_slice(&work->json, json);
}

void
work_result(struct work *work, struct slice json, bool is_error)
{
	if (!may_answer(work, WORK_RESULT))
		return;
	strbuf_add_slice(&work->json, json);
	work->is_error = is_error;
}

const struct tool *
work_tool(const struct work *work)
{
	return work->tool;
}

const void *
work_settings(const struct work *work)
{
	return work->settings;
}

bool
work_cancelled(const struct work *work)
{
	return atomic_load_explicit(&work->cancelled, memory_order_relaxed);
}

/* On the loop ------------------------------------------------------------------ */

void
work_cancel(struct work *work)
{
	atomic_store_explicit(&work->cancelled, true, memory_order_relaxed);
}

static void
log_wrong(const struct work *work, const char *what)
{
	log_error(what, LF_S("call", work->call->call),
	    LF("tool", work->tool->name));
}

static void
refuse_large(const struct work *work)
{
	log_wrong(work, "answer is larger than 1 MiB");
	call_refuse(work->call, JSONRPC_INTERNAL_ERROR,
	    "the tool's answer is larger than 1 MiB");
}

static void
answer(struct call *call, const struct work *work)
{
	switch (work->answer) {
	case WORK_TEXT:
		call_text(call, strbuf_slice(&work->text));
		break;
	case WORK_ERROR:
		call_error(call, "%s", strbuf_str(&work->text));
		break;
	case WORK_JSON:
		call_json(call, strbuf_slice(&work->text),
		    strbuf_slice(&work->json));
		break;
	case WORK_RESULT:
		call_result(call, strbuf_slice(&work->json), work->is_error);
		break;
	case WORK_SILENT:
		/* Of a call that nobody waits for, nothing will come of it. */
		if (!work_cancelled(work))
			log_wrong(work, "tool ended without an answer");
		call_refuse(call, JSONRPC_INTERNAL_ERROR,
		    "the tool ended without an answer");
		break;
	}
}

void
work_finish(struct work *take_work)
{
	struct work *work = take_work;
	struct call *call = work->call;

	call->work = NULL;
	if (strbuf_ok(&work->text) && strbuf_ok(&work->json))
		answer(call, work);
	else
		refuse_large(work);
	work_free(work);
}
