/*
 * One document, a description or an overlay: its text read into a tree, which
 * lives as long as the document.
 */
#ifndef MCP_OPENAPI_DOCUMENT_H
#define MCP_OPENAPI_DOCUMENT_H

#include "worker/openapi/node.h"

struct document {
	char *name; /* its path or URL, for messages */
	const struct node *root;
	size_t size; /* bytes of its text */
	/* document's own */
	struct node value;
	struct arena arena;
	char *text;
};

enum document_kind {
	DOCUMENT_LENIENT, /* as others wrote it: the last of two names counts */
	DOCUMENT_STRICT /* as our users write it: two of a name are a mistake */
};

/*
 * Reads n bytes of text, which begins with { or [ for JSON, else is YAML; it is
 * taken, and freed in any case. NULL and a line that begins with "name:line: " or
 * "name: " appended to *error.
 */
struct document *document_new(const char *name, char *take_text, size_t n,
    enum document_kind kind, struct strbuf *error) MUST_CHECK;
/* Reads a regular file of at most max bytes. */
struct document *document_open(const char *path, size_t max,
    enum document_kind kind, struct strbuf *error) MUST_CHECK;
void document_free(struct document *d);

#endif
