/* From an entry to an answer, without Redis: catalogue, dispatch, calls. */
#include "worker/runtime/dispatch.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "tests/unit/reply_of.h"
#include "tests/unit/support/suite.h"
#include "worker/runtime/call.h"

#define ID32 "0123456789abcdef0123456789abcdef"
#define NOW_MS 1000000

/* An API for the tests ---------------------------------------------------- */

static struct call *kept;   /* by "keep", to be answered later */

static void
run_echo(struct call *call, const cJSON *args)
{
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(args, "text");

	call_text(call, slice_str(text->valuestring));
}

static void
run_keep(struct call *call, const cJSON *args UNUSED)
{
	kept = call;
}

static void
run_twice(struct call *call, const cJSON *args UNUSED)
{
	call_text(call, SLICE("first"));
	call_error(call, "second");
}

static void
run_structured(struct call *call, const cJSON *args UNUSED)
{
	call_json(call, SLICE("1"), SLICE("{\"n\":1}"));
}

static void
run_large(struct call *call, const cJSON *args UNUSED)
{
	char *text = calloc(1, CALL_ANSWER_MAX + 1);

	memset(text, 'x', CALL_ANSWER_MAX);
	call_text(call, slice_of(text, CALL_ANSWER_MAX));
	free(text);
}

static void
compute_nothing(struct work *work UNUSED, const cJSON *args UNUSED)
{
}

static const struct tool tools[] = {
	{ .name = "echo", .title = "Echo", .description = "Says \"it\".",
	    .input_schema = "{ \"type\" : \"object\",\n\t\"properties\":"
	    "{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"] }",
	    .promises = TOOL_READ_ONLY | TOOL_NOT_DESTRUCTIVE, .run = run_echo },
	{ .name = "keep", .description = "k", .run = run_keep },
	{ .name = "single", .description = "o", .run = run_keep,
	    .max_running = 1, .timeout_ms = 1500 },
	{ .name = "twice", .description = "t", .run = run_twice },
	{ .name = "structured", .description = "s", .run = run_structured,
	    .output_schema = "{\"type\":\"object\"}" },
	{ .name = "large", .description = "l", .run = run_large },
	{ .name = NULL },
};

static const struct api test_api = {
	.name = "test",
	.instructions = "Two\nlines.",
	.tools = tools,
};

static struct catalogue *catalogue;
static struct inflight *inflight;
static struct dispatch dispatch;
static struct event_base *base;
static struct call *answered;
static unsigned answers, done;

static void
on_answer(struct call *call, void *arg UNUSED)
{
	answered = call;
	answers++;
}

static void
on_done(void *arg UNUSED)
{
	done++;
}

static void
on_ending(struct call *call, void *arg UNUSED)
{
	if (call->state == CALL_WAITING)
		limiter_remove(dispatch.limiter, call);
}

static void
on_released(struct call *call, void *arg UNUSED)
{
	limiter_released(dispatch.limiter, call);
}

static void
set_up(void)
{
	log_setup("test", "test", LOG_LEVEL_ERROR);
	clock_fake(NOW_MS);
	catalogue = catalogue_new(&test_api, test_api.name, NULL);
	ck_assert_ptr_nonnull(catalogue);
	base = event_base_new();
	inflight = inflight_new(&(struct inflight_options){
		.on_answer = on_answer, .on_ending = on_ending,
		.on_released = on_released, .on_done = on_done });
	dispatch = (struct dispatch){ .catalogue = catalogue,
		.inflight = inflight,
		.limiter = limiter_new(&(struct limiter_options){ .base = base }) };
	answers = done = 0;
	answered = kept = NULL;
}

static void
tear_down(void)
{
	limiter_free(dispatch.limiter);
	inflight_free(inflight);
	catalogue_free(catalogue);
	event_base_free(base);
	clock_fake(0);
}

/* Hands in the request as entry "<seq>-0", delivered that often. */
static void
hand_in_again(const struct env_request *request, unsigned seq,
    unsigned deliveries)
{
	struct env_request_argv out;
	redisReply *fields;
	char id[32];
	size_t argc = env_request_xadd(&out, SLICE("key"), request);

	fields = reply_of_strings(out.argv + 3, argc - 3);
	snprintf(id, sizeof(id), "%u-0", seq);
	dispatch_entry(&dispatch, &(struct arrival){
	    .entry = { slice_str(id), fields }, .deliveries = deliveries });
	freeReplyObject(fields);
}

static void
hand_in(const struct env_request *request, unsigned seq)
{
	hand_in_again(request, seq, 1);
}

static struct env_request
request_of(struct slice tool, struct slice payload)
{
	return (struct env_request){
		.call = SLICE(ID32),
		.session = SLICE(ID32),
		.method = SLICE("tools/call"),
		.tool = tool,
		.reply_to = SLICE("pod"),
		.attempt = 1,
		.payload = payload,
	};
}

static const char *
answer_text(void)
{
	ck_assert_uint_eq(answers, 1);
	return strbuf_str(&answered->answer);
}

#define REQUEST(id, tool, args)                                            \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\","    \
	"\"params\":{\"name\":\"" tool "\"" args "}}"
#define RESULT(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":"
#define TEXT(text) "{\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]"
#define ERROR(id, code, message)                                           \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" #code    \
	",\"message\":\"" message "\"}}"

static const struct {
	struct slice tool, payload;
	const char *answer;
} calls[] = {
	{ SLICE("echo"), SLICE(REQUEST("0", "echo",
	    ",\"arguments\":{\"text\":\"a\\n\\\"\\u00e4\"}")),
	    RESULT("0") TEXT("a\\n\\\"\xc3\xa4") "}}" },
	/* ids come back byte for byte */
	{ SLICE("echo"), SLICE(REQUEST("9223372036854775808", "echo",
	    ",\"arguments\":{\"text\":\"\"}")),
	    RESULT("9223372036854775808") TEXT("") "}}" },
	{ SLICE("echo"), SLICE(REQUEST("\"\\u0041\"", "echo",
	    ",\"arguments\":{\"text\":\"\"}")),
	    RESULT("\"\\u0041\"") TEXT("") "}}" },
	/* the entry's tool counts: a path may have put a prefix on the other */
	{ SLICE("echo"), SLICE(REQUEST("1", "test_echo",
	    ",\"arguments\":{\"text\":\"x\"}")), RESULT("1") TEXT("x") "}}" },
	{ SLICE("structured"), SLICE(REQUEST("1", "structured", "")),
	    RESULT("1") TEXT("1") ",\"structuredContent\":{\"n\":1}}}" },
	{ SLICE("echo"), SLICE(REQUEST("1", "echo", "")),
	    RESULT("1") TEXT("text: required string is missing")
	    ",\"isError\":true}}" },
	{ SLICE("echo"), SLICE(REQUEST("1", "echo",
	    ",\"arguments\":{\"text\":\"a\\u0000b\"}")),
	    RESULT("1") TEXT("arguments: \\\\u0000 is not allowed in strings")
	    ",\"isError\":true}}" },
	{ SLICE("echo"), SLICE(REQUEST("1", "echo",
	    ",\"arguments\":{\"text\":\"a\\\\u0000b\"}")),
	    RESULT("1") TEXT("a\\\\u0000b") "}}" },
	{ SLICE("twice"), SLICE(REQUEST("1", "twice", "")),
	    RESULT("1") TEXT("first") "}}" },
	{ SLICE("structured"), SLICE(REQUEST("1", "structured",
	    ",\"arguments\":{\"x\":1}")),
	    RESULT("1") TEXT("x: unknown argument") ",\"isError\":true}}" },
	{ SLICE("echo"), SLICE(REQUEST("1", "echo", ",\"arguments\":[]")),
	    ERROR("1", -32602,
	    "Invalid params: arguments must be an object") },
	{ SLICE("echo"),
	    SLICE("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}"),
	    ERROR("1", -32602,
	    "Invalid params: arguments must be an object") },
	{ SLICE("nope"), SLICE(REQUEST("1", "nope", "")),
	    ERROR("1", -32602, "Unknown tool: nope") },
	{ SLICE("Echo"), SLICE(REQUEST("1", "Echo", "")),
	    ERROR("1", -32602, "Unknown tool: Echo") },
	{ SLICE(""), SLICE(REQUEST("1", "", "")),
	    ERROR("1", -32602, "Unknown tool: ") },
	{ SLICE("large"), SLICE(REQUEST("1", "large", "")),
	    ERROR("1", -32603, "the tool's answer is larger than 1 MiB") },
	{ SLICE("echo"), SLICE(REQUEST("1", "echo", "") " x"),
	    "" },
	{ SLICE("echo"), SLICE("{}"), "" },
	{ SLICE("echo"), SLICE("[]"), "" },
	/* nobody waits for an answer to a notification */
	{ SLICE("echo"), SLICE("{\"jsonrpc\":\"2.0\",\"method\":\"x\"}"), "" },
};

START_TEST(test_call)
{
	struct env_request request =
	    request_of(calls[_i].tool, calls[_i].payload);

	hand_in(&request, 1);
	/* What a parse error's id is, is the parser's to say. */
	if (calls[_i].answer[0] == '\0')
		ck_assert_ptr_null(strstr(answer_text(), "\"result\""));
	else
		ck_assert_str_eq(answer_text(), calls[_i].answer);
	ck_assert_uint_eq(inflight_count(inflight), 1);
	inflight_done(inflight, answered);
	ck_assert_uint_eq(inflight_count(inflight), 0);
	ck_assert_uint_eq(done, 1);
}
END_TEST

START_TEST(test_long_unknown_name_is_cut_between_characters)
{
	struct strbuf name = STRBUF_INIT(1024);
	struct env_request request;

	strbuf_add_char(&name, 'x');
	for (int i = 0; i < 100; i++)
		strbuf_add_str(&name, "\xc3\xa4");
	request = request_of(strbuf_slice(&name),
	    SLICE(REQUEST("1", "x", "")));
	hand_in(&request, 1);
	/* 128 bytes would end within a character: 1 + 2 * 63. */
	ck_assert_ptr_nonnull(strstr(answer_text(), "\xa4\"}}"));
	strbuf_release(&name);
}
END_TEST

START_TEST(test_deadline)
{
	struct env_request request = request_of(SLICE("echo"),
	    SLICE(REQUEST("1", "echo", ",\"arguments\":{\"text\":\"x\"}")));

	request.deadline_ms = NOW_MS - 1;
	hand_in(&request, 1);
	ck_assert_str_eq(answer_text(), ERROR("1", -32001,
	    "deadline passed before the call began"));
	request.deadline_ms = NOW_MS;
	hand_in(&request, 2);
	ck_assert_uint_eq(answers, 2);
	ck_assert_ptr_nonnull(strstr(strbuf_str(&answered->answer),
	    "\"result\""));
}
END_TEST

START_TEST(test_other_method)
{
	struct env_request request = request_of(SLICE("x"),
	    SLICE("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/cull\"}"));

	request.method = SLICE("tools/cull");
	hand_in(&request, 1);
	ck_assert_str_eq(answer_text(),
	    ERROR("1", -32601, "Method not found"));
}
END_TEST

START_TEST(test_malformed_entry_is_answered_when_it_can_be)
{
	struct env_request request = request_of(SLICE("echo"),
	    SLICE(REQUEST("5", "echo", "")));

	request.call = SLICE("short");
	hand_in(&request, 1);
	ck_assert_str_eq(answer_text(),
	    ERROR("5", -32600, "the queued call is malformed"));
	request.reply_to = SLICE("");
	hand_in(&request, 2);
	ck_assert_uint_eq(answers, 2);
	ck_assert_uint_eq(answered->answer.n, 0);
}
END_TEST

START_TEST(test_deleted_entry_goes_without_answer)
{
	dispatch_entry(&dispatch, &(struct arrival){
	    .entry = { SLICE("1-0"), NULL }, .deliveries = 1 });
	ck_assert_uint_eq(answers, 1);
	ck_assert_uint_eq(answered->answer.n, 0);
	ck_assert(slice_eq(answered->entry, SLICE("1-0")));
}
END_TEST

START_TEST(test_entry_runs_once_while_held)
{
	struct env_request request =
	    request_of(SLICE("keep"), SLICE(REQUEST("1", "keep", "")));

	hand_in(&request, 1);
	hand_in(&request, 1);
	ck_assert_uint_eq(inflight_count(inflight), 1);
	ck_assert_ptr_nonnull(kept);
	call_text(kept, SLICE("late"));
	ck_assert_str_eq(answer_text(), RESULT("1") TEXT("late") "}}");
	hand_in(&request, 1);
	ck_assert_uint_eq(answers, 1);
	inflight_done(inflight, answered);
	hand_in(&request, 1);
	ck_assert_uint_eq(inflight_count(inflight), 1);
}
END_TEST

START_TEST(test_calls_are_recycled_clean)
{
	struct env_request request = request_of(SLICE("nope"),
	    SLICE(REQUEST("\"a long id that leaves its bytes behind\"", "x", "")));

	hand_in(&request, 1);
	answered->repeated = answered->added = true;
	inflight_done(inflight, answered);
	answers = 0;
	request = request_of(SLICE("twice"), SLICE(REQUEST("1", "twice", "")));
	hand_in(&request, 2);
	ck_assert_str_eq(answer_text(), RESULT("1") TEXT("first") "}}");
	ck_assert(!answered->repeated && !answered->added && !answered->failed);
	ck_assert(slice_eq(answered->entry, SLICE("2-0")));
	ck_assert_uint_eq(inflight_totals(inflight)->done, 1);
	ck_assert_uint_eq(inflight_totals(inflight)->failed, 1);
}
END_TEST

/* Entries that were delivered before --------------------------------------- */

static struct env_request
safe_request(void)
{
	return request_of(SLICE("echo"),
	    SLICE(REQUEST("1", "echo", ",\"arguments\":{\"text\":\"x\"}")));
}

START_TEST(test_safe_call_begins_again)
{
	struct env_request request = safe_request();

	hand_in_again(&request, 1, 2);
	ck_assert_str_eq(answer_text(), RESULT("1") TEXT("x") "}}");
	ck_assert_uint_eq(call_attempt(answered), 2);
	ck_assert(answered->repeated);
}
END_TEST

START_TEST(test_unsafe_call_does_not_begin_again)
{
	struct env_request request = request_of(SLICE("keep"),
	    SLICE(REQUEST("1", "keep", "")));

	hand_in_again(&request, 1, 2);
	ck_assert_ptr_null(kept);
	ck_assert_str_eq(answer_text(), ERROR("1", -32002,
	    "the worker was lost while the call was running: "
	    "its outcome is unknown"));
	ck_assert(answered->repeated);
}
END_TEST

/* An entry of its own is a first delivery, however often the call came before. */
START_TEST(test_unsafe_call_given_back_begins)
{
	struct env_request request = request_of(SLICE("keep"),
	    SLICE(REQUEST("1", "keep", "")));

	request.attempt = 2;
	hand_in(&request, 1);
	ck_assert_ptr_nonnull(kept);
	ck_assert_uint_eq(call_attempt(kept), 2);
}
END_TEST

START_TEST(test_late_unsafe_call_has_an_unknown_outcome)
{
	struct env_request request = request_of(SLICE("keep"),
	    SLICE(REQUEST("1", "keep", "")));

	request.deadline_ms = NOW_MS - 1;
	hand_in_again(&request, 1, 2);
	ck_assert_ptr_nonnull(strstr(answer_text(), "-32002"));
}
END_TEST

/* Ends that are not the tool's doing --------------------------------------- */

static struct call *told;

static void
on_cancel(struct call *call, void *arg)
{
	ck_assert_ptr_eq(arg, &told);
	told = call;
}

static struct call *
running_call(bool asks)
{
	struct env_request request = request_of(SLICE("keep"),
	    SLICE(REQUEST("1", "keep", "")));

	told = NULL;
	hand_in(&request, 1);
	if (asks)
		call_on_cancel(kept, on_cancel, &told);
	return kept;
}

START_TEST(test_expired_call_is_told_and_answered)
{
	struct call *call = running_call(true);

	ck_assert_uint_eq(inflight_held(inflight), 1);
	call_expire(call);
	ck_assert_ptr_eq(told, call);
	ck_assert_uint_eq(inflight_held(inflight), 0);
	ck_assert_str_eq(answer_text(), ERROR("1", -32001,
	    "the tool did not answer before the call's deadline"));
	inflight_done(inflight, call);
	ck_assert_uint_eq(inflight_count(inflight), 0);
}
END_TEST

START_TEST(test_tool_that_goes_on_keeps_its_call)
{
	struct call *call = running_call(false);

	call_expire(call);
	inflight_done(inflight, call);
	ck_assert_uint_eq(inflight_count(inflight), 0);
	ck_assert_uint_eq(inflight_held(inflight), 1);
	ck_assert_uint_eq(inflight_in_state(inflight, CALL_ABANDONED), 1);
	/* It may still look at it, and its answer goes nowhere. */
	ck_assert_str_eq(call_tool(call)->name, "keep");
	call_text(call, SLICE("late"));
	ck_assert_uint_eq(answers, 1);
	ck_assert_uint_eq(inflight_held(inflight), 0);
	ck_assert_uint_eq(inflight_in_state(inflight, CALL_ABANDONED), 0);
}
END_TEST

START_TEST(test_late_answer_while_the_error_is_on_its_way)
{
	struct call *call = running_call(false);

	call_expire(call);
	call_text(call, SLICE("late"));
	ck_assert_ptr_nonnull(strstr(answer_text(), "-32001"));
	inflight_done(inflight, call);
	ck_assert_uint_eq(inflight_held(inflight), 0);
	ck_assert_uint_eq(inflight_in_state(inflight, CALL_ABANDONED), 0);
}
END_TEST

START_TEST(test_cancelled_call_has_no_answer)
{
	struct call *call = running_call(true);

	call_cancel(call);
	ck_assert_ptr_eq(told, call);
	ck_assert_uint_eq(answers, 1);
	ck_assert_uint_eq(answered->answer.n, 0);
}
END_TEST

START_TEST(test_lost_call_is_forgotten)
{
	struct call *call = running_call(true);

	call_lose(call);
	ck_assert_ptr_eq(told, call);
	ck_assert_uint_eq(answers, 0);
	ck_assert_uint_eq(inflight_count(inflight), 0);
	ck_assert_uint_eq(inflight_totals(inflight)->done, 0);
}
END_TEST

START_TEST(test_unsafe_call_does_not_go_back)
{
	call_return(running_call(true));
	ck_assert_ptr_nonnull(strstr(answer_text(), "-32002"));
}
END_TEST

START_TEST(test_call_whose_upstream_was_lost)
{
	struct call *call = running_call(true);

	call->safe = true;
	call_lost(call);
	ck_assert_int_eq(call->state, CALL_RETURNING);
	ck_assert_uint_eq(call->attempt, 2);
	ck_assert(!call->held);
	ck_assert_uint_eq(answers, 0);
}
END_TEST

START_TEST(test_unsafe_call_whose_upstream_was_lost)
{
	call_lost(running_call(true));
	ck_assert_ptr_nonnull(strstr(answer_text(), "-32002"));
	ck_assert_uint_eq(answers, 1);
}
END_TEST

START_TEST(test_call_that_waits_goes_back)
{
	limiter_close(dispatch.limiter);
	running_call(false);
	ck_assert_ptr_null(kept);
	ck_assert_uint_eq(inflight_in_state(inflight, CALL_RETURNING), 1);
	ck_assert_uint_eq(answers, 0);
}
END_TEST

/* The limiter --------------------------------------------------------------- */

static void
hand_in_for(const char *user, struct slice tool, unsigned seq)
{
	struct env_request request = request_of(tool,
	    SLICE(REQUEST("1", "keep", "")));

	request.user = slice_str(user);
	hand_in(&request, seq);
}

static unsigned
waiting(void)
{
	return inflight_in_state(inflight, CALL_WAITING);
}

static void
limit_users(unsigned most)
{
	limiter_free(dispatch.limiter);
	dispatch.limiter = limiter_new(&(struct limiter_options){ .base = base,
		.per_user = most });
}

START_TEST(test_users_wait_for_themselves_alone)
{
	struct call *first;

	limit_users(1);
	hand_in_for("a", SLICE("keep"), 1);
	first = kept;
	hand_in_for("a", SLICE("keep"), 2);
	ck_assert_uint_eq(waiting(), 1);
	hand_in_for("b", SLICE("keep"), 3);
	hand_in_for("", SLICE("keep"), 4);
	hand_in_for("", SLICE("keep"), 5);
	ck_assert_uint_eq(waiting(), 1);
	call_text(first, SLICE("x"));
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(waiting(), 0);
	ck_assert_uint_eq(kept->key.ms, 2);
}
END_TEST

START_TEST(test_tool_with_a_cap)
{
	struct call *first;

	hand_in_for("", SLICE("single"), 1);
	first = kept;
	hand_in_for("", SLICE("single"), 2);
	hand_in_for("", SLICE("single"), 3);
	ck_assert_uint_eq(waiting(), 2);
	/* One that gives up while it waits leaves the order of the others. */
	call_expire(inflight_find(inflight, &(struct call_key){ 2, 0 }));
	ck_assert_str_eq(answer_text(), ERROR("1", -32001,
	    "deadline passed before the call began"));
	call_text(first, SLICE("x"));
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(kept->key.ms, 3);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* Ends the call that runs; what begins next is in kept. */
static void
end_and_wake(void)
{
	struct call *running = kept;

	kept = NULL;
	call_text(running, SLICE("x"));
	event_base_loop(base, EVLOOP_NONBLOCK);
}

START_TEST(test_new_calls_do_not_overtake)
{
	struct call *first;

	limit_users(1);
	hand_in_for("a", SLICE("keep"), 1);
	first = kept;
	hand_in_for("a", SLICE("keep"), 2);
	/* There is a place, but not for this one. */
	call_text(first, SLICE("x"));
	hand_in_for("a", SLICE("keep"), 3);
	ck_assert_ptr_eq(kept, first);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(kept->key.ms, 2);
	end_and_wake();
	ck_assert_uint_eq(kept->key.ms, 3);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* Both of a tool's and of a user's, which are woken by different ends. */
START_TEST(test_two_caps_in_the_way)
{
	struct call *of_user, *of_tool;

	limit_users(1);
	hand_in_for("a", SLICE("keep"), 1);
	of_user = kept;
	hand_in_for("b", SLICE("single"), 2);
	of_tool = kept;
	hand_in_for("a", SLICE("single"), 3);
	ck_assert_uint_eq(waiting(), 1);
	call_text(of_tool, SLICE("x"));
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(waiting(), 1);
	call_text(of_user, SLICE("x"));
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(waiting(), 0);
	ck_assert_uint_eq(kept->key.ms, 3);
	end_and_wake();
	hand_in_for("a", SLICE("single"), 4);
	ck_assert_uint_eq(kept->key.ms, 4);
}
END_TEST

START_TEST(test_users_take_turns)
{
	unsigned long long next[2];

	limiter_free(dispatch.limiter);
	dispatch.limiter = limiter_new(&(struct limiter_options){ .base = base,
		.most = 1, .per_user = 1 });
	hand_in_for("a", SLICE("keep"), 1);
	for (unsigned seq = 2; seq <= 4; seq++)
		hand_in_for("a", SLICE("keep"), seq);
	hand_in_for("b", SLICE("keep"), 5);
	ck_assert_uint_eq(waiting(), 4);
	end_and_wake();
	next[0] = kept->key.ms;
	end_and_wake();
	next[1] = kept->key.ms;
	ck_assert(next[0] == 5 || next[1] == 5);
	end_and_wake();
	end_and_wake();
	ck_assert_uint_eq(kept->key.ms, 4);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(test_late_call_does_not_begin)
{
	struct env_request request = request_of(SLICE("single"),
	    SLICE(REQUEST("1", "keep", "")));
	struct call *first;

	hand_in(&request, 1);
	first = kept;
	request.deadline_ms = NOW_MS + 5;
	hand_in(&request, 2);
	ck_assert_uint_gt(inflight_waiting_bytes(inflight), 0);
	clock_fake(NOW_MS + 6);
	call_text(first, SLICE("x"));
	answers = 0;
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_ptr_eq(kept, first);
	ck_assert_str_eq(answer_text(), ERROR("1", -32001,
	    "deadline passed before the call began"));
	ck_assert_uint_eq(waiting(), 0);
	ck_assert_uint_eq(inflight_waiting_bytes(inflight), 0);
}
END_TEST

/* The catalogue ----------------------------------------------------------- */

START_TEST(test_catalogue_json)
{
	struct slice json = catalogue_json(catalogue);
	static const char begins[] = "{\"instructions\":\"Two\\nlines.\","
	    "\"tools\":[{\"name\":\"echo\",\"title\":\"Echo\","
	    "\"description\":\"Says \\\"it\\\".\",\"inputSchema\":"
	    "{\"type\":\"object\",\"properties\":{\"text\":"
	    "{\"type\":\"string\"}},\"required\":[\"text\"]},"
	    "\"annotations\":{\"readOnlyHint\":true,\"destructiveHint\":false,"
	    "\"idempotentHint\":false,\"openWorldHint\":true}},"
	    "{\"name\":\"keep\",\"description\":\"k\",\"inputSchema\":"
	    "{\"type\":\"object\",\"additionalProperties\":false},"
	    "\"annotations\":{\"readOnlyHint\":false,\"destructiveHint\":true,";
	static const char meta[] = "\"_meta\":{\"mcp-relay/timeout_ms\":1500}";
	cJSON *parsed = cJSON_ParseWithLength(json.p, json.n);

	ck_assert_ptr_nonnull(parsed);
	ck_assert_int_eq(cJSON_GetArraySize(
	    cJSON_GetObjectItemCaseSensitive(parsed, "tools")), 6);
	ck_assert_int_eq(memcmp(json.p, begins, sizeof(begins) - 1), 0);
	ck_assert_ptr_null(memchr(json.p, '\n', json.n));
	ck_assert_ptr_nonnull(memmem(json.p, json.n, meta, sizeof(meta) - 1));
	ck_assert_uint_eq(strlen(catalogue_digest(catalogue)), SHA256_HEX_LEN);
	cJSON_Delete(parsed);
}
END_TEST

START_TEST(test_listing_of_somebody_else)
{
	static const struct tool foreign[] = {
		{ .name = "a", .raw = true, .run = run_keep,
		    .listing = "\"inputSchema\":{\"x\":1.50},\"y\":[ ]",
		    .meta = "\"k\":1.0" },
		{ .name = "b", .raw = true, .run = run_keep,
		    .listing = "\"z\":1", .meta = "\"k\":2",
		    .timeout_ms = 7 },
		{ .name = NULL },
	};
	static const char tool_list[] = "\"tools\":["
	    "{\"name\":\"a\",\"inputSchema\":{\"x\":1.50},\"y\":[ ],"
	    "\"_meta\":{\"k\":1.0}},{\"name\":\"b\",\"z\":1,"
	    "\"_meta\":{\"mcp-relay/timeout_ms\":7,\"k\":2}}]";
	struct strbuf error = STRBUF_INIT(256);
	struct slice json;

	catalogue_set_instructions(catalogue, "Else.");
	ck_assert(catalogue_set(catalogue, &(struct offers){ .tools = foreign },
	    &error));
	json = catalogue_json(catalogue);
	ck_assert_ptr_nonnull(memmem(json.p, json.n, tool_list,
	    sizeof(tool_list) - 1));
	ck_assert_ptr_nonnull(memmem(json.p, json.n, "\"Else.\"", 7));
	strbuf_release(&error);
}
END_TEST

static const struct tool bad_tools[][3] = {
	{ { .name = "has space", .description = "d", .run = run_keep } },
	{ { .name = "no-run", .description = "d" } },
	{ { .name = "run-and-compute", .description = "d", .run = run_keep,
	    .compute = compute_nothing } },
	{ { .name = "no-description", .run = run_keep } },
	{ { .name = "t", .description = "d", .run = run_keep,
	    .input_schema = "{" } },
	{ { .name = "t", .description = "d", .run = run_keep,
	    .output_schema = "{\"type\":\"float\"}" } },
	{ { .name = "t", .description = "d", .run = run_keep,
	    .input_schema = "{\"type\":\"string\"}" } },
	{ { .name = "t", .description = "d", .run = run_keep,
	    .input_schema = "{\"properties\":{}}" } },
	{ { .name = "t", .description = "d", .run = run_keep,
	    .output_schema = "{\"type\":\"array\"}" } },
	{ { .name = "t", .description = "d", .run = run_keep,
	    .more = "\"icons\":[" } },
	{ { .name = "t", .description = "d", .run = run_keep,
	    .input_schema = "{\"type\":\"object\",\"title\":\"\xff\"}" } },
	{ { .name = "t", .description = "d", .run = run_keep },
	    { .name = "t", .description = "d", .run = run_keep } },
};

START_TEST(test_bad_tool)
{
	const struct api bad = { .name = "bad", .tools = bad_tools[_i] };

	ck_assert_ptr_null(catalogue_new(&bad, bad.name, NULL));
}
END_TEST

START_TEST(test_bad_api_name)
{
	ck_assert_ptr_null(catalogue_new(&test_api, "Bad", NULL));
	/* The proxies' own. */
	ck_assert_ptr_null(catalogue_new(&test_api, "session", NULL));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("worker", set_up, tear_down);

	tcase_add_loop_test(tc, test_call, 0, ARRAY_LEN(calls));
	tcase_add_test(tc, test_long_unknown_name_is_cut_between_characters);
	tcase_add_test(tc, test_deadline);
	tcase_add_test(tc, test_other_method);
	tcase_add_test(tc, test_malformed_entry_is_answered_when_it_can_be);
	tcase_add_test(tc, test_deleted_entry_goes_without_answer);
	tcase_add_test(tc, test_entry_runs_once_while_held);
	tcase_add_test(tc, test_calls_are_recycled_clean);
	tcase_add_test(tc, test_safe_call_begins_again);
	tcase_add_test(tc, test_unsafe_call_does_not_begin_again);
	tcase_add_test(tc, test_unsafe_call_given_back_begins);
	tcase_add_test(tc, test_late_unsafe_call_has_an_unknown_outcome);
	tcase_add_test(tc, test_expired_call_is_told_and_answered);
	tcase_add_test(tc, test_tool_that_goes_on_keeps_its_call);
	tcase_add_test(tc, test_late_answer_while_the_error_is_on_its_way);
	tcase_add_test(tc, test_cancelled_call_has_no_answer);
	tcase_add_test(tc, test_lost_call_is_forgotten);
	tcase_add_test(tc, test_unsafe_call_does_not_go_back);
	tcase_add_test(tc, test_call_whose_upstream_was_lost);
	tcase_add_test(tc, test_unsafe_call_whose_upstream_was_lost);
	tcase_add_test(tc, test_call_that_waits_goes_back);
	tcase_add_test(tc, test_users_wait_for_themselves_alone);
	tcase_add_test(tc, test_tool_with_a_cap);
	tcase_add_test(tc, test_new_calls_do_not_overtake);
	tcase_add_test(tc, test_two_caps_in_the_way);
	tcase_add_test(tc, test_users_take_turns);
	tcase_add_test(tc, test_late_call_does_not_begin);
	tcase_add_test(tc, test_catalogue_json);
	tcase_add_test(tc, test_listing_of_somebody_else);
	tcase_add_loop_test(tc, test_bad_tool, 0, ARRAY_LEN(bad_tools));
	tcase_add_test(tc, test_bad_api_name);
	return run_cases(tc);
}
