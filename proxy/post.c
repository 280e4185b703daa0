#include "proxy/post.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/ident.h"
#include "common/log.h"
#include "common/queue.h"
#include "common/xalloc.h"
#include "proxy/calls.h"
#include "proxy/cancellation.h"
#include "proxy/client_answer.h"
#include "proxy/declaration.h"
#include "proxy/forward.h"
#include "proxy/mcp.h"
#include "proxy/resource.h"
#include "proxy/session_script.h"

#define RETRY_AFTER "Retry-After: 1\r\n"
/* What a user is told to wait for one of his calls to end. */
#define CALLS_WAIT_MS 1000
/* A request's head is no larger. */
#define FORWARDED_MAX ((size_t)512 << 10)

enum post_state {
	POST_SENT,
	POST_PARKED,
	POST_METERED,
	POST_STATES
};

struct post {
	TAILQ_ENTRY(post) link;       /* of all->lists[state] */
	struct posts *all;
	struct http_conn *c;          /* held; NULL once answered */
	uint64_t arrived_ms;
	enum post_state state;
	bool in_doubt;                /* queued perhaps, by an attempt before */
	bool declared;                /* see declaration.h */
	bool declined;                /* the record has no room for it */
	unsigned attempt;
	struct jsonrpc_msg msg;       /* points into body */
	struct user user;
	struct scopes *scopes;        /* a reference */
	enum principal_kind kind;
	struct strbuf made;           /* an answer that took its time, or empty */
	struct called called;         /* its host stands behind the body, */
	struct slice headers;         /* and these behind that */
	uint64_t epoch;               /* of the stream whose client posts */
	char sid[SID_LEN];
	char call[CALL_ID_LEN + 1];
	char api[API_NAME_MAX + 1];   /* of the path; empty: all */
	size_t body_len;
	char body[];
};

struct posts {
	struct post_options options;
	TAILQ_HEAD(post_list, post) lists[POST_STATES];
	unsigned count;
};

/* Who owns a session, as far as this loop knows. */
struct owner {
	struct session *local;        /* this loop, or */
	struct slice pod;             /* that one */
	const char *api;
	struct client_traits client;
};

static void run(struct post *p);
static struct declaration declaration_of(const struct post *p);

/* Answers and lifetime --------------------------------------------------------- */

static struct slice
sid_of(const struct post *p)
{
	return slice_of(p->sid, SID_LEN);
}

static void
set_state(struct post *p, enum post_state state)
{
	TAILQ_REMOVE(&p->all->lists[p->state], p, link);
	p->state = state;
	TAILQ_INSERT_TAIL(&p->all->lists[state], p, link);
}

static void
free_post(struct post *p)
{
	TAILQ_REMOVE(&p->all->lists[p->state], p, link);
	p->all->count--;
	scopes_unref(p->scopes);
	strbuf_release(&p->made);
	free(p);
}

/* Answers the client; the post may live on until its command is answered. */
static void
respond(struct post *p, const struct http_response *response)
{
	struct http_conn *c = p->c;

	p->c = NULL;
	if (c == NULL)
		return;
	http_respond(c, response);
	http_release(c);
}

static void
accept_post(struct post *p)
{
	respond(p, &(struct http_response){ .status = 202,
		.type = "text/plain; charset=utf-8", .body = SLICE("Accepted") });
	free_post(p);
}

static void
refuse(struct post *p, int status, const char *headers, int code,
    const char *message)
{
	struct strbuf body = STRBUF_INIT(4096);

	jsonrpc_error(&body, p->msg.id, code, message);
	if (!strbuf_ok(&body)) {
		/* An id that long has to do without its echo. */
		strbuf_reset(&body);
		jsonrpc_error(&body, SLICE_NONE, code, message);
	}
	respond(p, &(struct http_response){ .status = status,
		.type = "application/json", .headers = headers,
		.body = strbuf_slice(&body) });
	strbuf_release(&body);
}

static void
refuse_unknown_session(struct post *p)
{
	refuse(p, 404, NULL, JSONRPC_INVALID_REQUEST, "Session not found");
	free_post(p);
}

/* RFC 6750, section 3.1: the client may get a token with that scope. */
static void
refuse_forbidden(struct post *p, const struct catalog_item *item)
{
	struct strbuf scope = STRBUF_INIT(1024), headers = STRBUF_INIT(4096);
	struct challenge challenge = { .error = "insufficient_scope",
		.api = slice_str(p->api) };

	strbuf_addf(&scope, "%s:%s", item->api, item->name);
	challenge.scope = strbuf_slice(&scope);
	resource_challenge(&headers, p->all->options.public_url, &p->called,
	    &challenge);
	stat_add(p->all->options.stats, STAT_AUTH_FORBIDDEN, 1);
	refuse(p, 403, strbuf_str(&headers), MCP_ERROR_FORBIDDEN,
	    "this is outside the scopes that were granted");
	strbuf_release(&scope);
	strbuf_release(&headers);
	free_post(p);
}

static void
refuse_unavailable(struct post *p, const char *message)
{
	refuse(p, 503, RETRY_AFTER, MCP_ERROR_BUSY, message);
	free_post(p);
}

static void
refuse_limited(struct post *p, enum limit which, uint64_t wait_ms)
{
	struct limit_refusal refusal = { .text = "" };

	limits_refuse(p->all->options.limits, which, wait_ms, &p->user, NULL,
	    &refusal);
	refuse(p, 429, refusal.headers, MCP_ERROR_BUSY, refusal.text);
	free_post(p);
}

static void
park(struct post *p)
{
	if (p->c == NULL) {
		free_post(p);
		return;
	}
	if (p->state != POST_PARKED)
		stat_add(p->all->options.stats, STAT_POSTS_PARKED, 1);
	set_state(p, POST_PARKED);
}

/* Answers made here -------------------------------------------------------------- */

static void
on_delivered(void *arg)
{
	accept_post(arg);
}

static void
on_sent(enum outbox_result result, const char *error, void *arg)
{
	struct post *p = arg;

	switch (result) {
	case OUTBOX_SENT:
		accept_post(p);
		break;
	case OUTBOX_IN_DOUBT:
		/* The same answer twice is harmless, and marked as such. */
		p->attempt++;
		park(p);
		break;
	case OUTBOX_REFUSED:
		log_warn("answer not queued", LF("error", error));
		refuse_unavailable(p, "Redis refuses writes");
		break;
	}
}

static void
answer(struct post *p, const struct owner *owner, struct slice payload)
{
	const struct post_options *o = &p->all->options;
	struct strbuf note = STRBUF_INIT(DECLARATION_NOTE_MAX);
	struct env_message message = {
		.call = slice_of(p->call, CALL_ID_LEN),
		.session = sid_of(p),
		.attempt = p->attempt > 1 ? SLICE("2") : SLICE("1"),
		.payload = payload,
	};

	if (p->declared) {
		struct declaration d = declaration_of(p);

		declaration_note(&d, &note);
		message.note = strbuf_slice(&note);
	}

	stat_add(o->stats, STAT_LOCAL_ANSWERS, 1);
	if (owner->local != NULL && redis_is_ready(o->commands))
		session_deliver(owner->local, &message, on_delivered, p);
	else if (owner->local != NULL ||
	    !outbox_send(o->outbox, owner->pod, &message, on_sent, p))
		park(p);
	strbuf_release(&note);
}

static void
answer_error(struct post *p, const struct owner *owner, int code,
    const char *text)
{
	struct strbuf payload = STRBUF_INIT(p->all->options.max_answer);

	jsonrpc_error(&payload, p->msg.id, code, text);
	answer(p, owner, strbuf_slice(&payload));
	strbuf_release(&payload);
}

/* Calls ---------------------------------------------------------------------------- */

static void
on_queued(struct redis *r, const redisReply *reply, void *arg)
{
	struct post *p = arg;

	(void)r;
	if (reply == NULL) {
		p->in_doubt = true;
		park(p);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		log_warn("call not queued", LF("error", reply->str));
		refuse_unavailable(p, "the call could not be queued");
	} else if (calls_is_refused(reply)) {
		refuse_limited(p, LIMIT_USER_CALLS, CALLS_WAIT_MS);
	} else {
		stat_add(p->all->options.stats, STAT_CALLS, 1);
		accept_post(p);
	}
}

/* What workers need to know: that it has sent initialize they do not. */
static struct slice
client_of(const struct owner *owner, char buf[static CLIENT_TRAITS_TEXT_MAX])
{
	struct client_traits t = owner->client;

	t.can &= (uint8_t)~CLIENT_INITIALIZED;
	return client_traits_text(buf, t);
}

static void
enqueue(struct post *p, const struct owner *owner,
    const struct mcp_target *to)
{
	const struct post_options *o = &p->all->options;
	char client[CLIENT_TRAITS_TEXT_MAX];
	struct env_request request = {
		.call = slice_of(p->call, CALL_ID_LEN),
		.session = sid_of(p),
		.user = slice_of(p->user.hash, SHA256_HEX_LEN),
		.scopes = scopes_text(p->scopes),
		.method = p->msg.method,
		.tool = to->about,
		.reply_to = owner->local != NULL ? o->pod : owner->pod,
		.deadline_ms = clock_wall_ms() + (to->item->timeout_ms > 0 ?
		    to->item->timeout_ms : o->call_timeout_ms),
		.attempt = p->attempt,
		.payload = slice_of(p->body, p->body_len),
		.traceparent = p->msg.traceparent,
		.client = client_of(owner, client),
		.headers = p->headers,
	};

	if (!calls_enqueue(o->commands, slice_str(to->item->api), &request,
		limits_at_most(o->limits, LIMIT_USER_CALLS), on_queued, p))
		park(p);
}

/*
 * Is a call whose XADD got no answer in the queue? Looks at the newest entries:
 * more than that cannot have come in the seconds that a post waits, unless the
 * queue is at its cap.
 */
static const struct redis_script find_call_script = {
	"find_call",
	"for _, e in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-',\n"
	"    'COUNT', 10000)) do\n"
	"  for i = 1, #e[2], 2 do\n"
	"    if e[2][i] == 'call' then\n"
	"      if e[2][i + 1] == ARGV[1] then return 1 end\n"
	"      break\n"
	"    end\n"
	"  end\n"
	"end\n"
	"return 0\n"
};

static void
on_searched(struct redis *r, const redisReply *reply, void *arg)
{
	struct post *p = arg;

	(void)r;
	if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
		park(p);
	} else if (reply->integer == 1) {
		stat_add(p->all->options.stats, STAT_CALLS, 1);
		accept_post(p);
	} else {
		refuse(p, 503, RETRY_AFTER, MCP_ERROR_UNKNOWN_OUTCOME,
		    "Redis was lost while the call was being queued: "
		    "it may have run or not");
		free_post(p);
	}
}

/*
 * The connection broke between XADD and its reply. A safe tool is simply queued
 * again, as a further attempt of the same call. Another one must not run twice:
 * it counts as accepted if it is found waiting or running, and its outcome is
 * unknown if it is not.
 */
static void
resolve_doubt(struct post *p, const struct owner *owner,
    const struct mcp_target *to)
{
	struct env_keybuf keybuf;
	struct slice args[] = { env_key(&keybuf, ENV_REQUESTS,
				    slice_str(to->item->api)),
		slice_of(p->call, CALL_ID_LEN) };

	if (to->item->safe) {
		p->attempt++;
		p->in_doubt = false;
		enqueue(p, owner, to);
	} else if (!redis_eval(p->all->options.commands, &find_call_script, args,
		       ARRAY_LEN(args), 1, on_searched, p)) {
		park(p);
	}
}

static void
call_worker(struct post *p, const struct owner *owner,
    const struct mcp_target *to)
{
	const struct post_options *o = &p->all->options;

	if (p->in_doubt) {
		resolve_doubt(p, owner, to);
	} else if (catalog_queue_length(o->catalog, to->item->api) >= o->queue_max) {
		stat_add(o->stats, STAT_CALLS_REFUSED, 1);
		answer_error(p, owner, MCP_ERROR_BUSY,
		    "too many calls are waiting for this API: try again later");
	} else {
		enqueue(p, owner, to);
	}
}

/* Tools of the proxy's own -------------------------------------------------------- */

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
	run(p);
}

static void
run_builtin(struct post *p, const struct catalog_item *tool)
{
	struct session_api_call call = {
		.tool = tool->name,
		.params = p->msg.params,
		.sid = sid_of(p),
		.user = &p->user,
		.kind = p->kind,
		.scopes = p->scopes,
	};

	session_api_run(p->all->options.session_api, &call, on_made, p);
}

/* Declarations --------------------------------------------------------------------- */

static struct declaration
declaration_of(const struct post *p)
{
	return (struct declaration){ sid_of(p), p->epoch, &p->msg };
}

/* What is cached here is out of date. */
static void
update_cache(const struct post *p)
{
	const struct post_options *o = &p->all->options;
	const struct directory_entry *entry =
	    directory_find(o->directory, sid_of(p));
	struct strbuf note = STRBUF_INIT(DECLARATION_NOTE_MAX);
	struct declaration d = declaration_of(p);
	struct client_traits client;

	if (entry == NULL)
		return;
	client = entry->client;
	declaration_note(&d, &note);
	declaration_apply(strbuf_slice(&note), &client);
	strbuf_release(&note);
	directory_set_client(o->directory, sid_of(p), client);
}

/*
 * An initialize's answer must come after whatever an earlier client of the
 * session awaited has been dropped: JSON-RPC ids begin anew.
 */
static void
on_declared(struct redis *r, const redisReply *reply, void *arg)
{
	struct post *p = arg;

	(void)r;
	if (reply == NULL) {
		park(p);
		return;
	}
	if (reply->type == REDIS_REPLY_ERROR)
		log_warn("declaration not noted", LF("error", reply->str));
	p->declined = reply->type == REDIS_REPLY_INTEGER &&
	    reply->integer == SESSION_TOO_MANY;
	p->declared = !p->declined;
	if (p->declared)
		update_cache(p);
	run(p);
}

static void
declare(struct post *p)
{
	struct declaration d = declaration_of(p);

	if (!declaration_send(p->all->options.commands, &d, on_declared, p))
		park(p);
}

/* What clients are asked --------------------------------------------------------------- */

static void
on_answer_taken(struct redis *r, const redisReply *reply, void *arg)
{
	struct post *p = arg;

	(void)r;
	if (reply == NULL) {
		/* The same answer twice is harmless: nobody waits for it then. */
		park(p);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		log_warn("client's answer not queued", LF("error", reply->str));
		refuse_unavailable(p, "Redis refuses writes");
	} else {
		accept_post(p);
	}
}

/* Answers to what nobody has asked are dropped, like what is unknown. */
static void
take_answer(struct post *p, const struct owner *owner)
{
	const struct post_options *o = &p->all->options;
	bool known = catalog_is_loaded(o->catalog);

	if (known && !client_answer_is(o->catalog, slice_str(owner->api),
	    &p->msg))
		accept_post(p);
	else if (!known || !client_answer_send(o->commands, sid_of(p), &p->msg,
	    slice_of(p->body, p->body_len), on_answer_taken, p))
		park(p);
}

static void
take_notification(struct post *p, const struct owner *owner)
{
	const struct post_options *o = &p->all->options;

	if (cancellation_is(&p->msg))
		stat_add(o->stats, STAT_CALLS_CANCELLED,
		    cancellation_send(o->commands, o->catalog,
			slice_str(owner->api), sid_of(p), p->msg.request_id) > 0);
	accept_post(p);
}

/* Running ---------------------------------------------------------------------------- */

static void
dispatch(struct post *p, const struct owner *owner,
    const struct mcp_target *to)
{
	if (!scopes_allow(p->scopes, to->item->api, to->item->name))
		refuse_forbidden(p, to->item);
	else if (to->item->builtin)
		run_builtin(p, to->item);
	else
		call_worker(p, owner, to);
}

static void
handle(struct post *p, const struct owner *owner)
{
	const struct post_options *o = &p->all->options;
	struct mcp_scope scope = { o->catalog, slice_str(owner->api),
		p->scopes };
	struct strbuf payload = STRBUF_INIT(o->max_answer);
	struct mcp_target to;

	if (!slice_eq_str(slice_str(p->api), owner->api)) {
		refuse_unknown_session(p);
		return;
	}
	if (p->msg.kind == JSONRPC_NOTIFICATION) {
		take_notification(p, owner);
		return;
	}
	if (p->msg.kind == JSONRPC_RESPONSE) {
		take_answer(p, owner);
		return;
	}
	if (!catalog_is_loaded(o->catalog)) {
		park(p);
		return;
	}
	if (p->declined) {
		answer_error(p, owner, MCP_ERROR_BUSY,
		    "this session has too many subscriptions");
		return;
	}
	if (!p->declared && declaration_is(&p->msg)) {
		declare(p);
		return;
	}
	if (p->made.n > 0) {
		answer(p, owner, strbuf_slice(&p->made));
		return;
	}
	if (mcp_request(&scope, &p->msg, &payload, &to)) {
		dispatch(p, owner, &to);
	} else if (strbuf_ok(&payload)) {
		answer(p, owner, strbuf_slice(&payload));
	} else {
		answer_error(p, owner, JSONRPC_INTERNAL_ERROR,
		    "the answer is too long");
	}
	strbuf_release(&payload);
}

static bool
is_theirs(const struct post *p, const unsigned char *user)
{
	return CRYPTO_memcmp(p->user.bytes, user, SHA256_LEN) == 0;
}

/*
 * Was it left with a pod that died so long ago that no client can come back for
 * it? One that was let go in order expires by itself. A pod that is not in the
 * index has been buried, unless it has only just begun.
 */
static bool
is_abandoned(const struct post *p, const struct directory_entry *entry)
{
	const struct post_options *o = &p->all->options;
	const struct fleet_pod *pod = fleet_find(o->fleet, slice_str(entry->pod));

	if (entry->detached || slice_eq_str(o->pod, entry->pod))
		return false;
	if (pod != NULL)
		return fleet_is_dead(pod) && fleet_silent_ms(pod) >= o->window_ms;
	return clock_wall_ms() > entry->since_ms + o->window_ms;
}

static void
on_probed(struct redis *r, const redisReply *reply, void *arg)
{
	struct post *p = arg;
	struct pod *self = p->all->options.self;

	(void)r;
	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER &&
	    reply->integer == 1 && !pod_lost_recently(self)) {
		refuse_unknown_session(p);
	} else {
		pod_hurry(self);
		park(p);
	}
}

/*
 * After a flush its owner may not have noticed yet, nor may we: the session is
 * unknown only to a Redis that still knows ourselves.
 */
static void
doubt_session(struct post *p)
{
	if (!pod_probe(p->all->options.self, on_probed, p))
		park(p);
}

/* The session turned out to be another one: so do the posts to it. */
static bool
follow_alias(struct post *p, const struct directory_entry *entry)
{
	if (entry->alias[0] == '\0')
		return false;
	memcpy(p->sid, entry->alias, SID_LEN);
	p->epoch = entry->alias_epoch;
	/* One that may be queued already keeps the id by which it is found. */
	if (!p->in_doubt)
		env_call_stamp(p->call, p->epoch);
	run(p);
	return true;
}

static void
on_looked_up(enum directory_result result, const struct directory_entry *entry,
    void *arg)
{
	struct post *p = arg;
	struct owner owner;

	if (result == DIRECTORY_FOUND && is_theirs(p, entry->user) &&
	    follow_alias(p, entry))
		return;
	if (result == DIRECTORY_FOUND &&
	    (!is_theirs(p, entry->user) || is_abandoned(p, entry)))
		result = DIRECTORY_UNKNOWN;
	switch (result) {
	case DIRECTORY_FOUND:
		owner = (struct owner){ .pod = slice_str(entry->pod),
			.api = entry->api, .client = entry->client };
		handle(p, &owner);
		break;
	case DIRECTORY_AWAY:
		park(p);
		break;
	case DIRECTORY_UNKNOWN:
		doubt_session(p);
		break;
	}
}

/*
 * A session of somebody else is looked up in Redis like one that nobody has,
 * whatever is known of it here: the answer must not come sooner.
 */
static void
run(struct post *p)
{
	const struct post_options *o = &p->all->options;
	const struct directory_entry *entry;
	struct owner owner = { .local = sessions_find(o->sessions, sid_of(p)) };

	if (owner.local != NULL && is_theirs(p, session_user(owner.local))) {
		owner.api = session_api(owner.local);
		owner.client = session_client(owner.local);
		handle(p, &owner);
		return;
	}
	stat_add(o->stats, STAT_LOOKUPS, 1);
	entry = directory_find(o->directory, sid_of(p));
	if (entry != NULL && is_theirs(p, entry->user)) {
		stat_add(o->stats, STAT_LOOKUP_HITS, 1);
		if (follow_alias(p, entry))
			return;
		owner.pod = slice_str(entry->pod);
		owner.api = entry->api;
		owner.client = entry->client;
		handle(p, &owner);
	} else if (!directory_fetch(o->directory, sid_of(p), on_looked_up, p)) {
		park(p);
	}
}

/*
 * Everything counts, but only requests are held up or refused: a client that is
 * at its limit may still cancel calls and answer what it was asked.
 */
static void
take_token(struct post *p)
{
	enum meter_result result;
	uint64_t wait_ms;

	result = limits_take_user(p->all->options.limits, &p->user, &wait_ms);
	if (result == METER_PASS || p->msg.kind != JSONRPC_REQUEST)
		run(p);
	else if (result == METER_WAIT)
		set_state(p, POST_METERED);
	else
		refuse_limited(p, LIMIT_USER_RATE, wait_ms);
}

void
post_take(struct posts *all, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    const struct post_target *to)
{
	struct slice body = req->body, host = req->head->host;
	struct strbuf headers = STRBUF_INIT(FORWARDED_MAX);
	struct post *p;
	int error;

	forward_write(all->options.forward_headers, req->head, &headers);
	p = xmalloc(sizeof(*p) + body.n + host.n + headers.n);
	*p = (struct post){ .all = all, .c = c, .attempt = 1,
		.arrived_ms = clock_mono_ms(), .user = who->user,
		.kind = who->kind, .made = STRBUF_INIT(all->options.max_answer),
		.scopes = scopes_ref(who->scopes), .epoch = to->epoch,
		.body_len = body.n };
	memcpy(p->body, body.p, body.n);
	called_read(&p->called, req->head);
	if (p->called.host.n > 0)
		p->called.host.p = memcpy(p->body + body.n, p->called.host.p,
		    p->called.host.n);
	if (headers.n > 0)
		p->headers = slice_of(memcpy(p->body + body.n + host.n, headers.p,
		    headers.n), headers.n);
	strbuf_release(&headers);
	memcpy(p->sid, to->sid.p, SID_LEN);
	if (to->api.n > 0)
		memcpy(p->api, to->api.p, to->api.n);
	http_hold(c);
	TAILQ_INSERT_TAIL(&all->lists[POST_SENT], p, link);
	all->count++;
	error = jsonrpc_peek(p->body, p->body_len, &p->msg);
	if (error != 0) {
		refuse(p, 400, NULL, error,
		    error == JSONRPC_PARSE_ERROR ? "Parse error" :
						   "Invalid Request");
		free_post(p);
		return;
	}
	ident_hex(p->call);
	env_call_stamp(p->call, p->epoch);
	take_token(p);
}

/* All posts --------------------------------------------------------------------------- */

struct posts *
posts_new(const struct post_options *options)
{
	struct posts *all = xcalloc(1, sizeof(*all));

	all->options = *options;
	for (size_t i = 0; i < POST_STATES; i++)
		TAILQ_INIT(&all->lists[i]);
	return all;
}

void
posts_free(struct posts *all)
{
	struct post *p, *next;

	for (size_t i = 0; i < POST_STATES; i++) {
		TAILQ_FOREACH_SAFE(p, &all->lists[i], link, next) {
			refuse(p, 503, RETRY_AFTER, MCP_ERROR_BUSY,
			    "the server is stopping");
			free_post(p);
		}
	}
	free(all);
}

/* Each of a list once: it may join that list again, at its end. */
static void
try_again(struct posts *all, enum post_state state, void (*go)(struct post *p))
{
	unsigned count = 0;
	struct post *p;

	TAILQ_FOREACH(p, &all->lists[state], link)
		count++;
	while (count-- > 0) {
		p = TAILQ_FIRST(&all->lists[state]);
		/* A post leaves its list before it goes. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		set_state(p, POST_SENT);
		go(p);
	}
}

void
posts_on_ready(struct posts *all)
{
	try_again(all, POST_PARKED, run);
}

void
posts_on_metered(struct posts *all)
{
	try_again(all, POST_METERED, take_token);
}

static bool
waited_too_long(const struct post *p, uint64_t now)
{
	return now - p->arrived_ms >= p->all->options.wait_ms;
}

static void
give_up(struct post *p)
{
	if (p->c == NULL)
		return;
	stat_add(p->all->options.stats, STAT_POSTS_GAVE_UP, 1);
	refuse(p, 503, RETRY_AFTER,
	    p->in_doubt ? MCP_ERROR_UNKNOWN_OUTCOME : MCP_ERROR_BUSY,
	    p->in_doubt ? "Redis was lost while the call was being queued: "
			  "it may run or not" :
			  "Redis is away");
}

void
posts_tick(struct posts *all)
{
	uint64_t now = clock_mono_ms();
	struct post *p, *next;

	TAILQ_FOREACH_SAFE(p, &all->lists[POST_PARKED], link, next) {
		if (!waited_too_long(p, now))
			continue;
		give_up(p);
		free_post(p);
	}
	TAILQ_FOREACH(p, &all->lists[POST_SENT], link) {
		if (waited_too_long(p, now))
			give_up(p);
	}
	if (redis_is_ready(all->options.commands))
		posts_on_ready(all);
}

unsigned
posts_count(const struct posts *all)
{
	return all->count;
}
