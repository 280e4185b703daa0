/*
 * The Redis connection against real servers: each test starts the redis-server
 * it needs on a free port; bytes that no honest server sends come from a small
 * listener in this process.
 */
#include <arpa/inet.h>
#include <check.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/redis.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "tests/unit/support/port.h"
#include "tests/unit/support/spawn.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/words.h"

/* Ample under sanitizers on a busy machine; nothing waits this long. */
#define DEADLINE_MS 30000
#define TICK_US 2000
#define ARGS_MAX 32

/* Removed at the end; holds data, certificates, logs and a hosts file. */
static char temp_dir[] = "/tmp/test_redis.XXXXXX";
static struct event_base *base;
static struct evdns_base *dns;
static struct event *tick;

/* Runs the loop until cond holds. */
#define WAIT(cond) \
	do { \
		wait_start(); \
		while (!(cond)) \
			wait_turn(#cond); \
	} while (0)

static uint64_t wait_end_ms;

static void
wait_start(void)
{
	wait_end_ms = clock_mono_ms() + DEADLINE_MS;
}

static void
wait_turn(const char *what)
{
	ck_assert_msg(clock_mono_ms() < wait_end_ms, "never came true: %s",
	    what);
	event_base_loop(base, EVLOOP_ONCE);
}

/* Servers --------------------------------------------------------------- */

struct server {
	pid_t pid;
	unsigned port;
	bool tls;
	const char *args[ARGS_MAX];
};

static struct server server;

static void
server_start(struct server *s)
{
	const char *argv[ARGS_MAX + 16];
	char port[12];
	size_t n = 0;

	snprintf(port, sizeof(port), "%u", s->port);
	argv[n++] = "redis-server";
	argv[n++] = "--bind";
	argv[n++] = "127.0.0.1";
	argv[n++] = "127.0.0.2";
	argv[n++] = "--port";
	argv[n++] = s->tls ? "0" : port;
	argv[n++] = "--tls-port";
	argv[n++] = s->tls ? port : "0";
	argv[n++] = "--dir";
	argv[n++] = temp_dir;
	argv[n++] = "--save";
	argv[n++] = "";
	for (size_t i = 0; s->args[i] != NULL; i++)
		argv[n++] = s->args[i];
	argv[n] = NULL;
	s->pid = spawn(argv);
}

static void
server_stop(struct server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

/* With further arguments, ended by NULL. */
static void
run_server(bool tls, const char *const *args)
{
	size_t n = 0;

	server.tls = tls;
	server.port = free_port();
	for (; args[n] != NULL; n++)
		server.args[n] = args[n];
	server.args[n] = NULL;
	server_start(&server);
}

#define RUN_SERVER(...) \
	run_server(false, (const char *const[]){ __VA_ARGS__, NULL })
/* For RUN_SERVER() where the defaults do. */
#define PLAIN "--loglevel", "warning"

/* Clients --------------------------------------------------------------- */

/* A connection under test with its settings and what happened to it. */
struct client {
	struct redis *r;
	struct redis_url url;
	struct redis_options opt;
	unsigned ready, lost;   /* changes of state */
};

static void
on_state(struct redis *r, bool ready, void *arg)
{
	struct client *c = arg;

	ck_assert(redis_is_ready(r) == ready);
	if (ready)
		c->ready++;
	else
		c->lost++;
}

/* url: %u stands for the server's port. */
static void
client_init(struct client *c, const char *url_format)
{
	const char *reason = NULL;
	char url[256];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(url, sizeof(url), url_format, server.port);
#pragma GCC diagnostic pop
	memset(c, 0, sizeof(*c));
	ck_assert_msg(redis_url_parse(url, &c->url, &reason), "%s", reason);
	c->opt = (struct redis_options){
		.url = &c->url,
		.client_name = "test",
		.command_timeout_ms = 10000,
		.connect_timeout_ms = 10000,
		.max_output_bytes = 16 << 20,
		.max_pending = 4096,
		.on_state = on_state,
		.arg = c,
	};
}

static void
client_open(struct client *c)
{
	c->r = redis_new(base, dns, &c->opt);
	redis_open(c->r);
}

static void
client_free(struct client *c)
{
	redis_free(c->r);
	redis_url_release(&c->url);
}

/* A ready connection to the server. */
static void
client_connect(struct client *c, const char *url_format)
{
	client_init(c, url_format);
	client_open(c);
	WAIT(redis_is_ready(c->r));
}

/* Answers --------------------------------------------------------------- */

/* What came for one command: the last answer's text, and how often. */
struct answer {
	unsigned calls, nulls;
	int type;
	long long integer;
	size_t elements;
	char text[1024];
};

static void
on_answer(struct redis *r UNUSED, const redisReply *reply, void *arg)
{
	struct answer *a = arg;

	a->calls++;
	if (reply == NULL) {
		a->nulls++;
		return;
	}
	a->type = reply->type;
	a->integer = reply->integer;
	a->elements = reply->elements;
	snprintf(a->text, sizeof(a->text), "%s", reply->str ? reply->str : "");
}

#define SEND(c, a, ...) \
	ck_assert(redis_send_words((c)->r, on_answer, (a), __VA_ARGS__))

/* Sends a command, waits for its answer and returns it as text. */
#define ASK(c, ...) ask((c), (const char *const[]){ __VA_ARGS__, NULL })

static const char *
ask(struct client *c, const char *const *words)
{
	static struct answer a;
	struct slice argv[ARGS_MAX];
	size_t argc = 0;

	for (; words[argc] != NULL; argc++)
		argv[argc] = slice_str(words[argc]);
	a = (struct answer){ 0 };
	ck_assert(redis_send(c->r, argv, argc, on_answer, &a));
	WAIT(a.calls > 0);
	return a.text;
}

/* Log lines ------------------------------------------------------------- */

static char log_path[64];

static bool
logged(const char *needle)
{
	struct strbuf text = STRBUF_INIT(4 << 20);
	FILE *f = fopen(log_path, "r");
	char line[8192];
	bool found;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL)
		strbuf_add_str(&text, line);
	fclose(f);
	found = strstr(strbuf_str(&text), needle) != NULL;
	strbuf_release(&text);
	return found;
}

/* Certificates and names, made once --------------------------------------- */

static void
make_file(const char *name, const char *text)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", temp_dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

/* Runs a shell command in the temporary directory. */
static void
shell(const char *command)
{
	char *line = xasprintf("cd %s && %s", temp_dir, command);
	int status = 0;
	pid_t pid = spawn((const char *const[]){ "sh", "-c", line, NULL });

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "%s", line);
	free(line);
}

#define NEW_KEY "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
#define SIGNED "openssl req -x509 -CA ca.crt -CAkey ca.key " NEW_KEY

static void
make_files(void)
{
	make_file("hosts", "127.0.0.1 redis.test\n127.0.0.1 other.test\n"
	    "127.0.0.3 two.redis.test\n127.0.0.1 two.redis.test\n");
	shell("openssl req -x509 " NEW_KEY "-keyout ca.key -out ca.crt "
	    "-subj '/CN=test CA' -days 2");
	shell("openssl req -x509 " NEW_KEY "-keyout other.key -out other.crt "
	    "-subj '/CN=other CA' -days 2");
	shell(SIGNED "-keyout server.key -out server.crt -subj /CN=redis "
	    "-days 2 -addext basicConstraints=critical,CA:FALSE "
	    "-addext subjectAltName=DNS:redis.test,IP:127.0.0.1");
	shell("openssl req " NEW_KEY "-keyout expired.key -out expired.csr "
	    "-subj /CN=redis.test && openssl x509 -req -in expired.csr "
	    "-CA ca.crt -CAkey ca.key -days -1 -out expired.crt");
}

/* Fixture --------------------------------------------------------------- */

static void
on_tick(evutil_socket_t fd UNUSED, short what UNUSED, void *arg UNUSED)
{
}

static void
setup(void)
{
	struct timeval tv = { .tv_usec = TICK_US };
	char hosts[128];
	int log;

	snprintf(log_path, sizeof(log_path), "%s/log.%d", temp_dir, getpid());
	log = open(log_path, O_CREAT | O_TRUNC | O_APPEND | O_WRONLY, 0600);
	ck_assert_int_ge(log, 0);
	dup2(log, STDERR_FILENO);
	close(log);
	log_setup("test", "", LOG_LEVEL_DEBUG);
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	dns = evdns_base_new(base, 0);
	snprintf(hosts, sizeof(hosts), "%s/hosts", temp_dir);
	ck_assert_int_eq(evdns_base_load_hosts(dns, hosts), 0);
	tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	event_add(tick, &tv);
}

static void
teardown(void)
{
	server_stop(&server);
	event_free(tick);
	evdns_base_free(dns, 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_free(base);
}

/* Order, size, caps ------------------------------------------------------ */

struct sequence {
	unsigned next;
	unsigned wrong;
};

static void
on_sequence(struct redis *r UNUSED, const redisReply *reply, void *arg)
{
	struct sequence *s = arg;

	if (reply == NULL || reply->type != REDIS_REPLY_INTEGER ||
	    reply->integer != ++s->next)
		s->wrong++;
}

START_TEST(pipelined_answers_come_in_order)
{
	struct client c;
	struct sequence s = { 0 };

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(redis_send_words(c.r, on_sequence, &s, "INCR", "n"));
	ck_assert_uint_eq(redis_pending_count(c.r), 1000);
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert_uint_eq(s.next, 1000);
	ck_assert_uint_eq(s.wrong, 0);
	client_free(&c);
}
END_TEST

/* Counts the answers of a kind. */
struct tally {
	unsigned answers, nulls, errors;
};

static void
on_tally(struct redis *r UNUSED, const redisReply *reply, void *arg)
{
	struct tally *t = arg;

	if (reply == NULL)
		t->nulls++;
	else if (reply->type == REDIS_REPLY_ERROR)
		t->errors++;
	else
		t->answers++;
}

START_TEST(more_commands_than_max_pending_are_refused)
{
	struct client c;
	struct tally t = { 0 };

	RUN_SERVER(PLAIN);
	client_init(&c, "redis://127.0.0.1:%u");
	c.opt.max_pending = 100;
	client_open(&c);
	WAIT(redis_is_ready(c.r));
	for (unsigned i = 0; i < 100; i++)
		ck_assert(redis_send_words(c.r, on_tally, &t, "PING"));
	ck_assert(!redis_send_words(c.r, on_tally, &t, "PING"));
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert_uint_eq(t.answers, 100);
	ck_assert_uint_eq(t.nulls, 0);
	ck_assert(redis_send_words(c.r, on_tally, &t, "PING"));
	client_free(&c);
}
END_TEST

/* Sends values of n bytes until one is refused; returns how many were taken. */
static unsigned
fill(struct client *c, struct tally *t, size_t n)
{
	char *value = xcalloc(n, 1);
	const struct slice argv[] = {
		SLICE("SET"), SLICE("key"), slice_of(value, n)
	};
	unsigned taken = 0;

	while (redis_send(c->r, argv, ARRAY_LEN(argv), on_tally, t))
		taken++;
	free(value);
	return taken;
}

START_TEST(more_output_than_max_output_bytes_is_refused)
{
	struct client c;
	struct tally t = { 0 };
	unsigned taken;

	RUN_SERVER(PLAIN);
	client_init(&c, "redis://127.0.0.1:%u");
	c.opt.max_output_bytes = 1 << 20;
	client_open(&c);
	WAIT(redis_is_ready(c.r));
	taken = fill(&c, &t, 100000);
	ck_assert_uint_eq(taken, 10);
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert_uint_eq(t.answers, taken);
	client_free(&c);
}
END_TEST

/* The kernel's buffer is full and the rest waits in the process. */
START_TEST(output_to_a_stopped_server_is_bounded_and_kept)
{
	struct client c;
	struct tally t = { 0 };
	unsigned taken = 0;
	uint64_t end;

	RUN_SERVER(PLAIN);
	client_init(&c, "redis://127.0.0.1:%u");
	c.opt.max_output_bytes = 1 << 20;
	client_open(&c);
	WAIT(redis_is_ready(c.r));
	kill(server.pid, SIGSTOP);
	/* Loopback buffers take some megabytes before writing gets stuck. */
	for (end = clock_mono_ms() + DEADLINE_MS;;) {
		unsigned n = fill(&c, &t, 100000);

		taken += n;
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (n == 0)
			break;
		ck_assert(clock_mono_ms() < end);
	}
	ck_assert_uint_gt(taken, 10);
	kill(server.pid, SIGCONT);
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert_uint_eq(t.answers, taken);
	ck_assert_uint_eq(t.nulls, 0);
	client_free(&c);
}
END_TEST

struct echo {
	struct slice expected;
	bool done, same;
};

static void
on_echo(struct redis *r UNUSED, const redisReply *reply, void *arg)
{
	struct echo *e = arg;

	e->done = true;
	e->same = slice_eq(redis_slice(reply), e->expected);
}

/* Every byte value, CR LF included, at a size far above any buffer's. */
static void
check_large_values(struct client *c)
{
	size_t n = (1 << 20) + 7;
	char *value = xmalloc(n);
	struct slice set[] = { SLICE("SET"), SLICE("k\r\n\0x"), slice_of(value, n) };
	struct slice get[] = { SLICE("GET"), SLICE("k\r\n\0x") };
	struct echo e = { .expected = slice_of(value, n) };
	struct tally t = { 0 };

	for (size_t i = 0; i < n; i++)
		value[i] = (char)(i * 31 + i / 251);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert(redis_send(c->r, set, ARRAY_LEN(set), on_tally, &t));
		ck_assert(redis_send(c->r, get, ARRAY_LEN(get), on_echo, &e));
	}
	WAIT(redis_pending_count(c->r) == 0);
	ck_assert_uint_eq(t.answers, 5);
	ck_assert(e.done && e.same);
	ck_assert_uint_eq(c->lost, 0);
	free(value);
}

START_TEST(large_binary_values_survive)
{
	struct client c;

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	check_large_values(&c);
	client_free(&c);
}
END_TEST

START_TEST(nothing_is_taken_before_ready)
{
	struct client c;
	struct answer a = { 0 };

	RUN_SERVER(PLAIN);
	client_init(&c, "redis://127.0.0.1:%u");
	c.r = redis_new(base, dns, &c.opt);
	ck_assert_int_eq(redis_get_state(c.r), REDIS_IDLE);
	ck_assert(!redis_send_words(c.r, on_answer, &a, "PING"));
	redis_open(c.r);
	redis_open(c.r);
	ck_assert(!redis_send_words(c.r, on_answer, &a, "PING"));
	WAIT(redis_is_ready(c.r));
	ck_assert_uint_eq(c.ready, 1);
	ck_assert_uint_eq(a.calls, 0);
	client_free(&c);
	ck_assert_uint_eq(c.lost, 1);
}
END_TEST

START_TEST(an_unasked_error_is_logged)
{
	struct client c;

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	ck_assert(redis_send_words(c.r, NULL, NULL, "NOSUCHCOMMAND"));
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert(logged("ERR unknown command"));
	ck_assert(redis_is_ready(c.r));
	client_free(&c);
}
END_TEST

START_TEST(flush_reaches_the_server_without_the_loop)
{
	struct client c, other;
	struct answer a = { 0 };

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	client_connect(&other, "redis://127.0.0.1:%u");
	SEND(&c, &a, "SET", "k", "v");
	redis_flush(c.r);
	client_free(&c);
	ck_assert_uint_eq(a.nulls, 1);
	WAIT(strcmp(ASK(&other, "GET", "k"), "v") == 0);
	client_free(&other);
}
END_TEST

/* Blocking reads --------------------------------------------------------- */

START_TEST(a_blocking_read_has_its_own_connection)
{
	struct client reader, writer;
	struct answer a = { 0 };

	RUN_SERVER(PLAIN);
	client_connect(&reader, "redis://127.0.0.1:%u");
	client_connect(&writer, "redis://127.0.0.1:%u");
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
	client_free(&reader);
	client_free(&writer);
}
END_TEST

/* Timeouts and losses ----------------------------------------------------- */

START_TEST(a_silent_server_times_out)
{
	struct client c;
	struct tally t = { 0 };

	RUN_SERVER(PLAIN);
	client_init(&c, "redis://127.0.0.1:%u");
	c.opt.command_timeout_ms = 200;
	client_open(&c);
	WAIT(redis_is_ready(c.r));
	kill(server.pid, SIGSTOP);
	for (unsigned i = 0; i < 5; i++)
		ck_assert(redis_send_words(c.r, on_tally, &t, "PING"));
	WAIT(t.nulls == 5);
	ck_assert_uint_eq(c.lost, 1);
	ck_assert(logged("reason=\"command timeout\""));
	kill(server.pid, SIGCONT);
	WAIT(redis_is_ready(c.r));
	ck_assert_uint_eq(c.ready, 2);
	ck_assert_str_eq(ASK(&c, "ECHO", "again"), "again");
	ck_assert_uint_eq(t.nulls, 5);
	ck_assert_uint_eq(t.answers, 0);
	client_free(&c);
}
END_TEST

/* Many commands, one after the other, for longer than one may take. */
START_TEST(a_busy_connection_does_not_time_out)
{
	struct client c;
	uint64_t end;

	RUN_SERVER(PLAIN);
	client_init(&c, "redis://127.0.0.1:%u");
	c.opt.command_timeout_ms = 300;
	client_open(&c);
	WAIT(redis_is_ready(c.r));
	for (end = clock_mono_ms() + 1000; clock_mono_ms() < end;)
		ck_assert_str_eq(ASK(&c, "ECHO", "x"), "x");
	ck_assert_uint_eq(c.lost, 0);
	client_free(&c);
}
END_TEST

START_TEST(a_server_that_does_not_shake_hands_times_out)
{
	struct client c;

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	client_free(&c);
	/* The kernel still accepts for it. */
	kill(server.pid, SIGSTOP);
	client_init(&c, "redis://127.0.0.1:%u");
	c.opt.connect_timeout_ms = 100;
	client_open(&c);
	WAIT(logged("reason=\"handshake timeout\""));
	kill(server.pid, SIGCONT);
	WAIT(redis_is_ready(c.r));
	client_free(&c);
}
END_TEST

/* What a callback may do when the connection broke. */
struct loss {
	struct tally tally;
	unsigned refused;
	const struct redis_script *script;
};

static void
on_loss(struct redis *r, const redisReply *reply, void *arg)
{
	struct loss *l = arg;

	on_tally(r, reply, &l->tally);
	if (reply != NULL)
		return;
	ck_assert(!redis_is_ready(r));
	if (!redis_send_words(r, on_loss, l, "PING") &&
	    !redis_eval(r, l->script, NULL, 0, 0, on_loss, l))
		l->refused++;
}

static const struct redis_script add_script = {
	"add", "return redis.call('INCRBY', KEYS[1], ARGV[1])"
};

START_TEST(a_killed_server_fails_each_command_once_and_is_found_again)
{
	struct client c;
	struct loss l = { .script = &add_script };

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	kill(server.pid, SIGSTOP);
	for (unsigned i = 0; i < 50; i++)
		ck_assert(redis_send_words(c.r, on_loss, &l, "PING"));
	ck_assert(redis_eval(c.r, &add_script, (struct slice[]){ SLICE("k"),
	    SLICE("1") }, 2, 1, on_loss, &l));
	event_base_loop(base, EVLOOP_NONBLOCK);
	server_stop(&server);
	WAIT(l.tally.nulls == 51);
	ck_assert_uint_eq(l.refused, 51);
	ck_assert_uint_eq(c.lost, 1);
	WAIT(logged("msg=\"redis not reached\""));
	ck_assert(!redis_is_ready(c.r));
	server_start(&server);
	WAIT(redis_is_ready(c.r));
	ck_assert_str_eq(ASK(&c, "ECHO", "back"), "back");
	ck_assert_uint_eq(l.tally.nulls, 51);
	ck_assert_uint_eq(l.tally.answers, 0);
	client_free(&c);
}
END_TEST

START_TEST(freeing_fails_what_is_outstanding)
{
	struct client c;
	struct loss l = { .script = &add_script };

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	kill(server.pid, SIGSTOP);
	for (unsigned i = 0; i < 7; i++)
		ck_assert(redis_send_words(c.r, on_loss, &l, "PING"));
	client_free(&c);
	ck_assert_uint_eq(l.tally.nulls, 7);
	ck_assert_uint_eq(l.refused, 7);
	ck_assert_uint_eq(c.lost, 1);
}
END_TEST

START_TEST(freeing_is_fine_in_every_state)
{
	struct client c;

	RUN_SERVER(PLAIN);
	for (unsigned turns = 0; turns < 12; turns++) {
		client_init(&c, "redis://127.0.0.1:%u");
		client_open(&c);
		for (unsigned i = 0; i < turns; i++)
			event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		client_free(&c);
		ck_assert_uint_eq(c.ready, c.lost);
	}
	client_init(&c, "redis://127.0.0.1:%u");
	c.r = redis_new(base, NULL, &c.opt);
	client_free(&c);
}
END_TEST

/* Scripts ---------------------------------------------------------------- */

START_TEST(a_forgotten_script_is_sent_again)
{
	struct client c;
	struct slice args[] = { SLICE("{k}\r\n\0"), SLICE("5") };
	struct answer a = { 0 };

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	for (unsigned i = 1; i <= 6; i++) {
		if (i % 2 == 0)
			ASK(&c, "SCRIPT", "FLUSH");
		a = (struct answer){ 0 };
		ck_assert(redis_eval(c.r, &add_script, args, ARRAY_LEN(args), 1,
		    on_answer, &a));
		WAIT(a.calls > 0);
		ck_assert_int_eq(a.type, REDIS_REPLY_INTEGER);
		ck_assert_int_eq(a.integer, 5 * i);
	}
	ck_assert_uint_eq(a.calls, 1);
	client_free(&c);
}
END_TEST

START_TEST(a_known_script_costs_one_command)
{
	struct client c;
	struct slice args[] = { SLICE("k"), SLICE("1") };
	struct answer a = { 0 };
	uint64_t before;

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	before = redis_commands_sent(c.r);
	for (unsigned i = 1; i <= 10; i++) {
		ck_assert(redis_eval(c.r, &add_script, args, ARRAY_LEN(args), 1,
		    on_answer, &a));
		WAIT(a.calls == i);
	}
	ck_assert_uint_eq(redis_commands_sent(c.r) - before, 11);
	ck_assert_int_eq(a.integer, 10);
	client_free(&c);
}
END_TEST

START_TEST(a_script_that_fails_answers_once)
{
	static const struct redis_script broken = { "broken", "return nil +" };
	struct client c;
	struct answer a = { 0 };

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	ck_assert(redis_eval(c.r, &broken, NULL, 0, 0, on_answer, &a));
	ck_assert(redis_eval(c.r, &broken, NULL, 0, 0, NULL, NULL));
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert_uint_eq(a.calls, 1);
	ck_assert_int_eq(a.type, REDIS_REPLY_ERROR);
	ck_assert_ptr_nonnull(strstr(a.text, "compiling"));
	ck_assert(logged("msg=\"redis command failed\"") ||
	    logged("msg=\"redis script failed\""));
	client_free(&c);
}
END_TEST

/* Handshake -------------------------------------------------------------- */

START_TEST(user_password_database_and_name_arrive)
{
	struct client c;

	RUN_SERVER("--user", "default", "off", "--user", "relay", "on",
	    ">p@ss/w:rd", "~*", "&*", "+@all");
	client_connect(&c, "redis://relay:p%%40ss%%2Fw%%3Ard@127.0.0.1:%u/3");
	ck_assert_str_eq(ASK(&c, "ACL", "WHOAMI"), "relay");
	ck_assert_str_eq(ASK(&c, "CLIENT", "GETNAME"), "test");
	ck_assert_ptr_nonnull(strstr(ASK(&c, "CLIENT", "INFO"), " db=3 "));
	client_free(&c);
}
END_TEST

/* All that the commands of a handshake need is the least that works. */
START_TEST(a_user_with_few_rights_gets_in)
{
	struct client c;

	RUN_SERVER("--user", "default", "off", "--user", "few", "on", ">secret",
	    "~k", "+ping", "+get");
	client_connect(&c, "redis://few:secret@127.0.0.1:%u");
	ck_assert_ptr_nonnull(strstr(ASK(&c, "SET", "k", "v"), "NOPERM"));
	ck_assert(redis_is_ready(c.r));
	client_free(&c);
}
END_TEST

START_TEST(a_password_alone_is_the_default_users)
{
	struct client c;

	RUN_SERVER("--requirepass", "secret");
	client_connect(&c, "redis://:secret@127.0.0.1:%u");
	ck_assert_str_eq(ASK(&c, "ACL", "WHOAMI"), "default");
	client_free(&c);
}
END_TEST

START_TEST(a_wrong_password_is_named_and_tried_again)
{
	struct client c, admin;

	RUN_SERVER("--user", "relay", "on", ">other", "~*", "+@all");
	client_init(&c, "redis://relay:hunter2@127.0.0.1:%u");
	client_open(&c);
	WAIT(logged("REDIS_URL: user or password refused: WRONGPASS"));
	ck_assert(!redis_is_ready(c.r));
	client_connect(&admin, "redis://127.0.0.1:%u");
	ASK(&admin, "ACL", "SETUSER", "relay", ">hunter2");
	WAIT(redis_is_ready(c.r));
	ck_assert_uint_eq(c.ready, 1);
	ck_assert(!logged("hunter2"));
	client_free(&c);
	client_free(&admin);
}
END_TEST

START_TEST(a_missing_password_is_named)
{
	struct client c;

	RUN_SERVER("--requirepass", "secret");
	client_init(&c, "redis://127.0.0.1:%u");
	client_open(&c);
	WAIT(logged("REDIS_URL: user or password refused: NOAUTH"));
	client_free(&c);
}
END_TEST

START_TEST(a_database_that_does_not_exist_is_named)
{
	struct client c;

	RUN_SERVER(PLAIN);
	client_init(&c, "redis://127.0.0.1:%u/99");
	client_open(&c);
	WAIT(logged("SELECT refused: ERR DB index is out of range"));
	client_free(&c);
}
END_TEST

/* Servers that cannot work now --------------------------------------------- */

START_TEST(a_replica_is_left_and_its_promotion_awaited)
{
	struct client c, admin;
	struct tally t = { 0 };
	struct answer a = { 0 };

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://127.0.0.1:%u");
	client_connect(&admin, "redis://127.0.0.1:%u");
	ASK(&admin, "REPLICAOF", "127.0.0.1", "1");
	SEND(&c, &a, "SET", "k", "v");
	for (unsigned i = 0; i < 3; i++)
		ck_assert(redis_send_words(c.r, on_tally, &t, "PING"));
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
	client_free(&c);
	client_free(&admin);
}
END_TEST

START_TEST(a_loading_server_is_waited_for)
{
	struct client c;
	char key[16];

	RUN_SERVER("--dbfilename", "loading.rdb");
	client_connect(&c, "redis://127.0.0.1:%u");
	for (unsigned i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		ck_assert(redis_send_words(c.r, NULL, NULL, "SET", key, "v"));
	}
	ck_assert_str_eq(ASK(&c, "SAVE"), "OK");
	client_free(&c);
	server_stop(&server);
	RUN_SERVER("--dbfilename", "loading.rdb", "--key-load-delay", "5000",
	    "--loading-process-events-interval-bytes", "1024");
	client_init(&c, "redis://127.0.0.1:%u");
	client_open(&c);
	WAIT(redis_is_ready(c.r));
	ck_assert(logged("LOADING"));
	ck_assert_str_eq(ASK(&c, "GET", "k199"), "v");
	ck_assert_uint_eq(c.ready, 1);
	client_free(&c);
}
END_TEST

START_TEST(a_full_server_says_so_and_stays)
{
	struct client c;
	char value[100] = { 0 };

	RUN_SERVER("--maxmemory", "1", "--maxmemory-policy", "noeviction");
	client_connect(&c, "redis://127.0.0.1:%u");
	memset(value, 'x', sizeof(value) - 1);
	ck_assert_ptr_nonnull(strstr(ASK(&c, "SET", "k", value), "OOM"));
	ck_assert(redis_is_ready(c.r));
	ck_assert_uint_eq(c.lost, 0);
	client_free(&c);
}
END_TEST

/* Names ------------------------------------------------------------------ */

START_TEST(a_name_is_resolved)
{
	struct client c;

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://redis.test:%u");
	ck_assert(logged("host=redis.test"));
	client_free(&c);
}
END_TEST

/* The first address has nobody who listens. */
START_TEST(all_addresses_of_a_name_get_their_turn)
{
	struct client c;

	RUN_SERVER(PLAIN);
	client_connect(&c, "redis://two.redis.test:%u");
	client_free(&c);
}
END_TEST

START_TEST(a_name_without_a_resolver_is_refused)
{
	struct client c;

	RUN_SERVER(PLAIN);
	client_init(&c, "redis://redis.test:%u");
	c.r = redis_new(base, NULL, &c.opt);
	redis_open(c.r);
	ck_assert_int_eq(redis_get_state(c.r), REDIS_BACKOFF);
	ck_assert(logged("not a numeric address, and no resolver"));
	client_free(&c);
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
	struct client c;

	client_init(&c, "redis://nowhere.example.com");
	client_open(&c);
	WAIT(logged("reason=\"host name: "));
	WAIT(logged("attempt=3"));
	client_free(&c);
	evdns_close_server_port(port);
}
END_TEST

/* A resolver that never answers; leaving it must neither leak nor call back. */
START_TEST(an_unanswered_lookup_can_be_left)
{
	evutil_socket_t fd = name_server_socket();
	struct client c;

	client_init(&c, "redis://silent.example.com");
	c.opt.connect_timeout_ms = 100;
	client_open(&c);
	WAIT(logged("reason=\"host name: no answer in time\""));
	WAIT(redis_get_state(c.r) == REDIS_CONNECTING);
	client_free(&c);
	/* The cancelled requests call back on the next turns. */
	for (unsigned i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_ONCE);
	close(fd);
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

	server.port = free_port();
	sin.sin_port = htons((uint16_t)server.port);
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
	struct client c;

	liar_start(&liar, lies[_i].answer);
	client_init(&c, "redis://127.0.0.1:%u");
	client_open(&c);
	WAIT(logged(lies[_i].reason));
	WAIT(redis_get_state(c.r) == REDIS_BACKOFF);
	client_free(&c);
	liar_stop(&liar);
}
END_TEST

/* A server that takes us in and throws us out is not hammered. */
START_TEST(a_flapping_server_is_backed_off_from)
{
	struct liar liar;
	struct client c;

	liar_start(&liar, "+OK\r\n*0\r\n+PONG\r\n");
	client_init(&c, "redis://127.0.0.1:%u");
	client_open(&c);
	for (unsigned i = 1; i <= 3; i++) {
		WAIT(c.ready == i && liar.bev != NULL);
		bufferevent_free(liar.bev);
		liar.bev = NULL;
		WAIT(c.lost == i);
	}
	ck_assert(logged("reason=\"closed by the server\" pending=0 attempt=1"));
	ck_assert(logged("pending=0 attempt=3"));
	client_free(&c);
	liar_stop(&liar);
}
END_TEST

/* TLS -------------------------------------------------------------------- */

/* With a certificate and its key by their files' common name. */
static void
run_tls_server(const char *name)
{
	static char crt[64], key[64], ca[64];
	const char *const args[] = { "--tls-cert-file", crt, "--tls-key-file",
		key, "--tls-ca-cert-file", ca, "--tls-auth-clients", "no", NULL };

	snprintf(crt, sizeof(crt), "%s/%s.crt", temp_dir, name);
	snprintf(key, sizeof(key), "%s/%s.key", temp_dir, name);
	snprintf(ca, sizeof(ca), "%s/ca.crt", temp_dir);
	run_server(true, args);
}

/* ca is a file in the temporary directory; NULL: the system's store. */
static void
tls_client_init(struct client *c, const char *url_format, const char *ca)
{
	static char path[64];

	client_init(c, url_format);
	if (ca == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s", temp_dir, ca);
	c->opt.tls_ca_file = path;
}

static const struct {
	const char *url, *ca;
	const char *reason;   /* NULL: it connects */
} tls_cases[] = {
	{ "rediss://redis.test:%u", "ca.crt", NULL },
	{ "rediss://127.0.0.1:%u", "ca.crt", NULL },
	{ "rediss://other.test:%u", "ca.crt",
	    "TLS certificate refused: hostname mismatch" },
	{ "rediss://127.0.0.2:%u", "ca.crt",
	    "TLS certificate refused: IP address mismatch" },
	{ "rediss://redis.test:%u", "other.crt",
	    "TLS certificate refused: self-signed certificate in" },
	{ "rediss://redis.test:%u", NULL,
	    "TLS certificate refused: self-signed certificate in" },
	{ "rediss://redis.test:%u", "missing.crt",
	    "missing.crt: No such file or directory" },
	{ "rediss://redis.test:%u", "ca.key", "ca.key" },
};

START_TEST(tls_believes_only_the_right_certificate)
{
	const char *reason = tls_cases[_i].reason;
	struct client c;

	run_tls_server("server");
	tls_client_init(&c, tls_cases[_i].url, tls_cases[_i].ca);
	client_open(&c);
	if (reason == NULL) {
		WAIT(redis_is_ready(c.r));
		ck_assert_str_eq(ASK(&c, "ECHO", "secret"), "secret");
	} else {
		WAIT(logged(reason));
		ck_assert_uint_eq(c.ready, 0);
	}
	client_free(&c);
}
END_TEST

START_TEST(tls_refuses_an_expired_certificate)
{
	struct client c;

	run_tls_server("expired");
	tls_client_init(&c, "rediss://redis.test:%u", "ca.crt");
	client_open(&c);
	WAIT(logged("TLS certificate refused: certificate has expired"));
	ck_assert_uint_eq(c.ready, 0);
	client_free(&c);
}
END_TEST

/* The file is replaced while connections are being refused. */
START_TEST(tls_takes_up_a_rotated_authority)
{
	struct client c;

	shell("cp other.crt rotated.crt");
	run_tls_server("server");
	tls_client_init(&c, "rediss://redis.test:%u", "rotated.crt");
	client_open(&c);
	WAIT(logged("TLS certificate refused"));
	shell("cp ca.crt rotated.crt");
	WAIT(redis_is_ready(c.r));
	client_free(&c);
}
END_TEST

START_TEST(tls_carries_large_binary_values)
{
	struct client c;

	run_tls_server("server");
	tls_client_init(&c, "rediss://redis.test:%u", "ca.crt");
	client_open(&c);
	WAIT(redis_is_ready(c.r));
	check_large_values(&c);
	client_free(&c);
}
END_TEST

START_TEST(tls_to_a_server_without_it_fails)
{
	struct client c;

	RUN_SERVER(PLAIN);
	client_init(&c, "rediss://127.0.0.1:%u");
	c.opt.connect_timeout_ms = 200;
	client_open(&c);
	WAIT(logged("connect timeout (TCP or TLS)"));
	ck_assert_uint_eq(c.ready, 0);
	client_free(&c);
}
END_TEST

START_TEST(tls_survives_a_restart)
{
	struct client c;
	struct loss l = { .script = &add_script };

	run_tls_server("server");
	tls_client_init(&c, "rediss://redis.test:%u", "ca.crt");
	client_open(&c);
	WAIT(redis_is_ready(c.r));
	kill(server.pid, SIGSTOP);
	for (unsigned i = 0; i < 20; i++)
		ck_assert(redis_send_words(c.r, on_loss, &l, "PING"));
	event_base_loop(base, EVLOOP_NONBLOCK);
	server_stop(&server);
	WAIT(l.tally.nulls == 20);
	WAIT(logged("reason=\"Connection refused\""));
	server_start(&server);
	WAIT(redis_is_ready(c.r));
	ck_assert_str_eq(ASK(&c, "ECHO", "back"), "back");
	ck_assert_uint_eq(l.tally.nulls, 20);
	client_free(&c);
}
END_TEST

START_TEST(tls_pipelined_answers_come_in_order)
{
	struct client c;
	struct sequence s = { 0 };

	run_tls_server("server");
	tls_client_init(&c, "rediss://redis.test:%u", "ca.crt");
	client_open(&c);
	WAIT(redis_is_ready(c.r));
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(redis_send_words(c.r, on_sequence, &s, "INCR", "n"));
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert_uint_eq(s.next, 1000);
	ck_assert_uint_eq(s.wrong, 0);
	client_free(&c);
}
END_TEST

/* Suite ------------------------------------------------------------------ */

static int
remove_one(const char *path, const struct stat *st UNUSED, int kind UNUSED,
    struct FTW *ftw UNUSED)
{
	return remove(path);
}

int
main(void)
{
	TCase *tc = new_case("redis", setup, teardown);
	int status;

	if (mkdtemp(temp_dir) == NULL)
		return EXIT_FAILURE;
	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, make_files, NULL);
	tcase_add_test(tc, pipelined_answers_come_in_order);
	tcase_add_test(tc, more_commands_than_max_pending_are_refused);
	tcase_add_test(tc, more_output_than_max_output_bytes_is_refused);
	tcase_add_test(tc, output_to_a_stopped_server_is_bounded_and_kept);
	tcase_add_test(tc, large_binary_values_survive);
	tcase_add_test(tc, nothing_is_taken_before_ready);
	tcase_add_test(tc, an_unasked_error_is_logged);
	tcase_add_test(tc, flush_reaches_the_server_without_the_loop);
	tcase_add_test(tc, a_blocking_read_has_its_own_connection);
	tcase_add_test(tc, a_silent_server_times_out);
	tcase_add_test(tc, a_busy_connection_does_not_time_out);
	tcase_add_test(tc, a_server_that_does_not_shake_hands_times_out);
	tcase_add_test(tc,
	    a_killed_server_fails_each_command_once_and_is_found_again);
	tcase_add_test(tc, freeing_fails_what_is_outstanding);
	tcase_add_test(tc, freeing_is_fine_in_every_state);
	tcase_add_test(tc, a_forgotten_script_is_sent_again);
	tcase_add_test(tc, a_known_script_costs_one_command);
	tcase_add_test(tc, a_script_that_fails_answers_once);
	tcase_add_test(tc, user_password_database_and_name_arrive);
	tcase_add_test(tc, a_user_with_few_rights_gets_in);
	tcase_add_test(tc, a_password_alone_is_the_default_users);
	tcase_add_test(tc, a_wrong_password_is_named_and_tried_again);
	tcase_add_test(tc, a_missing_password_is_named);
	tcase_add_test(tc, a_database_that_does_not_exist_is_named);
	tcase_add_test(tc, a_replica_is_left_and_its_promotion_awaited);
	tcase_add_test(tc, a_loading_server_is_waited_for);
	tcase_add_test(tc, a_full_server_says_so_and_stays);
	tcase_add_test(tc, a_name_is_resolved);
	tcase_add_test(tc, all_addresses_of_a_name_get_their_turn);
	tcase_add_test(tc, a_name_without_a_resolver_is_refused);
	tcase_add_test(tc, an_unknown_name_is_tried_again);
	tcase_add_test(tc, an_unanswered_lookup_can_be_left);
	tcase_add_loop_test(tc, bytes_that_are_not_an_answer_end_the_connection, 0,
	    (int)ARRAY_LEN(lies));
	tcase_add_test(tc, a_flapping_server_is_backed_off_from);
	tcase_add_loop_test(tc, tls_believes_only_the_right_certificate, 0,
	    (int)ARRAY_LEN(tls_cases));
	tcase_add_test(tc, tls_refuses_an_expired_certificate);
	tcase_add_test(tc, tls_takes_up_a_rotated_authority);
	tcase_add_test(tc, tls_carries_large_binary_values);
	tcase_add_test(tc, tls_to_a_server_without_it_fails);
	tcase_add_test(tc, tls_survives_a_restart);
	tcase_add_test(tc, tls_pipelined_answers_come_in_order);
	status = run_cases(tc);
	nftw(temp_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return status;
}
