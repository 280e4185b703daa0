/* Which headers of a client's request go on to workers. */
#include "proxy/forward.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

static void
add(struct http_head *head, const char *name, const char *value)
{
	head->fields[head->field_count++] =
	    (struct http_field){ slice_str(name), slice_str(value) };
}

static const struct {
	const char *list, *wanted;
} cases[] = {
	{ NULL, "" },
	{ "", "" },
	{ "X-Team", "x-team: one two\n" },
	{ " x-trace ,X-TEAM, x-none", "x-trace: 1\nx-team: one two\n" },
	{ "x-empty", "x-empty: \n" },
	{ "x-twice", "" },
	/* Not even if the list got past the check. */
	{ "Authorization cookie x-team", "x-team: one two\n" },
};

START_TEST(test_write)
{
	struct http_head head = { .field_count = 0 };
	struct strbuf sb = STRBUF_INIT(4096);

	add(&head, "x-TEAM", "one two");
	add(&head, "Authorization", "Bearer secret");
	add(&head, "Cookie", "a=b");
	add(&head, "X-Trace", "1");
	add(&head, "X-Empty", "");
	add(&head, "X-Twice", "1");
	add(&head, "x-twice", "2");
	forward_write(cases[_i].list, &head, &sb);
	ck_assert_str_eq(strbuf_str(&sb), cases[_i].wanted);
	strbuf_release(&sb);
}
END_TEST

static const struct {
	const char *list;
	bool ok;
} lists[] = {
	{ NULL, true },
	{ "", true },
	{ "X-Team, x_trace.id", true },
	{ "X-Team, Authorization", false },
	{ "x-api-key", false },
	{ "COOKIE", false },
	{ "Mcp-Session-Id", false },
	{ "content-length", false },
	{ "x-team:", false },
	{ "x-t\"eam", false },
};

START_TEST(test_list)
{
	struct strbuf errors = STRBUF_INIT(1024);

	ck_assert(forward_list_ok(lists[_i].list, &errors) == lists[_i].ok);
	ck_assert((errors.n == 0) == lists[_i].ok);
	strbuf_release(&errors);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("forward", NULL, NULL);

	tcase_add_loop_test(tc, test_write, 0, ARRAY_LEN(cases));
	tcase_add_loop_test(tc, test_list, 0, ARRAY_LEN(lists));
	return run_cases(tc);
}
