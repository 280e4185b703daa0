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
compute_nothing(struct work *work UNUSED, const cJSON *args UNUSED)
{
}

/* Each a mistake of its author's; the rows behind it are right. */
static const struct {
	const char *says;
	struct tool tool;
	struct resource resource;
	struct resource_template template;
	struct prompt prompt;
} mistakes[] = {
	{ .says = "tool \"t\": description: missing",
	    .tool = { .name = "t", .run = run_nothing } },
	{ .says = "tool \"t\": run or compute: missing",
	    .tool = { .name = "t", .description = "d" } },
	{ .says = "tool \"t\": run or compute: both",
	    .tool = { .name = "t", .description = "d", .run = run_nothing,
		.compute = compute_nothing } },
	{ .says = "tool \"t\": input_schema: not JSON",
	    .tool = { .name = "t", .description = "d", .run = run_nothing,
		.input_schema = "{" } },
	{ .says = "tool \"t\": output_schema: its type is not",
	    .tool = { .name = "t", .description = "d", .run = run_nothing,
		.output_schema = "{\"type\":\"array\"}" } },
	{ .says = "tool \"t\": the listing is not strict JSON",
	    .tool = { .name = "t", .description = "d", .run = run_nothing,
		.more = "icons:[]" } },
	{ .says = "tool \"t\": the listing is not strict JSON",
	    .tool = { .name = "t", .description = "\xff",
		.run = run_nothing } },
	{ .says = "resource \"x://y\": name: missing",
	    .resource = { .uri = "x://y", .read = run_nothing } },
	{ .says = "resource \"x://y\": read: missing",
	    .resource = { .uri = "x://y", .name = "n" } },
	{ .says = "resource \"notes\": uri: has no scheme",
	    .resource = { .uri = "notes", .name = "n", .read = run_nothing } },
	{ .says = "resource template \"x://{y\": uri_template",
	    .template = { .uri_template = "x://{y", .name = "n",
		.read = run_nothing } },
	{ .says = "resource template \"x://{y}\": read: missing",
	    .template = { .uri_template = "x://{y}", .name = "n" } },
	{ .says = "prompt \"p\": get: missing",
	    .prompt = { .name = "p" } },
};

START_TEST(a_mistake_is_told_with_what_it_is_in)
{
	const struct tool tools[] = {
		{ .name = "good", .description = "d", .run = run_nothing },
		mistakes[_i].tool, { .name = NULL } };
	const struct resource resources[] = { mistakes[_i].resource,
		{ .uri = NULL } };
	const struct resource_template templates[] = { mistakes[_i].template,
		{ .uri_template = NULL } };
	const struct prompt prompts[] = { mistakes[_i].prompt,
		{ .name = NULL } };

	ck_assert(!catalogue_set(catalogue, &(struct offers){
	    .tools = tools, .resources = resources, .templates = templates,
	    .prompts = prompts }, &error));
	ck_assert_msg(strncmp(strbuf_str(&error), mistakes[_i].says,
	    strlen(mistakes[_i].says)) == 0, "%s", strbuf_str(&error));
}
END_TEST

START_TEST(a_resource_is_taken_once)
{
	static const struct resource twice[] = {
		{ .uri = "x://y", .name = "n", .read = run_nothing },
		{ .uri = "x://y", .name = "n", .read = run_nothing },
		{ .uri = NULL },
	};

	ck_assert(!catalogue_set(catalogue, &(struct offers){
	    .resources = twice }, &error));
	ck_assert_str_eq(strbuf_str(&error),
	    "resource \"x://y\": uri: taken");
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
	tcase_add_loop_test(tc, a_mistake_is_told_with_what_it_is_in, 0,
	    ARRAY_LEN(mistakes));
	tcase_add_test(tc, a_resource_is_taken_once);
	tcase_add_test(tc, tables_are_kept_until_the_last_call_has_ended);
	tcase_add_test(tc, refused_tables_are_not_released);
	return run_cases(tc);
}
