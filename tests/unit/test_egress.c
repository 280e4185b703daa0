/* Hosts and addresses that requests may go to. */
#include "worker/runtime/egress.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

static bool
address_ok(const struct egress *e, const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return egress_address_ok(e, (struct sockaddr *)&v4);
	ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return egress_address_ok(e, (struct sockaddr *)&v6);
}

static const struct {
	const char *address;
	bool is_public;
} addresses[] = {
	{ "8.8.8.8", true },
	{ "1.1.1.1", true },
	{ "172.15.255.255", true },
	{ "172.32.0.1", true },
	{ "192.167.0.1", true },
	{ "11.0.0.1", true },
	{ "2001:4860:4860::8888", true },
	{ "2606:4700::1111", true },
	{ "127.0.0.1", false },
	{ "127.255.0.1", false },
	{ "0.0.0.0", false },
	{ "10.1.2.3", false },
	{ "172.16.0.1", false },
	{ "172.31.255.255", false },
	{ "192.168.0.1", false },
	{ "169.254.169.254", false },
	{ "100.64.0.1", false },
	{ "224.0.0.1", false },
	{ "255.255.255.255", false },
	{ "::1", false },
	{ "::", false },
	{ "fe80::1", false },
	{ "fd00:ec2::254", false },
	{ "ff02::1", false },
	{ "::ffff:127.0.0.1", false },
	{ "::ffff:169.254.169.254", false },
	{ "::ffff:8.8.8.8", true },
	{ "::127.0.0.1", false },
	{ "64:ff9b::7f00:1", false },
	{ "64:ff9b::169.254.169.254", false },
	{ "64:ff9b::10.1.2.3", false },
	{ "64:ff9b::8.8.8.8", true },
	{ "64:ff9b:1::8.8.8.8", false },
	{ "64:ff9b::1:808:808", false },
	{ "2002:7f00:1::", false },
	{ "2001::1", false },
	{ "3fff::1", false },
	{ "fec0::1", false },
	{ "100::1", false },
	{ "5f00::1", false },
	{ "4000::1", false },
};

START_TEST(test_only_public_addresses)
{
	struct egress *e = egress_new();

	ck_assert_msg(
	    address_ok(e, addresses[_i].address) == addresses[_i].is_public,
	    "%s", addresses[_i].address);
	egress_free(e);
}
END_TEST

START_TEST(test_named_networks)
{
	struct egress *e = egress_new();
	struct strbuf error = STRBUF_INIT(256);

	ck_assert(egress_add_networks(
	    e, " 10.1.0.0/16,fd00::/8 , 127.0.0.1", &error));
	ck_assert(address_ok(e, "10.1.2.3") && address_ok(e, "fd12::1"));
	ck_assert(address_ok(e, "127.0.0.1") && address_ok(e, "8.8.8.8"));
	ck_assert(address_ok(e, "::ffff:10.1.0.1"));
	ck_assert(address_ok(e, "64:ff9b::10.1.0.1"));
	ck_assert(!address_ok(e, "10.2.0.1") && !address_ok(e, "127.0.0.2"));
	ck_assert(!address_ok(e, "fe80::1") && !address_ok(e, "::1"));
	egress_free(e);
	strbuf_release(&error);
}
END_TEST

START_TEST(test_hosts)
{
	struct egress *e = egress_new();
	struct strbuf error = STRBUF_INIT(256);

	ck_assert(!egress_host_ok(e, "api.example.com"));
	ck_assert(egress_add_hosts(e,
	    "API.example.com, *.example.org,"
	    "192.168.7.7,[fd00::7]",
	    &error));
	ck_assert(egress_host_ok(e, "api.example.com"));
	ck_assert(egress_host_ok(e, "a.example.org"));
	ck_assert(egress_host_ok(e, "a.b.EXAMPLE.org"));
	ck_assert(egress_host_ok(e, "192.168.7.7"));
	ck_assert(
	    egress_host_ok(e, "[fd00::7]") && egress_host_ok(e, "fd00::7"));
	ck_assert(!egress_host_ok(e, "example.org"));
	ck_assert(!egress_host_ok(e, "badexample.org"));
	ck_assert(!egress_host_ok(e, "api.example.com.evil.net"));
	ck_assert(!egress_host_ok(e, "") && !egress_host_ok(e, "192.168.7.8"));
	/* A host that is an address names its network as well. */
	ck_assert(address_ok(e, "192.168.7.7") && address_ok(e, "fd00::7"));
	ck_assert(!address_ok(e, "192.168.7.8"));
	egress_free(e);
	strbuf_release(&error);
}
END_TEST

START_TEST(test_foreign_hosts)
{
	struct egress *e = egress_new();
	struct strbuf error = STRBUF_INIT(256);

	ck_assert(egress_add_foreign_hosts(e,
	    "169.254.169.254,[fd00::7],8.8.8.8,a.example", &error));
	ck_assert(egress_host_ok(e, "169.254.169.254") &&
		  egress_host_ok(e, "[fd00::7]") &&
		  egress_host_ok(e, "a.example"));
	ck_assert(address_ok(e, "8.8.8.8"));
	ck_assert(!address_ok(e, "169.254.169.254"));
	ck_assert(!address_ok(e, "fd00::7"));
	ck_assert(egress_add_networks(e, "fd00::/8", &error));
	ck_assert(address_ok(e, "fd00::7"));
	ck_assert(!egress_add_foreign_hosts(e, "a b", &error));
	egress_free(e);
	strbuf_release(&error);
}
END_TEST

static const char *const wrong_hosts[] = { "http://a", "a b/c", "a/b", "*",
	"*.", ".a", "a:80", "a,b?c" };
static const char *const wrong_networks[] = { "10.0.0.0/33", "10.0.0/8", "x",
	"::/129", "10.0.0.0/", "10.0.0.0/-1", "1.2.3.4, nonsense", "/8" };

START_TEST(test_what_is_wrong_is_quoted)
{
	struct egress *e = egress_new();
	struct strbuf error = STRBUF_INIT(256);

	ck_assert(!egress_add_hosts(e, wrong_hosts[_i], &error));
	ck_assert_msg(strstr(strbuf_str(&error), "is not a host") != NULL, "%s",
	    strbuf_str(&error));
	strbuf_reset(&error);
	ck_assert(!egress_add_networks(e, wrong_networks[_i], &error));
	ck_assert_msg(strstr(strbuf_str(&error), "is not a network") != NULL,
	    "%s", strbuf_str(&error));
	egress_free(e);
	strbuf_release(&error);
}
END_TEST

START_TEST(test_empty_lists)
{
	struct egress *e = egress_new();
	struct strbuf error = STRBUF_INIT(256);

	ck_assert(egress_add_hosts(e, NULL, &error));
	ck_assert(egress_add_hosts(e, "", &error));
	ck_assert(egress_add_networks(e, " , ,", &error));
	ck_assert_uint_eq(error.n, 0);
	egress_free(e);
	egress_free(NULL);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("all", NULL, NULL);

	tcase_add_loop_test(
	    tc, test_only_public_addresses, 0, (int)ARRAY_LEN(addresses));
	tcase_add_test(tc, test_named_networks);
	tcase_add_test(tc, test_hosts);
	tcase_add_test(tc, test_foreign_hosts);
	tcase_add_loop_test(
	    tc, test_what_is_wrong_is_quoted, 0, (int)ARRAY_LEN(wrong_hosts));
	tcase_add_test(tc, test_empty_lists);
	return run_cases(tc);
}
