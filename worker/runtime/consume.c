#include "worker/runtime/consume.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

/* On top of the block time, for the answer to a blocking read. */
#define ANSWER_MS 5000
/* How long after the block time a read on a lost connection may still end. */
#define LATE_MS 1000
/* After an error that a retry at once would not change. */
#define PAUSE_SECONDS 1
#define ENTRY_ID_MAX 48

enum consume_state {
	CONSUME_IDLE,      /* nothing on its way: consume_step() decides */
	CONSUME_GROUP,     /* XGROUP CREATE */
	CONSUME_HISTORY,   /* the script that reads back */
	CONSUME_READING,   /* XREADGROUP >, blocking */
	CONSUME_PAUSED,    /* after an error, until the timer */
	CONSUME_STOPPED    /* for good */
};

/* When what was delivered is to be read back. */
enum history {
	HISTORY_NOW,       /* after a connect */
	HISTORY_AGAIN,     /* at again_ms, see consume.h */
	HISTORY_CLEAN
};

struct consume {
	struct consume_options options;
	struct redis *blocking;
	uint64_t blocking_id;         /* Redis's id of that connection; 0: none */
	struct event *pause;
	struct event *wake;           /* at the end of this turn */
	enum consume_state state;
	unsigned batch;               /* entries per read, for now */
	bool stopping;
	bool group_known;             /* the group was there */
	enum history history;
	uint64_t again_ms;            /* monotonic */
	char cursor[ENTRY_ID_MAX];    /* history: read after this id */
	size_t cursor_n;
	uint64_t asked_ms;            /* when the read on its way was sent */
};

static void consume_step(struct consume *c);

static const char *const state_names[] = {
	[CONSUME_IDLE] = "idle",
	[CONSUME_GROUP] = "group",
	[CONSUME_HISTORY] = "history",
	[CONSUME_READING] = "reading",
	[CONSUME_PAUSED] = "paused",
	[CONSUME_STOPPED] = "stopped",
};

/* For the log: what a state waits for. */
static const char *const command_names[] = {
	[CONSUME_GROUP] = "XGROUP",
	[CONSUME_HISTORY] = "EVALSHA",
	[CONSUME_READING] = "XREADGROUP",
};

static void
consume_set_state(struct consume *c, enum consume_state state)
{
	log_debug("consume state", LF("from", state_names[c->state]),
	    LF("to", state_names[state]));
	c->state = state;
}

/*
 * History. KEYS: requests. ARGV: group, consumer, id to begin behind, entries at
 * most. Returns the last id looked at, then for each entry {entry, deliveries}:
 * one may be here because a reply of reclaim.h was lost, and then others may have
 * begun it. Reading it with XREADGROUP would not tell, and count as a delivery.
 */
static const struct redis_script history_script = {
	.name = "history",
	.body =
	"local key, group, me = KEYS[1], ARGV[1], ARGV[2]\n"
	"local out = { ARGV[3] }\n"
	"for _, p in ipairs(redis.call('XPENDING', key, group, '(' .. ARGV[3],\n"
	"    '+', ARGV[4], me)) do\n"
	"	out[1] = p[1]\n"
	"	local e = redis.call('XRANGE', key, p[1], p[1])[1]\n"
	"	if e then\n"
	"		redis.call('XCLAIM', key, group, me, 0, p[1], 'JUSTID')\n"
	"		out[#out + 1] = { e, p[4] }\n"
	"	else\n"
	"		redis.call('XACK', key, group, p[1])\n"
	"	end\n"
	"end\n"
	"return out\n",
};

static void
set_cursor(struct consume *c, struct slice id)
{
	c->cursor_n = id.n < sizeof(c->cursor) ? id.n : sizeof(c->cursor);
	memcpy(c->cursor, id.p, c->cursor_n);
}

/* From the beginning, with the next command. */
static void
read_back(struct consume *c)
{
	c->history = HISTORY_NOW;
	set_cursor(c, SLICE("0"));
}

/* Ends of commands ------------------------------------------------------- */

/* Goes on at once, or after a pause when Redis answered with an error. */
static void
settle(struct consume *c, const redisReply *reply)
{
	const struct timeval pause = { .tv_sec = PAUSE_SECONDS };

	if (c->state == CONSUME_STOPPED)
		return;
	if (reply == NULL || reply->type != REDIS_REPLY_ERROR) {
		consume_set_state(c, CONSUME_IDLE);
		consume_step(c);
	} else if (redis_is_error(reply, "NOGROUP")) {
		log_warn("consumer group is gone",
		    LF_S("stream", c->options.requests_key));
		c->group_known = false;
		consume_set_state(c, CONSUME_IDLE);
		consume_step(c);
	} else {
		log_error("redis refused", LF("command", command_names[c->state]),
		    LF_S("reason", slice_of(reply->str, (size_t)reply->len)));
		consume_set_state(c, CONSUME_PAUSED);
		event_add(c->pause, &pause);
	}
}

static void
on_pause(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct consume *c = arg;

	consume_set_state(c, CONSUME_IDLE);
	consume_step(c);
}

static void
on_wake(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	consume_step(arg);
}

static void
on_group(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct consume *c = arg;

	bool there = redis_is_error(reply, "BUSYGROUP");

	/*
	 * A Redis that takes no writes refuses before it looks whether the group is
	 * there. Reading tells, and is what makes a full one emptier.
	 */
	c->group_known = there || redis_is_put_off(reply) ||
	    (reply != NULL && reply->type != REDIS_REPLY_ERROR);
	settle(c, there ? NULL : reply);
}

/* Hands the entries of a read on. */
static void
take_entries(struct consume *c, const redisReply *reply)
{
	const redisReply *entries = env_stream_entries(reply);
	struct env_entry entry;

	for (size_t i = 0; env_entry_at(entries, i, &entry); i++) {
		c->options.on_entry(&(struct arrival){ .entry = entry,
		    .held_ms = c->asked_ms, .deliveries = 1 },
		    c->options.arg);
	}
}

/*
 * What was not answered in time may have been too much for the network: large
 * requests are asked for in smaller parts, and more of them as it goes well. Else
 * the same read would fail for ever.
 */
static void
adapt_batch(struct consume *c, const redisReply *reply)
{
	unsigned most = c->options.batch;

	if (reply == NULL)
		c->batch = c->batch > 4 ? c->batch / 4 : 1;
	else
		c->batch = c->batch < most / 2 ? 2 * c->batch : most;
}

/* The end of the history: what comes after it, and when it is read again. */
static void
history_done(struct consume *c)
{
	if (c->history == HISTORY_AGAIN || c->stopping) {
		c->history = HISTORY_CLEAN;
	} else {
		c->history = HISTORY_AGAIN;
		c->again_ms = clock_mono_ms() + c->options.block_ms +
		    LATE_MS;
	}
	set_cursor(c, SLICE("0"));
}

static void
take_past_entry(struct consume *c, const redisReply *item)
{
	struct arrival arrival = { .held_ms = c->asked_ms };

	if (arrival_read(item, &arrival))
		c->options.on_entry(&arrival, c->options.arg);
}

static void
on_history(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct consume *c = arg;
	struct slice before = slice_of(c->cursor, c->cursor_n), last;

	adapt_batch(c, reply);
	if (reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
	    reply->elements > 0) {
		last = redis_slice(reply->element[0]);
		for (size_t i = 1; i < reply->elements; i++)
			take_past_entry(c, reply->element[i]);
		if (slice_eq(last, before))
			history_done(c);
		else
			set_cursor(c, last);
	}
	settle(c, reply);
}

static void
on_read(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct consume *c = arg;

	adapt_batch(c, reply);
	take_entries(c, reply);
	settle(c, reply);
}

/* Starts of commands ----------------------------------------------------- */

static bool
create_group(struct consume *c)
{
	const struct slice argv[] = { SLICE("XGROUP"), SLICE("CREATE"),
		c->options.requests_key, SLICE(ENV_GROUP), SLICE("0"),
		SLICE("MKSTREAM") };

	return redis_send(c->options.commands, argv, ARRAY_LEN(argv), on_group,
	    c);
}

static bool
read_history(struct consume *c)
{
	char count[20];
	const struct slice args[] = { c->options.requests_key, SLICE(ENV_GROUP),
		c->options.worker, slice_of(c->cursor, c->cursor_n),
		u64_slice(count, c->batch) };

	return redis_eval(c->options.commands, &history_script, args,
	    ARRAY_LEN(args), 1, on_history, c);
}

static unsigned
wanted(const struct consume *c)
{
	unsigned room = c->options.room(c->options.arg);

	return room < c->batch ? room : c->batch;
}

static bool
read_new(struct consume *c)
{
	char count[20], block[20];
	const struct slice argv[] = { SLICE("XREADGROUP"), SLICE("GROUP"),
		SLICE(ENV_GROUP), c->options.worker, SLICE("COUNT"),
		slice_of(count, u64_decimal(count, wanted(c))),
		SLICE("BLOCK"),
		slice_of(block, u64_decimal(block, c->options.block_ms)),
		SLICE("STREAMS"), c->options.requests_key, SLICE(">") };

	return redis_send(c->blocking, argv, ARRAY_LEN(argv), on_read, c);
}

static bool
history_due(const struct consume *c)
{
	return c->history == HISTORY_NOW ||
	    (c->history == HISTORY_AGAIN && clock_mono_ms() >= c->again_ms);
}

/* Sends what is next to do; the states are of what has been sent. */
static void
consume_go(struct consume *c, enum consume_state state,
    bool (*send)(struct consume *c))
{
	consume_set_state(c, state);
	c->asked_ms = clock_mono_ms();
	if (!send(c))
		consume_set_state(c, CONSUME_IDLE);
}

static void
stopped(struct consume *c)
{
	consume_set_state(c, CONSUME_STOPPED);
	c->options.on_stopped(c->options.arg);
}

static void
consume_step(struct consume *c)
{
	bool commands = redis_is_ready(c->options.commands);

	if (c->state != CONSUME_IDLE)
		return;
	if (c->stopping && (!commands || c->history == HISTORY_CLEAN))
		stopped(c);
	else if (!commands || (!c->stopping && !redis_is_ready(c->blocking)))
		return;
	else if (!c->group_known)
		consume_go(c, CONSUME_GROUP, create_group);
	else if (history_due(c))
		consume_go(c, CONSUME_HISTORY, read_history);
	else if (!c->stopping && wanted(c) > 0)
		consume_go(c, CONSUME_READING, read_new);
	else if (!c->stopping && c->options.on_rest != NULL)
		c->options.on_rest(c->options.arg);
}

/* Ending a blocking read --------------------------------------------------- */

static void unblock(struct consume *c);

/*
 * 0: the connection is not blocked. The read is still on its way there, or its
 * reply on its way back.
 */
static void
on_unblocked(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct consume *c = arg;

	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER &&
	    reply->integer == 0)
		unblock(c);
}

/*
 * Closing the connection instead would lose what Redis gives to the read before
 * it notices. Without the right to do this, the read ends with its block time.
 */
static void
unblock(struct consume *c)
{
	char id[20];
	const struct slice argv[] = { SLICE("CLIENT"), SLICE("UNBLOCK"),
		slice_of(id, u64_decimal(id, c->blocking_id)) };

	if (c->state != CONSUME_READING || c->blocking_id == 0)
		return;
	(void)!redis_send(c->options.commands, argv, ARRAY_LEN(argv),
	    on_unblocked, c);
}

static void
on_client_id(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct consume *c = arg;

	c->blocking_id = 0;
	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
		c->blocking_id = (uint64_t)reply->integer;
}

/* The object ------------------------------------------------------------- */

static void
on_blocking_state(struct redis *redis UNUSED, bool ready, void *arg)
{
	struct consume *c = arg;
	const struct slice argv[] = { SLICE("CLIENT"), SLICE("ID") };

	if (!ready)
		return;
	(void)!redis_send(c->blocking, argv, ARRAY_LEN(argv), on_client_id, c);
	read_back(c);
	consume_step(c);
}

struct consume *
consume_new(const struct consume_options *options)
{
	struct consume *c = xcalloc(1, sizeof(*c));
	struct redis_options redis = options->redis;

	c->options = *options;
	c->batch = options->batch;
	set_cursor(c, SLICE("0"));
	c->pause = evtimer_new(options->base, on_pause, c);
	c->wake = evtimer_new(options->base, on_wake, c);
	if (c->pause == NULL || c->wake == NULL)
		abort();
	redis.command_timeout_ms = options->block_ms + ANSWER_MS;
	redis.on_state = on_blocking_state;
	redis.arg = c;
	c->blocking = redis_new(options->base, options->dns, &redis);
	return c;
}

void
consume_free(struct consume *c)
{
	if (c == NULL)
		return;
	c->state = CONSUME_STOPPED;
	redis_free(c->blocking);
	event_free(c->pause);
	event_free(c->wake);
	free(c);
}

void
consume_open(struct consume *c)
{
	redis_open(c->blocking);
}

void
consume_commands_ready(struct consume *c, bool ready)
{
	/*
	 * It may be another Redis, or one that lost its data; or a reply of
	 * reclaim.h was lost.
	 */
	if (ready) {
		c->group_known = false;
		read_back(c);
	}
	consume_step(c);
}

void
consume_wake(struct consume *c)
{
	/*
	 * Calls come to their end many at a time: a read within the first one's
	 * callback would ask for less than there is room for.
	 */
	if (c->state == CONSUME_IDLE)
		event_active(c->wake, EV_TIMEOUT, 0);
}

void
consume_rest(struct consume *c)
{
	unblock(c);
	consume_wake(c);
}

bool
consume_is_reading(const struct consume *c)
{
	return c->state == CONSUME_READING;
}

void
consume_regroup(struct consume *c)
{
	c->group_known = false;
	consume_step(c);
}

void
consume_stop(struct consume *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	read_back(c);
	unblock(c);
	if (c->state == CONSUME_PAUSED) {
		event_del(c->pause);
		consume_set_state(c, CONSUME_IDLE);
	}
	consume_step(c);
}
