#include "proxy/stray.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

/* Strays held at once and for how long; further ones count as undeliverable. */
#define STRAYS_MAX 4096
#define STRAY_TTL_MS 60000

struct stray {
	TAILQ_ENTRY(stray) link;     /* of all->waiting, while waiting */
	struct strays *all;
	session_done_cb *done;
	void *arg;
	uint64_t arrived_ms;
	bool doubled;                /* sent before with unknown outcome */
	struct env_message message;  /* points into bytes */
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

static void
on_sent(enum outbox_result result, const char *error, void *arg)
{
	struct stray *s = arg;

	(void)error;
	if (result == OUTBOX_SENT) {
		finish(s, STAT_EVENTS_PASSED_ON);
		return;
	}
	s->doubled |= result == OUTBOX_IN_DOUBT;
	wait_for_redis(s);
}

/* Being the owner ourselves and not holding it means that it has just ended. */
static void
on_looked_up(enum directory_result result, const struct directory_entry *entry,
    void *arg)
{
	struct stray *s = arg;
	const struct stray_options *o = &s->all->options;

	if (result == DIRECTORY_AWAY) {
		wait_for_redis(s);
		return;
	}
	if (result == DIRECTORY_UNKNOWN || slice_eq_str(o->pod, entry->pod)) {
		finish(s, STAT_EVENTS_UNDELIVERABLE);
		return;
	}
	if (s->doubled)
		s->message.attempt = SLICE("2");
	if (!outbox_send(o->outbox, slice_str(entry->pod), &s->message, on_sent,
		s))
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
	s = xcalloc(1, sizeof(*s) + m->call.n + m->session.n + m->attempt.n +
		m->payload.n);
	s->all = all;
	s->done = done;
	s->arg = arg;
	s->arrived_ms = clock_mono_ms();
	to = s->bytes;
	s->message.call = copy(&to, m->call);
	s->message.session = copy(&to, m->session);
	s->message.attempt = copy(&to, m->attempt);
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
