#include "proxy/principal.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

/*
 * Callers seen lately: a table with one place per hash value, where the latest
 * wins. About 400 KiB when full.
 */
#define CALLERS 1024
#define CALLER_AGENT_MAX 240
/* Names of users: issuer and subject come from a token of at most 8 KiB. */
#define NAMES_MAX (64 * 1024)
#define SECRET_MAX 256

struct known_caller {
	struct in6_addr address;
	struct user user;
	uint16_t agent_len;
	bool taken;
	char agent[CALLER_AGENT_MAX];
};

struct principals {
	struct redis *commands;
	void (*on_known)(void *arg);
	void *arg;
	bool configured;
	size_t secret_len;                /* 0: not known yet */
	char secret[SECRET_MAX];
	struct known_caller *callers;
};

static const char *const kind_names[] = {
	[PRINCIPAL_ANONYMOUS] = "anonymous",
	[PRINCIPAL_API_KEY] = "key",
	[PRINCIPAL_JWT] = "jwt",
};

const char *
principal_kind_name(enum principal_kind kind)
{
	return kind_names[kind];
}

/* The secret ---------------------------------------------------------------- */

bool
principals_are_known(const struct principals *all)
{
	return all->secret_len > 0;
}

static void
set_secret(struct principals *all, struct slice secret)
{
	if (secret.n == 0 || secret.n > SECRET_MAX ||
	    slice_eq(secret, slice_of(all->secret, all->secret_len)))
		return;
	if (all->secret_len > 0)
		log_warn("another secret of user hashes stands in Redis: "
			 "users are not recognised by their sessions any more");
	memcpy(all->secret, secret.p, secret.n);
	all->secret_len = secret.n;
	memset(all->callers, 0, CALLERS * sizeof(*all->callers));
	if (all->on_known != NULL)
		all->on_known(all->arg);
}

/* What SET … NX GET found, or nil: then it is what we offered. */
static void
on_secret(struct redis *r, const redisReply *reply, void *arg)
{
	struct principals *all = arg;

	(void)r;
	if (reply == NULL)
		return;
	if (reply->type == REDIS_REPLY_STRING)
		set_secret(all, redis_slice(reply));
	else if (reply->type == REDIS_REPLY_ERROR)
		log_error("no secret for user hashes: set USER_HASH_SECRET, or "
			  "let proxies write " ENV_USER_SECRET_KEY,
		    LF("error", reply->str));
}

/*
 * Offers a secret (after Redis lost its data: the one in use, so that users
 * stay the same) and reads back what stands. A command of its own, because the
 * answer to SET … NX GET does not tell an error in storing from success.
 */
void
principals_on_ready(struct principals *all)
{
	char fresh[2 * IDENT_HEX_LEN + 1];
	struct slice offer = slice_of(all->secret, all->secret_len);
	struct slice set[] = { SLICE("SET"), SLICE(ENV_USER_SECRET_KEY),
		SLICE_NONE, SLICE("NX") };
	struct slice get[] = { SLICE("GET"), SLICE(ENV_USER_SECRET_KEY) };

	if (all->configured)
		return;
	if (offer.n == 0) {
		ident_hex(fresh);
		ident_hex(fresh + IDENT_HEX_LEN);
		offer = slice_of(fresh, 2 * IDENT_HEX_LEN);
	}
	set[2] = offer;
	if (redis_send(all->commands, set, ARRAY_LEN(set), NULL, NULL))
		(void)!redis_send(all->commands, get, ARRAY_LEN(get), on_secret,
		    all);
	OPENSSL_cleanse(fresh, sizeof(fresh));
}

/* Users --------------------------------------------------------------------- */

static void
add_field(struct strbuf *to, struct slice field)
{
	strbuf_add_u64(to, field.n);
	strbuf_add_char(to, ':');
	strbuf_add_slice(to, field);
}

void
principals_user(const struct principals *all, enum principal_kind kind,
    const struct slice *fields, size_t count, struct user *out)
{
	struct strbuf names = STRBUF_INIT(NAMES_MAX);

	add_field(&names, slice_str(kind_names[kind]));
	for (size_t i = 0; i < count; i++)
		add_field(&names, fields[i]);
	/* A cut name would be somebody else's: callers keep to the limit. */
	if (!strbuf_ok(&names))
		abort();
	ident_hmac_sha256(out->bytes, slice_of(all->secret, all->secret_len),
	    strbuf_slice(&names));
	hex_encode(out->hash, out->bytes, SHA256_LEN);
	strbuf_release(&names);
}

static void
work_out(const struct principals *all, const struct caller *caller,
    struct user *out)
{
	struct slice fields[] = {
		slice_of((const char *)&caller->address,
		    sizeof(caller->address)),
		caller->user_agent,
	};

	principals_user(all, PRINCIPAL_ANONYMOUS, fields, ARRAY_LEN(fields),
	    out);
}

/* FNV-1a over eight bytes at a time; collisions only cost a new HMAC. */
static uint64_t
mix(uint64_t h, const char *p, size_t n)
{
	uint64_t word;

	for (; n > 0; p += word, n -= word) {
		uint64_t bytes = 0;

		word = n < 8 ? n : 8;
		memcpy(&bytes, p, word);
		h = (h ^ bytes) * 0x100000001b3u;
		h ^= h >> 29;
	}
	return h;
}

static struct known_caller *
place_of(struct principals *all, const struct caller *caller)
{
	uint64_t h = mix(0xcbf29ce484222325u, (const char *)&caller->address,
	    sizeof(caller->address));

	h = mix(h, caller->user_agent.p, caller->user_agent.n);
	return &all->callers[h % CALLERS];
}

static bool
is_caller(const struct known_caller *k, const struct caller *caller)
{
	return k->taken && slice_eq(slice_of(k->agent, k->agent_len),
			       caller->user_agent) &&
	    memcmp(&k->address, &caller->address, sizeof(k->address)) == 0;
}

static const struct user *
user_of(struct principals *all, const struct caller *caller,
    struct user *scratch)
{
	struct known_caller *k = place_of(all, caller);

	if (caller->user_agent.n > CALLER_AGENT_MAX) {
		work_out(all, caller, scratch);
		return scratch;
	}
	if (!is_caller(k, caller)) {
		work_out(all, caller, &k->user);
		k->address = caller->address;
		k->agent_len = (uint16_t)caller->user_agent.n;
		if (k->agent_len > 0)
			memcpy(k->agent, caller->user_agent.p, k->agent_len);
		k->taken = true;
	}
	return &k->user;
}

void
principals_anonymous(struct principals *all, const struct caller *caller,
    struct principal *out)
{
	struct user scratch;
	const struct user *user = user_of(all, caller, &scratch);

	out->kind = PRINCIPAL_ANONYMOUS;
	out->user = *user;
	memcpy(out->fingerprint, user->hash, FINGERPRINT_LEN);
	out->fingerprint[FINGERPRINT_LEN] = '\0';
}

/* All of them --------------------------------------------------------------- */

struct principals *
principals_new(struct redis *commands, const char *secret,
    void (*on_known)(void *arg), void *arg)
{
	struct principals *all = xcalloc(1, sizeof(*all));

	all->commands = commands;
	all->callers = xcalloc(CALLERS, sizeof(*all->callers));
	all->configured = secret != NULL;
	if (secret != NULL)
		set_secret(all, slice_str(secret));
	all->on_known = on_known;
	all->arg = arg;
	return all;
}

void
principals_free(struct principals *all)
{
	OPENSSL_cleanse(all->secret, sizeof(all->secret));
	free(all->callers);
	free(all);
}
