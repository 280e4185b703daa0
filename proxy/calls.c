#include "proxy/calls.h"

#include "common/clock.h"
#include "common/strbuf.h"

/* An entry is gone soon after its deadline, and so is what is kept of it. */
#define MARGIN_MS 60000
/* Of an XADD: its name, the key, and "*". */
#define XADD_WORDS 3

static const struct redis_script enqueue_script = {
	"enqueue",
	"local max = tonumber(ARGV[1])\n"
	"if redis.call('LLEN', KEYS[2]) >= max then\n"
	"  local open = {}\n"
	"  for _, id in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do\n"
	"    if redis.call('XRANGE', KEYS[1], id, id)[1] then\n"
	"      open[#open + 1] = id\n"
	"    end\n"
	"  end\n"
	"  if #open >= max then return 0 end\n"
	"  redis.call('DEL', KEYS[2])\n"
	"  if #open > 0 then redis.call('RPUSH', KEYS[2], unpack(open)) end\n"
	"end\n"
	"local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 3))\n"
	"redis.call('RPUSH', KEYS[2], id)\n"
	"redis.call('PEXPIRE', KEYS[2], ARGV[2])\n"
	"return id\n"
};

static uint64_t
time_to_live(const struct env_request *request)
{
	uint64_t now = clock_shared_ms();

	return (request->deadline_ms > now ? request->deadline_ms - now : 0) +
	    MARGIN_MS;
}

static bool
enqueue_limited(struct redis *r, struct slice api,
    const struct env_request *request, const struct slice *xadd, size_t argc,
    unsigned at_most, redis_cb *cb, void *arg)
{
	struct env_keybuf keybuf;
	char digits[2][20];
	struct slice args[4 + ENV_REQUEST_ARGC - XADD_WORDS] = {
		xadd[1],
		env_user_calls_key(&keybuf, api, request->user),
		u64_slice(digits[0], at_most),
		u64_slice(digits[1], time_to_live(request)),
	};

	argc -= XADD_WORDS;
	memcpy(&args[4], &xadd[XADD_WORDS], argc * sizeof(args[0]));
	return redis_eval(r, &enqueue_script, args, 4 + argc, 2, cb, arg);
}

bool
calls_enqueue(struct redis *r, struct slice api,
    const struct env_request *request, unsigned at_most, redis_cb *cb, void *arg)
{
	struct env_keybuf keybuf;
	struct env_request_argv xadd;
	size_t argc = env_request_xadd(&xadd,
	    env_key(&keybuf, ENV_REQUESTS, api), request);

	if (at_most > 0)
		return enqueue_limited(r, api, request, xadd.argv, argc, at_most,
		    cb, arg);
	return redis_send(r, xadd.argv, argc, cb, arg);
}

bool
calls_is_refused(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_INTEGER && reply->integer == 0;
}
