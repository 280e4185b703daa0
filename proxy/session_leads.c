/*
 * What leads to a session: the key that its client chose, the list of those whose
 * clients look the same, and the alias under which the client of a session that
 * was adopted late goes on posting. All of it expires unless it is refreshed, and
 * can be written anew after Redis lost its data.
 */
#include "proxy/session_private.h"

#include "common/clock.h"

/* Client keys --------------------------------------------------------------- */

struct slice
session_leads_key(struct session *s, struct env_keybuf *buf)
{
	char user[SHA256_HEX_LEN + 1];

	return env_client_key(buf, session_user_hash(s, user),
	    slice_str(s->client));
}

void
session_leads_point(struct session *s)
{
	const struct session_options *o = &s->all->options;
	struct env_keybuf keybuf;
	char digits[20];
	struct slice argv[] = { SLICE("SET"), session_leads_key(s, &keybuf),
		session_sid(s), SLICE("PX"),
		u64_slice(digits, o->ttl_ms) };

	if (s->client[0] != '\0')
		(void)!redis_send(o->commands, argv, ARRAY_LEN(argv), NULL, NULL);
}

/*
 * Only a key that still leads here: the client may have found another session
 * by now.
 */
static const struct redis_script drop_lead_script = {
	"drop_lead",
	"if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
	"return redis.call('DEL', KEYS[1])\n"
};

void
session_leads_drop(struct session *s)
{
	struct env_keybuf keybuf;
	struct slice args[] = { session_leads_key(s, &keybuf), session_sid(s) };

	session_leads_unlist(s, s->sid);
	if (s->client[0] != '\0')
		(void)!redis_eval(s->all->options.commands, &drop_lead_script,
		    args, ARRAY_LEN(args), 1, NULL, NULL);
}

/* The list of those that look the same ------------------------------------------ */

struct slice
session_leads_list_key(struct session *s, struct env_keybuf *buf)
{
	char user[SHA256_HEX_LEN + 1];

	return env_alike_key(buf, session_user_hash(s, user),
	    slice_str(s->alike));
}

/* KEYS[1] list; ARGV: now, expiry, session, time to live. */
static const struct redis_script list_script = {
	"alike_list",
	"redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])\n"
	"redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])\n"
	"if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then\n"
	"  redis.call('PEXPIRE', KEYS[1], ARGV[4])\n"
	"end\n"
	"return 1\n"
};

/*
 * While it seeks it is not to be found: its client's own session is. If its
 * stream is lost meanwhile, it counts as soon as somebody has talked on it.
 */
void
session_leads_list(struct session *s, uint64_t ttl_ms)
{
	uint64_t now = clock_wall_ms();
	char digits[3][20];
	struct env_keybuf keybuf;
	struct slice args[5];

	if (s->alike[0] == '\0' || !s->used || session_is_seeking(s) ||
	    (s->seek != NULL && s->last == 0))
		return;
	args[0] = session_leads_list_key(s, &keybuf);
	args[1] = u64_slice(digits[0], now);
	args[2] = u64_slice(digits[1], now + ttl_ms);
	args[3] = session_sid(s);
	args[4] = u64_slice(digits[2], ttl_ms);
	(void)!redis_eval(s->all->options.commands, &list_script, args,
	    ARRAY_LEN(args), 1, NULL, NULL);
}

void
session_leads_unlist(struct session *s, const char *sid)
{
	struct env_keybuf keybuf;
	struct slice argv[] = { SLICE("ZREM"), SLICE_NONE, slice_str(sid) };

	if (s->alike[0] == '\0')
		return;
	argv[1] = session_leads_list_key(s, &keybuf);
	(void)!redis_send(s->all->options.commands, argv, ARRAY_LEN(argv), NULL,
	    NULL);
}

/* Aliases and all ------------------------------------------------------------ */

/* What is posted to the endpoint that the client has belongs to this session. */
static void
write_alias(struct session *s)
{
	char user[SHA256_HEX_LEN + 1];
	struct session_alias a = {
		.target = session_sid(s),
		.epoch = s->epoch,
		.pod = s->all->options.pod,
		.api = slice_str(s->api),
		.user = session_user_hash(s, user),
		.now_ms = clock_wall_ms(),
		.ttl_ms = session_ttl_ms(s),
	};

	if (s->alias == NULL)
		return;
	a.sid = slice_str(s->alias);
	session_alias_send(s->all->options.commands, &a);
}

void
session_leads_refresh(struct session *s)
{
	session_leads_point(s);
	session_leads_list(s, session_ttl_ms(s));
	write_alias(s);
}
