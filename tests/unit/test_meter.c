/* Token buckets that several loops share, on a real Redis. */
#include "proxy/meter.h"

#include <check.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define RATE 10
#define BURST 64
#define CREDIT (BURST / 16)
#define KEY "mcp_limit:{0000000000000000000000000000000000000000000000000000000000000000}"

static const unsigned char somebody[METER_SUBJECT_LEN];
static struct redis *commands[2];
static struct meter *meters[2];
static unsigned answers;

static void
name(const unsigned char subject[static METER_SUBJECT_LEN],
    char out[static SHA256_HEX_LEN + 1], void *arg UNUSED)
{
	hex_encode(out, subject, METER_SUBJECT_LEN);
}

static void
on_answer(void *arg UNUSED)
{
	answers++;
}

static void
setup(void)
{
	wait_setup();
	server_setup();
	answers = 0;
	for (int i = 0; i < 2; i++) {
		commands[i] = server_connect(NULL);
		meters[i] = meter_new(&(struct meter_options){ commands[i],
		    RATE, BURST, name, on_answer, NULL });
	}
}

static void
teardown(void)
{
	for (int i = 0; i < 2; i++) {
		redis_free(commands[i]);
		meter_free(meters[i]);
	}
	server_teardown();
	wait_teardown();
}

/* Takes one, waiting for Redis if need be. */
static enum meter_result
take(int i, uint64_t *wait_ms)
{
	enum meter_result result;

	while ((result = meter_take(meters[i], somebody, wait_ms)) == METER_WAIT) {
		unsigned before = answers;

		WAIT(answers > before);
	}
	return result;
}

/* The most that pass while the bucket gains nothing. */
static unsigned
take_all(bool both)
{
	unsigned passed = 0;
	uint64_t wait_ms;

	for (int i = 0; i < 4 * BURST; i++)
		passed += take(both ? i % 2 : 0, &wait_ms) == METER_PASS;
	return passed;
}

START_TEST(test_a_burst_passes_and_no_more)
{
	uint64_t began = clock_mono_ms(), wait_ms = 0;
	unsigned passed = take_all(false);
	uint64_t gained = (clock_mono_ms() - began + 1000) * RATE / 1000;

	ck_assert_uint_ge(passed, BURST);
	ck_assert_uint_le(passed, BURST + gained + CREDIT);
	ck_assert_int_eq(take(0, &wait_ms), METER_REFUSED);
	ck_assert_uint_gt(wait_ms, 0);
	ck_assert_uint_le(wait_ms, 2000);
}
END_TEST

START_TEST(test_loops_share_a_bucket)
{
	uint64_t began = clock_mono_ms();
	unsigned passed = take_all(true);
	uint64_t gained = (clock_mono_ms() - began + 1000) * RATE / 1000;

	ck_assert_uint_ge(passed, BURST);
	ck_assert_uint_le(passed, BURST + gained + 2 * CREDIT);
}
END_TEST

START_TEST(test_a_light_user_waits_for_nothing)
{
	uint64_t before = redis_commands_sent(commands[0]), wait_ms;

	for (int i = 0; i < BURST / 4; i++) {
		ck_assert_int_eq(meter_take(meters[0], somebody, &wait_ms),
		    METER_PASS);
		WAIT(redis_pending_count(commands[0]) == 0);
	}
	/* One report for every other token on credit, the script's text once. */
	ck_assert_uint_le(redis_commands_sent(commands[0]) - before,
	    BURST / 4 / (CREDIT / 2) + 1);
}
END_TEST

START_TEST(test_without_redis_everything_passes)
{
	uint64_t wait_ms;

	redis_free(commands[1]);
	commands[1] = redis_new(base, NULL, &(struct redis_options){
	    .url = server_options().url, .max_output_bytes = 1, .max_pending = 1 });
	meter_free(meters[1]);
	meters[1] = meter_new(&(struct meter_options){ commands[1], RATE, BURST,
	    name, on_answer, NULL });
	for (int i = 0; i < 3 * BURST; i++)
		ck_assert_int_eq(meter_take(meters[1], somebody, &wait_ms),
		    METER_PASS);
}
END_TEST

START_TEST(test_a_lost_answer_lets_those_who_wait_pass)
{
	uint64_t wait_ms;
	int passed = 0;

	server_freeze();
	while (meter_take(meters[0], somebody, &wait_ms) == METER_PASS)
		passed++;
	ck_assert_int_eq(passed, CREDIT);
	server_thaw_and_cut();
	WAIT(answers > 0);
	ck_assert_int_eq(meter_take(meters[0], somebody, &wait_ms), METER_PASS);
}
END_TEST

START_TEST(test_more_subjects_than_are_remembered)
{
	unsigned char subject[METER_SUBJECT_LEN] = { 0 };
	uint64_t wait_ms;

	for (unsigned i = 1; i <= 2 * METER_SUBJECTS_MAX; i++) {
		memcpy(subject, &i, sizeof(i));
		ck_assert_int_eq(meter_take(meters[0], subject, &wait_ms),
		    METER_PASS);
	}
}
END_TEST

START_TEST(test_a_bucket_goes_when_it_would_be_full)
{
	uint64_t wait_ms;

	for (int i = 0; i < CREDIT; i++)
		(void)!meter_take(meters[0], somebody, &wait_ms);
	WAIT(redis_pending_count(commands[0]) == 0);
	ck_assert_int_gt(server_int("PTTL %s", KEY), 0);
	ck_assert_int_le(server_int("PTTL %s", KEY), 2000);
}
END_TEST

int
main(void)
{
	TCase *meter = new_case("meter", setup, teardown);

	tcase_add_test(meter, test_a_burst_passes_and_no_more);
	tcase_add_test(meter, test_loops_share_a_bucket);
	tcase_add_test(meter, test_a_light_user_waits_for_nothing);
	tcase_add_test(meter, test_without_redis_everything_passes);
	tcase_add_test(meter, test_a_lost_answer_lets_those_who_wait_pass);
	tcase_add_test(meter, test_more_subjects_than_are_remembered);
	tcase_add_test(meter, test_a_bucket_goes_when_it_would_be_full);
	return run_cases(meter);
}
