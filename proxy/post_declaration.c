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

struct telling {
	const struct post *post;
	struct slice note;
};

static void
tell(const struct fleet_pod *pod, void *arg)
{
	const struct telling *t = arg;
	const struct post_options *o = &t->post->all->options;

	if (fleet_is_dead(pod) || slice_eq_str(o->pod, pod->name))
		return;
	/* One that is not sent costs what is said in declaration.h. */
	(void)!outbox_send(o->outbox, slice_str(pod->name),
	    &(struct env_message){ .call = SLICE(ENV_CALL_DECLARED),
		.session = post_sid(t->post), .attempt = SLICE("1"),
		.payload = t->note }, NULL, NULL);
}

/* What this loop and others know from looking the session up is out of date. */
static void
update_caches(const struct post *p)
{
	const struct post_options *o = &p->all->options;
	struct strbuf note = STRBUF_INIT(DECLARATION_NOTE_MAX);
	struct declaration d = post_declaration(p);

	declaration_note(&d, &note);
	directory_hear(o->directory, post_sid(p), strbuf_slice(&note));
	if (declaration_is_told(&d))
		fleet_each(o->fleet, tell,
		    &(struct telling){ p, strbuf_slice(&note) });
	strbuf_release(&note);
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
		update_caches(p);
	post_find_owner(p);
}

void
post_declare(struct post *p)
{
	struct declaration d = post_declaration(p);

	if (!declaration_send(p->all->options.commands, &d, on_declared, p))
		post_park(p);
}
