/*
 * What is sent, and whether an answer is the right one to it.
 *
 * Each call's text names its session and its number and is padded with bytes
 * that depend on both, so that no two calls of a run carry the same text.
 */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include "common/compiler.h"
#include "common/strbuf.h"
#include "tests/bench/load/errors.h"

#define MESSAGE_TEXT_MIN 32
#define MESSAGE_TEXT_MAX 1000000

/* The id of every session's initialize request; calls count up from 1. */
#define MESSAGE_INITIALIZE_ID 0

void message_initialize(struct strbuf *out);
void message_initialized(struct strbuf *out);
void message_call(struct strbuf *out, const char *tool, const char *arg_name,
    unsigned session, uint64_t id, size_t size);

/* The parts of a JSON-RPC message that came in, as raw JSON. */
struct message {
	bool has_id;
	uint64_t id;
	struct slice result;  /* p == NULL: none */
	struct slice error;   /* p == NULL: none */
};

/* LOAD_BAD_MESSAGE unless it is a JSON-RPC 2.0 message of some kind. */
enum load_error message_read(struct slice data, struct message *out) MUST_CHECK;
/* Is it the right answer to initialize? */
enum load_error message_check_initialize(const struct message *m) MUST_CHECK;
/* Is it the right answer to the call that session sent under m->id? */
enum load_error message_check_call(const struct message *m, unsigned session,
    size_t size) MUST_CHECK;
/*
 * Says what an answer is that nobody waits for on that session: another
 * session's, a second one, or to an id beyond the last one sent.
 */
enum load_error message_classify(const struct message *m, unsigned session,
    uint64_t next_id) MUST_CHECK;

#endif
