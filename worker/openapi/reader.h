/*
 * Reads the text of a document into a tree: JSON (RFC 8259, strictly, with or
 * without a byte order mark) and YAML (by libyaml, with the core schema of YAML
 * 1.2: yes, no and dates are strings; and with merge keys, "<<").
 *
 * Both refuse invalid UTF-8 and nesting deeper than READER_DEPTH_MAX.
 */
#ifndef MCP_OPENAPI_READER_H
#define MCP_OPENAPI_READER_H

#include "worker/openapi/node.h"

/* Deep enough for descriptions, and for those who walk the tree by recursion. */
#define READER_DEPTH_MAX 128

struct reading {
	struct arena *arena;  /* for the tree */
	bool unique;          /* a name given twice is an error */
	unsigned line;        /* of what is wrong, from 1 */
	struct strbuf *error; /* what is wrong, a line without its place */
};

/*
 * text is written over, and the tree's strings lie in it. False: see line and
 * error.
 */
bool json_read(
    struct reading *r, char *text, size_t n, struct node *root) MUST_CHECK;
/* The tree has copies; text is only read. */
bool yaml_read(struct reading *r, const char *text, size_t n,
    struct node *root) MUST_CHECK;

#endif
