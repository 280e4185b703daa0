#include "worker/openapi/oauth.h"

#include <stdlib.h>
#include <sys/queue.h>

#include <cjson/cJSON.h>
#include <openssl/crypto.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/openapi/request.h"
#include "worker/openapi/style.h"

/* What a token is good for when the server does not say (RFC 6749, 5.1). */
#define LIFETIME_S 300
#define LIFETIME_MAX_S 86400
/* A call that begins with it must not end without. */
#define MARGIN_S 30
/* Whatever the server says: a token that was never good would be asked for again. */
#define LIFETIME_MIN_S 5
#define TOKEN_MAX 16384
#define BODY_MAX 32768

struct oauth_wait {
	LIST_ENTRY(oauth_wait) link;
	void (*done)(const char *error, void *arg);
	void *arg;
};

struct oauth {
	const struct overlay_auth *config;
	struct secret *secret;
	struct upstream *upstream;
	struct upstream_transfer *transfer; /* NULL: nothing is asked */
	char *token;
	uint64_t good_until_ms; /* monotonic */
	LIST_HEAD(, oauth_wait) waiting;
};

static void
set_token(struct oauth *o, char *take_token)
{
	if (o->token != NULL)
		OPENSSL_cleanse(o->token, strlen(o->token));
	free(o->token);
	o->token = take_token;
}

/* The answer ------------------------------------------------------------- */

/* RFC 6750, section 2.1, and one that fits a header. */
static bool
token_ok(const char *token)
{
	size_t n = token ? strlen(token) : 0;

	for (size_t i = 0; i < n; i++) {
		if (token[i] <= ' ' || token[i] == 0x7f)
			return false;
	}
	return n > 0 && n <= TOKEN_MAX;
}

static uint64_t
lifetime_s(const cJSON *root)
{
	const cJSON *item =
	    cJSON_GetObjectItemCaseSensitive(root, "expires_in");
	double s = cJSON_IsNumber(item) ? item->valuedouble : LIFETIME_S;

	if (!(s > LIFETIME_MIN_S))
		return LIFETIME_MIN_S;
	if (s > LIFETIME_MAX_S)
		s = LIFETIME_MAX_S;
	return s > 2 * MARGIN_S ? (uint64_t)s - MARGIN_S : (uint64_t)s / 2 + 1;
}

static bool
take_token(struct oauth *o, struct slice body)
{
	cJSON *root = cJSON_ParseWithLength(body.n > 0 ? body.p : "", body.n);
	const char *token = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(root, "access_token"));
	bool ok = token_ok(token);

	if (ok) {
		set_token(o, xstrdup(token));
		o->good_until_ms = clock_mono_ms() + lifetime_s(root) * 1000;
	}
	cJSON_Delete(root);
	return ok;
}

static void
tell_all(struct oauth *o, const char *error)
{
	struct oauth_wait *w;

	while ((w = LIST_FIRST(&o->waiting)) != NULL) {
		LIST_REMOVE(w, link);
		w->done(error, w->arg);
		free(w);
	}
}

static void
on_response(const struct upstream_response *response, void *arg)
{
	struct oauth *o = arg;
	struct strbuf error = STRBUF_INIT(512);

	o->transfer = NULL;
	if (response->status == 0)
		strbuf_addf(&error, "the token server was not reached: %s",
		    response->error);
	else if (response->status != 200)
		strbuf_addf(&error,
		    "the token server refused the client's credentials (HTTP "
		    "%d): the operator must check them",
		    response->status);
	else if (!take_token(o, response->body))
		strbuf_add_str(&error, "the token server sent no token");
	if (error.n > 0)
		log_warn("no access token", LF("reason", strbuf_str(&error)));
	tell_all(o, error.n > 0 ? strbuf_str(&error) : NULL);
	strbuf_release(&error);
}

/* The question ----------------------------------------------------------- */

static void
add_pair(struct strbuf *body, const char *name, const char *value)
{
	strbuf_addf(body, "&%s=", name);
	style_encode(body, slice_str(value));
}

static void
make_body(const struct oauth *o, struct strbuf *body)
{
	const struct overlay_auth *c = o->config;

	strbuf_add_str(body, "grant_type=client_credentials");
	for (size_t i = 0; c->scopes != NULL && c->scopes[i] != NULL; i++) {
		strbuf_add_str(body, i == 0 ? "&scope=" : "%20");
		style_encode(body, slice_str(c->scopes[i]));
	}
	if (c->in_body) {
		add_pair(body, "client_id", c->client_id);
		add_pair(body, "client_secret", secret_get(o->secret));
	}
}

static void
send_question(struct oauth *o)
{
	struct strbuf body = STRBUF_INIT(BODY_MAX);
	struct strbuf user = STRBUF_INIT(BODY_MAX);
	struct strbuf basic = STRBUF_INIT(BODY_MAX);
	const char *headers[] = { "Accept: application/json",
		"Content-Type: application/x-www-form-urlencoded", NULL, NULL };

	make_body(o, &body);
	if (!o->config->in_body) {
		/* Both form-encoded before (RFC 6749, section 2.3.1). */
		style_encode(&user, slice_str(o->config->client_id));
		strbuf_add_char(&user, ':');
		style_encode(&user, slice_str(secret_get(o->secret)));
		request_basic(&basic, strbuf_slice(&user));
		headers[2] = strbuf_str(&basic);
	}
	o->transfer =
	    upstream_send(o->upstream, &(struct upstream_request){
					   .method = "POST",
					   .url = o->config->token_url,
					   .headers = headers,
					   .body = strbuf_slice(&body),
					   .idempotent = true,
					   .done = on_response,
					   .arg = o,
				       });
	strbuf_release(&body);
	strbuf_release(&user);
	strbuf_release(&basic);
}

struct oauth_wait *
oauth_ask(
    struct oauth *o, void (*done)(const char *error, void *arg), void *arg)
{
	struct oauth_wait *w = xcalloc(1, sizeof(*w));

	w->done = done;
	w->arg = arg;
	LIST_INSERT_HEAD(&o->waiting, w, link);
	if (o->transfer == NULL)
		send_question(o);
	return w;
}

void
oauth_cancel(struct oauth_wait *w)
{
	LIST_REMOVE(w, link);
	free(w);
}

/* The object ------------------------------------------------------------- */

const char *
oauth_token(const struct oauth *o)
{
	return clock_mono_ms() < o->good_until_ms ? o->token : NULL;
}

void
oauth_refused(struct oauth *o, const char *token)
{
	if (o->token != NULL && strcmp(o->token, token) == 0)
		set_token(o, NULL);
}

struct oauth *
oauth_new(const struct overlay_auth *config, struct secret *secret,
    struct upstream *upstream)
{
	struct oauth *o = xcalloc(1, sizeof(*o));

	o->config = config;
	o->secret = secret;
	o->upstream = upstream;
	LIST_INIT(&o->waiting);
	return o;
}

void
oauth_free(struct oauth *o)
{
	if (o == NULL)
		return;
	if (o->transfer != NULL)
		upstream_cancel(o->transfer);
	set_token(o, NULL);
	free(o);
}
