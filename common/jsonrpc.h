/*
 * One strict look at a JSON-RPC 2.0 message, without a tree and without
 * allocating: it validates the whole text (RFC 8259) and returns slices of the
 * few members that routing needs. The bytes themselves travel on untouched.
 *
 * Refused, because two parsers could read it differently: bytes after the
 * value, nesting deeper than JSONRPC_DEPTH_MAX, invalid UTF-8 (overlong forms
 * and surrogates included), raw control characters in strings, lone surrogate
 * escapes; at the top level, in params and in its _meta and clientInfo also
 * duplicate member names, names with a NUL or with escapes that
 * JSONRPC_TEXT_MAX has no room for, and more than JSONRPC_MEMBERS_MAX members.
 */
#ifndef MCP_JSONRPC_H
#define MCP_JSONRPC_H

#include "common/compiler.h"
#include "common/strbuf.h"

#define JSONRPC_DEPTH_MAX 64
#define JSONRPC_MEMBERS_MAX 32
/* Bytes for what the strings of one message say that are written with escapes. */
#define JSONRPC_TEXT_MAX 1024

enum {
	JSONRPC_PARSE_ERROR = -32700,
	JSONRPC_INVALID_REQUEST = -32600,
	JSONRPC_METHOD_NOT_FOUND = -32601,
	JSONRPC_INVALID_PARAMS = -32602,
	JSONRPC_INTERNAL_ERROR = -32603
};

enum jsonrpc_kind {
	JSONRPC_REQUEST,       /* method and id */
	JSONRPC_NOTIFICATION,  /* method, no id */
	JSONRPC_RESPONSE       /* id, and result or error */
};

/*
 * "raw" slices are JSON as sent (a string keeps its quotes), the others what a
 * string says: method "tools\/call", as PHP writes it, is tools/call. They point
 * into the caller's text, or for strings with escapes into this struct, which is
 * therefore not to be copied. Absent is p == NULL; so is a string that is too
 * long for JSONRPC_TEXT_MAX with its escapes replaced, or that holds a NUL.
 */
struct jsonrpc_msg {
	enum jsonrpc_kind kind;
	struct slice id;              /* raw: string or number */
	struct slice method;
	struct slice params;          /* raw: object or array */
	bool has_result;
	bool has_error;
	struct slice result;          /* raw: an object; what else it may be, absent */
	struct slice error;           /* the same */
	/* members of params, when it is an object */
	struct slice name;            /* tools/call, prompts/get */
	struct slice uri;             /* resources/read */
	struct slice cursor;          /* the lists */
	struct slice protocol_version; /* initialize: protocolVersion */
	struct slice client_name;     /* initialize: clientInfo.name */
	struct slice client_version;  /* initialize: clientInfo.version */
	struct slice request_id;      /* raw: notifications/cancelled requestId */
	/* given, but no such string: a case for JSONRPC_INVALID_PARAMS */
	bool name_invalid;
	bool uri_invalid;
	bool cursor_invalid;
	/* members of params._meta */
	struct slice progress_token;  /* raw: string or number */
	struct slice traceparent;
	char text[JSONRPC_TEXT_MAX];  /* last, since it need not be zeroed */
};

/*
 * Looks at the n bytes at p. Returns 0; JSONRPC_PARSE_ERROR when they are not
 * one JSON value as above; JSONRPC_INVALID_REQUEST when they are, but not a
 * JSON-RPC 2.0 request, notification or response (an array, that is a batch,
 * included: only revision 2025-03-26 has batches; params that are neither an
 * object nor an array; a method beside a result or an error). After an error,
 * out->id is still set where one valid id was found (so that the error can name
 * it), and the rest is unspecified.
 *
 * An id is a string or a number (MCP forbids null; fractions are let through
 * as sent).
 */
int jsonrpc_peek(const char *p, size_t n, struct jsonrpc_msg *out) MUST_CHECK;

/* Are they one JSON value, of any kind, as strict as above? */
bool jsonrpc_is_json(struct slice text);

/*
 * Appends {"jsonrpc":"2.0","id":<id>,"error":{"code":…,"message":…}}, with a
 * null id when id is absent.
 */
void jsonrpc_error(struct strbuf *sb, struct slice id, int code,
    const char *message);
/* Appends {"jsonrpc":"2.0","id":<id>,"result": and leaves the rest to come. */
void jsonrpc_result_open(struct strbuf *sb, struct slice id);

#endif
