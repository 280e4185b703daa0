/* From names to addresses. */
#include <arpa/inet.h>
#include <check.h>
#include <unistd.h>

#include "tests/unit/support/redis_link.h"
#include "tests/unit/support/wait.h"

START_TEST(a_name_is_resolved)
{
	struct link c;

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://redis.test:%u");
	ck_assert(logged("host=redis.test"));
	link_free(&c);
}
END_TEST

/* The first address has nobody who listens. */
START_TEST(all_addresses_of_a_name_get_their_turn)
{
	struct link c;

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://two.redis.test:%u");
	link_free(&c);
}
END_TEST

START_TEST(a_name_without_a_resolver_is_refused)
{
	struct link c;

	RUN_PEER(PLAIN);
	link_init(&c, "redis://redis.test:%u");
	c.r = redis_new(base, NULL, &c.opt);
	redis_open(c.r);
	ck_assert_int_eq(redis_get_state(c.r), REDIS_BACKOFF);
	ck_assert(logged("not a numeric address, and no resolver"));
	link_free(&c);
}
END_TEST

/* A name server that knows no name. */
static void
on_question(struct evdns_server_request *request, void *arg UNUSED)
{
	enum { NXDOMAIN = 3 };

	evdns_server_request_respond(request, NXDOMAIN);
}

/* A UDP socket on loopback, made the only name server. */
static evutil_socket_t
name_server_socket(void)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	ck_assert_int_eq(evdns_base_nameserver_sockaddr_add(dns,
	    (struct sockaddr *)&sin, len, 0), 0);
	return fd;
}

START_TEST(an_unknown_name_is_tried_again)
{
	evutil_socket_t fd = name_server_socket();
	struct evdns_server_port *port =
	    evdns_add_server_port_with_base(base, fd, 0, on_question, NULL);
	struct link c;

	link_init(&c, "redis://nowhere.example.com");
	link_open(&c);
	WAIT(logged("reason=\"host name: "));
	WAIT(logged("attempt=3"));
	link_free(&c);
	evdns_close_server_port(port);
}
END_TEST

/* A resolver that never answers; leaving it must neither leak nor call back. */
START_TEST(an_unanswered_lookup_can_be_left)
{
	evutil_socket_t fd = name_server_socket();
	struct link c;

	link_init(&c, "redis://silent.example.com");
	c.opt.connect_timeout_ms = 100;
	link_open(&c);
	WAIT(logged("reason=\"host name: no answer in time\""));
	WAIT(redis_get_state(c.r) == REDIS_CONNECTING);
	link_free(&c);
	/* The cancelled requests call back on the next turns. */
	for (unsigned i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_ONCE);
	close(fd);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_test(tc, a_name_is_resolved);
	tcase_add_test(tc, all_addresses_of_a_name_get_their_turn);
	tcase_add_test(tc, a_name_without_a_resolver_is_refused);
	tcase_add_test(tc, an_unknown_name_is_tried_again);
	tcase_add_test(tc, an_unanswered_lookup_can_be_left);
}

int
main(void)
{
	return run_link_cases("redis_lookup", NULL, add_tests);
}
