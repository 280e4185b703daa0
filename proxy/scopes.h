/*
 * What a principal may do: a set of scopes.
 *
 *	*                 everything
 *	calculator        every tool of an API
 *	calculator:add    one tool of it
 *
 * Any other word is kept and means nothing here ("openid", "admin": who asks
 * for it finds it). Shared by reference within one event loop. A NULL stands for
 * somebody whom nothing was ever restricted for: it allows everything.
 */
#ifndef MCP_SCOPES_H
#define MCP_SCOPES_H

#include "common/compiler.h"

/* Bytes of all scopes of one principal; further ones are not granted. */
#define SCOPES_TEXT_MAX 4096

struct scopes;

/*
 * From scopes separated by blanks (RFC 6749, section 3.3); words with other
 * characters than that allows are left out. The caller holds one reference.
 */
struct scopes *scopes_new(struct slice text) MUST_CHECK;
struct scopes *scopes_ref(struct scopes *s);
void scopes_unref(struct scopes *s);

bool scopes_allow(const struct scopes *s, const char *api, const char *tool);
/* Is the word itself among them (or "*")? */
bool scopes_have(const struct scopes *s, struct slice word);
/* Is the word there by its own name? "*" and nobody's restriction do not count. */
bool scopes_name(const struct scopes *s, struct slice word);
/* All of them, separated by single blanks. */
struct slice scopes_text(const struct scopes *s);

#endif
