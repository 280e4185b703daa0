/*
 * API keys in Redis: mcp_api_key:{<id>} holds a key's digest, mcp_api_keys the
 * ids.
 */
#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/strbuf.h"
#include "proxy/mcpctl/key_store.h"

/* What is sent and not looked at; false when Redis refused it. */
static bool
call_ok(struct ctl *ctl, const struct slice *argv, size_t argc)
{
	const struct ctl_reply *reply = ctl_call(ctl, argv, argc);

	if (reply == NULL)
		return false;
	ctl_reply_free(reply);
	return true;
}

/*
 * First the index: a key that it does not list could not be found to be
 * revoked, while an id without a key is merely of no use.
 */
static bool
add(struct ctl *ctl, const struct ctl_key *key)
{
	char digits[20];
	struct env_keybuf keybuf;
	struct slice id = slice_str(key->id);
	struct slice sadd[] = { SLICE("SADD"), SLICE(ENV_API_KEYS_KEY), id };
	struct slice hset[] = { SLICE("HSET"),
		env_key(&keybuf, ENV_API_KEY, id), SLICE("sha256"),
		slice_str(key->sha256), SLICE("scopes"), slice_str(key->scopes),
		SLICE("name"), slice_str(key->name), SLICE("created_ms"),
		u64_slice(digits, clock_wall_ms()) };

	return call_ok(ctl, sadd, ARRAY_LEN(sadd)) &&
	    call_ok(ctl, hset, ARRAY_LEN(hset));
}

static uint64_t
number(const char *text)
{
	return strtoull(text, NULL, 10);
}

/* The expected state of an id whose key is gone is that it says nothing. */
static bool
show(struct ctl *ctl, const char *id, void (*cb)(const struct ctl_key *key))
{
	struct env_keybuf keybuf;
	struct slice hmget[] = { SLICE("HMGET"),
		env_key(&keybuf, ENV_API_KEY, slice_str(id)), SLICE("sha256"),
		SLICE("created_ms"), SLICE("seen_ms"), SLICE("scopes"),
		SLICE("name") };
	const struct ctl_reply *reply = ctl_call(ctl, hmget, ARRAY_LEN(hmget));
	struct ctl_key key = { .id = id };

	if (reply == NULL)
		return false;
	key.sha256 = ctl_reply_text(reply, 0);
	key.created_ms = number(ctl_reply_text(reply, 1));
	key.seen_ms = number(ctl_reply_text(reply, 2));
	key.scopes = ctl_reply_text(reply, 3);
	key.name = ctl_reply_text(reply, 4);
	if (key.sha256[0] != '\0')
		cb(&key);
	ctl_reply_free(reply);
	return true;
}

static bool
each(struct ctl *ctl, void (*cb)(const struct ctl_key *key))
{
	struct slice smembers[] = { SLICE("SMEMBERS"), SLICE(ENV_API_KEYS_KEY) };
	const struct ctl_reply *ids = ctl_call(ctl, smembers,
	    ARRAY_LEN(smembers));
	bool ok = ids != NULL;

	for (size_t i = 0; ok && i < ctl_reply_count(ids); i++)
		ok = show(ctl, ctl_reply_text(ids, i), cb);
	if (ids != NULL)
		ctl_reply_free(ids);
	return ok;
}

static bool
remove_key(struct ctl *ctl, const char *id, bool *existed)
{
	struct env_keybuf keybuf;
	struct slice del[] = { SLICE("DEL"),
		env_key(&keybuf, ENV_API_KEY, slice_str(id)) };
	struct slice srem[] = { SLICE("SREM"), SLICE(ENV_API_KEYS_KEY),
		slice_str(id) };
	const struct ctl_reply *reply = ctl_call(ctl, del, ARRAY_LEN(del));

	if (reply == NULL)
		return false;
	*existed = strcmp(ctl_reply_text(reply, 0), "1") == 0;
	ctl_reply_free(reply);
	return call_ok(ctl, srem, ARRAY_LEN(srem));
}

const struct ctl_key_store ctl_keys_in_redis = { add, each, remove_key };
