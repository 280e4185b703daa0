#include "worker/runtime/inflight.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "worker/runtime/call.h"

/* Idle calls keep buffers up to this size for the next entry. */
#define KEEP_BYTES 4096
/* The short fields and the JSON-RPC id, which a body of 1 MiB limits. */
#define COPIES_MAX ((size_t)2 << 20)

struct inflight {
	struct inflight_options options;
	struct talk *talk;
	struct call *by_key;      /* uthash */
	struct call_list idle;
	struct call_list abandoned;
	unsigned states[CALL_STATES];
	unsigned held;
	size_t waiting_bytes;
	struct inflight_totals totals;
};

struct inflight *
inflight_new(const struct inflight_options *options)
{
	struct inflight *f = xcalloc(1, sizeof(*f));

	f->options = *options;
	TAILQ_INIT(&f->idle);
	TAILQ_INIT(&f->abandoned);
	return f;
}

void
inflight_set_talk(struct inflight *f, struct talk *talk)
{
	f->talk = talk;
}

static void
call_free(struct call *call)
{
	cJSON_Delete(call->params);
	catalogue_let_go(call->listing);
	strbuf_release(&call->copies);
	strbuf_release(&call->answer);
	free(call);
}

void
inflight_free(struct inflight *f)
{
	struct call *call, *next;

	if (f == NULL)
		return;
	/* The table goes first; its calls stay linked to each other. */
	call = f->by_key;
	HASH_CLEAR(hh, f->by_key);
	for (; call != NULL; call = next) {
		next = call->hh.next;
		call_free(call);
	}
	TAILQ_CONCAT(&f->idle, &f->abandoned, link);
	while ((call = TAILQ_FIRST(&f->idle)) != NULL) {
		TAILQ_REMOVE(&f->idle, call, link);
		call_free(call);
	}
	free(f);
}

static bool
parse_id(struct slice id, struct call_key *key)
{
	const char *dash = memchr(id.p, '-', id.n);
	size_t n;

	if (dash == NULL)
		return false;
	n = (size_t)(dash - id.p);
	return env_number(slice_of(id.p, n), &key->ms) &&
	    env_number(slice_of(dash + 1, id.n - n - 1), &key->seq);
}

/* An idle call with empty buffers. */
static struct call *
take_idle(struct inflight *f)
{
	struct call *call = TAILQ_FIRST(&f->idle);

	if (call != NULL) {
		TAILQ_REMOVE(&f->idle, call, link);
		return call;
	}
	call = xcalloc(1, sizeof(*call));
	call->home = f;
	call->env = f->options.env;
	call->talk = f->talk;
	strbuf_init(&call->copies, COPIES_MAX);
	strbuf_init(&call->answer, CALL_ANSWER_MAX);
	return call;
}

struct call *
inflight_add(struct inflight *f, struct slice entry_id)
{
	struct call_key key;
	struct call *call;

	if (!parse_id(entry_id, &key))
		return NULL;
	if (inflight_find(f, &key) != NULL)
		return NULL;
	call = take_idle(f);
	call->key = key;
	call->state = CALL_OPENED;
	f->states[CALL_OPENED]++;
	/* The id's text is needed for XACK; call_open() adds to the copies. */
	strbuf_add_slice(&call->copies, entry_id);
	call->entry.n = entry_id.n;
	HASH_ADD(hh, f->by_key, key, sizeof(key), call);
	return call;
}

static void
count_out(struct inflight *f, const struct call *call)
{
	f->states[call->state]--;
	if (call->state == CALL_WAITING)
		f->waiting_bytes -= call->size;
}

/* To be running is to be held: only release() ends that. */
void
inflight_moved(struct inflight *f, const struct call *call, unsigned to)
{
	count_out(f, call);
	f->states[to]++;
	f->held += to == CALL_RUNNING;
	if (to == CALL_WAITING)
		f->waiting_bytes += call->size;
}

void
inflight_answered(struct inflight *f, struct call *call)
{
	f->options.on_answer(call, f->options.arg);
}

static void
empty(struct strbuf *sb)
{
	if (sb->cap > KEEP_BYTES)
		strbuf_release(sb);
	else
		strbuf_reset(sb);
}

/*
 * Kept for the next entry; but a tool that touches a call which it has answered
 * should be found out where somebody looks for that.
 */
static void
recycle(struct inflight *f, struct call *call)
{
	if (call->charged)
		f->options.on_freed(call, f->options.arg);
#ifdef __SANITIZE_ADDRESS__
	call_free(call);
	return;
#endif
	cJSON_Delete(call->params);
	empty(&call->copies);
	empty(&call->answer);
	catalogue_let_go(call->listing);
	call->listing = NULL;
	call->output = NULL;
	call->tool = NULL;
	call->error = 0;
	call->has_raw = false;
	call->kind = OFFER_TOOL;
	call->description = call->mime_type = call->role = NULL;
	call->completes = false;
	call->params = NULL;
	call->on_cancel = NULL;
	call->failed = call->added = call->repeated = false;
	call->in_doubt = call->renewing = call->entry_gone = false;
	call->safe = call->let_go = false;
	call->target = call->raw_params = SLICE_NONE;
	call->weight = 0;
	call->dialogue = (struct dialogue){ .has_begun = false };
	TAILQ_INSERT_HEAD(&f->idle, call, link);
}

void
inflight_forget(struct inflight *f, struct call *take_call)
{
	struct call *call = take_call;

	HASH_DEL(f->by_key, call);
	if (call->held) {
		call_set_state(call, CALL_ABANDONED);
		TAILQ_INSERT_TAIL(&f->abandoned, call, link);
	} else {
		count_out(f, call);
		recycle(f, call);
	}
	f->options.on_done(f->options.arg);
}

static enum api_counter
outcome(const struct call *call)
{
	if (call->answer.n == 0)
		return API_CALLS_CANCELLED;
	switch (call->error) {
	case 0:
		return call->failed ? API_CALLS_TOOL_ERROR : API_CALLS_OK;
	case ENV_ERROR_TIMEOUT:
		return API_CALLS_TIMEOUT;
	case ENV_ERROR_UNKNOWN_OUTCOME:
		return API_CALLS_UNKNOWN;
	case ENV_ERROR_GAVE_UP:
		return API_CALLS_GIVEN_UP;
	default:
		return API_CALLS_REFUSED;
	}
}

/* Since the entry was queued. */
static uint64_t
age_ms(const struct call *call)
{
	uint64_t now = clock_shared_ms();

	return now > call->key.ms ? now - call->key.ms : 0;
}

void
inflight_done(struct inflight *f, struct call *take_call)
{
	f->totals.done++;
	f->totals.failed += take_call->failed;
	api_counters_note(f->totals.counters, outcome(take_call),
	    age_ms(take_call));
	inflight_forget(f, take_call);
}

void
inflight_repeated(struct inflight *f)
{
	f->totals.counters[API_CALLS_REPEATED]++;
}

void
inflight_ending(struct inflight *f, struct call *call)
{
	if (f->options.on_ending != NULL)
		f->options.on_ending(call, f->options.arg);
}

void
inflight_released(struct inflight *f, struct call *call)
{
	f->held--;
	f->options.on_released(call, f->options.arg);
	if (call->state != CALL_ABANDONED)
		return;
	TAILQ_REMOVE(&f->abandoned, call, link);
	f->states[CALL_ABANDONED]--;
	recycle(f, call);
}

struct call *
inflight_find(const struct inflight *f, const struct call_key *key)
{
	struct call *call;

	HASH_FIND(hh, f->by_key, key, sizeof(*key), call);
	return call;
}

void
inflight_each(struct inflight *f, void (*fn)(struct call *call, void *arg),
    void *arg)
{
	struct call *call, *next;

	for (call = f->by_key; call != NULL; call = next) {
		next = call->hh.next;
		fn(call, arg);
	}
}

unsigned
inflight_in_state(const struct inflight *f, unsigned state)
{
	return f->states[state];
}

size_t
inflight_waiting_bytes(const struct inflight *f)
{
	return f->waiting_bytes;
}

unsigned
inflight_held(const struct inflight *f)
{
	return f->held;
}

size_t
inflight_count(const struct inflight *f)
{
	return HASH_COUNT(f->by_key);
}

const struct inflight_totals *
inflight_totals(const struct inflight *f)
{
	return &f->totals;
}
