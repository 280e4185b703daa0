#include "worker/openapi/auth.h"

#include <stdlib.h>

#include "common/xalloc.h"

#define HEADER_MAX 32768

struct entry {
	const struct overlay_auth *config;
	struct secret *secret;
	struct oauth *oauth; /* AUTH_CLIENT_CREDENTIALS */
};

struct auth {
	struct entry *entries;
	size_t n;
};

static struct secret *
open_secret(const struct overlay *overlay, const struct overlay_auth *config,
    struct strbuf *error)
{
	struct strbuf reason = STRBUF_INIT(512);
	struct secret *s = secret_open(config->secret_file, &reason);

	if (s == NULL)
		strbuf_addf(error, "%s:%u: secret_file: %s", overlay->path,
		    config->line, strbuf_str(&reason));
	strbuf_release(&reason);
	return s;
}

struct auth *
auth_new(const struct overlay *overlay, struct upstream *upstream,
    struct strbuf *error)
{
	struct auth *a = xcalloc(1, sizeof(*a));

	a->entries = xcalloc(overlay->auth.n + 1, sizeof(*a->entries));
	for (; a->n < overlay->auth.n; a->n++) {
		struct entry *e = &a->entries[a->n];

		e->config = &overlay->auth.p[a->n];
		if (e->config->secret_file != NULL)
			e->secret = open_secret(overlay, e->config, error);
		if (e->secret == NULL && e->config->type != AUTH_FORWARD) {
			auth_free(a);
			return NULL;
		}
		if (e->config->type == AUTH_CLIENT_CREDENTIALS)
			e->oauth = oauth_new(e->config, e->secret, upstream);
	}
	return a;
}

void
auth_free(struct auth *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->n; i++) {
		oauth_free(a->entries[i].oauth);
		secret_free(a->entries[i].secret);
	}
	free(a->entries);
	free(a);
}

struct oauth *
auth_lacks(const struct auth *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct oauth *o = a->entries[i].oauth;

		if (o != NULL && oauth_token(o) == NULL)
			return o;
	}
	return NULL;
}

static bool
add_header(
    struct request *r, const char *name, const char *prefix, const char *secret)
{
	struct strbuf text = STRBUF_INIT(HEADER_MAX);
	bool ok;

	strbuf_addf(&text, "%s%s", prefix ? prefix : "", secret);
	ok = strbuf_ok(&text) &&
	     request_add_header(r, name, strbuf_slice(&text));
	strbuf_release(&text);
	return ok;
}

static bool
add_basic(struct request *r, const struct entry *e)
{
	struct strbuf user = STRBUF_INIT(HEADER_MAX);
	bool ok;

	if (e->config->user != NULL)
		strbuf_addf(&user, "%s:", e->config->user);
	strbuf_add_str(&user, secret_get(e->secret));
	ok = strbuf_ok(&user) && request_add_basic(r, strbuf_slice(&user));
	strbuf_release(&user);
	return ok;
}

/* A client that does not send it is not sent away here. */
static bool
add_forwarded(struct request *r, const struct call *call, const char *name)
{
	struct slice value = call_header(call, name);

	return value.p == NULL || request_add_header(r, name, value);
}

static bool
add(struct request *r, const struct call *call, const struct entry *e)
{
	const struct overlay_auth *c = e->config;
	const char *token;

	switch (c->type) {
	case AUTH_HEADER:
		return add_header(r, c->name, c->prefix, secret_get(e->secret));
	case AUTH_QUERY:
		request_add_query(r, c->name, secret_get(e->secret));
		break;
	case AUTH_BASIC:
		return add_basic(r, e);
	case AUTH_CLIENT_CREDENTIALS:
		token = oauth_token(e->oauth);
		return token != NULL &&
		       add_header(r, "Authorization", "Bearer ", token);
	case AUTH_FORWARD:
		return add_forwarded(r, call, c->name);
	}
	return true;
}

bool
auth_add(const struct auth *a, const struct call *call, struct request *r)
{
	for (size_t i = 0; i < a->n; i++) {
		if (!add(r, call, &a->entries[i]))
			return false;
	}
	return true;
}

const char *
auth_token(const struct auth *a)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->entries[i].oauth != NULL)
			return oauth_token(a->entries[i].oauth);
	}
	return NULL;
}

bool
auth_refused(struct auth *a, const char *token)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->entries[i].oauth != NULL)
			oauth_refused(a->entries[i].oauth, token);
	}
	return token != NULL && auth_token(a) == NULL;
}
