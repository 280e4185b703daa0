/* Which credential a request carries, and the form of API keys. */
#include "proxy/credential.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/api_key.h"
#include "tests/unit/support/suite.h"

static const struct http_limits limits = { 16384, 2048, 1024 };

static struct credential
read_from(const char *target, const char *fields)
{
	static char head[4096];
	static struct http_head parsed;
	struct credential credential;
	int n = snprintf(head, sizeof(head),
	    "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, fields);

	ck_assert_int_eq(http_head_parse(head, (size_t)n, &limits, &parsed), 0);
	credential_read(&credential, &parsed);
	return credential;
}

START_TEST(test_fields)
{
	static const struct {
		const char *fields;
		enum credential_kind kind;
		const char *value;
	} rows[] = {
		{ "", CREDENTIAL_NONE, "" },
		{ "Authorization: Bearer a.b.c\r\n", CREDENTIAL_TOKEN, "a.b.c" },
		{ "AUTHORIZATION: bEARER   a.b.c\r\n", CREDENTIAL_TOKEN,
		    "a.b.c" },
		{ "Authorization: Bearer\r\n", CREDENTIAL_TOKEN, "" },
		{ "Authorization: ApiKey sk-1\r\n", CREDENTIAL_API_KEY, "sk-1" },
		{ "X-API-Key: sk-1\r\n", CREDENTIAL_API_KEY, "sk-1" },
		{ "x-api-key:\r\n", CREDENTIAL_API_KEY, "" },
		{ "Authorization: Basic x\r\n", CREDENTIAL_UNKNOWN, "x" },
		{ "Authorization: Bearerx y\r\n", CREDENTIAL_UNKNOWN, "y" },
		{ "Authorization:\r\n", CREDENTIAL_UNKNOWN, "" },
		{ "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n",
		    CREDENTIAL_SEVERAL, "a" },
		{ "X-API-Key: b\r\nAuthorization: Bearer a\r\n",
		    CREDENTIAL_SEVERAL, "a" },
		{ "X-API-Key: b\r\nX-API-Key: b\r\n", CREDENTIAL_SEVERAL, "b" },
		{ "X-Authorization: Bearer a\r\n", CREDENTIAL_NONE, "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct credential c = read_from("/sse", rows[i].fields);

		ck_assert_msg(c.kind == rows[i].kind, "%s", rows[i].fields);
		ck_assert_msg(slice_eq_str(c.value, rows[i].value), "%s",
		    rows[i].fields);
	}
}
END_TEST

START_TEST(test_query)
{
	static const char *const in_query[] = { "/sse?access_token=x",
		"/sse?access_token=", "/sse?a=b&access_token=x" };
	static const char *const not_in_query[] = { "/sse",
		"/sse?xaccess_token=x", "/access_token=x", "/sse?access_token" };

	for (size_t i = 0; i < ARRAY_LEN(in_query); i++)
		ck_assert_int_eq(read_from(in_query[i], "").kind,
		    CREDENTIAL_IN_QUERY);
	for (size_t i = 0; i < ARRAY_LEN(not_in_query); i++)
		ck_assert_int_eq(read_from(not_in_query[i], "").kind,
		    CREDENTIAL_NONE);
}
END_TEST

#define ID "0123456789abcdef"
#define HALF "00112233445566778899aabbccddeeff"

START_TEST(test_api_key_form)
{
	static const char *const bad[] = { "", "sk-", "sk-" ID,
		"sk-" ID "-" HALF, "sk-" ID "-" HALF HALF "0",
		"sk-" ID HALF HALF "0", "SK-" ID "-" HALF HALF,
		"sk-0123456789abcde-" HALF HALF "0",
		"sk-0123456789ABCDEF-" HALF HALF,
		"sk-0123456789{bcdef-" HALF HALF,
		"sk-" ID "-" HALF "00112233445566778899aabbccddee f" };

	ck_assert(slice_eq_str(api_key_id(SLICE("sk-" ID "-" HALF HALF)), ID));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(api_key_id(slice_str(bad[i])).p == NULL, "%s",
		    bad[i]);
	ck_assert(api_key_id_ok(SLICE(ID)));
	ck_assert(!api_key_id_ok(SLICE("x")));
	ck_assert(!api_key_id_ok(SLICE_NONE));
}
END_TEST

START_TEST(test_made_keys)
{
	char one[API_KEY_LEN + 1], other[API_KEY_LEN + 1];

	api_key_make(one);
	api_key_make(other);
	ck_assert_uint_eq(strlen(one), API_KEY_LEN);
	ck_assert(api_key_id(slice_str(one)).p != NULL);
	ck_assert_str_ne(one, other);
	ck_assert(!slice_eq(api_key_id(slice_str(one)),
	    api_key_id(slice_str(other))));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("credential", NULL, NULL);

	tcase_add_test(tc, test_fields);
	tcase_add_test(tc, test_query);
	tcase_add_test(tc, test_api_key_form);
	tcase_add_test(tc, test_made_keys);
	return run_cases(tc);
}
