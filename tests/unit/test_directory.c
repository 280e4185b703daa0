/* Where sessions live: records in a real Redis, and the cache before them. */
#include "proxy/directory.h"

#include <check.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define SID "0123456789abcdef0123456789abcdef"
#define SID_TAIL "123456789abcdef0123456789abcdef"
#define SESSION "mcp_session:{" SID "}"
#define TRANSPORT "mcp_transport:{" SID "}"
#define USER                                                                   \
	"00000000000000000000000000000000000000000000000000000000000000ff"

static struct redis *commands;
static struct directory *directory;

static unsigned answers;
static enum directory_result last_result;
static struct directory_entry last_entry;

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	directory = directory_new(commands);
}

static void
teardown(void)
{
	redis_free(commands);
	directory_free(directory);
	server_teardown();
	wait_teardown();
}

static void
on_answer(enum directory_result result, const struct directory_entry *entry,
    void *arg)
{
	ck_assert_ptr_eq(arg, &directory);
	ck_assert_int_eq(result == DIRECTORY_FOUND, entry != NULL);
	answers++;
	last_result = result;
	if (entry != NULL)
		last_entry = *entry;
}

static bool
ask(void)
{
	return directory_fetch(directory, SLICE(SID), on_answer, &directory);
}

static enum directory_result
fetch(void)
{
	unsigned before = answers;

	ck_assert(ask());
	WAIT(answers > before);
	return last_result;
}

static void
put_record(const char *pod)
{
	server_do("HSET " SESSION " api calc user " USER);
	server_do("HSET " TRANSPORT " pod %s epoch 1 since_ms 5",
	    pod);
}

static const struct directory_entry *
cached(void)
{
	return directory_find(directory, SLICE(SID));
}

START_TEST(a_session_is_found)
{
	put_record("pod-a");
	ck_assert_ptr_null(cached());
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	ck_assert_str_eq(last_entry.pod, "pod-a");
	ck_assert_str_eq(last_entry.api, "calc");
	ck_assert_uint_eq(last_entry.epoch, 1);
	ck_assert_uint_eq(last_entry.since_ms, 5);
	ck_assert(!last_entry.detached);
	ck_assert_int_eq(last_entry.user[0], 0);
	ck_assert_int_eq(last_entry.user[SHA256_LEN - 1], 0xff);
}
END_TEST

START_TEST(a_session_without_a_stream_is_found_as_such)
{
	put_record("pod-a");
	server_do("HSET " SESSION " state detached");
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	ck_assert(last_entry.detached);
}
END_TEST

START_TEST(an_alias_says_what_it_stands_for)
{
	put_record("pod-a");
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	ck_assert_str_eq(last_entry.alias, "");
	server_do("HSET " SESSION " alias " USER " alias_epoch 7");
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	ck_assert_str_eq(last_entry.alias, "");
	server_do("HSET " SESSION " alias f" SID_TAIL " alias_epoch 7");
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	ck_assert_str_eq(last_entry.alias, "f" SID_TAIL);
	ck_assert_uint_eq(last_entry.alias_epoch, 7);
}
END_TEST

START_TEST(a_session_for_all_apis_is_found)
{
	server_do("HSET " SESSION " user " USER " api %s", "");
	server_do("HSET " TRANSPORT " pod pod-a epoch 1 since_ms 5");
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	ck_assert_str_eq(last_entry.api, "");
}
END_TEST

static const char *const incomplete[] = {
	"PING",
	"HSET " SESSION " api calc user " USER,
	"HSET " SESSION " state live",
	"HSET " TRANSPORT " pod pod-a",
};

START_TEST(half_a_record_is_no_session)
{
	server_do(incomplete[_i]);
	ck_assert_int_eq(fetch(), DIRECTORY_UNKNOWN);
	ck_assert_ptr_null(cached());
}
END_TEST

static const struct {
	const char *session, *transport;
} broken[] = {
	{ "HSET " SESSION " api calc user " USER, "HSET " TRANSPORT " x y" },
	{ "HSET " SESSION " api calc", "HSET " TRANSPORT " pod pod-a" },
	{ "HSET " SESSION " user " USER, "HSET " TRANSPORT " pod pod-a" },
	{ "HSET " SESSION " api calc user 00ff", "HSET " TRANSPORT " pod p" },
	{ "HSET " SESSION " api calc user x" USER, "HSET " TRANSPORT " pod p" },
};

START_TEST(a_record_that_lacks_a_field_is_no_session)
{
	server_do(broken[_i].session);
	server_do(broken[_i].transport);
	ck_assert_int_eq(fetch(), DIRECTORY_UNKNOWN);
}
END_TEST

START_TEST(names_that_cannot_be_are_no_session)
{
	char name[POD_NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[POD_NAME_MAX + 1] = '\0';
	put_record(name);
	ck_assert_int_eq(fetch(), DIRECTORY_UNKNOWN);
	name[POD_NAME_MAX] = '\0';
	put_record(name);
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	ck_assert_str_eq(last_entry.pod, name);
}
END_TEST

START_TEST(what_was_found_is_remembered_for_a_while)
{
	uint64_t now = clock_mono_ms();

	clock_fake(now);
	put_record("pod-a");
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	clock_fake(now + DIRECTORY_TTL_MS - 1);
	ck_assert_str_eq(cached()->pod, "pod-a");
	clock_fake(now + DIRECTORY_TTL_MS);
	ck_assert_ptr_null(cached());
}
END_TEST

START_TEST(what_was_fetched_last_counts)
{
	uint64_t now = clock_mono_ms();

	clock_fake(now);
	put_record("pod-a");
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	put_record("pod-b");
	ck_assert_str_eq(cached()->pod, "pod-a");
	clock_fake(now + DIRECTORY_TTL_MS - 1);
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	ck_assert_str_eq(cached()->pod, "pod-b");
	clock_fake(now + DIRECTORY_TTL_MS);
	ck_assert_str_eq(cached()->pod, "pod-b");
}
END_TEST

START_TEST(what_is_heard_of_a_client_holds_for_what_is_remembered)
{
	directory_hear(directory, SLICE(SID), SLICE("level error"));
	ck_assert_ptr_null(cached());
	put_record("pod-a");
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	ck_assert_uint_eq(cached()->client.level, LEVEL_DEFAULT);
	directory_hear(directory, SLICE("x"), SLICE("level error"));
	directory_hear(directory, SLICE(SID), SLICE("level loud"));
	ck_assert_uint_eq(cached()->client.level, LEVEL_DEFAULT);
	directory_hear(directory, SLICE(SID), SLICE("level error"));
	ck_assert_uint_eq(cached()->client.level, LEVEL_ERROR);
}
END_TEST

/* Redis has just said that there is none. */
START_TEST(a_session_that_ended_is_forgotten)
{
	put_record("pod-a");
	ck_assert_int_eq(fetch(), DIRECTORY_FOUND);
	server_do("DEL " SESSION " " TRANSPORT);
	ck_assert_int_eq(fetch(), DIRECTORY_UNKNOWN);
	ck_assert_ptr_null(cached());
}
END_TEST

START_TEST(an_id_of_another_length_is_not_found)
{
	ck_assert_ptr_null(directory_find(directory, SLICE("0123")));
}
END_TEST

START_TEST(without_redis_there_is_no_answer)
{
	put_record("pod-a");
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	ck_assert(!ask());
	ck_assert_uint_eq(answers, 0);
}
END_TEST

START_TEST(an_answer_that_was_lost_is_no_answer)
{
	put_record("pod-a");
	server_freeze();
	ck_assert(ask());
	redis_flush(commands);
	server_thaw_and_cut();
	WAIT(answers == 1);
	ck_assert_int_eq(last_result, DIRECTORY_AWAY);
	ck_assert_ptr_null(cached());
}
END_TEST

START_TEST(an_error_is_no_answer)
{
	put_record("pod-a");
	server_do("SET " SESSION " text");
	ck_assert_int_eq(fetch(), DIRECTORY_AWAY);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("directory", setup, teardown);

	tcase_add_test(tc, a_session_is_found);
	tcase_add_test(tc, a_session_without_a_stream_is_found_as_such);
	tcase_add_test(tc, an_alias_says_what_it_stands_for);
	tcase_add_test(tc, a_session_for_all_apis_is_found);
	tcase_add_loop_test(tc, half_a_record_is_no_session, 0,
	    (int)ARRAY_LEN(incomplete));
	tcase_add_loop_test(tc, a_record_that_lacks_a_field_is_no_session, 0,
	    (int)ARRAY_LEN(broken));
	tcase_add_test(tc, names_that_cannot_be_are_no_session);
	tcase_add_test(tc, what_was_found_is_remembered_for_a_while);
	tcase_add_test(tc, what_was_fetched_last_counts);
	tcase_add_test(tc,
	    what_is_heard_of_a_client_holds_for_what_is_remembered);
	tcase_add_test(tc, a_session_that_ended_is_forgotten);
	tcase_add_test(tc, an_id_of_another_length_is_not_found);
	tcase_add_test(tc, without_redis_there_is_no_answer);
	tcase_add_test(tc, an_answer_that_was_lost_is_no_answer);
	tcase_add_test(tc, an_error_is_no_answer);
	return run_cases(tc);
}
