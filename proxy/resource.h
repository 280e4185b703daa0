/*
 * This server as an OAuth protected resource (RFC 9728): how it names itself
 * to a client, in challenges and in its metadata.
 *
 * The resource of an API is the URL of its stream: <base>/sse for all APIs,
 * <base>/<api>/sse for one. The base is PUBLIC_URL or, without it, what the
 * client itself called this server by.
 */
#ifndef MCP_RESOURCE_H
#define MCP_RESOURCE_H

#include "common/strbuf.h"
#include "proxy/catalog.h"
#include "proxy/http.h"

#define RESOURCE_METADATA_PATH "/.well-known/oauth-protected-resource"

/* Longer host names than DNS has are not repeated to clients. */
#define RESOURCE_HOST_MAX 261

/* What a client called this server by. */
struct called {
	struct slice host;   /* with its port; empty when too long or absent */
	bool https;          /* as the load balancer says */
};

void called_read(struct called *out, const struct http_head *head);

/* Appends the base URL, without a slash at its end. public_url may be NULL. */
void resource_base(struct strbuf *out, const char *public_url,
    const struct called *called);

struct challenge {
	const char *error;          /* of RFC 6750, section 3.1; NULL: none */
	const char *description;    /* NULL: none */
	struct slice scope;         /* what would be needed */
	struct slice api;           /* of the path; empty: all */
};

/* Appends a WWW-Authenticate field with its CRLF. */
void resource_challenge(struct strbuf *out, const char *public_url,
    const struct called *called, const struct challenge *challenge);

struct resource {
	const struct catalog *catalog;        /* all borrowed */
	const char *public_url;               /* NULL: none */
	const char *authorization_servers;    /* words; NULL: none */
};

/*
 * Answers a GET of RESOURCE_METADATA_PATH + suffix: "", or the path of a
 * resource. 404 for others.
 */
void resource_metadata_get(const struct resource *r, struct http_conn *c,
    const struct http_request *req, struct slice suffix);

#endif
