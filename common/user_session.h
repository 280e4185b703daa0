/*
 * What is kept of a session for its user and for operators: the value of
 * mcp_user_session:{<user hash>}:<sid>, packed with MessagePack.
 *
 * It is an array: the version, then the members of struct user_session in their
 * order. A later version may append members; what is there keeps its place and
 * meaning, so that readers need only look at whether there are enough of them. The
 * second element is the owner's epoch, by which Redis refuses the record of an
 * owner that has been replaced (proxy/user_index.c).
 */
#ifndef MCP_USER_SESSION_H
#define MCP_USER_SESSION_H

#include "common/compiler.h"
#include "common/strbuf.h"

#define USER_SESSION_VERSION 1
/* Bytes of a packed record; its texts are bounded by those who write it. */
#define USER_SESSION_MAX 1024

struct user_session {
	uint64_t epoch;             /* of the owner that wrote this */
	struct slice api;           /* empty: all APIs */
	struct slice transport;     /* "sse" */
	struct slice protocol;      /* revision, empty until it is known */
	struct slice user_kind;     /* "anonymous", "key", "jwt" */
	struct slice client;        /* name that the client gave, or empty */
	struct slice client_version;
	struct slice pod;           /* event loop that holds or held the stream */
	uint64_t created_ms;        /* wall clock, like all of these */
	uint64_t seen_ms;           /* when this was written */
	uint64_t detached_ms;       /* 0: it has a stream */
	uint64_t detached_until_ms; /* 0, or when it will be gone */
	uint64_t messages;          /* handed to its client so far */
	uint64_t reattaches;        /* after its stream had been let go */
	uint64_t recoveries;        /* from an owner that had not let it go */
};

/* Appends the packed record. */
void user_session_pack(const struct user_session *us, struct strbuf *out);
/* The texts borrow from packed. False: not such a record. */
bool user_session_unpack(struct slice packed,
    struct user_session *out) MUST_CHECK;

/* Calls back with each member's name and value: a text, or NULL and a number. */
typedef void user_session_member_cb(const char *name, const struct slice *text,
    uint64_t number, void *arg);
void user_session_each(const struct user_session *us,
    user_session_member_cb *cb, void *arg);

#endif
