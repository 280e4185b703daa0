/*
 * Sessions on a real HTTP server and a real Redis: ownership, delivery, what
 * becomes of messages when clients are slow or Redis goes away.
 */
#include "proxy/session.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/client.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/serve.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"
#include "tests/unit/support/words.h"

#define POD "pod-a.0.abcd"
#define TTL_MS 3600000
#define UNUSED_MS 60000
#define WINDOW_MS 300000
#define PING_MS 15000
#define CLAIM_PATIENCE_MS 30000   /* session.c's */
#define PROOF_FRESH_MS 1000       /* session_delivery.c's */
#define PROOF_CARRIED_MS 60000    /* session_delivery.c's */
#define MAX_BUFFER 4096
#define IDS_MAX 4096

static struct redis *commands;
static struct sessions *sessions;
static struct http_server *server;
static struct sockaddr_storage address;
static socklen_t address_len;
static metric_value stats[STAT_COUNT];
static struct client client;
static struct inbox_reading inbox;

/* What the next GET asks for, and who asks. */
static struct session_request wanted;
static const struct principal who = {
	.kind = PRINCIPAL_API_KEY,
	.user = { .bytes = { 0xab, 0xcd }, .hash = "abcd" },
};
#define USER_HEX                                                               \
	"abcd000000000000000000000000000000000000000000000000000000000000"

/* Messages that were given back, by the number in their payload. */
static unsigned strays, last_stray;
static char stray_attempt[8];
/* How often the fate of each message was told. */
static unsigned told[IDS_MAX];
static unsigned told_count;

static void
on_get(struct http_conn *c, const struct http_request *req UNUSED,
    void *arg UNUSED)
{
	session_open(sessions, c, &wanted);
}

static void
on_stray(const struct env_message *m, session_done_cb *done, void *done_arg,
    void *arg)
{
	ck_assert_ptr_eq(arg, &sessions);
	ck_assert_uint_eq(m->session.n, SID_LEN);
	ck_assert_int_eq(sscanf(m->payload.p, "{\"id\":%u", &last_stray), 1);
	snprintf(stray_attempt, sizeof(stray_attempt), "%.*s",
	    SLICE_ARG(m->attempt));
	strays++;
	done(done_arg);
}

static void
on_state(struct redis *r UNUSED, bool ready, void *arg UNUSED)
{
	if (ready && sessions != NULL)
		sessions_on_ready(sessions);
}

/* Fixture ----------------------------------------------------------------- */

static void
make_sessions(unsigned max_pending)
{
	struct redis_options redis = server_options();
	struct session_options options = {
		.pod = SLICE(POD),
		.ttl_ms = TTL_MS,
		.window_ms = WINDOW_MS,
		.unused_ttl_ms = UNUSED_MS,
		.ping_interval_ms = PING_MS,
		.retry_ms = 1234,
		.max_buffer = MAX_BUFFER,
		.inbox = &inbox,
		.stats = stats,
		.stray = on_stray,
		.arg = &sessions,
	};

	redis.on_state = on_state;
	redis.max_pending = max_pending;
	commands = server_connect(&redis);
	options.commands = commands;
	sessions = sessions_new(&options);
}

static void
make_http(void)
{
	server = serve(on_get, NULL, stats, &address, &address_len);
}

static void
setup(void)
{
	wait_setup();
	server_setup();
	make_sessions(100000);
	make_http();
	wanted = (struct session_request){ .api = SLICE(""), .who = &who };
}

/* First Redis, as loop_free() does. */
static void
free_sessions(void)
{
	sessions_end_all(sessions, "shutdown");
	redis_free(commands);
	sessions_free(sessions);
	sessions = NULL;
	http_server_free(server);
}

static void
teardown(void)
{
	free_sessions();
	client_close(&client);
	server_teardown();
	ck_assert_int_eq(metric_get(&stats[STAT_STREAMS]), 0);
	wait_teardown();
}

static int64_t
stat_of(enum stat which)
{
	return metric_get(&stats[which]);
}

/* Stands still at the time of the first call, and then passes. */
static void
pass_ms(uint64_t ms)
{
	clock_fake(clock_mono_ms() + ms);
}

/* What the client got ----------------------------------------------------- */

/* The events without their chunks, newly decoded by each call. */
static const char *
events(void)
{
	static struct strbuf text = STRBUF_INIT((size_t)64 << 20);
	const char *p = strstr(strbuf_str(&client.in), "\r\n\r\n");
	const char *end = client.in.p + client.in.n;
	char *data;

	strbuf_reset(&text);
	if (p == NULL)
		return "";
	p += 4;
	while (p < end && memmem(p, (size_t)(end - p), "\r\n", 2) != NULL) {
		size_t n = strtoul(p, &data, 16);

		data += 2;
		if (n == 0 || (size_t)(end - data) < n + 2)
			break;
		strbuf_add(&text, data, n);
		p = data + n + 2;
	}
	return strbuf_str(&text);
}

static bool
has_event(const char *text)
{
	return strstr(events(), text) != NULL;
}

/* The numbers of the messages that came, in order; returns how many. */
static size_t
ids_got(unsigned ids[static IDS_MAX])
{
	static const char mark[] = "event: message\ndata: {\"id\":";
	size_t n = 0;

	for (const char *p = events(); (p = strstr(p, mark)) != NULL;) {
		p += sizeof(mark) - 1;
		ck_assert_uint_lt(n, IDS_MAX);
		ids[n++] = (unsigned)strtoul(p, NULL, 10);
	}
	return n;
}

static size_t
count_got(void)
{
	static unsigned ids[IDS_MAX];

	return ids_got(ids);
}

/* Were messages 1 to last handed over, each once and in order? */
static void
check_got(unsigned last)
{
	static unsigned ids[IDS_MAX];
	size_t n = ids_got(ids);

	for (unsigned i = 0; i < n && i < last; i++)
		ck_assert_uint_eq(ids[i], i + 1);
	ck_assert_uint_eq(n, last);
}

static void
check_told(unsigned last)
{
	for (unsigned i = 1; i <= last; i++)
		ck_assert_msg(told[i] == 1, "%u was told %u times", i, told[i]);
	ck_assert_uint_eq(told_count, last);
}

/* The last chunk came, and the connection's end. */
static bool
ended_in_order(void)
{
	return client.eof && client.in.n > 5 &&
	    memcmp(client.in.p + client.in.n - 5, "0\r\n\r\n", 5) == 0;
}

/* Acting ------------------------------------------------------------------ */

static void
get(int receive_bytes)
{
	client_open(&client, &address, address_len, receive_bytes);
	client_say(&client, "GET /sse HTTP/1.1\r\nHost: h\r\n\r\n");
}

static const char *
sid(void)
{
	static char text[SID_LEN + 1];
	const char *p = strstr(events(), "session_id=");

	ck_assert_ptr_nonnull(p);
	memcpy(text, p + strlen("session_id="), SID_LEN);
	return text;
}

static struct session *
find(void)
{
	return sessions_find(sessions, slice_str(sid()));
}

static void
open_session(int receive_bytes)
{
	get(receive_bytes);
	WAIT(has_event("endpoint"));
	ck_assert_ptr_nonnull(find());
}

static void
on_told(void *arg)
{
	unsigned *count = arg;

	(*count)++;
	told_count++;
}

/* Message number id, of at least that many bytes. */
static void
deliver_on(struct session *s, unsigned id, const char *attempt, size_t bytes,
    session_done_cb *done)
{
	struct strbuf payload = STRBUF_INIT(1 << 22);
	static const char session_id[] = "0123456789abcdef0123456789abcdef";
	char call[CALL_ID_LEN + 1];
	struct env_message m;

	snprintf(call, sizeof(call), "%032x", id * 2654435761u);
	/* The digits that tell calls apart are the first. */
	memcpy(call, call + 24, 8);
	strbuf_addf(&payload, "{\"id\":%u,\"pad\":\"", id);
	while (payload.n < bytes)
		strbuf_add_char(&payload, (char)('a' + payload.n % 23));
	strbuf_add_str(&payload, "\"}");
	m = (struct env_message){ .call = slice_of(call, CALL_ID_LEN),
		.session = slice_str(session_id), .attempt = slice_str(attempt),
		.payload = strbuf_slice(&payload) };
	session_deliver(s, &m, done, &told[id]);
	strbuf_release(&payload);
}

static void
deliver_to(unsigned id, const char *attempt, size_t bytes,
    session_done_cb *done)
{
	deliver_on(find(), id, attempt, bytes, done);
}

static void
deliver(unsigned id, const char *attempt, size_t bytes)
{
	deliver_to(id, attempt, bytes, on_told);
}

/*
 * Gives a client that does not read so much that its session lags, and then
 * some more, which waits in the log. The number of the last message.
 */
#define LAG_BYTES 16384

static unsigned
make_lag(unsigned more)
{
	unsigned id = 0;

	open_session(4096);
	client_pause(&client);
	while (stat_of(STAT_EVENTS_LAGGED) == 0) {
		ck_assert_uint_lt(id, 1000);
		deliver(++id, "1", LAG_BYTES);
		WAIT(redis_pending_count(commands) == 0);
	}
	for (unsigned i = 0; i < more; i++)
		deliver(++id, "1", LAG_BYTES);
	WAIT(told_count == id);
	ck_assert_int_eq(stat_of(STAT_EVENTS_LAGGED), more + 1);
	return id;
}

static long long
log_len(void)
{
	return server_int("XLEN mcp_events:{%s}", sid());
}

/* Another pod takes the session over, as claim_script does. */
static void
take_over(void)
{
	server_do("HSET mcp_transport:{%s} pod pod-b epoch 2", sid());
	server_do("XADD mcp_events:{%s} 2-0 owner pod-b", sid());
}

/* From now on Redis is asked before the next message is written. */
static void
outlive_proof(void)
{
	pass_ms(PROOF_FRESH_MS + 1);
}

/* Opening ----------------------------------------------------------------- */

START_TEST(a_stream_begins_with_its_endpoint)
{
	char expected[128];

	open_session(0);
	snprintf(expected, sizeof(expected),
	    "event: endpoint\ndata: /messages/?session_id=%s\nretry: 1234\n\n",
	    sid());
	ck_assert_str_eq(events(), expected);
	ck_assert_ptr_nonnull(strstr(client.in.p,
	    "Content-Type: text/event-stream\r\n"));
	ck_assert_str_eq(session_api(find()), "");
	ck_assert_uint_eq(sessions_count(sessions), 1);
	ck_assert_int_eq(stat_of(STAT_STREAMS), 1);
}
END_TEST

START_TEST(the_endpoint_of_an_api_is_below_it)
{
	wanted.api = SLICE("calc");
	open_session(0);
	ck_assert(has_event("data: /calc/messages/?session_id="));
	ck_assert_str_eq(session_api(find()), "calc");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} api", sid()),
	    "calc");
}
END_TEST

START_TEST(a_claim_leaves_its_records)
{
	wanted.protocol = SLICE("2025-06-18");
	open_session(0);
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} pod", sid()),
	    POD);
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} epoch", sid()),
	    "1");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} protocol", sid()),
	    "2025-06-18");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} state", sid()),
	    "live");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} user", sid()),
	    USER_HEX);
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} user_kind", sid()),
	    "key");
	ck_assert_mem_eq(session_user(find()), who.user.bytes, SHA256_LEN);
	ck_assert_int_eq(log_len(), 1);
	ck_assert_int_gt(server_int("PTTL mcp_transport:{%s}", sid()),
	    TTL_MS - 60000);
	ck_assert_int_gt(server_int("PTTL mcp_events:{%s}", sid()), TTL_MS);
}
END_TEST

START_TEST(an_unused_session_has_short_lived_records)
{
	open_session(0);
	ck_assert_int_le(server_int("PTTL mcp_session:{%s}", sid()),
	    2 * UNUSED_MS);
	ck_assert_int_le(server_int("PTTL mcp_transport:{%s}", sid()),
	    2 * UNUSED_MS);
	ck_assert_int_gt(server_int("PTTL mcp_events:{%s}", sid()),
	    2 * UNUSED_MS);
	deliver(1, "1", 0);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_gt(server_int("PTTL mcp_session:{%s}", sid()),
	    TTL_MS - 60000);
	ck_assert_int_gt(server_int("PTTL mcp_transport:{%s}", sid()),
	    TTL_MS - 60000);
}
END_TEST

START_TEST(the_endpoint_waits_for_the_claim)
{
	server_freeze();
	get(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	turn();
	ck_assert_str_eq(events(), "");
	ck_assert_uint_eq(sessions_count(sessions), 0);
	server_thaw();
	WAIT(has_event("endpoint"));
	ck_assert_uint_eq(sessions_count(sessions), 1);
}
END_TEST

START_TEST(a_stream_opened_without_redis_is_claimed_later)
{
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	get(0);
	WAIT(has_event("endpoint"));
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	WAIT(count_got() == 1);
}
END_TEST

START_TEST(a_claim_lost_with_its_connection_is_repeated)
{
	server_freeze();
	get(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	redis_flush(commands);
	server_thaw_and_cut();
	WAIT(has_event("endpoint"));
	deliver(1, "1", 0);
	WAIT(count_got() == 1);
	check_told(1);
}
END_TEST

START_TEST(a_stream_does_not_wait_for_redis_for_ever)
{
	server_freeze();
	get(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	pass_ms(CLAIM_PATIENCE_MS);
	sessions_tick(sessions);
	WAIT(ended_in_order());
	ck_assert_int_eq(stat_of(STAT_STREAMS), 0);
	server_thaw();
}
END_TEST

/* The answer to its claim is still on its way when the client has left. */
START_TEST(a_client_may_leave_before_the_claim)
{
	server_freeze();
	get(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	client_finish(&client);
	WAIT(client.eof);
	server_thaw();
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(stat_of(STAT_STREAMS), 0);
}
END_TEST

START_TEST(a_refused_claim_ends_the_stream)
{
	server_do("CONFIG SET maxmemory 1");
	get(0);
	WAIT(ended_in_order());
	ck_assert_str_eq(events(), "");
	server_do("CONFIG SET maxmemory 0");
}
END_TEST

/* Ending ------------------------------------------------------------------ */

static const char *
session_state(void)
{
	return server_text("HGET mcp_session:{%s} state", sid());
}

START_TEST(a_session_waits_for_its_client)
{
	open_session(0);
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	client_finish(&client);
	WAIT(strcmp(session_state(), "detached") == 0);
	ck_assert_int_le(server_int("PTTL mcp_session:{%s}", sid()), WINDOW_MS);
	ck_assert_int_le(server_int("PTTL mcp_transport:{%s}", sid()), WINDOW_MS);
	ck_assert_int_gt(server_int("PTTL mcp_events:{%s}", sid()), WINDOW_MS);
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} planned", sid()),
	    "0");
	ck_assert_ptr_null(find());
	ck_assert_uint_eq(sessions_count(sessions), 0);
	ck_assert_int_eq(stat_of(STAT_STREAMS), 0);
}
END_TEST

/* Probes, mostly: nobody will come back for them. */
START_TEST(an_unused_session_does_not_wait_long)
{
	open_session(0);
	client_finish(&client);
	WAIT(strcmp(session_state(), "detached") == 0);
	ck_assert_int_le(server_int("PTTL mcp_session:{%s}", sid()), UNUSED_MS);
}
END_TEST

START_TEST(records_of_another_owner_are_left_alone)
{
	open_session(0);
	take_over();
	client_finish(&client);
	WAIT(stat_of(STAT_STREAMS) == 0);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("EXISTS mcp_session:{%s} "
	    "mcp_transport:{%s} mcp_events:{%s}", sid(), sid(), sid()), 3);
}
END_TEST

START_TEST(ending_all_ends_streams_in_order)
{
	open_session(0);
	sessions_end_all(sessions, "shutdown");
	WAIT(ended_in_order());
	WAIT(strcmp(session_state(), "detached") == 0);
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} planned", sid()),
	    "1");
}
END_TEST

START_TEST(an_unused_stream_is_closed)
{
	open_session(0);
	pass_ms(UNUSED_MS - PING_MS);
	sessions_tick(sessions);
	turn();
	ck_assert(!client.eof);
	pass_ms(PING_MS);
	sessions_tick(sessions);
	WAIT(ended_in_order());
	ck_assert_int_eq(stat_of(STAT_SESSIONS_UNUSED), 1);
}
END_TEST

START_TEST(a_used_stream_is_not_closed)
{
	open_session(0);
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	pass_ms(10 * UNUSED_MS);
	sessions_tick(sessions);
	turn();
	ck_assert(!client.eof);
	ck_assert_ptr_nonnull(find());
}
END_TEST

/* Only a client that reconnects sends its protocol version with the GET. */
START_TEST(a_stream_that_came_back_is_not_closed)
{
	wanted.protocol = SLICE("2025-06-18");
	open_session(0);
	pass_ms(10 * UNUSED_MS);
	sessions_tick(sessions);
	turn();
	ck_assert(!client.eof);
}
END_TEST

START_TEST(streams_are_pinged)
{
	open_session(0);
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	pass_ms(PING_MS / 2);
	sessions_tick(sessions);
	turn();
	ck_assert(!has_event(": ping\n\n"));
	for (unsigned i = 1; i <= 3; i++) {
		pass_ms(PING_MS);
		sessions_tick(sessions);
		WAIT(client_count(&client, "8\r\n: ping\n\n\r\n") == i);
	}
}
END_TEST

START_TEST(records_are_refreshed)
{
	wanted.protocol = SLICE("2025-06-18");
	open_session(0);
	server_do("PEXPIRE mcp_session:{%s} 100000", sid());
	server_do("PEXPIRE mcp_transport:{%s} 100000", sid());
	server_do("PEXPIRE mcp_events:{%s} 100000", sid());
	pass_ms(TTL_MS / 4);
	sessions_tick(sessions);
	WAIT(server_int("PTTL mcp_events:{%s}", sid()) > TTL_MS);
	ck_assert_int_gt(server_int("PTTL mcp_session:{%s}", sid()), 100000);
	ck_assert_int_gt(server_int("PTTL mcp_transport:{%s}", sid()), 100000);
	ck_assert_int_gt(server_int("PTTL mcp_events:{%s}", sid()),
	    server_int("PTTL mcp_transport:{%s}", sid()));
}
END_TEST

/* Delivery ---------------------------------------------------------------- */

START_TEST(a_message_arrives_as_one_event)
{
	open_session(0);
	deliver(1, "1", 20);
	WAIT(count_got() == 1);
	ck_assert_ptr_nonnull(strstr(events(),
	    "\n\nevent: message\ndata: {\"id\":1,\"pad\":\"pqrst\"}\n\n"));
	check_told(1);
	ck_assert_int_eq(stat_of(STAT_EVENTS), 1);
}
END_TEST

START_TEST(messages_arrive_in_order)
{
	open_session(0);
	for (unsigned i = 1; i <= 500; i++)
		deliver(i, "1", i);
	WAIT(told_count == 500);
	WAIT(count_got() == 500);
	check_got(500);
	check_told(500);
}
END_TEST

START_TEST(nothing_is_written_before_redis_confirms_the_owner)
{
	open_session(0);
	outlive_proof();
	server_freeze();
	for (unsigned i = 1; i <= 3; i++)
		deliver(i, "1", 0);
	turn();
	turn();
	ck_assert_uint_eq(count_got(), 0);
	ck_assert_uint_eq(told_count, 0);
	server_thaw();
	WAIT(count_got() == 3);
	check_got(3);
	check_told(3);
}
END_TEST

START_TEST(a_confirmed_owner_writes_at_once_for_a_while)
{
	uint64_t before;

	open_session(0);
	outlive_proof();
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	before = redis_commands_sent(commands);
	pass_ms(PROOF_FRESH_MS);
	for (unsigned i = 2; i <= 10; i++)
		deliver(i, "1", 0);
	ck_assert_uint_eq(told_count, 10);
	ck_assert_uint_eq(redis_commands_sent(commands), before);
	pass_ms(1);
	deliver(11, "1", 0);
	ck_assert_uint_eq(told_count, 10);
	ck_assert_uint_eq(redis_commands_sent(commands), before + 1);
	WAIT(count_got() == 11);
	check_got(11);
	check_told(11);
}
END_TEST

START_TEST(a_repeated_answer_is_dropped)
{
	open_session(0);
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	deliver(1, "2", 0);
	WAIT(told[1] == 2);
	deliver(2, "2", 0);
	WAIT(told[2] == 1);
	WAIT(count_got() == 2);
	check_got(2);
	ck_assert_int_eq(stat_of(STAT_EVENTS_REPEATED), 1);
}
END_TEST

/* Both are asked for before either has been handed over. */
START_TEST(a_repeated_answer_is_dropped_however_soon_it_comes)
{
	open_session(0);
	outlive_proof();
	deliver(1, "1", 0);
	deliver(1, "2", 0);
	WAIT(told[1] == 2);
	deliver(2, "1", 0);
	WAIT(told[2] == 1);
	WAIT(count_got() >= 2);
	check_got(2);
}
END_TEST

/* The same call may have several messages: progress before its answer. */
START_TEST(messages_of_one_call_are_not_repeats)
{
	open_session(0);
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	deliver(1, "1", 0);
	WAIT(told[1] == 2);
	WAIT(count_got() == 2);
	ck_assert_int_eq(stat_of(STAT_EVENTS_REPEATED), 0);
}
END_TEST

START_TEST(what_is_on_its_way_when_the_client_leaves_is_passed_on)
{
	open_session(0);
	outlive_proof();
	server_freeze();
	deliver(1, "1", 0);
	deliver(2, "1", 0);
	client_finish(&client);
	WAIT(client.eof);
	server_thaw();
	WAIT(told_count == 2);
	check_told(2);
	ck_assert_uint_eq(strays, 2);
}
END_TEST

START_TEST(what_waits_at_the_end_is_told)
{
	open_session(0);
	outlive_proof();
	server_freeze();
	deliver(1, "1", 0);
	ck_assert_uint_eq(told_count, 0);
	sessions_end_all(sessions, "shutdown");
	ck_assert_uint_eq(strays, 1);
	redis_free(commands);
	sessions_free(sessions);
	sessions = NULL;
	check_told(1);
	server_thaw();
	make_sessions(100000);
}
END_TEST

/* Hands over another message as soon as this one's fate is told. */
static void
on_told_deliver_another(void *arg)
{
	on_told(arg);
	deliver(3, "1", 0);
}

START_TEST(a_message_does_not_overtake_those_before_it)
{
	open_session(0);
	outlive_proof();
	deliver_to(1, "1", 0, on_told_deliver_another);
	deliver(2, "1", 0);
	WAIT(count_got() >= 3);
	check_got(3);
	check_told(3);
}
END_TEST

/* Streams that break ------------------------------------------------------- */

/* Resets the connection; another takes its place, for what comes after. */
static void
break_stream(void)
{
	client_abort(&client);
	client_open(&client, &address, address_len, 0);
}

START_TEST(what_the_socket_did_not_take_is_passed_on)
{
	struct session *s;

	open_session(0);
	s = find();
	break_stream();
	/* Nobody has heard of it yet. */
	deliver_on(s, 1, "1", 0, on_told);
	deliver_on(s, 2, "1", 0, on_told);
	ck_assert_uint_eq(told_count, 0);
	WAIT(strays == 2);
	check_told(2);
	ck_assert_uint_eq(last_stray, 2);
}
END_TEST

/* Fills the kernel's buffers, until some of a message stays with us. */
static unsigned
fill(void)
{
	unsigned id = 0;

	open_session(4096);
	client_pause(&client);
	do {
		ck_assert_uint_lt(id, 1000);
		deliver(++id, "1", 2000);
		WAIT(redis_pending_count(commands) == 0);
	} while (told[id] == 1);
	ck_assert_uint_eq(told_count, id - 1);
	return id;
}

START_TEST(what_has_not_left_the_buffer_is_passed_on)
{
	unsigned id = fill();
	char before[SID_LEN + 1];

	memcpy(before, sid(), sizeof(before));
	break_stream();
	WAIT(strays == 1);
	check_told(id);
	ck_assert_uint_eq(last_stray, id);
	WAIT(strcmp(server_text("HGET mcp_session:{%s} state", before),
		 "detached") == 0);
	/* When it comes back, it is not taken for a repeat. */
	client_say(&client, "GET /sse HTTP/1.1\r\nHost: h\r\n\r\n");
	WAIT(has_event("endpoint"));
	deliver(id, "2", 2000);
	WAIT(count_got() == 1);
}
END_TEST

START_TEST(what_leaves_the_buffer_in_time_costs_no_log)
{
	unsigned id = fill();

	client_resume(&client);
	WAIT(told[id] == 1);
	check_told(id);
	WAIT(count_got() == id);
	check_got(id);
	ck_assert_int_eq(log_len(), 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_LAGGED), 0);
}
END_TEST

/* Its inbox entry must not wait for a client. */
START_TEST(what_stays_in_the_buffer_goes_to_the_log)
{
	unsigned id = fill();
	char before[SID_LEN + 1];

	memcpy(before, sid(), sizeof(before));
	pass_ms(1000);
	sessions_tick(sessions);
	WAIT(told[id] == 1);
	check_told(id);
	ck_assert_int_eq(log_len(), 2);
	break_stream();
	WAIT(strcmp(server_text("HGET mcp_session:{%s} state", before),
		 "detached") == 0);
	ck_assert_uint_eq(strays, 0);
	ck_assert_int_eq(server_int("XLEN mcp_events:{%s}", before), 2);
}
END_TEST

START_TEST(what_went_to_the_log_from_the_buffer_comes_once)
{
	unsigned id = fill();

	pass_ms(1000);
	sessions_tick(sessions);
	deliver(++id, "1", 100);
	WAIT(told_count == id);
	client_resume(&client);
	WAIT(log_len() == 0);
	WAIT(count_got() >= id);
	deliver(++id, "1", 100);
	WAIT(count_got() >= id);
	check_got(id);
	check_told(id);
}
END_TEST

/* A Redis that is full is no reason to drop a client that may yet read. */
START_TEST(what_is_in_the_buffer_outlives_a_full_redis)
{
	unsigned id = fill();

	server_do("CONFIG SET maxmemory 1");
	pass_ms(1000);
	sessions_tick(sessions);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_ptr_nonnull(find());
	ck_assert_uint_eq(told_count, id - 1);
	server_do("CONFIG SET maxmemory 0");
	client_resume(&client);
	WAIT(told_count == id);
	WAIT(count_got() == id);
	check_got(id);
}
END_TEST

/* What was fetched, but had not left the buffer, is still owed. */
START_TEST(what_was_fetched_is_in_the_log_until_it_has_left)
{
	unsigned id = make_lag(30);
	long long written;
	char before[SID_LEN + 1];

	memcpy(before, sid(), sizeof(before));
	client_resume(&client);
	WAIT(count_got() > id - 31 + 2);
	client_pause(&client);
	/* Sooner or later the kernel takes no more, and something stays here. */
	WAIT(redis_pending_count(commands) == 0 &&
	    log_len() > id - stat_of(STAT_EVENTS));
	written = stat_of(STAT_EVENTS);
	ck_assert_int_lt(written, id);
	break_stream();
	WAIT(strcmp(server_text("HGET mcp_session:{%s} state", before),
		 "detached") == 0);
	ck_assert_int_gt(server_int("XLEN mcp_events:{%s}", before),
	    id - written);
}
END_TEST

/* Redis was asked to keep it, and has no room; but now nobody needs that. */
START_TEST(what_drained_meanwhile_needs_no_room_in_redis)
{
	unsigned id = fill();

	server_do("CONFIG SET maxmemory 1");
	server_freeze();
	pass_ms(1000);
	sessions_tick(sessions);
	client_resume(&client);
	WAIT(count_got() == id);
	deliver(++id, "1", 0);
	server_thaw();
	WAIT(told_count == id);
	WAIT(count_got() == id);
	server_do("CONFIG SET maxmemory 0");
	check_got(id);
	check_told(id);
}
END_TEST

/* Its answer comes while another one is on its way behind it. */
START_TEST(what_redis_had_no_room_for_is_sent_again_alone)
{
	unsigned id = fill();
	size_t pending;

	server_do("CONFIG SET maxmemory 1");
	pass_ms(1000);
	sessions_tick(sessions);
	redis_flush(commands);
	server_do("PING");
	server_do("PING");
	server_freeze();
	deliver(++id, "1", 0);
	pending = redis_pending_count(commands);
	WAIT(redis_pending_count(commands) < pending);
	deliver(++id, "1", 0);
	server_thaw();
	WAIT(find() == NULL);
	WAIT(told_count == id);
	WAIT(redis_pending_count(commands) == 0);
	server_do("CONFIG SET maxmemory 0");
	check_told(id);
}
END_TEST

/* Proofs by the inbox ------------------------------------------------------ */

/* The next message is written without a question, or not. */
static void
check_asks(unsigned id, bool asks)
{
	uint64_t before = redis_commands_sent(commands);

	deliver(id, "1", 0);
	ck_assert_uint_eq(redis_commands_sent(commands) - before, asks);
	WAIT(told[id] == 1);
}

START_TEST(an_inbox_that_was_read_proves_ownership)
{
	open_session(0);
	deliver(1, "1", 0);
	inbox.unbroken_ms = 1;
	pass_ms(30000);
	inbox.complete_ms = clock_mono_ms() - PROOF_FRESH_MS;
	check_asks(2, false);
	inbox.complete_ms--;
	check_asks(3, true);
	WAIT(count_got() == 3);
	check_got(3);
}
END_TEST

START_TEST(an_inbox_that_was_read_anew_proves_nothing_at_first)
{
	open_session(0);
	deliver(1, "1", 0);
	pass_ms(10000);
	inbox.unbroken_ms = inbox.complete_ms = clock_mono_ms();
	check_asks(2, true);
	pass_ms(10000);
	inbox.complete_ms = clock_mono_ms();
	check_asks(3, false);
}
END_TEST

START_TEST(redis_is_asked_now_and_then_all_the_same)
{
	open_session(0);
	deliver(1, "1", 0);
	inbox.unbroken_ms = 1;
	pass_ms(PROOF_CARRIED_MS + 1000);
	inbox.complete_ms = clock_mono_ms();
	check_asks(2, true);
	check_asks(3, false);
}
END_TEST

/* Fencing ----------------------------------------------------------------- */

static void
check_given_up(unsigned id)
{
	WAIT(strays == 1);
	ck_assert_uint_eq(last_stray, id);
	ck_assert_uint_eq(told[id], 1);
	WAIT(ended_in_order());
	ck_assert_ptr_null(find());
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("EXISTS mcp_session:{%s} "
	    "mcp_transport:{%s} mcp_events:{%s}", sid(), sid(), sid()), 3);
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} epoch", sid()),
	    "2");
	ck_assert_int_eq(stat_of(STAT_SESSIONS_FENCED), 1);
}

START_TEST(a_replaced_owner_writes_nothing)
{
	open_session(0);
	outlive_proof();
	take_over();
	deliver(1, "2", 0);
	check_given_up(1);
	ck_assert_uint_eq(count_got(), 0);
	ck_assert_str_eq(stray_attempt, "2");
}
END_TEST

START_TEST(a_replaced_owner_passes_on_all_that_was_on_its_way)
{
	open_session(0);
	outlive_proof();
	take_over();
	for (unsigned i = 1; i <= 5; i++)
		deliver(i, "1", 0);
	WAIT(told_count == 5);
	ck_assert_uint_eq(strays, 5);
	check_told(5);
	WAIT(ended_in_order());
	ck_assert_uint_eq(count_got(), 0);
	ck_assert_int_eq(stat_of(STAT_SESSIONS_FENCED), 1);
}
END_TEST

/* What waits for Redis meanwhile belongs to the next owner as well. */
START_TEST(an_owner_that_is_told_to_yield_passes_on_what_waits)
{
	open_session(0);
	outlive_proof();
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	deliver(1, "1", 0);
	sessions_yield(sessions, slice_str(sid()), 1);
	ck_assert_ptr_nonnull(find());
	sessions_yield(sessions, slice_str(sid()), 2);
	ck_assert_ptr_null(find());
	WAIT(strays == 1);
	WAIT(ended_in_order());
	check_told(1);
	ck_assert_uint_eq(count_got(), 0);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("EXISTS mcp_transport:{%s}", sid()), 1);
}
END_TEST

/* It had the proof in its socket, but stood still before it could use it. */
START_TEST(an_owner_that_slept_asks_again)
{
	open_session(0);
	outlive_proof();
	deliver(1, "1", 0);
	redis_flush(commands);
	server_do("PING");
	server_do("PING");
	take_over();
	pass_ms(PROOF_FRESH_MS + 1);
	check_given_up(1);
	ck_assert_uint_eq(count_got(), 0);
}
END_TEST

START_TEST(a_replaced_owner_logs_nothing)
{
	unsigned id = make_lag(2);
	long long before;

	server_do("XADD mcp_events:{%s} 2-0 owner pod-b", sid());
	server_do("HSET mcp_transport:{%s} pod pod-b epoch 2", sid());
	before = log_len();
	deliver(id + 1, "1", 0);
	WAIT(strays == 1);
	client_resume(&client);
	check_given_up(id + 1);
	ck_assert_int_eq(log_len(), before);
}
END_TEST

/* The log belongs to the next owner then, who has promised it to the client. */
START_TEST(a_replaced_owner_takes_nothing_from_the_log)
{
	unsigned id = make_lag(5);
	long long before;
	size_t got;

	take_over();
	before = log_len();
	client_resume(&client);
	WAIT(client.eof || count_got() == id);
	got = count_got();
	ck_assert(ended_in_order());
	ck_assert_uint_eq(got, id - 6);
	ck_assert_int_eq(log_len(), before);
	ck_assert_int_eq(stat_of(STAT_SESSIONS_FENCED), 1);
}
END_TEST

START_TEST(a_later_owner_ends_the_rebuilding_of_an_earlier)
{
	open_session(0);
	take_over();
	sessions_rebuild(sessions);
	sessions_tick(sessions);
	WAIT(ended_in_order());
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} pod", sid()),
	    "pod-b");
	ck_assert_int_eq(stat_of(STAT_SESSIONS_FENCED), 1);
}
END_TEST

/* Slow clients ------------------------------------------------------------ */

START_TEST(what_a_slow_client_cannot_take_waits_in_redis)
{
	unsigned id = make_lag(20);

	/* With the owner's mark, and what waits in the output buffer. */
	ck_assert_int_gt(log_len(), 1 + 21);
	client_resume(&client);
	WAIT(count_got() >= id);
	check_got(id);
	check_told(id);
	WAIT(log_len() == 0);
	deliver(id + 1, "1", 0);
	WAIT(count_got() > id);
	check_got(id + 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_LAGGED), 21);
}
END_TEST

START_TEST(a_slow_client_is_not_pinged)
{
	make_lag(0);
	pass_ms(PING_MS);
	sessions_tick(sessions);
	client_resume(&client);
	WAIT(log_len() == 0);
	ck_assert(!has_event(": ping"));
}
END_TEST

START_TEST(a_client_that_never_reads_is_dropped)
{
	unsigned id = make_lag(0);

	while (find() != NULL) {
		ck_assert_uint_lt(id, 1000);
		deliver(++id, "1", LAG_BYTES);
		WAIT(told[id] == 1);
	}
	ck_assert_int_le(stat_of(STAT_EVENTS_LAGGED) * LAG_BYTES,
	    1024 * 1024 + 2 * LAG_BYTES);
	WAIT(strcmp(session_state(), "detached") == 0);
	ck_assert_int_gt(log_len(), 1);
	check_told(id);
}
END_TEST

/* Small ones: here the count is what runs out. */
START_TEST(a_log_of_many_events_is_too_long)
{
	unsigned id = make_lag(0);

	while (find() != NULL) {
		ck_assert_uint_lt(id, 1000);
		deliver(++id, "1", 0);
		WAIT(told[id] == 1);
	}
	ck_assert_int_ge(stat_of(STAT_EVENTS_LAGGED), 256);
	ck_assert_int_le(stat_of(STAT_EVENTS_LAGGED), 257);
}
END_TEST

/* It lagged once, but reads as fast as ever many messages come. */
START_TEST(a_client_that_keeps_up_again_is_not_dropped)
{
	unsigned first = make_lag(0), id = first;

	client_resume(&client);
	while (id < first + 1000) {
		ck_assert_ptr_nonnull(find());
		deliver(++id, "1", 100);
		WAIT(id - (unsigned)stat_of(STAT_EVENTS) <= 50 || client.eof);
	}
	WAIT(count_got() >= id || client.eof);
	check_got(id);
	check_told(id);
}
END_TEST

START_TEST(a_slow_client_gets_each_message_once_though_redis_was_lost)
{
	unsigned id = make_lag(10);

	server_freeze();
	for (unsigned i = 0; i < 10; i++)
		deliver(++id, "1", LAG_BYTES);
	redis_flush(commands);
	server_thaw_and_cut();
	WAIT(!redis_is_ready(commands));
	client_resume(&client);
	WAIT(told_count == id);
	WAIT(count_got() >= id);
	WAIT(log_len() == 0);
	check_got(id);
	check_told(id);
}
END_TEST

/* Nobody hears of it when the trimming fails. */
START_TEST(a_slow_client_gets_each_message_once_though_redis_did_not_trim)
{
	unsigned id = make_lag(20);

	server_do("ACL SETUSER default -xtrim");
	client_resume(&client);
	WAIT(count_got() >= id - 21);
	/* A tick does not repeat what has not failed yet. */
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_uint_eq(count_got(), id - 21);
	server_do("ACL SETUSER default +xtrim");
	pass_ms(PING_MS);
	sessions_tick(sessions);
	WAIT(count_got() >= id);
	WAIT(log_len() == 0);
	check_got(id);
}
END_TEST

START_TEST(a_fetch_that_failed_is_repeated)
{
	unsigned id = make_lag(5);

	server_do("ACL SETUSER default -xrange");
	client_resume(&client);
	WAIT(count_got() == id - 6);
	WAIT(redis_pending_count(commands) == 0);
	server_do("ACL SETUSER default +xrange");
	pass_ms(PING_MS);
	sessions_tick(sessions);
	WAIT(count_got() >= id);
	check_got(id);
}
END_TEST

START_TEST(a_full_redis_ends_a_lagging_session)
{
	unsigned id = make_lag(0);

	server_do("CONFIG SET maxmemory 1");
	deliver(id + 1, "1", 0);
	WAIT(told_count == id + 1);
	ck_assert_ptr_null(find());
	client_resume(&client);
	WAIT(client.eof);
	server_do("CONFIG SET maxmemory 0");
	check_told(id + 1);
}
END_TEST

START_TEST(a_slow_client_may_leave)
{
	unsigned id = make_lag(3);

	server_freeze();
	deliver(id + 1, "1", 0);
	client_finish(&client);
	WAIT(stat_of(STAT_STREAMS) == 0);
	server_thaw();
	WAIT(told_count == id + 1);
	WAIT(strcmp(session_state(), "detached") == 0);
}
END_TEST

/* Redis that goes away ---------------------------------------------------- */

START_TEST(messages_on_their_way_survive_a_lost_connection)
{
	open_session(0);
	outlive_proof();
	server_freeze();
	for (unsigned i = 1; i <= 50; i++)
		deliver(i, "1", 0);
	redis_flush(commands);
	server_thaw_and_cut();
	WAIT(told_count == 50);
	WAIT(count_got() >= 50);
	check_got(50);
	check_told(50);
}
END_TEST

START_TEST(messages_that_come_while_redis_is_away_wait)
{
	open_session(0);
	outlive_proof();
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	deliver(1, "1", 0);
	deliver(2, "1", 0);
	WAIT(told_count == 2);
	WAIT(count_got() >= 2);
	check_got(2);
	check_told(2);
}
END_TEST

START_TEST(messages_survive_an_empty_redis)
{
	open_session(0);
	outlive_proof();
	server_freeze();
	deliver(1, "1", 0);
	redis_flush(commands);
	server_restart();
	WAIT(told_count == 1);
	WAIT(count_got() == 1);
	check_told(1);
	ck_assert_uint_eq(strays, 0);
}
END_TEST

/* Its connection is up, but takes one command at a time. */
START_TEST(messages_refused_by_a_busy_connection_are_tried_again)
{
	free_sessions();
	make_sessions(1);
	make_http();
	open_session(0);
	outlive_proof();
	WAIT(redis_pending_count(commands) == 0);
	for (unsigned i = 1; i <= 5; i++)
		deliver(i, "1", 0);
	for (unsigned i = 0; i < 20; i++) {
		WAIT(redis_pending_count(commands) == 0);
		sessions_tick(sessions);
	}
	WAIT(told_count == 5);
	WAIT(count_got() == 5);
	check_told(5);
}
END_TEST

START_TEST(a_claim_refused_by_a_busy_connection_is_tried_again)
{
	free_sessions();
	make_sessions(1);
	make_http();
	ck_assert(redis_send_words(commands, NULL, NULL, "PING", NULL));
	get(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	WAIT(redis_pending_count(commands) == 0);
	sessions_tick(sessions);
	WAIT(has_event("endpoint"));
}
END_TEST

/* No more than an answer that does not come is it a sign of another owner. */
START_TEST(an_error_is_no_proof_against_the_owner)
{
	open_session(0);
	outlive_proof();
	server_do("RENAME mcp_transport:{%s} aside", sid());
	server_do("SET mcp_transport:{%s} text", sid());
	deliver(1, "1", 0);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_uint_eq(strays, 0);
	ck_assert_ptr_nonnull(find());
	server_do("RENAME aside mcp_transport:{%s}", sid());
	sessions_tick(sessions);
	WAIT(told[1] == 1);
	WAIT(count_got() == 1);
}
END_TEST

START_TEST(records_are_written_anew_when_redis_lost_them)
{
	wanted.api = SLICE("calc");
	open_session(0);
	server_do("FLUSHALL");
	sessions_rebuild(sessions);
	sessions_tick(sessions);
	WAIT(server_int("EXISTS mcp_session:{%s} mcp_transport:{%s} "
			"mcp_events:{%s}", sid(), sid(), sid()) == 3);
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} epoch", sid()),
	    "1");
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} pod", sid()),
	    POD);
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} api", sid()),
	    "calc");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} user", sid()),
	    USER_HEX);
	ck_assert_int_eq(client_count(&client, "endpoint"), 1);
	deliver(1, "1", 0);
	WAIT(count_got() == 1);
	/* Once is enough. */
	server_do("DEL mcp_transport:{%s}", sid());
	sessions_tick(sessions);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("EXISTS mcp_transport:{%s}", sid()), 0);
}
END_TEST

/* Redis goes away before the records have reached it, and comes back. */
START_TEST(records_on_their_way_to_a_lost_redis_are_written_again)
{
	open_session(0);
	server_do("FLUSHALL");
	sessions_rebuild(sessions);
	server_freeze();
	sessions_tick(sessions);
	redis_flush(commands);
	server_restart();
	WAIT(redis_is_ready(commands));
	sessions_tick(sessions);
	WAIT(server_int("EXISTS mcp_transport:{%s}", sid()) == 1);
}
END_TEST

START_TEST(a_lag_survives_the_loss_of_its_log)
{
	unsigned id = make_lag(5);

	server_do("FLUSHALL");
	sessions_rebuild(sessions);
	sessions_tick(sessions);
	WAIT(redis_pending_count(commands) == 0);
	client_resume(&client);
	WAIT(count_got() == id - 6);
	deliver(id + 1, "1", 0);
	WAIT(count_got() == id - 5);
	ck_assert(has_event("\"id\":1,"));
}
END_TEST

/*
 * Its ids are those of events that were handed over: of these it is trimmed, but
 * not of what came to it while Redis was being asked.
 */
START_TEST(what_goes_to_a_log_that_begins_anew_is_kept)
{
	unsigned id = make_lag(5);
	char last[32];

	server_do("FLUSHALL");
	sessions_rebuild(sessions);
	sessions_tick(sessions);
	WAIT(redis_pending_count(commands) == 0);
	server_freeze();
	deliver(id + 1, "1", 0);
	client_resume(&client);
	WAIT(count_got() == id - 6);
	server_thaw();
	WAIT(told[id + 1] == 1);
	WAIT(count_got() == id - 5);
	snprintf(last, sizeof(last), "\"id\":%u,", id + 1);
	ck_assert(has_event(last));
	WAIT(log_len() == 0);
}
END_TEST

/* Suite ------------------------------------------------------------------- */

static void
add_life(TCase *tc)
{
	tcase_add_test(tc, a_stream_begins_with_its_endpoint);
	tcase_add_test(tc, the_endpoint_of_an_api_is_below_it);
	tcase_add_test(tc, a_claim_leaves_its_records);
	tcase_add_test(tc, an_unused_session_has_short_lived_records);
	tcase_add_test(tc, the_endpoint_waits_for_the_claim);
	tcase_add_test(tc, a_stream_opened_without_redis_is_claimed_later);
	tcase_add_test(tc, a_claim_lost_with_its_connection_is_repeated);
	tcase_add_test(tc, a_stream_does_not_wait_for_redis_for_ever);
	tcase_add_test(tc, a_client_may_leave_before_the_claim);
	tcase_add_test(tc, a_refused_claim_ends_the_stream);
	tcase_add_test(tc, a_session_waits_for_its_client);
	tcase_add_test(tc, an_unused_session_does_not_wait_long);
	tcase_add_test(tc, records_of_another_owner_are_left_alone);
	tcase_add_test(tc, ending_all_ends_streams_in_order);
	tcase_add_test(tc, an_unused_stream_is_closed);
	tcase_add_test(tc, a_used_stream_is_not_closed);
	tcase_add_test(tc, a_stream_that_came_back_is_not_closed);
	tcase_add_test(tc, streams_are_pinged);
	tcase_add_test(tc, records_are_refreshed);
}

static void
add_delivery(TCase *tc)
{
	tcase_add_test(tc, a_message_arrives_as_one_event);
	tcase_add_test(tc, messages_arrive_in_order);
	tcase_add_test(tc, nothing_is_written_before_redis_confirms_the_owner);
	tcase_add_test(tc, a_confirmed_owner_writes_at_once_for_a_while);
	tcase_add_test(tc, a_message_does_not_overtake_those_before_it);
	tcase_add_test(tc, a_repeated_answer_is_dropped);
	tcase_add_test(tc, a_repeated_answer_is_dropped_however_soon_it_comes);
	tcase_add_test(tc, messages_of_one_call_are_not_repeats);
	tcase_add_test(tc, what_is_on_its_way_when_the_client_leaves_is_passed_on);
	tcase_add_test(tc, what_waits_at_the_end_is_told);
	tcase_add_test(tc, a_replaced_owner_writes_nothing);
	tcase_add_test(tc, a_replaced_owner_passes_on_all_that_was_on_its_way);
	tcase_add_test(tc, an_owner_that_is_told_to_yield_passes_on_what_waits);
	tcase_add_test(tc, an_owner_that_slept_asks_again);
	tcase_add_test(tc, a_replaced_owner_logs_nothing);
	tcase_add_test(tc, a_replaced_owner_takes_nothing_from_the_log);
	tcase_add_test(tc, a_later_owner_ends_the_rebuilding_of_an_earlier);
}

static void
add_broken(TCase *tc)
{
	tcase_add_test(tc, what_the_socket_did_not_take_is_passed_on);
	tcase_add_test(tc, what_has_not_left_the_buffer_is_passed_on);
	tcase_add_test(tc, what_leaves_the_buffer_in_time_costs_no_log);
	tcase_add_test(tc, what_stays_in_the_buffer_goes_to_the_log);
	tcase_add_test(tc, what_went_to_the_log_from_the_buffer_comes_once);
	tcase_add_test(tc, what_is_in_the_buffer_outlives_a_full_redis);
	tcase_add_test(tc, what_drained_meanwhile_needs_no_room_in_redis);
	tcase_add_test(tc, what_redis_had_no_room_for_is_sent_again_alone);
	tcase_add_test(tc, what_was_fetched_is_in_the_log_until_it_has_left);
}

static void
add_proofs(TCase *tc)
{
	tcase_add_test(tc, an_inbox_that_was_read_proves_ownership);
	tcase_add_test(tc, an_inbox_that_was_read_anew_proves_nothing_at_first);
	tcase_add_test(tc, redis_is_asked_now_and_then_all_the_same);
}

static void
add_slow_clients(TCase *tc)
{
	tcase_add_test(tc, what_a_slow_client_cannot_take_waits_in_redis);
	tcase_add_test(tc, a_slow_client_is_not_pinged);
	tcase_add_test(tc, a_client_that_never_reads_is_dropped);
	tcase_add_test(tc, a_log_of_many_events_is_too_long);
	tcase_add_test(tc, a_client_that_keeps_up_again_is_not_dropped);
	tcase_add_test(tc,
	    a_slow_client_gets_each_message_once_though_redis_was_lost);
	tcase_add_test(tc,
	    a_slow_client_gets_each_message_once_though_redis_did_not_trim);
	tcase_add_test(tc, a_fetch_that_failed_is_repeated);
	tcase_add_test(tc, a_full_redis_ends_a_lagging_session);
	tcase_add_test(tc, a_slow_client_may_leave);
}

static void
add_redis_away(TCase *tc)
{
	tcase_add_test(tc, messages_on_their_way_survive_a_lost_connection);
	tcase_add_test(tc, messages_that_come_while_redis_is_away_wait);
	tcase_add_test(tc, messages_survive_an_empty_redis);
	tcase_add_test(tc,
	    messages_refused_by_a_busy_connection_are_tried_again);
	tcase_add_test(tc, a_claim_refused_by_a_busy_connection_is_tried_again);
	tcase_add_test(tc, an_error_is_no_proof_against_the_owner);
	tcase_add_test(tc, records_are_written_anew_when_redis_lost_them);
	tcase_add_test(tc,
	    records_on_their_way_to_a_lost_redis_are_written_again);
	tcase_add_test(tc, a_lag_survives_the_loss_of_its_log);
	tcase_add_test(tc, what_goes_to_a_log_that_begins_anew_is_kept);
}

int
main(void)
{
	TCase *life = new_case("life", setup, teardown);
	TCase *delivery = new_case("delivery", setup, teardown);
	TCase *broken = new_case("streams that break", setup, teardown);
	TCase *proofs = new_case("proofs by the inbox", setup, teardown);
	TCase *slow_clients = new_case("slow clients", setup, teardown);
	TCase *redis_away = new_case("redis away", setup, teardown);

	add_life(life);
	add_delivery(delivery);
	add_broken(broken);
	add_proofs(proofs);
	add_slow_clients(slow_clients);
	add_redis_away(redis_away);
	return run_cases(life, delivery, broken, proofs,
	    slow_clients, redis_away);
}
