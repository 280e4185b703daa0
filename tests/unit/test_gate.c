/* Who comes in: requests over real sockets, keys in a real Redis. */
#include "proxy/gate.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/api_key.h"
#include "common/clock.h"
#include "tests/unit/support/client.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/serve.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/token.h"
#include "tests/unit/support/wait.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define JWT_SECRET "fedcba9876543210fedcba9876543210"
#define WAIT_MS 5000
#define KEY_ID "0123456789abcdef"
#define KEY "sk-" KEY_ID "-0123456789abcdef0123456789abcdef"                   \
	    "0123456789abcdef0123456789abcdef"
/* What gate.c lets wait at once. */
#define WAITING_BYTES_MAX (32 * 1024 * 1024)

static struct redis *commands;
static struct catalog *catalog;
static struct principals *principals;
static struct gate *gate;
static struct http_server *server;
static struct sockaddr_storage address;
static socklen_t address_len;
static metric_value stats[STAT_COUNT];
static struct client client;
static unsigned admitted_later;

/* "<kind> <scopes allow calc/add> <user hash> <body>" */
static void
say_who(struct http_conn *c, const struct http_request *req,
    const struct principal *who)
{
	struct strbuf text = STRBUF_INIT(1 << 17);

	strbuf_addf(&text, "%s %s %s ", principal_kind_name(who->kind),
	    scopes_allow(who->scopes, "calc", "add") ? "may" : "may-not",
	    who->user.hash);
	strbuf_add_slice(&text, req->body);
	http_respond(c, &(struct http_response){ .status = 200,
		.type = "text/plain", .body = strbuf_slice(&text) });
	strbuf_release(&text);
}

static void
on_admitted(struct http_conn *c, const struct http_request *req,
    const struct principal *who, void *arg)
{
	ck_assert_ptr_eq(arg, &gate);
	admitted_later++;
	say_who(c, req, who);
}

static void
on_request(struct http_conn *c, const struct http_request *req, void *arg)
{
	const struct principal *who = gate_check(gate, c, req,
	    slice_eq_str(req->head->path, "/calc") ? SLICE("calc") : SLICE(""));

	(void)arg;
	if (who != NULL)
		say_who(c, req, who);
}

static void
on_known(void *arg)
{
	(void)arg;
	if (gate != NULL)
		gate_forget(gate);
}

/* A gate with these settings, behind a server. */
static void
start(const char *secret, struct gate_options settings)
{
	principals = principals_new(commands, secret, on_known, NULL);
	settings.base = base;
	settings.commands = commands;
	settings.principals = principals;
	settings.catalog = catalog;
	settings.stats = stats;
	settings.wait_ms = WAIT_MS;
	settings.limits = (struct http_limits){ 4096, 1024, 65536 };
	settings.admitted = on_admitted;
	settings.arg = &gate;
	gate = gate_new(&settings);
	server = serve(on_request, NULL, stats, &address, &address_len);
	client_open(&client, &address, address_len, 0);
}

static void
setup(void)
{
	wait_setup();
	server_setup();
	clock_fake(1700000000000);
	commands = server_connect(NULL);
	catalog = catalog_new(commands, 10);
	gate = NULL;
	admitted_later = 0;
}

static void
teardown(void)
{
	redis_free(commands);
	if (gate != NULL) {
		gate_free(gate);
		client_close(&client);
		http_server_free(server);
		principals_free(principals);
	}
	catalog_free(catalog);
	server_teardown();
	wait_teardown();
}

static void
pass_ms(unsigned ms)
{
	clock_fake(clock_mono_ms() + ms);
	gate_tick(gate);
	turn();
}

/* fields: each with its CRLF. */
static void
get(const char *target, const char *fields)
{
	struct strbuf text = STRBUF_INIT(1 << 16);

	strbuf_addf(&text, "GET %s HTTP/1.1\r\nHost: mcp.example\r\n%s\r\n",
	    target, fields);
	client_say(&client, strbuf_str(&text));
	strbuf_release(&text);
}

static struct answer
answer_to(const char *target, const char *fields)
{
	struct answer a;

	get(target, fields);
	WAIT(client_take(&client, &a, false));
	return a;
}

static void
check(const char *fields, int status, const char *says)
{
	struct answer a = answer_to("/", fields);

	ck_assert_msg(a.status == status, "%d for %s", a.status, fields);
	ck_assert_msg(strstr(a.body.p, says) != NULL ||
		strstr(a.head.p, says) != NULL, "%s%s", a.head.p, a.body.p);
	answer_release(&a);
}

static void
check_user(const char *fields, const char *kind, char hash[SHA256_HEX_LEN + 1])
{
	struct answer a = answer_to("/", fields);
	char got[32], may[16];

	ck_assert_int_eq(a.status, 200);
	ck_assert_int_eq(sscanf(a.body.p, "%31s %15s %64s", got, may, hash), 3);
	ck_assert_str_eq(got, kind);
	answer_release(&a);
}

/* Authorization with a token that says so; good until the next call. */
static const char *
bearer(const char *claims)
{
	static char field[1024];
	struct strbuf token = unsigned_token("\"alg\":\"HS256\"", claims);

	sign_hmac(&token, JWT_SECRET);
	snprintf(field, sizeof(field), "Authorization: Bearer %s\r\n",
	    strbuf_str(&token));
	strbuf_release(&token);
	return field;
}

static void
store_key(const char *scopes)
{
	char digest[SHA256_HEX_LEN + 1];

	ident_sha256_hex(digest, SLICE(KEY));
	server_do("HSET mcp_api_key:{" KEY_ID "} sha256 %s scopes %s", digest,
	    scopes);
}

/* At once --------------------------------------------------------------------- */

START_TEST(who_shows_nothing_is_anonymous)
{
	char one[SHA256_HEX_LEN + 1], same[sizeof(one)], other[sizeof(one)];

	start(SECRET, (struct gate_options){ .closed = false });
	check("", 200, "anonymous may ");
	check_user("User-Agent: a\r\n", "anonymous", one);
	check_user("User-Agent: a\r\nX-A: b\r\n", "anonymous", same);
	check_user("User-Agent: b\r\n", "anonymous", other);
	ck_assert_str_eq(one, same);
	ck_assert_str_ne(one, other);
	ck_assert_uint_eq(admitted_later, 0);
}
END_TEST

START_TEST(the_anonymous_may_have_little)
{
	start(SECRET, (struct gate_options){ .anonymous_scopes = "weather" });
	check("", 200, "anonymous may-not ");
}
END_TEST

START_TEST(the_anonymous_may_be_shut_out)
{
	server_do("SADD mcp_apis calc");
	server_do("HSET mcp_api:{calc} digest d catalogue {\"tools\":[]}");
	start(SECRET, (struct gate_options){ .closed = true,
		.public_url = "https://mcp.example" });
	catalog_tick(catalog);
	WAIT(catalog_is_loaded(catalog));
	check("", 401, "WWW-Authenticate: Bearer resource_metadata=\"https://"
		       "mcp.example/.well-known/oauth-protected-resource");
	check("", 401, "scope=\"calc\"");
	ck_assert_int_eq(metric_get(&stats[STAT_AUTH_REFUSED]), 2);
}
END_TEST

START_TEST(a_token_names_its_user_whatever_else_it_says)
{
	char one[SHA256_HEX_LEN + 1], same[sizeof(one)], other[sizeof(one)];

	start(SECRET, (struct gate_options){ .closed = true,
		.jwt_secret_key = JWT_SECRET,
		.jwt_rules = { NULL, NULL, "calc" } });
	check_user(bearer("\"sub\":\"alice\",\"exp\":1700000300"), "jwt", one);
	check_user(bearer("\"sub\":\"alice\",\"exp\":1700000301"), "jwt", same);
	check_user(bearer("\"sub\":\"bob\",\"exp\":1700000300"), "jwt", other);
	ck_assert_str_eq(one, same);
	ck_assert_str_ne(one, other);
	check(bearer("\"sub\":\"a\",\"exp\":1700000300"), 200, "jwt may ");
	check(bearer("\"sub\":\"a\",\"exp\":1700000300,\"scope\":\"x\""), 200,
	    "jwt may-not ");
	check(bearer("\"sub\":\"a\",\"exp\":1600000000"), 401,
	    "error=\"invalid_token\"");
	check("Authorization: Bearer x.y.z\r\n", 401, "invalid_token");
}
END_TEST

START_TEST(what_is_no_single_credential_is_refused)
{
	start(SECRET, (struct gate_options){ .jwt_secret_key = JWT_SECRET });
	check("Authorization: Bearer a.b.c\r\nX-API-Key: " KEY "\r\n", 400,
	    "more than one");
	check("Authorization: Basic YTpi\r\n", 401, "WWW-Authenticate: Bearer");
	check("X-API-Key: nonsense\r\n", 401, "WWW-Authenticate: Bearer");
	get("/?access_token=x", "");
	client_expect(&client, 400, NULL);
	/* Nothing of that has spoilt the connection. */
	check("", 200, "anonymous");
}
END_TEST

START_TEST(origins_and_hosts_are_those_of_the_list)
{
	start(SECRET, (struct gate_options){
		.allowed_origins = "https://app.example",
		.allowed_hosts = "mcp.example" });
	check("", 200, "anonymous");
	check("Origin: https://app.example\r\n", 200, "anonymous");
	check("Origin: https://evil.example\r\n", 403, "origin");
	check("Origin: https://app.example\r\nOrigin: https://app.example\r\n",
	    403, "origin");
	client_say(&client, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
	client_expect(&client, 403, NULL);
	/* The host is the one that the target names, too. */
	client_say(&client, "GET http://mcp.example/ HTTP/1.1\r\n"
			    "Host: mcp.example\r\n\r\n");
	client_expect(&client, 200, NULL);
}
END_TEST

/* Later ----------------------------------------------------------------------- */

START_TEST(a_key_is_looked_up_once)
{
	char one[SHA256_HEX_LEN + 1], same[sizeof(one)];

	store_key("calc");
	start(SECRET, (struct gate_options){ .closed = true });
	check_user("X-API-Key: " KEY "\r\n", "key", one);
	ck_assert_uint_eq(admitted_later, 1);
	check_user("Authorization: ApiKey " KEY "\r\n", "key", same);
	ck_assert_uint_eq(admitted_later, 1);
	ck_assert_str_eq(one, same);
	check("X-API-Key: " KEY "\r\n", 200, "key may ");
	ck_assert_int_eq(metric_get(&stats[STAT_AUTH_WAITED]), 1);
}
END_TEST

/* When it was last seen is not noted then. */
START_TEST(a_key_opens_though_redis_is_full)
{
	store_key("calc");
	start(SECRET, (struct gate_options){ .closed = true });
	server_do("CONFIG SET maxmemory 1");
	check("X-API-Key: " KEY "\r\n", 200, "key may ");
	server_do("CONFIG SET maxmemory 0");
	ck_assert_int_eq(server_int("HEXISTS mcp_api_key:{" KEY_ID "} seen_ms"),
	    0);
}
END_TEST

START_TEST(a_key_that_is_none_is_refused_later)
{
	start(SECRET, (struct gate_options){ .jwt_secret_key = NULL });
	check("X-API-Key: " KEY "\r\n", 401, "invalid_token");
	ck_assert_uint_eq(admitted_later, 0);
	ck_assert_int_eq(metric_get(&stats[STAT_AUTH_WAITED]), 1);
}
END_TEST

/* Head and body are the same when it goes on, and so is the order. */
START_TEST(a_request_waits_whole)
{
	struct answer a;

	store_key("*");
	start(SECRET, (struct gate_options){ .closed = true });
	server_freeze();
	client_say(&client, "POST /calc?x HTTP/1.1\r\nHost: h\r\nX-API-Key: " KEY
			    "\r\nContent-Length: 5\r\n\r\nhello");
	get("/", "");
	WAIT(metric_get(&stats[STAT_AUTH_WAITED]) == 1);
	turn();
	ck_assert_uint_eq(client.in.n, 0);
	server_thaw();
	WAIT(client_take(&client, &a, false));
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(a.body.p + a.body.n - 6, " hello");
	answer_release(&a);
	client_expect(&client, 401, NULL);
}
END_TEST

START_TEST(nobody_waits_for_ever)
{
	start(SECRET, (struct gate_options){ .closed = true });
	server_freeze();
	get("/", "X-API-Key: " KEY "\r\n");
	WAIT(metric_get(&stats[STAT_AUTH_WAITED]) == 1);
	pass_ms(WAIT_MS - 1);
	ck_assert_uint_eq(client.in.n, 0);
	pass_ms(1);
	WAIT(client_has(&client, "HTTP/1.1 503 "));
	ck_assert(client_has(&client, "Retry-After: 1\r\n"));
	server_thaw();
}
END_TEST

/* Without a secret of one's own it comes from Redis, and then all go on. */
START_TEST(all_wait_for_the_secret_of_user_hashes)
{
	start(NULL, (struct gate_options){ .closed = false });
	get("/", "");
	WAIT(metric_get(&stats[STAT_AUTH_WAITED]) == 1);
	principals_on_ready(principals);
	client_expect(&client, 200, NULL);
	ck_assert_uint_eq(admitted_later, 1);
	check("", 200, "anonymous");
	ck_assert_uint_eq(admitted_later, 1);
}
END_TEST

START_TEST(a_client_that_leaves_while_it_waits_is_let_go)
{
	store_key("*");
	start(SECRET, (struct gate_options){ .closed = true });
	server_freeze();
	get("/", "X-API-Key: " KEY "\r\n");
	WAIT(metric_get(&stats[STAT_AUTH_WAITED]) == 1);
	client_abort(&client);
	WAIT(http_server_connections(server) == 0);
	server_thaw();
	WAIT(admitted_later == 1);
	client_open(&client, &address, address_len, 0);
	check("X-API-Key: " KEY "\r\n", 200, "key may ");
}
END_TEST

START_TEST(freeing_refuses_who_waits)
{
	start(NULL, (struct gate_options){ .closed = false });
	get("/", "");
	WAIT(metric_get(&stats[STAT_AUTH_WAITED]) == 1);
	gate_free(gate);
	WAIT(client_has(&client, "HTTP/1.1 503 "));
	gate = gate_new(&(struct gate_options){ .base = base,
		.commands = commands, .principals = principals,
		.catalog = catalog });
}
END_TEST

/* What waits has a limit, by bytes. */
START_TEST(too_much_that_waits_is_refused)
{
	static char body[65536];
	unsigned most = WAITING_BYTES_MAX / sizeof(body), count = 0;
	struct client *all = calloc(most + 1, sizeof(*all));

	memset(body, 'b', sizeof(body));
	start(NULL, (struct gate_options){ .closed = false });
	while (count == 0 || all[count - 1].in.n == 0) {
		ck_assert_uint_le(count, most);
		client_open(&all[count], &address, address_len, 0);
		client_say(&all[count], "POST / HTTP/1.1\r\nHost: h\r\n"
					"Content-Length: 65536\r\n\r\n");
		client_send(&all[count++], body, sizeof(body));
		WAIT(metric_get(&stats[STAT_AUTH_WAITED]) == count ||
		    all[count - 1].in.n > 0);
	}
	ck_assert_uint_ge(count, most - most / 50);
	client_expect(&all[count - 1], 503, NULL);
	for (unsigned i = 0; i < count; i++)
		client_close(&all[i]);
	free(all);
}
END_TEST

int
main(void)
{
	TCase *now = new_case("at once", setup, teardown);
	TCase *later = new_case("later", setup, teardown);

	tcase_add_test(now, who_shows_nothing_is_anonymous);
	tcase_add_test(now, the_anonymous_may_have_little);
	tcase_add_test(now, the_anonymous_may_be_shut_out);
	tcase_add_test(now, a_token_names_its_user_whatever_else_it_says);
	tcase_add_test(now, what_is_no_single_credential_is_refused);
	tcase_add_test(now, origins_and_hosts_are_those_of_the_list);
	tcase_add_test(later, a_key_is_looked_up_once);
	tcase_add_test(later, a_key_opens_though_redis_is_full);
	tcase_add_test(later, a_key_that_is_none_is_refused_later);
	tcase_add_test(later, a_request_waits_whole);
	tcase_add_test(later, nobody_waits_for_ever);
	tcase_add_test(later, all_wait_for_the_secret_of_user_hashes);
	tcase_add_test(later, a_client_that_leaves_while_it_waits_is_let_go);
	tcase_add_test(later, freeing_refuses_who_waits);
	tcase_add_test(later, too_much_that_waits_is_refused);
	return run_cases(now, later);
}
