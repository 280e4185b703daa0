/*
 * What a Redis server sends: through the reader of replies, and what comes out
 * through the decoders of common/envelope.h, whatever its shape. However the
 * bytes are cut, the same replies come out, and the same end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/envelope.h"
#include "common/resp_reader.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out of one run over the input. */
struct outcome {
	size_t replies;
	uint64_t digest;   /* FNV-1a over types, numbers and bytes, in order */
	bool refused;
};

static void
mix(struct outcome *o, const void *p, size_t n)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < n; i++)
		o->digest = (o->digest ^ bytes[i]) * 0x100000001b3;
}

/* Reads every byte of a reply, so that the sanitizers look at each. */
static void
mix_reply(struct outcome *o, const redisReply *reply)
{
	mix(o, &reply->type, sizeof(reply->type));
	mix(o, &reply->integer, sizeof(reply->integer));
	if (reply->str != NULL) {
		MUST(reply->str[reply->len] == '\0');
		mix(o, reply->str, reply->len);
	}
	mix(o, &reply->elements, sizeof(reply->elements));
	for (size_t i = 0; i < reply->elements; i++)
		mix_reply(o, reply->element[i]);
}

static void
mix_slice(struct outcome *o, struct slice s)
{
	mix(o, &s.n, sizeof(s.n));
	mix(o, s.p, s.n);
}

static void
decode_messages(struct outcome *o, const redisReply *fields)
{
	struct env_message m;
	unsigned malformed = 0;
	size_t at = 0;
	size_t messages = 0;

	while (env_message_next(fields, &at, &m, &malformed)) {
		MUST(++messages <= fields->elements);
		mix_slice(o, m.call);
		mix_slice(o, m.session);
		mix_slice(o, m.attempt);
		mix_slice(o, m.payload);
	}
	MUST(malformed <= fields->elements);
	mix(o, &malformed, sizeof(malformed));
}

static void
decode_request(struct outcome *o, const redisReply *fields)
{
	struct env_request q;

	if (!env_request_read(fields, &q))
		return;
	mix_slice(o, q.call);
	mix_slice(o, q.session);
	mix_slice(o, q.user);
	mix_slice(o, q.method);
	mix_slice(o, q.tool);
	mix_slice(o, q.reply_to);
	mix_slice(o, q.traceparent);
	mix_slice(o, q.payload);
	mix(o, &q.deadline_ms, sizeof(q.deadline_ms));
	mix(o, &q.attempt, sizeof(q.attempt));
}

static void
decode_fields(struct outcome *o, const redisReply *fields)
{
	decode_messages(o, fields);
	decode_request(o, fields);
	mix_slice(o, env_field(fields, "payload"));
}

static void
decode_entries(struct outcome *o, const redisReply *entries)
{
	struct env_entry entry;

	for (size_t i = 0; i < entries->elements; i++) {
		if (!env_entry_at(entries, i, &entry))
			continue;
		mix_slice(o, entry.id);
		if (entry.fields != NULL)
			decode_fields(o, entry.fields);
	}
}

/* As an answer to XREAD, to XRANGE and to HGETALL: a server may send any. */
static void
decode_reply(struct outcome *o, const redisReply *reply)
{
	const redisReply *entries = env_stream_entries(reply);

	if (entries != NULL)
		decode_entries(o, entries);
	decode_entries(o, reply);
	decode_fields(o, reply);
}

/* Pieces of n bytes; all at once when n is 0. */
static struct outcome
run(const char *p, size_t size, size_t n)
{
	struct outcome o = { 0, 0xcbf29ce484222325, false };
	struct resp_reader *rr = resp_reader_new();
	const redisReply *reply;

	if (n == 0)
		n = size;
	for (size_t at = 0; at < size; at += n) {
		resp_reader_feed(rr, p + at, n < size - at ? n : size - at);
		while ((reply = resp_reader_next(rr)) != NULL) {
			o.replies++;
			mix_reply(&o, reply);
			decode_reply(&o, reply);
		}
	}
	o.refused = resp_reader_error(rr) != NULL;
	resp_reader_free(rr);
	return o;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1, 2, 7, 61 };
	const char *p = (const char *)data;
	struct outcome whole = run(p, size, 0);

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct outcome cut = run(p, size, pieces[i]);

		MUST(cut.replies == whole.replies);
		MUST(cut.digest == whole.digest);
		MUST(cut.refused == whole.refused);
	}
	return 0;
}
