#include "proxy/resource.h"

#include <strings.h>

#define METADATA_MAX 65536
#define URL_MAX 1024

void
called_read(struct called *out, const struct http_head *head)
{
	struct slice proto = http_head_field(head, "x-forwarded-proto");

	out->host = head->host.n <= RESOURCE_HOST_MAX ? head->host : SLICE("");
	out->https = proto.n == 5 && strncasecmp(proto.p, "https", 5) == 0;
}

void
resource_base(struct strbuf *out, const char *public_url,
    const struct called *called)
{
	size_t n = public_url != NULL ? strlen(public_url) : 0;

	while (n > 0 && public_url[n - 1] == '/')
		n--;
	if (n > 0) {
		strbuf_add(out, public_url, n);
		return;
	}
	strbuf_add_str(out, called->https ? "https://" : "http://");
	strbuf_add_slice(out, called->host.n > 0 ? called->host :
						   SLICE("localhost"));
}

static void
add_path(struct strbuf *out, struct slice api)
{
	if (api.n > 0) {
		strbuf_add_char(out, '/');
		strbuf_add_slice(out, api);
	}
	strbuf_add_str(out, "/sse");
}

/* Host names and scopes hold no quotes: see http_head.c and scopes.c. */
void
resource_challenge(struct strbuf *out, const char *public_url,
    const struct called *called, const struct challenge *c)
{
	strbuf_add_str(out, "WWW-Authenticate: Bearer ");
	if (c->error != NULL)
		strbuf_addf(out, "error=\"%s\", ", c->error);
	if (c->description != NULL)
		strbuf_addf(out, "error_description=\"%s\", ", c->description);
	strbuf_add_str(out, "resource_metadata=\"");
	resource_base(out, public_url, called);
	strbuf_add_str(out, RESOURCE_METADATA_PATH);
	add_path(out, c->api);
	strbuf_add_str(out, "\", scope=\"");
	strbuf_add_slice(out, c->scope);
	strbuf_add_str(out, "\"\r\n");
}

/* Metadata -------------------------------------------------------------------- */

/* "", /sse, /mcp, /<api>/sse, /<api>/mcp. */
static bool
is_resource(struct slice path)
{
	const char *slash;

	if (path.n == 0 || slice_eq_str(path, "/sse") ||
	    slice_eq_str(path, "/mcp"))
		return true;
	slash = memrchr(path.p, '/', path.n);
	if (path.p[0] != '/' || slash == path.p)
		return false;
	return env_api_name_ok(
		   slice_of(path.p + 1, (size_t)(slash - path.p) - 1)) &&
	    is_resource(slice_of(slash, (size_t)(path.p + path.n - slash)));
}

/* Appends ,"name":["…",…] of the words in list. */
static void
add_words(struct strbuf *out, const char *name, const char *list)
{
	const char *at = list + strspn(list, " ,");
	bool first = true;

	strbuf_addf(out, ",\"%s\":[", name);
	while (*at != '\0') {
		size_t n = strcspn(at, " ,");

		if (!first)
			strbuf_add_char(out, ',');
		first = false;
		strbuf_add_json(out, slice_of(at, n));
		at += n;
		at += strspn(at, " ,");
	}
	strbuf_add_char(out, ']');
}

void
resource_metadata_get(const struct resource *r, struct http_conn *c,
    const struct http_request *req, struct slice suffix)
{
	struct strbuf body = STRBUF_INIT(METADATA_MAX);
	struct strbuf url = STRBUF_INIT(URL_MAX);
	struct strbuf scopes = STRBUF_INIT(METADATA_MAX);
	struct called called;

	if (!is_resource(suffix)) {
		http_respond_status(c, 404, NULL, NULL);
		return;
	}
	called_read(&called, req->head);
	resource_base(&url, r->public_url, &called);
	strbuf_add_slice(&url, suffix);
	catalog_add_names(r->catalog, &scopes);
	strbuf_add_str(&body, "{\"resource\":");
	strbuf_add_json(&body, strbuf_slice(&url));
	if (r->authorization_servers != NULL)
		add_words(&body, "authorization_servers",
		    r->authorization_servers);
	add_words(&body, "scopes_supported", strbuf_str(&scopes));
	add_words(&body, "bearer_methods_supported", "header");
	strbuf_add_char(&body, '}');
	http_respond(c, &(struct http_response){ .status = 200,
		.type = "application/json",
		.headers = "Cache-Control: no-store\r\n"
			   "Access-Control-Allow-Origin: *\r\n",
		.body = strbuf_slice(&body) });
	strbuf_release(&body);
	strbuf_release(&url);
	strbuf_release(&scopes);
}
