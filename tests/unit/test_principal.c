/* User hashes: who is the same user, and who is not. */
#include "proxy/principal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static struct principals *all;

static void
setup(void)
{
	all = principals_new(NULL, SECRET, NULL, NULL);
	ck_assert(principals_are_known(all));
}

static void
teardown(void)
{
	principals_free(all);
}

static bool
user_is(const struct principal *who, const unsigned char user[static SHA256_LEN])
{
	return memcmp(who->user.bytes, user, SHA256_LEN) == 0;
}

static struct principal
anonymous(unsigned char last_octet, const char *agent)
{
	struct caller caller = { .user_agent = slice_str(agent) };
	struct principal who;

	caller.address.s6_addr[15] = last_octet;
	principals_anonymous(all, &caller, &who);
	return who;
}

static struct user
jwt_user(const char *iss, const char *sub)
{
	struct slice fields[] = { slice_str(iss), slice_str(sub) };
	struct user user;

	principals_user(all, PRINCIPAL_JWT, fields, 2, &user);
	return user;
}

START_TEST(test_same_caller_is_the_same_user)
{
	struct principal first = anonymous(1, "agent");
	struct principal again = anonymous(1, "agent");

	ck_assert_str_eq(first.user.hash, again.user.hash);
	ck_assert_str_eq(first.fingerprint, again.fingerprint);
	ck_assert(user_is(&first, again.user.bytes));
	ck_assert_int_eq(first.kind, PRINCIPAL_ANONYMOUS);
	ck_assert_uint_eq(strlen(first.user.hash), SHA256_HEX_LEN);
	ck_assert_uint_eq(strlen(first.fingerprint), FINGERPRINT_LEN);
}
END_TEST

START_TEST(test_other_callers_are_other_users)
{
	struct principal me = anonymous(1, "agent");
	struct principal neighbour = anonymous(2, "agent");
	struct principal browser = anonymous(1, "agent2");

	ck_assert(!user_is(&me, neighbour.user.bytes));
	ck_assert(!user_is(&me, browser.user.bytes));
	ck_assert_str_ne(me.fingerprint, neighbour.fingerprint);
}
END_TEST

/* More callers than the cache has places: what is evicted comes out the same. */
START_TEST(test_cache_changes_nothing)
{
	struct principal before = anonymous(7, "first"), after;
	char agent[32];

	for (int i = 0; i < 5000; i++) {
		snprintf(agent, sizeof(agent), "agent %d", i);
		ck_assert(!user_is(&before, anonymous(7, agent).user.bytes));
	}
	after = anonymous(7, "first");
	ck_assert(user_is(&before, after.user.bytes));
}
END_TEST

START_TEST(test_long_user_agents)
{
	char a[CALLER_AGENT_LEN + 1], b[CALLER_AGENT_LEN + 1];

	memset(a, 'x', CALLER_AGENT_LEN);
	a[CALLER_AGENT_LEN] = '\0';
	memcpy(b, a, sizeof(a));
	b[CALLER_AGENT_LEN - 1] = 'y';
	ck_assert_str_eq(anonymous(1, a).user.hash, anonymous(1, a).user.hash);
	ck_assert_str_ne(anonymous(1, a).user.hash, anonymous(1, b).user.hash);
}
END_TEST

/* "ab","c" and "a","bc" must not meet: each field carries its length. */
START_TEST(test_fields_do_not_run_into_each_other)
{
	ck_assert_str_ne(jwt_user("ab", "c").hash, jwt_user("a", "bc").hash);
	ck_assert_str_ne(jwt_user("", "abc").hash, jwt_user("abc", "").hash);
	ck_assert_str_ne(jwt_user("1:a", "b").hash, jwt_user("1", ":ab").hash);
	ck_assert_str_eq(jwt_user("a", "b").hash, jwt_user("a", "b").hash);
}
END_TEST

START_TEST(test_kinds_do_not_meet)
{
	struct slice fields[] = { SLICE("iss"), SLICE("sub") };
	struct user jwt, key;

	principals_user(all, PRINCIPAL_JWT, fields, 2, &jwt);
	principals_user(all, PRINCIPAL_API_KEY, fields, 2, &key);
	ck_assert_str_ne(jwt.hash, key.hash);
}
END_TEST

START_TEST(test_secret_matters)
{
	struct principals *others = principals_new(NULL,
	    "another secret of 16 bytes", NULL, NULL);
	struct caller caller = { .user_agent = SLICE("agent") };
	struct principal theirs;

	caller.address.s6_addr[15] = 1;
	principals_anonymous(others, &caller, &theirs);
	ck_assert_str_ne(theirs.user.hash, anonymous(1, "agent").user.hash);
	principals_free(others);
}
END_TEST

/* RFC 4231, test case 2, through the same function. */
START_TEST(test_hmac)
{
	unsigned char mac[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];

	ident_hmac_sha256(mac, SLICE("Jefe"),
	    SLICE("what do ya want for nothing?"));
	hex_encode(hex, mac, sizeof(mac));
	ck_assert_str_eq(hex, "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843");
}
END_TEST

START_TEST(test_unknown_secret)
{
	struct principals *others = principals_new(NULL, NULL, NULL, NULL);

	ck_assert(!principals_are_known(others));
	principals_free(others);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("principal", setup, teardown);

	tcase_add_test(tc, test_same_caller_is_the_same_user);
	tcase_add_test(tc, test_other_callers_are_other_users);
	tcase_add_test(tc, test_cache_changes_nothing);
	tcase_add_test(tc, test_long_user_agents);
	tcase_add_test(tc, test_fields_do_not_run_into_each_other);
	tcase_add_test(tc, test_kinds_do_not_meet);
	tcase_add_test(tc, test_secret_matters);
	tcase_add_test(tc, test_hmac);
	tcase_add_test(tc, test_unknown_secret);
	return run_cases(tc);
}
