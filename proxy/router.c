#include "proxy/router.h"

#include <stdio.h>

#include "common/envelope.h"

/* who: the principal, NULL on a route that is open to all. */
typedef void route_fn(struct router *r, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    struct slice api);

struct route {
	const char *path;
	bool per_api;
	bool open;           /* needs no principal; where GET is, so is HEAD */
	enum http_method method;
	const char *allow;   /* the field that a 405 carries */
	route_fn *fn;
};

static void
sse_get(struct router *r, struct http_conn *c, const struct http_request *req,
    const struct principal *who, struct slice api)
{
	transport_sse_get(&r->sse, c, req, who, api);
}

static void
sse_post(struct router *r, struct http_conn *c, const struct http_request *req,
    const struct principal *who, struct slice api)
{
	transport_sse_post(&r->sse, c, req, who, api);
}

static void
healthz(struct router *r, struct http_conn *c, const struct http_request *req,
    const struct principal *who, struct slice api)
{
	(void)req;
	(void)who;
	(void)api;
	admin_healthz(&r->admin, c);
}

static void
readyz(struct router *r, struct http_conn *c, const struct http_request *req,
    const struct principal *who, struct slice api)
{
	(void)req;
	(void)who;
	(void)api;
	admin_readyz(&r->admin, c);
}

static void
metrics(struct router *r, struct http_conn *c, const struct http_request *req,
    const struct principal *who, struct slice api)
{
	(void)req;
	(void)who;
	(void)api;
	admin_metrics(&r->admin, c);
}

static void
resource_metadata(struct router *r, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    struct slice suffix)
{
	(void)who;
	resource_metadata_get(&r->resource, c, req, suffix);
}

#define ALLOW_GET "Allow: GET\r\n"
#define ALLOW_GET_HEAD "Allow: GET, HEAD\r\n"
#define ALLOW_POST "Allow: POST\r\n"

static const struct route routes[] = {
	{ "/messages/", true, false, HTTP_POST, ALLOW_POST, sse_post },
	{ "/sse", true, false, HTTP_GET, ALLOW_GET, sse_get },
	{ "/healthz", false, true, HTTP_GET, ALLOW_GET_HEAD, healthz },
	{ "/readyz", false, true, HTTP_GET, ALLOW_GET_HEAD, readyz },
	{ "/metrics", false, true, HTTP_GET, ALLOW_GET_HEAD, metrics },
};

/* The only one that stands before what it describes: see resource.h. */
static const struct route metadata_route = { RESOURCE_METADATA_PATH, false,
	true, HTTP_GET, ALLOW_GET_HEAD, resource_metadata };

/* Splits /<api>/<rest>; false when the path has not that form. */
static bool
split_api(struct slice path, struct slice *api, struct slice *rest)
{
	const char *slash;

	if (path.n < 2)
		return false;
	slash = memchr(path.p + 1, '/', path.n - 1);
	if (slash == NULL)
		return false;
	*api = slice_of(path.p + 1, (size_t)(slash - path.p) - 1);
	*rest = slice_of(slash, path.n - api->n - 1);
	return env_api_name_ok(*api);
}

/* *api: of the path, or what follows the metadata's path. */
static const struct route *
find(struct slice path, struct slice *api)
{
	static const struct slice metadata = SLICE(RESOURCE_METADATA_PATH);
	struct slice rest;

	if (path.n >= metadata.n &&
	    memcmp(path.p, metadata.p, metadata.n) == 0) {
		*api = slice_of(path.p + metadata.n, path.n - metadata.n);
		return &metadata_route;
	}
	*api = SLICE("");
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (slice_eq_str(path, routes[i].path))
			return &routes[i];
	}
	if (!split_api(path, api, &rest))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (routes[i].per_api && slice_eq_str(rest, routes[i].path))
			return &routes[i];
	}
	return NULL;
}

void
router_admitted(struct http_conn *c, const struct http_request *req,
    const struct principal *who, void *arg)
{
	struct slice api;
	const struct route *route = find(req->head->path, &api);

	route->fn(arg, c, req, who, api);
}

/* An answer to a HEAD is sent without its body; a stream has nothing else. */
static bool
serves(const struct route *route, enum http_method method)
{
	return method == route->method ||
	    (method == HTTP_HEAD && route->open && route->method == HTTP_GET);
}

void
router_handle(struct http_conn *c, const struct http_request *req, void *arg)
{
	struct router *r = arg;
	const struct principal *who = NULL;
	struct slice api;
	const struct route *route = find(req->head->path, &api);

	if (route == NULL) {
		http_respond_status(c, 404, NULL, NULL);
		return;
	}
	if (!serves(route, req->head->method)) {
		http_respond_status(c, 405, route->allow, NULL);
		return;
	}
	if (!route->open) {
		who = gate_check(r->gate, c, req, api);
		if (who == NULL)
			return;
	}
	route->fn(r, c, req, who, api);
}
