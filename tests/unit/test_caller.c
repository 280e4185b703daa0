/* Client addresses out of X-Forwarded-For, counted from the right. */
#include "proxy/caller.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

#define PEER "192.0.2.1"

static const struct http_limits limits = { 16384, 2048, 1024 };

/* The caller's address as text, of a request with these fields. */
static const char *
address_of(const char *fields, unsigned hops)
{
	static char text[INET6_ADDRSTRLEN];
	char head[4096];
	struct http_head parsed;
	struct caller caller;
	struct in6_addr peer;
	int n = snprintf(head, sizeof(head),
	    "GET /sse HTTP/1.1\r\nHost: x\r\n%s\r\n", fields);

	ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:" PEER, &peer), 1);
	ck_assert_int_eq(http_head_parse(head, (size_t)n, &limits, &parsed), 0);
	caller_read(&caller, &parsed, &peer, hops);
	if (IN6_IS_ADDR_V4MAPPED(&caller.address))
		inet_ntop(AF_INET, &caller.address.s6_addr[12], text,
		    sizeof(text));
	else
		inet_ntop(AF_INET6, &caller.address, text, sizeof(text));
	return text;
}

static const struct {
	const char *fields;
	unsigned hops;
	const char *want;
} rows[] = {
	/* Without trusted proxies the field is the client's own invention. */
	{ "X-Forwarded-For: 203.0.113.9\r\n", 0, PEER },
	{ "", 1, PEER },
	{ "X-Forwarded-For: 203.0.113.9\r\n", 1, "203.0.113.9" },
	{ "x-forwarded-for:203.0.113.9\r\n", 1, "203.0.113.9" },
	/* What stands left of the trusted entries is forged or irrelevant. */
	{ "X-Forwarded-For: 10.0.0.1, 203.0.113.9\r\n", 1, "203.0.113.9" },
	{ "X-Forwarded-For: 1.1.1.1 , 203.0.113.9\t,10.0.0.2\r\n", 2,
	    "203.0.113.9" },
	{ "X-Forwarded-For: <script>, 203.0.113.9\r\n", 1, "203.0.113.9" },
	/* Several fields are one list. */
	{ "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.2\r\n", 2,
	    "203.0.113.9" },
	{ "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.2\r\n", 1,
	    "10.0.0.2" },
	/* Fewer entries than proxies: nobody of ours wrote the first. */
	{ "X-Forwarded-For: 203.0.113.9\r\n", 2, PEER },
	/* Ports and IPv6. */
	{ "X-Forwarded-For: 203.0.113.9:4711\r\n", 1, "203.0.113.9" },
	{ "X-Forwarded-For: 2001:db8::7\r\n", 1, "2001:db8::7" },
	{ "X-Forwarded-For: [2001:db8::7]\r\n", 1, "2001:db8::7" },
	{ "X-Forwarded-For: [2001:db8::7]:4711\r\n", 1, "2001:db8::7" },
	{ "X-Forwarded-For: ::ffff:203.0.113.9\r\n", 1, "203.0.113.9" },
	/* No address. */
	{ "X-Forwarded-For: unknown\r\n", 1, PEER },
	{ "X-Forwarded-For: \r\n", 1, PEER },
	{ "X-Forwarded-For: 203.0.113.9,\r\n", 1, PEER },
	{ "X-Forwarded-For: [2001:db8::7\r\n", 1, PEER },
	{ "X-Forwarded-For: 1.2.3\r\n", 1, PEER },
	{ "X-Forwarded-For: 1.2.3.4.5\r\n", 1, PEER },
	{ "X-Forwarded-For: 111111111111111111111111111111111111111111111111"
	  "11111111111111111111\r\n", 1, PEER },
};

START_TEST(test_address)
{
	ck_assert_str_eq(address_of(rows[_i].fields, rows[_i].hops),
	    rows[_i].want);
}
END_TEST

START_TEST(test_user_agent)
{
	char head[4096];
	char agent[CALLER_AGENT_LEN + 100];
	struct http_head parsed;
	struct caller caller;
	struct in6_addr peer = IN6ADDR_LOOPBACK_INIT;
	int n;

	memset(agent, 'a', sizeof(agent) - 1);
	agent[sizeof(agent) - 1] = '\0';
	n = snprintf(head, sizeof(head),
	    "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: %s\r\n\r\n", agent);
	ck_assert_int_eq(http_head_parse(head, (size_t)n, &limits, &parsed), 0);
	caller_read(&caller, &parsed, &peer, 0);
	ck_assert_uint_eq(caller.user_agent.n, CALLER_AGENT_LEN);

	n = snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(http_head_parse(head, (size_t)n, &limits, &parsed), 0);
	caller_read(&caller, &parsed, &peer, 0);
	ck_assert_ptr_nonnull(caller.user_agent.p);
	ck_assert_uint_eq(caller.user_agent.n, 0);
}
END_TEST

static const struct {
	const char *target, *field;
	bool returns;
} returning[] = {
	{ "/sse", "", false },
	{ "/sse?x=1", "Accept: */*\r\n", false },
	{ "/sse?client=", "", false },
	{ "/sse", "MCP-Protocol-Version: 2025-03-26\r\n", true },
	{ "/sse", "Mcp-Session-Id: 0\r\n", true },
	{ "/sse", "Mcp-Client-Id: mine\r\n", true },
	{ "/sse?client=mine", "", true },
	{ "/sse?session_id=0", "", true },
	{ "/sse?x=1&sessionId=0", "", true },
};

START_TEST(test_may_return)
{
	struct http_head parsed;
	char head[512];
	int n = snprintf(head, sizeof(head),
	    "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", returning[_i].target,
	    returning[_i].field);

	ck_assert_int_eq(http_head_parse(head, (size_t)n, &limits, &parsed), 0);
	ck_assert_int_eq(caller_may_return(&parsed), returning[_i].returns);
}
END_TEST

int
main(void)
{
	TCase *caller = new_case("caller", NULL, NULL);

	tcase_add_loop_test(caller, test_address, 0, ARRAY_LEN(rows));
	tcase_add_test(caller, test_user_agent);
	tcase_add_loop_test(caller, test_may_return, 0, ARRAY_LEN(returning));
	return run_cases(caller);
}
