/* Requests to a server that says what a test wants, however wrong. */
#include "worker/runtime/upstream.h"

#include <arpa/inet.h>
#include <check.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define MAX_BODY ((size_t)64 << 10)
/* What the server writes at once of something that has no end. */
#define PIECE ((size_t)64 << 10)

/* The server: its n-th request gets the n-th of these, or the last one. */
static const char *script[4];
/* Follows what the script said, again and again, as long as the client takes it. */
static const char *endless;
static bool hangs_up;

static struct evconnlistener *listener;
static unsigned port, requests, connections, still_open;
static struct strbuf heard;

static struct upstream_settings settings;
static struct egress *egress;
static struct upstream *upstream;

static bool ended;
static int status;
static unsigned attempts;
static char error[512];
static size_t body_bytes;

/* The server ------------------------------------------------------------- */

static void
write_endless(struct bufferevent *bev)
{
	struct evbuffer *out = bufferevent_get_output(bev);

	while (endless != NULL && evbuffer_get_length(out) < PIECE)
		evbuffer_add(out, endless, strlen(endless));
}

static void
hang_up(struct bufferevent *bev)
{
	bufferevent_free(bev);
	still_open--;
}

static void
on_event(struct bufferevent *bev, short what, void *arg UNUSED)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		hang_up(bev);
}

static void
on_written(struct bufferevent *bev, void *arg UNUSED)
{
	write_endless(bev);
	if (hangs_up && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		hang_up(bev);
}

static void
on_read(struct bufferevent *bev, void *arg UNUSED)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t n = evbuffer_get_length(in);
	const char *last = NULL;

	strbuf_add(&heard, evbuffer_pullup(in, -1), n);
	if (evbuffer_search(in, "\r\n\r\n", 4, NULL).pos < 0)
		return;
	evbuffer_drain(in, n);
	for (size_t i = 0; i <= requests && i < ARRAY_LEN(script); i++)
		last = script[i] != NULL ? script[i] : last;
	requests++;
	bufferevent_setcb(bev, on_read, on_written, on_event, NULL);
	if (last != NULL)
		bufferevent_write(bev, last, strlen(last));
	write_endless(bev);
}

static void
on_accept(struct evconnlistener *l UNUSED, evutil_socket_t fd,
    struct sockaddr *from UNUSED, int len UNUSED, void *arg UNUSED)
{
	struct bufferevent *bev =
	    bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	connections++;
	still_open++;
	bufferevent_setcb(bev, on_read, NULL, on_event, NULL);
	bufferevent_setwatermark(bev, EV_WRITE, PIECE / 2, 0);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
server_start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);

	listener = evconnlistener_new_bind(base, on_accept, NULL,
	    LEV_OPT_CLOSE_ON_FREE, -1, (struct sockaddr *)&at, sizeof(at));
	ck_assert_ptr_nonnull(listener);
	ck_assert_int_eq(getsockname(evconnlistener_get_fd(listener),
			     (struct sockaddr *)&at, &len),
	    0);
	port = ntohs(at.sin_port);
}

/* Requests --------------------------------------------------------------- */

static void
setup(void)
{
	struct strbuf reason = STRBUF_INIT(256);

	wait_setup();
	memset(script, 0, sizeof(script));
	endless = NULL;
	hangs_up = false;
	requests = connections = still_open = 0;
	strbuf_init(&heard, MAX_BODY);
	server_start();
	settings = (struct upstream_settings){
		.timeout_s = 20, .connections = 8, .max_body = MAX_BODY
	};
	egress = egress_new();
	ck_assert(egress_add_hosts(egress, "localhost, 127.0.0.1", &reason));
	ck_assert(egress_add_networks(egress, "127.0.0.0/8", &reason));
	upstream = upstream_new(base, &settings, egress);
}

static void
teardown(void)
{
	upstream_free(upstream);
	egress_free(egress);
	WAIT(still_open == 0);
	evconnlistener_free(listener);
	strbuf_release(&heard);
	wait_teardown();
}

static void
on_done(const struct upstream_response *response, void *arg UNUSED)
{
	ck_assert(!ended);
	ended = true;
	status = response->status;
	attempts = response->attempts;
	body_bytes = response->body.n;
	snprintf(error, sizeof(error), "%s",
	    response->error != NULL ? response->error : "");
}

static void
request(struct upstream_request r)
{
	ended = false;
	r.done = on_done;
	(void)!upstream_send(upstream, &r);
	WAIT(ended);
}

/* "%u" in url is the server's port. */
static void
get(const char *url)
{
	const char *at = strstr(url, "%u");
	char *whole = at != NULL ? xasprintf("%.*s%u%s", (int)(at - url), url,
				       port, at + 2)
				 : xstrdup(url);

	request((struct upstream_request){ .method = "GET", .url = whole });
	free(whole);
}

#define HERE "http://127.0.0.1:%u/"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* Answers ---------------------------------------------------------------- */

static const struct {
	const char *says, *endless, *error;
	bool hangs_up;
} wrongs[] = {
	{ "HTTP/1.1 200 OK\r\n", "X-Filler: 0123456789abcdef\r\n",
	    "headers are larger", false },
	{ "HTTP/1.1 200 OK\r\nX: ", "0123456789abcdef", "", false },
	{ "HTTP/1.1 200 OK\r\n\r\n", "0123456789abcdef", "UPSTREAM_MAX_BODY",
	    false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
	    "0123456789abcdef", "UPSTREAM_MAX_BODY", false },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "4\r\nabcd\r\n", "UPSTREAM_MAX_BODY", false },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
	    "X: 0123456789\r\n", "headers are larger", false },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", NULL,
	    "", false },
	{ "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n"
	  "\r\nabcd",
	    NULL, "", false },
	{ "junk\r\n\r\n", NULL, "", false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", NULL, "", true },
	{ "HTTP/1.", NULL, "", true },
};

START_TEST(test_wrong_answers_are_errors)
{
	script[0] = wrongs[_i].says;
	endless = wrongs[_i].endless;
	hangs_up = wrongs[_i].hangs_up;
	settings.timeout_s = 5;
	get(HERE);
	ck_assert_int_eq(status, 0);
	ck_assert_msg(strstr(error, "127.0.0.1: ") == error, "%s", error);
	ck_assert_msg(strstr(error, wrongs[_i].error) != NULL, "%s", error);
	ck_assert_uint_gt(requests, 0);
}
END_TEST

START_TEST(test_silence_ends_in_time)
{
	settings.timeout_s = 1;
	get(HERE);
	ck_assert_str_eq(error, "127.0.0.1: no answer in time");
	ck_assert_uint_eq(requests, 1);
}
END_TEST

/* Informational answers do not stretch the time. */
START_TEST(test_an_answer_that_never_comes_ends_in_time)
{
	settings.timeout_s = 1;
	endless = "HTTP/1.1 100 Continue\r\n\r\n";
	get(HERE);
	ck_assert_str_ne(error, "");
}
END_TEST

START_TEST(test_redirects_are_answers)
{
	script[0] = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
		    "Content-Length: 0\r\n\r\n";
	get(HERE);
	ck_assert_int_eq(status, 302);
	ck_assert_uint_eq(requests, 1);
}
END_TEST

/* Repeats ---------------------------------------------------------------- */

#define BUSY "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"

START_TEST(test_what_changes_something_is_sent_once)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
	script[0] = BUSY;
	script[1] = OK;
	request((struct upstream_request){ .method = "POST", .url = url });
	ck_assert_int_eq(status, 503);
	ck_assert_uint_eq(requests, 1);
	requests = 0;
	request((struct upstream_request){
	    .method = "PUT", .url = url, .idempotent = true });
	ck_assert_int_eq(status, 200);
	ck_assert_uint_eq(attempts, 2);
}
END_TEST

/* Of localhost's two addresses ::1 may not be called here. */
START_TEST(test_one_address_of_two_will_do)
{
	script[0] = BUSY;
	script[1] = OK;
	get("http://localhost:%u/");
	ck_assert_int_eq(status, 200);
	ck_assert_uint_eq(attempts, 2);
	script[0] = NULL;
	script[1] = NULL;
	settings.timeout_s = 1;
	get("http://localhost:%u/");
	ck_assert_str_eq(error, "localhost: no answer in time");
}
END_TEST

/* Where to --------------------------------------------------------------- */

static const char *const elsewhere[] = {
	"http://127.0.0.2:%u/",
	"http://[::ffff:127.0.0.1]:%u/",
	"http://[::1]:%u/",
	"http://0.0.0.0:%u/",
	"http://0:%u/",
	"http://169.254.169.254:%u/",
	"http://2852039166/",
	"http://0xa9.0xfe.0xa9.0xfe/",
	"http://localhost.:%u/",
	"http://evil.localhost:%u/",
	"http://user@localhost:%u/",
	"http://:secret@localhost:%u/",
	"http://user:secret@localhost:%u/",
	"http://localhost:%u@evil.example/",
	"http://evil.example\\@localhost:%u/",
	"http://evil.example#@localhost:%u/",
	"http://localhost:%u /",
	"http://localhost:%u/a b",
	"http://localhost:%u/\r\nX: y",
	"http://localhost:99999/",
	"http://",
	"",
	"localhost:%u",
	"//localhost:%u/",
	"ftp://localhost:%u/",
	"file:///etc/passwd",
	"gopher://localhost:%u/_x",
};

START_TEST(test_other_hosts_are_not_called)
{
	script[0] = OK;
	get(elsewhere[_i]);
	ck_assert_int_eq(status, 0);
	ck_assert_str_ne(error, "");
	ck_assert_ptr_null(strstr(error, "secret"));
	ck_assert_uint_eq(connections, 0);
}
END_TEST

START_TEST(test_case_makes_no_other_host)
{
	script[0] = OK;
	get("HTTP://LocalHost:%u/");
	ck_assert_int_eq(status, 200);
	ck_assert_uint_eq(body_bytes, 2);
}
END_TEST

START_TEST(test_proxies_of_the_environment_are_not_used)
{
	static const char *const names[] = { "http_proxy", "HTTP_PROXY",
		"all_proxy", "ALL_PROXY", "https_proxy" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		setenv(names[i], "http://127.0.0.1:1", 1);
	script[0] = OK;
	get(HERE);
	ck_assert_int_eq(status, 200);
}
END_TEST

/* What is sent ----------------------------------------------------------- */

static const char *const wrong_headers[] = { "X: a\r\nEvil: b", "X: a\nEvil: b",
	"X\r\n: a", "no colon", ": a", "X Y: a", "X: \x01", "" };

START_TEST(test_wrong_headers_are_not_sent)
{
	const char *const headers[] = { "Good: x", wrong_headers[_i], NULL };
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
	script[0] = OK;
	request((struct upstream_request){
	    .method = "GET", .url = url, .headers = headers });
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(connections, 0);
}
END_TEST

static const char *const wrong_methods[] = { "", "GET /x HTTP/1.1\r\nX: y",
	"A B" };

START_TEST(test_wrong_methods_are_not_sent)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
	request((struct upstream_request){
	    .method = wrong_methods[_i], .url = url });
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(connections, 0);
}
END_TEST

START_TEST(test_a_connection_is_used_again)
{
	script[0] = OK;
	for (int i = 0; i < 5; i++)
		get(HERE);
	ck_assert_uint_eq(requests, 5);
	ck_assert_uint_eq(connections, 1);
}
END_TEST

int
main(void)
{
	TCase *answers = new_case("answers", setup, teardown);
	TCase *hosts = new_case("hosts", setup, teardown);
	TCase *sent = new_case("sent", setup, teardown);

	tcase_add_loop_test(
	    answers, test_wrong_answers_are_errors, 0, (int)ARRAY_LEN(wrongs));
	tcase_add_test(answers, test_silence_ends_in_time);
	tcase_add_test(answers, test_an_answer_that_never_comes_ends_in_time);
	tcase_add_test(answers, test_redirects_are_answers);
	tcase_add_test(answers, test_what_changes_something_is_sent_once);
	tcase_add_test(answers, test_one_address_of_two_will_do);
	tcase_add_loop_test(hosts, test_other_hosts_are_not_called, 0,
	    (int)ARRAY_LEN(elsewhere));
	tcase_add_test(hosts, test_case_makes_no_other_host);
	tcase_add_test(hosts, test_proxies_of_the_environment_are_not_used);
	tcase_add_loop_test(sent, test_wrong_headers_are_not_sent, 0,
	    (int)ARRAY_LEN(wrong_headers));
	tcase_add_loop_test(sent, test_wrong_methods_are_not_sent, 0,
	    (int)ARRAY_LEN(wrong_methods));
	tcase_add_test(sent, test_a_connection_is_used_again);
	return run_cases(answers, hosts, sent);
}
