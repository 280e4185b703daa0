/*
 * A request by which the client says something of its session: that is in Redis
 * before the request is answered (proxy/declaration.h).
 */
#include "proxy/post_private.h"

#include "common/log.h"
#include "proxy/session_client.h"

struct declaration
post_declaration(const struct post *p)
{
	return (struct declaration){ post_sid(p), p->epoch, &p->msg };
}

/* What is cached here is out of date. */
static void
update_cache(const struct post *p)
{
	const struct post_options *o = &p->all->options;
	const struct directory_entry *entry =
	    directory_find(o->directory, post_sid(p));
	struct strbuf note = STRBUF_INIT(DECLARATION_NOTE_MAX);
	struct declaration d = post_declaration(p);
	struct client_traits client;

	if (entry == NULL)
		return;
	client = entry->client;
	declaration_note(&d, &note);
	declaration_apply(strbuf_slice(&note), &client);
	strbuf_release(&note);
	directory_set_client(o->directory, post_sid(p), client);
}

/*
 * An initialize's answer must come after whatever an earlier client of the
 * session awaited has been dropped: JSON-RPC ids begin anew. So what cannot be
 * noted is not answered as if it were.
 */
static void
on_declared(struct redis *r, const redisReply *reply, void *arg)
{
	struct post *p = arg;

	(void)r;
	if (reply == NULL || redis_is_unfit(reply)) {
		post_park(p);
		return;
	}
	if (reply->type == REDIS_REPLY_ERROR) {
		log_warn("declaration not noted", LF("error", reply->str));
		post_refuse(p, POST_WRITES_REFUSED);
		return;
	}
	p->declined = reply->type == REDIS_REPLY_INTEGER &&
	    reply->integer == SESSION_TOO_MANY;
	p->declared = !p->declined;
	if (p->declared)
		update_cache(p);
	post_find_owner(p);
}

void
post_declare(struct post *p)
{
	struct declaration d = post_declaration(p);

	if (!declaration_send(p->all->options.commands, &d, on_declared, p))
		post_park(p);
}
