#include "worker/runtime/ask.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/ident.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/ask_needs.h"
#include "worker/runtime/content.h"
#include "worker/runtime/talk.h"

/* As large as the largest request of a client. */
#define REQUEST_MAX CALL_ANSWER_MAX
/* How often streams are read while an answer may come any moment, and later. */
#define SOON_MS 20
#define LATER_MS 250
/* "Any moment": so long after the last request or answer. */
#define EAGER_MS 2000
/* Of each stream at a time. */
#define READ_MAX "16"
#define ENTRY_ID_MAX 48

_Static_assert(ENV_ASK_LEN == IDENT_HEX_LEN, "an ask is a random id");

/* A session whose answers some calls wait for. */
struct watch {
	UT_hash_handle hh;           /* of asks->watches, by session */
	unsigned refs;               /* asks */
	char session[SID_LEN];
	size_t last_n;
	char last_id[ENTRY_ID_MAX];  /* of the entry read last */
};

struct ask {
	UT_hash_handle hh;           /* of asks->by_id */
	LIST_ENTRY(ask) link;        /* of its call's dialogue */
	struct watch *watch;
	struct call *call;
	call_answer_fn *fn;
	void *arg;
	uint64_t until_ms;           /* monotonic; UINT64_MAX: the call's end */
	char id[ENV_ASK_LEN + 1];
};

struct asks {
	struct redis *commands;
	struct slice api;
	struct event *timer;
	struct ask *by_id;           /* uthash */
	struct watch *watches;       /* uthash */
	uint64_t eager_ms;           /* monotonic: of the last sign of life */
	uint64_t due_ms;             /* monotonic: what the timer is set to */
	bool reading;
};

/* Lifetime --------------------------------------------------------------------- */

static struct watch *
watch_ref(struct asks *a, struct slice session)
{
	struct watch *w;

	HASH_FIND(hh, a->watches, session.p, SID_LEN, w);
	if (w == NULL) {
		w = xcalloc(1, sizeof(*w));
		memcpy(w->session, session.p, SID_LEN);
		w->last_id[w->last_n++] = '0';
		HASH_ADD(hh, a->watches, session, SID_LEN, w);
	}
	w->refs++;
	return w;
}

static void
watch_unref(struct asks *a, struct watch *w)
{
	if (--w->refs > 0)
		return;
	HASH_DEL(a->watches, w);
	free(w);
}

static struct ask *
ask_new(struct asks *a, struct call *call)
{
	struct ask *ask = xcalloc(1, sizeof(*ask));

	ident_hex(ask->id);
	ask->call = call;
	ask->watch = watch_ref(a, call->session);
	LIST_INSERT_HEAD(&call->dialogue.asks, ask, link);
	HASH_ADD(hh, a->by_id, id, ENV_ASK_LEN, ask);
	return ask;
}

static void
ask_free(struct asks *a, struct ask *ask)
{
	HASH_DEL(a->by_id, ask);
	LIST_REMOVE(ask, link);
	watch_unref(a, ask->watch);
	free(ask);
}

static struct slice
wire_id(const struct asks *a, const struct ask *ask,
    char buf[static ENV_ASK_ID_MAX])
{
	return env_ask_id(buf, a->api, slice_of(ask->id, ENV_ASK_LEN));
}

/* Answers ------------------------------------------------------------------------ */

/* The ask may end the call, and with it the others of the call. */
static void
settle(struct asks *a, struct ask *ask, const struct call_answer *answer)
{
	struct call *call = ask->call;
	call_answer_fn *fn = ask->fn;
	void *arg = ask->arg;

	ask_free(a, ask);
	fn(call, answer, arg);
}

static void
read_error(const cJSON *error, struct call_answer *out)
{
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
	const char *message = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(error, "message"));

	out->error = cJSON_IsNumber(code) && code->valueint != 0 ?
	    code->valueint : JSONRPC_INTERNAL_ERROR;
	out->message = message != NULL ? message : "the client failed";
}

bool
ask_read_answer(struct slice payload, struct call_answer *out, cJSON **tree)
{
	struct jsonrpc_msg msg;

	*out = (struct call_answer){ .error = 0 };
	if (jsonrpc_peek(payload.p, payload.n, &msg) != 0 ||
	    msg.kind != JSONRPC_RESPONSE)
		return false;
	out->json = msg.has_result ? msg.result : msg.error;
	*tree = out->json.n > 0 ?
	    cJSON_ParseWithLength(out->json.p, out->json.n) : NULL;
	if (*tree == NULL) {
		out->error = JSONRPC_INTERNAL_ERROR;
		out->message = "the client's answer is not an object";
	} else if (msg.has_result) {
		out->result = *tree;
	} else {
		read_error(*tree, out);
	}
	return true;
}

static void
take_answer(struct asks *a, struct ask *ask, struct slice payload)
{
	struct call_answer answer;
	cJSON *tree = NULL;

	if (!ask_read_answer(payload, &answer, &tree))
		return;
	a->eager_ms = clock_mono_ms();
	settle(a, ask, &answer);
	cJSON_Delete(tree);
}

static void
forget_entry(struct asks *a, struct slice key, struct slice id)
{
	const struct slice argv[] = { SLICE("XDEL"), key, id };

	(void)!redis_send(a->commands, argv, ARRAY_LEN(argv), NULL, NULL);
}

/* It may be for another worker of the API, of which this one knows nothing. */
static void
take_entry(struct asks *a, struct slice key, struct slice session,
    const struct env_entry *entry)
{
	struct slice id = env_field(entry->fields, ENV_FIELD_ASK);
	struct ask *ask = NULL;

	if (id.n == ENV_ASK_LEN)
		HASH_FIND(hh, a->by_id, id.p, ENV_ASK_LEN, ask);
	if (ask == NULL || !slice_eq(ask->call->session, session))
		return;
	forget_entry(a, key, entry->id);
	take_answer(a, ask, env_field(entry->fields, ENV_FIELD_PAYLOAD));
}

static void
note_position(struct asks *a, struct slice session, struct slice id)
{
	struct watch *w;

	HASH_FIND(hh, a->watches, session.p, SID_LEN, w);
	if (w == NULL || id.n > sizeof(w->last_id))
		return;
	memcpy(w->last_id, id.p, id.n);
	w->last_n = id.n;
}

/* One stream's part of the reply: its key, which ends in the session; entries. */
static void
take_stream(struct asks *a, const redisReply *stream)
{
	struct slice key, session;
	struct env_entry entry;

	if (stream->type != REDIS_REPLY_ARRAY || stream->elements != 2)
		return;
	key = redis_slice(stream->element[0]);
	if (key.n < SID_LEN)
		return;
	session = slice_of(key.p + key.n - SID_LEN, SID_LEN);
	for (size_t i = 0; env_entry_at(stream->element[1], i, &entry); i++) {
		note_position(a, session, entry.id);
		if (entry.fields != NULL)
			take_entry(a, key, session, &entry);
	}
}

/* Reading -------------------------------------------------------------------------- */

static void
read_soon(struct asks *a)
{
	uint64_t now = clock_mono_ms();
	unsigned ms = now - a->eager_ms < EAGER_MS ? SOON_MS : LATER_MS;
	const struct timeval pause = { .tv_usec = ms * 1000 };

	if (a->by_id == NULL || a->reading ||
	    (event_pending(a->timer, EV_TIMEOUT, NULL) &&
	    a->due_ms <= now + ms))
		return;
	a->due_ms = now + ms;
	event_add(a->timer, &pause);
}

static void
on_read(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct asks *a = arg;

	a->reading = false;
	if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
		log_warn("answers not read", LF("error", reply->str));
	if (reply != NULL && reply->type == REDIS_REPLY_ARRAY) {
		for (size_t i = 0; i < reply->elements; i++)
			take_stream(a, reply->element[i]);
	}
	read_soon(a);
}

/* XREAD COUNT n STREAMS, the keys, then the ids. */
static void
on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct asks *a = arg;
	size_t n = HASH_COUNT(a->watches), i = 0;
	struct slice *argv = xcalloc(4 + 2 * n, sizeof(*argv));
	struct env_keybuf *keys = xcalloc(n, sizeof(*keys));

	argv[0] = SLICE("XREAD");
	argv[1] = SLICE("COUNT");
	argv[2] = SLICE(READ_MAX);
	argv[3] = SLICE("STREAMS");
	for (struct watch *w = a->watches; w != NULL; w = w->hh.next, i++) {
		argv[4 + i] = env_answers_key(&keys[i], a->api,
		    slice_of(w->session, SID_LEN));
		argv[4 + n + i] = slice_of(w->last_id, w->last_n);
	}
	a->reading = n > 0 &&
	    redis_send(a->commands, argv, 4 + 2 * n, on_read, a);
	free(argv);
	free(keys);
	read_soon(a);
}

/* Ends ------------------------------------------------------------------------------ */

/* MCP, "Cancellation": of a request that was ours. */
static void
tell_client(const struct asks *a, const struct ask *ask, const char *reason)
{
	struct strbuf sb = STRBUF_INIT(1024);
	char id[ENV_ASK_ID_MAX];

	strbuf_add_str(&sb, "{\"jsonrpc\":\"2.0\",\"method\":"
	    "\"notifications/cancelled\",\"params\":{\"requestId\":");
	strbuf_add_slice(&sb, wire_id(a, ask, id));
	strbuf_addf(&sb, ",\"reason\":\"%s\"}}", reason);
	talk_send(ask->call, strbuf_slice(&sb));
	strbuf_release(&sb);
}

void
ask_end_all(struct call *call)
{
	struct ask *ask, *next;

	for (ask = LIST_FIRST(&call->dialogue.asks); ask != NULL; ask = next) {
		struct asks *a = talk_asks(call->talk);

		next = LIST_NEXT(ask, link);
		tell_client(a, ask, "the call has ended");
		ask_free(a, ask);
	}
}

void
call_ask_end(struct call *call, void *arg)
{
	struct ask *ask;

	LIST_FOREACH(ask, &call->dialogue.asks, link) {
		struct asks *a = talk_asks(call->talk);

		if (ask->arg != arg)
			continue;
		tell_client(a, ask, "nobody waits for the answer");
		ask_free(a, ask);
		return;
	}
}

/* One at a time: what it leads to may end others. */
static struct ask *
find_overdue(const struct asks *a, uint64_t now)
{
	struct ask *ask = a->by_id;

	while (ask != NULL && now < ask->until_ms)
		ask = ask->hh.next;
	return ask;
}

void
asks_tick(struct asks *a)
{
	const struct call_answer late = { .error = ENV_ERROR_TIMEOUT,
		.message = "the client did not answer in time" };
	uint64_t now = clock_mono_ms();
	struct ask *ask;

	while ((ask = find_overdue(a, now)) != NULL) {
		tell_client(a, ask, "no answer in time");
		settle(a, ask, &late);
	}
}

/* Asking ------------------------------------------------------------------------------ */

static const char *
why_not(const struct call *call, const char *method, struct slice params)
{
	if (call->talk == NULL || !call_may_talk(call))
		return "the call has ended";
	return ask_why_not(call->client.can, method, params);
}

/* NULL: it is on its way. The method first: see proxy/recent.c. */
static const char *
send_request(const struct asks *a, const struct ask *ask, const char *method,
    struct slice params)
{
	struct strbuf sb = STRBUF_INIT(REQUEST_MAX);
	const char *reason = NULL;
	char id[ENV_ASK_ID_MAX];
	struct jsonrpc_msg msg;

	strbuf_addf(&sb, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"id\":",
	    method);
	strbuf_add_slice(&sb, wire_id(a, ask, id));
	if (params.n > 0) {
		strbuf_add_str(&sb, ",\"params\":");
		content_raw(&sb, params);
	}
	strbuf_add_char(&sb, '}');
	if (strbuf_ok(&sb) && jsonrpc_peek(sb.p, sb.n, &msg) != 0)
		reason = "params are not strict JSON";
	else if (!strbuf_ok(&sb) || !talk_send(ask->call, strbuf_slice(&sb)))
		reason = "the request could not be sent";
	strbuf_release(&sb);
	return reason;
}

const char *
call_ask(struct call *call, const char *method, struct slice params,
    unsigned timeout_ms, call_answer_fn *fn, void *arg)
{
	const char *reason = why_not(call, method, params);
	struct asks *a;
	struct ask *ask;

	if (reason != NULL)
		return reason;
	if (!talk_may(call))
		return "the call has asked and told too much at once";
	a = talk_asks(call->talk);
	ask = ask_new(a, call);
	ask->fn = fn;
	ask->arg = arg;
	ask->until_ms = timeout_ms > 0 ? clock_mono_ms() + timeout_ms :
	    UINT64_MAX;
	reason = send_request(a, ask, method, params);
	if (reason != NULL) {
		ask_free(a, ask);
		return reason;
	}
	a->eager_ms = clock_mono_ms();
	read_soon(a);
	return NULL;
}

unsigned
call_client_can(const struct call *call)
{
	return call->client.can;
}

/* The object --------------------------------------------------------------------------- */

struct asks *
asks_new(struct event_base *base, struct redis *commands, struct slice name)
{
	struct asks *a = xcalloc(1, sizeof(*a));

	a->commands = commands;
	a->api = name;
	a->timer = evtimer_new(base, on_timer, a);
	if (a->timer == NULL)
		abort();
	return a;
}

/* The calls of those that still wait are gone by now. */
static void
forget_all(struct asks *a)
{
	struct ask *ask = a->by_id, *next_ask;
	struct watch *w = a->watches, *next_watch;

	/* The tables go first; what is in them stays linked. */
	HASH_CLEAR(hh, a->by_id);
	HASH_CLEAR(hh, a->watches);
	for (; ask != NULL; ask = next_ask) {
		next_ask = ask->hh.next;
		free(ask);
	}
	for (; w != NULL; w = next_watch) {
		next_watch = w->hh.next;
		free(w);
	}
}

void
asks_free(struct asks *a)
{
	if (a == NULL)
		return;
	event_free(a->timer);
	forget_all(a);
	free(a);
}
