#include "proxy/inbox.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/queue.h"
#include "common/xalloc.h"

/* Entries per XREAD; one entry may hold ENV_MESSAGES_PER_ENTRY messages. */
#define READ_COUNT 128
#define READ_COUNT_TEXT "128"
#define READ_BLOCK_MS "5000"
/* Entries not dealt with before reading pauses: what waits, waits in Redis. */
#define OPEN_MAX 1024
/* Entries per XDEL. */
#define DELETE_MAX 256
/* Entries to be deleted that are remembered: some 12 MB of them. */
#define UNDELETED_MAX 100000
/* How long deleting rests after a refusal; twice as long after the next. */
#define REST_MIN_MS 1000
#define REST_MAX_MS 30000
/* Two decimal 64-bit numbers and a dash. */
#define ENTRY_ID_MAX 41
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

enum entry_state {
	ENTRY_OPEN,      /* some message is not dealt with */
	ENTRY_DONE,      /* to be deleted */
	ENTRY_DELETING,  /* XDEL sent; the list is in the order of sending */
	ENTRY_STATES
};

struct inbox_entry {
	TAILQ_ENTRY(inbox_entry) link;  /* of inbox->entries[state] */
	struct inbox *inbox;
	enum entry_state state;
	unsigned left;   /* messages not dealt with, plus one while reading */
	uint64_t mark;   /* of its first call: see mark_of() */
	bool tried;      /* it may have been deleted: see inbox_reread() */
	uint8_t id_len;
	char id[ENTRY_ID_MAX + 1];
};

TAILQ_HEAD(entry_list, inbox_entry);

/* An entry's id as numbers, to be compared, and its mark. */
struct known {
	uint64_t ms, seq, mark;
};

struct inbox {
	struct event_base *base;
	struct evdns_base *dns;
	struct redis_options reader_options;
	struct redis *commands;
	struct redis *reader;
	inbox_cb *cb;
	void *arg;
	struct env_keybuf keybuf;
	struct slice key;
	char last_id[ENTRY_ID_MAX + 1];
	bool reading;                  /* an XREAD is on its way */
	uint64_t asked_ms;             /* when it was sent */
	uint64_t doubt_until_ms;
	struct inbox_reading view;
	/* While reading from the beginning: what was in our hands then, in order. */
	struct known *known;
	size_t known_count;
	bool rereading;
	bool forgetful;                /* not all undeleted entries are known */
	struct entry_list entries[ENTRY_STATES];
	unsigned counts[ENTRY_STATES];
	unsigned rest_ms;              /* after a refusal; 0: none lately */
	uint64_t rest_until_ms;
	uint64_t sent_before;          /* by readers before this one */
	struct event *turn_end;
	bool turn_end_active;
};

/* One XDEL on its way. */
struct deletion {
	struct inbox *inbox;
	size_t count;
	size_t certain;  /* of these, that were there as far as we know */
};

static void
leave_list(struct inbox_entry *e)
{
	TAILQ_REMOVE(&e->inbox->entries[e->state], e, link);
	e->inbox->counts[e->state]--;
}

static void
join_list(struct inbox_entry *e, enum entry_state state)
{
	e->state = state;
	TAILQ_INSERT_TAIL(&e->inbox->entries[state], e, link);
	e->inbox->counts[state]++;
}

static void
set_state(struct inbox_entry *e, enum entry_state state)
{
	leave_list(e);
	join_list(e, state);
}

static void
forget(struct inbox_entry *e)
{
	leave_list(e);
	free(e);
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

/* The oldest one will be the first that those who write to us trim. */
static void
bound_undeleted(struct inbox *in)
{
	if (inbox_undeleted(in) <= UNDELETED_MAX ||
	    TAILQ_EMPTY(&in->entries[ENTRY_DONE]))
		return;
	/* It leaves the list: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	forget(TAILQ_FIRST(&in->entries[ENTRY_DONE]));
	in->forgetful = true;
}

void
inbox_done(struct inbox_entry *e)
{
	struct inbox *in;

	if (e == NULL || --e->left > 0)
		return;
	in = e->inbox;
	set_state(e, ENTRY_DONE);
	bound_undeleted(in);
	at_turn_end(in);
}

static void read_more(struct inbox *in);

static void
rest(struct inbox *in, const char *error)
{
	uint64_t now = clock_mono_ms();

	if (now < in->rest_until_ms)
		return;
	in->rest_ms = in->rest_ms == 0 ? REST_MIN_MS : in->rest_ms * 2;
	if (in->rest_ms > REST_MAX_MS)
		in->rest_ms = REST_MAX_MS;
	in->rest_until_ms = now + in->rest_ms;
	log_warn("inbox entries not deleted", LF("error", error),
	    LF_N("entries", inbox_undeleted(in)),
	    LF_N("again_in_ms", in->rest_ms));
}

/*
 * When it failed, or its outcome is unknown, the entries may still be in Redis:
 * they stay in our hands, so that re-reading skips them, and are deleted once
 * more.
 */
static void
settle_deleted(struct inbox *in, size_t count, bool gone, bool unknown)
{
	struct inbox_entry *e;

	while (count-- > 0 &&
	    (e = TAILQ_FIRST(&in->entries[ENTRY_DELETING])) != NULL) {
		/* It leaves the list: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		e->tried |= unknown;
		if (gone)
			forget(e);
		else
			set_state(e, ENTRY_DONE);
	}
}

/*
 * When fewer are deleted than were there, Redis has lost its data, or somebody
 * took us for dead: what else we have not seen?
 */
static void
on_deleted(struct redis *r, const redisReply *reply, void *arg)
{
	struct deletion *d = arg;
	struct inbox *in = d->inbox;
	bool ok = reply != NULL && reply->type == REDIS_REPLY_INTEGER;

	(void)r;
	settle_deleted(in, d->count, ok, reply == NULL);
	if (ok) {
		in->rest_ms = 0;
		in->rest_until_ms = 0;
		at_turn_end(in);
		if ((uint64_t)reply->integer < d->certain)
			inbox_reread(in);
	} else if (reply != NULL) {
		rest(in, reply->str);
	}
	free(d);
}

/* After a refusal one XDEL tries whether Redis takes them again. */
static bool
may_delete(const struct inbox *in)
{
	return in->rest_ms == 0 || (in->counts[ENTRY_DELETING] == 0 &&
	    clock_mono_ms() >= in->rest_until_ms);
}

/* Sends one XDEL for up to DELETE_MAX entries; false when there is no more. */
static bool
delete_some(struct inbox *in)
{
	struct slice argv[2 + DELETE_MAX] = { SLICE("XDEL"), in->key };
	struct deletion *d;
	struct inbox_entry *e;
	size_t n = 0, certain = 0;

	if (!may_delete(in))
		return false;
	TAILQ_FOREACH(e, &in->entries[ENTRY_DONE], link) {
		if (n == DELETE_MAX)
			break;
		certain += !e->tried;
		argv[2 + n++] = slice_of(e->id, e->id_len);
	}
	if (n == 0)
		return false;
	d = xcalloc(1, sizeof(*d));
	*d = (struct deletion){ in, n, certain };
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
	read_more(in);
}

void
inbox_tick(struct inbox *in)
{
	at_turn_end(in);
	read_more(in);
}

/* Reading again ------------------------------------------------------------- */

static bool
read_position(struct slice id, struct known *out)
{
	const char *dash = memchr(id.p, '-', id.n);

	return dash != NULL &&
	    env_number(slice_of(id.p, (size_t)(dash - id.p)), &out->ms) &&
	    env_number(slice_of(dash + 1, id.n - (size_t)(dash - id.p) - 1),
		&out->seq);
}

/*
 * Tells entries with equal ids apart: a Redis that lost its data may give an id
 * anew. Call ids are random.
 */
static uint64_t
mark_of(struct slice call)
{
	uint64_t mark = 0;

	memcpy(&mark, call.p != NULL ? call.p : "",
	    call.n < sizeof(mark) ? call.n : sizeof(mark));
	return mark;
}

static int
by_position(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	if (x->ms != y->ms)
		return x->ms < y->ms ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

static void
end_rereading(struct inbox *in)
{
	in->rereading = false;
	free(in->known);
	in->known = NULL;
	in->known_count = 0;
}

static void
begin_rereading(struct inbox *in)
{
	struct inbox_entry *e;
	size_t n = 0;

	end_rereading(in);
	for (size_t i = 0; i < ENTRY_STATES; i++)
		n += in->counts[i];
	in->known = xcalloc(n + 1, sizeof(*in->known));
	for (size_t i = 0; i < ENTRY_STATES; i++) {
		TAILQ_FOREACH(e, &in->entries[i], link) {
			struct known *k = &in->known[in->known_count];

			k->mark = e->mark;
			in->known_count +=
			    read_position(slice_of(e->id, e->id_len), k);
		}
	}
	qsort(in->known, in->known_count, sizeof(*in->known), by_position);
	memcpy(in->last_id, "0-0", sizeof("0-0"));
	in->rereading = true;
}

static uint64_t
entry_mark(const struct env_entry *entry)
{
	struct env_message message;
	unsigned malformed = 0;
	size_t at = 0;

	return env_message_next(entry->fields, &at, &message, &malformed) ?
	    mark_of(message.call) : 0;
}

/* Is this an entry that we have had in our hands? */
static bool
is_known(const struct inbox *in, const struct env_entry *entry)
{
	struct known at, *found;

	if (in->known_count == 0 || !read_position(entry->id, &at))
		return false;
	found = bsearch(&at, in->known, in->known_count, sizeof(at), by_position);
	return found != NULL && found->mark == entry_mark(entry);
}

/* Reading ----------------------------------------------------------------- */

static struct inbox_entry *
entry_new(struct inbox *in, const struct env_entry *entry)
{
	struct inbox_entry *e = xcalloc(1, sizeof(*e));

	e->inbox = in;
	e->left = 1;
	e->mark = entry_mark(entry);
	e->id_len = (uint8_t)entry->id.n;
	memcpy(e->id, entry->id.p, entry->id.n);
	join_list(e, ENTRY_OPEN);
	return e;
}

static void
take_entry(struct inbox *in, const struct env_entry *entry)
{
	struct inbox_entry *e;
	struct env_message message;
	unsigned malformed = 0;
	size_t at = 0;

	if (entry->fields == NULL || is_known(in, entry))
		return;
	e = entry_new(in, entry);
	while (env_message_next(entry->fields, &at, &message, &malformed)) {
		e->left++;
		if (in->rereading && in->forgetful)
			message.attempt = SLICE("2");
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

/* There was no more in the inbox when Redis answered, after it was asked. */
static void
note_complete(struct inbox *in)
{
	struct inbox_reading *view = &in->view;

	end_rereading(in);
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
	if (entries == NULL || entries->elements < READ_COUNT)
		note_complete(in);
	read_more(in);
}

static void
read_more(struct inbox *in)
{
	struct slice argv[] = { SLICE("XREAD"), SLICE("COUNT"),
		SLICE(READ_COUNT_TEXT), SLICE("BLOCK"), SLICE(READ_BLOCK_MS),
		SLICE("STREAMS"), in->key, slice_str(in->last_id) };

	if (in->reading || in->counts[ENTRY_OPEN] > OPEN_MAX)
		return;
	in->asked_ms = clock_mono_ms();
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
	begin_rereading(in);
	read_more(in);
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
	end_rereading(in);
	for (size_t i = 0; i < ENTRY_STATES; i++) {
		while ((e = TAILQ_FIRST(&in->entries[i])) != NULL)
			/* As above: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
			forget(e);
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

unsigned
inbox_undeleted(const struct inbox *in)
{
	return in->counts[ENTRY_DONE] + in->counts[ENTRY_DELETING];
}

uint64_t
inbox_commands_sent(const struct inbox *in)
{
	return in->sent_before + redis_commands_sent(in->reader);
}
