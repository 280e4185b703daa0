#include "worker/openapi/exchange.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/xalloc.h"
#include "worker/openapi/response.h"

struct exchange {
	LIST_ENTRY(exchange) link;
	struct exchanges *home;
	struct call *call;
	const struct binding *binding;
	struct upstream_transfer *transfer; /* NULL: not sent */
	struct oauth_wait *wait;            /* NULL: no token is missing */
	const cJSON *args;                  /* the call's */
	char *token;                        /* that it was sent with */
	bool again;                         /* the second time */
};

struct exchanges {
	struct upstream *upstream;
	struct auth *auth;
	const struct overlay_headers *headers;
	LIST_HEAD(, exchange) all;
};

static void proceed(struct exchange *x);

static void
exchange_free(struct exchange *x)
{
	LIST_REMOVE(x, link);
	if (x->transfer != NULL)
		upstream_cancel(x->transfer);
	if (x->wait != NULL)
		oauth_cancel(x->wait);
	free(x->token);
	free(x);
}

static void
fail(struct exchange *x, const char *reason)
{
	call_error(x->call, "%s", reason);
	exchange_free(x);
}

/* The answer ------------------------------------------------------------- */

static void
on_response(const struct upstream_response *response, void *arg)
{
	struct exchange *x = arg;

	x->transfer = NULL;
	if (response->status == 401 && !x->again && x->token != NULL &&
	    auth_refused(x->home->auth, x->token)) {
		x->again = true;
		proceed(x);
		return;
	}
	response_answer(x->call, x->binding, response);
	exchange_free(x);
}

/* The request ------------------------------------------------------------ */

static unsigned
timeout_ms(const struct exchange *x)
{
	uint64_t left = call_left_ms(x->call);
	unsigned own = x->binding->timeout_ms;

	if (left >= UINT32_MAX)
		return own;
	return own != 0 && own < left ? own : (unsigned)left + 1;
}

static void
transmit(struct exchange *x, const struct request *r, const char *url)
{
	x->transfer = upstream_send(x->home->upstream,
	    &(struct upstream_request){
		.method = r->method,
		.url = url,
		.headers = (const char *const *)r->headers,
		.body = r->has_body ? slice_of(r->body.n > 0 ? r->body.p : "",
					  r->body.n)
				    : SLICE_NONE,
		.idempotent = x->binding->repeatable,
		.timeout_ms = timeout_ms(x),
		.done = on_response,
		.arg = x,
	    });
}

static bool
add_headers(const struct exchanges *e, struct request *r)
{
	for (size_t i = 0; i < e->headers->n; i++) {
		const struct overlay_header *h = &e->headers->p[i];

		if (!request_add_header(r, h->name, slice_str(h->value)))
			return false;
	}
	return true;
}

static bool
complete(struct exchange *x, struct request *r, struct strbuf *error)
{
	const char *key_header = x->binding->idempotency_header;
	const char *token = auth_token(x->home->auth);

	free(x->token);
	x->token = token ? xstrdup(token) : NULL;
	if (!add_headers(x->home, r) || !auth_add(x->home->auth, x->call, r) ||
	    (key_header != NULL && !request_add_header(r, key_header,
				       call_idempotency_key(x->call)))) {
		strbuf_add_str(error, "a secret that fits no request: the "
				      "operator must check it");
		return false;
	}
	request_finish(r);
	return true;
}

static void
send_request(struct exchange *x)
{
	struct strbuf error = STRBUF_INIT(1024), url = STRBUF_INIT(1);
	struct request r;
	bool ok = request_init(&r, &x->binding->op, x->binding->server, x->args,
		      &error) &&
		  complete(x, &r, &error);

	if (ok && !request_url(&r, &url)) {
		strbuf_add_str(&error, "the arguments make a URL that is too "
				       "long");
		ok = false;
	}
	if (ok)
		transmit(x, &r, strbuf_str(&url));
	request_release(&r);
	strbuf_release(&url);
	if (!ok)
		fail(x, strbuf_str(&error));
	strbuf_release(&error);
}

static void
on_token(const char *error, void *arg)
{
	struct exchange *x = arg;

	/* It is freed by who calls. */
	x->wait = NULL;
	if (error != NULL)
		fail(x, error);
	else
		proceed(x);
}

static void
proceed(struct exchange *x)
{
	struct oauth *lacks = auth_lacks(x->home->auth);

	if (lacks != NULL)
		x->wait = oauth_ask(lacks, on_token, x);
	else
		send_request(x);
}

/* Calls ------------------------------------------------------------------ */

static void
on_cancel(struct call *call UNUSED, void *arg)
{
	exchange_free(arg);
}

void
exchanges_run(struct exchanges *e, struct call *call, const cJSON *args)
{
	struct exchange *x = xcalloc(1, sizeof(*x));

	x->home = e;
	x->call = call;
	x->binding = call_tool(call)->data;
	x->args = args;
	LIST_INSERT_HEAD(&e->all, x, link);
	call_on_cancel(call, on_cancel, x);
	proceed(x);
}

struct exchanges *
exchanges_new(struct upstream *upstream, struct auth *auth,
    const struct overlay_headers *headers)
{
	struct exchanges *e = xcalloc(1, sizeof(*e));

	e->upstream = upstream;
	e->auth = auth;
	e->headers = headers;
	LIST_INIT(&e->all);
	return e;
}

void
exchanges_free(struct exchanges *e)
{
	struct exchange *x, *after;

	if (e == NULL)
		return;
	for (x = LIST_FIRST(&e->all); x != NULL; x = after) {
		after = LIST_NEXT(x, link);
		exchange_free(x);
	}
	free(e);
}
