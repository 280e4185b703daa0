#include "worker/stdio/dialogue.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/raw.h"
#include "common/xalloc.h"
#include "worker/stdio/text.h"

/* Ids of requests are the server's own, and go back as they came. */
#define ID_MAX 1024
#define MESSAGE_MAX 1024

/* A request of the server that the call's client is to answer. */
struct question {
	LIST_ENTRY(question) link;   /* the passage's */
	struct passage *passage;
	struct strbuf id;            /* raw */
};

static const char *const bridged[] = { "sampling/createMessage",
	"elicitation/create", "roots/list" };

/* The only call that the server has, or NULL. */
static struct passage *
only(const struct passages *of)
{
	struct passage *p = TAILQ_FIRST(of);

	return p != NULL && TAILQ_NEXT(p, link) == NULL ? p : NULL;
}

/* Progress ---------------------------------------------------------------------------- */

static struct passage *
find(const struct passages *of, struct slice token)
{
	struct passage *p;
	uint64_t number;

	if (!env_number(token, &number))
		return NULL;
	TAILQ_FOREACH(p, of, link) {
		if (p->request == number)
			return p;
	}
	return NULL;
}

static double
number_of(struct slice value)
{
	char text[64];

	if (value.n == 0 || value.n >= sizeof(text))
		return 0;
	memcpy(text, value.p, value.n);
	text[value.n] = '\0';
	return strtod(text, NULL);
}

void
dialogue_progress(const struct passages *of, struct slice params)
{
	struct passage *p = find(of, raw_find(params, "progressToken"));
	char *message;

	if (p == NULL)
		return;
	message = text_copy(raw_find(params, "message"));
	call_progress(p->call, number_of(raw_find(params, "progress")),
	    number_of(raw_find(params, "total")), message);
	free(message);
}

/* Log messages -------------------------------------------------------------------------- */

void
dialogue_log(const struct passages *of, unsigned child, struct slice params)
{
	struct slice level = raw_find(params, "level");
	struct passage *p = only(of);
	enum client_level read;

	if (p == NULL) {
		log_debug("log message of no call", LF_N("child", child),
		    LF_N("bytes", params.n));
		return;
	}
	if (level.n > 2 && client_level_read(slice_of(level.p + 1,
	    level.n - 2), &read) && call_logs(p->call, read))
		call_notify(p->call, "notifications/message", params);
}

void
dialogue_completed(const struct passages *of, struct slice params)
{
	struct passage *p = only(of);

	if (p != NULL)
		call_notify(p->call, "notifications/elicitation/complete",
		    params);
}

/* Requests ------------------------------------------------------------------------------ */

static void
question_free(struct question *q)
{
	LIST_REMOVE(q, link);
	strbuf_release(&q->id);
	free(q);
}

static struct question *
question_new(struct passage *p, struct slice id)
{
	struct question *q = xcalloc(1, sizeof(*q));

	q->passage = p;
	strbuf_init(&q->id, ID_MAX);
	strbuf_add_slice(&q->id, id);
	LIST_INSERT_HEAD(&p->questions, q, link);
	return q;
}

static void
on_client_answer(struct call *call UNUSED, const struct call_answer *answer,
    void *arg)
{
	struct question *q = arg;
	struct server *s = q->passage->server;
	struct slice id = strbuf_slice(&q->id);

	if (answer->json.n > 0)
		server_respond(s, id, answer->result != NULL ? "result" :
		    "error", answer->json);
	else
		server_respond_error(s, id, answer->error, answer->message);
	question_free(q);
}

static const char *
method_of(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(bridged); i++) {
		if (slice_eq_str(name, bridged[i]))
			return bridged[i];
	}
	return NULL;
}

static void
ask_client(struct server *s, struct passage *p, const char *method,
    const struct jsonrpc_msg *msg)
{
	struct question *q = question_new(p, msg->id);
	const char *why = strbuf_ok(&q->id) ? call_ask(p->call, method,
	    msg->params, 0, on_client_answer, q) : "the id is too long";
	char text[MESSAGE_MAX];

	if (why == NULL)
		return;
	snprintf(text, sizeof(text), "the client cannot be asked: %s", why);
	server_respond_error(s, msg->id, JSONRPC_INTERNAL_ERROR, text);
	question_free(q);
}

void
dialogue_ask(struct server *s, struct passages *of,
    const struct jsonrpc_msg *msg)
{
	const char *method = method_of(msg->method);
	struct passage *p = only(of);

	if (method == NULL)
		server_respond_error(s, msg->id, JSONRPC_METHOD_NOT_FOUND,
		    "Method not found");
	else if (p == NULL)
		server_respond_error(s, msg->id, JSONRPC_INTERNAL_ERROR,
		    "no client to ask: the server has not exactly one call "
		    "(see STDIO_CHILD_CALLS)");
	else
		ask_client(s, p, method, msg);
}

static struct question *
find_question(const struct passages *of, struct slice id)
{
	struct passage *p;
	struct question *q;

	TAILQ_FOREACH(p, of, link) {
		LIST_FOREACH(q, &p->questions, link) {
			if (slice_eq(strbuf_slice(&q->id), id))
				return q;
		}
	}
	return NULL;
}

/* MCP, "Cancellation": whoever cancels awaits no answer. */
void
dialogue_withdraw(const struct passages *of, struct slice params)
{
	struct question *q = find_question(of, raw_find(params, "requestId"));

	if (q == NULL)
		return;
	call_ask_end(q->passage->call, q);
	question_free(q);
}

static void
drop_questions(struct passage *p)
{
	struct question *q;

	while ((q = LIST_FIRST(&p->questions)) != NULL)
		/* It leaves the list: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		question_free(q);
}

void
dialogue_end(struct passage *p)
{
	struct question *q;

	LIST_FOREACH(q, &p->questions, link)
		server_respond_error(p->server, strbuf_slice(&q->id),
		    JSONRPC_INTERNAL_ERROR, "the call has ended");
	drop_questions(p);
}

void
passage_free(struct passage *p)
{
	drop_questions(p);
	free(p);
}
