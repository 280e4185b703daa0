#include "worker/stdio/server_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/raw.h"
#include "common/xalloc.h"

/* The params of a cancellation. */
#define CANCEL_MAX 256

/* Speaking ----------------------------------------------------------------------- */

static bool
say(struct server *s)
{
	bool ok = s->state != SERVER_LOST && strbuf_ok(&s->out) &&
	    child_say(s->child, strbuf_slice(&s->out));

	if (s->out.cap > 65536)
		strbuf_release(&s->out);
	return ok;
}

static void
open_message(struct server *s)
{
	strbuf_reset(&s->out);
	strbuf_add_str(&s->out, "{\"jsonrpc\":\"2.0\"");
}

static void
add_params(struct server *s, struct slice params)
{
	if (params.n > 0) {
		strbuf_add_str(&s->out, ",\"params\":");
		strbuf_add_slice(&s->out, params);
	}
	strbuf_add_char(&s->out, '}');
}

static void
open_request(struct server *s, const char *method)
{
	open_message(s);
	strbuf_addf(&s->out, ",\"id\":%" PRIu64 ",\"method\":\"%s\"",
	    s->last + 1, method);
}

/* Sends what has been made. */
static uint64_t
send_request(struct server *s, server_answer_fn *fn, void *arg)
{
	struct request *r;

	if (!say(s))
		return 0;
	r = xcalloc(1, sizeof(*r));
	r->number = ++s->last;
	r->fn = fn;
	r->arg = arg;
	HASH_ADD(hh, s->requests, number, sizeof(r->number), r);
	return r->number;
}

uint64_t
server_ask(struct server *s, const char *method, struct slice params,
    server_answer_fn *fn, void *arg)
{
	open_request(s, method);
	add_params(s, params);
	return send_request(s, fn, arg);
}

/* A part of the text at from, and what goes in its place. */
struct change {
	struct slice part;
	struct slice by;
};

/* text, which holds the parts in any order, two at most. */
static void
add_changed(struct strbuf *sb, struct slice text, struct change a,
    struct change b)
{
	const char *p = text.p;
	struct change each[] = { a, b };

	if (b.part.p != NULL && (a.part.p == NULL || b.part.p < a.part.p)) {
		each[0] = b;
		each[1] = a;
	}
	for (size_t i = 0; i < ARRAY_LEN(each); i++) {
		if (each[i].part.p == NULL)
			continue;
		strbuf_add(sb, p, (size_t)(each[i].part.p - p));
		strbuf_add_slice(sb, each[i].by);
		p = each[i].part.p + each[i].part.n;
	}
	strbuf_add(sb, p, (size_t)(text.p + text.n - p));
}

/* tools/call and prompts/get have it in params, completion/complete in its ref. */
static struct slice
name_in(struct slice params)
{
	struct slice name = raw_find(params, "name");

	return name.p != NULL ? name : raw_find(raw_find(params, "ref"),
	    "name");
}

uint64_t
server_pass_on(struct server *s, const char *method, struct slice params,
    const char *name, server_answer_fn *fn, void *arg)
{
	struct strbuf quoted = STRBUF_INIT(SERVER_MESSAGE_MAX);
	struct change named = { name_in(params), SLICE_NONE };
	struct change token = { raw_find(raw_find(params, "_meta"),
		"progressToken"), SLICE_NONE };
	char number[20];
	uint64_t sent;

	token.by = slice_of(number, u64_decimal(number, s->last + 1));
	strbuf_add_json(&quoted, slice_str(name));
	named.by = strbuf_slice(&quoted);
	open_request(s, method);
	strbuf_add_str(&s->out, ",\"params\":");
	add_changed(&s->out, params, named, token);
	strbuf_add_char(&s->out, '}');
	strbuf_release(&quoted);
	sent = send_request(s, fn, arg);
	return sent;
}

void
server_notify(struct server *s, const char *method, struct slice params)
{
	open_message(s);
	strbuf_addf(&s->out, ",\"method\":\"%s\"", method);
	add_params(s, params);
	(void)!say(s);
}

void
server_respond(struct server *s, struct slice id, const char *member,
    struct slice json)
{
	open_message(s);
	strbuf_add_str(&s->out, ",\"id\":");
	strbuf_add_slice(&s->out, id);
	strbuf_addf(&s->out, ",\"%s\":", member);
	strbuf_add_slice(&s->out, json);
	strbuf_add_char(&s->out, '}');
	(void)!say(s);
}

void
server_respond_error(struct server *s, struct slice id, int code,
    const char *message)
{
	strbuf_reset(&s->out);
	jsonrpc_error(&s->out, id, code, message);
	(void)!say(s);
}

/* Requests that were sent ---------------------------------------------------------- */

struct request *
server_find_request(const struct server *s, uint64_t number)
{
	struct request *r;

	HASH_FIND(hh, s->requests, &number, sizeof(number), r);
	return r;
}

void
server_settle(struct server *s, struct request *take_r,
    const struct server_answer *answer)
{
	struct request *r = take_r;
	server_answer_fn *fn = r->fn;
	void *arg = r->arg;

	/* HASH_DEL relinks: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	HASH_DEL(s->requests, r);
	free(r);
	fn(answer, arg);
}

void
server_cancel(struct server *s, uint64_t request, const char *reason)
{
	struct request *r = server_find_request(s, request);
	struct strbuf params = STRBUF_INIT(CANCEL_MAX);

	if (r == NULL)
		return;
	HASH_DEL(s->requests, r);
	free(r);
	strbuf_addf(&params, "{\"requestId\":%" PRIu64 ",\"reason\":\"%s\"}",
	    request, reason);
	server_notify(s, "notifications/cancelled", strbuf_slice(&params));
	strbuf_release(&params);
}
