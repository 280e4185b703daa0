#include "proxy/api_keys.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#include "common/api_key.h"
#include "common/clock.h"
#include "common/xalloc.h"

struct known {
	UT_hash_handle hh;            /* of api_keys->table, by id */
	TAILQ_ENTRY(known) link;      /* of api_keys->all, oldest first */
	uint64_t asked_ms;            /* when the last question was answered */
	bool answered;
	bool asking;
	bool exists;
	struct user user;
	struct scopes *scopes;        /* NULL unless it exists */
	unsigned char digest[SHA256_LEN];
	char id[API_KEY_ID_LEN];
};

struct api_keys {
	struct key_store *store;
	const struct principals *principals;
	void (*on_answer)(void *arg);
	void *arg;
	struct known *table;
	TAILQ_HEAD(, known) all;
	unsigned count;
	unsigned outage_ms;
	bool away;                    /* the store's last answer was none */
};

/* Entries -------------------------------------------------------------------- */

static struct known *
find(struct api_keys *k, const char *id)
{
	struct known *known = NULL;

	HASH_FIND(hh, k->table, id, API_KEY_ID_LEN, known);
	return known;
}

static void
drop(struct api_keys *k, struct known *known)
{
	HASH_DEL(k->table, known);
	TAILQ_REMOVE(&k->all, known, link);
	k->count--;
	scopes_unref(known->scopes);
	free(known);
}

static struct known *
add(struct api_keys *k, const char *id)
{
	struct known *known = xcalloc(1, sizeof(*known));

	if (k->count >= API_KEYS_REMEMBERED_MAX)
		drop(k, TAILQ_FIRST(&k->all));
	memcpy(known->id, id, API_KEY_ID_LEN);
	HASH_ADD(hh, k->table, id, API_KEY_ID_LEN, known);
	TAILQ_INSERT_TAIL(&k->all, known, link);
	k->count++;
	return known;
}

void
api_keys_forget(struct api_keys *k)
{
	struct known *known, *next;

	HASH_CLEAR(hh, k->table);
	for (known = TAILQ_FIRST(&k->all); known != NULL; known = next) {
		next = TAILQ_NEXT(known, link);
		scopes_unref(known->scopes);
		free(known);
	}
	TAILQ_INIT(&k->all);
	k->count = 0;
}

/* Asking the store ------------------------------------------------------------- */

static void
learn(struct api_keys *k, struct known *known, const struct key_record *record)
{
	struct slice id = slice_of(known->id, API_KEY_ID_LEN);

	known->answered = true;
	known->asked_ms = clock_mono_ms();
	known->exists = record != NULL &&
	    hex_decode(known->digest, SHA256_LEN, record->sha256);
	scopes_unref(known->scopes);
	known->scopes = NULL;
	if (!known->exists)
		return;
	known->scopes = scopes_new(record->scopes);
	principals_user(k->principals, PRINCIPAL_API_KEY, &id, 1, &known->user);
}

static void
on_looked_up(const char id[static API_KEY_ID_LEN], enum key_answer answer,
    const struct key_record *record, void *arg)
{
	struct api_keys *k = arg;
	struct known *known = find(k, id);

	k->away = answer == KEY_UNAVAILABLE;
	if (known != NULL) {
		known->asking = false;
		if (!k->away)
			learn(k, known, record);
	}
	k->on_answer(k->arg);
}

static void
ask(struct api_keys *k, struct known *known)
{
	if (known->asking)
		return;
	/* The answer may come before this returns. */
	known->asking = true;
	if (!k->store->ops->look_up(k->store, known->id))
		known->asking = false;
}

/* Checking -------------------------------------------------------------------- */

/* How long what is known may be believed. */
static bool
is_believed(const struct api_keys *k, const struct known *known, uint64_t age)
{
	uint64_t most = API_KEYS_UNKNOWN_MS;

	if (known->exists)
		most = k->away && k->outage_ms > API_KEYS_STALE_MS ?
		    k->outage_ms : API_KEYS_STALE_MS;
	return known->answered && age < most;
}

static enum identity_result
judge(const struct known *known, struct slice key, struct identity *out)
{
	unsigned char digest[SHA256_LEN];
	bool same;

	ident_sha256(digest, key);
	same = CRYPTO_memcmp(digest, known->digest, SHA256_LEN) == 0;
	if (!same || !known->exists) {
		out->reason = known->exists ? "wrong_secret" : "unknown_key";
		return IDENTITY_REFUSED;
	}
	out->user = known->user;
	out->scopes = known->scopes;
	return IDENTITY_KNOWN;
}

enum identity_result
api_keys_check(struct api_keys *k, struct slice key, struct identity *out)
{
	struct slice id = api_key_id(key);
	struct known *known;
	uint64_t age;

	if (id.p == NULL) {
		out->reason = "bad_form";
		return IDENTITY_REFUSED;
	}
	known = find(k, id.p);
	if (known == NULL)
		known = add(k, id.p);
	age = clock_mono_ms() - known->asked_ms;
	if (!known->answered || age >= API_KEYS_FRESH_MS ||
	    !is_believed(k, known, age))
		ask(k, known);
	return is_believed(k, known, age) ? judge(known, key, out) : IDENTITY_WAIT;
}

void
api_keys_tick(struct api_keys *k)
{
	if (k->store->ops->tick != NULL)
		k->store->ops->tick(k->store);
}

struct api_keys *
api_keys_new(struct key_store *take_store, const struct principals *principals,
    unsigned outage_ms, void (*on_answer)(void *arg), void *arg)
{
	struct api_keys *k = xcalloc(1, sizeof(*k));

	k->store = take_store;
	k->store->cb = on_looked_up;
	k->store->arg = k;
	k->principals = principals;
	k->outage_ms = outage_ms;
	k->on_answer = on_answer;
	k->arg = arg;
	TAILQ_INIT(&k->all);
	return k;
}

void
api_keys_free(struct api_keys *k)
{
	api_keys_forget(k);
	k->store->ops->free(k->store);
	free(k);
}
