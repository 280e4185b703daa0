#include "proxy/tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/jwks.h"

#define PEM_MAX 65536

struct verdict {
	UT_hash_handle hh;            /* of tokens->table, by digest */
	TAILQ_ENTRY(verdict) link;    /* of tokens->by_age, oldest first */
	uint64_t until_ms;            /* wall clock */
	struct user user;
	struct scopes *scopes;
	unsigned char digest[SHA256_LEN];
};

struct tokens {
	struct token_options options;
	struct jwt_keys *fixed;       /* of the configuration */
	struct jwks *jwks;            /* NULL: not configured */
	struct verdict *table;
	TAILQ_HEAD(, verdict) by_age;
	unsigned count;
};

/* What is remembered -------------------------------------------------------- */

static void
drop(struct tokens *t, struct verdict *v)
{
	HASH_DEL(t->table, v);
	TAILQ_REMOVE(&t->by_age, v, link);
	t->count--;
	scopes_unref(v->scopes);
	free(v);
}

void
tokens_forget(struct tokens *t)
{
	struct verdict *v, *next;

	HASH_CLEAR(hh, t->table);
	for (v = TAILQ_FIRST(&t->by_age); v != NULL; v = next) {
		next = TAILQ_NEXT(v, link);
		scopes_unref(v->scopes);
		free(v);
	}
	TAILQ_INIT(&t->by_age);
	t->count = 0;
}

static struct verdict *
find(struct tokens *t, const unsigned char *digest, uint64_t now_ms)
{
	struct verdict *v = NULL;

	HASH_FIND(hh, t->table, digest, SHA256_LEN, v);
	if (v == NULL || v->until_ms > now_ms)
		return v;
	drop(t, v);
	return NULL;
}

static struct verdict *
remember(struct tokens *t, const unsigned char *digest, uint64_t now_ms,
    const struct jwt_claims *claims)
{
	struct slice fields[] = { strbuf_slice(&claims->issuer),
		strbuf_slice(&claims->subject) };
	uint64_t expires_ms = claims->expires_s * 1000;
	struct verdict *oldest = TAILQ_FIRST(&t->by_age);
	struct verdict *v = xcalloc(1, sizeof(*v));

	/* One goes for one that comes: nobody has to sweep. */
	if (oldest != NULL && (t->count >= TOKENS_REMEMBERED_MAX ||
	    oldest->until_ms <= now_ms))
		drop(t, oldest);
	v->until_ms = now_ms + TOKENS_REMEMBERED_MS;
	if (expires_ms < v->until_ms)
		v->until_ms = expires_ms;
	principals_user(t->options.principals, PRINCIPAL_JWT, fields,
	    ARRAY_LEN(fields), &v->user);
	v->scopes = scopes_new(strbuf_slice(&claims->scopes));
	memcpy(v->digest, digest, SHA256_LEN);
	HASH_ADD(hh, t->table, digest, SHA256_LEN, v);
	TAILQ_INSERT_TAIL(&t->by_age, v, link);
	t->count++;
	return v;
}

/* Verifying ----------------------------------------------------------------- */

static enum identity_result
refuse(struct tokens *t, enum jwt_result result, struct identity *out)
{
	out->reason = jwt_result_name(result);
	if (result == JWT_UNKNOWN_KEY && t->jwks != NULL && jwks_miss(t->jwks))
		return IDENTITY_WAIT;
	return IDENTITY_REFUSED;
}

static enum identity_result
verify(struct tokens *t, struct slice token, const unsigned char *digest,
    uint64_t now_ms, struct identity *out)
{
	const struct jwt_keys *sets[] = { t->fixed,
		t->jwks != NULL ? jwks_keys(t->jwks) : NULL };
	struct jwt_claims claims;
	enum jwt_result result;

	jwt_claims_init(&claims);
	result = jwt_verify(token, sets, ARRAY_LEN(sets), &t->options.rules,
	    now_ms / 1000, &claims);
	if (result == JWT_GOOD) {
		struct verdict *v = remember(t, digest, now_ms, &claims);

		out->user = v->user;
		out->scopes = v->scopes;
	}
	jwt_claims_release(&claims);
	return result == JWT_GOOD ? IDENTITY_KNOWN : refuse(t, result, out);
}

enum identity_result
tokens_check(struct tokens *t, struct slice token, struct identity *out)
{
	uint64_t now_ms = clock_wall_ms();
	unsigned char digest[SHA256_LEN];
	struct verdict *v;

	if (token.n == 0 || token.n > JWT_MAX) {
		out->reason = jwt_result_name(JWT_BAD_FORM);
		return IDENTITY_REFUSED;
	}
	ident_sha256(digest, token);
	v = find(t, digest, now_ms);
	if (v == NULL)
		return verify(t, token, digest, now_ms, out);
	out->user = v->user;
	out->scopes = v->scopes;
	return IDENTITY_KNOWN;
}

/* Keys ---------------------------------------------------------------------- */

static void
on_jwks(void *arg)
{
	struct tokens *t = arg;

	tokens_forget(t);
	t->options.on_keys(t->options.arg);
}

void
tokens_tick(struct tokens *t)
{
	if (t->jwks != NULL)
		jwks_tick(t->jwks);
}

char *
tokens_read_pem(const char *text_or_path, const char **reason)
{
	struct strbuf text = STRBUF_INIT(PEM_MAX);
	char part[4096], *pem = NULL;
	FILE *file;
	size_t n;

	if (strstr(text_or_path, "-----BEGIN") != NULL)
		return xstrdup(text_or_path);
	file = fopen(text_or_path, "re");
	if (file == NULL) {
		*reason = strerror(errno);
		return NULL;
	}
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		strbuf_add(&text, part, n);
	fclose(file);
	if (strbuf_ok(&text))
		pem = xstrdup(strbuf_str(&text));
	else
		*reason = "is too large";
	strbuf_release(&text);
	return pem;
}

static void
add_fixed_keys(struct tokens *t)
{
	const struct token_options *o = &t->options;
	const char *reason = "";
	bool ok = true;

	t->fixed = jwt_keys_new();
	if (o->secret_key != NULL)
		ok = jwt_keys_add_secret(t->fixed, slice_str(o->secret_key),
		    &reason);
	if (o->public_key != NULL) {
		char *pem = tokens_read_pem(o->public_key, &reason);

		ok &= pem != NULL && jwt_keys_add_pem(t->fixed, slice_str(pem),
		    &reason);
		free(pem);
	}
	if (!ok)
		log_error("a key for tokens is wrong", LF("reason", reason));
}

struct tokens *
tokens_new(const struct token_options *options)
{
	struct tokens *t = xcalloc(1, sizeof(*t));

	t->options = *options;
	TAILQ_INIT(&t->by_age);
	add_fixed_keys(t);
	if (options->jwks != NULL)
		t->jwks = jwks_new(options->base, options->jwks,
		    options->jwks_ca, on_jwks, t);
	return t;
}

void
tokens_free(struct tokens *t)
{
	tokens_forget(t);
	jwks_free(t->jwks);
	jwt_keys_free(t->fixed);
	free(t);
}
