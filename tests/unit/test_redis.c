/*
 * The Redis connection against real servers, and how it takes their losses; bytes
 * that no honest server sends come from a small listener in this process.
 */
#include <arpa/inet.h>
#include <check.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <signal.h>
#include <string.h>

#include "common/clock.h"
#include "tests/unit/support/port.h"
#include "tests/unit/support/redis_link.h"
#include "tests/unit/support/wait.h"
#include "tests/unit/support/words.h"

START_TEST(a_blocking_read_has_its_own_connection)
{
	struct link reader, writer;
	struct answer a = { 0 };

	RUN_PEER(PLAIN);
	link_connect(&reader, "redis://127.0.0.1:%u");
	link_connect(&writer, "redis://127.0.0.1:%u");
	SEND(&reader, &a, "XREAD", "BLOCK", "9000", "STREAMS", "s", "$");
	/* The server counts it as blocked before the entry is written. */
	WAIT(strstr(ASK(&writer, "INFO", "clients"), "blocked_clients:1"));
	ck_assert_uint_eq(a.calls, 0);
	ASK(&writer, "XADD", "s", "7-1", "f", "v");
	WAIT(a.calls == 1);
	ck_assert_int_eq(a.type, REDIS_REPLY_ARRAY);
	ck_assert_uint_eq(a.elements, 1);
	a = (struct answer){ 0 };
	SEND(&reader, &a, "XREAD", "BLOCK", "5", "STREAMS", "s", "$");
	WAIT(a.calls == 1);
	ck_assert_int_eq(a.type, REDIS_REPLY_NIL);
	link_free(&reader);
	link_free(&writer);
}
END_TEST

/* Timeouts and losses ----------------------------------------------------- */

START_TEST(a_silent_server_times_out)
{
	struct link c;
	struct tally t = { 0 };

	RUN_PEER(PLAIN);
	link_init(&c, "redis://127.0.0.1:%u");
	c.opt.command_timeout_ms = 200;
	link_open(&c);
	WAIT(redis_is_ready(c.r));
	kill(peer.pid, SIGSTOP);
	for (unsigned i = 0; i < 5; i++)
		ck_assert(redis_send_words(c.r, note_tally, &t, "PING"));
	WAIT(t.nulls == 5);
	ck_assert_uint_eq(c.lost, 1);
	ck_assert(logged("reason=\"command timeout\""));
	kill(peer.pid, SIGCONT);
	WAIT(redis_is_ready(c.r));
	ck_assert_uint_eq(c.ready, 2);
	ck_assert_str_eq(ASK(&c, "ECHO", "again"), "again");
	ck_assert_uint_eq(t.nulls, 5);
	ck_assert_uint_eq(t.answers, 0);
	link_free(&c);
}
END_TEST

/* Many commands, one after the other, for longer than one may take. */
START_TEST(a_busy_connection_does_not_time_out)
{
	struct link c;
	uint64_t end;

	RUN_PEER(PLAIN);
	link_init(&c, "redis://127.0.0.1:%u");
	c.opt.command_timeout_ms = 1000;
	link_open(&c);
	WAIT(redis_is_ready(c.r));
	for (end = clock_mono_ms() + 1500; clock_mono_ms() < end;)
		ck_assert_str_eq(ASK(&c, "ECHO", "x"), "x");
	ck_assert_uint_eq(c.lost, 0);
	link_free(&c);
}
END_TEST

START_TEST(a_server_that_does_not_shake_hands_times_out)
{
	struct link c;

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	link_free(&c);
	/* The kernel still accepts for it. */
	kill(peer.pid, SIGSTOP);
	link_init(&c, "redis://127.0.0.1:%u");
	c.opt.connect_timeout_ms = 100;
	link_open(&c);
	WAIT(logged("reason=\"handshake timeout\""));
	kill(peer.pid, SIGCONT);
	WAIT(redis_is_ready(c.r));
	link_free(&c);
}
END_TEST

static const struct redis_script add_script = {
	"add", "return redis.call('INCRBY', KEYS[1], ARGV[1])"
};

START_TEST(a_killed_server_fails_each_command_once_and_is_found_again)
{
	struct link c;
	struct loss l = { .script = &add_script };

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	kill(peer.pid, SIGSTOP);
	for (unsigned i = 0; i < 50; i++)
		ck_assert(redis_send_words(c.r, note_loss, &l, "PING"));
	ck_assert(redis_eval(c.r, &add_script, (struct slice[]){ SLICE("k"),
	    SLICE("1") }, 2, 1, note_loss, &l));
	event_base_loop(base, EVLOOP_NONBLOCK);
	peer_stop(&peer);
	WAIT(l.tally.nulls == 51);
	ck_assert_uint_eq(l.refused, 51);
	ck_assert_uint_eq(c.lost, 1);
	WAIT(logged("msg=\"redis not reached\""));
	ck_assert(!redis_is_ready(c.r));
	peer_start(&peer);
	WAIT(redis_is_ready(c.r));
	ck_assert_str_eq(ASK(&c, "ECHO", "back"), "back");
	ck_assert_uint_eq(l.tally.nulls, 51);
	ck_assert_uint_eq(l.tally.answers, 0);
	link_free(&c);
}
END_TEST

START_TEST(freeing_fails_what_is_outstanding)
{
	struct link c;
	struct loss l = { .script = &add_script };

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	kill(peer.pid, SIGSTOP);
	for (unsigned i = 0; i < 7; i++)
		ck_assert(redis_send_words(c.r, note_loss, &l, "PING"));
	link_free(&c);
	ck_assert_uint_eq(l.tally.nulls, 7);
	ck_assert_uint_eq(l.refused, 7);
	ck_assert_uint_eq(c.lost, 1);
}
END_TEST

START_TEST(freeing_is_fine_in_every_state)
{
	struct link c;

	RUN_PEER(PLAIN);
	for (unsigned turns = 0; turns < 12; turns++) {
		link_init(&c, "redis://127.0.0.1:%u");
		link_open(&c);
		for (unsigned i = 0; i < turns; i++)
			event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		link_free(&c);
		ck_assert_uint_eq(c.ready, c.lost);
	}
	link_init(&c, "redis://127.0.0.1:%u");
	c.r = redis_new(base, NULL, &c.opt);
	link_free(&c);
}
END_TEST

/* Servers that cannot work now --------------------------------------------- */

START_TEST(a_replica_is_left_and_its_promotion_awaited)
{
	struct link c, admin;
	struct tally t = { 0 };
	struct answer a = { 0 };

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	link_connect(&admin, "redis://127.0.0.1:%u");
	ASK(&admin, "REPLICAOF", "127.0.0.1", "1");
	SEND(&c, &a, "SET", "k", "v");
	for (unsigned i = 0; i < 3; i++)
		ck_assert(redis_send_words(c.r, note_tally, &t, "PING"));
	WAIT(a.calls == 1);
	ck_assert_int_eq(a.type, REDIS_REPLY_ERROR);
	ck_assert_ptr_nonnull(strstr(a.text, "READONLY"));
	WAIT(t.nulls == 3);
	ck_assert_uint_eq(c.lost, 1);
	ck_assert(logged("server unfit: READONLY"));
	WAIT(logged("server unfit: it is a replica"));
	ASK(&admin, "REPLICAOF", "NO", "ONE");
	WAIT(redis_is_ready(c.r));
	ck_assert_str_eq(ASK(&c, "SET", "k", "v"), "OK");
	link_free(&c);
	link_free(&admin);
}
END_TEST

START_TEST(a_loading_server_is_waited_for)
{
	struct link c;
	char key[16];

	RUN_PEER("--dbfilename", "loading.rdb");
	link_connect(&c, "redis://127.0.0.1:%u");
	for (unsigned i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		ck_assert(redis_send_words(c.r, NULL, NULL, "SET", key, "v"));
	}
	ck_assert_str_eq(ASK(&c, "SAVE"), "OK");
	link_free(&c);
	peer_stop(&peer);
	RUN_PEER("--dbfilename", "loading.rdb", "--key-load-delay", "5000",
	    "--loading-process-events-interval-bytes", "1024");
	link_init(&c, "redis://127.0.0.1:%u");
	link_open(&c);
	WAIT(redis_is_ready(c.r));
	ck_assert(logged("LOADING"));
	ck_assert_str_eq(ASK(&c, "GET", "k199"), "v");
	ck_assert_uint_eq(c.ready, 1);
	link_free(&c);
}
END_TEST

START_TEST(a_full_server_says_so_and_stays)
{
	struct link c;
	char value[100] = { 0 };

	RUN_PEER("--maxmemory", "1", "--maxmemory-policy", "noeviction");
	link_connect(&c, "redis://127.0.0.1:%u");
	memset(value, 'x', sizeof(value) - 1);
	ck_assert_ptr_nonnull(strstr(ASK(&c, "SET", "k", value), "OOM"));
	ck_assert(redis_is_ready(c.r));
	ck_assert_uint_eq(c.lost, 0);
	link_free(&c);
}
END_TEST

/* It refuses PING as well, and yet can be read. */
START_TEST(a_server_that_cannot_save_is_connected_to)
{
	struct link c;

	RUN_PEER("--enable-protected-configs", "yes");
	link_connect(&c, "redis://127.0.0.1:%u");
	ASK(&c, "CONFIG", "SET", "dir", "/proc/self", "save", "1000000 1000000");
	ASK(&c, "BGSAVE");
	WAIT(strstr(ASK(&c, "INFO", "persistence"), "last_bgsave_status:err"));
	ck_assert_ptr_nonnull(strstr(ASK(&c, "PING"), "MISCONF"));
	ck_assert_ptr_nonnull(strstr(ASK(&c, "SET", "k", "v"), "MISCONF"));
	ck_assert(redis_is_refusing(c.r));
	link_free(&c);
	link_connect(&c, "redis://127.0.0.1:%u");
	ck_assert_str_eq(ASK(&c, "GET", "k"), "");
	link_free(&c);
}
END_TEST

START_TEST(a_cluster_that_is_down_is_waited_for)
{
	struct link c;
	struct answer a = { 0 };

	RUN_PEER("--cluster-enabled", "yes");
	link_connect(&c, "redis://127.0.0.1:%u");
	SEND(&c, &a, "GET", "k");
	WAIT(c.lost == 1);
	ck_assert_ptr_nonnull(strstr(a.text, "CLUSTERDOWN"));
	WAIT(logged("server unfit: CLUSTERDOWN"));
	WAIT(c.ready == 2);
	link_free(&c);
}
END_TEST

/* Servers that are none -------------------------------------------------- */

/* Answers whatever it gets with the same bytes. */
struct liar {
	struct evconnlistener *listener;
	struct bufferevent *bev;
	const char *answer;
};

static void
on_liar_read(struct bufferevent *bev, void *arg)
{
	struct liar *l = arg;

	evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
	bufferevent_write(bev, l->answer, strlen(l->answer));
}

static void
on_liar_accept(struct evconnlistener *listener UNUSED, evutil_socket_t fd,
    struct sockaddr *address UNUSED, int length UNUSED, void *arg)
{
	struct liar *l = arg;

	if (l->bev != NULL)
		bufferevent_free(l->bev);
	l->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(l->bev, on_liar_read, NULL, NULL, l);
	bufferevent_enable(l->bev, EV_READ);
}

static void
liar_start(struct liar *l, const char *answer)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	peer.port = free_port();
	sin.sin_port = htons((uint16_t)peer.port);
	*l = (struct liar){ .answer = answer };
	l->listener = evconnlistener_new_bind(base, on_liar_accept, l,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
	    (struct sockaddr *)&sin, sizeof(sin));
	ck_assert_ptr_nonnull(l->listener);
}

static void
liar_stop(struct liar *l)
{
	evconnlistener_free(l->listener);
	if (l->bev != NULL)
		bufferevent_free(l->bev);
}

static const struct {
	const char *answer;
	const char *reason;
} lies[] = {
	{ "HTTP/1.1 400 Bad Request\r\n\r\n", "not understood: " },
	{ "+OK\r\n*-2\r\n", "not understood: " },
	{ "+OK\r\n*0\r\n+PONG\r\n+MORE\r\n",
	    "not understood: an answer to nothing" },
	{ "+OK\r\n*2147483647\r\n", "not understood: a reply is too large" },
	{ "-ERR max number of clients reached\r\n", "max number of clients" },
	{ "-DENIED Redis is running in protected mode\r\n", "DENIED" },
};

START_TEST(bytes_that_are_not_an_answer_end_the_connection)
{
	struct liar liar;
	struct link c;

	liar_start(&liar, lies[_i].answer);
	link_init(&c, "redis://127.0.0.1:%u");
	link_open(&c);
	WAIT(logged(lies[_i].reason));
	WAIT(redis_get_state(c.r) == REDIS_BACKOFF);
	link_free(&c);
	liar_stop(&liar);
}
END_TEST

/* A server that takes us in and throws us out is not hammered. */
START_TEST(a_flapping_server_is_backed_off_from)
{
	struct liar liar;
	struct link c;

	liar_start(&liar, "+OK\r\n*0\r\n+PONG\r\n");
	link_init(&c, "redis://127.0.0.1:%u");
	link_open(&c);
	for (unsigned i = 1; i <= 3; i++) {
		WAIT(c.ready == i && liar.bev != NULL);
		bufferevent_free(liar.bev);
		liar.bev = NULL;
		WAIT(c.lost == i);
	}
	ck_assert(logged("reason=\"closed by the server\" pending=0 attempt=1"));
	ck_assert(logged("pending=0 attempt=3"));
	link_free(&c);
	liar_stop(&liar);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_test(tc, a_blocking_read_has_its_own_connection);
	tcase_add_test(tc, a_silent_server_times_out);
	tcase_add_test(tc, a_busy_connection_does_not_time_out);
	tcase_add_test(tc, a_server_that_does_not_shake_hands_times_out);
	tcase_add_test(tc,
	    a_killed_server_fails_each_command_once_and_is_found_again);
	tcase_add_test(tc, freeing_fails_what_is_outstanding);
	tcase_add_test(tc, freeing_is_fine_in_every_state);
	tcase_add_test(tc, a_replica_is_left_and_its_promotion_awaited);
	tcase_add_test(tc, a_loading_server_is_waited_for);
	tcase_add_test(tc, a_full_server_says_so_and_stays);
	tcase_add_test(tc, a_server_that_cannot_save_is_connected_to);
	tcase_add_test(tc, a_cluster_that_is_down_is_waited_for);
	tcase_add_loop_test(tc, bytes_that_are_not_an_answer_end_the_connection, 0,
	    (int)ARRAY_LEN(lies));
	tcase_add_test(tc, a_flapping_server_is_backed_off_from);
}

int
main(void)
{
	return run_link_cases("redis", NULL, add_tests);
}
