/* The listener: how many it takes, and how it stops. */
#include <check.h>
#include <unistd.h>

#include "tests/unit/support/http_echo.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

START_TEST(accepting_pauses_at_the_limit_and_resumes)
{
	struct client c[6];

	http_server_free(echo_server);
	echo_start(3);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		open_client(&c[i]);
		client_say(&c[i], GET("/x"));
	}
	for (unsigned i = 0; i < 3; i++)
		client_expect(&c[i], 200, "1 /x ");
	turn();
	ck_assert_uint_eq(http_server_connections(echo_server), 3);
	ck_assert_int_eq(echo_stat_of(STAT_CONNECTIONS_ACCEPTED), 3);
	ck_assert_int_ge(echo_stat_of(STAT_CONNECTIONS_PAUSED), 1);
	for (unsigned i = 3; i < ARRAY_LEN(c); i++)
		ck_assert_uint_eq(c[i].in.n, 0);
	client_close(&c[0]);
	client_expect(&c[3], 200, "1 /x ");
	turn();
	ck_assert_uint_eq(http_server_connections(echo_server), 3);
	client_close(&c[1]);
	client_close(&c[2]);
	client_expect(&c[4], 200, "1 /x ");
	client_expect(&c[5], 200, "1 /x ");
	for (unsigned i = 3; i < ARRAY_LEN(c); i++)
		client_close(&c[i]);
}
END_TEST

START_TEST(who_waits_to_be_accepted_is_served_when_listening_ends)
{
	struct client c[4];

	http_server_free(echo_server);
	echo_start(1);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++)
		open_client(&c[i]);
	WAIT(http_server_connections(echo_server) == 1);
	http_server_stop_listening(echo_server);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		client_say(&c[i], GET("/x"));
		client_expect(&c[i], 200, "1 /x ");
		ck_assert(!c[i].reset);
		client_close(&c[i]);
	}
}
END_TEST

START_TEST(a_taken_port_is_refused)
{
	struct http_options options = { .max_connections = 1, .stats = echo_stats };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_storage taken = free_address(&echo_address_len);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&taken, echo_address_len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_ptr_null(http_server_new(base, (struct sockaddr *)&taken,
	    echo_address_len, &options));
	close(fd);
}
END_TEST

START_TEST(winding_down_answers_and_closes)
{
	struct client idle, busy, half;
	struct answer a;

	open_client(&idle);
	open_client(&busy);
	open_client(&half);
	client_say(&idle, GET("/x"));
	client_expect(&idle, 200, "1 /x ");
	client_say(&busy, GET("/later"));
	client_say(&half, POST("/x", "2", "o"));
	WAIT(held_count == 1);
	turn();
	ck_assert_uint_eq(http_server_busy(echo_server), 2);
	http_server_wind_down(echo_server);
	answer_held(0);
	WAIT(client_take(&busy, &a, false));
	ck_assert_ptr_nonnull(strstr(a.head.p, "Connection: close\r\n"));
	answer_release(&a);
	WAIT(busy.eof);
	client_say(&half, "k");
	client_expect(&half, 200, "3 /x ok");
	WAIT(half.eof);
	client_close(&busy);
	client_close(&half);
	WAIT(http_server_busy(echo_server) == 0);
	ck_assert_uint_eq(http_server_connections(echo_server), 1);
	client_say(&idle, GET("/y"));
	client_expect(&idle, 200, "1 /y ");
	WAIT(idle.eof);
	client_close(&idle);
	WAIT(http_server_connections(echo_server) == 0);
}
END_TEST

START_TEST(winding_down_lets_an_answer_arrive)
{
	struct client c;
	struct answer a;

	client_open(&c, &echo_address, echo_address_len, 4096);
	client_pause(&c);
	client_say(&c, GET("/big"));
	WAIT(handled == 1);
	http_server_wind_down(echo_server);
	turn();
	client_resume(&c);
	WAIT(client_take(&c, &a, false) || c.eof || c.reset);
	ck_assert_uint_eq(a.body.n, BIG);
	answer_release(&a);
	WAIT(c.eof);
	client_close(&c);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("http_server", echo_setup, echo_teardown);

	tcase_add_test(tc, accepting_pauses_at_the_limit_and_resumes);
	tcase_add_test(tc,
	    who_waits_to_be_accepted_is_served_when_listening_ends);
	tcase_add_test(tc, a_taken_port_is_refused);
	tcase_add_test(tc, winding_down_answers_and_closes);
	tcase_add_test(tc, winding_down_lets_an_answer_arrive);
	return run_cases(tc);
}
