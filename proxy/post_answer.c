/*
 * Answers that are made here, without a worker: those of the protocol, errors
 * that concern one call, and those of the proxy's own tools.
 */
#include "proxy/post_private.h"

#include "common/log.h"

static void
on_delivered(void *arg)
{
	post_accept(arg);
}

static void
on_sent(enum outbox_result result, const char *error, void *arg)
{
	struct post *p = arg;

	switch (result) {
	case OUTBOX_SENT:
		post_accept(p);
		break;
	case OUTBOX_IN_DOUBT:
		/* The same answer twice is harmless, and marked as such. */
		p->attempt++;
		post_park(p);
		break;
	case OUTBOX_REFUSED:
		log_warn("answer not queued", LF("error", error));
		post_refuse(p, POST_WRITES_REFUSED);
		break;
	}
}

void
post_answer(struct post *p, const struct post_owner *owner,
    struct slice payload)
{
	const struct post_options *o = &p->all->options;
	struct strbuf note = STRBUF_INIT(DECLARATION_NOTE_MAX);
	struct env_message message = {
		.call = slice_of(p->call, CALL_ID_LEN),
		.session = post_sid(p),
		.attempt = p->attempt > 1 ? SLICE("2") : SLICE("1"),
		.payload = payload,
	};

	if (p->declared) {
		struct declaration d = post_declaration(p);

		declaration_note(&d, &note);
		message.note = strbuf_slice(&note);
	}

	post_count_one(p, STAT_LOCAL_ANSWERS);
	if (owner->local != NULL && redis_is_ready(o->commands))
		session_deliver(owner->local, &message, on_delivered, p);
	else if (owner->local != NULL ||
	    !outbox_send(o->outbox, owner->pod, &message, on_sent, p))
		post_park(p);
	strbuf_release(&note);
}

void
post_answer_error(struct post *p, const struct post_owner *owner, int code,
    const char *text)
{
	struct strbuf payload = STRBUF_INIT(p->all->options.max_answer);

	jsonrpc_error(&payload, p->msg.id, code, text);
	post_answer(p, owner, strbuf_slice(&payload));
	strbuf_release(&payload);
}

/* Tools of the proxy's own ---------------------------------------------------- */

static void
on_made(struct slice result, void *arg)
{
	struct post *p = arg;

	jsonrpc_result_open(&p->made, p->msg.id);
	strbuf_add_slice(&p->made, result);
	strbuf_add_char(&p->made, '}');
	if (!strbuf_ok(&p->made)) {
		strbuf_reset(&p->made);
		jsonrpc_error(&p->made, p->msg.id, JSONRPC_INTERNAL_ERROR,
		    "the answer is too long");
	}
	/* The session may have moved meanwhile. */
	post_find_owner(p);
}

void
post_run_builtin(struct post *p, const struct catalog_item *tool)
{
	struct session_api_call call = {
		.tool = tool->name,
		.params = p->msg.params,
		.sid = post_sid(p),
		.user = &p->user,
		.kind = p->kind,
		.scopes = p->scopes,
	};

	session_api_run(p->all->options.session_api, &call, on_made, p);
}
