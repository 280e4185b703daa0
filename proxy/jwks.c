#include "proxy/jwks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "proxy/fetch.h"

struct jwks {
	const char *source;
	void (*on_read)(void *arg);
	void *arg;
	struct fetch *fetch;       /* NULL: a file */
	struct jwt_keys *keys;
	uint64_t asked_ms;         /* when reading last began; 0: never */
	uint64_t missed_ms;        /* when a key that was not there had it read */
};

static bool
is_url(const char *source)
{
	return strncmp(source, "https://", 8) == 0 ||
	    strncmp(source, "http://", 7) == 0;
}

static void
take(struct jwks *j, struct slice json, const char *error)
{
	struct jwt_keys *keys = jwt_keys_new();

	if (error == NULL && jwt_keys_add_jwks(keys, json, &error)) {
		jwt_keys_free(j->keys);
		j->keys = keys;
		log_info("JWK set read", LF("source", j->source),
		    LF_N("keys", jwt_keys_count(keys)));
	} else {
		jwt_keys_free(keys);
		log_warn("JWK set not read", LF("source", j->source),
		    LF("error", error));
	}
	j->on_read(j->arg);
}

static void
on_fetched(struct slice body, const char *error, void *arg)
{
	take(arg, body, error);
}

static void
read_file(struct jwks *j)
{
	struct strbuf text = STRBUF_INIT(FETCH_MAX);
	FILE *file = fopen(j->source, "re");
	const char *error = file == NULL ? strerror(errno) : NULL;
	char part[4096];
	size_t n;

	while (file != NULL && (n = fread(part, 1, sizeof(part), file)) > 0)
		strbuf_add(&text, part, n);
	if (file != NULL)
		fclose(file);
	if (!strbuf_ok(&text))
		error = "is too large";
	take(j, strbuf_slice(&text), error);
	strbuf_release(&text);
}

static void
read_again(struct jwks *j)
{
	j->asked_ms = clock_mono_ms();
	if (j->fetch != NULL)
		fetch_start(j->fetch);
	else
		read_file(j);
}

void
jwks_tick(struct jwks *j)
{
	uint64_t age = clock_mono_ms() - j->asked_ms;
	unsigned wait = j->keys != NULL ? JWKS_FRESH_MS : JWKS_RETRY_MS;

	if (j->asked_ms == 0 || age >= wait)
		read_again(j);
}

/*
 * The reading of a file is over when it returns, and the caller still looks at
 * the old keys: so it is left to the next tick, which is what asked_ms 0 says.
 */
bool
jwks_miss(struct jwks *j)
{
	uint64_t now = clock_mono_ms();

	if (j->asked_ms == 0 || j->keys == NULL ||
	    (j->fetch != NULL && fetch_is_busy(j->fetch)))
		return true;
	if (j->missed_ms != 0 && now - j->missed_ms < JWKS_AGAIN_MS)
		return false;
	j->missed_ms = now;
	j->asked_ms = 0;
	return true;
}

const struct jwt_keys *
jwks_keys(const struct jwks *j)
{
	return j->keys;
}

struct jwks *
jwks_new(struct event_base *base, const char *source, const char *ca_file,
    void (*on_read)(void *arg), void *arg)
{
	struct jwks *j = xcalloc(1, sizeof(*j));

	j->source = source;
	j->on_read = on_read;
	j->arg = arg;
	if (is_url(source))
		j->fetch = fetch_new(base, source, ca_file, on_fetched, j);
	return j;
}

void
jwks_free(struct jwks *j)
{
	if (j == NULL)
		return;
	fetch_free(j->fetch);
	jwt_keys_free(j->keys);
	free(j);
}
