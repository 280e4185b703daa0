/*
 * A secret in a file, as Kubernetes mounts them: its content without the last
 * line end. It is read again when the file has changed. Never logged.
 */
#ifndef MCP_OPENAPI_SECRET_H
#define MCP_OPENAPI_SECRET_H

#include "common/compiler.h"
#include "common/strbuf.h"

struct secret;

/* NULL and the reason when it cannot be read or is none; see secret_get(). */
struct secret *secret_open(const char *path, struct strbuf *error) MUST_CHECK;
void secret_free(struct secret *s);
/*
 * One line of printable characters; borrowed, until the next call. When the file
 * is gone or wrong by now, what it was.
 */
const char *secret_get(struct secret *s);

#endif
