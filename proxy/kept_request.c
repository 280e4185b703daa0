#include "proxy/kept_request.h"

#include <stdlib.h>

#include "common/envelope.h"
#include "common/xalloc.h"

struct kept_request {
	struct http_conn *c;
	char api[API_NAME_MAX + 1];
	size_t head_len;
	size_t body_len;
	char bytes[];                /* head, then body */
};

struct kept_request *
kept_request_new(struct http_conn *c, const struct http_request *req,
    struct slice api)
{
	struct slice head = req->head_bytes, body = req->body;
	struct kept_request *k = xmalloc(sizeof(*k) + head.n + body.n);

	*k = (struct kept_request){ .c = c, .head_len = head.n,
		.body_len = body.n };
	if (api.n > 0 && api.n <= API_NAME_MAX)
		memcpy(k->api, api.p, api.n);
	memcpy(k->bytes, head.p, head.n);
	if (body.n > 0)
		memcpy(k->bytes + head.n, body.p, body.n);
	http_hold(c);
	return k;
}

void
kept_request_free(struct kept_request *k)
{
	http_release(k->c);
	free(k);
}

struct http_conn *
kept_request_conn(const struct kept_request *k)
{
	return k->c;
}

struct slice
kept_request_api(const struct kept_request *k)
{
	return slice_str(k->api);
}

size_t
kept_request_bytes(const struct kept_request *k)
{
	return k->head_len + k->body_len;
}

bool
kept_request_read(const struct kept_request *k, const struct http_limits *limits,
    struct http_head *head, struct http_request *req)
{
	*req = (struct http_request){ head, slice_of(k->bytes, k->head_len),
		slice_of(k->bytes + k->head_len, k->body_len) };
	return http_head_parse(k->bytes, k->head_len, limits, head) == 0;
}
