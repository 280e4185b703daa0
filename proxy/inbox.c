#include "proxy/inbox_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

/*
 * Entries per XREAD; one entry may hold ENV_MESSAGES_PER_ENTRY messages. Fewer where
 * the last ones were large, and at first.
 */
#define READ_COUNT 128
#define READ_COUNT_FIRST 16
#define READ_BYTES ((size_t)2 << 20)
#define READ_BLOCK_MS "5000"
/* What is not dealt with before reading pauses: what waits, waits in Redis. */
#define OPEN_MAX 1024
#define OPEN_MAX_BYTES ((size_t)4 << 20)
/*
 * Readings further apart than this leave a gap: we were frozen, or cut off. An
 * idle inbox is read every READ_BLOCK_MS.
 */
#define GAP_MS 10000
/*
 * After Redis lost its data all pods write their sessions' records anew, within
 * a few heartbeats, and tell nobody: for so long reading the inbox proves nothing.
 */
#define DOUBT_MS (3 * ENV_HEARTBEAT_EVERY_MS)

/* Turns of the loop --------------------------------------------------------- */

void
inbox_at_turn_end(struct inbox *in)
{
	if (in->turn_end_active)
		return;
	in->turn_end_active = true;
	event_active(in->turn_end, EV_TIMEOUT, 0);
}

static void
on_turn_end(evutil_socket_t fd, short what, void *arg)
{
	struct inbox *in = arg;

	(void)fd;
	(void)what;
	in->turn_end_active = false;
	while (inbox_delete_some(in))
		;
	inbox_read_more(in);
}

void
inbox_tick(struct inbox *in)
{
	inbox_at_turn_end(in);
	inbox_read_more(in);
}

/* Reading ----------------------------------------------------------------- */

/* Returns the bytes of its messages. */
static size_t
take_entry(struct inbox *in, const struct env_entry *entry)
{
	struct inbox_entry *e;
	struct env_message message;
	unsigned malformed = 0;
	size_t at = 0, bytes = 0;

	if (entry->fields == NULL || inbox_is_known(in, entry))
		return 0;
	e = inbox_entry_new(in, entry);
	while (env_message_next(entry->fields, &at, &message, &malformed)) {
		e->left++;
		e->bytes += message.payload.n;
		in->open_bytes += message.payload.n;
		bytes += message.payload.n;
		if (in->rereading && in->forgetful)
			message.attempt = SLICE("2");
		in->cb(&message, e, in->arg);
	}
	if (malformed > 0)
		log_warn("malformed messages dropped", LF("entry", e->id),
		    LF_N("messages", malformed));
	inbox_done(e);
	return bytes;
}

/* As many entries as fit, if they are like those that came last. */
static unsigned
count_like(size_t entries, size_t bytes)
{
	size_t fit = bytes == 0 ? READ_COUNT : READ_BYTES * entries / bytes;

	return fit == 0 ? 1 : fit > READ_COUNT ? READ_COUNT : (unsigned)fit;
}

static void
take_entries(struct inbox *in, const redisReply *entries)
{
	struct env_entry entry;
	size_t bytes = 0;

	for (size_t i = 0; i < entries->elements; i++) {
		if (!env_entry_at(entries, i, &entry) ||
		    entry.id.n > ENTRY_ID_MAX)
			continue;
		memcpy(in->last_id, entry.id.p, entry.id.n);
		in->last_id[entry.id.n] = '\0';
		bytes += take_entry(in, &entry);
	}
	if (entries->elements > 0)
		in->ask = count_like(entries->elements, bytes);
}

/* There was no more in the inbox when Redis answered, after it was asked. */
static void
note_complete(struct inbox *in)
{
	struct inbox_reading *view = &in->view;

	inbox_end_rereading(in);
	if (view->unbroken_ms == UINT64_MAX ||
	    in->asked_ms - view->complete_ms > GAP_MS)
		view->unbroken_ms = in->asked_ms > in->doubt_until_ms ?
		    in->asked_ms : in->doubt_until_ms;
	view->complete_ms = in->asked_ms;
}

static void
on_read(struct redis *r, const redisReply *reply, void *arg)
{
	struct inbox *in = arg;
	const redisReply *entries;

	(void)r;
	in->reading = false;
	if (reply == NULL)
		return;
	if (reply->type == REDIS_REPLY_ERROR) {
		/* The next tick tries again: at once could spin. */
		log_warn("inbox not read", LF("error", reply->str));
		return;
	}
	entries = env_stream_entries(reply);
	if (entries != NULL)
		take_entries(in, entries);
	if (entries == NULL || entries->elements < in->asked)
		note_complete(in);
	inbox_read_more(in);
}

void
inbox_read_more(struct inbox *in)
{
	char count[20];
	struct slice argv[] = { SLICE("XREAD"), SLICE("COUNT"),
		u64_slice(count, in->ask), SLICE("BLOCK"), SLICE(READ_BLOCK_MS),
		SLICE("STREAMS"), in->key, slice_str(in->last_id) };

	if (in->reading || in->counts[ENTRY_OPEN] > OPEN_MAX ||
	    in->open_bytes > OPEN_MAX_BYTES)
		return;
	in->asked_ms = clock_mono_ms();
	in->asked = in->ask;
	in->reading = redis_send(in->reader, argv, ARRAY_LEN(argv), on_read, in);
}

static void
on_reader_state(struct redis *r, bool ready, void *arg)
{
	struct inbox *in = arg;

	(void)r;
	in->view.unbroken_ms = UINT64_MAX;
	if (!ready)
		return;
	inbox_begin_rereading(in);
	inbox_read_more(in);
}

/* The inbox ---------------------------------------------------------------- */

static void
open_reader(struct inbox *in)
{
	in->reader = redis_new(in->base, in->dns, &in->reader_options);
	redis_open(in->reader);
}

/*
 * An XREAD that waits for ids above those of a stream that is gone would wait on:
 * it ends with its connection.
 */
void
inbox_reread(struct inbox *in)
{
	struct inbox_entry *e;

	for (size_t i = 0; i < ENTRY_STATES; i++) {
		TAILQ_FOREACH(e, &in->entries[i], link)
			e->tried = true;
	}
	in->doubt_until_ms = clock_mono_ms() + DOUBT_MS;
	in->view.unbroken_ms = UINT64_MAX;
	if (!redis_is_ready(in->reader))
		return;
	in->sent_before += redis_commands_sent(in->reader);
	redis_free(in->reader);
	open_reader(in);
}

struct inbox *
inbox_new(struct event_base *base, struct evdns_base *dns,
    struct redis *commands, const struct redis_options *reader_options,
    struct slice pod, inbox_cb *cb, void *arg)
{
	struct inbox *in = xcalloc(1, sizeof(*in));

	in->base = base;
	in->dns = dns;
	in->commands = commands;
	in->cb = cb;
	in->arg = arg;
	in->key = env_key(&in->keybuf, ENV_REPLIES, pod);
	in->ask = READ_COUNT_FIRST;
	in->view.unbroken_ms = UINT64_MAX;
	for (size_t i = 0; i < ENTRY_STATES; i++)
		TAILQ_INIT(&in->entries[i]);
	in->turn_end = event_new(base, -1, 0, on_turn_end, in);
	in->reader_options = *reader_options;
	in->reader_options.on_state = on_reader_state;
	in->reader_options.arg = in;
	in->reader = redis_new(base, dns, &in->reader_options);
	return in;
}

void
inbox_open(struct inbox *in)
{
	redis_open(in->reader);
}

void
inbox_free(struct inbox *in)
{
	struct inbox_entry *e;

	redis_free(in->reader);
	inbox_end_rereading(in);
	for (size_t i = 0; i < ENTRY_STATES; i++) {
		while ((e = TAILQ_FIRST(&in->entries[i])) != NULL)
			/* As above: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
			inbox_entry_forget(e);
	}
	event_free(in->turn_end);
	free(in);
}

bool
inbox_is_ready(const struct inbox *in)
{
	return redis_is_ready(in->reader);
}

const struct inbox_reading *
inbox_reading(const struct inbox *in)
{
	return &in->view;
}

uint64_t
inbox_commands_sent(const struct inbox *in)
{
	return in->sent_before + redis_commands_sent(in->reader);
}
