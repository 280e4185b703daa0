/*
 * Any bytes as a document. What JSON or YAML is read of is written as JSON, reads
 * again from that, and is written the same.
 */
#include <stdlib.h>

#include "tests/fuzz/must.h"
#include "worker/openapi/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aliases make more of a document than its bytes. */
#define WRITTEN_MAX ((size_t)1 << 20)

static struct document *
read_bytes(const void *p, size_t n, enum document_kind kind)
{
	struct strbuf error = STRBUF_INIT(1024);
	char *copy = malloc(n + 1);
	struct document *d;

	MUST(copy != NULL);
	if (n > 0)
		memcpy(copy, p, n);
	d = document_new("fuzz", copy, n, kind, &error);
	MUST((d == NULL) == (error.n > 0));
	strbuf_release(&error);
	return d;
}

static void
look_up_all(const struct node *node, unsigned depth)
{
	MUST(depth <= 200);
	for (size_t i = 0; node_is(node, NODE_ARRAY) && i < node->n; i++)
		look_up_all(node_item(node, i), depth + 1);
	for (size_t i = 0; node_is(node, NODE_OBJECT) && i < node->n; i++) {
		const struct member *m = node_member(node, i);

		MUST(node_find(node, member_name(m)) == &m->value);
	}
	MUST(node_get(node, "\x01not there") == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strbuf first = STRBUF_INIT(WRITTEN_MAX);
	struct strbuf second = STRBUF_INIT(2 * WRITTEN_MAX);
	struct document *d = read_bytes(data, size, DOCUMENT_LENIENT), *again;

	document_free(read_bytes(data, size, DOCUMENT_STRICT));
	if (d != NULL) {
		look_up_all(d->root, 0);
		node_write(&first, d->root);
		if (strbuf_ok(&first) && (d->root->type == NODE_OBJECT ||
					     d->root->type == NODE_ARRAY)) {
			again = read_bytes(first.p, first.n, DOCUMENT_LENIENT);
			if (again != NULL) {
				node_write(&second, again->root);
				MUST(slice_eq(strbuf_slice(&first),
				    strbuf_slice(&second)));
			}
			document_free(again);
		}
	}
	document_free(d);
	strbuf_release(&first);
	strbuf_release(&second);
	return 0;
}
