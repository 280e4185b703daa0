#include "worker/openapi/server.h"

#include <stdlib.h>

#include <curl/curl.h>

#include "worker/openapi/spec.h"
#include "worker/runtime/egress.h"

/* URLs --------------------------------------------------------------------- */

static bool
has_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return has;
}

/* A port that no URL has is refused when the URL is read. */
static bool
host_ok(CURLU *u)
{
	struct egress *egress = egress_new();
	struct strbuf error = STRBUF_INIT(512);
	char *host = NULL;
	bool ok = curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		  egress_add_hosts(egress, host, &error);

	curl_free(host);
	strbuf_release(&error);
	egress_free(egress);
	return ok;
}

static bool
scheme_ok(CURLU *u)
{
	char *scheme = NULL;
	bool ok = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		  (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

	curl_free(scheme);
	return ok;
}

static bool
can_begin(CURLU *u)
{
	return scheme_ok(u) && host_ok(u) && !has_part(u, CURLUPART_USER) &&
	       !has_part(u, CURLUPART_QUERY) && !has_part(u, CURLUPART_FRAGMENT);
}

static void
add_url(CURLU *u, struct strbuf *url)
{
	char *text = NULL;
	size_t n;

	if (curl_url_get(u, CURLUPART_URL, &text, 0) != CURLUE_OK)
		abort();
	for (n = strlen(text); n > 0 && text[n - 1] == '/';)
		n--;
	strbuf_add(url, text, n);
	curl_free(text);
}

bool
server_resolve(const char *text, const char *base, struct strbuf *url)
{
	CURLU *u = curl_url();
	bool ok;

	if (u == NULL)
		abort();
	/* A base that is a file's name is none, and all the better if so. */
	(void)curl_url_set(u, CURLUPART_URL, base, 0);
	ok = strpbrk(text, "{}\\") == NULL &&
	     curl_url_set(u, CURLUPART_URL, *text ? text : "/", 0) ==
		 CURLUE_OK &&
	     can_begin(u);
	if (ok)
		add_url(u, url);
	curl_url_cleanup(u);
	return ok;
}

/* Descriptions ------------------------------------------------------------- */

static void
add_variable(struct strbuf *url, const struct node *server, struct slice name)
{
	const struct node *variable =
	    node_find(node_get(server, "variables"), name);
	struct slice text = node_text(node_get(variable, "default"));

	/* One without a default stays open, and what is open is no URL. */
	if (text.p != NULL)
		strbuf_add_slice(url, text);
	else
		strbuf_addf(url, "{%.*s}", SLICE_ARG(name));
}

/* The URL with the defaults of its variables. */
static void
add_server(struct strbuf *url, const struct node *server)
{
	struct slice text = node_string(node_get(server, "url"));

	for (size_t i = 0; i < text.n; i++) {
		const char *end = text.p[i] == '{'
				      ? memchr(text.p + i, '}', text.n - i)
				      : NULL;

		if (end == NULL) {
			strbuf_add_char(url, text.p[i]);
			continue;
		}
		add_variable(url, server,
		    slice_of(text.p + i + 1, (size_t)(end - text.p) - i - 1));
		i = (size_t)(end - text.p);
	}
}

/* Swagger 2.0: host, basePath and schemes; https where there is a choice. */
static void
add_host(struct strbuf *url, const struct node *root)
{
	const struct node *schemes = node_get(root, "schemes");
	bool plain = node_count(schemes) > 0;

	for (size_t i = 0;
	     node_is(schemes, NODE_ARRAY) && i < node_count(schemes); i++)
		plain &= !node_eq(node_item(schemes, i), "https");
	if (node_string(node_get(root, "host")).n > 0)
		strbuf_addf(url, "%s://%.*s", plain ? "http" : "https",
		    SLICE_ARG(node_string(node_get(root, "host"))));
	strbuf_add_slice(url, node_string(node_get(root, "basePath")));
}

static const struct node *
first_server(const struct spec *s, const struct operation *op)
{
	const struct node *const from[] = { op->at.node, op->item.node,
		s->root.node };

	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		const struct node *servers = node_get(from[i], "servers");

		if (node_is(servers, NODE_ARRAY) && node_count(servers) > 0)
			return node_item(servers, 0);
	}
	return NULL;
}

void
server_map(struct spec *s, struct operation *op, struct arena *arena)
{
	struct strbuf text = STRBUF_INIT(2048), url = STRBUF_INIT(4096);

	if (s->version == SPEC_2)
		add_host(&text, s->root.node);
	else
		add_server(&text, first_server(s, op));
	op->server_named = arena_dup(arena, strbuf_slice(&text));
	op->server = strbuf_ok(&text) &&
			     server_resolve(op->server_named,
				 s->root.document->name, &url) &&
			     strbuf_ok(&url)
			 ? arena_dup(arena, strbuf_slice(&url))
			 : NULL;
	strbuf_release(&text);
	strbuf_release(&url);
}
