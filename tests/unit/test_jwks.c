/* When a JWK set is read, and which keys are in force meanwhile. */
#include "proxy/jwks.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "tests/unit/support/suite.h"

/* P-256 public keys of two kids; the points are RFC 7517's and RFC 7515's. */
#define KEY(kid, x, y) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"" kid \
	"\",\"x\":\"" x "\",\"y\":\"" y "\"}"
#define ONE KEY("one", "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", \
	"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM")
#define TWO KEY("two", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", \
	"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")

static char path[] = P_tmpdir "/test_jwks.XXXXXX";
static unsigned readings;
static uint64_t now = 1000000;

static void
write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static void
setup(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	log_setup("test", "", LOG_LEVEL_ERROR);
	clock_fake(now);
}

static void
teardown(void)
{
	unlink(path);
	clock_fake(0);
}

static void
pass(uint64_t ms)
{
	now += ms;
	clock_fake(now);
}

static void
on_read(void *arg)
{
	(void)arg;
	readings++;
}

static bool
has(const struct jwks *j, const char *kid)
{
	return jwks_keys(j) != NULL &&
	    jwt_keys_verify(jwks_keys(j), JWT_ES256, slice_str(kid), SLICE("x"),
		SLICE("y")) == JWT_SIGNATURE_BAD;
}

START_TEST(test_rotation)
{
	struct jwks *j = jwks_new(NULL, path, NULL, on_read, NULL);

	write_file("{\"keys\":[" ONE "]}");
	ck_assert(jwks_miss(j));          /* not read yet: it will be */
	jwks_tick(j);
	ck_assert_uint_eq(readings, 1);
	ck_assert(has(j, "one") && !has(j, "two"));

	/* An unknown kid has the set read, just read as it may be; once. */
	write_file("{\"keys\":[" TWO "]}");
	ck_assert(jwks_miss(j));
	jwks_tick(j);
	ck_assert_uint_eq(readings, 2);
	ck_assert(has(j, "two") && !has(j, "one"));
	write_file("{\"keys\":[" ONE "]}");
	ck_assert(!jwks_miss(j));
	jwks_tick(j);
	ck_assert_uint_eq(readings, 2);

	pass(JWKS_AGAIN_MS);
	ck_assert(jwks_miss(j));
	jwks_tick(j);
	ck_assert_uint_eq(readings, 3);
	ck_assert(has(j, "one") && !has(j, "two"));
	ck_assert(!jwks_miss(j));
	jwks_free(j);
}
END_TEST

START_TEST(test_refreshed_and_kept)
{
	struct jwks *j = jwks_new(NULL, path, NULL, on_read, NULL);

	write_file("{\"keys\":[" ONE "," TWO "]}");
	jwks_tick(j);
	ck_assert(has(j, "one") && has(j, "two"));
	/* A key that is withdrawn ceases to count without anybody asking. */
	write_file("{\"keys\":[" TWO "]}");
	pass(JWKS_FRESH_MS);
	jwks_tick(j);
	ck_assert(!has(j, "one") && has(j, "two"));
	/* What cannot be read changes nothing. */
	write_file("{\"keys\":[");
	pass(JWKS_FRESH_MS);
	jwks_tick(j);
	ck_assert_uint_eq(readings, 3);
	ck_assert(has(j, "two"));
	jwks_free(j);
}
END_TEST

START_TEST(test_retried_until_there_are_keys)
{
	struct jwks *j = jwks_new(NULL, path, NULL, on_read, NULL);

	jwks_tick(j);
	jwks_tick(j);
	ck_assert_uint_eq(readings, 1);
	ck_assert_ptr_null(jwks_keys(j));
	ck_assert(jwks_miss(j));
	write_file("{\"keys\":[" ONE "]}");
	pass(JWKS_RETRY_MS);
	jwks_tick(j);
	ck_assert(has(j, "one"));
	jwks_free(j);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("jwks", setup, teardown);

	tcase_add_test(tc, test_rotation);
	tcase_add_test(tc, test_refreshed_and_kept);
	tcase_add_test(tc, test_retried_until_there_are_keys);
	return run_cases(tc);
}
