/* Allow-lists of hosts and origins. */
#include "proxy/allow.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

START_TEST(test_hosts)
{
	static const struct {
		const char *list, *host;
		bool want;
	} rows[] = {
		{ "mcp.example", "mcp.example", true },
		{ "mcp.example", "MCP.Example", true },
		{ "mcp.example", "mcp.example:8443", true },
		{ "mcp.example:8443", "mcp.example:8443", true },
		{ "mcp.example:8443", "mcp.example", false },
		{ "mcp.example:8443", "mcp.example:84", false },
		{ "a, mcp.example b", "mcp.example", true },
		{ "*", "anything", true },
		{ "mcp.example", "mcp.example.evil", false },
		{ "mcp.example", "evil-mcp.example", false },
		{ "mcp.example", "", false },
		{ "[::1]", "[::1]", true },
		{ "[::1]", "[::1]:80", true },
		{ "[::1]:80", "[::1]:81", false },
		{ "", "mcp.example", false },
		{ " , ", "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(allow_host(rows[i].list,
		    slice_str(rows[i].host)) == rows[i].want, "%s in %s",
		    rows[i].host, rows[i].list);
	ck_assert(!allow_host("a", SLICE_NONE));
}
END_TEST

START_TEST(test_origins)
{
	static const struct {
		const char *list, *origin;
		bool want;
	} rows[] = {
		{ "https://a.example", "https://a.example", true },
		{ "https://a.example", "HTTPS://A.example", true },
		{ "https://a.example", "http://a.example", false },
		{ "https://a.example", "https://a.example:444", false },
		{ "https://a.example:444", "https://a.example:444", true },
		{ "http://localhost:*", "http://localhost", true },
		{ "http://localhost:*", "http://localhost:6274", true },
		{ "http://localhost:*", "http://localhost.evil:80", false },
		{ "http://localhost:*", "https://localhost:80", false },
		{ "http://[::1]:*", "http://[::1]:80", true },
		{ "https://a.example", "null", false },
		{ "https://a.example", "", false },
		{ "null", "null", true },
		{ "x *", "https://any.example", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(allow_origin(rows[i].list,
		    slice_str(rows[i].origin)) == rows[i].want, "%s in %s",
		    rows[i].origin, rows[i].list);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("allow", NULL, NULL);

	tcase_add_test(tc, test_hosts);
	tcase_add_test(tc, test_origins);
	return run_cases(tc);
}
