/*
 * jsonrpc_peek() on any bytes. What it accepts, an independent reader accepts
 * too, and they agree on what routing is decided by.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "common/jsonrpc.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* cJSON reads the first 63 characters of a number and stumbles on the rest. */
#define CJSON_NUMBER_MAX 63

static bool
has_long_number(const char *p, size_t n)
{
	size_t run = 0;

	for (size_t i = 0; i < n; i++) {
		run = p[i] != '\0' && strchr("0123456789+-.eE", p[i]) != NULL ?
		    run + 1 : 0;
		if (run > CJSON_NUMBER_MAX)
			return true;
	}
	return false;
}

/* The whole text as cJSON reads it, with nothing but blanks behind. */
static cJSON *
reference(const char *p, size_t n)
{
	const char *end = NULL;
	cJSON *tree = cJSON_ParseWithLengthOpts(p, n, &end, 0);

	MUST(tree != NULL);
	for (; end < p + n; end++)
		MUST(memchr(" \t\r\n", *end, 4) != NULL);
	return tree;
}

/* Whether the input at hand may hold strings that are left out. */
static bool text_may_be_missing;

/* Cases of letters matter; NULL is passed on. */
static const cJSON *
member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Only one that is too long with its escapes, or holds a NUL, is left out. */
static void
check_text(const cJSON *item, struct slice got)
{
	if (got.p == NULL) {
		MUST(!cJSON_IsString(item) || text_may_be_missing);
		return;
	}
	MUST(cJSON_IsString(item));
	MUST(slice_eq_str(got, item->valuestring));
}

/* Exact for strings without escapes and for numbers that a double holds. */
static void
check_token(const cJSON *item, struct slice got)
{
	if (got.p == NULL)
		return;
	if (got.p[0] == '"') {
		MUST(cJSON_IsString(item));
		if (memchr(got.p, '\\', got.n) == NULL)
			check_text(item, slice_of(got.p + 1, got.n - 2));
		return;
	}
	MUST(cJSON_IsNumber(item));
	if (got.n < 16 && memchr(got.p, '.', got.n) == NULL) {
		char digits[17] = "";

		memcpy(digits, got.p, got.n);
		MUST(strtod(digits, NULL) == item->valuedouble);
	}
}

static void
check_message(const cJSON *tree, const struct jsonrpc_msg *msg)
{
	const cJSON *params = member(tree, "params");
	const cJSON *meta = member(params, "_meta");
	const cJSON *client = member(params, "clientInfo");

	MUST(strcmp(member(tree, "jsonrpc")->valuestring, "2.0") == 0);
	MUST((member(tree, "id") != NULL) == (msg->id.p != NULL));
	MUST((member(tree, "method") != NULL) == (msg->method.p != NULL));
	MUST((member(tree, "result") != NULL) == msg->has_result);
	MUST((member(tree, "error") != NULL) == msg->has_error);
	MUST((params != NULL) == (msg->params.p != NULL));
	check_token(member(tree, "id"), msg->id);
	check_text(member(tree, "method"), msg->method);
	check_text(member(params, "name"), msg->name);
	check_text(member(params, "uri"), msg->uri);
	check_text(member(params, "cursor"), msg->cursor);
	check_text(member(params, "protocolVersion"), msg->protocol_version);
	check_text(member(client, "name"), msg->client_name);
	check_text(member(client, "version"), msg->client_version);
	check_token(member(params, "requestId"), msg->request_id);
	check_token(member(meta, "progressToken"), msg->progress_token);
	check_text(member(meta, "traceparent"), msg->traceparent);
	if (cJSON_IsObject(params)) {
		MUST(msg->name_invalid ==
		    (member(params, "name") && msg->name.p == NULL));
		MUST(msg->uri_invalid ==
		    (member(params, "uri") && msg->uri.p == NULL));
		MUST(msg->cursor_invalid ==
		    (member(params, "cursor") && msg->cursor.p == NULL));
	}
}

/* An id goes back as it came, in a reply that is itself well-formed. */
static void
check_reply(struct slice id)
{
	struct strbuf sb = STRBUF_INIT(1 << 24);
	struct jsonrpc_msg msg;

	jsonrpc_error(&sb, id, JSONRPC_INTERNAL_ERROR, "\"x\"\n");
	MUST(strbuf_ok(&sb));
	MUST(jsonrpc_peek(sb.p, sb.n, &msg) == 0);
	MUST(msg.kind == JSONRPC_RESPONSE && slice_eq(msg.id, id));
	strbuf_release(&sb);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	struct jsonrpc_msg msg;
	int rc = jsonrpc_peek(p, size, &msg);
	cJSON *tree;

	if (msg.id.p != NULL)
		check_reply(msg.id);
	if (rc == JSONRPC_PARSE_ERROR || has_long_number(p, size))
		return 0;
	text_may_be_missing = size > JSONRPC_TEXT_MAX ||
	    memmem(p, size, "\\u0000", 6) != NULL;
	tree = reference(p, size);
	if (rc == 0)
		check_message(tree, &msg);
	cJSON_Delete(tree);
	return 0;
}
