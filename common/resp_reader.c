#include "common/resp_reader.h"

#include <stdalign.h>
#include <stdlib.h>

#include "common/xalloc.h"

/* Arena ----------------------------------------------------------------- */

/* Holds a batch of 64 queue entries of ordinary size. */
#define FIRST_BLOCK_BYTES ((size_t)64 << 10)
#define BLOCK_BYTES ((size_t)256 << 10)

struct block {
	struct block *next;
	size_t cap;
	alignas(max_align_t) char bytes[];
};

/* The first block stays for the next reply, the others go with this one. */
struct arena {
	struct block *first;    /* NULL together with current */
	struct block *current;
	size_t used;    /* bytes of current */
	size_t total;   /* bytes handed out since the last reset */
};

static bool
arena_add_block(struct arena *a, size_t n)
{
	size_t cap = a->current == NULL ? FIRST_BLOCK_BYTES : BLOCK_BYTES;
	struct block *b;

	if (cap < n)
		cap = n;
	b = malloc(sizeof(*b) + cap);
	if (b == NULL)
		return false;
	b->next = NULL;
	b->cap = cap;
	if (a->current == NULL)
		a->first = b;
	else
		a->current->next = b;
	a->current = b;
	a->used = 0;
	return true;
}

static void *
arena_alloc(struct arena *a, size_t n)
{
	void *p;

	n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (n > RESP_REPLY_MAX_BYTES - a->total)
		return NULL;
	if ((a->current == NULL || n > a->current->cap - a->used) &&
	    !arena_add_block(a, n))
		return NULL;
	p = a->current->bytes + a->used;
	a->used += n;
	a->total += n;
	return p;
}

static void
free_blocks(struct block *b)
{
	while (b != NULL) {
		struct block *next = b->next;

		free(b);
		b = next;
	}
}

static void
arena_reset(struct arena *a)
{
	if (a->first == NULL)
		return;
	if (a->first->cap > FIRST_BLOCK_BYTES) {
		free_blocks(a->first);
		a->first = NULL;
	} else {
		free_blocks(a->first->next);
		a->first->next = NULL;
	}
	a->current = a->first;
	a->used = 0;
	a->total = 0;
}

/* Nodes, made as hiredis asks for them ------------------------------------ */

/* Hangs the node into its parent's array, where there is one. */
static redisReply *
node_new(const redisReadTask *task, size_t extra)
{
	redisReply *node = arena_alloc(task->privdata, sizeof(*node) + extra);

	if (node == NULL)
		return NULL;
	*node = (redisReply){ .type = task->type };
	if (task->parent != NULL) {
		redisReply *parent = task->parent->obj;

		parent->element[task->idx] = node;
	}
	return node;
}

static void *
create_string(const redisReadTask *task, char *p, size_t n)
{
	redisReply *node = node_new(task, n + 1);

	if (node == NULL)
		return NULL;
	node->str = (char *)(node + 1);
	memcpy(node->str, p, n);
	node->str[n] = '\0';
	node->len = n;
	return node;
}

/*
 * Elements are set one by one as they come, and nobody sees the array before
 * the last: it needs no zeroes.
 */
static void *
create_array(const redisReadTask *task, int count)
{
	size_t n = count > 0 ? (size_t)count : 0;
	redisReply *node;

	if (n > RESP_ARRAY_MAX)
		return NULL;
	node = node_new(task, n * sizeof(redisReply *));
	if (node == NULL)
		return NULL;
	node->elements = n;
	if (n > 0)
		node->element = (redisReply **)(node + 1);
	return node;
}

static void *
create_integer(const redisReadTask *task, long long value)
{
	redisReply *node = node_new(task, 0);

	if (node != NULL)
		node->integer = value;
	return node;
}

/* Its task still has the type of what turned out to be missing. */
static void *
create_nil(const redisReadTask *task)
{
	redisReply *node = node_new(task, 0);

	if (node != NULL)
		node->type = REDIS_REPLY_NIL;
	return node;
}

/* Nodes go with the arena. */
static void
free_object(void *node UNUSED)
{
}

static redisReplyObjectFunctions node_functions = {
	.createString = create_string,
	.createArray = create_array,
	.createInteger = create_integer,
	.createNil = create_nil,
	.freeObject = free_object,
};

/* Reader ---------------------------------------------------------------- */

/*
 * After more than this in one piece, the whole reader is made anew once it is
 * empty: hiredis gives its buffer back only when fed again, which may be long
 * after the burst.
 */
#define KEEP_BYTES ((size_t)128 << 10)

struct resp_reader {
	redisReader *reader;
	struct arena arena;
	const char *error;
	size_t peak;       /* most bytes that the reader held at once */
	bool arena_used;   /* by the reply handed out last */
};

static redisReader *
reader_new(struct resp_reader *rr)
{
	redisReader *reader = redisReaderCreateWithFunctions(&node_functions);

	if (reader == NULL)
		abort();
	reader->privdata = &rr->arena;
	reader->maxbuf = KEEP_BYTES;
	rr->peak = 0;
	return reader;
}

struct resp_reader *
resp_reader_new(void)
{
	struct resp_reader *rr = xcalloc(1, sizeof(*rr));

	rr->reader = reader_new(rr);
	return rr;
}

void
resp_reader_free(struct resp_reader *rr)
{
	if (rr == NULL)
		return;
	redisReaderFree(rr->reader);
	free_blocks(rr->arena.first);
	free(rr);
}

static void
fail(struct resp_reader *rr, const char *reason)
{
	if (rr->error == NULL)
		rr->error = reason;
}

/* What the peer can make it hold is memory of the peer's choice: bounded. */
void
resp_reader_feed(struct resp_reader *rr, const char *p, size_t n)
{
	redisReader *reader = rr->reader;

	if (rr->error != NULL || n == 0)
		return;
	if (n > RESP_REPLY_MAX_BYTES - (reader->len - reader->pos))
		fail(rr, "a reply is too long");
	else if (redisReaderFeed(reader, p, n) != REDIS_OK)
		fail(rr, redisReaderGetError(reader));
	else if (reader->len > rr->peak)
		rr->peak = reader->len;
}

static void
shrink_when_empty(struct resp_reader *rr)
{
	redisReader *reader = rr->reader;

	if (rr->peak <= KEEP_BYTES || reader->pos < reader->len ||
	    reader->ridx >= 0)
		return;
	redisReaderFree(reader);
	rr->reader = reader_new(rr);
}

const redisReply *
resp_reader_next(struct resp_reader *rr)
{
	void *reply = NULL;

	if (rr->error != NULL)
		return NULL;
	if (rr->arena_used) {
		arena_reset(&rr->arena);
		rr->arena_used = false;
	}
	if (redisReaderGetReply(rr->reader, &reply) != REDIS_OK) {
		fail(rr, rr->reader->err == REDIS_ERR_OOM ?
			"a reply is too large" :
			redisReaderGetError(rr->reader));
		return NULL;
	}
	rr->arena_used = reply != NULL;
	if (reply == NULL)
		shrink_when_empty(rr);
	return reply;
}

const char *
resp_reader_error(const struct resp_reader *rr)
{
	return rr->error;
}
