/* What a worker refuses to publish, and what it says about that. */
#include "worker/runtime/catalogue.h"

#include <check.h>

#include "common/envelope.h"
#include "tests/unit/support/suite.h"

static void
run_nothing(struct call *call UNUSED, const cJSON *args UNUSED)
{
}

static struct catalogue *catalogue;
static struct strbuf error;
static char long_name[TOOL_NAME_MAX + 2];

static void
setup(void)
{
	static const struct api empty = { .name = "x" };

	strbuf_init(&error, 4096);
	memset(long_name, 'n', sizeof(long_name) - 1);
	catalogue = catalogue_new(&empty, "x", NULL);
	ck_assert_ptr_nonnull(catalogue);
}

static void
teardown(void)
{
	catalogue_free(catalogue);
	strbuf_release(&error);
}

static bool
set(const char *name, const char *other)
{
	struct tool tools[] = {
		{ .name = name, .description = "d", .run = run_nothing },
		{ .name = other, .description = "d", .run = run_nothing },
		{ .name = NULL },
	};

	strbuf_reset(&error);
	return catalogue_set(catalogue,
	    &(struct offers){ .tools = tools }, &error);
}

START_TEST(a_name_that_cannot_be_called_is_refused)
{
	static const char *const wrong[] = { "", "a b", "a/b", long_name };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		ck_assert(!set("good", wrong[i]));
		ck_assert_ptr_nonnull(strstr(strbuf_str(&error), "not 1 to 128"));
		ck_assert(!catalogue_is_set(catalogue));
	}
}
END_TEST

START_TEST(the_longest_name_is_taken)
{
	ck_assert(set("good", long_name + 1));
	ck_assert_ptr_nonnull(catalogue_find(catalogue, OFFER_TOOL,
	    slice_str(long_name + 1)));
}
END_TEST

START_TEST(a_name_is_taken_once)
{
	ck_assert(!set("twice", "twice"));
	ck_assert_ptr_nonnull(strstr(strbuf_str(&error), "taken"));
}
END_TEST

static void
count(void *arg)
{
	++*(unsigned *)arg;
}

/* What is offered in place of it is refused, then taken. */
START_TEST(tables_are_kept_until_the_last_call_has_ended)
{
	static const struct tool tools[] = {
		{ .name = "t", .description = "d", .run = run_nothing },
		{ .name = NULL },
	};
	unsigned released = 0;
	struct listing *held;

	ck_assert(catalogue_set(catalogue, &(struct offers){ .tools = tools,
	    .release = count, .release_arg = &released }, &error));
	held = catalogue_hold(catalogue_find(catalogue, OFFER_TOOL,
	    SLICE("t")));
	ck_assert(!set("", NULL));
	ck_assert(set("other", NULL));
	ck_assert_ptr_null(catalogue_find(catalogue, OFFER_TOOL, SLICE("t")));
	ck_assert_uint_eq(released, 0);
	catalogue_let_go(held);
	ck_assert_uint_eq(released, 1);
}
END_TEST

START_TEST(refused_tables_are_not_released)
{
	static const struct tool twice[] = {
		{ .name = "t", .description = "d", .run = run_nothing },
		{ .name = "t", .description = "d", .run = run_nothing },
		{ .name = NULL },
	};
	unsigned released = 0;

	ck_assert(!catalogue_set(catalogue, &(struct offers){ .tools = twice,
	    .release = count, .release_arg = &released }, &error));
	ck_assert_uint_eq(released, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("catalogue", setup, teardown);

	tcase_add_test(tc, a_name_that_cannot_be_called_is_refused);
	tcase_add_test(tc, the_longest_name_is_taken);
	tcase_add_test(tc, a_name_is_taken_once);
	tcase_add_test(tc, tables_are_kept_until_the_last_call_has_ended);
	tcase_add_test(tc, refused_tables_are_not_released);
	return run_cases(tc);
}
