#include "tests/bench/load/message.h"

#include <stdio.h>

#include "common/raw.h"

#define PROTOCOL "2025-06-18"

void
message_initialize(struct strbuf *out)
{
	strbuf_add_str(out, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":"
	    "\"initialize\",\"params\":{\"protocolVersion\":\"" PROTOCOL "\","
	    "\"capabilities\":{},\"clientInfo\":{\"name\":\"loadgen\","
	    "\"version\":\"1\"}}}");
}

void
message_initialized(struct strbuf *out)
{
	strbuf_add_str(out, "{\"jsonrpc\":\"2.0\",\"method\":"
	    "\"notifications/initialized\"}");
}

/* "s<session>-n<id>-" and then letters that differ from call to call. */
static void
write_text(char *to, size_t size, unsigned session, uint64_t id)
{
	char head[MESSAGE_TEXT_MIN + 8];
	size_t n = 0;
	char digits[20];
	unsigned letter = (unsigned)(session * 7 + id) % 26;

	head[n++] = 's';
	for (size_t i = 0, d = u64_decimal(digits, session); i < d; i++)
		head[n++] = digits[i];
	head[n++] = '-';
	head[n++] = 'n';
	for (size_t i = 0, d = u64_decimal(digits, id); i < d; i++)
		head[n++] = digits[i];
	head[n++] = '-';
	memcpy(to, head, n < size ? n : size);
	for (; n < size; n++) {
		to[n] = (char)('a' + letter);
		letter = letter == 25 ? 0 : letter + 1;
	}
}

void
message_call(struct strbuf *out, const char *tool, const char *arg_name,
    unsigned session, uint64_t id, size_t size)
{
	char *to;

	strbuf_add_str(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	strbuf_add_u64(out, id);
	strbuf_add_str(out, ",\"method\":\"tools/call\",\"params\":{\"name\":\"");
	strbuf_add_str(out, tool);
	strbuf_add_str(out, "\",\"arguments\":{\"");
	strbuf_add_str(out, arg_name);
	strbuf_add_str(out, "\":\"");
	to = strbuf_reserve(out, size);
	if (to == NULL)
		return;
	write_text(to, size, session, id);
	out->n += size;
	strbuf_add_str(out, "\"}}}");
}

static bool
read_id(struct slice raw, uint64_t *id)
{
	*id = 0;
	if (raw.n == 0 || raw.n > 18)
		return false;
	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] < '0' || raw.p[i] > '9')
			return false;
		*id = *id * 10 + (uint64_t)(raw.p[i] - '0');
	}
	return true;
}

enum load_error
message_read(struct slice data, struct message *out)
{
	struct message m = {
		.result = raw_find(data, "result"),
		.error = raw_find(data, "error"),
	};
	struct slice id = raw_find(data, "id");

	if (!raw_is(raw_find(data, "jsonrpc"), "\"2.0\""))
		return LOAD_BAD_MESSAGE;
	if (id.p != NULL) {
		/* Ours are all numbers: anything else was never sent. */
		if (!read_id(id, &m.id))
			return LOAD_UNKNOWN_ID;
		m.has_id = true;
	}
	*out = m;
	return LOAD_OK;
}

enum load_error
message_check_initialize(const struct message *m)
{
	if (m->result.p == NULL)
		return LOAD_RPC_ERROR;
	return raw_find(m->result, "protocolVersion").p != NULL &&
	    raw_find(m->result, "serverInfo").p != NULL ? LOAD_OK
							: LOAD_WRONG_CONTENT;
}

/* What stands between the quotes of result.content[0].text, escapes untouched. */
static bool
answer_text(struct slice result, struct slice *text)
{
	struct slice item, value;
	struct raw_walk content;

	if (!raw_enter(raw_find(result, "content"), &content) ||
	    !raw_item(&content, &item))
		return false;
	value = raw_find(item, "text");
	if (value.n < 2 || value.p[0] != '"')
		return false;
	*text = slice_of(value.p + 1, value.n - 2);
	return true;
}

/* The session that a text says it is from. */
static bool
text_session(struct slice text, unsigned *session)
{
	char head[16] = { 0 };

	memcpy(head, text.p, text.n < sizeof(head) - 1 ? text.n
						       : sizeof(head) - 1);
	return sscanf(head, "s%u-n", session) == 1;
}

enum load_error
message_check_call(const struct message *m, unsigned session, size_t size)
{
	static char want[MESSAGE_TEXT_MAX];
	struct slice text;
	unsigned from;

	if (m->result.p == NULL)
		return LOAD_RPC_ERROR;
	if (raw_is(raw_find(m->result, "isError"), "true"))
		return LOAD_TOOL_ERROR;
	if (!answer_text(m->result, &text))
		return LOAD_WRONG_CONTENT;
	write_text(want, size, session, m->id);
	if (slice_eq(text, slice_of(want, size)))
		return LOAD_OK;
	return text_session(text, &from) && from != session
	    ? LOAD_WRONG_SESSION : LOAD_WRONG_CONTENT;
}

enum load_error
message_classify(const struct message *m, unsigned session, uint64_t next_id)
{
	struct slice text;
	unsigned from;

	if (m->result.p != NULL && answer_text(m->result, &text) &&
	    text_session(text, &from) && from != session)
		return LOAD_WRONG_SESSION;
	return m->id < next_id ? LOAD_DUPLICATE : LOAD_UNKNOWN_ID;
}
