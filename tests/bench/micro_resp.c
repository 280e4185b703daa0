/*
 * What RESP costs, beside hiredis's own functions, in nanoseconds:
 *
 * - writing a call on its way to a worker (23 arguments, 200 bytes of payload)
 *   into the buffer that a connection sends once per turn of its loop;
 * - reading 64 such calls from an answer to XREADGROUP, in portions of a socket.
 *
 * Both sides take turns, and the fastest round of each counts: noise only adds.
 *
 *	micro_resp [rounds]
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/resp.h"
#include "common/resp_reader.h"
#include "common/strbuf.h"

#define DEFAULT_ROUNDS 40
#define MAX_ROUNDS 10000
#define CALLS 12800
#define PER_TURN 64
#define PAYLOAD_BYTES 200
#define SOCKET_READ_BYTES 4096

struct sample {
	struct env_keybuf key;
	char payload[PAYLOAD_BYTES];
	struct env_request_argv request;
	size_t argc;
	const char *words[ENV_REQUEST_ARGC];
	size_t lengths[ENV_REQUEST_ARGC];
	struct strbuf reply;   /* what XREADGROUP answers */
};

/* Sample ---------------------------------------------------------------- */

static void
add_bulk(struct strbuf *sb, struct slice s)
{
	strbuf_addf(sb, "$%zu\r\n", s.n);
	strbuf_add_slice(sb, s);
	strbuf_add_str(sb, "\r\n");
}

static void
make_request(struct sample *s)
{
	const struct env_request request = {
		.call = SLICE("0123456789abcdef0123456789abcdef"),
		.session = SLICE("fedcba9876543210fedcba9876543210"),
		.user = SLICE("00112233445566778899aabbccddeeff"),
		.method = SLICE("tools/call"),
		.tool = SLICE("add"),
		.reply_to = SLICE("proxy-6d5f7c9b8d-x2x4z:0:1a2b3c"),
		.deadline_ms = 1790000000000,
		.attempt = 1,
		.payload = slice_of(s->payload, PAYLOAD_BYTES),
	};

	memset(s->payload, 'x', PAYLOAD_BYTES);
	s->argc = env_request_xadd(&s->request,
	    env_key(&s->key, ENV_REQUESTS, SLICE("calculator")), &request);
	for (size_t i = 0; i < s->argc; i++) {
		struct slice arg = s->request.argv[i];

		s->words[i] = arg.n > 0 ? arg.p : "";
		s->lengths[i] = arg.n;
	}
}

static void
make_reply(struct sample *s)
{
	struct strbuf *sb = &s->reply;

	strbuf_init(sb, 1 << 20);
	strbuf_add_str(sb, "*1\r\n*2\r\n");
	add_bulk(sb, s->request.argv[1]);
	strbuf_addf(sb, "*%d\r\n", PER_TURN);
	for (unsigned i = 0; i < PER_TURN; i++) {
		strbuf_add_str(sb, "*2\r\n");
		add_bulk(sb, SLICE("1790000000000-0"));
		strbuf_addf(sb, "*%zu\r\n", s->argc - 3);
		for (size_t a = 3; a < s->argc; a++)
			add_bulk(sb, s->request.argv[a]);
	}
}

/* Contestants; each handles PER_TURN calls ---------------------------------- */

typedef void contestant(const struct sample *s, void *state);

static void
write_resp(const struct sample *s, void *state)
{
	const struct slice *argv = s->request.argv;
	struct strbuf *out = state;

	strbuf_reset(out);
	for (unsigned i = 0; i < PER_TURN; i++) {
		char *to = strbuf_reserve(out,
		    resp_command_bound(argv, s->argc));

		if (to == NULL)
			abort();
		out->n = (size_t)(resp_command_write(to, argv, s->argc) -
		    out->p);
	}
}

static void
write_hiredis(const struct sample *s, void *state)
{
	struct strbuf *out = state;

	strbuf_reset(out);
	for (unsigned i = 0; i < PER_TURN; i++) {
		char *bytes;
		int n = redisFormatCommandArgv(&bytes, (int)s->argc,
		    (const char **)s->words, s->lengths);

		if (n < 0)
			abort();
		strbuf_add(out, bytes, (size_t)n);
		redisFreeCommand(bytes);
	}
}

static size_t
portion(const struct sample *s, size_t at)
{
	size_t left = s->reply.n - at;

	return left < SOCKET_READ_BYTES ? left : SOCKET_READ_BYTES;
}

static void
read_resp(const struct sample *s, void *state)
{
	const redisReply *reply = NULL;

	for (size_t at = 0; at < s->reply.n; at += SOCKET_READ_BYTES) {
		resp_reader_feed(state, s->reply.p + at, portion(s, at));
		reply = resp_reader_next(state);
	}
	if (env_stream_entries(reply) == NULL)
		abort();
}

static void
read_hiredis(const struct sample *s, void *state)
{
	void *reply = NULL;

	for (size_t at = 0; at < s->reply.n; at += SOCKET_READ_BYTES) {
		redisReaderFeed(state, s->reply.p + at, portion(s, at));
		redisReaderGetReply(state, &reply);
	}
	if (env_stream_entries(reply) == NULL)
		abort();
	freeReplyObject(reply);
}

/* Rounds ---------------------------------------------------------------- */

struct entry {
	const char *name;
	contestant *run;
	void *state;
	double best_ns;   /* per call */
};

static void
run_round(const struct sample *s, struct entry *e)
{
	uint64_t start_us = clock_mono_us();
	double ns;

	for (unsigned i = 0; i < CALLS / PER_TURN; i++)
		e->run(s, e->state);
	ns = (double)(clock_mono_us() - start_us) * 1000 / CALLS;
	if (ns < e->best_ns)
		e->best_ns = ns;
}

int
main(int argc, char **argv)
{
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : DEFAULT_ROUNDS;
	struct strbuf out = STRBUF_INIT(1 << 20);
	static struct sample s;
	struct entry entries[] = {
		{ "write, common/resp", write_resp, &out, 1e9 },
		{ "write, redisFormatCommandArgv", write_hiredis, &out, 1e9 },
		{ "read, common/resp_reader", read_resp, resp_reader_new(), 1e9 },
		{ "read, redisReader", read_hiredis, redisReaderCreate(), 1e9 },
	};

	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: micro_resp [rounds, 1 to %d]\n", MAX_ROUNDS);
		return EXIT_FAILURE;
	}
	make_request(&s);
	make_reply(&s);
	for (long round = 0; round < rounds; round++) {
		for (size_t i = 0; i < ARRAY_LEN(entries); i++)
			run_round(&s, &entries[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		printf("%-32s %7.0f ns per call\n", entries[i].name,
		    entries[i].best_ns);
	strbuf_release(&out);
	strbuf_release(&s.reply);
	resp_reader_free(entries[2].state);
	redisReaderFree(entries[3].state);
	return EXIT_SUCCESS;
}
