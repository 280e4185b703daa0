/*
 * What an MCP server may write on its standard output: any bytes, in pieces as the
 * first of them say. Lines are the same however they are cut into pieces, none is
 * longer than its cap, and of each message what is passed on lies within it.
 */
#include <stdlib.h>

#include "common/jsonrpc.h"
#include "common/raw.h"
#include "tests/fuzz/must.h"
#include "worker/stdio/lines.h"
#include "worker/stdio/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CAP ((size_t)1024)

struct sum {
	uint64_t hash;       /* FNV-1a of all lines */
	size_t count;
};

static void
require_within(struct slice part, struct slice whole)
{
	MUST(part.p == NULL || (part.p >= whole.p &&
	    part.p + part.n <= whole.p + whole.n));
}

/* Every value down to some depth; a valid message is walked to its end. */
static size_t
walk(struct slice value, unsigned depth)
{
	struct slice name, part;
	struct raw_walk w;
	size_t n = 0;
	bool object;

	if (depth == 0 || !raw_enter(value, &w))
		return 1;
	object = w.p[-1] == '{';
	while (object ? raw_member(&w, &name, &part) :
	    raw_item(&w, &part)) {
		require_within(part, value);
		n += walk(part, depth - 1);
	}
	return n;
}

static void
look_into(struct slice line)
{
	struct jsonrpc_msg msg;
	struct slice id = raw_find(line, "id");

	require_within(id, line);
	walk(line, 8);
	if (jsonrpc_peek(line.p, line.n, &msg) != 0)
		return;
	MUST(slice_eq(id, msg.id));
	if (msg.params.n > 0)
		MUST(slice_eq(raw_find(line, "params"), msg.params));
	if (msg.result.n > 0)
		MUST(slice_eq(raw_find(line, "result"), msg.result));
	free(text_copy(raw_find(msg.params, "message")));
}

static void
on_line(struct slice line, bool cut, void *arg)
{
	struct sum *sum = arg;

	MUST(line.n > 0 && line.n <= CAP);
	MUST(memchr(line.p, '\n', line.n) == NULL);
	MUST(!cut || line.n <= 2 * LINES_END);
	for (size_t i = 0; i < line.n; i++)
		sum->hash = (sum->hash ^ (unsigned char)line.p[i]) *
		    0x100000001b3;
	sum->hash = (sum->hash ^ 256 ^ cut) * 0x100000001b3;
	sum->count++;
	look_into(line);
}

static struct sum
feed(struct slice bytes, size_t piece)
{
	struct sum sum = { 0xcbf29ce484222325, 0 };
	struct lines l;

	lines_init(&l, CAP);
	for (size_t at = 0; at < bytes.n; at += piece)
		lines_feed(&l, slice_of(bytes.p + at, bytes.n - at < piece ?
		    bytes.n - at : piece), on_line, &sum);
	lines_finish(&l, on_line, &sum);
	lines_release(&l);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	struct sum whole, pieces;

	if (size == 0)
		return 0;
	whole = feed(bytes, size);
	pieces = feed(bytes, 1 + data[0] % 64);
	MUST(whole.hash == pieces.hash && whole.count == pieces.count);
	return 0;
}
