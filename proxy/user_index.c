#include "proxy/user_index.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/ident.h"
#include "common/log.h"
#include "common/xalloc.h"

/* Users that one command puts into the cleaner's list. */
#define USERS_MAX 64
/*
 * Longer than any session goes without a record being written: a quarter of the
 * longest SESSION_TTL there can be.
 */
#define USERS_TTL_MS "172800000"

struct user_index {
	struct redis *commands;
	/* Users written since the last tick, for mcp_users. */
	char users[USERS_MAX][SHA256_HEX_LEN];
	size_t user_count;
	unsigned refused;          /* records, since the last tick */
	char reason[64];
};

/*
 * Redis unpacks the record that is there for its epoch, the second element. One
 * that it cannot read is nobody's.
 */
#define LATER_EPOCH(epoch) \
	"local old = redis.call('GET', KEYS[1])\n" \
	"if old then\n" \
	"  local ok, r = pcall(cmsgpack.unpack, old)\n" \
	"  if ok and type(r) == 'table' and\n" \
	"      (tonumber(r[2]) or 0) > tonumber(" epoch ") then return 0 end\n" \
	"end\n"

static const struct redis_script put_script = {
	"user_session_put",
	LATER_EPOCH("ARGV[1]")
	"redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])\n"
	"redis.call('ZADD', KEYS[2], ARGV[5], ARGV[4])\n"
	"if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[3]) then\n"
	"  redis.call('PEXPIRE', KEYS[2], ARGV[3])\n"
	"end\n"
	"return 1\n"
};

static const struct redis_script drop_script = {
	"user_session_drop",
	LATER_EPOCH("ARGV[1]")
	"redis.call('DEL', KEYS[1])\n"
	"return redis.call('ZREM', KEYS[2], ARGV[2])\n"
};

/* A full Redis refuses thousands: one line for all of them. */
static void
on_put(struct redis *r, const redisReply *reply, void *arg)
{
	struct user_index *x = arg;

	(void)r;
	if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
		return;
	x->refused++;
	snprintf(x->reason, sizeof(x->reason), "%s", reply->str);
}

struct keys {
	struct env_keybuf buf[2];
	struct slice session, index;
};

static void
spell_keys(struct keys *k, struct slice user, struct slice sid)
{
	k->session = env_user_session_key(&k->buf[0], user, sid);
	k->index = env_key(&k->buf[1], ENV_USER_INDEX, user);
}

/* The users' list has another slot than a user's keys: a command of its own. */
static void
send_users(struct user_index *x)
{
	char digits[20];
	struct slice argv[4 + 2 * USERS_MAX] = { SLICE("ZADD"),
		SLICE(ENV_USERS_KEY), SLICE("NX") };
	struct slice pexpire[] = { SLICE("PEXPIRE"), SLICE(ENV_USERS_KEY),
		SLICE(USERS_TTL_MS) };
	struct slice next = u64_slice(digits,
	    clock_wall_ms() + USER_INDEX_CLEAN_MS);
	size_t n = 3;

	for (size_t i = 0; i < x->user_count; i++) {
		argv[n++] = next;
		argv[n++] = slice_of(x->users[i], SHA256_HEX_LEN);
	}
	/* Failing, the next record of the user does it. */
	if (x->user_count > 0) {
		(void)!redis_send(x->commands, argv, n, NULL, NULL);
		(void)!redis_send(x->commands, pexpire, ARRAY_LEN(pexpire), NULL,
		    NULL);
	}
	x->user_count = 0;
}

static void
note_user(struct user_index *x, struct slice user)
{
	for (size_t i = 0; i < x->user_count; i++) {
		if (slice_eq(user, slice_of(x->users[i], SHA256_HEX_LEN)))
			return;
	}
	if (x->user_count == USERS_MAX)
		send_users(x);
	memcpy(x->users[x->user_count++], user.p, SHA256_HEX_LEN);
}

void
user_index_tick(struct user_index *x)
{
	send_users(x);
	if (x->refused > 0)
		log_warn("users' sessions not recorded",
		    LF_N("sessions", x->refused), LF("error", x->reason));
	x->refused = 0;
}

bool
user_index_put(struct user_index *x, struct slice user, struct slice sid,
    const struct user_session *record, uint64_t ttl_ms)
{
	struct strbuf packed = STRBUF_INIT(USER_SESSION_MAX);
	char digits[3][20];
	struct keys k;
	bool sent;

	spell_keys(&k, user, sid);
	user_session_pack(record, &packed);
	struct slice args[] = { k.session, k.index,
		u64_slice(digits[0], record->epoch),
		strbuf_slice(&packed),
		u64_slice(digits[1], ttl_ms), sid,
		u64_slice(digits[2], record->seen_ms) };
	sent = redis_eval(x->commands, &put_script, args, ARRAY_LEN(args), 2,
	    on_put, x);
	strbuf_release(&packed);
	if (sent && user.n == SHA256_HEX_LEN)
		note_user(x, user);
	return sent;
}

void
user_index_drop(struct user_index *x, struct slice user, struct slice sid,
    uint64_t epoch)
{
	char digits[20];
	struct keys k;

	spell_keys(&k, user, sid);
	struct slice args[] = { k.session, k.index,
		u64_slice(digits, epoch), sid };
	/* Failing, it expires by itself. */
	(void)!redis_eval(x->commands, &drop_script, args, ARRAY_LEN(args), 2,
	    NULL, NULL);
}

bool
user_index_get(struct user_index *x, struct slice user, struct slice sid,
    redis_cb *cb, void *arg)
{
	struct env_keybuf keybuf;
	struct slice argv[] = { SLICE("GET"),
		env_user_session_key(&keybuf, user, sid) };

	return redis_send(x->commands, argv, ARRAY_LEN(argv), cb, arg);
}

struct user_index *
user_index_new(struct redis *commands)
{
	struct user_index *x = xcalloc(1, sizeof(*x));

	x->commands = commands;
	return x;
}

void
user_index_free(struct user_index *x)
{
	free(x);
}
