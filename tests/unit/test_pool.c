/* Calls that compute on threads: answers, cancellation, the end. */
#include "worker/runtime/pool.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"
#include "worker/runtime/call.h"
#include "worker/runtime/limiter.h"
#include "worker/runtime/worker_env.h"

#define THREADS 3
/* Calls that each test begins at most. */
#define CALLS_MAX 64

/* Tools ------------------------------------------------------------------------ */

static atomic_uint inside, most_inside, begun;
static atomic_bool may_end;
static atomic_ullong loop_thread;

static void
go_in(void)
{
	unsigned now = ++inside, most = most_inside;

	ck_assert_uint_ne(loop_thread, (unsigned long long)pthread_self());
	begun++;
	while (now > most && !atomic_compare_exchange_weak(&most_inside, &most,
	    now))
		;
}

static void
compute_text(struct work *work, const cJSON *args)
{
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(args, "text");

	go_in();
	work_text(work, slice_str(text->valuestring));
	inside--;
}

static void
compute_until_told(struct work *work, const cJSON *args UNUSED)
{
	go_in();
	while (!work_cancelled(work) && !may_end)
		;
	work_text(work, work_cancelled(work) ? SLICE("told") : SLICE("done"));
	inside--;
}

static void
compute_deaf(struct work *work, const cJSON *args UNUSED)
{
	go_in();
	while (!may_end)
		;
	work_text(work, SLICE("deaf"));
	inside--;
}

static void
compute_error(struct work *work, const cJSON *args UNUSED)
{
	work_error(work, "%d is %s", 7, "odd");
	work_text(work, SLICE("refused"));
}

static void
compute_json(struct work *work, const cJSON *args UNUSED)
{
	work_json(work, SLICE("1"), SLICE("{\"n\":1}"));
}

static void
compute_result(struct work *work, const cJSON *args UNUSED)
{
	ck_assert_str_eq(work_tool(work)->name, "result");
	ck_assert_int_eq(*(const int *)work_settings(work), 7);
	work_result(work, SLICE("{\"content\":[]}"), true);
}

static void
compute_nothing(struct work *work UNUSED, const cJSON *args UNUSED)
{
}

static void
compute_large(struct work *work, const cJSON *args UNUSED)
{
	char *text = calloc(1, CALL_ANSWER_MAX + 1);

	memset(text, 'x', CALL_ANSWER_MAX + 1);
	work_text(work, slice_of(text, CALL_ANSWER_MAX + 1));
	free(text);
}

#define TOOL(as, fn) { .name = (as), .description = "d", .compute = (fn) }

static const struct tool tools[] = {
	TOOL("text", compute_text),
	TOOL("until_told", compute_until_told),
	TOOL("deaf", compute_deaf),
	TOOL("error", compute_error),
	TOOL("json", compute_json),
	TOOL("result", compute_result),
	TOOL("nothing", compute_nothing),
	TOOL("large", compute_large),
	{ .name = NULL },
};

/* What a call needs around it ------------------------------------------------- */

static const int settings = 7;
static const struct api test_api = { .name = "test", .tools = tools };
static struct catalogue *catalogue;
static struct worker_env *env;
static struct inflight *inflight;
static struct limiter *limiter;
static struct pool *pool;
static unsigned seq, answers, released;
static struct call *answered[CALLS_MAX];

static void
on_answer(struct call *call, void *arg UNUSED)
{
	answered[answers++] = call;
}

static void
on_ending(struct call *call, void *arg UNUSED)
{
	if (call->state == CALL_WAITING)
		limiter_remove(limiter, call);
}

static void
on_released(struct call *call, void *arg UNUSED)
{
	released++;
	limiter_released(limiter, call);
}

static void
on_done(void *arg UNUSED)
{
}

static void
set_up(void)
{
	wait_setup();
	loop_thread = (unsigned long long)pthread_self();
	inside = most_inside = begun = 0;
	may_end = false;
	answers = released = seq = 0;
	catalogue = catalogue_new(&test_api, test_api.name, NULL);
	ck_assert_ptr_nonnull(catalogue);
	env = worker_env_new(&(struct worker_env_options){
		.base = base, .api = &test_api, .name = "test",
		.settings = &settings });
	inflight = inflight_new(&(struct inflight_options){ .env = env,
		.on_answer = on_answer, .on_ending = on_ending,
		.on_released = on_released, .on_done = on_done });
	pool = pool_new(base, THREADS);
	limiter = limiter_new(&(struct limiter_options){ .base = base,
		.pool = pool, .threads = THREADS });
}

static void
tear_down(void)
{
	may_end = true;
	ck_assert(pool_stop(pool, 10000));
	limiter_free(limiter);
	pool_free(pool);
	inflight_free(inflight);
	worker_env_free(env);
	catalogue_free(catalogue);
	wait_teardown();
}

static struct call *
begin(const char *name, const char *text)
{
	char id[24];
	struct call *call;
	cJSON *args = cJSON_CreateObject();

	snprintf(id, sizeof(id), "%u-0", ++seq);
	call = inflight_add(inflight, slice_str(id));
	ck_assert(call_open(call, &(struct env_request){ .attempt = 1 },
	    &(struct jsonrpc_msg){ .id = SLICE("1") }));
	cJSON_AddStringToObject(args, "text", text);
	call_prepare(call, catalogue_find(catalogue, OFFER_TOOL,
	    slice_str(name)), true, args, args);
	limiter_take(limiter, call);
	return call;
}

static void
ck_answer(const struct call *call, const char *expected)
{
	ck_assert_ptr_nonnull(strstr(strbuf_str(&call->answer), expected));
}

START_TEST(answers_come_to_the_loop)
{
	static const struct { const char *tool, *part; } cases[] = {
		{ "text", "{\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}" },
		{ "error", "\"7 is odd\"}],\"isError\":true" },
		{ "json", "\"structuredContent\":{\"n\":1}" },
		{ "result", "\"result\":{\"content\":[]}" },
		{ "nothing", "the tool ended without an answer" },
		{ "large", "larger than 1 MiB" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct call *call = begin(cases[i].tool, "x");

		ck_assert_int_eq(call->state, CALL_RUNNING);
		WAIT(answers == seq);
		ck_assert_int_eq(call->state, CALL_ANSWERED);
		ck_assert(!call->held);
		ck_assert_ptr_null(call->work);
		ck_answer(call, cases[i].part);
	}
}
END_TEST

START_TEST(no_more_at_once_than_threads)
{
	for (unsigned i = 0; i < 20; i++)
		begin("until_told", "");
	WAIT(inside == THREADS);
	ck_assert_uint_eq(inflight_in_state(inflight, CALL_WAITING),
	    20 - THREADS);
	may_end = true;
	WAIT(answers == seq);
	ck_assert_uint_eq(begun, 20);
	ck_assert_uint_eq(most_inside, THREADS);
}
END_TEST

START_TEST(many_answers)
{
	for (unsigned i = 0; i < CALLS_MAX; i++)
		begin("text", "y");
	WAIT(answers == seq);
	for (unsigned i = 0; i < CALLS_MAX; i++)
		ck_answer(answered[i], "\"y\"");
	ck_assert_uint_eq(released, CALLS_MAX);
}
END_TEST

START_TEST(cancelled_call_is_told_and_keeps_its_place)
{
	struct call *running[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		running[i] = begin(i == 0 ? "until_told" : "deaf", "");
	begin("text", "after");
	WAIT(inside == THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		call_cancel(running[i]);
	ck_assert_uint_eq(answers, THREADS);
	ck_assert_uint_eq(inflight_held(inflight), THREADS);
	/* The one that listens makes room, the others do not. */
	WAIT(answers == seq);
	ck_assert_uint_eq(inflight_held(inflight), THREADS - 1);
	ck_answer(answered[THREADS], "after");
	may_end = true;
	WAIT(released == seq);
	ck_assert_uint_eq(answers, THREADS + 1);
	ck_assert_int_eq(strbuf_slice(&running[0]->answer).n, 0);
}
END_TEST

START_TEST(call_forgotten_while_it_computes)
{
	struct call *call = begin("until_told", "");

	call_lose(call);
	ck_assert_uint_eq(inflight_count(inflight), 0);
	ck_assert_int_eq(call->state, CALL_ABANDONED);
	WAIT(released == seq);
	ck_assert_uint_eq(answers, 0);
	ck_assert_uint_eq(inflight_held(inflight), 0);
}
END_TEST

START_TEST(expired_call_is_answered_at_once)
{
	struct call *call = begin("deaf", "");

	call_expire(call);
	ck_assert_uint_eq(answers, 1);
	ck_answer(call, "before the call's deadline");
	may_end = true;
	WAIT(released == seq);
	ck_assert_uint_eq(answers, 1);
}
END_TEST

START_TEST(loop_goes_on_meanwhile)
{
	begin("deaf", "");
	begin("text", "1");
	begin("text", "2");
	WAIT(answers >= 2);
	ck_assert_uint_eq(inside, 1);
}
END_TEST

START_TEST(deaf_thread_is_not_waited_for)
{
	begin("deaf", "");
	WAIT(inside == 1);
	ck_assert(!pool_stop(pool, 10));
}
END_TEST

START_TEST(stop_tells_and_frees)
{
	for (unsigned i = 0; i < 2 * THREADS; i++)
		begin("until_told", "");
	ck_assert(pool_stop(pool, 10000));
	ck_assert_uint_eq(answers, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("pool", set_up, tear_down);

	tcase_add_test(tc, answers_come_to_the_loop);
	tcase_add_test(tc, no_more_at_once_than_threads);
	tcase_add_test(tc, many_answers);
	tcase_add_test(tc, cancelled_call_is_told_and_keeps_its_place);
	tcase_add_test(tc, call_forgotten_while_it_computes);
	tcase_add_test(tc, expired_call_is_answered_at_once);
	tcase_add_test(tc, loop_goes_on_meanwhile);
	tcase_add_test(tc, deaf_thread_is_not_waited_for);
	tcase_add_test(tc, stop_tells_and_frees);
	return run_cases(tc);
}
