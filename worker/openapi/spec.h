/*
 * A description of an API: Swagger 2.0, OpenAPI 3.0 or 3.1 (3.2 read as 3.1).
 * Its operations, as far as choosing among them takes; operation.h has the rest.
 */
#ifndef MCP_OPENAPI_SPEC_H
#define MCP_OPENAPI_SPEC_H

#include "worker/openapi/operation.h"
#include "worker/openapi/refs.h"

enum spec_version {
	SPEC_2, /* Swagger 2.0 */
	SPEC_3_0,
	SPEC_3_1
};

struct spec {
	enum spec_version version;
	const char *title; /* "" without one */
	struct refs *refs;
	struct place root;
	struct operation *operations;
	size_t operation_count;
	/* spec's own */
	struct arena arena;
};

/*
 * Takes the documents, also when it fails: NULL and the reason, because it is no
 * description of these versions. Operations that are not as they should be say
 * so themselves (operation->skipped).
 */
struct spec *spec_new(struct refs *take_refs, struct strbuf *error) MUST_CHECK;
void spec_free(struct spec *s);

/*
 * Reads a description: from that file, or what came from that URL.
 * max: bytes of the file and of those it refers to.
 */
struct spec *spec_open(
    const char *path, size_t max, struct strbuf *error) MUST_CHECK;
struct spec *spec_of_text(const char *url, char *take_text, size_t n,
    struct strbuf *error) MUST_CHECK;

#endif
