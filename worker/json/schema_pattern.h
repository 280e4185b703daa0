/*
 * Regular expressions of schemas: ECMA-262's, as far as PCRE2 reads them so. Its
 * \d, \w and \s are those of ASCII.
 *
 * An expression that backtracks without end cannot hold up a worker: each of
 * PCRE2's steps is taken from those of the check (schema_private.h).
 */
#ifndef MCP_WORKER_SCHEMA_PATTERN_H
#define MCP_WORKER_SCHEMA_PATTERN_H

#include "worker/json/schema_private.h"

struct pattern;

/* Never NULL: what is no expression matches UNSURE. */
struct pattern *pattern_new(const char *text) MUST_CHECK;
void pattern_free(struct pattern *p);
const char *pattern_text(const struct pattern *p);
/* Does it match anywhere in the subject? */
enum verdict pattern_match(struct check *c, const struct pattern *p,
    const char *subject) MUST_CHECK;
/* What a check keeps for its matches; NULL is allowed. */
void pattern_match_free(struct pattern_match *m);

#endif
