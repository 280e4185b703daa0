/* The packed record of a session, there and back. */
#include "common/user_session.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

static const struct user_session sample = {
	.epoch = 3,
	.api = SLICE("calculator"),
	.transport = SLICE("sse"),
	.protocol = SLICE("2025-11-25"),
	.user_kind = SLICE("jwt"),
	.client = SLICE("a client"),
	.client_version = SLICE("1.2.3"),
	.pod = SLICE("pod-a.0.0123abcd"),
	.created_ms = 1795353600000,
	.seen_ms = 1795353600001,
	.detached_ms = 1795353600002,
	.detached_until_ms = UINT64_MAX,
	.messages = 4294967296,
	.reattaches = 1,
	.recoveries = 0,
};

static struct strbuf packed = STRBUF_INIT(USER_SESSION_MAX);

static void
teardown(void)
{
	strbuf_release(&packed);
}

START_TEST(what_was_packed_comes_back)
{
	struct user_session got;

	user_session_pack(&sample, &packed);
	ck_assert(strbuf_ok(&packed));
	ck_assert(user_session_unpack(strbuf_slice(&packed), &got));
	ck_assert_uint_eq(got.epoch, sample.epoch);
	ck_assert(slice_eq(got.api, sample.api));
	ck_assert(slice_eq(got.transport, sample.transport));
	ck_assert(slice_eq(got.protocol, sample.protocol));
	ck_assert(slice_eq(got.user_kind, sample.user_kind));
	ck_assert(slice_eq(got.client, sample.client));
	ck_assert(slice_eq(got.client_version, sample.client_version));
	ck_assert(slice_eq(got.pod, sample.pod));
	ck_assert_uint_eq(got.created_ms, sample.created_ms);
	ck_assert_uint_eq(got.seen_ms, sample.seen_ms);
	ck_assert_uint_eq(got.detached_ms, sample.detached_ms);
	ck_assert_uint_eq(got.detached_until_ms, sample.detached_until_ms);
	ck_assert_uint_eq(got.messages, sample.messages);
	ck_assert_uint_eq(got.reattaches, sample.reattaches);
	ck_assert_uint_eq(got.recoveries, sample.recoveries);
}
END_TEST

/* Redis's script reads the epoch there. */
START_TEST(the_epoch_is_the_second_element)
{
	static const char head[] = { (char)0xdc, 0, 16, USER_SESSION_VERSION, 3 };

	user_session_pack(&sample, &packed);
	ck_assert_mem_eq(packed.p, head, sizeof(head));
}
END_TEST

START_TEST(a_cut_record_is_none)
{
	struct user_session got;

	user_session_pack(&sample, &packed);
	for (size_t n = 0; n < packed.n; n++)
		ck_assert(!user_session_unpack(slice_of(packed.p, n), &got));
}
END_TEST

/* Any byte may be another: nothing breaks, and texts stay inside. */
START_TEST(a_damaged_record_does_no_harm)
{
	const struct user_session *us = &sample;
	struct user_session got;

	user_session_pack(us, &packed);
	for (size_t i = 0; i < packed.n; i++) {
		char before = packed.p[i];

		packed.p[i] = (char)(before ^ (1 << (i % 8)));
		if (user_session_unpack(strbuf_slice(&packed), &got)) {
			ck_assert(got.pod.p >= packed.p);
			ck_assert(got.pod.p + got.pod.n <=
			    packed.p + packed.n);
		}
		packed.p[i] = before;
	}
}
END_TEST

/* More members at the end, and a higher version: what is known is read. */
START_TEST(a_later_version_is_read)
{
	struct user_session got;

	user_session_pack(&sample, &packed);
	packed.p[2]++;
	packed.p[3]++;
	strbuf_add_char(&packed, 7);
	ck_assert(user_session_unpack(strbuf_slice(&packed), &got));
	ck_assert(slice_eq(got.pod, sample.pod));
}
END_TEST

static const struct {
	const char *bytes;
	size_t n;
} none[] = {
	{ "", 0 },
	{ "\xc0", 1 },
	{ "\x90", 1 },
	{ "\x91\x01", 2 },
	{ "{\"version\":1}", 13 },
	{ "\x80", 1 },
};

START_TEST(other_values_are_none)
{
	struct user_session got;

	ck_assert(!user_session_unpack(
	    slice_of(none[_i].bytes, none[_i].n), &got));
}
END_TEST

static void
name_members(const char *name, const struct slice *text, uint64_t number,
    void *arg)
{
	unsigned *seen = arg;

	++*seen;
	if (strcmp(name, "messages") == 0)
		ck_assert_uint_eq(number, sample.messages);
	if (strcmp(name, "client") == 0)
		ck_assert(slice_eq(*text, sample.client));
}

START_TEST(each_member_has_a_name)
{
	unsigned seen = 0;

	user_session_each(&sample, name_members, &seen);
	ck_assert_uint_eq(seen, 15);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("user_session", NULL, teardown);

	tcase_add_test(tc, what_was_packed_comes_back);
	tcase_add_test(tc, the_epoch_is_the_second_element);
	tcase_add_test(tc, a_cut_record_is_none);
	tcase_add_test(tc, a_damaged_record_does_no_harm);
	tcase_add_test(tc, a_later_version_is_read);
	tcase_add_loop_test(tc, other_values_are_none, 0, ARRAY_LEN(none));
	tcase_add_test(tc, each_member_has_a_name);
	return run_cases(tc);
}
