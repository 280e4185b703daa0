/* Session ids in queries, and what a GET or POST is refused for. */
#include "proxy/transport_sse.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/client.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/serve.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define SID "0123456789abcdef0123456789abcdef"
#define UUID "01234567-89ab-cdef-0123-456789abcdef"

/* Session ids ------------------------------------------------------------- */

static const struct {
	const char *query;
	int result;
} queries[] = {
	{ "session_id=" SID, 0 },
	{ "sessionId=" SID, 0 },
	{ "session_id=" UUID, 0 },
	{ "sessionId=" UUID, 0 },
	{ "session_id=0123456789ABCDEF0123456789abcdef", 0 },
	{ "session_id=01234567-89AB-CDEF-0123-456789ABCDEF", 0 },
	{ "x=1&session_id=" SID "&y=2", 0 },
	{ "session_id=%30123456789abcdef0123456789abcdef", 0 },
	{ "", -ENOENT },
	{ "x=1", -ENOENT },
	{ "session_id", -EINVAL },
	{ "session_id=", -EINVAL },
	{ "session_id=0123", -EINVAL },
	{ "session_id=" SID "0", -EINVAL },
	{ "session_id=" SID "&session_id=" SID, -EINVAL },
	{ "session_id=g123456789abcdef0123456789abcdef", -EINVAL },
	{ "session_id=%00123456789abcdef0123456789abcdef", -EINVAL },
	{ "session_id=-" UUID, -EINVAL },
	{ "session_id=012345678-9ab-cdef-0123-456789abcdef", -EINVAL },
	{ "session_id=0123456789abcdef-0123-456789abcdef00", -EINVAL },
	{ "session_id=01234567-89ab-cdef-0123-456789abcde-", -EINVAL },
	{ "session_id=01234567+89ab+cdef+0123+456789abcdef", -EINVAL },
};

START_TEST(a_session_id_has_two_forms)
{
	char sid[SID_LEN];
	int result = transport_sse_sid(slice_str(queries[_i].query), sid);

	ck_assert_int_eq(result, queries[_i].result);
	if (result == 0)
		ck_assert_mem_eq(sid, SID, SID_LEN);
}
END_TEST

/* Requests ---------------------------------------------------------------- */

static struct redis *commands;
static struct sessions *sessions;
static struct catalog *catalog;
static struct directory *directory;
static struct pod *pod;
static struct outbox *outbox;
static struct transport_sse transport;
static struct http_server *server;
static struct sockaddr_storage address;
static socklen_t address_len;
static metric_value stats[STAT_COUNT];
static struct client client;
static const struct principal who = { .kind = PRINCIPAL_ANONYMOUS };

static void
on_request(struct http_conn *c, const struct http_request *req,
    void *arg UNUSED)
{
	struct slice api = slice_eq_str(req->head->path, "/") ? SLICE("") :
	    slice_of(req->head->path.p + 1, req->head->path.n - 1);

	if (req->head->method == HTTP_GET)
		transport_sse_get(&transport, c, req, &who, api);
	else
		transport_sse_post(&transport, c, req, &who, api);
}

static void
on_stray(const struct env_message *m UNUSED, session_done_cb *done,
    void *done_arg, void *arg UNUSED)
{
	done(done_arg);
}

static void
make_transport(void)
{
	struct session_options s = { .commands = commands, .pod = SLICE("p"),
		.ttl_ms = 3600000, .unused_ttl_ms = 60000,
		.ping_interval_ms = 15000, .retry_ms = 3000,
		.max_buffer = 65536, .stats = stats, .stray = on_stray };
	struct post_options p = { .pod = SLICE("p"), .commands = commands,
		.wait_ms = 5000, .call_timeout_ms = 60000, .queue_max = 10,
		.max_answer = 65536, .stats = stats };

	sessions = sessions_new(&s);
	catalog = catalog_new(commands, 100);
	directory = directory_new(commands);
	pod = pod_new(commands, SLICE("p"), NULL, NULL);
	outbox = outbox_new(base, commands);
	p.sessions = sessions;
	p.catalog = catalog;
	p.directory = directory;
	p.self = pod;
	p.outbox = outbox;
	transport = (struct transport_sse){ sessions, posts_new(&p), catalog,
	    NULL };
}

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	make_transport();
	server = serve(on_request, NULL, stats, &address, &address_len);
	client_open(&client, &address, address_len, 0);
}

static void
teardown(void)
{
	sessions_end_all(sessions, "shutdown");
	redis_free(commands);
	outbox_free(outbox);
	sessions_free(sessions);
	posts_free(transport.posts);
	http_server_free(server);
	directory_free(directory);
	catalog_free(catalog);
	pod_free(pod);
	client_close(&client);
	server_teardown();
	wait_teardown();
}

/* The catalogue is read: what it does not name does not exist. */
static void
load_catalogue(void)
{
	server_do("SADD mcp_apis calc");
	server_do("HSET mcp_api:{calc} digest d catalogue {\"tools\":[]}");
	catalog_tick(catalog);
	WAIT(catalog_is_loaded(catalog));
}

#define HEAD(method, target) method " " target " HTTP/1.1\r\nHost: h\r\n"
#define JSON "Content-Type: application/json\r\n"
#define EMPTY "Content-Length: 2\r\n\r\n{}"

static const struct {
	const char *request;
	int status;
	const char *says;
} refusals[] = {
	{ HEAD("GET", "/") "Accept: application/json\r\n\r\n", 406, NULL },
	{ HEAD("GET", "/") "Accept: text/html\r\n\r\n", 406, NULL },
	{ HEAD("GET", "/none") "\r\n", 404, NULL },
	{ HEAD("POST", "/") JSON EMPTY, 400, "session_id is missing" },
	{ HEAD("POST", "/?session_id=x") JSON EMPTY, 400, "32 hex digits" },
	{ HEAD("POST", "/?session_id=" SID) JSON "\r\n", 411, NULL },
	{ HEAD("POST", "/?session_id=" SID) EMPTY, 415, NULL },
	{ HEAD("POST", "/?session_id=" SID) "Content-Type: text/plain\r\n"
	    EMPTY, 415, NULL },
	{ HEAD("POST", "/?session_id=" SID)
	    "Content-Type: application/jsonx\r\n" EMPTY, 415, NULL },
	{ HEAD("POST", "/?session_id=" SID) JSON EMPTY, 400, "-32600" },
	{ HEAD("POST", "/?session_id=" SID)
	    "Content-Type: Application/JSON; charset=utf-8\r\n" EMPTY, 400,
	    "-32600" },
};

START_TEST(a_request_is_refused_with_its_status)
{
	struct answer a;

	load_catalogue();
	client_say(&client, refusals[_i].request);
	WAIT(client_take(&client, &a, false));
	ck_assert_int_eq(a.status, refusals[_i].status);
	if (refusals[_i].says != NULL)
		ck_assert_ptr_nonnull(strstr(a.body.p, refusals[_i].says));
	answer_release(&a);
}
END_TEST

static const char *const welcome[] = {
	HEAD("GET", "/") "\r\n",
	HEAD("GET", "/") "Accept: text/event-stream\r\n\r\n",
	HEAD("GET", "/") "Accept: */*\r\n\r\n",
	HEAD("GET", "/") "Accept: text/*\r\n\r\n",
	HEAD("GET", "/") "Accept: application/json, text/event-stream\r\n\r\n",
	HEAD("GET", "/calc") "\r\n",
	/* Who comes back is taken, whatever became of the API meanwhile. */
	HEAD("GET", "/none") "mcp-protocol-version: 2025-06-18\r\n\r\n",
};

START_TEST(a_stream_is_opened)
{
	load_catalogue();
	client_say(&client, welcome[_i]);
	WAIT(client_has(&client, "event: endpoint"));
	ck_assert(client_has(&client, "HTTP/1.1 200 OK\r\n"));
}
END_TEST

START_TEST(before_the_catalogue_is_read_no_api_is_unknown)
{
	client_say(&client, HEAD("GET", "/none") "\r\n");
	WAIT(client_has(&client, "event: endpoint"));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("transport_sse", setup, teardown);

	tcase_add_loop_test(tc, a_session_id_has_two_forms, 0,
	    (int)ARRAY_LEN(queries));
	tcase_add_loop_test(tc, a_request_is_refused_with_its_status, 0,
	    (int)ARRAY_LEN(refusals));
	tcase_add_loop_test(tc, a_stream_is_opened, 0, (int)ARRAY_LEN(welcome));
	tcase_add_test(tc, before_the_catalogue_is_read_no_api_is_unknown);
	return run_cases(tc);
}
