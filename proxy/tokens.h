/*
 * Whose token is it: JSON Web Tokens of requests, verified once and remembered
 * by their SHA-256 for at most a minute.
 *
 * Only good tokens are remembered, so that nobody without one can fill the
 * cache. It is forgotten whole when keys or the secret of user hashes change.
 */
#ifndef MCP_TOKENS_H
#define MCP_TOKENS_H

#include <event2/event.h>

#include "proxy/jwt.h"
#include "proxy/principal.h"
#include "proxy/scopes.h"

#define TOKENS_REMEMBERED_MAX 8192
#define TOKENS_REMEMBERED_MS 60000

struct tokens;

struct token_options {
	struct event_base *base;          /* these are borrowed */
	const struct principals *principals;
	const char *secret_key;           /* HS256; NULL: none */
	const char *public_key;           /* PEM text or its file; NULL: none */
	const char *jwks;                 /* file or URL; NULL: none */
	const char *jwks_ca;              /* see fetch_new(); NULL: none */
	struct jwt_rules rules;
	void (*on_keys)(void *arg);       /* look again at who waits */
	void *arg;
};

enum identity_result {
	IDENTITY_KNOWN,
	IDENTITY_REFUSED,
	IDENTITY_WAIT      /* for keys, or for Redis: ask again later */
};

/* Whom a credential stands for. */
struct identity {
	struct user user;
	struct scopes *scopes;    /* borrowed until the next turn of the loop */
	const char *reason;       /* of a refusal, for logs */
};

/* A text or the file that it names; NULL with a reason. The caller frees it. */
char *tokens_read_pem(const char *text_or_path, const char **reason) MUST_CHECK;
/* The keys must have been checked: see proxy_options_check(). */
struct tokens *tokens_new(const struct token_options *options) MUST_CHECK;
void tokens_free(struct tokens *t);
void tokens_tick(struct tokens *t);
/* The secret of user hashes has changed. */
void tokens_forget(struct tokens *t);

enum identity_result tokens_check(struct tokens *t, struct slice token,
    struct identity *out);

#endif
