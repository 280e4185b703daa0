#include "proxy/gate.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/allow.h"
#include "proxy/api_keys.h"
#include "proxy/credential.h"
#include "proxy/kept_request.h"
#include "proxy/resource.h"
#include "proxy/tokens.h"

/* What may wait at once; beyond it requests are refused. */
#define WAITING_MAX 4096
#define WAITING_BYTES_MAX (32u * 1024 * 1024)

#define LOG_EVERY_MS 1000
#define WARN_EVERY_MS (10u * 60 * 1000)
#define CHALLENGE_MAX 4096
#define RETRY_AFTER "Retry-After: 1\r\n"

enum verdict {
	VERDICT_ADMIT,
	VERDICT_WAIT,      /* an answer is on its way: ask again */
	VERDICT_ANSWERED   /* refused */
};

struct waiting {
	TAILQ_ENTRY(waiting) link;   /* of gate->waiting, oldest first */
	struct kept_request *request;
	uint64_t since_ms;
	bool metered;                /* has its token: see limits.h */
};

struct gate {
	struct gate_options options;
	struct tokens *tokens;
	struct api_keys *keys;
	struct scopes *anonymous;
	struct principal who;        /* of the last check */
	TAILQ_HEAD(, waiting) waiting;
	size_t waiting_bytes;
	unsigned waiting_count;
	struct event *retry;
	uint64_t logged_ms;
	unsigned refused_since;      /* refusals without a line of their own */
	uint64_t warned_ms;          /* of a load balancer that is not trusted */
};

/* A request to decide on. */
struct visit {
	struct http_conn *c;
	const struct http_request *req;
	struct slice api;
	bool metered;
};

static void
count(const struct gate *g, enum stat which)
{
	if (g->options.stats != NULL)
		stat_add(g->options.stats, which, 1);
}

/* Refusing ------------------------------------------------------------------ */

/* One line a second: refusals come as often as an attacker likes. */
static void
log_refusal(struct gate *g, const char *reason)
{
	uint64_t now = clock_mono_ms();

	count(g, STAT_AUTH_REFUSED);
	if (now - g->logged_ms < LOG_EVERY_MS) {
		g->refused_since++;
		return;
	}
	log_info("request refused", LF("reason", reason),
	    LF_N("others", g->refused_since));
	g->logged_ms = now;
	g->refused_since = 0;
}

static enum verdict
refuse(struct gate *g, const struct visit *v, int status, const char *reason,
    const char *text)
{
	log_refusal(g, reason);
	http_respond_status(v->c, status, NULL, text);
	return VERDICT_ANSWERED;
}

/* 401 with where to get a token (RFC 9728, section 5.1). */
static enum verdict
challenge(struct gate *g, const struct visit *v, const char *reason,
    const char *error, const char *description)
{
	struct strbuf scope = STRBUF_INIT(CHALLENGE_MAX);
	struct strbuf headers = STRBUF_INIT(2 * CHALLENGE_MAX);
	struct challenge c = { .error = error, .description = description,
		.api = v->api, .scope = v->api };
	struct called called;

	if (v->api.n == 0) {
		catalog_add_names(g->options.catalog, &scope);
		c.scope = strbuf_slice(&scope);
	}
	called_read(&called, v->req->head);
	resource_challenge(&headers, g->options.public_url, &called,
	    &c);
	log_refusal(g, reason);
	http_respond_status(v->c, 401, strbuf_str(&headers), NULL);
	strbuf_release(&scope);
	strbuf_release(&headers);
	return VERDICT_ANSWERED;
}

/* Deciding ------------------------------------------------------------------ */

static bool
origin_ok(const struct gate_options *o, const struct http_head *head)
{
	struct slice origin;

	if (o->allowed_origins == NULL)
		return true;
	origin = http_head_field(head, "origin");
	/* Programs send none; a web page cannot leave it out. */
	return origin.p == NULL ||
	    (http_head_field_count(head, "origin") == 1 &&
		allow_origin(o->allowed_origins, origin));
}

static enum verdict
take_identity(struct gate *g, const struct visit *v, enum principal_kind kind,
    enum identity_result result, const struct identity *identity)
{
	switch (result) {
	case IDENTITY_KNOWN:
		g->who.kind = kind;
		g->who.user = identity->user;
		g->who.scopes = identity->scopes;
		return VERDICT_ADMIT;
	case IDENTITY_WAIT:
		return VERDICT_WAIT;
	case IDENTITY_REFUSED:
		break;
	}
	return challenge(g, v, identity->reason, "invalid_token",
	    kind == PRINCIPAL_JWT ? identity->reason : NULL);
}

/*
 * Behind a load balancer of several nodes the TCP peer changes from request to
 * request, and with it the anonymous user, who then does not find his session;
 * behind one node everybody is one address.
 */
static void
watch_for_load_balancer(struct gate *g, const struct http_head *head)
{
	uint64_t now = clock_mono_ms();

	if (g->options.trusted_hops > 0 ||
	    http_head_field(head, "x-forwarded-for").p == NULL)
		return;
	count(g, STAT_FORWARDED_UNTRUSTED);
	if (g->warned_ms != 0 && now - g->warned_ms < WARN_EVERY_MS)
		return;
	g->warned_ms = now;
	log_warn("requests come with X-Forwarded-For, which is not trusted: "
		 "behind a load balancer set TRUSTED_HOPS (1 behind an ALB), or "
		 "anonymous users share its address and lose their sessions");
}

/* Tokens are taken once, however often a request is looked at. */
static enum verdict
take_token(struct gate *g, struct visit *v, const struct in6_addr *address)
{
	const struct http_head *head = v->req->head;
	struct limit_refusal refusal = { .text = "" };
	uint64_t wait_ms;

	if (v->metered || (head->method == HTTP_GET && caller_may_return(head)))
		return VERDICT_ADMIT;
	switch (limits_take_address(g->options.rates, address, &wait_ms)) {
	case METER_PASS:
		v->metered = true;
		return VERDICT_ADMIT;
	case METER_WAIT:
		return VERDICT_WAIT;
	case METER_REFUSED:
		break;
	}
	limits_refuse(g->options.rates, LIMIT_IP_RATE, wait_ms, NULL, address,
	    &refusal);
	http_respond_status(v->c, 429, refusal.headers, refusal.text);
	return VERDICT_ANSWERED;
}

static enum verdict
decide_anonymous(struct gate *g, const struct visit *v)
{
	if (g->options.closed)
		return challenge(g, v, "no_credential", NULL, NULL);
	g->who.scopes = g->anonymous;
	return VERDICT_ADMIT;
}

static enum verdict
decide_credential(struct gate *g, const struct visit *v)
{
	struct credential credential;
	struct identity identity = { .reason = "" };

	credential_read(&credential, v->req->head);
	switch (credential.kind) {
	case CREDENTIAL_NONE:
		return decide_anonymous(g, v);
	case CREDENTIAL_TOKEN:
		return take_identity(g, v, PRINCIPAL_JWT,
		    tokens_check(g->tokens, credential.value, &identity),
		    &identity);
	case CREDENTIAL_API_KEY:
		return take_identity(g, v, PRINCIPAL_API_KEY,
		    api_keys_check(g->keys, credential.value, &identity),
		    &identity);
	case CREDENTIAL_UNKNOWN:
		return challenge(g, v, "unknown_scheme", NULL, NULL);
	case CREDENTIAL_SEVERAL:
		return refuse(g, v, 400, "two_credentials",
		    "more than one credential");
	case CREDENTIAL_IN_QUERY:
		break;
	}
	return refuse(g, v, 400, "token_in_query",
	    "tokens are taken from the Authorization field only");
}

static enum verdict
decide(struct gate *g, struct visit *v)
{
	const struct gate_options *o = &g->options;
	const struct http_head *head = v->req->head;
	struct caller caller;
	enum verdict verdict;

	if (o->allowed_hosts != NULL && !allow_host(o->allowed_hosts, head->host))
		return refuse(g, v, 403, "host", "this host is not served");
	if (!origin_ok(o, head))
		return refuse(g, v, 403, "origin", "this origin is not allowed");
	if (!principals_are_known(o->principals))
		return VERDICT_WAIT;
	watch_for_load_balancer(g, head);
	caller_read(&caller, head, http_peer_address(v->c), o->trusted_hops);
	verdict = take_token(g, v, &caller.address);
	if (verdict != VERDICT_ADMIT)
		return verdict;
	principals_anonymous(o->principals, &caller, &g->who);
	return decide_credential(g, v);
}

/* Waiting ------------------------------------------------------------------- */

static void
refuse_unavailable(struct http_conn *c)
{
	http_respond_status(c, 503, RETRY_AFTER,
	    "credentials cannot be checked now");
}

static void
wait_for_answer(struct gate *g, const struct visit *v)
{
	size_t n = v->req->head_bytes.n + v->req->body.n;
	struct waiting *w;

	if (g->waiting_count >= WAITING_MAX ||
	    g->waiting_bytes + n > WAITING_BYTES_MAX) {
		refuse_unavailable(v->c);
		return;
	}
	w = xcalloc(1, sizeof(*w));
	w->request = kept_request_new(v->c, v->req, v->api);
	w->since_ms = clock_mono_ms();
	w->metered = v->metered;
	TAILQ_INSERT_TAIL(&g->waiting, w, link);
	g->waiting_count++;
	g->waiting_bytes += n;
	count(g, STAT_AUTH_WAITED);
}

static void
forget(struct gate *g, struct waiting *w)
{
	TAILQ_REMOVE(&g->waiting, w, link);
	g->waiting_count--;
	g->waiting_bytes -= kept_request_bytes(w->request);
	kept_request_free(w->request);
	free(w);
}

static void
look_again(struct gate *g, struct waiting *w)
{
	struct http_head head;
	struct http_request req;
	struct visit v = { kept_request_conn(w->request), &req,
		kept_request_api(w->request), w->metered };
	enum verdict verdict = VERDICT_ANSWERED;

	if (kept_request_read(w->request, &g->options.limits, &head, &req))
		verdict = decide(g, &v);
	w->metered = v.metered;
	if (verdict == VERDICT_WAIT)
		return;
	if (verdict == VERDICT_ADMIT)
		g->options.admitted(v.c, &req, &g->who, g->options.arg);
	forget(g, w);
}

/* Those who join meanwhile (pipelined requests) stand behind the last one. */
static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct gate *g = arg;
	struct waiting *w, *next;

	(void)fd;
	(void)what;
	for (w = TAILQ_FIRST(&g->waiting); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		look_again(g, w);
	}
}

/* Answers come in crowds: all who wait are looked at once for all of them. */
void
gate_retry(struct gate *g)
{
	if (!TAILQ_EMPTY(&g->waiting))
		event_active(g->retry, EV_TIMEOUT, 0);
}

void
gate_tick(struct gate *g)
{
	uint64_t now = clock_mono_ms();
	struct waiting *w, *next;

	tokens_tick(g->tokens);
	api_keys_tick(g->keys);
	for (w = TAILQ_FIRST(&g->waiting); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (now - w->since_ms < g->options.wait_ms)
			break;
		refuse_unavailable(kept_request_conn(w->request));
		forget(g, w);
	}
	gate_retry(g);
}

/* The gate ------------------------------------------------------------------ */

const struct principal *
gate_check(struct gate *g, struct http_conn *c, const struct http_request *req,
    struct slice api)
{
	struct visit v = { c, req, api, false };

	switch (decide(g, &v)) {
	case VERDICT_ADMIT:
		return &g->who;
	case VERDICT_WAIT:
		wait_for_answer(g, &v);
		break;
	case VERDICT_ANSWERED:
		break;
	}
	return NULL;
}

void
gate_forget(struct gate *g)
{
	tokens_forget(g->tokens);
	api_keys_forget(g->keys);
	gate_retry(g);
}

static void
on_answer(void *arg)
{
	gate_retry(arg);
}

static struct tokens *
make_tokens(struct gate *g)
{
	const struct gate_options *o = &g->options;
	struct token_options tokens = {
		.base = o->base,
		.principals = o->principals,
		.secret_key = o->jwt_secret_key,
		.public_key = o->jwt_public_key,
		.jwks = o->jwt_jwks,
		.jwks_ca = o->jwt_jwks_ca,
		.rules = o->jwt_rules,
		.on_keys = on_answer,
		.arg = g,
	};

	return tokens_new(&tokens);
}

static struct api_keys *
make_keys(struct gate *g)
{
	const struct gate_options *o = &g->options;
	struct key_store *store = o->database_url != NULL ?
	    key_store_postgres(o->base, o->dns, o->database_url) :
	    key_store_redis(o->commands);

	return api_keys_new(store, o->principals, o->key_outage_ms, on_answer,
	    g);
}

struct gate *
gate_new(const struct gate_options *options)
{
	struct gate *g = xcalloc(1, sizeof(*g));

	g->options = *options;
	TAILQ_INIT(&g->waiting);
	g->retry = event_new(options->base, -1, 0, on_retry, g);
	g->anonymous = scopes_new(slice_str(options->anonymous_scopes != NULL ?
		options->anonymous_scopes : "*"));
	g->tokens = make_tokens(g);
	g->keys = make_keys(g);
	return g;
}

void
gate_free(struct gate *g)
{
	struct waiting *w, *next;

	for (w = TAILQ_FIRST(&g->waiting); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		refuse_unavailable(kept_request_conn(w->request));
		forget(g, w);
	}
	tokens_free(g->tokens);
	api_keys_free(g->keys);
	scopes_unref(g->anonymous);
	event_free(g->retry);
	free(g);
}
