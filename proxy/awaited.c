#include "proxy/awaited.h"

#include <stdlib.h>

#include "common/xalloc.h"

/* Entries looked at per stream: with more than that the answer is not whole. */
#define LOOK_AT "2000"

struct awaited {
	struct redis *commands;
	struct alike *all;
	size_t count;
	awaited_cb *cb;
	void *arg;
	unsigned outstanding;    /* scripts on their way, plus one while starting */
	bool whole;
};

/*
 * Entries of all three kinds of streams have the fields session and payload, in
 * that order. ARGV[1]: of requests (1), or of responses. Returns whether all was
 * looked at, then session, lowest and highest id plus one, and so on.
 */
static const struct redis_script awaited_script = {
	"awaited",
	"local want, ids = {}, {}\n"
	"for i = 2, #ARGV do want[ARGV[i]] = true end\n"
	"local entries = redis.call('XRANGE', KEYS[1], '-', '+',\n"
	"    'COUNT', " LOOK_AT ")\n"
	"local whole = #entries < " LOOK_AT "\n"
	"local function add(sid, payload)\n"
	"  local ok, m = pcall(cjson.decode, payload)\n"
	"  if not ok or type(m) ~= 'table' then whole = false return end\n"
	"  local request = m['method'] ~= nil\n"
	"  if request ~= (ARGV[1] == '1') or type(m['id']) ~= 'number' then\n"
	"    return\n"
	"  end\n"
	"  local id = m['id'] + 1\n"
	"  if id < 1 or id > 2^52 or id ~= math.floor(id) then return end\n"
	"  local r = ids[sid] or { id, id }\n"
	"  ids[sid] = { math.min(r[1], id), math.max(r[2], id) }\n"
	"end\n"
	"for _, e in ipairs(entries) do\n"
	"  local sid\n"
	"  for i = 1, #e[2], 2 do\n"
	"    if e[2][i] == 'session' then sid = e[2][i + 1]\n"
	"    elseif e[2][i] == 'payload' and want[sid or ''] then\n"
	"      add(sid, e[2][i + 1])\n"
	"    end\n"
	"  end\n"
	"end\n"
	"local out = { whole and 1 or 0 }\n"
	"for sid, r in pairs(ids) do\n"
	"  out[#out + 1] = sid\n"
	"  out[#out + 1] = r[1]\n"
	"  out[#out + 1] = r[2]\n"
	"end\n"
	"return out\n"
};

static void
unref(struct awaited *w)
{
	if (--w->outstanding > 0)
		return;
	w->cb(w->whole, w->arg);
	free(w);
}

static void
note(struct awaited *w, struct slice sid, uint64_t low, uint64_t high)
{
	for (size_t i = 0; i < w->count; i++) {
		struct alike *a = &w->all[i];

		if (!slice_eq_str(sid, a->sid))
			continue;
		if (a->awaited_low == 0 || low < a->awaited_low)
			a->awaited_low = low;
		if (high > a->awaited_high)
			a->awaited_high = high;
	}
}

static void
on_ids(struct redis *r, const redisReply *reply, void *arg)
{
	struct awaited *w = arg;
	bool array = reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
	    reply->elements > 0;

	(void)r;
	w->whole &= array && reply->element[0]->integer == 1;
	for (size_t i = 1; array && i + 2 < reply->elements; i += 3)
		note(w, redis_slice(reply->element[i]),
		    (uint64_t)reply->element[i + 1]->integer,
		    (uint64_t)reply->element[i + 2]->integer);
	unref(w);
}

static void
ask(struct awaited *w, enum env_key kind, const char *id)
{
	struct env_keybuf keybuf;
	struct slice args[2 + ALIKE_MAX + 1];
	size_t n = 0;

	args[n++] = env_key(&keybuf, kind, slice_str(id));
	args[n++] = kind == ENV_REQUESTS ? SLICE("1") : SLICE("0");
	for (size_t i = 0; i < w->count && n < ARRAY_LEN(args); i++)
		args[n++] = slice_str(w->all[i].sid);
	if (redis_eval(w->commands, &awaited_script, args, n, 1, on_ids, w))
		w->outstanding++;
	else
		w->whole = false;
}

static void
ask_api(const char *api, void *arg)
{
	ask(arg, ENV_REQUESTS, api);
}

static bool
is_first_of_its_pod(const struct awaited *w, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		if (strcmp(w->all[j].pod, w->all[i].pod) == 0)
			return false;
	}
	return true;
}

bool
awaited_read(struct redis *commands, const struct catalog *catalog,
    struct alike *all, size_t count, awaited_cb *cb, void *arg)
{
	struct awaited *w;

	if (!redis_is_ready(commands))
		return false;
	w = xcalloc(1, sizeof(*w));
	*w = (struct awaited){ .commands = commands, .all = all, .count = count,
		.cb = cb, .arg = arg, .outstanding = 1, .whole = true };
	for (size_t i = 0; i < count; i++)
		all[i].awaited_low = all[i].awaited_high = 0;
	catalog_each_api(catalog, ask_api, w);
	for (size_t i = 0; i < count; i++) {
		if (is_first_of_its_pod(w, i))
			ask(w, ENV_REPLIES, all[i].pod);
	}
	for (size_t i = 0; i < count; i++)
		ask(w, ENV_EVENTS, all[i].sid);
	unref(w);
	return true;
}
