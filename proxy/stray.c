#include "proxy/stray.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "proxy/session_owed.h"

/* Strays held at once and for how long; further ones count as undeliverable. */
#define STRAYS_MAX 65536
#define STRAY_TTL_MS 60000

struct stray {
	TAILQ_ENTRY(stray) link;     /* of all->waiting, while waiting */
	struct strays *all;
	session_done_cb *done;
	void *arg;
	uint64_t arrived_ms;
	struct env_message message;  /* points into bytes */
	char *call;                  /* the same bytes, ours to change */
	char *session;
	char bytes[];
};

struct strays {
	struct stray_options options;
	TAILQ_HEAD(, stray) waiting;
	unsigned count;
};

static void
finish(struct stray *s, enum stat which)
{
	stat_add(s->all->options.stats, which, 1);
	s->all->count--;
	s->done(s->arg);
	free(s);
}

static void
wait_for_redis(struct stray *s)
{
	TAILQ_INSERT_TAIL(&s->all->waiting, s, link);
}

static void look_up(struct stray *s);

static void
on_sent(enum outbox_result result, const char *error, void *arg)
{
	struct stray *s = arg;

	(void)error;
	if (result == OUTBOX_SENT)
		finish(s, STAT_EVENTS_PASSED_ON);
	else
		wait_for_redis(s);
}

static void
on_delivered(void *arg)
{
	finish(arg, STAT_EVENTS_PASSED_ON);
}

static void
on_appended(struct redis *r, const redisReply *reply, void *arg)
{
	struct stray *s = arg;

	(void)r;
	/* Full, without replicas, read-only: whatever it is, it may pass. */
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
		wait_for_redis(s);
		return;
	}
	switch (session_append_read(reply)) {
	case SESSION_APPENDED:
		finish(s, STAT_EVENTS_KEPT);
		break;
	case SESSION_APPEND_GONE:
		finish(s, STAT_EVENTS_UNDELIVERABLE);
		break;
	case SESSION_APPEND_MOVED:
		wait_for_redis(s);
		break;
	}
}

/*
 * Does the pod that the record names still hold the stream, so that it can be
 * left to it? When it is this loop, session.h has been asked before.
 */
static bool
is_held(const struct stray *s, const struct directory_entry *entry)
{
	const struct stray_options *o = &s->all->options;
	const struct fleet_pod *pod = fleet_find(o->fleet, slice_str(entry->pod));

	return !entry->detached && !slice_eq_str(o->pod, entry->pod) &&
	    (pod == NULL || !fleet_is_dead(pod));
}

/* The session turned out to be another one, after the call was queued. */
static void
follow_alias(struct stray *s, const struct directory_entry *entry)
{
	memcpy(s->session, entry->alias, SID_LEN);
	if (s->message.call.n == CALL_ID_LEN)
		env_call_stamp(s->call, entry->alias_epoch);
	look_up(s);
}

static void
on_looked_up(enum directory_result result, const struct directory_entry *entry,
    void *arg)
{
	struct stray *s = arg;
	const struct stray_options *o = &s->all->options;
	struct session *local = sessions_find(o->sessions, s->message.session);
	bool sent;

	if (local != NULL) {
		session_deliver(local, &s->message, on_delivered, s);
		return;
	}
	if (result == DIRECTORY_UNKNOWN) {
		finish(s, STAT_EVENTS_UNDELIVERABLE);
		return;
	}
	if (result == DIRECTORY_FOUND && entry->alias[0] != '\0') {
		follow_alias(s, entry);
		return;
	}
	if (result == DIRECTORY_AWAY)
		sent = false;
	else if (is_held(s, entry))
		sent = outbox_send(o->outbox, slice_str(entry->pod), &s->message,
		    on_sent, s);
	else
		sent = session_append_send(o->commands, &s->message, entry->epoch,
		    on_appended, s);
	if (!sent)
		wait_for_redis(s);
}

static void
look_up(struct stray *s)
{
	if (!directory_fetch(s->all->options.directory, s->message.session,
		on_looked_up, s))
		wait_for_redis(s);
}

static struct slice
copy(char **to, struct slice from)
{
	struct slice s = slice_of(*to, from.n);

	if (from.n > 0)
		memcpy(*to, from.p, from.n);
	*to += from.n;
	return s;
}

void
stray_pass_on(struct strays *all, const struct env_message *m,
    session_done_cb *done, void *arg)
{
	struct stray *s;
	char *to;

	if (m->session.n != SID_LEN || all->count >= STRAYS_MAX) {
		stat_add(all->options.stats, STAT_EVENTS_UNDELIVERABLE, 1);
		done(arg);
		return;
	}
	s = xcalloc(1, sizeof(*s) + m->call.n + m->session.n + m->payload.n);
	s->all = all;
	s->done = done;
	s->arg = arg;
	s->arrived_ms = clock_mono_ms();
	to = s->call = s->bytes;
	s->message.call = copy(&to, m->call);
	s->session = to;
	s->message.session = copy(&to, m->session);
	s->message.attempt = SLICE("2");
	s->message.payload = copy(&to, m->payload);
	all->count++;
	look_up(s);
}

void
strays_tick(struct strays *all)
{
	TAILQ_HEAD(, stray) again = TAILQ_HEAD_INITIALIZER(again);
	uint64_t now = clock_mono_ms();
	struct stray *s;

	TAILQ_CONCAT(&again, &all->waiting, link);
	while ((s = TAILQ_FIRST(&again)) != NULL) {
		TAILQ_REMOVE(&again, s, link);
		if (now - s->arrived_ms >= STRAY_TTL_MS)
			finish(s, STAT_EVENTS_UNDELIVERABLE);
		else
			look_up(s);
	}
}

struct strays *
strays_new(const struct stray_options *options)
{
	struct strays *all = xcalloc(1, sizeof(*all));

	all->options = *options;
	TAILQ_INIT(&all->waiting);
	return all;
}

void
strays_free(struct strays *all)
{
	struct stray *s;

	while ((s = TAILQ_FIRST(&all->waiting)) != NULL) {
		TAILQ_REMOVE(&all->waiting, s, link);
		finish(s, STAT_EVENTS_UNDELIVERABLE);
	}
	free(all);
}

unsigned
strays_count(const struct strays *all)
{
	return all->count;
}
