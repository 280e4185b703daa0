/* Which path and method lead where; no route here needs Redis to answer. */
#include "proxy/router.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/api_metrics.h"
#include "proxy/loop.h"
#include "tests/unit/support/client.h"
#include "tests/unit/support/serve.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

static struct redis *redis;
static struct redis_url url;
static struct process process;
static struct router router;
static struct principals *principals;
static struct outbox *outbox;
static struct directory *directory;
static struct http_server *server;
static metric_value stats[STAT_COUNT];
static struct client client;

static void
make_redis(void)
{
	const char *reason;
	struct redis_options options = { .url = &url };

	ck_assert(redis_url_parse("redis://127.0.0.1:1", &url, &reason));
	redis = redis_new(base, NULL, &options);
}

static void
make_router(void)
{
	struct session_options s = { .commands = redis, .pod = SLICE("p"),
		.stats = stats };
	struct post_options p = { .pod = SLICE("p"), .commands = redis,
		.wait_ms = 5000, .max_answer = 65536, .stats = stats };
	struct gate_options g = { .base = base, .arg = &router,
		.admitted = router_admitted };
	struct catalog *catalog = catalog_new(redis, 100);

	principals = principals_new(redis, "0123456789abcdef", NULL, NULL);
	g.principals = principals;
	outbox = outbox_new(base, redis);
	directory = directory_new(redis);
	p.sessions = sessions_new(&s);
	p.catalog = catalog;
	p.outbox = outbox;
	p.directory = directory;
	router = (struct router){
		.gate = gate_new(&g),
		.sse = { p.sessions, posts_new(&p), catalog, NULL },
		.admin = { &process,
		    api_metrics_new(&(struct api_metrics_options){
			.base = base, .commands = redis,
			.catalog = catalog, .deadline_ms = 100 }) },
	};
}

static void
setup(void)
{
	socklen_t len;
	struct sockaddr_storage address;

	wait_setup();
	make_redis();
	make_router();
	server = serve(router_handle, &router, stats, &address, &len);
	client_open(&client, &address, len, 0);
}

static void
teardown(void)
{
	sessions_end_all(router.sse.sessions, "shutdown");
	redis_free(redis);
	api_metrics_free(router.admin.apis);
	outbox_free(outbox);
	sessions_free(router.sse.sessions);
	posts_free(router.sse.posts);
	gate_free(router.gate);
	principals_free(principals);
	http_server_free(server);
	directory_free(directory);
	catalog_free((struct catalog *)router.sse.catalog);
	redis_url_release(&url);
	client_close(&client);
	wait_teardown();
}

static const struct {
	const char *method, *target;
	int status;
	const char *field;   /* of the answer's head; NULL: any */
} routes[] = {
	{ "GET", "/healthz", 200, NULL },
	{ "GET", "/healthz?x", 200, NULL },
	{ "GET", "/readyz", 200, NULL },
	{ "GET", "/metrics", 200, "Content-Type: text/plain; version=0.0.4" },
	{ "POST", "/healthz", 405, "Allow: GET, HEAD\r\n" },
	{ "OPTIONS", "/healthz", 405, "Allow: GET, HEAD\r\n" },
	{ "POST", "/sse", 405, "Allow: GET\r\n" },
	{ "POST", "/calc/sse", 405, "Allow: GET\r\n" },
	{ "DELETE", "/sse", 405, "Allow: GET\r\n" },
	{ "OPTIONS", "/sse", 405, "Allow: GET\r\n" },
	{ "GET", "/messages/", 405, "Allow: POST\r\n" },
	{ "PUT", "/calc/messages/", 405, "Allow: POST\r\n" },
	/* Reached, and refused for want of a session id. */
	{ "POST", "/messages/", 400, NULL },
	{ "POST", "/calc/messages/", 400, NULL },
	{ "GET", "/", 404, NULL },
	{ "GET", "/sse/", 404, NULL },
	{ "GET", "/sse/.well-known/oauth-protected-resource", 404, NULL },
	{ "GET", "/SSE", 404, NULL },
	{ "GET", "//sse", 404, NULL },
	{ "GET", "/%73se", 404, NULL },
	{ "GET", "/calc/healthz", 404, NULL },
	{ "GET", "/calc", 404, NULL },
	{ "GET", "/Calc/sse", 404, NULL },
	{ "GET", "/a_b/sse", 404, NULL },
	{ "GET", "/calc/x/sse", 404, NULL },
	{ "GET", "/abcdefghijklmnopqrstuvwxyzabcdefg/sse", 404, NULL },
	{ "POST", "/messages", 404, NULL },
};

START_TEST(a_path_leads_somewhere)
{
	char text[256];
	struct answer a;

	snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: h\r\n\r\n",
	    routes[_i].method, routes[_i].target);
	client_say(&client, text);
	WAIT(client_take(&client, &a, false));
	ck_assert_int_eq(a.status, routes[_i].status);
	if (routes[_i].field != NULL)
		ck_assert_ptr_nonnull(strstr(a.head.p, routes[_i].field));
	answer_release(&a);
}
END_TEST

static const char *const streams[] = { "/sse", "/sse?x=1", "/calc/sse",
	"/a/sse", "/abcdefghijklmnopqrstuvwxyzabcdef/sse" };

START_TEST(a_path_leads_to_a_stream)
{
	char text[256];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n",
	    streams[_i]);
	client_say(&client, text);
	WAIT(client_has(&client, "text/event-stream"));
	ck_assert(client_has(&client, "HTTP/1.1 200 OK\r\n"));
}
END_TEST

/* Whoever asks by HEAD must not take the answer's body for the next answer. */
START_TEST(a_head_request_is_answered_without_a_body)
{
	struct answer a;

	client_say(&client, "HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
			    "HEAD /sse HTTP/1.1\r\nHost: h\r\n\r\n"
			    "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
	WAIT(client_take(&client, &a, true));
	ck_assert_int_eq(a.status, 200);
	ck_assert_ptr_nonnull(strstr(a.head.p, "Content-Length: 3\r\n"));
	answer_release(&a);
	WAIT(client_take(&client, &a, true));
	ck_assert_int_eq(a.status, 405);
	answer_release(&a);
	client_expect(&client, 200, "ok\n");
}
END_TEST

START_TEST(who_drains_is_not_ready)
{
	atomic_store(&process.draining, true);
	client_say(&client, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"
			    "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
	client_expect(&client, 503, "draining\n");
	client_expect(&client, 200, "ok\n");
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("router", setup, teardown);

	tcase_add_loop_test(tc, a_path_leads_somewhere, 0,
	    (int)ARRAY_LEN(routes));
	tcase_add_loop_test(tc, a_path_leads_to_a_stream, 0,
	    (int)ARRAY_LEN(streams));
	tcase_add_test(tc, a_head_request_is_answered_without_a_body);
	tcase_add_test(tc, who_drains_is_not_ready);
	return run_cases(tc);
}
