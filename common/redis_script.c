#include "common/redis.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

#define SHA1_HEX 40

/* Digests --------------------------------------------------------------- */

/*
 * One entry per script of the process, never removed. Threads that race for the
 * same script add it twice, which costs a hundred bytes and nothing else.
 */
struct digest {
	const struct redis_script *script;
	struct digest *next;
	char hex[SHA1_HEX];
};

static _Atomic(struct digest *) digests;

static struct digest *
digest_new(const struct redis_script *script)
{
	static const char hex[] = "0123456789abcdef";
	struct digest *d = xcalloc(1, sizeof(*d));
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	d->script = script;
	if (EVP_Digest(script->body, strlen(script->body), md, &n, EVP_sha1(),
	    NULL) != 1 || 2 * n != SHA1_HEX) {
		log_error("SHA-1 is missing from OpenSSL",
		    LF("script", script->name));
		abort();
	}
	for (unsigned i = 0; i < n; i++) {
		d->hex[2 * i] = hex[md[i] >> 4];
		d->hex[2 * i + 1] = hex[md[i] & 15];
	}
	return d;
}

static struct slice
script_digest(const struct redis_script *script)
{
	struct digest *first = atomic_load(&digests);
	struct digest *d;

	for (d = first; d != NULL; d = d->next) {
		if (d->script == script)
			return slice_of(d->hex, SHA1_HEX);
	}
	d = digest_new(script);
	d->next = first;
	while (!atomic_compare_exchange_weak(&digests, &d->next, d))
		continue;
	return slice_of(d->hex, SHA1_HEX);
}

/* Calls ----------------------------------------------------------------- */

/*
 * An EVALSHA on its way. It keeps its arguments, bytes included, until the
 * server has shown that it knows the script: argv[0] and argv[1] become EVAL
 * and the body if it does not.
 */
struct eval {
	const struct redis_script *script;
	redis_cb *cb;
	void *arg;
	size_t argc;
	struct slice argv[];
};

/* EVALSHA, digest, number of keys. */
#define EVAL_WORDS 3

static struct eval *
eval_new(const struct redis_script *script, const struct slice *args,
    size_t argc, size_t key_count)
{
	size_t words = EVAL_WORDS + argc;
	size_t bytes = 20;
	struct eval *e;
	char *p;

	for (size_t i = 0; i < argc; i++)
		bytes += args[i].n;
	e = xmalloc(sizeof(*e) + words * sizeof(e->argv[0]) + bytes);
	e->script = script;
	e->argc = words;
	p = (char *)&e->argv[words];
	e->argv[0] = SLICE("EVALSHA");
	e->argv[1] = script_digest(script);
	e->argv[2] = u64_slice(p, key_count);
	p += e->argv[2].n;
	for (size_t i = 0; i < argc; i++) {
		if (args[i].n > 0)
			memcpy(p, args[i].p, args[i].n);
		e->argv[EVAL_WORDS + i] = slice_of(p, args[i].n);
		p += args[i].n;
	}
	return e;
}

/* Without a callback the module's own logging of errors applies. */
static void
on_eval(struct redis *r, const redisReply *reply, void *arg)
{
	struct eval *e = arg;

	if (redis_is_error(reply, "NOSCRIPT")) {
		log_debug("redis script sent again", LF("script", e->script->name));
		e->argv[0] = SLICE("EVAL");
		e->argv[1] = slice_str(e->script->body);
		if (redis_send(r, e->argv, e->argc, e->cb, e->arg)) {
			free(e);
			return;
		}
	}
	if (e->cb != NULL)
		e->cb(r, reply, e->arg);
	else if (redis_is_error(reply, "") && !redis_is_put_off(reply))
		log_warn("redis script failed", LF("script", e->script->name),
		    LF_S("error", slice_of(reply->str, reply->len)));
	free(e);
}

bool
redis_eval(struct redis *r, const struct redis_script *script,
    const struct slice *args, size_t argc, size_t key_count, redis_cb *cb,
    void *arg)
{
	struct eval *e = eval_new(script, args, argc, key_count);

	e->cb = cb;
	e->arg = arg;
	if (redis_send(r, e->argv, e->argc, on_eval, e))
		return true;
	free(e);
	return false;
}
