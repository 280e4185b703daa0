#include "worker/openapi/arena.h"

#include <stdlib.h>

#include "common/xalloc.h"

/* Large enough that malloc gives it pages of its own, and takes them back. */
#define BLOCK_BYTES ((size_t)256 << 10)
#define ALIGN _Alignof(max_align_t)

struct arena_block {
	struct arena_block *older;
	_Alignas(max_align_t) char bytes[];
};

static void
add_block(struct arena *a, size_t n)
{
	size_t room = n > BLOCK_BYTES ? n : BLOCK_BYTES;
	struct arena_block *block = xmalloc(sizeof(*block) + room);

	block->older = a->blocks;
	a->blocks = block;
	a->next = block->bytes;
	a->left = room;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	char *p;

	n = (n + ALIGN - 1) / ALIGN * ALIGN;
	if (n > a->left)
		add_block(a, n);
	p = a->next;
	a->next += n;
	a->left -= n;
	return memset(p, 0, n);
}

char *
arena_dup(struct arena *a, struct slice s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

void
arena_release(struct arena *a)
{
	struct arena_block *block;

	while ((block = a->blocks) != NULL) {
		a->blocks = block->older;
		free(block);
	}
	*a = (struct arena){ .blocks = NULL };
}
