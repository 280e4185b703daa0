#include "tests/bench/lib/bare.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/strbuf.h"

#define ANSWER_MAX_BYTES (2u << 20)
/* About what an inbox keeps of what was read already. */
#define INBOX_KEPT "10000"

static const char *const fault_names[] = {
	[BARE_RIGHT] = "none",
	[BARE_CONTENT] = "content",
	[BARE_SESSION] = "session",
	[BARE_TWICE] = "twice",
	[BARE_DROP] = "drop",
	[BARE_ID] = "id",
};

bool
bare_fault_parse(const char *word, enum bare_fault *out)
{
	for (size_t i = 0; i < ARRAY_LEN(fault_names); i++) {
		if (strcmp(word, fault_names[i]) != 0)
			continue;
		*out = (enum bare_fault)i;
		return true;
	}
	return false;
}

NORETURN static void
lost(const redisContext *c, const char *why)
{
	fprintf(stderr, "Redis: %s\n", why ? why : c ? c->errstr : "no memory");
	exit(2);
}

redisContext *
bare_connect(const struct net_addr *redis)
{
	char host[INET_ADDRSTRLEN];
	redisContext *c;

	inet_ntop(AF_INET, &redis->in.sin_addr, host, sizeof(host));
	c = redisConnect(host, ntohs(redis->in.sin_port));
	if (c == NULL || c->err)
		lost(c, NULL);
	return c;
}

redisReply *
bare_reply(redisContext *c)
{
	void *reply = NULL;

	if (redisGetReply(c, &reply) != REDIS_OK)
		lost(c, NULL);
	if (((redisReply *)reply)->type == REDIS_REPLY_ERROR)
		lost(c, ((redisReply *)reply)->str);
	return reply;
}

void
bare_flush(redisContext *c)
{
	int done = 0;

	while (!done) {
		if (redisBufferWrite(c, &done) != REDIS_OK)
			lost(c, NULL);
	}
}

static void
run_command(redisContext *c, const char *command)
{
	if (redisAppendCommand(c, command) != REDIS_OK)
		lost(c, NULL);
	freeReplyObject(bare_reply(c));
}

void
bare_reset(redisContext *c)
{
	char command[64];

	run_command(c, "DEL " BARE_REQUESTS);
	for (unsigned pod = 0; pod < BARE_PODS_MAX; pod++) {
		snprintf(command, sizeof(command), "DEL " BARE_REPLIES "%u", pod);
		run_command(c, command);
	}
	run_command(c, "XGROUP CREATE " BARE_REQUESTS " " BARE_GROUP
	    " 0 MKSTREAM");
}

/* The worker --------------------------------------------------------------- */

/* A command under construction. */
struct command {
	const char *argv[16 + 8 * BARE_BATCH];
	size_t len[16 + 8 * BARE_BATCH];
	int argc;
};

struct run {
	const struct bare_worker *options;
	redisContext *c;
	uint64_t answered;
	char last_session[40];
	struct strbuf text[BARE_BATCH];     /* the batch's answers */
	struct command xadd[BARE_PODS_MAX]; /* argc 0: no answer for that pod */
	char inbox[BARE_PODS_MAX][24];      /* key names */
	struct command xack, xdel;
};

static void
put(struct command *cmd, const char *p, size_t n)
{
	cmd->argv[cmd->argc] = p;
	cmd->len[cmd->argc++] = n;
}

static void
put_str(struct command *cmd, const char *s)
{
	put(cmd, s, strlen(s));
}

static void
append(redisContext *c, struct command *cmd)
{
	if (redisAppendCommandArgv(c, cmd->argc, cmd->argv, cmd->len) != REDIS_OK)
		lost(c, NULL);
}

/* What follows mark, up to end; the load generator's messages are all alike. */
static struct slice
cut(const redisReply *payload, const char *mark, char end)
{
	size_t n = strlen(mark);
	const char *from = memmem(payload->str, (size_t)payload->len, mark, n);
	const char *to;

	if (from == NULL)
		lost(NULL, "a request that is not the load generator's");
	from += n;
	to = memchr(from, end, (size_t)(payload->str + payload->len - from));
	return slice_of(from, to ? (size_t)(to - from) : 0);
}

static void
write_answer(struct strbuf *out, const redisReply *payload,
    enum bare_fault fault)
{
	strbuf_reset(out);
	strbuf_add_str(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	if (fault == BARE_ID)
		strbuf_add_char(out, '9');
	strbuf_add_slice(out, cut(payload, "\"id\":", ','));
	strbuf_add_str(out, ",\"result\":{\"content\":[{\"type\":\"text\","
	    "\"text\":\"");
	strbuf_add_slice(out, cut(payload, "\"text\":\"", '"'));
	if (fault == BARE_CONTENT)
		out->p[out->n - 1] ^= 1;
	strbuf_add_str(out, "\"}]}}");
}

static void
put_answer(struct command *cmd, const char *session, const struct strbuf *text)
{
	put_str(cmd, "s");
	put_str(cmd, session);
	put_str(cmd, "p");
	put(cmd, text->p, text->n);
}

/* One entry: [id, [s, session, r, pod, p, payload]]. */
static void
take_entry(struct run *run, size_t i, const redisReply *entry)
{
	redisReply **fields = entry->element[1]->element;
	unsigned pod = (unsigned)(fields[3]->str[0] - '0') % BARE_PODS_MAX;
	struct command *xadd = &run->xadd[pod];
	const char *session = fields[1]->str;
	enum bare_fault fault = BARE_RIGHT;

	if (run->options->fault != BARE_RIGHT &&
	    ++run->answered % run->options->fault_every == 0)
		fault = run->options->fault;
	if (xadd->argc == 0) {
		put_str(xadd, "XADD");
		put_str(xadd, run->inbox[pod]);
		put_str(xadd, "MAXLEN");
		put_str(xadd, "~");
		put_str(xadd, INBOX_KEPT);
		put_str(xadd, "*");
	}
	write_answer(&run->text[i], fields[5], fault);
	if (fault == BARE_SESSION && run->last_session[0] != '\0')
		session = run->last_session;
	for (int n = fault == BARE_DROP ? 0 : fault == BARE_TWICE ? 2 : 1; n > 0;
	    n--)
		put_answer(xadd, session, &run->text[i]);
	put(&run->xack, entry->element[0]->str, (size_t)entry->element[0]->len);
	put(&run->xdel, entry->element[0]->str, (size_t)entry->element[0]->len);
}

static void
begin_batch(struct run *run)
{
	for (unsigned pod = 0; pod < BARE_PODS_MAX; pod++)
		run->xadd[pod].argc = 0;
	run->xack.argc = run->xdel.argc = 0;
	put_str(&run->xack, "XACK");
	put_str(&run->xack, BARE_REQUESTS);
	put_str(&run->xack, BARE_GROUP);
	put_str(&run->xdel, "XDEL");
	put_str(&run->xdel, BARE_REQUESTS);
}

/* Queues a batch's commands; returns how many. */
static unsigned
end_batch(struct run *run)
{
	unsigned commands = 2;

	for (unsigned pod = 0; pod < BARE_PODS_MAX; pod++) {
		/* A dropped answer can leave an XADD without fields. */
		if (run->xadd[pod].argc <= 6)
			continue;
		append(run->c, &run->xadd[pod]);
		commands++;
	}
	append(run->c, &run->xack);
	append(run->c, &run->xdel);
	return commands;
}

static unsigned
answer_batch(struct run *run, const redisReply *read)
{
	const redisReply *entries;
	unsigned commands;

	if (read->type != REDIS_REPLY_ARRAY || read->elements == 0)
		return 0;
	entries = read->element[0]->element[1];
	begin_batch(run);
	for (size_t i = 0; i < entries->elements; i++)
		take_entry(run, i, entries->element[i]);
	commands = end_batch(run);
	if (run->options->fault == BARE_SESSION)
		snprintf(run->last_session, sizeof(run->last_session), "%s",
		    entries->element[0]->element[1]->element[1]->str);
	return commands;
}

NORETURN static void
work(const struct bare_worker *options)
{
	static struct run run;
	redisReply *read = NULL;

	run.options = options;
	run.c = bare_connect(&options->redis);
	for (unsigned pod = 0; pod < BARE_PODS_MAX; pod++)
		snprintf(run.inbox[pod], sizeof(run.inbox[pod]),
		    BARE_REPLIES "%u", pod);
	for (size_t i = 0; i < BARE_BATCH; i++)
		strbuf_init(&run.text[i], ANSWER_MAX_BYTES);
	for (;;) {
		unsigned commands = read ? answer_batch(&run, read) : 0;

		freeReplyObject(read);
		if (redisAppendCommand(run.c, "XREADGROUP GROUP " BARE_GROUP
		    " w COUNT %d BLOCK 0 STREAMS " BARE_REQUESTS " >",
		    BARE_BATCH) != REDIS_OK)
			lost(run.c, NULL);
		while (commands-- > 0)
			freeReplyObject(bare_reply(run.c));
		read = bare_reply(run.c);
	}
}

int
bare_fork(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid > 0)
		return pid;
	/* The parent may have ended before this was asked for. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(2);
	return 0;
}

int
bare_worker_fork(const struct bare_worker *worker)
{
	int pid = bare_fork();

	if (pid == 0)
		work(worker);
	return pid;
}
