#include "tests/unit/support/redis_link.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "tests/unit/support/port.h"
#include "tests/unit/support/spawn.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"
#include "tests/unit/support/words.h"

char temp_dir[] = "/tmp/test_redis.XXXXXX";
struct evdns_base *dns;
struct peer peer;
static char log_path[64];

/* Servers --------------------------------------------------------------- */

void
peer_start(struct peer *s)
{
	const char *argv[PEER_ARGS_MAX + 16];
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

void
peer_stop(struct peer *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void
peer_run(bool tls, const char *const *args)
{
	size_t n = 0;

	peer.tls = tls;
	peer.port = free_port();
	for (; args[n] != NULL; n++)
		peer.args[n] = args[n];
	peer.args[n] = NULL;
	peer_start(&peer);
}

/* Connections ------------------------------------------------------------ */

static void
on_state(struct redis *r, bool ready, void *arg)
{
	struct link *c = arg;

	ck_assert(redis_is_ready(r) == ready);
	if (ready)
		c->ready++;
	else
		c->lost++;
}

void
link_init(struct link *c, const char *url_format)
{
	const char *reason = NULL;
	char url[256];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(url, sizeof(url), url_format, peer.port);
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

void
link_open(struct link *c)
{
	c->r = redis_new(base, dns, &c->opt);
	redis_open(c->r);
}

void
link_free(struct link *c)
{
	redis_free(c->r);
	redis_url_release(&c->url);
}

void
link_connect(struct link *c, const char *url_format)
{
	link_init(c, url_format);
	link_open(c);
	WAIT(redis_is_ready(c->r));
}

/* Answers --------------------------------------------------------------- */

void
note_answer(struct redis *r UNUSED, const redisReply *reply, void *arg)
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

const char *
link_ask(struct link *c, const char *const *words)
{
	static struct answer a;

	a = (struct answer){ 0 };
	ck_assert(redis_send_list(c->r, words, note_answer, &a));
	WAIT(a.calls > 0);
	return a.text;
}

void
note_tally(struct redis *r UNUSED, const redisReply *reply, void *arg)
{
	struct tally *t = arg;

	if (reply == NULL)
		t->nulls++;
	else if (reply->type == REDIS_REPLY_ERROR)
		t->errors++;
	else
		t->answers++;
}

void
note_loss(struct redis *r, const redisReply *reply, void *arg)
{
	struct loss *l = arg;

	note_tally(r, reply, &l->tally);
	if (reply != NULL)
		return;
	ck_assert(!redis_is_ready(r));
	if (!redis_send_words(r, note_loss, l, "PING") &&
	    !redis_eval(r, l->script, NULL, 0, 0, note_loss, l))
		l->refused++;
}

/* Plain and TLS ----------------------------------------------------------- */

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

void
check_order(struct link *c)
{
	struct sequence s = { 0 };

	for (unsigned i = 0; i < 1000; i++)
		ck_assert(redis_send_words(c->r, on_sequence, &s, "INCR", "n"));
	ck_assert_uint_eq(redis_pending_count(c->r), 1000);
	WAIT(redis_pending_count(c->r) == 0);
	ck_assert_uint_eq(s.next, 1000);
	ck_assert_uint_eq(s.wrong, 0);
}

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

void
check_large_values(struct link *c)
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
		ck_assert(redis_send(c->r, set, ARRAY_LEN(set), note_tally, &t));
		ck_assert(redis_send(c->r, get, ARRAY_LEN(get), on_echo, &e));
	}
	WAIT(redis_pending_count(c->r) == 0);
	ck_assert_uint_eq(t.answers, 5);
	ck_assert(e.done && e.same);
	ck_assert_uint_eq(c->lost, 0);
	free(value);
}

/* Files and log lines ------------------------------------------------------ */

bool
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

void
shell(const char *command)
{
	char *line = xasprintf("cd %s && %s", temp_dir, command);
	int status = 0;
	pid_t pid = spawn((const char *const[]){ "sh", "-c", line, NULL });

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "%s", line);
	free(line);
}

static void
make_hosts(void)
{
	make_file("hosts", "127.0.0.1 redis.test\n127.0.0.1 other.test\n"
	    "127.0.0.3 two.redis.test\n127.0.0.1 two.redis.test\n");
}

/* Cases ----------------------------------------------------------------- */

static void
setup(void)
{
	char hosts[128];
	int log;

	snprintf(log_path, sizeof(log_path), "%s/log.%d", temp_dir, getpid());
	log = open(log_path, O_CREAT | O_TRUNC | O_APPEND | O_WRONLY, 0600);
	ck_assert_int_ge(log, 0);
	dup2(log, STDERR_FILENO);
	close(log);
	wait_setup();
	log_setup("test", "", LOG_LEVEL_DEBUG);
	dns = evdns_base_new(base, 0);
	snprintf(hosts, sizeof(hosts), "%s/hosts", temp_dir);
	ck_assert_int_eq(evdns_base_load_hosts(dns, hosts), 0);
}

static void
teardown(void)
{
	peer_stop(&peer);
	evdns_base_free(dns, 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	wait_teardown();
}

static int
remove_one(const char *path, const struct stat *st UNUSED, int kind UNUSED,
    struct FTW *ftw UNUSED)
{
	return remove(path);
}

int
run_link_cases(const char *name, void (*prepare)(void), void (*add)(TCase *tc))
{
	TCase *tc = new_case(name, setup, teardown);
	int status;

	if (mkdtemp(temp_dir) == NULL)
		return EXIT_FAILURE;
	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, make_hosts, NULL);
	if (prepare != NULL)
		tcase_add_unchecked_fixture(tc, prepare, NULL);
	add(tc);
	status = run_cases(tc);
	nftw(temp_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return status;
}
