/*
 * What is kept about sessions beside their ownership: the user's record of each,
 * and the counters. Nothing here decides anything; whatever is missing or late
 * is merely missing from what users and operators are shown.
 *
 * A record is written when its session has changed, on the next tick, a bounded
 * number at a time; and at once when the session is let go, ahead of the word that
 * it waits for its client, because whoever takes it reads the record.
 */
#include "proxy/session_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "proxy/declaration.h"

/* Records written per tick: a storm must leave Redis time for the calls. */
#define RECORDS_PER_TICK 2000

/* Records ------------------------------------------------------------------- */

static struct user_session
record_of(const struct session *s)
{
	return (struct user_session){
		.epoch = s->epoch,
		.api = slice_str(s->api),
		.transport = SLICE("sse"),
		.protocol = slice_str(s->protocol),
		.user_kind = slice_str(principal_kind_name(s->user_kind)),
		.client = client_name_text(s->book.client),
		.client_version = client_name_version(s->book.client),
		.pod = s->all->options.pod,
		.created_ms = s->book.created_ms,
		.seen_ms = clock_wall_ms(),
		.messages = s->book.messages_before + s->events,
		.reattaches = s->book.reattaches,
		.recoveries = s->book.recoveries,
	};
}

static bool
put(struct session *s, const struct user_session *record, uint64_t ttl_ms)
{
	char user[SHA256_HEX_LEN + 1];

	return user_index_put(s->all->users, session_user_hash(s, user),
	    session_sid(s), record, ttl_ms);
}

static void
unmark(struct session *s)
{
	if (!s->book.marked)
		return;
	s->book.marked = false;
	TAILQ_REMOVE(&s->all->changed, s, book.link);
}

void
session_book_mark(struct session *s)
{
	if (s->book.marked || !s->book.counted)
		return;
	s->book.marked = true;
	TAILQ_INSERT_TAIL(&s->all->changed, s, book.link);
}

static void
write_some(struct sessions *all)
{
	unsigned left = RECORDS_PER_TICK;
	struct user_session record;
	struct session *s;

	while (left-- > 0 && (s = TAILQ_FIRST(&all->changed)) != NULL) {
		record = record_of(s);
		if (!put(s, &record, session_ttl_ms(s)))
			return;
		unmark(s);
	}
}

/* Counting ------------------------------------------------------------------ */

static struct census_entry
entry_of(const struct session *s)
{
	return (struct census_entry){
		.user_kind = slice_str(principal_kind_name(s->user_kind)),
		.api = slice_str(s->api),
		.transport = SLICE("sse"),
		.client = client_name_text(s->book.client),
		.born_minute = s->book.born_minute,
	};
}

static void
enter(struct session *s)
{
	struct census_entry e = entry_of(s);

	census_enter(s->all->census, &e, s->book.created_ms);
	s->book.born_minute = e.born_minute;
	s->book.counted = true;
}

static void
leave(struct session *s)
{
	struct census_entry e = entry_of(s);

	census_exit(s->all->census, &e);
	s->book.counted = false;
}

void
session_book_opened(struct session *s)
{
	census_note(s->all->census, "opened", "all");
	s->book.created_ms = clock_wall_ms();
	enter(s);
	session_book_mark(s);
}

/* Who the client is -------------------------------------------------------- */

static void
set_client(struct session *s, struct slice name, struct slice version)
{
	struct client_name *before = s->book.client;
	bool counted = s->book.counted;

	if (counted)
		leave(s);
	s->book.client = client_name_get(s->all->names, name, version);
	client_name_unref(before);
	if (counted)
		enter(s);
}

void
session_book_introduced(struct session *s, struct slice note)
{
	struct declaration_client client;
	size_t n;

	if (!declaration_client(note, &client))
		return;
	set_client(s, client.name, client.version);
	n = client.protocol.n;
	if (n > 0 && n < sizeof(s->protocol)) {
		memcpy(s->protocol, client.protocol.p, n);
		s->protocol[n] = '\0';
	}
	session_book_mark(s);
}

/* Coming back --------------------------------------------------------------- */

static void
take_out_of_waiting(struct session *s, const struct user_session *record)
{
	struct census_entry e = {
		.user_kind = record->user_kind,
		.api = record->api,
		.transport = record->transport,
		.client = record->client,
		.born_minute = (uint32_t)(record->created_ms / 60000),
	};

	census_returned(s->all->census, &e, record->detached_ms,
	    record->detached_until_ms);
}

static void
take_over(struct session *s, const struct user_session *record)
{
	leave(s);
	s->book.created_ms = record->created_ms;
	s->book.messages_before = record->messages;
	s->book.reattaches += record->reattaches;
	s->book.recoveries += record->recoveries;
	enter(s);
	/* initialize may have come before the record did. */
	if (s->book.client == NULL)
		set_client(s, record->client, record->client_version);
}

static void
on_record(struct redis *r, const redisReply *reply, void *arg)
{
	struct session *s = arg;
	struct user_session record;

	(void)r;
	if (user_session_unpack(redis_slice(reply), &record)) {
		if (record.detached_until_ms != 0)
			take_out_of_waiting(s, &record);
		if (s->book.counted)
			take_over(s, &record);
	}
	session_book_mark(s);
	session_unref(s);
}

void
session_book_reattached(struct session *s, bool detached)
{
	char user[SHA256_HEX_LEN + 1];

	census_note(s->all->census, "reattached",
	    detached ? "detached" : "owner");
	s->book.created_ms = clock_wall_ms();
	s->book.reattaches = detached;
	s->book.recoveries = !detached;
	enter(s);
	if (user_index_get(s->all->users, session_user_hash(s, user),
		session_sid(s), on_record, s))
		s->refs++;
	else
		session_book_mark(s);
}

/* Ending -------------------------------------------------------------------- */

static void
let_go(struct session *s)
{
	uint64_t ttl = session_wait_ms(s);
	struct user_session record = record_of(s);
	struct census_entry e = entry_of(s);

	record.detached_ms = record.seen_ms;
	record.detached_until_ms = census_detached(s->all->census, &e,
	    record.detached_ms, record.detached_ms + ttl);
	(void)!put(s, &record, ttl);
}

void
session_book_ended(struct session *s, const char *reason, enum session_end how)
{
	char user[SHA256_HEX_LEN + 1];

	unmark(s);
	if (!s->book.counted)
		return;
	leave(s);
	census_note(s->all->census, "ended", reason);
	switch (how) {
	case END_DETACHED:
	case END_PLANNED:
		let_go(s);
		break;
	case END_RELEASED:
		user_index_drop(s->all->users, session_user_hash(s, user),
		    session_sid(s), s->epoch);
		break;
	case END_LOST:
		break;
	}
}

void
session_book_free(struct session *s)
{
	client_name_unref(s->book.client);
}

/* All sessions -------------------------------------------------------------- */

void
sessions_book_tick(struct sessions *all)
{
	if (redis_is_ready(all->options.commands))
		write_some(all);
	user_index_tick(all->users);
	census_tick(all->census);
}

void
sessions_sign_off(struct sessions *all)
{
	user_index_tick(all->users);
	census_leave(all->census);
}

void
sessions_book_init(struct sessions *all)
{
	const struct session_options *o = &all->options;

	TAILQ_INIT(&all->changed);
	all->users = user_index_new(o->commands);
	all->census = census_new(o->commands, o->pod, o->window_ms);
	all->names = client_names_new();
}

void
sessions_book_release(struct sessions *all)
{
	user_index_free(all->users);
	census_free(all->census);
	client_names_free(all->names);
}
