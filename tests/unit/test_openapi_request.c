/* Requests made of arguments: nothing leaves its place. */
#include "worker/openapi/request.h"

#include <check.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/openapi/spec.h"
#include "worker/json/number.h"
#include "tests/unit/support/suite.h"

struct fixture {
	struct spec *spec;
	struct arena arena;
	struct operation op;
};

/* The only operation of a description whose path item is that YAML. */
static void
set_up(struct fixture *f, const char *path, const char *item)
{
	struct strbuf text = STRBUF_INIT(65536), error = STRBUF_INIT(1024);

	strbuf_addf(&text, "openapi: 3.0.0\npaths:\n  %s: %s\n", path, item);
	f->spec = spec_of_text("http://host/spec.yaml",
	    xstrdup(strbuf_str(&text)), text.n, &error);
	ck_assert_msg(f->spec != NULL, "%s", strbuf_str(&error));
	ck_assert_uint_eq(f->spec->operation_count, 1);
	f->arena = (struct arena){ .blocks = NULL };
	f->op = f->spec->operations[0];
	ck_assert_msg(
	    operation_map(f->spec, &f->op, &f->arena), "%s", f->op.skipped);
	strbuf_release(&text);
	strbuf_release(&error);
}

static void
tear_down(struct fixture *f)
{
	arena_release(&f->arena);
	spec_free(f->spec);
}

#define ID "{name: id, in: path, required: true}"
#define GET(parameters) "{get: {parameters: [" parameters "]}}"
#define POST(content, schema) \
	"{post: {requestBody: {required: true, content: {" content \
	": {schema: " schema "}}}}}"
#define OBJECT "{type: object, properties: {a: {}, b: {readOnly: true}, c: {}}}"

/* No double is this number. */
#define BIG_ID "1234567890123456789"

/* line: method, URL and headers, each and one blank; error: a part of it. */
static const struct {
	const char *path, *item, *args, *line, *body, *error;
} cases[] = {
	{ "/a/{id}", GET(ID), "{\"id\":\"x/../y?z#\"}",
	    "GET /a/x%2F..%2Fy%3Fz%23", NULL, NULL },
	{ "/a/{id}", GET(ID), "{\"id\":\"..\"}", NULL, NULL, "\"..\"" },
	{ "/a/{id}", GET(ID), "{\"id\":\".\"}", NULL, NULL, "\".\"" },
	{ "/a/{id}", GET(ID), "{\"id\":\"\"}", NULL, NULL,
	    "id: must not be empty" },
	{ "/a/{id}", GET(ID), "{}", NULL, NULL, "id: must not be empty" },
	{ "/a/{id}", GET(ID), "{\"id\":\"%2e%2e\"}", "GET /a/%252e%252e", NULL,
	    NULL },
	{ "/a/{id}.json", GET(ID), "{\"id\":\"..\"}", "GET /a/...json", NULL,
	    NULL },
	{ "/a/.{id}", GET(ID), "{\"id\":\".\"}", NULL, NULL, "\"..\"" },
	{ "/a", GET("{name: 'q&x', in: query}"), "{\"q_x\":\"1&y=2 +%\"}",
	    "GET /a?q%26x=1%26y%3D2%20%2B%25", NULL, NULL },
	{ "/a", GET("{name: n, in: query}"), "{\"n\":9007199254740991}",
	    "GET /a?n=9007199254740991", NULL, NULL },
	{ "/a", GET("{name: n, in: query}"), "{\"n\":-0.25}", "GET /a?n=-0.25",
	    NULL, NULL },
	{ "/a/{id}", GET(ID ", {name: h, in: header}, {name: c, in: cookie},"
	    " {name: l, in: query}, {name: j, in: query, content:"
	    " {application/json: {}}}"),
	    "{\"id\":" BIG_ID ",\"h\":1.50,\"c\":" BIG_ID ",\"l\":[1.50," BIG_ID
	    "],\"j\":{\"a\":1.50}}",
	    "GET /a/" BIG_ID "?l=1.50&l=" BIG_ID "&j=%7B%22a%22%3A1.50%7D"
	    " h: 1.50 Cookie: c=" BIG_ID, NULL, NULL },
	{ "/a", POST("application/json", OBJECT),
	    "{\"c\":[" BIG_ID ",{\"d\":1.50}],\"a\":-1.0e-7}",
	    "POST /a Content-Type: application/json",
	    "{\"a\":-1.0e-7,\"c\":[" BIG_ID ",{\"d\":1.50}]}", NULL },
	{ "/a", POST("application/x-www-form-urlencoded", OBJECT),
	    "{\"a\":" BIG_ID ",\"c\":[1.50,2E+3]}",
	    "POST /a Content-Type: application/x-www-form-urlencoded",
	    "a=" BIG_ID "&c=1.50&c=2E%2B3", NULL },
	{ "/a", GET("{name: X-A, in: header}"), "{\"X-A\":\"b\"}",
	    "GET /a X-A: b", NULL, NULL },
	{ "/a", GET("{name: X-A, in: header}"), "{\"X-A\":\"b\\r\\nX: c\"}",
	    NULL, NULL, "X-A: must not hold line ends" },
	{ "/a", GET("{name: X-A, in: header}"), "{\"X-A\":\"\"}", "GET /a X-A;",
	    NULL, NULL },
	{ "/a", GET("{name: c, in: cookie}"), "{\"c\":\"a;b\\n\"}",
	    "GET /a Cookie: c=a%3Bb%0A", NULL, NULL },
	{ "/a", POST("application/json", OBJECT), "{\"c\":[1,{}],\"a\":null}",
	    "POST /a Content-Type: application/json",
	    "{\"a\":null,\"c\":[1,{}]}", NULL },
	{ "/a", POST("application/json", "{oneOf: [{}]}"), "{\"body\":\"x\"}",
	    "POST /a Content-Type: application/json", "\"x\"", NULL },
	{ "/a", POST("application/vnd.x+json", OBJECT), "{}",
	    "POST /a Content-Type: application/vnd.x+json", "{}", NULL },
	{ "/a", POST("application/x-www-form-urlencoded", OBJECT),
	    "{\"a\":\"&=\",\"c\":[1,2]}",
	    "POST /a Content-Type: application/x-www-form-urlencoded",
	    "a=%26%3D&c=1&c=2", NULL },
	{ "/a", POST("text/plain", "{type: string}"), "{\"body\":\"\"}",
	    "POST /a Content-Type: text/plain", "", NULL },
	{ "/a", POST("text/plain", "{type: string}"),
	    "{\"body\":\"data:text/plain;base64,aGk=\"}",
	    "POST /a Content-Type: text/plain", "hi", NULL },
	{ "/a", POST("text/plain", "{type: string}"),
	    "{\"body\":\"data:text/plain;base64,!\"}", NULL, NULL, "base64" },
	{ "/a", POST("'image/*'", "{type: string, format: binary}"),
	    "{\"body\":\"data:image/png;base64,aGk=\"}",
	    "POST /a Content-Type: application/octet-stream", "hi", NULL },
	{ "/a", POST("application/pdf", "{}"), "{\"body\":\"%PDF\"}",
	    "POST /a Content-Type: application/pdf", "%PDF", NULL },
	{ "/a", POST("'*/*'", "{type: string, format: binary}"),
	    "{\"body\":\"x\"}", "POST /a Content-Type: application/octet-stream",
	    "x", NULL },
	{ "/a", POST("'*/*'", "{type: string}"), "{\"body\":\"x\"}",
	    "POST /a Content-Type: application/json", "\"x\"", NULL },
	{ "/a", POST("text/*", "{type: string}"), "{\"body\":\"x\"}",
	    "POST /a Content-Type: text/plain", "x", NULL },
	{ "'/a/{id}?beta=true#f'", GET(ID ", {name: q, in: query}"),
	    "{\"id\":\"?\",\"q\":\"#\"}", "GET /a/%3F?beta=true&q=%23", NULL,
	    NULL },
	{ "'/a/{id}#share?x'", GET(ID), "{\"id\":7}", "GET /a/7", NULL, NULL },
	{ "/a", POST("multipart/form-data", "{}"), "{\"body\":[1]}", NULL, NULL,
	    "body: must be an object" },
	{ "/a", POST("application/x-www-form-urlencoded", "{oneOf: [{}]}"),
	    "{\"body\":[{}]}", NULL, NULL, "body: must be an object" },
	{ "/a", POST("application/x-www-form-urlencoded", "{oneOf: [{}]}"),
	    "{\"body\":{\"a\":[1],\"b\":{\"c\":2}}}",
	    "POST /a Content-Type: application/x-www-form-urlencoded",
	    "a=1&c=2", NULL },
	{ "/a", "{post: {}}", "{}", "POST /a Content-Type:", NULL, NULL },
};

static void
write_line(struct strbuf *line, struct request *r)
{
	struct strbuf url;

	request_finish(r);
	ck_assert(request_url(r, &url));
	strbuf_addf(line, "%s %s", r->method, strbuf_str(&url));
	/* The first is Accept. */
	for (size_t i = 1; i < r->header_count; i++)
		strbuf_addf(line, " %s", r->headers[i]);
	strbuf_release(&url);
}

START_TEST(test_requests)
{
	struct strbuf error = STRBUF_INIT(1024), line = STRBUF_INIT(4096);
	cJSON *args = cJSON_Parse(cases[_i].args);
	struct fixture f;
	struct request r;
	bool ok;

	number_keep_all(args, slice_str(cases[_i].args), NUMBER_AS_WRITTEN);
	set_up(&f, cases[_i].path, cases[_i].item);
	ok = request_init(&r, &f.op, "", args, &error);
	if (cases[_i].error != NULL) {
		ck_assert(!ok);
		ck_assert_msg(
		    strstr(strbuf_str(&error), cases[_i].error) != NULL, "%s",
		    strbuf_str(&error));
	} else {
		ck_assert_msg(ok, "%s", strbuf_str(&error));
		write_line(&line, &r);
		ck_assert_str_eq(strbuf_str(&line), cases[_i].line);
		if (cases[_i].body != NULL)
			ck_assert_str_eq(strbuf_str(&r.body), cases[_i].body);
	}
	request_release(&r);
	cJSON_Delete(args);
	tear_down(&f);
	strbuf_release(&error);
	strbuf_release(&line);
}
END_TEST

START_TEST(test_too_long)
{
	struct strbuf error = STRBUF_INIT(1024), url,
		      long_one = STRBUF_INIT(99999);
	cJSON *args = cJSON_CreateObject();
	struct fixture f;
	struct request r;

	for (int i = 0; i < 70000; i++)
		strbuf_add_char(&long_one, 'x');
	cJSON_AddStringToObject(args, "q", strbuf_str(&long_one));
	set_up(&f, "/a", GET("{name: q, in: query}"));
	ck_assert(request_init(&r, &f.op, "http://a", args, &error));
	ck_assert(!request_url(&r, &url));
	request_release(&r);
	strbuf_release(&url);
	cJSON_Delete(args);
	tear_down(&f);
	strbuf_release(&error);
	strbuf_release(&long_one);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("request", NULL, NULL);

	tcase_add_loop_test(tc, test_requests, 0, ARRAY_LEN(cases));
	tcase_add_test(tc, test_too_long);
	return run_cases(tc);
}
