/* One connection over a socket pair, and the group that it belongs to. */
#include "proxy/conn.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define BIG ((size_t)4 << 20)

/* A connection under test, and the other end of its socket. */
struct end {
	struct conn conn;   /* first: callbacks recover us from it */
	int peer;
	struct strbuf got;
	unsigned eofs, drains, failures;
	int error;
	bool closes_itself;
};

static struct conn_group group;
static struct end a, b;
static char *big;

static struct end *
end_of(struct conn *c)
{
	return container_of(c, struct end, conn);
}

static void
on_data(struct conn *c, const char *p, size_t n)
{
	struct end *e = end_of(c);

	strbuf_add(&e->got, p, n);
	if (e->closes_itself)
		conn_close(c);
}

static void
on_eof(struct conn *c)
{
	end_of(c)->eofs++;
	if (end_of(c)->closes_itself)
		conn_close(c);
}

static void
on_drained(struct conn *c)
{
	end_of(c)->drains++;
	if (end_of(c)->closes_itself)
		conn_close(c);
}

static void
on_failed(struct conn *c, int error)
{
	end_of(c)->failures++;
	end_of(c)->error = error;
	conn_close(c);
}

static const struct conn_ops ops = {
	.data = on_data,
	.eof = on_eof,
	.drained = on_drained,
	.failed = on_failed,
};

static void
open_end(struct end *e)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	*e = (struct end){ .peer = fds[1], .got = STRBUF_INIT(2 * BIG) };
	evutil_make_socket_nonblocking(fds[0]);
	evutil_make_socket_nonblocking(fds[1]);
	conn_open(&e->conn, &group, fds[0]);
}

static void
close_end(struct end *e)
{
	conn_close(&e->conn);
	if (e->peer >= 0)
		close(e->peer);
	strbuf_release(&e->got);
}

static void
setup(void)
{
	wait_setup();
	conn_group_init(&group, base, &ops);
	open_end(&a);
	open_end(&b);
	big = malloc(BIG);
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)(i % 251);
}

static void
teardown(void)
{
	close_end(&a);
	close_end(&b);
	conn_group_release(&group);
	free(big);
	wait_teardown();
}

/* Reads what the other end has got, up to n bytes, into buf. */
static size_t
take(const struct end *e, char *buf, size_t n)
{
	size_t got = 0;
	ssize_t r;

	while (got < n && (r = read(e->peer, buf + got, n - got)) > 0)
		got += (size_t)r;
	return got;
}

static bool
write_bytes(struct end *e, const char *p, size_t n)
{
	struct iovec iov = { (char *)p, n };

	return conn_write(&e->conn, &iov, 1);
}

static void
fill(struct end *e)
{
	ck_assert(write_bytes(e, big, BIG));
	ck_assert_uint_gt(conn_unsent(&e->conn), 0);
}

START_TEST(bytes_come_as_they_were_sent)
{
	ck_assert_int_eq(write(a.peer, "hello", 5), 5);
	WAIT(a.got.n == 5);
	ck_assert_str_eq(a.got.p, "hello");
	ck_assert_int_eq(write(a.peer, "\0x", 2), 2);
	WAIT(a.got.n == 7);
	ck_assert_mem_eq(a.got.p, "hello\0x", 7);
}
END_TEST

START_TEST(a_pause_leaves_bytes_in_the_socket)
{
	conn_pause(&a.conn);
	conn_pause(&a.conn);
	ck_assert_int_eq(write(a.peer, "hello", 5), 5);
	turn();
	ck_assert_uint_eq(a.got.n, 0);
	conn_resume(&a.conn);
	WAIT(a.got.n == 5);
}
END_TEST

START_TEST(an_end_of_input_is_told_once_and_leaves_output)
{
	char buf[16];

	shutdown(a.peer, SHUT_WR);
	WAIT(a.eofs == 1);
	turn();
	ck_assert_uint_eq(a.eofs, 1);
	ck_assert(write_bytes(&a, "still", 5));
	ck_assert_uint_eq(take(&a, buf, sizeof(buf)), 5);
}
END_TEST

START_TEST(what_fits_the_socket_is_not_kept)
{
	struct iovec iov[3] = { { (char *)"ab", 2 }, { NULL, 0 },
		{ (char *)"cd", 2 } };
	char buf[16];

	ck_assert(conn_write(&a.conn, iov, 3));
	ck_assert_uint_eq(conn_unsent(&a.conn), 0);
	ck_assert_ptr_null(a.conn.out);
	ck_assert_uint_eq(take(&a, buf, sizeof(buf)), 4);
	ck_assert_mem_eq(buf, "abcd", 4);
	turn();
	ck_assert_uint_eq(a.drains, 0);
}
END_TEST

START_TEST(what_does_not_fit_is_sent_later_in_order)
{
	struct iovec iov[3] = { { big, BIG / 2 }, { NULL, 0 },
		{ big + BIG / 2, BIG / 2 } };
	char *buf = malloc(BIG + 6);
	size_t got = 0;

	ck_assert(conn_write(&a.conn, iov, 3));
	ck_assert_uint_gt(conn_unsent(&a.conn), 0);
	ck_assert(write_bytes(&a, "behind", 6));
	while (got < BIG + 6) {
		got += take(&a, buf + got, BIG + 6 - got);
		turn();
	}
	ck_assert_mem_eq(buf, big, BIG);
	ck_assert_mem_eq(buf + BIG, "behind", 6);
	WAIT(a.drains == 1);
	ck_assert_uint_eq(conn_unsent(&a.conn), 0);
	ck_assert_ptr_null(a.conn.out);
	turn();
	ck_assert_uint_eq(a.drains, 1);
	free(buf);
}
END_TEST

START_TEST(input_is_read_while_output_waits)
{
	fill(&a);
	ck_assert_int_eq(write(a.peer, "hello", 5), 5);
	WAIT(a.got.n == 5);
	ck_assert_uint_gt(conn_unsent(&a.conn), 0);
}
END_TEST

START_TEST(a_write_half_may_be_closed_behind_the_last_byte)
{
	char buf[16];

	ck_assert(write_bytes(&a, "last", 4));
	conn_shutdown_write(&a.conn);
	ck_assert_uint_eq(take(&a, buf, sizeof(buf)), 4);
	ck_assert_int_eq(read(a.peer, buf, sizeof(buf)), 0);
	ck_assert_int_eq(write(a.peer, "hello", 5), 5);
	WAIT(a.got.n == 5);
}
END_TEST

START_TEST(a_peer_that_left_fails_a_write)
{
	close(a.peer);
	a.peer = -1;
	ck_assert(!write_bytes(&a, "x", 1));
}
END_TEST

/* Two ends of a socket pair know no reset, but writing fails like one. */
START_TEST(a_peer_that_left_fails_the_output_that_waits)
{
	fill(&a);
	conn_pause(&a.conn);
	close(a.peer);
	a.peer = -1;
	WAIT(a.failures == 1);
	ck_assert_int_eq(a.error, EPIPE);
	turn();
	ck_assert_uint_eq(a.failures, 1);
	ck_assert_uint_eq(a.eofs, 0);
}
END_TEST

START_TEST(a_closed_connection_is_silent)
{
	fill(&a);
	ck_assert_int_eq(write(a.peer, "x", 1), 1);
	conn_close(&a.conn);
	conn_close(&a.conn);
	turn();
	ck_assert_uint_eq(a.got.n + a.eofs + a.drains + a.failures, 0);
	ck_assert_uint_eq(conn_unsent(&a.conn), 0);
	ck_assert(!write_bytes(&a, "x", 1));
	conn_resume(&a.conn);
	conn_pause(&a.conn);
	conn_shutdown_write(&a.conn);
	ck_assert_ptr_null(conn_group_stuck(&group, UINT64_MAX));
}
END_TEST

START_TEST(a_connection_may_be_closed_from_its_callbacks)
{
	char *buf = malloc(BIG);

	a.closes_itself = b.closes_itself = true;
	ck_assert_int_eq(write(a.peer, "x", 1), 1);
	WAIT(a.conn.fd == -1);
	fill(&b);
	/* Readable and writable at once: after the first there is no second. */
	ck_assert_int_eq(write(b.peer, "x", 1), 1);
	ck_assert_uint_gt(take(&b, buf, BIG), 0);
	WAIT(b.conn.fd == -1 || (take(&b, buf, BIG), false));
	ck_assert_uint_eq(b.drains + b.got.n, 1);
	free(buf);
}
END_TEST

/* Peers that take nothing ------------------------------------------------- */

START_TEST(the_one_that_waited_longest_is_found)
{
	clock_fake(1000);
	ck_assert_ptr_null(conn_group_stuck(&group, 5000));
	fill(&a);
	clock_fake(2000);
	fill(&b);
	ck_assert_ptr_null(conn_group_stuck(&group, 999));
	ck_assert_ptr_eq(conn_group_stuck(&group, 1000), &a.conn);
	conn_close(&a.conn);
	ck_assert_ptr_null(conn_group_stuck(&group, 1999));
	ck_assert_ptr_eq(conn_group_stuck(&group, 2000), &b.conn);
}
END_TEST

START_TEST(who_takes_bytes_waits_anew)
{
	size_t before;

	clock_fake(1000);
	fill(&a);
	clock_fake(2000);
	fill(&b);
	clock_fake(3000);
	before = conn_unsent(&a.conn);
	while (conn_unsent(&a.conn) == before) {
		char buf[65536];

		take(&a, buf, sizeof(buf));
		turn();
	}
	ck_assert_uint_gt(conn_unsent(&a.conn), 0);
	ck_assert_ptr_eq(conn_group_stuck(&group, 2000), &b.conn);
	conn_close(&b.conn);
	ck_assert_ptr_null(conn_group_stuck(&group, 2999));
	ck_assert_ptr_eq(conn_group_stuck(&group, 3000), &a.conn);
}
END_TEST

/* More bytes for a peer that takes none do not make it look alive. */
START_TEST(writing_more_is_no_progress)
{
	clock_fake(1000);
	fill(&a);
	clock_fake(5000);
	ck_assert(write_bytes(&a, "more", 4));
	ck_assert_ptr_eq(conn_group_stuck(&group, 1000), &a.conn);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("conn", setup, teardown);

	tcase_add_test(tc, bytes_come_as_they_were_sent);
	tcase_add_test(tc, a_pause_leaves_bytes_in_the_socket);
	tcase_add_test(tc, an_end_of_input_is_told_once_and_leaves_output);
	tcase_add_test(tc, what_fits_the_socket_is_not_kept);
	tcase_add_test(tc, what_does_not_fit_is_sent_later_in_order);
	tcase_add_test(tc, input_is_read_while_output_waits);
	tcase_add_test(tc, a_write_half_may_be_closed_behind_the_last_byte);
	tcase_add_test(tc, a_peer_that_left_fails_a_write);
	tcase_add_test(tc, a_peer_that_left_fails_the_output_that_waits);
	tcase_add_test(tc, a_closed_connection_is_silent);
	tcase_add_test(tc, a_connection_may_be_closed_from_its_callbacks);
	tcase_add_test(tc, the_one_that_waited_longest_is_found);
	tcase_add_test(tc, who_takes_bytes_waits_anew);
	tcase_add_test(tc, writing_more_is_no_progress);
	return run_cases(tc);
}
