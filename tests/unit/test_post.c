/*
 * From a POST to its answer: two proxies' worth of modules (one that takes the
 * POSTs, one that may hold the stream) on one real Redis.
 */
#include "proxy/post.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "proxy/router.h"
#include "proxy/stray.h"
#include "tests/unit/support/client.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/serve.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define WAIT_MS 5000
#define QUEUE_MAX 10
#define MAX_ANSWER 8192
#define CALL_TIMEOUT_MS 60000

/* What a loop has, without its timer. */
struct side {
	const char *name;
	struct redis *commands;
	struct sessions *sessions;
	struct directory *directory;
	struct catalog *catalog;
	struct outbox *outbox;
	struct strays *strays;
	struct fleet *fleet;
	struct pod *pod;
	struct posts *posts;
	struct principals *principals;
	struct gate *gate;
	struct http_server *http;
	struct router router;
	struct sockaddr_storage address;
	socklen_t address_len;
	metric_value stats[STAT_COUNT];
};

static struct side a = { .name = "pod-a.0.abcd" };
static struct side b = { .name = "pod-b.0.efgh" };
static struct client stream, client;

/* Fixture ----------------------------------------------------------------- */

static void
on_state(struct redis *r UNUSED, bool ready, void *arg)
{
	struct side *s = arg;

	if (!ready || s->posts == NULL)
		return;
	pod_hurry(s->pod);
	sessions_on_ready(s->sessions);
	posts_on_ready(s->posts);
}

static void
on_lost(void *arg)
{
	struct side *s = arg;

	sessions_rebuild(s->sessions);
}

static void
on_stray(const struct env_message *m, session_done_cb *done, void *done_arg,
    void *arg)
{
	struct side *s = arg;

	stray_pass_on(s->strays, m, done, done_arg);
}

static void
make_sessions(struct side *s)
{
	struct session_options sessions = {
		.commands = s->commands,
		.pod = slice_str(s->name),
		.ttl_ms = 3600000,
		.unused_ttl_ms = 60000,
		.ping_interval_ms = 15000,
		.retry_ms = 3000,
		.max_buffer = 65536,
		.stats = s->stats,
		.stray = on_stray,
		.arg = s,
	};
	struct stray_options strays = {
		.pod = slice_str(s->name),
		.commands = s->commands,
		.stats = s->stats,
	};

	s->outbox = outbox_new(base, s->commands);
	s->directory = directory_new(s->commands);
	s->fleet = fleet_new(s->commands);
	sessions.directory = strays.directory = s->directory;
	sessions.outbox = strays.outbox = s->outbox;
	s->sessions = sessions_new(&sessions);
	strays.fleet = s->fleet;
	strays.sessions = s->sessions;
	s->strays = strays_new(&strays);
}

static const struct http_limits limits = {
	.head_bytes = 4096, .uri_bytes = 1024, .body_bytes = 65536
};

/* Two sides of one secret know the same users. */
static void
make_gate(struct side *s)
{
	struct gate_options gate = {
		.base = base,
		.wait_ms = WAIT_MS,
		.limits = limits,
		.admitted = router_admitted,
		.arg = &s->router,
	};

	s->principals = principals_new(s->commands, SECRET, NULL, NULL);
	gate.principals = s->principals;
	s->gate = gate_new(&gate);
}

static void
make_posts(struct side *s)
{
	struct post_options posts = {
		.pod = slice_str(s->name),
		.commands = s->commands,
		.sessions = s->sessions,
		.directory = s->directory,
		.outbox = s->outbox,
		.fleet = s->fleet,
		.window_ms = 300000,
		.wait_ms = WAIT_MS,
		.call_timeout_ms = CALL_TIMEOUT_MS,
		.queue_max = QUEUE_MAX,
		.max_answer = MAX_ANSWER,
		.stats = s->stats,
	};

	s->catalog = catalog_new(s->commands, 1000);
	s->pod = pod_new(s->commands, slice_str(s->name), on_lost, s);
	posts.catalog = s->catalog;
	posts.self = s->pod;
	s->posts = posts_new(&posts);
	s->router = (struct router){
		.gate = s->gate,
		.sse = { s->sessions, s->posts, s->catalog, NULL },
	};
}

static void
make_http(struct side *s)
{
	s->http = serve(router_handle, &s->router, s->stats, &s->address,
	    &s->address_len);
}

static void
side_init(struct side *s)
{
	struct redis_options redis = server_options();

	redis.on_state = on_state;
	redis.arg = s;
	s->commands = server_connect(&redis);
	make_sessions(s);
	make_gate(s);
	make_posts(s);
	make_http(s);
}

/* In loop_free()'s order. */
static void
side_release(struct side *s)
{
	sessions_end_all(s->sessions, "shutdown");
	redis_free(s->commands);
	outbox_free(s->outbox);
	sessions_free(s->sessions);
	strays_free(s->strays);
	fleet_free(s->fleet);
	posts_free(s->posts);
	gate_free(s->gate);
	principals_free(s->principals);
	http_server_free(s->http);
	directory_free(s->directory);
	catalog_free(s->catalog);
	pod_free(s->pod);
	s->posts = NULL;
}

static void
pass_ms(uint64_t ms)
{
	clock_fake(clock_mono_ms() + ms);
}

static void
tick(struct side *s)
{
	pod_tick(s->pod, &(struct pod_load){ 0 });
	fleet_tick(s->fleet);
	catalog_tick(s->catalog);
	sessions_tick(s->sessions);
	posts_tick(s->posts);
	strays_tick(s->strays);
}

/* Runs the loop with both sides' ticks until cond holds. */
#define TICK_UNTIL(cond) WAIT((cond) || (tick(&a), tick(&b), false))

static void
publish(const char *digest, const char *catalogue)
{
	server_do("HSET mcp_api:{calc} digest %s catalogue %s", digest,
	    catalogue);
	server_do("SADD mcp_apis calc");
	pass_ms(1000);
	tick(&a);
	tick(&b);
	WAIT(redis_pending_count(a.commands) == 0 &&
	    redis_pending_count(b.commands) == 0);
}

#define SAFE "{\"name\":\"add\",\"annotations\":{\"readOnlyHint\":true}}"
#define OTHER "{\"name\":\"book\"}"

static void
setup(void)
{
	wait_setup();
	server_setup();
	side_init(&a);
	side_init(&b);
	publish("d1", "{\"tools\":[" SAFE "," OTHER "]}");
}

static void
teardown(void)
{
	if (stream.readable != NULL)
		client_close(&stream);
	if (client.readable != NULL)
		client_close(&client);
	side_release(&a);
	side_release(&b);
	server_teardown();
	wait_teardown();
}

/* Acting ------------------------------------------------------------------ */

static char sid[SID_LEN + 1];

static void
open_stream(struct side *s, const char *path)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "GET %s HTTP/1.1\r\nHost: h\r\nUser-Agent: one\r\n\r\n", path);
	client_open(&stream, &s->address, s->address_len, 0);
	client_say(&stream, text);
	WAIT(client_has(&stream, "retry: "));
	memcpy(sid, strstr(stream.in.p, "session_id=") + 11, SID_LEN);
}

/* Tells users apart. */
static const char *user_agent = "one";

/* POSTs a message to that side, on its own connection. */
static void
post_to(struct side *s, const char *path, const char *body)
{
	char head[512];

	snprintf(head, sizeof(head),
	    "POST %s?session_id=%s HTTP/1.1\r\nHost: h\r\nUser-Agent: %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
	    path, sid, user_agent, strlen(body));
	if (client.readable == NULL)
		client_open(&client, &s->address, s->address_len, 0);
	client_say(&client, head);
	client_say(&client, body);
}

static void
post(struct side *s, const char *body)
{
	post_to(s, "/messages/", body);
}

#define CALL(id, tool)                                                         \
	"{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"tools/call\","       \
	"\"params\":{\"name\":\"" tool "\"}}"
/* Ids are raw JSON. */
#define PING(id) "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"ping\"}"
#define PONG(id) "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"result\":{}}"

static long long
queued(void)
{
	return server_int("XLEN mcp_requests:{calc}");
}

/* A field of the newest queued call, as text. */
static const char *
queued_field(const char *name)
{
	return server_text("EVAL %s 1 mcp_requests:{calc} %s",
	    "local e = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)\n"
	    "for i = 1, #e[1][2], 2 do\n"
	    "  if e[1][2][i] == ARGV[1] then return e[1][2][i + 1] end\n"
	    "end\n", name);
}

/* A status of the POST, and what the body says. */
static void
expect(int status, const char *in_body)
{
	struct answer answer;

	TICK_UNTIL(client_take(&client, &answer, false));
	ck_assert_int_eq(answer.status, status);
	ck_assert_msg(strstr(strbuf_str(&answer.body), in_body) != NULL,
	    "%s", strbuf_str(&answer.body));
	answer_release(&answer);
}

/* Answers made here ------------------------------------------------------- */

START_TEST(a_ping_is_answered_on_the_stream)
{
	open_stream(&a, "/sse");
	post(&a, PING(7));
	client_expect(&client, 202, "Accepted");
	WAIT(client_has(&stream, "event: message\ndata: " PONG(7) "\n\n"));
	ck_assert_uint_eq(posts_count(a.posts), 0);
}
END_TEST

/* The other side's answer goes to the inbox of who holds the stream. */
START_TEST(a_ping_to_another_pod_goes_to_the_owner)
{
	open_stream(&a, "/sse");
	post(&b, PING("x"));
	client_expect(&client, 202, "Accepted");
	ck_assert_int_eq(server_int("XLEN mcp_replies:{%s}", a.name), 1);
	ck_assert_int_eq(server_int("XLEN mcp_replies:{%s}", b.name), 0);
	ck_assert_int_eq(metric_get(&b.stats[STAT_LOOKUPS]), 1);
	post(&b, PING(2));
	client_expect(&client, 202, "Accepted");
	ck_assert_int_eq(metric_get(&b.stats[STAT_LOOKUP_HITS]), 1);
}
END_TEST

START_TEST(initialize_is_noted)
{
	open_stream(&a, "/sse");
	post(&b, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\","
		 "\"params\":{\"protocolVersion\":\"2025-03-26\","
		 "\"clientInfo\":{\"name\":\"n\",\"version\":\"7\"}}}");
	client_expect(&client, 202, NULL);
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} protocol", sid),
	    "2025-03-26");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} client", sid), "n");
	ck_assert_str_eq(
	    server_text("HGET mcp_session:{%s} client_version", sid), "7");
}
END_TEST

/* Answered all the same, it would get answers to the client before it. */
START_TEST(initialize_that_cannot_be_noted_is_503)
{
	open_stream(&a, "/sse");
	server_do("CONFIG SET maxmemory 1");
	post(&a, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\","
		 "\"params\":{\"protocolVersion\":\"2025-03-26\"}}");
	expect(503, "Redis refuses writes");
	server_do("CONFIG SET maxmemory 0");
	ck_assert_uint_eq(posts_count(a.posts), 0);
}
END_TEST

static const char *const silent[] = {
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
};

START_TEST(what_needs_no_answer_is_accepted)
{
	open_stream(&a, "/sse");
	post(&b, silent[_i]);
	client_expect(&client, 202, "Accepted");
	ck_assert_int_eq(server_int("XLEN mcp_replies:{%s}", a.name), 0);
}
END_TEST

START_TEST(an_answer_too_long_is_an_error)
{
	struct strbuf catalogue = STRBUF_INIT(1 << 20);

	strbuf_add_str(&catalogue, "{\"tools\":[");
	for (unsigned i = 0; i < 500; i++)
		strbuf_addf(&catalogue, "%s{\"name\":\"tool-%u\"}",
		    i > 0 ? "," : "", i);
	strbuf_add_str(&catalogue, "]}");
	publish("d2", strbuf_str(&catalogue));
	strbuf_release(&catalogue);
	open_stream(&a, "/sse");
	post(&a, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/list\"}");
	client_expect(&client, 202, NULL);
	WAIT(client_has(&stream, "data: {\"jsonrpc\":\"2.0\",\"id\":3"));
	ck_assert(client_has(&stream, "\"code\":-32603"));
}
END_TEST

/* Refusals ---------------------------------------------------------------- */

START_TEST(an_unknown_session_is_404)
{
	open_stream(&a, "/sse");
	memset(sid, 'f', SID_LEN);
	post(&a, PING(1));
	expect(404, "Session not found");
	post(&a, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}");
	expect(404, "Session not found");
	ck_assert_uint_eq(posts_count(a.posts), 0);
}
END_TEST

START_TEST(a_session_of_another_user_is_unknown)
{
	struct side *const sides[] = { &a, &b };
	struct answer theirs, nobodys;
	char known[SID_LEN + 1];

	open_stream(&a, "/sse");
	memcpy(known, sid, sizeof(sid));
	user_agent = "two";
	post(sides[_i], PING(1));
	TICK_UNTIL(client_take(&client, &theirs, false));
	memset(sid, 'f', SID_LEN);
	post(sides[_i], PING(1));
	TICK_UNTIL(client_take(&client, &nobodys, false));
	ck_assert_int_eq(theirs.status, 404);
	ck_assert_str_eq(theirs.head.p, nobodys.head.p);
	ck_assert_str_eq(theirs.body.p, nobodys.body.p);
	answer_release(&theirs);
	answer_release(&nobodys);
	memcpy(sid, known, sizeof(sid));
	user_agent = "one";
	post(sides[_i], PING(1));
	expect(202, "Accepted");
}
END_TEST

/* On a path that is not the session's, it looks unknown. */
START_TEST(a_session_belongs_to_its_path)
{
	open_stream(&a, "/calc/sse");
	post_to(&a, "/messages/", PING(1));
	expect(404, "Session not found");
	post_to(&a, "/other/messages/", PING(1));
	expect(404, "Session not found");
	post_to(&a, "/calc/messages/", PING(1));
	expect(202, "Accepted");
}
END_TEST

START_TEST(a_session_belongs_to_its_path_elsewhere_too)
{
	open_stream(&a, "/calc/sse");
	post_to(&b, "/messages/", PING(1));
	expect(404, "Session not found");
	post_to(&b, "/calc/messages/", PING(1));
	expect(202, "Accepted");
}
END_TEST

static const struct {
	const char *body;
	const char *says;
} bad[] = {
	{ "", "-32700" },
	{ "{", "-32700" },
	{ "{}", "-32600" },
	{ "[]", "-32600" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":1}", "\"id\":5" },
};

START_TEST(what_is_no_message_is_400)
{
	open_stream(&a, "/sse");
	post(&a, bad[_i].body);
	expect(400, bad[_i].says);
	ck_assert_uint_eq(posts_count(a.posts), 0);
}
END_TEST

START_TEST(an_empty_chunked_body_is_400)
{
	char head[256];

	open_stream(&a, "/sse");
	snprintf(head, sizeof(head),
	    "POST /messages/?session_id=%s HTTP/1.1\r\nHost: h\r\n"
	    "User-Agent: one\r\nContent-Type: application/json\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", sid);
	client_open(&client, &a.address, a.address_len, 0);
	client_say(&client, head);
	expect(400, "-32700");
}
END_TEST

/* An error without its id is better than half of one. */
START_TEST(a_refusal_of_a_long_id_is_whole)
{
	struct strbuf body = STRBUF_INIT(1 << 16);

	strbuf_add_str(&body,
	    "{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":\"");
	for (unsigned i = 0; i < 10000; i++)
		strbuf_add_char(&body, 'x');
	strbuf_add_str(&body, "\"}");
	open_stream(&a, "/sse");
	memset(sid, 'f', SID_LEN);
	post(&a, strbuf_str(&body));
	expect(404, "Session not found\"}}");
	strbuf_release(&body);
}
END_TEST

/* Calls ------------------------------------------------------------------- */

START_TEST(a_call_is_queued_as_it_came)
{
	open_stream(&a, "/sse");
	post(&b, CALL("q", "calc_book"));
	client_expect(&client, 202, "Accepted");
	ck_assert_int_eq(queued(), 1);
	ck_assert_str_eq(queued_field("payload"), CALL("q", "calc_book"));
	ck_assert_str_eq(queued_field("tool"), "book");
	ck_assert_str_eq(queued_field("method"), "tools/call");
	ck_assert_str_eq(queued_field("session"), sid);
	ck_assert_str_eq(queued_field("reply_to"), a.name);
	ck_assert_str_eq(queued_field("attempt"), "1");
	ck_assert_uint_eq(strlen(queued_field("call")), CALL_ID_LEN);
	ck_assert_int_eq(strtoll(queued_field("deadline_ms"), NULL, 10) -
	    (long long)clock_wall_ms(), CALL_TIMEOUT_MS);
	ck_assert_int_eq(metric_get(&b.stats[STAT_CALLS]), 1);
}
END_TEST

START_TEST(an_unknown_tool_is_not_queued)
{
	open_stream(&a, "/sse");
	post(&a, CALL(1, "book"));
	client_expect(&client, 202, "Accepted");
	WAIT(client_has(&stream, "Unknown tool: book"));
	ck_assert_int_eq(queued(), 0);
}
END_TEST

START_TEST(a_full_queue_refuses)
{
	open_stream(&a, "/sse");
	for (unsigned i = 0; i < QUEUE_MAX; i++)
		server_do("XADD mcp_requests:{calc} * a b");
	publish("d1", "");
	post(&a, CALL(4, "calc_add"));
	client_expect(&client, 202, "Accepted");
	WAIT(client_has(&stream, "\"id\":4,\"error\":{\"code\":-32000"));
	ck_assert_int_eq(queued(), QUEUE_MAX);
	ck_assert_int_eq(metric_get(&a.stats[STAT_CALLS_REFUSED]), 1);
}
END_TEST

START_TEST(a_full_redis_is_503)
{
	open_stream(&a, "/sse");
	server_do("CONFIG SET maxmemory 1");
	post(&a, CALL(1, "calc_add"));
	expect(503, "could not be queued");
	server_do("CONFIG SET maxmemory 0");
	ck_assert_int_eq(queued(), 0);
	ck_assert_uint_eq(posts_count(a.posts), 0);
}
END_TEST

/* Redis away -------------------------------------------------------------- */

START_TEST(a_call_waits_for_redis)
{
	open_stream(&a, "/sse");
	server_cut_connections();
	WAIT(!redis_is_ready(a.commands));
	post(&a, CALL(1, "calc_book"));
	client_expect(&client, 202, "Accepted");
	ck_assert_int_eq(queued(), 1);
	ck_assert_int_eq(metric_get(&a.stats[STAT_POSTS_PARKED]), 1);
}
END_TEST

/* What a replica refused was not done: that is no doubt, even of an unsafe call. */
START_TEST(a_call_waits_for_a_failover)
{
	open_stream(&a, "/sse");
	server_do("REPLICAOF 127.0.0.1 1");
	post(&a, CALL(1, "calc_book"));
	WAIT(!redis_is_ready(a.commands));
	ck_assert_uint_eq(posts_count(a.posts), 1);
	server_do("REPLICAOF NO ONE");
	client_expect(&client, 202, "Accepted");
	ck_assert_int_eq(queued(), 1);
	ck_assert_str_eq(queued_field("attempt"), "1");
}
END_TEST

START_TEST(a_post_does_not_wait_for_ever)
{
	open_stream(&a, "/sse");
	server_freeze();
	post(&a, CALL(1, "calc_book"));
	WAIT(posts_count(a.posts) == 1);
	pass_ms(WAIT_MS);
	posts_tick(a.posts);
	client_expect(&client, 503, NULL);
	ck_assert_int_eq(metric_get(&a.stats[STAT_POSTS_GAVE_UP]), 1);
	server_thaw();
	WAIT(posts_count(a.posts) == 0);
}
END_TEST

START_TEST(a_client_may_leave_while_its_post_waits)
{
	open_stream(&a, "/sse");
	server_freeze();
	post(&a, CALL(1, "calc_book"));
	WAIT(posts_count(a.posts) == 1);
	client_abort(&client);
	client.readable = NULL;
	turn();
	server_thaw();
	WAIT(posts_count(a.posts) == 0);
	ck_assert_int_eq(queued(), 1);
}
END_TEST

/* Lost between the command and its reply: it may be in the queue or not. */
static void
lose_the_reply(const char *tool_call)
{
	open_stream(&a, "/sse");
	server_freeze();
	post(&a, tool_call);
	WAIT(posts_count(a.posts) == 1);
	redis_flush(a.commands);
	server_thaw_and_cut();
	TICK_UNTIL(posts_count(a.posts) == 0);
}

START_TEST(a_call_in_doubt_is_found_in_the_queue)
{
	lose_the_reply(CALL(1, "calc_book"));
	if (queued() == 1)
		expect(202, "Accepted");
	else
		expect(503, "may have run or not");
	ck_assert_int_le(queued(), 1);
}
END_TEST

START_TEST(a_safe_call_in_doubt_is_queued_again)
{
	lose_the_reply(CALL(1, "calc_add"));
	expect(202, "Accepted");
	ck_assert_str_eq(queued_field("attempt"), "2");
	ck_assert_int_ge(queued(), 1);
}
END_TEST

/* A worker may have taken and answered it in the meantime. */
START_TEST(a_call_that_left_the_queue_has_an_unknown_outcome)
{
	open_stream(&a, "/sse");
	server_freeze();
	post(&a, CALL(1, "calc_book"));
	WAIT(posts_count(a.posts) == 1);
	redis_flush(a.commands);
	server_thaw_and_cut();
	server_do("DEL mcp_requests:{calc}");
	expect(503, "may have run or not");
	ck_assert_int_eq(queued(), 0);
	ck_assert_uint_eq(posts_count(a.posts), 0);
}
END_TEST

/*
 * Redis has just lost what it knew: no client must hear of it, for some never
 * come back after a 404.
 */
START_TEST(a_session_is_not_unknown_because_redis_was_flushed)
{
	open_stream(&a, "/sse");
	server_do("FLUSHALL");
	post(&b, PING(1));
	WAIT(metric_get(&b.stats[STAT_LOOKUPS]) == 1);
	WAIT(redis_pending_count(b.commands) == 0);
	pass_ms(POD_BEAT_MS);
	expect(202, "Accepted");
}
END_TEST

START_TEST(posts_without_a_catalogue_wait_for_it)
{
	struct catalog *empty;

	open_stream(&a, "/sse");
	server_do("DEL mcp_api:{calc} mcp_apis");
	posts_free(a.posts);
	catalog_free(a.catalog);
	pod_free(a.pod);
	make_posts(&a);
	empty = a.catalog;
	ck_assert(!catalog_is_loaded(empty));
	post(&a, CALL(1, "calc_add"));
	WAIT(posts_count(a.posts) == 1);
	posts_tick(a.posts);
	turn();
	ck_assert_uint_eq(client.in.n, 0);
	server_do("HSET mcp_api:{calc} digest d catalogue %s",
	    "{\"tools\":[" SAFE "]}");
	server_do("SADD mcp_apis calc");
	expect(202, "Accepted");
	ck_assert_int_eq(queued(), 1);
}
END_TEST

START_TEST(freeing_refuses_what_waits)
{
	open_stream(&a, "/sse");
	server_freeze();
	post(&a, CALL(1, "calc_book"));
	WAIT(posts_count(a.posts) == 1);
	side_release(&a);
	WAIT(client_has(&client, "the server is stopping"));
	server_thaw();
	side_init(&a);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("post", setup, teardown);

	tcase_add_test(tc, a_ping_is_answered_on_the_stream);
	tcase_add_test(tc, a_ping_to_another_pod_goes_to_the_owner);
	tcase_add_test(tc, initialize_is_noted);
	tcase_add_test(tc, initialize_that_cannot_be_noted_is_503);
	tcase_add_loop_test(tc, what_needs_no_answer_is_accepted, 0,
	    (int)ARRAY_LEN(silent));
	tcase_add_test(tc, an_answer_too_long_is_an_error);
	tcase_add_test(tc, an_unknown_session_is_404);
	tcase_add_loop_test(tc, a_session_of_another_user_is_unknown, 0, 2);
	tcase_add_test(tc, a_session_belongs_to_its_path);
	tcase_add_test(tc, a_session_belongs_to_its_path_elsewhere_too);
	tcase_add_loop_test(tc, what_is_no_message_is_400, 0,
	    (int)ARRAY_LEN(bad));
	tcase_add_test(tc, an_empty_chunked_body_is_400);
	tcase_add_test(tc, a_refusal_of_a_long_id_is_whole);
	tcase_add_test(tc, a_call_is_queued_as_it_came);
	tcase_add_test(tc, an_unknown_tool_is_not_queued);
	tcase_add_test(tc, a_full_queue_refuses);
	tcase_add_test(tc, a_full_redis_is_503);
	tcase_add_test(tc, a_call_waits_for_redis);
	tcase_add_test(tc, a_call_waits_for_a_failover);
	tcase_add_test(tc, a_post_does_not_wait_for_ever);
	tcase_add_test(tc, a_client_may_leave_while_its_post_waits);
	tcase_add_test(tc, a_call_in_doubt_is_found_in_the_queue);
	tcase_add_test(tc, a_safe_call_in_doubt_is_queued_again);
	tcase_add_test(tc, a_call_that_left_the_queue_has_an_unknown_outcome);
	tcase_add_test(tc, a_session_is_not_unknown_because_redis_was_flushed);
	tcase_add_test(tc, posts_without_a_catalogue_wait_for_it);
	tcase_add_test(tc, freeing_refuses_what_waits);
	return run_cases(tc);
}
