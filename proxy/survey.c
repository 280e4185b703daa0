#include "proxy/survey.h"

#include <stdlib.h>

#include "common/xalloc.h"

/* Entries looked at per script call: a few hundred microseconds of Redis. */
#define LOOK_AT "1000"

struct survey {
	struct redis *commands;
	const struct catalog *catalog;
	struct slice pod;
	survey_call_cb *cb;
	survey_done_cb *done;
	void *arg;
	unsigned outstanding;   /* scripts on their way, plus one while starting */
	bool whole;
};

/* One API's request stream, from a cursor on. */
struct question {
	struct survey *survey;
	char api[API_NAME_MAX + 1];
};

/* { where to go on, or "" at the end; session, call, payload; … } */
static const struct redis_script survey_script = {
	"survey",
	"local entries = redis.call('XRANGE', KEYS[1], ARGV[2], '+',\n"
	"    'COUNT', " LOOK_AT ")\n"
	"local out = { '' }\n"
	"if #entries == " LOOK_AT " then\n"
	"  out[1] = '(' .. entries[#entries][1]\n"
	"end\n"
	"for _, e in ipairs(entries) do\n"
	"  local f = {}\n"
	"  for i = 1, #e[2], 2 do f[e[2][i]] = e[2][i + 1] end\n"
	"  if f['reply_to'] == ARGV[1] and f['session'] and f['call'] and\n"
	"      f['payload'] then\n"
	"    out[#out + 1] = f['session']\n"
	"    out[#out + 1] = f['call']\n"
	"    out[#out + 1] = f['payload']\n"
	"  end\n"
	"end\n"
	"return out\n"
};

static void
unref(struct survey *sv)
{
	if (--sv->outstanding == 0)
		sv->done(sv->whole, sv->arg);
}

static bool ask(struct question *q, struct slice from);

static void
on_answer(struct redis *r, const redisReply *reply, void *arg)
{
	struct question *q = arg;
	struct survey *sv = q->survey;
	bool array = reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
	    reply->elements > 0;
	struct slice next = array ? redis_slice(reply->element[0]) : SLICE("");

	(void)r;
	sv->whole &= array;
	for (size_t i = 1; array && i + 2 < reply->elements; i += 3) {
		struct survey_call call = { redis_slice(reply->element[i]),
			redis_slice(reply->element[i + 1]),
			redis_slice(reply->element[i + 2]) };

		sv->cb(&call, sv->arg);
	}
	if (next.n == 0 || !ask(q, next)) {
		sv->whole &= next.n == 0;
		free(q);
	}
	unref(sv);
}

static bool
ask(struct question *q, struct slice from)
{
	struct survey *sv = q->survey;
	struct env_keybuf keybuf;
	struct slice args[] = { env_key(&keybuf, ENV_REQUESTS,
				    slice_str(q->api)), sv->pod, from };

	if (!redis_eval(sv->commands, &survey_script, args, ARRAY_LEN(args), 1,
		on_answer, q))
		return false;
	sv->outstanding++;
	return true;
}

static void
ask_api(const char *api, void *arg)
{
	struct survey *sv = arg;
	struct question *q = xcalloc(1, sizeof(*q));

	q->survey = sv;
	memcpy(q->api, api, strnlen(api, API_NAME_MAX));
	if (ask(q, SLICE("-")))
		return;
	sv->whole = false;
	free(q);
}

bool
survey_begin(struct survey *sv, survey_call_cb *cb, survey_done_cb *done,
    void *arg)
{
	if (sv->outstanding > 0 || !redis_is_ready(sv->commands))
		return false;
	sv->cb = cb;
	sv->done = done;
	sv->arg = arg;
	sv->whole = true;
	sv->outstanding = 1;
	catalog_each_api(sv->catalog, ask_api, sv);
	unref(sv);
	return true;
}

struct survey *
survey_new(struct redis *commands, const struct catalog *catalog,
    struct slice pod)
{
	struct survey *sv = xcalloc(1, sizeof(*sv));

	sv->commands = commands;
	sv->catalog = catalog;
	sv->pod = pod;
	return sv;
}

void
survey_free(struct survey *sv)
{
	free(sv);
}
