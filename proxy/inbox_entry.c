#include "proxy/inbox_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

/* Entries per XDEL. */
#define DELETE_MAX 256
/* Entries to be deleted that are remembered: some 12 MB of them. */
#define UNDELETED_MAX 100000
/* How long deleting rests after a refusal; twice as long after the next. */
#define REST_MIN_MS 1000
#define REST_MAX_MS 30000

/* One XDEL on its way. */
struct deletion {
	struct inbox *inbox;
	size_t count;
	size_t certain;  /* of these, that were there as far as we know */
};

/* States -------------------------------------------------------------------- */

static void
leave_list(struct inbox_entry *e)
{
	TAILQ_REMOVE(&e->inbox->entries[e->state], e, link);
	e->inbox->counts[e->state]--;
	if (e->state == ENTRY_OPEN)
		e->inbox->open_bytes -= e->bytes;
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

void
inbox_entry_forget(struct inbox_entry *e)
{
	leave_list(e);
	free(e);
}

struct inbox_entry *
inbox_entry_new(struct inbox *in, const struct env_entry *entry)
{
	struct inbox_entry *e = xcalloc(1, sizeof(*e));

	e->inbox = in;
	e->left = 1;
	e->mark = inbox_entry_mark(entry);
	e->id_len = (uint8_t)entry->id.n;
	memcpy(e->id, entry->id.p, entry->id.n);
	join_list(e, ENTRY_OPEN);
	return e;
}

/* The oldest one will be the first that those who write to us trim. */
static void
bound_undeleted(struct inbox *in)
{
	if (inbox_undeleted(in) <= UNDELETED_MAX ||
	    TAILQ_EMPTY(&in->entries[ENTRY_DONE]))
		return;
	/* It leaves the list: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	inbox_entry_forget(TAILQ_FIRST(&in->entries[ENTRY_DONE]));
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
	inbox_at_turn_end(in);
}

unsigned
inbox_undeleted(const struct inbox *in)
{
	return in->counts[ENTRY_DONE] + in->counts[ENTRY_DELETING];
}

/* Deleting --------------------------------------------------------------- */

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
			inbox_entry_forget(e);
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
		inbox_at_turn_end(in);
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

bool
inbox_delete_some(struct inbox *in)
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
