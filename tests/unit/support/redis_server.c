#include "tests/unit/support/redis_server.h"

#include <arpa/inet.h>
#include <check.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/unit/support/port.h"
#include "tests/unit/support/spawn.h"
#include "tests/unit/support/wait.h"

static pid_t pid;
static unsigned port;
static redisContext *admin;
static redisReply *last;   /* of the blocking way, freed by the next */
static struct redis_url url;

/* It saves nothing: no file needs to be removed. */
static void
start(void)
{
	char port_text[12];

	snprintf(port_text, sizeof(port_text), "%u", port);
	pid = spawn((const char *const[]){ "redis-server", "--bind",
		"127.0.0.1", "--port", port_text, "--save", "",
		"--enable-protected-configs", "yes", NULL });
}

static bool
reach(void)
{
	admin = redisConnect("127.0.0.1", (int)port);
	if (admin != NULL && admin->err == 0)
		return true;
	redisFree(admin);
	admin = NULL;
	return false;
}

static void
stop(void)
{
	redisFree(admin);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void
server_setup(void)
{
	char text[64];
	const char *reason;

	port = free_port();
	start();
	snprintf(text, sizeof(text), "redis://127.0.0.1:%u", port);
	ck_assert(redis_url_parse(text, &url, &reason));
	WAIT(reach());
}

void
server_teardown(void)
{
	if (last != NULL)
		freeReplyObject(last);
	last = NULL;
	stop();
	redis_url_release(&url);
}

void
server_freeze(void)
{
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
}

void
server_thaw(void)
{
	kill(pid, SIGCONT);
}

#define CUT "CLIENT KILL TYPE normal SKIPME yes"

void
server_cut_connections(void)
{
	server_do(CUT);
}

/* Frozen, it finds this in the same turn as what came before. */
void
server_thaw_and_cut(void)
{
	void *reply = NULL;
	int done = 0;

	ck_assert_int_eq(redisAppendCommand(admin, CUT), REDIS_OK);
	while (!done)
		ck_assert_int_eq(redisBufferWrite(admin, &done), REDIS_OK);
	server_thaw();
	ck_assert_int_eq(redisGetReply(admin, &reply), REDIS_OK);
	freeReplyObject(reply);
}

void
server_restart(void)
{
	stop();
	start();
	WAIT(reach());
}

/* The blocking way -------------------------------------------------------- */

static const redisReply *
ask(const char *format, va_list ap)
{
	if (last != NULL)
		freeReplyObject(last);
	last = redisvCommand(admin, format, ap);
	ck_assert_msg(last != NULL, "%s: %s", format, admin->errstr);
	ck_assert_msg(last->type != REDIS_REPLY_ERROR, "%s: %s", format,
	    last->str);
	return last;
}

#define ASK(reply, format)                                                     \
	do {                                                                   \
		va_list ap;                                                    \
                                                                               \
		va_start(ap, format);                                          \
		(reply) = ask(format, ap);                                     \
		va_end(ap);                                                    \
	} while (0)

void
server_do(const char *format, ...)
{
	const redisReply *reply;

	ASK(reply, format);
	(void)reply;
}

long long
server_int(const char *format, ...)
{
	const redisReply *reply;

	ASK(reply, format);
	ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
	return reply->integer;
}

const char *
server_text(const char *format, ...)
{
	const redisReply *reply;

	ASK(reply, format);
	return reply->str != NULL ? reply->str : "";
}

size_t
server_count(const char *format, ...)
{
	const redisReply *reply;

	ASK(reply, format);
	ck_assert_int_eq(reply->type, REDIS_REPLY_ARRAY);
	return reply->elements;
}

/* Connections of the project's own ---------------------------------------- */

struct redis_options
server_options(void)
{
	return (struct redis_options){
		.url = &url,
		.client_name = "test",
		.command_timeout_ms = 20000,
		.connect_timeout_ms = 20000,
		.max_output_bytes = 64 << 20,
		.max_pending = 100000,
	};
}

struct redis *
server_connect(const struct redis_options *options)
{
	struct redis_options usual = server_options();
	struct redis *r = redis_new(base, NULL, options ? options : &usual);

	redis_open(r);
	WAIT(redis_is_ready(r));
	return r;
}
