#include "proxy/inbox.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/queue.h"
#include "common/xalloc.h"

/* Entries per XREAD; one entry may hold ENV_MESSAGES_PER_ENTRY messages. */
#define READ_COUNT "128"
#define READ_BLOCK_MS "5000"
/* Entries in hand before reading pauses: what waits, waits in Redis. */
#define IN_HAND_MAX 1024
/* Entries per XDEL. */
#define DELETE_MAX 256
/* Two decimal 64-bit numbers and a dash. */
#define ENTRY_ID_MAX 41

enum entry_state {
	ENTRY_OPEN,      /* some message is not dealt with */
	ENTRY_DONE,      /* to be deleted */
	ENTRY_DELETING,  /* XDEL sent; the list is in the order of sending */
	ENTRY_GONE,      /* deleted, but a read sent before may still bring it */
	ENTRY_STATES
};

struct inbox_entry {
	TAILQ_ENTRY(inbox_entry) link;  /* of inbox->entries[state] */
	struct inbox *inbox;
	enum entry_state state;
	unsigned left;  /* messages not dealt with, plus one while reading */
	size_t id_len;
	char id[ENTRY_ID_MAX + 1];
};

TAILQ_HEAD(entry_list, inbox_entry);

/* An entry's id as numbers, to be compared. */
struct position {
	uint64_t ms, seq;
};

struct inbox {
	struct redis *commands;
	struct redis *reader;
	inbox_cb *cb;
	void *arg;
	struct env_keybuf keybuf;
	struct slice key;
	char last_id[ENTRY_ID_MAX + 1];
	struct position newest;        /* of all entries ever read */
	bool reading;                  /* an XREAD is on its way */
	bool again;                    /* re-reading what is not newer than that */
	struct entry_list entries[ENTRY_STATES];
	unsigned in_hand;
	struct event *turn_end;
	bool turn_end_active;
};

/* One XDEL on its way. */
struct deletion {
	struct inbox *inbox;
	size_t count;
};

static void
set_state(struct inbox_entry *e, enum entry_state state)
{
	struct inbox *in = e->inbox;

	TAILQ_REMOVE(&in->entries[e->state], e, link);
	e->state = state;
	TAILQ_INSERT_TAIL(&in->entries[state], e, link);
}

static void
forget(struct inbox_entry *e)
{
	TAILQ_REMOVE(&e->inbox->entries[e->state], e, link);
	free(e);
}

static void
forget_all(struct entry_list *list)
{
	struct inbox_entry *e, *next;

	TAILQ_FOREACH_SAFE(e, list, link, next)
		forget(e);
}

/* Redis has deleted it. */
static void
deleted(struct inbox_entry *e)
{
	e->inbox->in_hand--;
	if (e->inbox->again)
		set_state(e, ENTRY_GONE);
	else
		forget(e);
}

/* Deleting --------------------------------------------------------------- */

static void
at_turn_end(struct inbox *in)
{
	if (in->turn_end_active)
		return;
	in->turn_end_active = true;
	event_active(in->turn_end, EV_TIMEOUT, 0);
}

void
inbox_done(struct inbox_entry *e)
{
	if (e == NULL || --e->left > 0)
		return;
	set_state(e, ENTRY_DONE);
	at_turn_end(e->inbox);
}

static void read_more(struct inbox *in);

/*
 * When it failed, or its outcome is unknown, the entries may still be in Redis:
 * they stay in our hands, so that re-reading skips them, and are deleted once
 * more. Otherwise there is room again for what waits in Redis.
 */
static void
on_deleted(struct redis *r, const redisReply *reply, void *arg)
{
	struct deletion *d = arg;
	struct inbox *in = d->inbox;
	struct inbox_entry *e, *next;
	bool ok = reply != NULL && reply->type != REDIS_REPLY_ERROR;

	(void)r;
	if (reply != NULL && !ok)
		log_warn("inbox entries not deleted", LF("error", reply->str));
	TAILQ_FOREACH_SAFE(e, &in->entries[ENTRY_DELETING], link, next) {
		if (d->count-- == 0)
			break;
		if (ok)
			deleted(e);
		else
			set_state(e, ENTRY_DONE);
	}
	free(d);
	if (ok)
		read_more(in);
}

/* Sends one XDEL for up to DELETE_MAX entries; false when there is no more. */
static bool
delete_some(struct inbox *in)
{
	struct slice argv[2 + DELETE_MAX] = { SLICE("XDEL"), in->key };
	struct deletion *d;
	struct inbox_entry *e;
	size_t n = 0;

	TAILQ_FOREACH(e, &in->entries[ENTRY_DONE], link) {
		if (n == DELETE_MAX)
			break;
		argv[2 + n++] = slice_of(e->id, e->id_len);
	}
	if (n == 0)
		return false;
	d = xcalloc(1, sizeof(*d));
	*d = (struct deletion){ in, n };
	if (!redis_send(in->commands, argv, 2 + n, on_deleted, d)) {
		free(d);
		return false;
	}
	while (n-- > 0)
		set_state(TAILQ_FIRST(&in->entries[ENTRY_DONE]), ENTRY_DELETING);
	return true;
}

static void
on_turn_end(evutil_socket_t fd, short what, void *arg)
{
	struct inbox *in = arg;

	(void)fd;
	(void)what;
	in->turn_end_active = false;
	while (delete_some(in))
		;
}

void
inbox_tick(struct inbox *in)
{
	at_turn_end(in);
	read_more(in);
}

/* Reading ----------------------------------------------------------------- */

static bool
is_in_hand(const struct inbox *in, struct slice id)
{
	struct inbox_entry *e;

	for (size_t i = 0; i < ENTRY_STATES; i++) {
		TAILQ_FOREACH(e, &in->entries[i], link) {
			if (slice_eq(slice_of(e->id, e->id_len), id))
				return true;
		}
	}
	return false;
}

static void
end_rereading(struct inbox *in)
{
	in->again = false;
	forget_all(&in->entries[ENTRY_GONE]);
}

static bool
read_position(struct slice id, struct position *out)
{
	const char *dash = memchr(id.p, '-', id.n);

	return dash != NULL &&
	    env_number(slice_of(id.p, (size_t)(dash - id.p)), &out->ms) &&
	    env_number(slice_of(dash + 1, id.n - (size_t)(dash - id.p) - 1),
		&out->seq);
}

/*
 * After a reconnect, is this an entry that we have already? The first one that
 * is newer than all before ends the re-reading.
 */
static bool
is_read_again(struct inbox *in, struct slice id)
{
	struct position at;

	if (!read_position(id, &at))
		return false;
	if (at.ms > in->newest.ms ||
	    (at.ms == in->newest.ms && at.seq > in->newest.seq)) {
		in->newest = at;
		end_rereading(in);
		return false;
	}
	return in->again && is_in_hand(in, id);
}

static void
take_entry(struct inbox *in, const struct env_entry *entry)
{
	struct inbox_entry *e;
	struct env_message message;
	unsigned malformed = 0;
	size_t at = 0;

	if (entry->fields == NULL || is_read_again(in, entry->id))
		return;
	e = xcalloc(1, sizeof(*e));
	e->inbox = in;
	e->left = 1;
	e->id_len = entry->id.n;
	memcpy(e->id, entry->id.p, entry->id.n);
	TAILQ_INSERT_TAIL(&in->entries[ENTRY_OPEN], e, link);
	in->in_hand++;
	while (env_message_next(entry->fields, &at, &message, &malformed)) {
		e->left++;
		in->cb(&message, e, in->arg);
	}
	if (malformed > 0)
		log_warn("malformed messages dropped", LF("entry", e->id),
		    LF_N("messages", malformed));
	inbox_done(e);
}

static void
take_entries(struct inbox *in, const redisReply *entries)
{
	struct env_entry entry;

	for (size_t i = 0; i < entries->elements; i++) {
		if (!env_entry_at(entries, i, &entry) ||
		    entry.id.n > ENTRY_ID_MAX)
			continue;
		memcpy(in->last_id, entry.id.p, entry.id.n);
		in->last_id[entry.id.n] = '\0';
		take_entry(in, &entry);
	}
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
	else
		end_rereading(in);
	read_more(in);
}

static void
read_more(struct inbox *in)
{
	struct slice argv[] = { SLICE("XREAD"), SLICE("COUNT"),
		SLICE(READ_COUNT), SLICE("BLOCK"), SLICE(READ_BLOCK_MS),
		SLICE("STREAMS"), in->key, slice_str(in->last_id) };

	if (in->reading || in->in_hand > IN_HAND_MAX)
		return;
	in->reading = redis_send(in->reader, argv, ARRAY_LEN(argv), on_read, in);
}

static void
on_reader_state(struct redis *r, bool ready, void *arg)
{
	struct inbox *in = arg;

	(void)r;
	if (!ready)
		return;
	memcpy(in->last_id, "0-0", sizeof("0-0"));
	in->again = true;
	read_more(in);
}

/* The inbox ---------------------------------------------------------------- */

struct inbox *
inbox_new(struct event_base *base, struct evdns_base *dns,
    struct redis *commands, const struct redis_options *reader_options,
    struct slice pod, inbox_cb *cb, void *arg)
{
	struct inbox *in = xcalloc(1, sizeof(*in));
	struct redis_options options = *reader_options;

	in->commands = commands;
	in->cb = cb;
	in->arg = arg;
	in->key = env_key(&in->keybuf, ENV_REPLIES, pod);
	for (size_t i = 0; i < ENTRY_STATES; i++)
		TAILQ_INIT(&in->entries[i]);
	in->turn_end = event_new(base, -1, 0, on_turn_end, in);
	options.on_state = on_reader_state;
	options.arg = in;
	in->reader = redis_new(base, dns, &options);
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
	redis_free(in->reader);
	for (size_t i = 0; i < ENTRY_STATES; i++)
		forget_all(&in->entries[i]);
	event_free(in->turn_end);
	free(in);
}

bool
inbox_is_ready(const struct inbox *in)
{
	return redis_is_ready(in->reader);
}

uint64_t
inbox_commands_sent(const struct inbox *in)
{
	return redis_commands_sent(in->reader);
}
