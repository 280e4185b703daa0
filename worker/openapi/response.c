#include "worker/openapi/response.h"

#include <stdlib.h>
#include <strings.h>

#include <openssl/evp.h>

#include "common/utf8.h"
#include "common/xalloc.h"
#include "worker/openapi/reader.h"

/* Of an error's body: its first lines say what is wrong. */
#define ERROR_BODY_MAX 2048
#define LOCATION_MAX 500
/* A picture in base64; the runtime's answers end at 1 MiB. */
#define PICTURE_MAX ((size_t)600 << 10)
/* Beyond, cut text could exceed that once it is escaped. */
#define TEXT_MAX ((size_t)2 << 20)

/* Kinds ------------------------------------------------------------------ */

static size_t
type_length(const char *type)
{
	return strcspn(type, "; \t");
}

static bool
type_is_json(const char *type)
{
	size_t n = type ? type_length(type) : 0;

	return n >= 4 && strncasecmp(type + n - 4, "json", 4) == 0;
}

static bool
type_is_picture(const char *type)
{
	static const char *const shown[] = { "image/png", "image/jpeg",
		"image/gif", "image/webp" };

	for (size_t i = 0; type != NULL && i < ARRAY_LEN(shown); i++) {
		if (strlen(shown[i]) == type_length(type) &&
		    strncasecmp(shown[i], type, type_length(type)) == 0)
			return true;
	}
	return false;
}

/* UTF-8 without what no text has. */
static bool
is_text(struct slice s)
{
	return utf8_ok(s) && (s.n == 0 || memchr(s.p, '\0', s.n) == NULL);
}

/* Cutting ---------------------------------------------------------------- */

static void
add_cut(struct strbuf *text, struct slice s, size_t max)
{
	size_t n = utf8_cut(s, max).n;

	strbuf_add(text, s.p, n);
	if (n < s.n)
		strbuf_addf(text,
		    "\n[cut: %zu of %zu bytes; ask for less, or for the next "
		    "page]",
		    n, s.n);
}

/* Bodies ----------------------------------------------------------------- */

/* False: it is no JSON after all. */
static bool
add_json(struct strbuf *text, struct slice bytes,
    const struct projection *projection, size_t max)
{
	struct arena arena = { .blocks = NULL };
	struct strbuf why = STRBUF_INIT(512);
	struct strbuf json = STRBUF_INIT(2 * bytes.n + 64);
	struct reading reading = { .arena = &arena, .error = &why };
	char *copy = xstrdup_slice(bytes);
	struct node root;
	bool ok = json_read(&reading, copy, bytes.n, &root);

	if (ok) {
		projection_write(projection, &root, &json);
		add_cut(text, strbuf_slice(&json), max);
	}
	strbuf_release(&json);
	strbuf_release(&why);
	arena_release(&arena);
	free(copy);
	return ok;
}

static bool
add_picture(struct strbuf *result, const struct response_body *body)
{
	struct slice bytes = body->bytes;
	char *to;

	strbuf_addf(result,
	    "{\"content\":[{\"type\":\"image\",\"mimeType\":\"%.*s\","
	    "\"data\":\"",
	    (int)type_length(body->type), body->type);
	to = strbuf_reserve(result, bytes.n / 3 * 4 + 5);
	if (to != NULL)
		result->n += (size_t)EVP_EncodeBlock((unsigned char *)to,
		    (const unsigned char *)bytes.p, (int)bytes.n);
	strbuf_add_str(result, "\"}]}");
	return strbuf_ok(result);
}

static void
describe(struct strbuf *text, const struct response_body *body)
{
	strbuf_addf(text, "HTTP %d", body->status);
	if (body->bytes.n == 0) {
		strbuf_add_str(text, ", without content");
		return;
	}
	strbuf_addf(text, ", %zu bytes", body->bytes.n);
	/* A header may hold any byte; what is no text is not repeated. */
	if (body->type != NULL && is_text(slice_str(body->type)))
		strbuf_addf(
		    text, " of %.*s", (int)type_length(body->type), body->type);
	strbuf_add_str(text, " that are no text: not shown");
}

bool
response_write(const struct response_body *body,
    const struct projection *projection, size_t max_bytes, struct strbuf *text,
    struct strbuf *result)
{
	struct slice bytes = body->bytes;
	bool json = type_is_json(body->type) || projection != NULL;

	if (bytes.n > 0 && bytes.n <= PICTURE_MAX &&
	    type_is_picture(body->type) && add_picture(result, body))
		return true;
	if (bytes.n == 0 || !is_text(bytes))
		describe(text, body);
	else if (!json || !add_json(text, bytes, projection, max_bytes))
		add_cut(text, bytes, max_bytes);
	return false;
}

/* Answers ---------------------------------------------------------------- */

/* RFC 9110, section 15, in the words of those who have to act on it. */
static const struct {
	int status;
	const char *meaning;
} meanings[] = {
	{ 304, "not modified" },
	{ 400, "the request was not understood" },
	{ 401, "the API did not accept the worker's credentials: the operator "
	       "must check them" },
	{ 403, "the worker's credentials do not allow that" },
	{ 404, "not found" },
	{ 409, "it conflicts with the present state" },
	{ 410, "it is gone" },
	{ 413, "the request is too large" },
	{ 422, "the request's values are not acceptable" },
	{ 429, "too many requests" },
	{ 500, "the API failed" },
	{ 502, "the API is not reachable" },
	{ 503, "the API is not available at the moment" },
	{ 504, "the API took too long" },
};

static const char *
meaning_of(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (meanings[i].status == status)
			return meanings[i].meaning;
	}
	if (status < 400)
		return "a redirect, which is not followed";
	return status < 500 ? "refused" : "the API failed";
}

static void
answer_error(struct call *call, const struct upstream_response *response)
{
	struct strbuf text = STRBUF_INIT(4 * ERROR_BODY_MAX);
	const char *to = upstream_header(response, "Location");

	strbuf_addf(&text, "HTTP %d: %s", response->status,
	    meaning_of(response->status));
	/* What is behind the path may be our own query, with a secret in it. */
	if (response->status < 400 && to != NULL && is_text(slice_str(to)))
		strbuf_addf(&text, " (to %.*s)",
		    SLICE_ARG(utf8_cut(
			slice_of(to, strcspn(to, "?#")), LOCATION_MAX)));
	if (response->retry_after_known)
		strbuf_addf(
		    &text, "; try again in %u s", response->retry_after_s);
	if (response->body.n > 0 && is_text(response->body)) {
		strbuf_add_str(&text, "\n");
		add_cut(&text, response->body, ERROR_BODY_MAX);
	}
	call_error(call, "%s", strbuf_str(&text));
	strbuf_release(&text);
}

void
response_answer(struct call *call, const struct binding *b,
    const struct upstream_response *response)
{
	struct response_body body = { response->body, NULL, response->status };
	struct strbuf text = STRBUF_INIT(TEXT_MAX);
	struct strbuf result = STRBUF_INIT((size_t)1 << 20);

	if (response->status == 0) {
		call_error(
		    call, "the API was not reached: %s", response->error);
	} else if (response->status < 200 || response->status >= 300) {
		answer_error(call, response);
	} else {
		body.type = upstream_header(response, "Content-Type");
		if (response_write(
			&body, b->projection, b->max_bytes, &text, &result))
			call_result(call, strbuf_slice(&result), false);
		else
			call_text(call, strbuf_slice(&text));
	}
	strbuf_release(&text);
	strbuf_release(&result);
}
