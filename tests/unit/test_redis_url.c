#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

#include "common/redis.h"

struct good {
	const char *text;
	const char *host, *user, *password;
	unsigned port, db;
	bool tls;
};

static const struct good good[] = {
	{ "redis://localhost", "localhost", NULL, NULL, 6379, 0, false },
	{ "REDIS://localhost/", "localhost", NULL, NULL, 6379, 0, false },
	{ "rediss://r.example.com:6380", "r.example.com", NULL, NULL, 6380, 0,
	    true },
	{ "redis://127.0.0.1:1/15", "127.0.0.1", NULL, NULL, 1, 15, false },
	{ "redis://[::1]", "::1", NULL, NULL, 6379, 0, false },
	{ "redis://[2001:db8::2]:65535/1", "2001:db8::2", NULL, NULL, 65535, 1,
	    false },
	{ "redis://:secret@h", "h", NULL, "secret", 6379, 0, false },
	{ "redis://user:secret@h:7/2", "h", "user", "secret", 7, 2, false },
	{ "redis://user:@h", "h", "user", "", 6379, 0, false },
	{ "redis://:@h", "h", NULL, NULL, 6379, 0, false },
	{ "redis://u%40x:p%2F%3a%25%40@h", "h", "u@x", "p/:%@", 6379, 0,
	    false },
	{ "redis://:a:b@h", "h", NULL, "a:b", 6379, 0, false },
	{ "redis://:a@b@h", "h", NULL, "a@b", 6379, 0, false },
	{ "redis://:%E2%82%AC@[::1]:5", "::1", NULL, "\xe2\x82\xac", 5, 0,
	    false },
	{ "redis://my_redis-0.svc.", "my_redis-0.svc.", NULL, NULL, 6379, 0,
	    false },
};

static void
check_text(const char *got, const char *want)
{
	if (want == NULL)
		ck_assert_ptr_null(got);
	else
		ck_assert_str_eq(got, want);
}

START_TEST(reads_good_urls)
{
	const struct good *g = &good[_i];
	const char *reason = NULL;
	struct redis_url url;

	ck_assert_msg(redis_url_parse(g->text, &url, &reason), "%s: %s",
	    g->text, reason);
	check_text(url.host, g->host);
	check_text(url.user, g->user);
	check_text(url.password, g->password);
	ck_assert_uint_eq(url.port, g->port);
	ck_assert_uint_eq(url.db, g->db);
	ck_assert(url.tls == g->tls);
	redis_url_release(&url);
	ck_assert_ptr_null(url.host);
}
END_TEST

/* "hunter2" stands for a password: no reason may repeat it. */
static const struct bad {
	const char *text;
	const char *reason;   /* part of it */
} bad[] = {
	{ "", "start with redis://" },
	{ "redis:", "start with redis://" },
	{ "localhost:6379", "start with redis://" },
	{ "http://localhost", "start with redis://" },
	{ "redis://", "host name" },
	{ "redis:///1", "host name" },
	{ "redis://:hunter2@", "host name" },
	{ "redis://:6379", "host name" },
	{ "redis://ho st", "host name" },
	{ "redis://h%6fst", "host name" },
	{ "redis://h:", "port" },
	{ "redis://h:0", "port" },
	{ "redis://h:65536", "port" },
	{ "redis://h:99999999999999999999", "port" },
	{ "redis://h:+1", "port" },
	{ "redis://h:6379x", "port" },
	{ "redis://::1", "host name" },
	{ "redis://:hunter2/x@h", "host name" },
	{ "redis://u:hunter2/x@h", "port" },
	{ "redis://[::1", "IPv6" },
	{ "redis://[]", "IPv6" },
	{ "redis://[localhost]", "IPv6" },
	{ "redis://[1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20]", "IPv6" },
	{ "redis://[::1]6379", "port" },
	{ "redis://hunter2@h", "':'" },
	{ "redis://:hunter2%@h", "escape" },
	{ "redis://:hunter2%2@h", "escape" },
	{ "redis://:hunter2%zz@h", "escape" },
	{ "redis://:hunter2%00@h", "escape" },
	{ "redis://us%er:hunter2@h", "escape" },
	{ "redis://h/x", "database" },
	{ "redis://h/1/", "database" },
	{ "redis://h/-1", "database" },
	{ "redis://h/65536", "database" },
	{ "redis://h?db=1", "query" },
	{ "redis://h/1?x", "database" },
	{ "redis://h#1", "query" },
};

START_TEST(refuses_bad_urls_without_their_password)
{
	const struct bad *b = &bad[_i];
	const char *reason = NULL;
	struct redis_url url = { .port = 1 };

	ck_assert_msg(!redis_url_parse(b->text, &url, &reason), "%s", b->text);
	ck_assert_ptr_nonnull(reason);
	ck_assert_msg(strstr(reason, b->reason) != NULL, "%s: %s", b->text,
	    reason);
	ck_assert_ptr_null(strstr(reason, "hunter2"));
	ck_assert_uint_eq(url.port, 1);
}
END_TEST

START_TEST(refuses_a_host_longer_than_dns_allows)
{
	const char *reason = NULL;
	struct redis_url url;
	char text[300] = "redis://";

	memset(text + 8, 'a', 253);
	ck_assert(redis_url_parse(text, &url, &reason));
	redis_url_release(&url);
	text[8 + 253] = 'a';
	ck_assert(!redis_url_parse(text, &url, &reason));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("redis_url", NULL, NULL);

	tcase_add_loop_test(tc, reads_good_urls, 0, (int)ARRAY_LEN(good));
	tcase_add_loop_test(tc, refuses_bad_urls_without_their_password, 0,
	    (int)ARRAY_LEN(bad));
	tcase_add_test(tc, refuses_a_host_longer_than_dns_allows);
	return run_cases(tc);
}
