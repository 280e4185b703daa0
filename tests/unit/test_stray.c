/* Messages for sessions that this loop does not hold, with a real Redis. */
#include "proxy/stray.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/client.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/serve.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define POD "pod-a.0.x"
#define OTHER "pod-b.0.y"
#define INBOX "mcp_replies:{" OTHER "}"
#define SID "0123456789abcdef0123456789abcdef"
#define SESSION "mcp_session:{" SID "}"
#define TRANSPORT "mcp_transport:{" SID "}"
#define LOG "mcp_events:{" SID "}"
#define USER                                                                   \
	"00000000000000000000000000000000000000000000000000000000000000ff"
#define CALL "00112233445566778899aabbccdd0001"
/* stray.c's: how long one is held. */
#define STRAY_TTL_MS 60000

static struct redis *commands;
static struct directory *directory;
static struct outbox *outbox;
static struct fleet *fleet;
static struct sessions *sessions;
static struct strays *strays;
static metric_value stats[STAT_COUNT];
static unsigned told;

static void
on_told(void *arg)
{
	ck_assert_ptr_eq(arg, &told);
	told++;
}

static void
make_sessions(void)
{
	struct session_options options = { .commands = commands,
		.directory = directory, .outbox = outbox, .pod = SLICE(POD),
		.ttl_ms = 3600000, .unused_ttl_ms = 60000,
		.ping_interval_ms = 15000, .window_ms = 300000,
		.retry_ms = 1000, .max_buffer = 65536, .stats = stats };

	sessions = sessions_new(&options);
}

static void
setup(void)
{
	struct stray_options options = { .pod = SLICE(POD), .stats = stats };

	wait_setup();
	server_setup();
	options.commands = commands = server_connect(NULL);
	options.directory = directory = directory_new(commands);
	options.outbox = outbox = outbox_new(base, commands);
	options.fleet = fleet = fleet_new(commands);
	make_sessions();
	options.sessions = sessions;
	strays = strays_new(&options);
}

static void
teardown(void)
{
	sessions_end_all(sessions, "shutdown");
	redis_free(commands);
	outbox_free(outbox);
	sessions_free(sessions);
	strays_free(strays);
	fleet_free(fleet);
	directory_free(directory);
	server_teardown();
	wait_teardown();
}

static int64_t
stat_of(enum stat which)
{
	return metric_get(&stats[which]);
}

static void
put_record(const char *pod, const char *state)
{
	server_do("HSET " SESSION " api calc user " USER " state %s", state);
	server_do("HSET " TRANSPORT " pod %s epoch 3 since_ms 5", pod);
	server_do("PEXPIRE " SESSION " 100000");
	server_do("PEXPIRE " TRANSPORT " 100000");
}

static void
stray_to(const char *sid, const char *payload)
{
	struct env_message m = { .call = SLICE(CALL),
		.session = slice_str(sid), .attempt = SLICE("1"),
		.payload = slice_str(payload) };

	stray_pass_on(strays, &m, on_told, &told);
}

static void
stray(void)
{
	stray_to(SID, "{\"id\":1}");
}

/* Time for what waits to be tried again. */
static void
tick(void)
{
	clock_fake(clock_mono_ms() + 1000);
	fleet_tick(fleet);
	strays_tick(strays);
	turn();
	WAIT(redis_pending_count(commands) == 0);
}

START_TEST(a_session_that_has_ended_gets_nothing)
{
	stray();
	WAIT(told == 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_UNDELIVERABLE), 1);
	ck_assert_uint_eq(strays_count(strays), 0);
	ck_assert_int_eq(server_int("EXISTS " LOG), 0);
}
END_TEST

START_TEST(an_id_that_is_none_gets_nothing)
{
	stray_to("0123", "{}");
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_UNDELIVERABLE), 1);
}
END_TEST

START_TEST(a_session_without_a_stream_keeps_it)
{
	put_record(OTHER, "detached");
	stray();
	ck_assert_uint_eq(told, 0);
	WAIT(told == 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_KEPT), 1);
	ck_assert_int_eq(server_int("XLEN " LOG), 1);
	ck_assert_int_gt(server_int("PTTL " LOG), 100000);
}
END_TEST

/* Of all errors: the answer to an accepted call is not lost to one that passes. */
START_TEST(what_redis_refuses_for_a_while_is_kept)
{
	put_record(OTHER, "detached");
	server_do("CONFIG SET min-replicas-to-write 1");
	stray();
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_uint_eq(told, 0);
	server_do("CONFIG SET min-replicas-to-write 0");
	tick();
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_KEPT), 1);
	ck_assert_int_eq(server_int("XLEN " LOG), 1);
}
END_TEST

START_TEST(what_a_replica_refuses_is_kept)
{
	put_record(OTHER, "detached");
	server_do("REPLICAOF 127.0.0.1 1");
	stray();
	WAIT(!redis_is_ready(commands));
	server_do("REPLICAOF NO ONE");
	WAIT(redis_is_ready(commands));
	tick();
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(server_int("XLEN " LOG), 1);
}
END_TEST

START_TEST(the_log_has_a_message_once)
{
	put_record(OTHER, "detached");
	stray();
	stray();
	stray_to(SID, "{\"method\":\"another of that call\"}");
	WAIT(told == 3);
	ck_assert_int_eq(server_int("XLEN " LOG), 2);
}
END_TEST

START_TEST(strays_of_a_session_stay_in_order)
{
	char payload[32];

	put_record(OTHER, "detached");
	for (unsigned i = 0; i < 20; i++) {
		snprintf(payload, sizeof(payload), "{\"method\":\"%u\"}", i);
		stray_to(SID, payload);
	}
	WAIT(told == 20);
	ck_assert_int_eq(server_int("XLEN " LOG), 20);
	ck_assert_ptr_nonnull(strstr(server_text(
	    "EVAL %s 1 " LOG, "local t = {} for _, e in ipairs(redis.call("
	    "'XRANGE', KEYS[1], '-', '+')) do t[#t + 1] = e[2][8] end "
	    "return table.concat(t)"),
	    "{\"method\":\"0\"}{\"method\":\"1\"}{\"method\":\"2\"}"));
}
END_TEST

START_TEST(the_owner_gets_it)
{
	put_record(OTHER, "live");
	server_do("ZADD mcp_pods 1 " OTHER);
	fleet_tick(fleet);
	stray();
	WAIT(told == 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_PASSED_ON), 1);
	ck_assert_int_eq(server_int("XLEN " INBOX), 1);
	ck_assert_int_gt(server_int("PTTL " INBOX), 0);
	ck_assert_int_eq(server_int("EXISTS " LOG), 0);
}
END_TEST

/* Its own reader would find it, if there were one. */
START_TEST(an_owner_that_is_dead_does_not)
{
	put_record(OTHER, "live");
	server_do("ZADD mcp_pods 0 " OTHER);
	tick();
	stray();
	WAIT(told == 1);
	ck_assert_int_eq(server_int("XLEN " LOG), 1);
	ck_assert_int_eq(server_int("EXISTS " INBOX), 0);
}
END_TEST

START_TEST(what_we_held_until_now_is_kept)
{
	put_record(POD, "live");
	stray();
	WAIT(told == 1);
	ck_assert_int_eq(server_int("XLEN " LOG), 1);
}
END_TEST

START_TEST(a_call_that_was_given_up_is_answered)
{
	put_record(OTHER, "detached");
	server_do("HSET " TRANSPORT " given_up " CALL);
	stray();
	WAIT(told == 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_UNDELIVERABLE), 1);
	ck_assert_int_eq(server_int("EXISTS " LOG), 0);
}
END_TEST

START_TEST(a_stray_waits_for_redis)
{
	put_record(OTHER, "detached");
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	stray();
	ck_assert_uint_eq(strays_count(strays), 1);
	WAIT(redis_is_ready(commands));
	ck_assert_uint_eq(told, 0);
	tick();
	WAIT(told == 1);
	ck_assert_int_eq(server_int("XLEN " LOG), 1);
}
END_TEST

START_TEST(an_append_with_unknown_outcome_is_repeated_once)
{
	put_record(OTHER, "detached");
	server_freeze();
	stray();
	redis_flush(commands);
	server_thaw_and_cut();
	WAIT(!redis_is_ready(commands));
	WAIT(redis_is_ready(commands));
	tick();
	WAIT(told == 1);
	ck_assert_int_eq(server_int("XLEN " LOG), 1);
}
END_TEST

START_TEST(a_stray_waits_for_a_full_redis)
{
	put_record(OTHER, "detached");
	server_do("CONFIG SET maxmemory 1");
	stray();
	WAIT(redis_pending_count(commands) > 0);
	WAIT(redis_pending_count(commands) == 0);
	tick();
	ck_assert_uint_eq(told, 0);
	server_do("CONFIG SET maxmemory 0");
	tick();
	WAIT(told == 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_KEPT), 1);
}
END_TEST

START_TEST(but_not_for_ever)
{
	put_record(OTHER, "detached");
	server_do("CONFIG SET maxmemory 1");
	stray();
	WAIT(redis_pending_count(commands) > 0);
	WAIT(redis_pending_count(commands) == 0);
	clock_fake(clock_mono_ms() + STRAY_TTL_MS);
	strays_tick(strays);
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_UNDELIVERABLE), 1);
	server_do("CONFIG SET maxmemory 0");
}
END_TEST

START_TEST(what_waits_at_the_end_is_told)
{
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	stray();
	strays_free(strays);
	ck_assert_uint_eq(told, 1);
	strays = strays_new(&(struct stray_options){ .stats = stats });
}
END_TEST

/* The session's stream is here by the time that Redis has answered. ------- */

static const struct principal who = { .kind = PRINCIPAL_API_KEY };
static struct sockaddr_storage address;
static socklen_t address_len;

static void
on_get(struct http_conn *c, const struct http_request *req UNUSED,
    void *arg UNUSED)
{
	struct session_request wanted = { .api = SLICE(""), .who = &who };

	session_open(sessions, c, &wanted);
}

START_TEST(a_session_that_is_here_gets_it)
{
	struct http_server *http = serve(on_get, NULL, stats, &address,
	    &address_len);
	struct client client;
	char sid[SID_LEN + 1] = { 0 };

	client_open(&client, &address, address_len, 0);
	client_say(&client, "GET /sse HTTP/1.1\r\nHost: h\r\n\r\n");
	WAIT(client_has(&client, "session_id="));
	memcpy(sid, strstr(client.in.p, "session_id=") + 11, SID_LEN);
	stray_to(sid, "{\"id\":1}");
	WAIT(told == 1);
	WAIT(client_has(&client, "data: {\"id\":1}"));
	sessions_end_all(sessions, "shutdown");
	client_close(&client);
	http_server_free(http);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("stray", setup, teardown);

	tcase_add_test(tc, a_session_that_has_ended_gets_nothing);
	tcase_add_test(tc, an_id_that_is_none_gets_nothing);
	tcase_add_test(tc, a_session_without_a_stream_keeps_it);
	tcase_add_test(tc, what_redis_refuses_for_a_while_is_kept);
	tcase_add_test(tc, what_a_replica_refuses_is_kept);
	tcase_add_test(tc, the_log_has_a_message_once);
	tcase_add_test(tc, strays_of_a_session_stay_in_order);
	tcase_add_test(tc, the_owner_gets_it);
	tcase_add_test(tc, an_owner_that_is_dead_does_not);
	tcase_add_test(tc, what_we_held_until_now_is_kept);
	tcase_add_test(tc, a_call_that_was_given_up_is_answered);
	tcase_add_test(tc, a_stray_waits_for_redis);
	tcase_add_test(tc, an_append_with_unknown_outcome_is_repeated_once);
	tcase_add_test(tc, a_stray_waits_for_a_full_redis);
	tcase_add_test(tc, but_not_for_ever);
	tcase_add_test(tc, what_waits_at_the_end_is_told);
	tcase_add_test(tc, a_session_that_is_here_gets_it);
	return run_cases(tc);
}
