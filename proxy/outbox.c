#include "proxy/outbox.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/inbox_life.h"
#include "common/xalloc.h"

/* Bytes of one entry: four of the largest requests' worth of answers. */
#define PARCEL_MAX (4 * 1024 * 1024)
/*
 * A living pod deletes what it has dealt with within milliseconds: only the
 * inbox of a dead one, which nobody will read, can grow to so many entries.
 */
#define INBOX_ENTRIES_MAX "100000"
#define XADD_ARGC 6

/* Lengths of a message's parts, which lie one after another in the bytes. */
struct packed {
	size_t call, session, attempt, payload, note;
	outbox_cb *cb;
	void *arg;
};

/* The messages of one turn for one pod; then, those of one XADD on its way. */
struct parcel {
	TAILQ_ENTRY(parcel) link;  /* of outbox->collecting */
	struct strbuf bytes;
	unsigned count;
	struct packed packed[ENV_MESSAGES_PER_ENTRY];
	size_t pod_len;
	char pod[POD_NAME_MAX];
};

struct outbox {
	struct redis *commands;
	TAILQ_HEAD(, parcel) collecting;
	struct event *turn_end;
	struct inbox_lives lives;
};

static void
finish(struct parcel *parcel, enum outbox_result result, const char *error)
{
	for (unsigned i = 0; i < parcel->count; i++) {
		if (parcel->packed[i].cb != NULL)
			parcel->packed[i].cb(result, error,
			    parcel->packed[i].arg);
	}
	strbuf_release(&parcel->bytes);
	free(parcel);
}

static void
on_added(struct redis *r, const redisReply *reply, void *arg)
{
	(void)r;
	if (reply == NULL || redis_is_unfit(reply))
		finish(arg, OUTBOX_IN_DOUBT, NULL);
	else if (reply->type == REDIS_REPLY_ERROR)
		finish(arg, OUTBOX_REFUSED, reply->str);
	else
		finish(arg, OUTBOX_SENT, NULL);
}

static struct slice
take(const char **p, size_t n)
{
	struct slice s = slice_of(*p, n);

	*p += n;
	return s;
}

static void
send_parcel(struct outbox *o, struct parcel *parcel)
{
	struct env_keybuf keybuf;
	struct slice pod = slice_of(parcel->pod, parcel->pod_len);
	struct slice argv[XADD_ARGC + ENV_MESSAGES_PER_ENTRY * ENV_MESSAGE_ARGC] = {
		SLICE("XADD"), env_key(&keybuf, ENV_REPLIES, pod),
		SLICE("MAXLEN"), SLICE("~"), SLICE(INBOX_ENTRIES_MAX), SLICE("*")
	};
	const char *p = parcel->bytes.p;
	size_t argc = XADD_ARGC;

	for (unsigned i = 0; i < parcel->count; i++) {
		const struct packed *s = &parcel->packed[i];
		struct env_message message;

		message.call = take(&p, s->call);
		message.session = take(&p, s->session);
		message.attempt = take(&p, s->attempt);
		message.payload = take(&p, s->payload);
		message.note = take(&p, s->note);
		argc += env_message_fields(argv + argc, &message);
	}
	if (!redis_send(o->commands, argv, argc, on_added, parcel))
		finish(parcel, OUTBOX_IN_DOUBT, NULL);
	else
		inbox_lives_renew(&o->lives, o->commands, argv[1]);
}

static void
on_turn_end(evutil_socket_t fd, short what, void *arg)
{
	struct outbox *o = arg;
	struct parcel *parcel;

	(void)fd;
	(void)what;
	while ((parcel = TAILQ_FIRST(&o->collecting)) != NULL) {
		TAILQ_REMOVE(&o->collecting, parcel, link);
		send_parcel(o, parcel);
	}
}

/* The turn's parcel for that pod with room for so many bytes, or a new one. */
static struct parcel *
parcel_for(struct outbox *o, struct slice pod, size_t bytes)
{
	struct parcel *parcel;

	TAILQ_FOREACH(parcel, &o->collecting, link) {
		if (parcel->count < ENV_MESSAGES_PER_ENTRY &&
		    bytes <= PARCEL_MAX - parcel->bytes.n &&
		    slice_eq(slice_of(parcel->pod, parcel->pod_len), pod))
			return parcel;
	}
	if (TAILQ_EMPTY(&o->collecting))
		event_active(o->turn_end, EV_TIMEOUT, 0);
	parcel = xmalloc(sizeof(*parcel));
	strbuf_init(&parcel->bytes, PARCEL_MAX);
	parcel->count = 0;
	parcel->pod_len = pod.n;
	memcpy(parcel->pod, pod.p, pod.n);
	TAILQ_INSERT_TAIL(&o->collecting, parcel, link);
	return parcel;
}

bool
outbox_send(struct outbox *o, struct slice pod,
    const struct env_message *message, outbox_cb *cb, void *arg)
{
	struct parcel *parcel;
	size_t total = message->call.n + message->session.n +
	    message->attempt.n + message->payload.n + message->note.n;

	if (!redis_is_ready(o->commands) || pod.n > POD_NAME_MAX ||
	    total > PARCEL_MAX)
		return false;
	parcel = parcel_for(o, pod, total);
	if (strbuf_reserve(&parcel->bytes, total) == NULL) {
		parcel->bytes.failed = false;
		return false;
	}
	strbuf_add_slice(&parcel->bytes, message->call);
	strbuf_add_slice(&parcel->bytes, message->session);
	strbuf_add_slice(&parcel->bytes, message->attempt);
	strbuf_add_slice(&parcel->bytes, message->payload);
	strbuf_add_slice(&parcel->bytes, message->note);
	parcel->packed[parcel->count++] = (struct packed){ message->call.n,
		message->session.n, message->attempt.n, message->payload.n,
		message->note.n, cb, arg };
	return true;
}

struct outbox *
outbox_new(struct event_base *base, struct redis *commands)
{
	struct outbox *o = xcalloc(1, sizeof(*o));

	o->commands = commands;
	TAILQ_INIT(&o->collecting);
	o->turn_end = event_new(base, -1, 0, on_turn_end, o);
	return o;
}

void
outbox_free(struct outbox *o)
{
	struct parcel *parcel;

	while ((parcel = TAILQ_FIRST(&o->collecting)) != NULL) {
		TAILQ_REMOVE(&o->collecting, parcel, link);
		finish(parcel, OUTBOX_IN_DOUBT, NULL);
	}
	event_free(o->turn_end);
	free(o);
}
