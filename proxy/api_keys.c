#include "proxy/api_keys.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#include "common/api_key.h"
#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
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
	struct redis *commands;
	const struct principals *principals;
	void (*on_answer)(void *arg);
	void *arg;
	struct known *table;
	TAILQ_HEAD(, known) all;
	unsigned count;
};

/* A question on its way; the entry may be gone when the answer comes. */
struct question {
	struct api_keys *keys;
	char id[API_KEY_ID_LEN];
};

/* Only a key that exists is marked as seen: HSET alone would make one. */
static const struct redis_script look_up_script = {
	"api_key_look_up",
	"local key = redis.call('HMGET', KEYS[1], 'sha256', 'scopes')\n"
	"if not key[1] then return {} end\n"
	"redis.call('HSET', KEYS[1], 'seen_ms', ARGV[1])\n"
	"return { key[1], key[2] or '' }\n"
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

/* Asking Redis ---------------------------------------------------------------- */

static void
learn(struct api_keys *k, struct known *known, const redisReply *reply)
{
	struct slice id = slice_of(known->id, API_KEY_ID_LEN);

	known->answered = true;
	known->asked_ms = clock_mono_ms();
	known->exists = reply->elements == 2 && hex_decode(known->digest,
	    SHA256_LEN, redis_slice(reply->element[0]));
	scopes_unref(known->scopes);
	known->scopes = NULL;
	if (!known->exists)
		return;
	known->scopes = scopes_new(redis_slice(reply->element[1]));
	principals_user(k->principals, PRINCIPAL_API_KEY, &id, 1, &known->user);
}

static void
on_looked_up(struct redis *r, const redisReply *reply, void *arg)
{
	struct question *q = arg;
	struct known *known = find(q->keys, q->id);

	(void)r;
	if (known != NULL) {
		known->asking = false;
		if (reply != NULL && reply->type == REDIS_REPLY_ARRAY)
			learn(q->keys, known, reply);
		else if (reply != NULL)
			log_warn("API keys cannot be read",
			    LF_S("error", redis_slice(reply)));
	}
	q->keys->on_answer(q->keys->arg);
	free(q);
}

static void
ask(struct api_keys *k, struct known *known)
{
	struct env_keybuf keybuf;
	char digits[20];
	struct slice args[] = {
		env_key(&keybuf, ENV_API_KEY,
		    slice_of(known->id, API_KEY_ID_LEN)),
		slice_of(digits, u64_decimal(digits, clock_wall_ms())),
	};
	struct question *q;

	if (known->asking)
		return;
	q = xcalloc(1, sizeof(*q));
	q->keys = k;
	memcpy(q->id, known->id, API_KEY_ID_LEN);
	known->asking = redis_eval(k->commands, &look_up_script, args,
	    ARRAY_LEN(args), 1, on_looked_up, q);
	if (!known->asking)
		free(q);
}

/* Checking -------------------------------------------------------------------- */

/* How long what is known may be believed, and when it is time to ask. */
static bool
is_believed(const struct known *known, uint64_t age)
{
	return known->answered &&
	    age < (known->exists ? API_KEYS_STALE_MS : API_KEYS_UNKNOWN_MS);
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
	    !is_believed(known, age))
		ask(k, known);
	return is_believed(known, age) ? judge(known, key, out) : IDENTITY_WAIT;
}

struct api_keys *
api_keys_new(struct redis *commands, const struct principals *principals,
    void (*on_answer)(void *arg), void *arg)
{
	struct api_keys *k = xcalloc(1, sizeof(*k));

	k->commands = commands;
	k->principals = principals;
	k->on_answer = on_answer;
	k->arg = arg;
	TAILQ_INIT(&k->all);
	return k;
}

void
api_keys_free(struct api_keys *k)
{
	api_keys_forget(k);
	free(k);
}
