/*
 * The documents of one description, and the references between them ($ref).
 *
 * A reference is followed when somebody asks, never before: large descriptions
 * have tens of thousands. It may point into its own document (#/a/b, a JSON
 * pointer of RFC 6901) or into a file beside the description or below it; never
 * out of that directory, and never to another host.
 */
#ifndef MCP_OPENAPI_REFS_H
#define MCP_OPENAPI_REFS_H

#include "worker/openapi/document.h"

struct refs;

/* A node, and the document whose references it holds. */
struct place {
	const struct document *document;
	const struct node *node; /* NULL: there is nothing */
};

/*
 * directory: where the root document lies, NULL when it came from elsewhere and
 * has no files beside it. max: bytes of all files that it refers to together.
 */
struct refs *refs_new(
    struct document *take_root, const char *directory, size_t max) MUST_CHECK;
void refs_free(struct refs *r);
struct place refs_root(const struct refs *r);

/*
 * If *at is an object with a $ref, moves it there, and on while that is one too.
 * False and the reason when it leads nowhere, in a circle or outside: *at is
 * unchanged. What is not a reference stays and is fine, nothing included.
 */
bool refs_follow(
    struct refs *r, struct place *at, struct strbuf *error) MUST_CHECK;

/* The member of that name; a place without node when there is none. */
struct place place_get(struct place at, const char *name);
/* The same, with its reference followed; one that leads nowhere is nothing. */
struct place refs_get(struct refs *r, struct place at, const char *name);
/* The element of that number, likewise. */
struct place refs_item(struct refs *r, struct place at, size_t i);

#endif
