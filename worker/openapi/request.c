#include "worker/openapi/request.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "common/xalloc.h"
#include "worker/openapi/style.h"

/* What servers and load balancers take in practice is less. */
#define URL_MAX ((size_t)64 << 10)
#define HEADER_MAX ((size_t)16 << 10)
#define BODY_MAX ((size_t)8 << 20)

/* What an answer is best; other kinds are shown as far as possible. */
#define ACCEPT "application/json, */*;q=0.5"

const cJSON *
request_value(const struct parameter *p, const cJSON *args)
{
	if (p->fixed != NULL)
		return p->fixed;
	return p->argument ? cJSON_GetObjectItemCaseSensitive(args, p->argument)
			   : NULL;
}

/* Paths ------------------------------------------------------------------ */

static const struct parameter *
path_parameter(const struct operation *op, struct slice name)
{
	for (size_t i = 0; i < op->parameter_count; i++) {
		const struct parameter *p = &op->parameters[i];

		if (p->in == IN_PATH && slice_eq_str(name, p->name))
			return p;
	}
	return NULL;
}

static bool
add_path_value(struct request *r, const struct parameter *p, const cJSON *args,
    struct strbuf *error)
{
	const cJSON *value = p ? request_value(p, args) : NULL;
	struct strbuf text = STRBUF_INIT(URL_MAX);
	bool ok;

	if (value != NULL && !cJSON_IsNull(value))
		style_path(&text, p, value);
	/* An empty one would be another path: /users/ instead of /users/7. */
	ok = text.n > 0 && strbuf_ok(&text);
	if (!ok)
		strbuf_addf(error, "%s: must not be empty",
		    p && p->argument ? p->argument : "a path parameter");
	strbuf_add_slice(&r->path, strbuf_slice(&text));
	strbuf_release(&text);
	return ok;
}

/* Servers and libraries take "." and ".." as steps, encoded or not. */
static bool
is_step(struct slice s)
{
	return slice_eq_str(s, ".") || slice_eq_str(s, "..");
}

static bool
check_steps(const struct request *r, size_t from, struct strbuf *error)
{
	struct slice left = slice_of(r->path.p + from, r->path.n - from);

	while (left.n > 0) {
		const char *slash = memchr(left.p, '/', left.n);
		size_t n = slash ? (size_t)(slash - left.p) : left.n;

		if (is_step(slice_of(left.p, n))) {
			strbuf_add_str(error,
			    "a path parameter must not be \".\" or \"..\"");
			return false;
		}
		n += slash != NULL;
		left = slice_of(left.p + n, left.n - n);
	}
	return true;
}

static bool
add_path(struct request *r, const struct operation *op, const cJSON *args,
    struct strbuf *error)
{
	const char *p = op->path, *last = p + operation_path_length(p);
	size_t from = r->path.n;

	while (p < last) {
		const char *open = memchr(p, '{', (size_t)(last - p)), *end;

		strbuf_add(&r->path, p, (size_t)((open ? open : last) - p));
		if (open == NULL)
			break;
		p = open;
		end = strchr(p, '}');
		if (!add_path_value(r,
			path_parameter(
			    op, slice_of(p + 1, (size_t)(end - p) - 1)),
			args, error))
			return false;
		p = end + 1;
	}
	if (*last == '?')
		strbuf_add(&r->query, last + 1, strcspn(last + 1, "#"));
	return check_steps(r, from, error);
}

/* Headers ---------------------------------------------------------------- */

static void
add_line(struct request *r, char *take_line)
{
	r->headers =
	    xrealloc(r->headers, (r->header_count + 2) * sizeof(*r->headers));
	r->headers[r->header_count++] = take_line;
	r->headers[r->header_count] = NULL;
}

bool
request_add_header(struct request *r, const char *name, struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
			return false;
	}
	/* "Name:" would tell libcurl to leave the header out. */
	add_line(r, value.n > 0 ? xasprintf("%s: %.*s", name, SLICE_ARG(value))
				: xasprintf("%s;", name));
	return true;
}

static bool
add_header(struct request *r, const struct parameter *p, const cJSON *value,
    struct strbuf *error)
{
	struct strbuf text = STRBUF_INIT(HEADER_MAX);
	bool ok;

	style_header(&text, p, value);
	ok = strbuf_ok(&text) &&
	     request_add_header(r, p->name, strbuf_slice(&text));
	if (!ok)
		strbuf_addf(error,
		    "%s: must not hold line ends or control characters, nor "
		    "be longer than %zu bytes",
		    p->argument ? p->argument : p->name, HEADER_MAX);
	strbuf_release(&text);
	return ok;
}

static void
add_base64(struct strbuf *sb, struct slice bytes)
{
	char *to = strbuf_reserve(sb, bytes.n / 3 * 4 + 5);

	if (to != NULL)
		sb->n += (size_t)EVP_EncodeBlock((unsigned char *)to,
		    (const unsigned char *)bytes.p, (int)bytes.n);
}

void
request_basic(struct strbuf *sb, struct slice user)
{
	strbuf_add_str(sb, "Authorization: Basic ");
	add_base64(sb, user);
}

bool
request_add_basic(struct request *r, struct slice user)
{
	struct strbuf text = STRBUF_INIT(2 * HEADER_MAX);
	bool ok;

	strbuf_add_str(&text, "Basic ");
	add_base64(&text, user);
	ok = strbuf_ok(&text) &&
	     request_add_header(r, "Authorization", strbuf_slice(&text));
	strbuf_release(&text);
	return ok;
}

/* The object ------------------------------------------------------------- */

static bool
add_parameter(struct request *r, const struct parameter *p, const cJSON *args,
    struct strbuf *error)
{
	const cJSON *value = request_value(p, args);

	if (value == NULL || cJSON_IsNull(value))
		return true;
	if (p->in == IN_QUERY)
		style_pairs(&r->query, p, value, "&");
	else if (p->in == IN_COOKIE)
		style_pairs(&r->cookies, p, value, "; ");
	else if (p->in == IN_HEADER)
		return add_header(r, p, value, error);
	return true;
}

void
request_add_query(struct request *r, const char *name, const char *value)
{
	if (r->query.n > 0)
		strbuf_add_char(&r->query, '&');
	style_encode(&r->query, slice_str(name));
	strbuf_add_char(&r->query, '=');
	style_encode(&r->query, slice_str(value));
}

bool
request_init(struct request *r, const struct operation *op, const char *server,
    const cJSON *args, struct strbuf *error)
{
	*r = (struct request){ .method = op->method };
	strbuf_init(&r->path, URL_MAX);
	strbuf_init(&r->query, URL_MAX);
	strbuf_init(&r->cookies, HEADER_MAX);
	strbuf_init(&r->body, BODY_MAX);
	strbuf_add_str(&r->path, server);
	if (!request_add_header(r, "Accept", SLICE(ACCEPT)) ||
	    !add_path(r, op, args, error))
		return false;
	for (size_t i = 0; i < op->parameter_count; i++) {
		if (!add_parameter(r, &op->parameters[i], args, error))
			return false;
	}
	return request_make_body(r, op, args, error);
}

void
request_release(struct request *r)
{
	strbuf_release(&r->path);
	strbuf_release(&r->query);
	strbuf_release(&r->cookies);
	strbuf_release(&r->body);
	for (size_t i = 0; i < r->header_count; i++)
		free(r->headers[i]);
	free(r->headers);
	*r = (struct request){ .method = NULL };
}

static bool
usually_has_body(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
	       strcmp(method, "PATCH") == 0;
}

void
request_finish(struct request *r)
{
	if (!r->has_body && usually_has_body(r->method)) {
		r->has_body = true;
		/* Else libcurl calls nothing a form. */
		add_line(r, xstrdup("Content-Type:"));
	}
	/* Percent-encoded: no byte of it can be refused. */
	if (r->cookies.n > 0 &&
	    !request_add_header(r, "Cookie", strbuf_slice(&r->cookies)))
		abort();
}

bool
request_url(const struct request *r, struct strbuf *url)
{
	strbuf_init(url, URL_MAX);
	strbuf_add_slice(url, strbuf_slice(&r->path));
	if (r->query.n > 0)
		strbuf_add_char(url, '?');
	strbuf_add_slice(url, strbuf_slice(&r->query));
	return strbuf_ok(url) && strbuf_ok(&r->path) && strbuf_ok(&r->query) &&
	       strbuf_ok(&r->cookies);
}
