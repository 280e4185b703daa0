#include "worker/runtime/cancels.h"

#include <stdlib.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/call.h"

/* As many as the stream keeps, and the slack of its trimming. */
#define REMEMBERED 2048
#define READ_MAX "256"
#define ENTRY_ID_MAX 48

/* One cancellation, in a table by what it concerns. */
struct cancel {
	UT_hash_handle hh;
	uint64_t request;        /* digest of session and id */
	uint64_t ms;             /* of its entry */
	bool used;
};

struct cancels {
	struct redis *commands;
	struct inflight *inflight;
	struct env_keybuf keybuf;
	struct slice key;
	char last_id[ENTRY_ID_MAX];
	size_t last_n;
	bool asking;
	struct cancel *by_request;   /* uthash */
	struct cancel ring[REMEMBERED];
	unsigned next;
};

/* FNV-1a; sessions are random, so nobody can aim at another's calls. */
static uint64_t
digest(struct slice session, struct slice id)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < session.n; i++)
		h = (h ^ (unsigned char)session.p[i]) * 1099511628211u;
	for (size_t i = 0; i < id.n; i++)
		h = (h ^ (unsigned char)id.p[i]) * 1099511628211u;
	return h;
}

static struct cancel *
find(const struct cancels *c, uint64_t request)
{
	struct cancel *cancel;

	HASH_FIND(hh, c->by_request, &request, sizeof(request), cancel);
	return cancel;
}

bool
cancels_has(const struct cancels *c, const struct call *call)
{
	const struct cancel *cancel;

	if (c->by_request == NULL)
		return false;
	cancel = find(c, digest(call->session, call->id));
	return cancel != NULL && call->key.ms <= cancel->ms;
}

/* Remembering ------------------------------------------------------------------ */

static void
forget(struct cancels *c, struct cancel *cancel)
{
	if (cancel->used)
		HASH_DEL(c->by_request, cancel);
	cancel->used = false;
}

/* In place of the oldest. */
static void
remember(struct cancels *c, uint64_t request, uint64_t ms)
{
	struct cancel *cancel = find(c, request);

	if (cancel != NULL) {
		cancel->ms = ms;
		return;
	}
	cancel = &c->ring[c->next];
	c->next = (c->next + 1) % REMEMBERED;
	forget(c, cancel);
	*cancel = (struct cancel){ .request = request, .ms = ms, .used = true };
	HASH_ADD(hh, c->by_request, request, sizeof(cancel->request), cancel);
}

static void
end_if_cancelled(struct call *call, void *arg)
{
	if ((call->state == CALL_WAITING || call->state == CALL_RUNNING) &&
	    cancels_has(arg, call)) {
		log_info("call cancelled", LF_S("call", call->call));
		call_cancel(call);
	}
}

static void
take_entry(struct cancels *c, const struct env_entry *entry)
{
	const char *dash = memchr(entry->id.p, '-', entry->id.n);
	uint64_t ms;

	if (dash == NULL || entry->id.n > sizeof(c->last_id) ||
	    !env_number(slice_of(entry->id.p, (size_t)(dash - entry->id.p)),
	    &ms))
		return;
	memcpy(c->last_id, entry->id.p, entry->id.n);
	c->last_n = entry->id.n;
	remember(c, digest(env_field(entry->fields, ENV_FIELD_SESSION),
	    env_field(entry->fields, ENV_FIELD_REQUEST)), ms);
}

/* There may be more than one read takes. */
static void
on_read(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct cancels *c = arg;
	const redisReply *entries = env_stream_entries(reply);
	struct env_entry entry;
	size_t i;

	c->asking = false;
	for (i = 0; env_entry_at(entries, i, &entry); i++)
		take_entry(c, &entry);
	if (i == 0)
		return;
	inflight_each(c->inflight, end_if_cancelled, c);
	cancels_tick(c);
}

void
cancels_tick(struct cancels *c)
{
	const struct slice argv[] = { SLICE("XREAD"), SLICE("COUNT"),
		SLICE(READ_MAX), SLICE("STREAMS"), c->key,
		slice_of(c->last_id, c->last_n) };

	if (!c->asking)
		c->asking = redis_send(c->commands, argv, ARRAY_LEN(argv),
		    on_read, c);
}

struct cancels *
cancels_new(struct redis *commands, struct inflight *inflight,
    struct slice name)
{
	struct cancels *c = xcalloc(1, sizeof(*c));

	c->commands = commands;
	c->inflight = inflight;
	c->key = env_key(&c->keybuf, ENV_CANCEL, name);
	c->last_id[0] = '0';
	c->last_n = 1;
	return c;
}

void
cancels_free(struct cancels *c)
{
	if (c == NULL)
		return;
	HASH_CLEAR(hh, c->by_request);
	free(c);
}
