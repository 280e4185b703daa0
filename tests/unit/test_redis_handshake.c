/* What is said on a new connection, and what servers think of it. */
#include <check.h>

#include "tests/unit/support/redis_link.h"
#include "tests/unit/support/wait.h"

START_TEST(user_password_database_and_name_arrive)
{
	struct link c;

	RUN_PEER("--user", "default", "off", "--user", "relay", "on",
	    ">p@ss/w:rd", "~*", "&*", "+@all");
	link_connect(&c, "redis://relay:p%%40ss%%2Fw%%3Ard@127.0.0.1:%u/3");
	ck_assert_str_eq(ASK(&c, "ACL", "WHOAMI"), "relay");
	ck_assert_str_eq(ASK(&c, "CLIENT", "GETNAME"), "test");
	ck_assert_ptr_nonnull(strstr(ASK(&c, "CLIENT", "INFO"), " db=3 "));
	link_free(&c);
}
END_TEST

/* All that the commands of a handshake need is the least that works. */
START_TEST(a_user_with_few_rights_gets_in)
{
	struct link c;

	RUN_PEER("--user", "default", "off", "--user", "few", "on", ">secret",
	    "~k", "+ping", "+get");
	link_connect(&c, "redis://few:secret@127.0.0.1:%u");
	ck_assert_ptr_nonnull(strstr(ASK(&c, "SET", "k", "v"), "NOPERM"));
	ck_assert(redis_is_ready(c.r));
	link_free(&c);
}
END_TEST

START_TEST(a_password_alone_is_the_default_users)
{
	struct link c;

	RUN_PEER("--requirepass", "secret");
	link_connect(&c, "redis://:secret@127.0.0.1:%u");
	ck_assert_str_eq(ASK(&c, "ACL", "WHOAMI"), "default");
	link_free(&c);
}
END_TEST

START_TEST(a_wrong_password_is_named_and_tried_again)
{
	struct link c, admin;

	RUN_PEER("--user", "relay", "on", ">other", "~*", "+@all");
	link_init(&c, "redis://relay:hunter2@127.0.0.1:%u");
	link_open(&c);
	WAIT(logged("REDIS_URL: user or password refused: WRONGPASS"));
	ck_assert(!redis_is_ready(c.r));
	link_connect(&admin, "redis://127.0.0.1:%u");
	ASK(&admin, "ACL", "SETUSER", "relay", ">hunter2");
	WAIT(redis_is_ready(c.r));
	ck_assert_uint_eq(c.ready, 1);
	ck_assert(!logged("hunter2"));
	link_free(&c);
	link_free(&admin);
}
END_TEST

START_TEST(a_missing_password_is_named)
{
	struct link c;

	RUN_PEER("--requirepass", "secret");
	link_init(&c, "redis://127.0.0.1:%u");
	link_open(&c);
	WAIT(logged("REDIS_URL: user or password refused: NOAUTH"));
	link_free(&c);
}
END_TEST

START_TEST(a_database_that_does_not_exist_is_named)
{
	struct link c;

	RUN_PEER(PLAIN);
	link_init(&c, "redis://127.0.0.1:%u/99");
	link_open(&c);
	WAIT(logged("SELECT refused: ERR DB index is out of range"));
	link_free(&c);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_test(tc, user_password_database_and_name_arrive);
	tcase_add_test(tc, a_user_with_few_rights_gets_in);
	tcase_add_test(tc, a_password_alone_is_the_default_users);
	tcase_add_test(tc, a_wrong_password_is_named_and_tried_again);
	tcase_add_test(tc, a_missing_password_is_named);
	tcase_add_test(tc, a_database_that_does_not_exist_is_named);
}

int
main(void)
{
	return run_link_cases("redis_handshake", NULL, add_tests);
}
