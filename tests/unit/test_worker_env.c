/* An API that starts, fails to, and takes its time. */
#include "worker/runtime/worker_env.h"

#include <check.h>

#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

static void
run_nothing(struct call *call UNUSED, const cJSON *args UNUSED)
{
}

static const struct tool first[] = {
	{ .name = "first", .description = "f", .run = run_nothing },
	{ .name = NULL },
};

static const struct tool second[] = {
	{ .name = "second", .description = "s", .run = run_nothing },
	{ .name = NULL },
};

static const struct tool bad[] = {
	{ .name = "bad", .run = run_nothing },
	{ .name = NULL },
};

/* What start() is to do, and what was called. */
static bool fails, waits, hands_in, silent, hasty;
static unsigned starts, stops, changes;
static struct worker_env *env;
static struct catalogue *catalogue;
static const int settings = 7;
static int state;

static bool
start(struct worker_env *e, struct strbuf *error)
{
	starts++;
	ck_assert_ptr_null(worker_env_state(e));
	ck_assert_ptr_eq(worker_env_settings(e), &settings);
	if (fails) {
		strbuf_add_str(error, silent ? "" : "no luck");
		return false;
	}
	worker_env_set_state(e, &state);
	if (waits)
		worker_env_wait(e);
	if (hasty)
		worker_env_ready(e);
	return !hands_in || worker_env_set_tools(e, first, error);
}

static void
stop(struct worker_env *e)
{
	ck_assert_ptr_eq(worker_env_state(e), &state);
	stops++;
}

static const struct api test_api = {
	.name = "test",
	.start = start,
	.stop = stop,
};

static void
on_change(void *arg UNUSED)
{
	changes++;
}

static void
setup(void)
{
	wait_setup();
	fails = waits = silent = hasty = false;
	hands_in = true;
	starts = stops = changes = 0;
	catalogue = catalogue_new(&test_api, "other", NULL);
	env = worker_env_new(&(struct worker_env_options){ .base = base,
		.api = &test_api, .name = "other", .settings = &settings,
		.catalogue = catalogue, .on_change = on_change });
}

static void
teardown(void)
{
	worker_env_close(env);
	ck_assert_uint_eq(stops, starts - (fails ? starts : 0));
	worker_env_free(env);
	catalogue_free(catalogue);
	wait_teardown();
}

START_TEST(comes_up_at_once)
{
	worker_env_open(env);
	ck_assert(worker_env_is_up(env));
	ck_assert_str_eq(worker_env_state_name(env), "up");
	ck_assert_str_eq(worker_env_name(env), "other");
	ck_assert_uint_eq(changes, 1);
	ck_assert_ptr_nonnull(catalogue_find(catalogue, OFFER_TOOL, SLICE("first")));
}
END_TEST

START_TEST(fails_and_says_why)
{
	fails = true;
	worker_env_open(env);
	ck_assert(!worker_env_is_up(env));
	ck_assert_str_eq(worker_env_state_name(env), "failed");
	ck_assert_str_eq(worker_env_error(env), "no luck");
	ck_assert(!catalogue_is_set(catalogue));
	WAIT(starts == 2);
	ck_assert_uint_eq(changes, 2);
}
END_TEST

START_TEST(has_a_reason_without_one)
{
	fails = silent = true;
	worker_env_open(env);
	ck_assert_str_eq(worker_env_error(env), "it does not say why");
}
END_TEST

/* It would be up before start() has said whether it is. */
START_TEST(is_not_ready_within_start)
{
	waits = hasty = true;
	worker_env_open(env);
	ck_assert(!worker_env_is_up(env));
	worker_env_ready(env);
	ck_assert(worker_env_is_up(env));
}
END_TEST

START_TEST(waits_until_it_is_ready)
{
	waits = true;
	worker_env_open(env);
	ck_assert_str_eq(worker_env_state_name(env), "starting");
	ck_assert_uint_eq(changes, 0);
	worker_env_ready(env);
	ck_assert(worker_env_is_up(env));
	ck_assert_uint_eq(changes, 1);
	/* Too late for that. */
	worker_env_fail(env, "never mind");
	ck_assert(worker_env_is_up(env));
}
END_TEST

START_TEST(fails_after_waiting_and_comes_up)
{
	waits = true;
	worker_env_open(env);
	worker_env_fail(env, "gone");
	ck_assert_uint_eq(stops, 1);
	ck_assert_str_eq(worker_env_error(env), "gone");
	waits = false;
	WAIT(worker_env_is_up(env));
	ck_assert_str_eq(worker_env_error(env), "");
	ck_assert_uint_eq(starts, 2);
}
END_TEST

START_TEST(needs_tools)
{
	hands_in = false;
	worker_env_open(env);
	ck_assert_str_eq(worker_env_state_name(env), "failed");
	ck_assert_str_eq(worker_env_error(env), "it offers nothing");
	ck_assert_uint_eq(stops, 1);
}
END_TEST

START_TEST(changes_its_tools)
{
	struct strbuf error = STRBUF_INIT(1024);
	char before[SHA256_HEX_LEN + 1];

	worker_env_open(env);
	memcpy(before, catalogue_digest(catalogue), sizeof(before));
	ck_assert(worker_env_set_tools(env, second, &error));
	ck_assert_uint_eq(changes, 2);
	ck_assert_ptr_null(catalogue_find(catalogue, OFFER_TOOL, SLICE("first")));
	ck_assert_ptr_nonnull(catalogue_find(catalogue, OFFER_TOOL, SLICE("second")));
	ck_assert_str_ne(catalogue_digest(catalogue), before);
	ck_assert(!worker_env_set_tools(env, bad, &error));
	ck_assert_str_eq(strbuf_str(&error),
	    "tool \"bad\": description: missing");
	ck_assert_uint_eq(changes, 2);
	ck_assert_ptr_nonnull(catalogue_find(catalogue, OFFER_TOOL, SLICE("second")));
	strbuf_release(&error);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("worker_env", setup, teardown);

	tcase_add_test(tc, comes_up_at_once);
	tcase_add_test(tc, fails_and_says_why);
	tcase_add_test(tc, has_a_reason_without_one);
	tcase_add_test(tc, is_not_ready_within_start);
	tcase_add_test(tc, waits_until_it_is_ready);
	tcase_add_test(tc, fails_after_waiting_and_comes_up);
	tcase_add_test(tc, needs_tools);
	tcase_add_test(tc, changes_its_tools);
	return run_cases(tc);
}
