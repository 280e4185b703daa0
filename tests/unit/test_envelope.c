/* Keys, and entries written and read back. */
#include "common/envelope.h"

#include <stdlib.h>

#include "tests/unit/reply_of.h"
#include "tests/unit/support/suite.h"

#define ID32 "0123456789abcdef0123456789abcdef"

#define ck_assert_slice(s, text)                                           \
	do {                                                               \
		struct slice s_ = (s);                                     \
		ck_assert_uint_eq(s_.n, strlen(text));                     \
		ck_assert_int_eq(memcmp(s_.p ? s_.p : "", text, s_.n), 0); \
	} while (0)

/* Names and keys --------------------------------------------------------- */

static const struct {
	const char *name;
	bool ok;
} names[] = {
	{ "a", true },
	{ "calculator", true },
	{ "a-1", true },
	{ "a1", true },
	{ "abcdefghijklmnopqrstuvwxyz012345", true },
	{ "abcdefghijklmnopqrstuvwxyz0123456", false },
	{ "", false },
	{ "-a", false },
	{ "a-", false },
	{ "1a", false },
	{ "A", false },
	{ "a_b", false },
	{ "a b", false },
	{ "a}", false },
	{ "\xc3\xa4", false },
};

START_TEST(test_api_name)
{
	ck_assert_int_eq(env_api_name_ok(slice_str(names[_i].name)),
	    names[_i].ok);
}
END_TEST

static const struct {
	const char *name;
	bool ok;
} tool_names[] = {
	{ "add", true },
	{ "A.b-c_9", true },
	{ "-", true },
	{ "", false },
	{ "a b", false },
	{ "a/b", false },
	{ "a\n", false },
	{ "\xc3\xa4", false },
};

START_TEST(test_tool_name)
{
	ck_assert_int_eq(env_tool_name_ok(slice_str(tool_names[_i].name)),
	    tool_names[_i].ok);
}
END_TEST

START_TEST(test_tool_name_lengths)
{
	char name[TOOL_NAME_MAX + 1];

	memset(name, 'n', sizeof(name));
	ck_assert(env_tool_name_ok(slice_of(name, TOOL_NAME_MAX)));
	ck_assert(!env_tool_name_ok(slice_of(name, TOOL_NAME_MAX + 1)));
}
END_TEST

static const struct {
	enum env_key kind;
	const char *key;
} keys[] = {
	{ ENV_SESSION, "mcp_session:{x}" },
	{ ENV_TRANSPORT, "mcp_transport:{x}" },
	{ ENV_EVENTS, "mcp_events:{x}" },
	{ ENV_REQUESTS, "mcp_requests:{x}" },
	{ ENV_REPLIES, "mcp_replies:{x}" },
	{ ENV_DEAD, "mcp_dead:{x}" },
	{ ENV_POD, "mcp_pod:{x}" },
	{ ENV_API, "mcp_api:{x}" },
	{ ENV_COUNTERS, "mcp_counters:{x}" },
	{ ENV_WORKERS, "mcp_workers:{x}" },
};

START_TEST(test_key)
{
	struct env_keybuf buf;

	ck_assert_slice(env_key(&buf, keys[_i].kind, SLICE("x")),
	    keys[_i].key);
}
END_TEST

START_TEST(test_worker_key)
{
	struct env_keybuf buf;

	ck_assert_slice(env_worker_key(&buf, SLICE("api"), SLICE("pod.1a2b")),
	    "mcp_worker:{api}:pod.1a2b");
}
END_TEST

START_TEST(test_longest_keys_fit)
{
	char id[128];
	struct env_keybuf buf;
	struct slice key;

	memset(id, 'i', sizeof(id));
	key = env_key(&buf, ENV_TRANSPORT, slice_of(id, sizeof(id)));
	ck_assert_uint_eq(key.n, strlen("mcp_transport:{}") + sizeof(id));
	ck_assert_int_eq(key.p[key.n - 1], '}');
	key = env_worker_key(&buf, slice_of(id, API_NAME_MAX),
	    slice_of(id, POD_NAME_MAX));
	ck_assert_uint_eq(key.n,
	    strlen("mcp_worker:{}:") + API_NAME_MAX + POD_NAME_MAX);
}
END_TEST

START_TEST(test_overlong_id_is_cut)
{
	char id[2 * ENV_KEY_MAX];
	struct env_keybuf buf;

	memset(id, 'i', sizeof(id));
	ck_assert_uint_eq(env_key(&buf, ENV_POD,
	    slice_of(id, sizeof(id))).n, ENV_KEY_MAX);
	ck_assert_uint_eq(env_worker_key(&buf, slice_of(id, sizeof(id)),
	    slice_of(id, sizeof(id))).n, ENV_KEY_MAX);
}
END_TEST

/* Numbers ---------------------------------------------------------------- */

static const struct {
	const char *text;
	bool ok;
	uint64_t value;
} numbers[] = {
	{ "0", true, 0 },
	{ "007", true, 7 },
	{ "18446744073709551615", true, UINT64_MAX },
	{ "18446744073709551616", false, 0 },
	{ "99999999999999999999", false, 0 },
	{ "", false, 0 },
	{ "-1", false, 0 },
	{ "+1", false, 0 },
	{ "1 ", false, 0 },
	{ "1.5", false, 0 },
};

START_TEST(test_number)
{
	uint64_t value = 42;

	ck_assert_int_eq(env_number(slice_str(numbers[_i].text), &value),
	    numbers[_i].ok);
	ck_assert_uint_eq(value, numbers[_i].ok ? numbers[_i].value : 42);
}
END_TEST

/* Requests --------------------------------------------------------------- */

static const struct env_request example = {
	.call = SLICE(ID32),
	.session = SLICE("abcdefabcdefabcdefabcdefabcdefab"),
	.user = SLICE("user"),
	.method = SLICE("tools/call"),
	.tool = SLICE("add"),
	.reply_to = SLICE("pod-a.0.1f"),
	.deadline_ms = UINT64_MAX,
	.attempt = 3,
	.traceparent = SLICE("00-1-2-01"),
	.payload = SLICE("{\"jsonrpc\":\"2.0\"}\0{"),
};

START_TEST(test_request_round_trip)
{
	struct env_request_argv out;
	struct env_request got;
	redisReply *fields;
	size_t argc = env_request_xadd(&out, SLICE("key"), &example);

	ck_assert_uint_eq(argc, ENV_REQUEST_ARGC - 4);
	ck_assert_slice(out.argv[0], "XADD");
	ck_assert_slice(out.argv[1], "key");
	ck_assert_slice(out.argv[2], "*");
	ck_assert_slice(out.argv[3], "call");
	fields = reply_of_strings(out.argv + 3, argc - 3);
	ck_assert(env_request_read(fields, &got));
	ck_assert(slice_eq(got.call, example.call));
	ck_assert(slice_eq(got.session, example.session));
	ck_assert(slice_eq(got.user, example.user));
	ck_assert(slice_eq(got.method, example.method));
	ck_assert(slice_eq(got.tool, example.tool));
	ck_assert(slice_eq(got.reply_to, example.reply_to));
	ck_assert_uint_eq(got.deadline_ms, example.deadline_ms);
	ck_assert_uint_eq(got.attempt, example.attempt);
	ck_assert(slice_eq(got.traceparent, example.traceparent));
	ck_assert(slice_eq(got.payload, example.payload));
	freeReplyObject(fields);
}
END_TEST

/* The fields that one change of the example makes malformed. */
static const struct {
	const char *field, *value;
} bad_fields[] = {
	{ "call", "short" },
	{ "session", "" },
	{ "session", ID32 "0" },
	{ "method", "" },
	{ "reply_to", "" },
	{ "payload", "" },
	{ "deadline_ms", "soon" },
	{ "attempt", "-1" },
};

START_TEST(test_request_malformed)
{
	struct env_request_argv out;
	struct env_request got;
	redisReply *fields;
	size_t argc = env_request_xadd(&out, SLICE("key"), &example);

	for (size_t i = 3; i < argc; i += 2) {
		if (slice_eq_str(out.argv[i], bad_fields[_i].field))
			out.argv[i + 1] = slice_str(bad_fields[_i].value);
	}
	fields = reply_of_strings(out.argv + 3, argc - 3);
	ck_assert(!env_request_read(fields, &got));
	ck_assert_slice(got.tool, "add");
	freeReplyObject(fields);
}
END_TEST

START_TEST(test_request_any_order_and_unknown_fields)
{
	const struct slice fields[] = {
		SLICE("payload"), SLICE("{}"),
		SLICE("later"), SLICE("field"),
		SLICE("reply_to"), SLICE("p"),
		SLICE("method"), SLICE("m"),
		SLICE("session"), SLICE(ID32),
		SLICE("call"), SLICE(ID32),
		SLICE("odd one out"),
	};
	redisReply *reply = reply_of_strings(fields, ARRAY_LEN(fields));
	struct env_request got;

	ck_assert(env_request_read(reply, &got));
	ck_assert_slice(got.payload, "{}");
	ck_assert_uint_eq(got.attempt, 1);
	ck_assert_uint_eq(got.deadline_ms, 0);
	freeReplyObject(reply);
}
END_TEST

START_TEST(test_request_of_no_array)
{
	redisReply *reply = reply_of(SLICE(":1\r\n"));
	struct env_request got;

	ck_assert(!env_request_read(reply, &got));
	ck_assert(!env_request_read(NULL, &got));
	freeReplyObject(reply);
}
END_TEST

/* What workers ask of clients --------------------------------------------- */

START_TEST(test_ask_id_round_trip)
{
	char buf[ENV_ASK_ID_MAX];
	struct slice id = env_ask_id(buf, SLICE("my-api"), SLICE(ID32));
	struct slice api, ask;

	ck_assert_slice(id, "\"my-api." ID32 "\"");
	ck_assert(env_ask_read(id, &api, &ask));
	ck_assert_slice(api, "my-api");
	ck_assert_slice(ask, ID32);
}
END_TEST

static const char *const no_ask_ids[] = {
	"", "1", "\"\"", "\"." ID32 "\"", "\"a" ID32 "\"",
	"\"a." ID32 "0\"", "\"A." ID32 "\"", "\"a/../b." ID32 "\"",
	"\"a.0123456789ABCDEF0123456789abcdef\"", "\"a." ID32,
	"\"a123456789012345678901234567890123." ID32 "\"",
};

START_TEST(test_ask_id_malformed)
{
	struct slice api, ask;

	ck_assert(!env_ask_read(slice_str(no_ask_ids[_i]), &api, &ask));
}
END_TEST

/* Messages --------------------------------------------------------------- */

START_TEST(test_messages_round_trip)
{
	const struct env_message sent[] = {
		{ SLICE("c1"), SLICE("s1"), SLICE("1"), SLICE("{1}"),
		    SLICE_NONE },
		{ SLICE(""), SLICE("s2"), SLICE("2"), SLICE("{2}"),
		    SLICE("level debug") },
		{ SLICE("c3"), SLICE("s1"), SLICE("1"), SLICE("{3}"),
		    SLICE_NONE },
	};
	struct slice argv[ARRAY_LEN(sent) * ENV_MESSAGE_ARGC];
	unsigned malformed = 0;
	struct env_message got;
	redisReply *fields;
	size_t argc = 0, at = 0;

	for (size_t i = 0; i < ARRAY_LEN(sent); i++)
		argc += env_message_fields(argv + argc, &sent[i]);
	ck_assert_uint_eq(argc, 8 + ENV_MESSAGE_ARGC + 8);
	fields = reply_of_strings(argv, argc);
	for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
		ck_assert(env_message_next(fields, &at, &got, &malformed));
		ck_assert(slice_eq(got.call, sent[i].call));
		ck_assert(slice_eq(got.session, sent[i].session));
		ck_assert(slice_eq(got.attempt, sent[i].attempt));
		ck_assert(slice_eq(got.payload, sent[i].payload));
		ck_assert(slice_eq(got.note, sent[i].note));
	}
	ck_assert(!env_message_next(fields, &at, &got, &malformed));
	ck_assert_uint_eq(malformed, 0);
	freeReplyObject(fields);
}
END_TEST

START_TEST(test_messages_malformed)
{
	const struct slice fields[] = {
		SLICE("payload"), SLICE("of nobody"),
		SLICE("call"), SLICE("no session"),
		SLICE("payload"), SLICE("{}"),
		SLICE("call"), SLICE("good"),
		SLICE("unknown"), SLICE("field"),
		SLICE("session"), SLICE("s"),
		SLICE("payload"), SLICE("{}"),
		SLICE("call"), SLICE("no payload"),
		SLICE("session"), SLICE("s"),
		SLICE("call"),
	};
	redisReply *reply = reply_of_strings(fields, ARRAY_LEN(fields));
	unsigned malformed = 0;
	struct env_message got;
	size_t at = 0;

	ck_assert(env_message_next(reply, &at, &got, &malformed));
	ck_assert_slice(got.call, "good");
	ck_assert_slice(got.attempt, "1");
	ck_assert_uint_eq(malformed, 2);
	ck_assert(!env_message_next(reply, &at, &got, &malformed));
	ck_assert_uint_eq(malformed, 3);
	freeReplyObject(reply);
}
END_TEST

/* Stream replies --------------------------------------------------------- */

START_TEST(test_stream_entries)
{
	redisReply *reply = reply_of(SLICE("*1\r\n*2\r\n$1\r\nk\r\n*3\r\n"
	    "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
	    "*2\r\n$3\r\n1-2\r\n*-1\r\n"
	    "$4\r\njunk\r\n"));
	const redisReply *entries = env_stream_entries(reply);
	struct env_entry entry;

	ck_assert_ptr_nonnull(entries);
	ck_assert(env_entry_at(entries, 0, &entry));
	ck_assert_slice(entry.id, "1-1");
	ck_assert_slice(env_field(entry.fields, "f"), "v");
	ck_assert_ptr_null(env_field(entry.fields, "v").p);
	ck_assert(env_entry_at(entries, 1, &entry));
	ck_assert_slice(entry.id, "1-2");
	ck_assert_ptr_null(entry.fields);
	ck_assert(!env_entry_at(entries, 2, &entry));
	ck_assert(!env_entry_at(entries, 3, &entry));
	freeReplyObject(reply);
}
END_TEST

static const struct slice no_streams[] = {
	SLICE("*-1\r\n"),
	SLICE("$-1\r\n"),
	SLICE("-ERR no\r\n"),
	SLICE("*0\r\n"),
	SLICE("*2\r\n*0\r\n*0\r\n"),
	SLICE("*1\r\n:1\r\n"),
	SLICE("*1\r\n*1\r\n$1\r\nk\r\n"),
	SLICE("*1\r\n*2\r\n$1\r\nk\r\n:1\r\n"),
};

START_TEST(test_no_stream)
{
	redisReply *reply = reply_of(no_streams[_i]);
	struct env_entry entry;

	ck_assert_ptr_null(env_stream_entries(reply));
	ck_assert(!env_entry_at(env_stream_entries(reply), 0, &entry));
	freeReplyObject(reply);
}
END_TEST

START_TEST(test_null_reply)
{
	ck_assert_ptr_null(env_stream_entries(NULL));
	ck_assert_ptr_null(env_field(NULL, "x").p);
}
END_TEST

/* Serial numbers of 16 bits: what is before wraps around. */
static const struct {
	uint64_t stamp, epoch;
	bool before;
} stamps[] = {
	{ 1, 1, false },
	{ 1, 2, true },
	{ 2, 1, false },
	{ 0xffff, 0x10000, true },
	{ 0x10000, 0xffff, false },
	{ 0x10003, 0x10003, false },
	{ 0x12345, 0x12346, true },
};

START_TEST(test_call_stamp)
{
	char call[CALL_ID_LEN + 1] = "0123456789abcdef0123456789abcdef";
	struct slice slice = slice_of(call, CALL_ID_LEN);

	env_call_stamp(call, stamps[_i].stamp);
	ck_assert_int_eq(memcmp(call, "0123456789abcdef0123456789ab", 28), 0);
	ck_assert_int_eq(env_call_before(slice, stamps[_i].epoch),
	    stamps[_i].before);
}
END_TEST

/* Messages of no call, and ids of another make, belong to nobody's past. */
START_TEST(test_no_call_stamp)
{
	ck_assert(!env_call_before(SLICE(""), 100));
	ck_assert(!env_call_before(SLICE("0001"), 100));
	ck_assert(!env_call_before(
	    SLICE("0123456789abcdef0123456789abXYZ!"), 100));
}
END_TEST

int
main(void)
{
	TCase *spell = new_case("keys", NULL, NULL), *entry = new_case("entries", NULL, NULL);

	tcase_add_loop_test(spell, test_api_name, 0, ARRAY_LEN(names));
	tcase_add_loop_test(spell, test_tool_name, 0, ARRAY_LEN(tool_names));
	tcase_add_test(spell, test_tool_name_lengths);
	tcase_add_loop_test(spell, test_key, 0, ARRAY_LEN(keys));
	tcase_add_test(spell, test_worker_key);
	tcase_add_test(spell, test_longest_keys_fit);
	tcase_add_test(spell, test_overlong_id_is_cut);
	tcase_add_loop_test(spell, test_number, 0, ARRAY_LEN(numbers));

	tcase_add_test(entry, test_request_round_trip);
	tcase_add_loop_test(entry, test_request_malformed, 0,
	    ARRAY_LEN(bad_fields));
	tcase_add_test(entry, test_request_any_order_and_unknown_fields);
	tcase_add_test(entry, test_request_of_no_array);
	tcase_add_test(entry, test_ask_id_round_trip);
	tcase_add_loop_test(entry, test_ask_id_malformed, 0,
	    ARRAY_LEN(no_ask_ids));
	tcase_add_test(entry, test_messages_round_trip);
	tcase_add_test(entry, test_messages_malformed);
	tcase_add_test(entry, test_stream_entries);
	tcase_add_loop_test(entry, test_no_stream, 0, ARRAY_LEN(no_streams));
	tcase_add_test(entry, test_null_reply);
	tcase_add_loop_test(entry, test_call_stamp, 0, ARRAY_LEN(stamps));
	tcase_add_test(entry, test_no_call_stamp);
	return run_cases(spell, entry);
}
