/*
 * What session_claim.c (which session a stream gets) and session_reattach.c (one
 * that another stream had) share. Nobody else includes it.
 */
#ifndef MCP_SESSION_CLAIM_PRIVATE_H
#define MCP_SESSION_CLAIM_PRIVATE_H

#include "proxy/session_private.h"

/* The search for a stream's session; what is not found is claimed anew. */
struct claim {
	uint64_t epoch;                 /* of the session found */
	bool key_asked;
	bool reconnected;               /* the GET has a protocol version */
	bool sought;                    /* by looks */
	bool by_looks;                  /* what is being tried was found by them */
	char named[SID_LEN + 1];        /* the GET's session id, or empty */
	char found[SID_LEN + 1];        /* what is being tried */
};

/* What a session's record borrows. */
struct claim_texts {
	char user[SHA256_HEX_LEN + 1];
	char can[CLIENT_TRAITS_TEXT_MAX];
};

/* session_claim.c */

/* Tries what there is to be tried next, as far as Redis is there. */
void session_claim_next(struct session *s);
/* What a claim says of the session; it borrows from both. */
struct session_claim session_claim_record(struct session *s,
    struct claim_texts *texts);
/* The session is the stream's: it gets its endpoint. */
void session_claim_go_live(struct session *s);
/* A live session whose next step found no Redis lives on: all is judged anew. */
void session_claim_let_live(struct session *s);

/* session_reattach.c */

/*
 * Looks up the session that claim->found names, and takes it over if it may;
 * session_claim_next() goes on if there is no such session. False: Redis is away.
 */
bool session_reattach_look_up(struct session *s) MUST_CHECK;

#endif
