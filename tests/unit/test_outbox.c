/* Messages to other pods' inboxes, on a real Redis. */
#include "proxy/outbox.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/strbuf.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define SID "0123456789abcdef0123456789abcdef"
#define A "pod-a.0.abcd"
#define B "pod-b.1.efgh"

static struct redis *commands;
static struct outbox *outbox;

/* What became of the messages that were taken. */
static unsigned results[OUTBOX_IN_DOUBT + 1];
static char last_error[128];

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	outbox = outbox_new(base, commands);
}

static void
teardown(void)
{
	redis_free(commands);
	outbox_free(outbox);
	server_teardown();
	wait_teardown();
}

static void
on_result(enum outbox_result result, const char *error, void *arg)
{
	ck_assert_ptr_eq(arg, &outbox);
	results[result]++;
	if (result == OUTBOX_REFUSED)
		snprintf(last_error, sizeof(last_error), "%s", error);
}

static bool
send_payload(const char *pod, struct slice payload)
{
	struct env_message m = { .call = SLICE("call-1"),
		.session = SLICE(SID), .attempt = SLICE("2"),
		.payload = payload };

	return outbox_send(outbox, slice_str(pod), &m, on_result, &outbox);
}

static void
take(const char *pod, const char *payload)
{
	ck_assert(send_payload(pod, slice_str(payload)));
}

static long long
entries(const char *pod)
{
	return server_int("XLEN mcp_replies:{%s}", pod);
}

/* All payloads in a pod's inbox, one after another. */
struct contents {
	bool read;
	size_t entries;
	struct strbuf payloads;
};

static void
on_contents(struct redis *r UNUSED, const redisReply *reply, void *arg)
{
	struct contents *c = arg;
	struct env_entry entry;
	struct env_message m;
	unsigned malformed = 0;

	c->read = true;
	c->entries = reply->elements;
	for (size_t i = 0; env_entry_at(reply, i, &entry); i++) {
		size_t at = 0;

		while (env_message_next(entry.fields, &at, &m, &malformed)) {
			ck_assert(slice_eq_str(m.call, "call-1"));
			ck_assert(slice_eq_str(m.session, SID));
			ck_assert(slice_eq_str(m.attempt, "2"));
			strbuf_add_slice(&c->payloads, m.payload);
		}
	}
	ck_assert_uint_eq(malformed, 0);
}

static void
read_inbox(struct contents *c, const char *pod)
{
	struct env_keybuf buf;
	struct slice argv[] = { SLICE("XRANGE"),
		env_key(&buf, ENV_REPLIES, slice_str(pod)), SLICE("-"),
		SLICE("+") };

	*c = (struct contents){ .payloads = STRBUF_INIT((size_t)64 << 20) };
	ck_assert(redis_send(commands, argv, ARRAY_LEN(argv), on_contents, c));
	WAIT(c->read);
}

START_TEST(what_arises_in_one_turn_is_one_entry_for_each_pod)
{
	struct contents a, b;

	take(A, "1");
	take(B, "2");
	take(A, "3");
	take(B, "4");
	take(A, "5");
	WAIT(results[OUTBOX_SENT] == 5);
	read_inbox(&a, A);
	read_inbox(&b, B);
	ck_assert_uint_eq(a.entries, 1);
	ck_assert_uint_eq(b.entries, 1);
	ck_assert_str_eq(strbuf_str(&a.payloads), "135");
	ck_assert_str_eq(strbuf_str(&b.payloads), "24");
	strbuf_release(&a.payloads);
	strbuf_release(&b.payloads);
}
END_TEST

START_TEST(the_next_turn_is_another_entry)
{
	take(A, "1");
	WAIT(results[OUTBOX_SENT] == 1);
	take(A, "2");
	WAIT(results[OUTBOX_SENT] == 2);
	ck_assert_int_eq(entries(A), 2);
}
END_TEST

START_TEST(an_entry_holds_so_many_messages)
{
	struct contents c;

	for (unsigned i = 0; i < ENV_MESSAGES_PER_ENTRY + 1; i++)
		take(A, "x");
	WAIT(results[OUTBOX_SENT] == ENV_MESSAGES_PER_ENTRY + 1);
	read_inbox(&c, A);
	ck_assert_uint_eq(c.entries, 2);
	ck_assert_uint_eq(c.payloads.n, ENV_MESSAGES_PER_ENTRY + 1);
	strbuf_release(&c.payloads);
}
END_TEST

START_TEST(bytes_of_all_kinds_arrive)
{
	struct contents c;
	char all[256];

	for (unsigned i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	ck_assert(send_payload(A, slice_of(all, sizeof(all))));
	WAIT(results[OUTBOX_SENT] == 1);
	read_inbox(&c, A);
	ck_assert_uint_eq(c.payloads.n, sizeof(all));
	ck_assert_mem_eq(c.payloads.p, all, sizeof(all));
	strbuf_release(&c.payloads);
}
END_TEST

/* Each fits an entry, but no two of them do. */
START_TEST(large_messages_of_one_turn_take_several_entries)
{
	size_t n = 3 * 1024 * 1024;
	char *large = calloc(1, n);
	struct contents c;

	for (unsigned i = 0; i < 3; i++)
		ck_assert(send_payload(A, slice_of(large, n)));
	take(A, "small");
	WAIT(results[OUTBOX_SENT] == 4);
	read_inbox(&c, A);
	ck_assert_uint_eq(c.payloads.n, 3 * n + 5);
	strbuf_release(&c.payloads);
	free(large);
}
END_TEST

START_TEST(a_message_too_large_for_an_entry_is_not_taken)
{
	size_t n = 4 * 1024 * 1024;
	char *large = calloc(1, n);
	uint64_t before = redis_commands_sent(commands);

	ck_assert(!send_payload(A, slice_of(large, n)));
	for (unsigned i = 0; i < 10; i++)
		turn();
	ck_assert_uint_eq(redis_commands_sent(commands), before);
	take(A, "small");
	WAIT(results[OUTBOX_SENT] == 1);
	free(large);
}
END_TEST

START_TEST(a_name_too_long_for_a_pod_is_not_taken)
{
	char name[POD_NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[POD_NAME_MAX + 1] = '\0';
	ck_assert(!send_payload(name, SLICE("1")));
	name[POD_NAME_MAX] = '\0';
	take(name, "2");
	WAIT(results[OUTBOX_SENT] == 1);
	ck_assert_int_eq(entries(name), 1);
}
END_TEST

START_TEST(nothing_is_taken_without_redis)
{
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	ck_assert(!send_payload(A, SLICE("1")));
	WAIT(redis_is_ready(commands));
	take(A, "2");
	WAIT(results[OUTBOX_SENT] == 1);
	ck_assert_int_eq(entries(A), 1);
}
END_TEST

START_TEST(a_lost_connection_leaves_doubt)
{
	take(A, "1");
	take(A, "2");
	take(B, "3");
	server_freeze();
	turn();
	server_thaw_and_cut();
	WAIT(!redis_is_ready(commands));
	ck_assert_uint_eq(results[OUTBOX_IN_DOUBT], 3);
	WAIT(redis_is_ready(commands));
	turn();
	ck_assert_uint_eq(results[OUTBOX_IN_DOUBT], 3);
	ck_assert_uint_eq(results[OUTBOX_SENT], 0);
}
END_TEST

START_TEST(a_full_redis_refuses)
{
	server_do("CONFIG SET maxmemory 1");
	take(A, "1");
	take(A, "2");
	WAIT(results[OUTBOX_REFUSED] == 2);
	ck_assert_ptr_nonnull(strstr(last_error, "OOM"));
	ck_assert_int_eq(entries(A), 0);
	server_do("CONFIG SET maxmemory 0");
}
END_TEST

START_TEST(freeing_leaves_doubt_about_what_was_taken)
{
	take(A, "1");
	take(B, "2");
	outbox_free(outbox);
	ck_assert_uint_eq(results[OUTBOX_IN_DOUBT], 2);
	outbox = outbox_new(base, commands);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("outbox", setup, teardown);

	tcase_add_test(tc, what_arises_in_one_turn_is_one_entry_for_each_pod);
	tcase_add_test(tc, the_next_turn_is_another_entry);
	tcase_add_test(tc, an_entry_holds_so_many_messages);
	tcase_add_test(tc, bytes_of_all_kinds_arrive);
	tcase_add_test(tc, large_messages_of_one_turn_take_several_entries);
	tcase_add_test(tc, a_message_too_large_for_an_entry_is_not_taken);
	tcase_add_test(tc, a_name_too_long_for_a_pod_is_not_taken);
	tcase_add_test(tc, nothing_is_taken_without_redis);
	tcase_add_test(tc, a_lost_connection_leaves_doubt);
	tcase_add_test(tc, a_full_redis_refuses);
	tcase_add_test(tc, freeing_leaves_doubt_about_what_was_taken);
	return run_cases(tc);
}
