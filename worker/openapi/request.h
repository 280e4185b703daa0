/*
 * One request to an upstream system, made of a tool's arguments.
 *
 * Whatever the arguments are, they stay in their place: a value cannot become
 * another path segment, another query parameter, another header or another part
 * of a body.
 */
#ifndef MCP_OPENAPI_REQUEST_H
#define MCP_OPENAPI_REQUEST_H

#include "worker/openapi/operation.h"

struct request {
	const char *method;
	struct strbuf path;  /* URL up to the query */
	struct strbuf query; /* without its ? */
	struct strbuf cookies;
	struct strbuf body;
	bool has_body;  /* maybe an empty one */
	char **headers; /* "Name: value", NULL-ended */
	size_t header_count;
};

/*
 * Makes the request that args ask of op at that server. False and a message for
 * the model that names the argument. request_release() in either case.
 */
bool request_init(struct request *r, const struct operation *op,
    const char *server, const cJSON *args, struct strbuf *error) MUST_CHECK;
void request_release(struct request *r);

/* False when value cannot be one (a line end, for example). */
bool request_add_header(
    struct request *r, const char *name, struct slice value) MUST_CHECK;
/* Authorization: Basic, of "user:secret" (RFC 7617). */
bool request_add_basic(struct request *r, struct slice user) MUST_CHECK;
/* The same as a line, "Authorization: Basic …". */
void request_basic(struct strbuf *sb, struct slice user);
void request_add_query(struct request *r, const char *name, const char *value);
/*
 * Once nothing is added any more: cookies become a header, and what is usually
 * sent with a body says that it has none.
 */
void request_finish(struct request *r);
/* Path and query; the caller releases it. False: longer than a URL may be. */
bool request_url(const struct request *r, struct strbuf *url) MUST_CHECK;

/* request_body.c: fills in body and Content-Type. */
bool request_make_body(struct request *r, const struct operation *op,
    const cJSON *args, struct strbuf *error) MUST_CHECK;
/* The value of a parameter: fixed, or the argument; NULL: none. */
const cJSON *request_value(const struct parameter *p, const cJSON *args);

#endif
