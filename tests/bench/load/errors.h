/*
 * What can be wrong with a server, each kind counted by itself.
 */
#ifndef BENCH_ERRORS_H
#define BENCH_ERRORS_H

#include "common/compiler.h"

enum load_error {
	LOAD_OK,
	LOAD_CONNECT,         /* a connection was refused or broke at once */
	LOAD_BAD_HTTP,        /* the bytes are not HTTP */
	LOAD_STREAM_STATUS,   /* GET was not answered 200 */
	LOAD_STREAM_CLOSED,   /* a stream ended before we closed it */
	LOAD_NO_ENDPOINT,     /* no endpoint event in time */
	LOAD_SECOND_ENDPOINT, /* two endpoint events on one stream */
	LOAD_POST_STATUS,     /* POST was not answered 2xx */
	LOAD_POST_CLOSED,     /* the connection ended before the POST's answer */
	LOAD_BAD_MESSAGE,     /* an event that is no JSON-RPC message */
	LOAD_RPC_ERROR,       /* a JSON-RPC error where a result was due */
	LOAD_TOOL_ERROR,      /* isError */
	LOAD_WRONG_CONTENT,   /* not the text that was sent */
	LOAD_WRONG_SESSION,   /* another session's answer */
	LOAD_DUPLICATE,       /* a second answer, or one after its time-out */
	LOAD_UNKNOWN_ID,      /* an id that was never sent */
	LOAD_MISSING,         /* a call without an answer */
	LOAD_ERROR_KINDS
};

struct load_errors {
	uint64_t count[LOAD_ERROR_KINDS];
	uint64_t total;
};

const char *load_error_name(enum load_error kind);
/* Counts one, and shows the first few on standard error. */
void load_errors_add(struct load_errors *errors, enum load_error kind,
    unsigned session, struct slice detail);

#endif
