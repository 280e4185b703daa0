#include "proxy/janitor.h"

#include <event2/util.h>
#include <stdlib.h>

#include "common/api_counters.h"
#include "common/clock.h"
#include "common/jsonrpc.h"
#include "common/log.h"
#include "common/xalloc.h"

/* The loop whose turn it is looks this often; its lease outlives two looks. */
#define LOOK_MS 1000
#define LEASE_MS "3000"
/* The others ask whether it is theirs now. */
#define ASK_MS 3000
/* Entries read at a time, and about as many are moved: some may hold 1 MiB. */
#define LOOK_ENTRIES 50
/* A look ends when it has read so much: some milliseconds of Redis's time. */
#define LOOK_BYTES 1000000
/* A day: they are owed an answer as soon as a proxy runs. */
#define EXPIRED_TTL_MS "86400000"
/* So long a worker that moves has for its own answer to a call that is late. */
#define LATE_MS "1000"
/* Workers and proxies may be apart by as much in what time Redis has. */
#define APART_MS "100"
/* Younger entries are not looked at: a healthy queue holds no older ones. */
#define LOOK_AGE_MS 500
/* An answer: the id may be as large as a body. */
#define ANSWER_MAX (2u << 20)

/*
 * KEYS: requests, janitor, api, expired, counters. ARGV: pod, lease (ms), now (ms, as in the
 * deadlines), entries, age (ms), group, rest time if the API does not say (ms),
 * bytes. Returns 0 when it is another's turn, 1 when the API has neither entries nor
 * a catalogue, else the entries of expired.
 *
 * The cursor goes through the queue look by look, so that entries with a later
 * deadline do not hide those behind them. The PEXPIRE is for a full Redis, which
 * refuses a script's first write if it may need memory.
 */
static const struct redis_script look_script = {
	.name = "janitor look",
	.body =
	"local requests, state, expired = KEYS[1], KEYS[2], KEYS[4]\n"
	"local now, most = tonumber(ARGV[3]), tonumber(ARGV[4])\n"
	"local there = redis.call('HMGET', state, 'pod', 'cursor')\n"
	"if there[1] and there[1] ~= ARGV[1] then return 0 end\n"
	"redis.call('PEXPIRE', state, ARGV[2])\n"
	"local rest = tonumber(redis.call('HGET', KEYS[3], 'reclaim_idle_ms')\n"
	"    or ARGV[7])\n"
	"local from = there[2] or '-'\n"
	"local to = string.format('%.0f', now - ARGV[5])\n"
	"local bytes, moved, entries = 0, 0\n"
	"local function free(id, late)\n"
	"	local p = redis.pcall('XPENDING', requests, ARGV[6], id, id, 1)\n"
	"	return p.err or not p[1] or p[1][3] >= rest or\n"
	"	    late >= " LATE_MS " and p[1][3] >= late + " APART_MS "\n"
	"end\n"
	"local function visit(e)\n"
	"	local deadline = 0\n"
	"	for i = 1, #e[2], 2 do\n"
	"		if e[2][i] == 'deadline_ms' then\n"
	"			deadline = tonumber(e[2][i + 1]) or 0\n"
	"		end\n"
	"		bytes = bytes + #e[2][i + 1]\n"
	"	end\n"
	"	if deadline > 0 and deadline < now and\n"
	"	    free(e[1], now - deadline) then\n"
	"		redis.call('XADD', expired, '*', unpack(e[2]))\n"
	"		redis.call('PEXPIRE', expired, " EXPIRED_TTL_MS ")\n"
	"		redis.call('XDEL', requests, e[1])\n"
	"		redis.pcall('XACK', requests, ARGV[6], e[1])\n"
	"		moved = moved + 1\n"
	"	end\n"
	"	from = '(' .. e[1]\n"
	"end\n"
	"repeat\n"
	"	entries = redis.call('XRANGE', requests, from, to, 'COUNT', most)\n"
	"	for _, e in ipairs(entries) do visit(e) end\n"
	"until #entries < most or moved >= most or bytes > tonumber(ARGV[8])\n"
	"if #entries < most then from = '-' end\n"
	"if moved > 0 then\n"
	"	redis.call('HINCRBY', KEYS[5], '" API_CALLS_EXPIRED_FIELD "', moved)\n"
	"	redis.call('PEXPIRE', KEYS[5], " API_COUNTERS_TTL_MS ")\n"
	"end\n"
	"redis.call('HSET', state, 'pod', ARGV[1], 'cursor', from)\n"
	"redis.call('PEXPIRE', state, ARGV[2])\n"
	"local found = redis.call('XRANGE', expired, '-', '+', 'COUNT', most)\n"
	"if #found == 0 and redis.call('EXISTS', KEYS[3]) == 0 and\n"
	"    redis.call('XLEN', requests) == 0 then\n"
	"	redis.call('DEL', state, expired)\n"
	"	return 1\n"
	"end\n"
	"return found\n",
};

enum look_result {
	LOOK_ANOTHERS = 0,
	LOOK_EMPTY = 1
};

/* An API, and when it is to be looked at. */
struct round {
	struct round *next;
	struct janitor *janitor;
	char api[API_NAME_MAX + 1];
	uint64_t at_ms;              /* monotonic */
	bool looking;                /* the script is on its way */
	unsigned answering;          /* answers without an outcome yet */
	bool more;                   /* than one look found there are, perhaps */
	bool seen;                   /* by the tick at hand: the API is listed */
};

struct janitor {
	struct janitor_options options;
	struct round *rounds;
};

/* An answer on its way, for the entry of mcp_expired with that id. */
struct answer {
	struct round *round;
	size_t n;
	char id[48];
};

/* Answering -------------------------------------------------------------------- */

static void look(struct round *r);

static void
remove_entry(struct round *r, struct slice id)
{
	struct env_keybuf key;
	const struct slice argv[] = { SLICE("XDEL"),
		env_key(&key, ENV_EXPIRED, slice_str(r->api)), id };

	/* Failing, it is answered again, and the answer dropped as a repeat. */
	(void)!redis_send(r->janitor->options.commands, argv, ARRAY_LEN(argv),
	    NULL, NULL);
}

static void
on_answered(enum outbox_result result, const char *error, void *arg)
{
	struct answer *a = arg;
	struct round *r = a->round;

	if (result == OUTBOX_SENT) {
		remove_entry(r, slice_of(a->id, a->n));
	} else if (result == OUTBOX_REFUSED) {
		log_warn("expired call not answered", LF("api", r->api),
		    LF("error", error));
	}
	r->answering--;
	free(a);
	/* Those behind them have waited too long already. */
	if (result == OUTBOX_SENT && r->answering == 0 && r->more) {
		r->more = false;
		look(r);
	}
}

static void
send_answer(struct round *r, struct slice id,
    const struct env_request *request)
{
	struct strbuf payload = STRBUF_INIT(ANSWER_MAX);
	struct answer *a = xcalloc(1, sizeof(*a));
	struct jsonrpc_msg msg = { .kind = JSONRPC_NOTIFICATION };

	(void)!jsonrpc_peek(request->payload.p, request->payload.n, &msg);
	jsonrpc_error(&payload, msg.id, ENV_ERROR_TIMEOUT,
	    "no worker of this API answered before the call's deadline");
	a->round = r;
	a->n = id.n < sizeof(a->id) ? id.n : sizeof(a->id);
	memcpy(a->id, id.p, a->n);
	r->answering++;
	if (!outbox_send(r->janitor->options.outbox, request->reply_to,
		&(struct env_message){ .call = request->call,
		    .session = request->session, .attempt = SLICE("2"),
		    .payload = strbuf_slice(&payload) }, on_answered, a)) {
		r->answering--;
		free(a);
	}
	strbuf_release(&payload);
}

static void
answer_all(struct round *r, const redisReply *entries)
{
	struct env_entry entry;
	struct env_request request;

	for (size_t i = 0; env_entry_at(entries, i, &entry); i++) {
		if (env_request_read(entry.fields, &request))
			send_answer(r, entry.id, &request);
		else
			remove_entry(r, entry.id);
	}
	if (entries->elements > 0)
		log_warn("calls expired without a worker", LF("api", r->api),
		    LF_N("calls", entries->elements));
}

/* Looking ------------------------------------------------------------------------ */

/* Half of the time at least, so that loops drift apart. */
static uint64_t
jittered(unsigned ms)
{
	unsigned random;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	return ms / 2 + random % (ms / 2);
}

/* A worker that begins at this moment makes its queue anew. */
static const struct redis_script retire_script = {
	.name = "janitor retire",
	.body = "if redis.call('EXISTS', KEYS[2]) == 1 or\n"
	"    redis.call('XLEN', KEYS[1]) > 0 then return 0 end\n"
	"return redis.call('DEL', KEYS[1])\n",
};

/*
 * Nothing is left of the API: it goes off the list until a worker comes, and its
 * queue, which has no expiry of its own, goes.
 */
static void
unlist(struct round *r)
{
	const struct slice api = slice_str(r->api);
	const struct slice argv[] = { SLICE("SREM"), SLICE(ENV_APIS_KEY), api };
	struct redis *commands = r->janitor->options.commands;
	struct env_keybuf keys[2];
	const struct slice args[] = { env_key(&keys[0], ENV_REQUESTS, api),
		env_key(&keys[1], ENV_API, api) };

	(void)!redis_send(commands, argv, ARRAY_LEN(argv), NULL, NULL);
	(void)!redis_eval(commands, &retire_script, args, ARRAY_LEN(args),
	    ARRAY_LEN(args), NULL, NULL);
}

static void
on_looked(struct redis *redis, const redisReply *reply, void *arg)
{
	struct round *r = arg;
	uint64_t now = clock_mono_ms();

	(void)redis;
	r->looking = false;
	r->at_ms = now + LOOK_MS;
	if (reply == NULL)
		return;
	r->more = reply->type == REDIS_REPLY_ARRAY &&
	    reply->elements == LOOK_ENTRIES;
	if (reply->type == REDIS_REPLY_ARRAY)
		answer_all(r, reply);
	else if (reply->type == REDIS_REPLY_ERROR)
		log_at(redis_is_put_off(reply) ? LOG_LEVEL_DEBUG :
			LOG_LEVEL_WARN, "janitor refused",
		    LF("error", reply->str));
	else if (reply->type == REDIS_REPLY_INTEGER &&
	    reply->integer == LOOK_ANOTHERS)
		r->at_ms = now + jittered(ASK_MS);
	else if (reply->type == REDIS_REPLY_INTEGER &&
	    reply->integer == LOOK_EMPTY)
		unlist(r);
}

static void
look(struct round *r)
{
	const struct janitor_options *o = &r->janitor->options;
	struct slice api = slice_str(r->api);
	struct env_keybuf keys[5];
	char now[20], most[20], age[20], rest[20], bytes[20];
	const struct slice args[] = {
		env_key(&keys[0], ENV_REQUESTS, api),
		env_key(&keys[1], ENV_JANITOR, api),
		env_key(&keys[2], ENV_API, api),
		env_key(&keys[3], ENV_EXPIRED, api),
		env_key(&keys[4], ENV_COUNTERS, api), o->pod, SLICE(LEASE_MS),
		u64_slice(now, clock_shared_ms()),
		u64_slice(most, LOOK_ENTRIES),
		u64_slice(age, LOOK_AGE_MS), SLICE(ENV_GROUP),
		u64_slice(rest, ENV_RECLAIM_IDLE_MS), u64_slice(bytes, LOOK_BYTES) };

	r->looking = redis_eval(o->commands, &look_script, args,
	    ARRAY_LEN(args), ARRAY_LEN(keys), on_looked, r);
}

/* The rounds ----------------------------------------------------------------------- */

static struct round *
find(struct janitor *j, const char *api)
{
	struct round *r = j->rounds;

	while (r != NULL && strcmp(r->api, api) != 0)
		r = r->next;
	return r;
}

static struct round *
add(struct janitor *j, const char *api)
{
	struct round *r = xcalloc(1, sizeof(*r));

	r->janitor = j;
	memcpy(r->api, api, strlen(api));
	r->at_ms = clock_mono_ms() + jittered(LOOK_MS);
	r->next = j->rounds;
	j->rounds = r;
	return r;
}

/* Follows the catalogue's list of APIs. */
static void
update_rounds(struct janitor *j)
{
	const char *api;
	struct round **at = &j->rounds, *r;

	for (r = j->rounds; r != NULL; r = r->next)
		r->seen = false;
	for (size_t i = 0;
	    (api = catalog_api_name(j->options.catalog, i)) != NULL; i++) {
		r = find(j, api);
		if (r == NULL)
			r = add(j, api);
		r->seen = true;
	}
	while ((r = *at) != NULL) {
		if (r->seen || r->looking || r->answering > 0) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		free(r);
	}
}

void
janitor_tick(struct janitor *j)
{
	uint64_t now = clock_mono_ms();

	if (!redis_is_ready(j->options.commands))
		return;
	update_rounds(j);
	for (struct round *r = j->rounds; r != NULL; r = r->next) {
		/* Answers on their way would be sent again. */
		if (!r->looking && r->answering == 0 && now >= r->at_ms)
			look(r);
	}
}

struct janitor *
janitor_new(const struct janitor_options *options)
{
	struct janitor *j = xcalloc(1, sizeof(*j));

	j->options = *options;
	return j;
}

void
janitor_free(struct janitor *j)
{
	struct round *r;

	while ((r = j->rounds) != NULL) {
		j->rounds = r->next;
		free(r);
	}
	free(j);
}
