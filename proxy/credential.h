/*
 * What a request carries to prove who sends it.
 */
#ifndef MCP_CREDENTIAL_H
#define MCP_CREDENTIAL_H

#include "proxy/http_head.h"

enum credential_kind {
	CREDENTIAL_NONE,
	CREDENTIAL_TOKEN,        /* Authorization: Bearer <JWT> */
	CREDENTIAL_API_KEY,      /* Authorization: ApiKey <key>, X-API-Key */
	CREDENTIAL_UNKNOWN,      /* Authorization with another scheme */
	CREDENTIAL_SEVERAL,      /* more than one: which one counts? */
	CREDENTIAL_IN_QUERY      /* access_token=: it ends up in logs */
};

struct credential {
	enum credential_kind kind;
	struct slice value;      /* borrows from the head */
};

void credential_read(struct credential *out, const struct http_head *head);

#endif
