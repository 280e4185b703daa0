/* What a model gets to see of an answer: projection and response. */
#include <check.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/openapi/projection.h"
#include "worker/openapi/reader.h"
#include "worker/openapi/response.h"
#include "tests/unit/support/suite.h"

#define ISSUES \
	"{\"total\":12345678901234567890,\"a.b\":1,\"issues\":[{\"key\":" \
	"\"A\"," \
	"\"f\":{\"s\":{\"n\":1},\"x\":2}},{\"key\":\"B\",\"f\":null},7]}"

static const struct {
	const char *paths[4], *value, *wanted;
} selections[] = {
	{ { NULL }, "[1, 2.50]", "[1,2.50]" },
	{ { "total" }, ISSUES, "{\"total\":12345678901234567890}" },
	{ { "issues.key" }, ISSUES,
	    "{\"issues\":[{\"key\":\"A\"},{\"key\":\"B\"}]}" },
	{ { "issues[].key", "issues[].f.s.n" }, ISSUES,
	    "{\"issues\":[{\"key\":\"A\",\"f\":{\"s\":{\"n\":1}}},"
	    "{\"key\":\"B\",\"f\":null}]}" },
	{ { "issues.f", "issues.f.x" }, ISSUES,
	    "{\"issues\":[{\"f\":{\"s\":{\"n\":1},\"x\":2}},{\"f\":null}]}" },
	{ { "a\\.b" }, ISSUES, "{\"a.b\":1}" },
	{ { "*.key" }, ISSUES,
	    "{\"issues\":[{\"key\":\"A\"},{\"key\":\"B\"}]}" },
	{ { "[].a" }, "[{\"a\":1,\"b\":2},{}]", "[{\"a\":1},{}]" },
	{ { "none" }, ISSUES, "{}" },
	{ { "total.deeper" }, ISSUES, "{}" },
};

START_TEST(test_projection)
{
	struct projection *p = projection_new(selections[_i].paths);
	struct arena arena = { .blocks = NULL };
	struct strbuf error = STRBUF_INIT(256), sb = STRBUF_INIT(4096);
	struct reading reading = { .arena = &arena, .error = &error };
	char *text = xstrdup(selections[_i].value);
	struct node root;

	ck_assert(json_read(&reading, text, strlen(text), &root));
	projection_write(p, &root, &sb);
	ck_assert_str_eq(strbuf_str(&sb), selections[_i].wanted);
	projection_free(p);
	arena_release(&arena);
	free(text);
	strbuf_release(&error);
	strbuf_release(&sb);
}
END_TEST

/* picture: the whole result. */
static const struct {
	struct slice bytes;
	const char *type;
	int status;
	size_t max;
	const char *wanted;
	bool picture;
} bodies[] = {
	{ { "{ \"a\" : 1.0 }", 13 }, "application/json", 200, 99, "{\"a\":1.0}",
	    false },
	{ { "{ \"a\" : 1 }", 11 }, "application/vnd.x+JSON; charset=utf-8", 200,
	    99, "{\"a\":1}", false },
	{ { "{ \"a\" : 1 }", 11 }, "text/plain", 200, 99, "{ \"a\" : 1 }",
	    false },
	{ { "{oops", 5 }, "application/json", 200, 99, "{oops", false },
	{ { "", 0 }, "application/json", 204, 99, "HTTP 204, without content",
	    false },
	{ { "a\0b", 3 }, "text/plain", 200, 99,
	    "HTTP 200, 3 bytes of text/plain that are no text: not shown",
	    false },
	{ { "\xff", 1 }, NULL, 200, 99,
	    "HTTP 200, 1 bytes that are no text: not shown", false },
	{ { "\xff", 1 }, "\xff/x", 200, 99,
	    "HTTP 200, 1 bytes that are no text: not shown", false },
	{ { "\xc3\xa9\xc3\xa9", 4 }, "text/plain", 200, 3,
	    "\xc3\xa9\n[cut: 2 of 4 bytes; ask for less, or for the next page]",
	    false },
	{ { "\x89PNG", 4 }, "image/png", 200, 1,
	    "{\"content\":[{\"type\":\"image\",\"mimeType\":\"image/png\","
	    "\"data\":\"iVBORw==\"}]}",
	    true },
	{ { "<svg/>", 6 }, "image/svg+xml", 200, 99, "<svg/>", false },
};

START_TEST(test_bodies)
{
	struct response_body body = { bodies[_i].bytes, bodies[_i].type,
		bodies[_i].status };
	struct strbuf text = STRBUF_INIT(4096), result = STRBUF_INIT(4096);

	ck_assert(response_write(&body, NULL, bodies[_i].max, &text, &result) ==
		  bodies[_i].picture);
	ck_assert_str_eq(strbuf_str(bodies[_i].picture ? &result : &text),
	    bodies[_i].wanted);
	strbuf_release(&text);
	strbuf_release(&result);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("answer", NULL, NULL);

	tcase_add_loop_test(tc, test_projection, 0, ARRAY_LEN(selections));
	tcase_add_loop_test(tc, test_bodies, 0, ARRAY_LEN(bodies));
	return run_cases(tc);
}
