/*
 * What a message asks for, and who is to do it.
 */
#include "proxy/post_private.h"

#include "common/log.h"
#include "proxy/cancellation.h"
#include "proxy/client_answer.h"

/* Answers and notifications ------------------------------------------------------ */

static void
on_answer_taken(struct redis *r, const redisReply *reply, void *arg)
{
	struct post *p = arg;

	(void)r;
	if (reply == NULL || redis_is_unfit(reply)) {
		/* The same answer twice is harmless: nobody waits for it then. */
		post_park(p);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		log_warn("client's answer not queued", LF("error", reply->str));
		post_refuse(p, POST_WRITES_REFUSED);
	} else {
		post_accept(p);
	}
}

/* Answers to what nobody has asked are dropped, like what is unknown. */
static void
take_answer(struct post *p, const struct post_owner *owner)
{
	const struct post_options *o = &p->all->options;
	bool known = catalog_is_loaded(o->catalog);

	if (known && !client_answer_is(o->catalog, slice_str(owner->api),
	    &p->msg))
		post_accept(p);
	else if (!known || !client_answer_send(o->commands, post_sid(p), &p->msg,
	    slice_of(p->body, p->body_len), on_answer_taken, p))
		post_park(p);
}

static void
take_notification(struct post *p, const struct post_owner *owner)
{
	const struct post_options *o = &p->all->options;

	if (cancellation_is(&p->msg))
		stat_add(o->stats, STAT_CALLS_CANCELLED,
		    cancellation_send(o->commands, o->catalog,
			slice_str(owner->api), post_sid(p), p->msg.request_id) > 0);
	post_accept(p);
}

/* Requests -------------------------------------------------------------------- */

static void
dispatch(struct post *p, const struct post_owner *owner,
    const struct mcp_target *to)
{
	if (!scopes_allow(p->scopes, to->item->api, to->item->name))
		post_refuse_forbidden(p, to->item);
	else if (to->item->builtin)
		post_run_builtin(p, to->item);
	else
		post_call(p, owner, to);
}

static void
ask_mcp(struct post *p, const struct post_owner *owner)
{
	const struct post_options *o = &p->all->options;
	struct mcp_scope scope = { o->catalog, slice_str(owner->api),
		p->scopes };
	struct strbuf payload = STRBUF_INIT(o->max_answer);
	struct mcp_target to;

	if (mcp_request(&scope, &p->msg, &payload, &to))
		dispatch(p, owner, &to);
	else if (strbuf_ok(&payload))
		post_answer(p, owner, strbuf_slice(&payload));
	else
		post_answer_error(p, owner, JSONRPC_INTERNAL_ERROR,
		    "the answer is too long");
	strbuf_release(&payload);
}

/* Who may not read a resource does not hear when it changes, either. */
static void
declare(struct post *p, const struct post_owner *owner)
{
	const struct mcp_scope scope = { p->all->options.catalog,
		slice_str(owner->api), p->scopes };
	const struct catalog_item *item = mcp_forbidden(&scope, &p->msg);

	if (item != NULL)
		post_refuse_forbidden(p, item);
	else
		post_declare(p);
}

static void
take_request(struct post *p, const struct post_owner *owner)
{
	if (!catalog_is_loaded(p->all->options.catalog))
		post_park(p);
	else if (p->declined)
		post_answer_error(p, owner, MCP_ERROR_BUSY,
		    "this session has too many subscriptions");
	else if (!p->declared && declaration_is(&p->msg))
		declare(p, owner);
	else if (p->made.n > 0)
		post_answer(p, owner, strbuf_slice(&p->made));
	else
		ask_mcp(p, owner);
}

void
post_handle(struct post *p, const struct post_owner *owner)
{
	switch (p->msg.kind) {
	case JSONRPC_REQUEST:
		take_request(p, owner);
		break;
	case JSONRPC_NOTIFICATION:
		take_notification(p, owner);
		break;
	case JSONRPC_RESPONSE:
		take_answer(p, owner);
		break;
	}
}
