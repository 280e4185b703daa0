#include "tests/bench/load/errors.h"

#include <stdio.h>

/* More would only repeat what the first ones say. */
#define SHOWN_MAX 5
#define DETAIL_MAX 200

static const char *const names[LOAD_ERROR_KINDS] = {
	[LOAD_OK] = "ok",
	[LOAD_CONNECT] = "connect",
	[LOAD_BAD_HTTP] = "bad_http",
	[LOAD_STREAM_STATUS] = "stream_status",
	[LOAD_STREAM_CLOSED] = "stream_closed",
	[LOAD_NO_ENDPOINT] = "no_endpoint",
	[LOAD_SECOND_ENDPOINT] = "second_endpoint",
	[LOAD_POST_STATUS] = "post_status",
	[LOAD_POST_CLOSED] = "post_closed",
	[LOAD_BAD_MESSAGE] = "bad_message",
	[LOAD_RPC_ERROR] = "rpc_error",
	[LOAD_TOOL_ERROR] = "tool_error",
	[LOAD_WRONG_CONTENT] = "wrong_content",
	[LOAD_WRONG_SESSION] = "wrong_session",
	[LOAD_DUPLICATE] = "duplicate",
	[LOAD_UNKNOWN_ID] = "unknown_id",
	[LOAD_MISSING] = "missing",
};

const char *
load_error_name(enum load_error kind)
{
	return names[kind];
}

void
load_errors_add(struct load_errors *errors, enum load_error kind,
    unsigned session, struct slice detail)
{
	errors->count[kind]++;
	if (errors->total++ >= SHOWN_MAX)
		return;
	if (detail.n > DETAIL_MAX)
		detail.n = DETAIL_MAX;
	fprintf(stderr, "loadgen: %s on session %u: %.*s\n", names[kind],
	    session, SLICE_ARG(detail));
}
