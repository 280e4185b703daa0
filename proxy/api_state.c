#include "proxy/api_state.h"

#include "common/clock.h"
#include "common/envelope.h"

/* What is queued or running, when the oldest of it came, and what was given up. */
static const struct redis_script queue_script = {
	"api_queue",
	"local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)\n"
	"return { redis.call('XLEN', KEYS[1]), redis.call('XLEN', KEYS[2]),\n"
	"    first[1] and first[1][1] or '' }\n"
};

void
api_state_ask_queue(struct gather *g, const char *api, gather_reply_cb *cb,
    void *target)
{
	struct env_keybuf keys[2];
	struct slice argv[] = {
		env_key(&keys[0], ENV_REQUESTS, slice_str(api)),
		env_key(&keys[1], ENV_DEAD, slice_str(api)) };

	gather_eval(g, &queue_script, argv, ARRAY_LEN(argv), 2, cb, target);
}

/* An entry's id begins with the time when it was added. */
static uint64_t
entry_age_ms(struct slice id)
{
	const char *dash = id.n > 0 ? memchr(id.p, '-', id.n) : NULL;
	uint64_t ms, now = clock_shared_ms();

	if (dash == NULL ||
	    !env_number(slice_of(id.p, (size_t)(dash - id.p)), &ms) || ms > now)
		return 0;
	return now - ms;
}

bool
api_state_read_queue(const redisReply *reply, struct api_queue *out)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return false;
	out->length = (uint64_t)reply->element[0]->integer;
	out->dead_letters = (uint64_t)reply->element[1]->integer;
	out->oldest_ms = entry_age_ms(redis_slice(reply->element[2]));
	return true;
}

void
api_state_ask_workers(struct gather *g, const char *api, unsigned most,
    gather_reply_cb *cb, void *target)
{
	struct env_keybuf key;
	char now[20], limit[20];
	struct slice argv[] = { SLICE("ZRANGEBYSCORE"),
		env_key(&key, ENV_WORKERS, slice_str(api)),
		u64_slice(now, clock_shared_ms()), SLICE("+inf"),
		SLICE("LIMIT"), SLICE("0"),
		u64_slice(limit, most) };

	gather_send(g, argv, ARRAY_LEN(argv), cb, target);
}

void
api_state_ask_worker(struct gather *g, const char *api, struct slice worker,
    gather_reply_cb *cb, void *target)
{
	struct env_keybuf key;
	struct slice argv[] = { SLICE("HGETALL"),
		env_worker_key(&key, slice_str(api), worker) };

	gather_send(g, argv, ARRAY_LEN(argv), cb, target);
}

bool
api_state_is_draining(const redisReply *hash)
{
	return slice_eq_str(env_field(hash, "draining"), "1");
}
