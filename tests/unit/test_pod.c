/* A loop's heartbeat in a real Redis. */
#include "proxy/pod.h"

#include <check.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define NAME "pod-a.0.abcd"
#define KEY "mcp_pod:{" NAME "}"

static struct redis *commands;
static struct pod *pod;
static unsigned lost;
static const struct pod_load load = { .streams = 7, .connections = 9 };

static void
on_lost(void *arg)
{
	ck_assert_ptr_eq(arg, &pod);
	lost++;
}

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	pod = pod_new(commands, SLICE(NAME), on_lost, &pod);
}

static void
teardown(void)
{
	redis_free(commands);
	pod_free(pod);
	server_teardown();
	wait_teardown();
}

static void
settle(void)
{
	WAIT(redis_pending_count(commands) == 0);
}

static void
beat(void)
{
	pod_tick(pod, &load);
	settle();
}

static void
pass_ms(uint64_t ms)
{
	clock_fake(clock_mono_ms() + ms);
}

START_TEST(a_beat_says_who_and_how)
{
	beat();
	ck_assert_str_eq(server_text("HGET " KEY " streams"), "7");
	ck_assert_str_eq(server_text("HGET " KEY " connections"), "9");
	ck_assert_str_eq(server_text("HGET " KEY " draining"), "0");
	ck_assert_str_eq(server_text("HGET " KEY " version"), MCP_VERSION);
	ck_assert_int_gt(server_int("PTTL " KEY), ENV_HEARTBEAT_TTL_MS / 2);
	ck_assert_int_le(server_int("PTTL " KEY), ENV_HEARTBEAT_TTL_MS);
	ck_assert_int_gt(strtoll(server_text("ZSCORE " ENV_PODS_KEY " " NAME),
	    NULL, 10), (long long)clock_wall_ms());
	ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(draining_shows)
{
	struct pod_load draining = { .draining = true };

	pod_tick(pod, &draining);
	settle();
	ck_assert_str_eq(server_text("HGET " KEY " draining"), "1");
}
END_TEST

START_TEST(beats_keep_their_distance)
{
	uint64_t before;

	pass_ms(0);
	beat();
	before = redis_commands_sent(commands);
	pass_ms(POD_BEAT_MS - 1);
	beat();
	ck_assert_uint_eq(redis_commands_sent(commands), before);
	pass_ms(1);
	beat();
	ck_assert_uint_gt(redis_commands_sent(commands), before);
	before = redis_commands_sent(commands);
	pod_hurry(pod);
	beat();
	ck_assert_uint_gt(redis_commands_sent(commands), before);
}
END_TEST

START_TEST(one_beat_at_a_time)
{
	uint64_t before;

	server_freeze();
	pod_tick(pod, &load);
	before = redis_commands_sent(commands);
	pod_hurry(pod);
	pod_tick(pod, &load);
	ck_assert_uint_eq(redis_commands_sent(commands), before);
	server_thaw();
	settle();
}
END_TEST

START_TEST(lost_data_are_noticed)
{
	beat();
	ck_assert(!pod_lost_recently(pod));
	server_do("FLUSHALL");
	pod_hurry(pod);
	beat();
	ck_assert_uint_eq(lost, 1);
	ck_assert(pod_lost_recently(pod));
	pod_hurry(pod);
	beat();
	ck_assert_uint_eq(lost, 1);
	ck_assert_int_gt(server_int("PTTL " KEY), 0);
	pass_ms(60000);
	ck_assert(!pod_lost_recently(pod));
}
END_TEST

START_TEST(a_restart_that_kept_the_data_is_no_loss)
{
	beat();
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	WAIT(redis_is_ready(commands));
	pod_hurry(pod);
	beat();
	ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(a_restart_that_lost_the_data_is_a_loss)
{
	beat();
	server_restart();
	WAIT(!redis_is_ready(commands));
	WAIT(redis_is_ready(commands));
	pod_hurry(pod);
	beat();
	ck_assert_uint_eq(lost, 1);
}
END_TEST

START_TEST(a_beat_that_was_lost_is_repeated)
{
	server_freeze();
	pod_tick(pod, &load);
	redis_flush(commands);
	server_restart();
	WAIT(!redis_is_ready(commands));
	WAIT(redis_is_ready(commands));
	pod_hurry(pod);
	beat();
	ck_assert_int_eq(server_int("EXISTS " KEY), 1);
	ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(a_refused_beat_is_no_loss)
{
	beat();
	server_do("CONFIG SET maxmemory 1");
	pod_hurry(pod);
	beat();
	server_do("CONFIG SET maxmemory 0");
	pod_hurry(pod);
	beat();
	ck_assert_uint_eq(lost, 0);
}
END_TEST

/* Confirmed in time, and heard of after a long sleep, it stands no more. */
START_TEST(a_confirmation_is_as_old_as_its_beat)
{
	pass_ms(0);
	beat();
	pass_ms(POD_BEAT_MS);
	server_freeze();
	pod_tick(pod, &load);
	redis_flush(commands);
	pass_ms(100000);
	server_thaw();
	settle();
	ck_assert_uint_ge(pod_unheard_ms(pod), 100000);
	ck_assert_uint_ge(pod_unconfirmed_ms(pod), 100000);
}
END_TEST

/* A master whose replicas have gone over to another one refuses just so. */
START_TEST(a_beat_that_misses_replicas_is_no_silence_and_not_confirmed)
{
	pass_ms(0);
	beat();
	server_do("CONFIG SET min-replicas-to-write 1");
	pass_ms(100000);
	pod_hurry(pod);
	beat();
	ck_assert(redis_is_refusing(commands));
	ck_assert_uint_eq(pod_unheard_ms(pod), 0);
	ck_assert_uint_eq(pod_unconfirmed_ms(pod), 100000);
	server_do("CONFIG SET min-replicas-to-write 0");
	pass_ms(2000);
	pod_hurry(pod);
	beat();
	ck_assert(!redis_is_refusing(commands));
	ck_assert_uint_eq(pod_unconfirmed_ms(pod), 0);
	ck_assert_uint_eq(lost, 0);
}
END_TEST

/* Nobody can take anything as long as it lasts. */
START_TEST(a_beat_that_cannot_be_saved_is_worth_any_wait)
{
	pass_ms(0);
	beat();
	server_do("CONFIG SET dir /proc/self save %s", "1000000 1000000");
	server_do("BGSAVE");
	WAIT(strstr(server_text("INFO persistence"),
	    "rdb_last_bgsave_status:err") != NULL);
	pass_ms(100000);
	pod_hurry(pod);
	beat();
	ck_assert_uint_eq(pod_unheard_ms(pod), 0);
	ck_assert_uint_eq(pod_unconfirmed_ms(pod), 0);
}
END_TEST

START_TEST(a_beat_that_is_refused_to_us_is_silence)
{
	pass_ms(0);
	beat();
	server_do("ACL SETUSER default -evalsha");
	pass_ms(100000);
	pod_hurry(pod);
	beat();
	server_do("ACL SETUSER default +evalsha");
	ck_assert(!redis_is_refusing(commands));
	ck_assert_uint_eq(pod_unheard_ms(pod), 100000);
	ck_assert_uint_eq(pod_unconfirmed_ms(pod), 100000);
}
END_TEST

START_TEST(who_leaves_is_gone)
{
	beat();
	pod_leave(pod);
	settle();
	ck_assert_int_eq(server_int("EXISTS " KEY), 0);
	ck_assert_str_eq(server_text("ZSCORE " ENV_PODS_KEY " " NAME), "0");
}
END_TEST

START_TEST(silence_is_measured)
{
	/* Longer than setting up takes on however busy a machine. */
	ck_assert_uint_lt(pod_unconfirmed_ms(pod), 100000);
	clock_fake(clock_mono_ms() + 100000);
	ck_assert_uint_ge(pod_unconfirmed_ms(pod), 100000);
	beat();
	ck_assert_uint_lt(pod_unconfirmed_ms(pod), 100000);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("pod", setup, teardown);

	tcase_add_test(tc, a_beat_says_who_and_how);
	tcase_add_test(tc, draining_shows);
	tcase_add_test(tc, beats_keep_their_distance);
	tcase_add_test(tc, one_beat_at_a_time);
	tcase_add_test(tc, lost_data_are_noticed);
	tcase_add_test(tc, a_restart_that_kept_the_data_is_no_loss);
	tcase_add_test(tc, a_restart_that_lost_the_data_is_a_loss);
	tcase_add_test(tc, a_beat_that_was_lost_is_repeated);
	tcase_add_test(tc, a_refused_beat_is_no_loss);
	tcase_add_test(tc, a_confirmation_is_as_old_as_its_beat);
	tcase_add_test(tc,
	    a_beat_that_misses_replicas_is_no_silence_and_not_confirmed);
	tcase_add_test(tc, a_beat_that_cannot_be_saved_is_worth_any_wait);
	tcase_add_test(tc, a_beat_that_is_refused_to_us_is_silence);
	tcase_add_test(tc, who_leaves_is_gone);
	tcase_add_test(tc, silence_is_measured);
	return run_cases(tc);
}
