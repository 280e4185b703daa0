/*
 * URI templates (RFC 6570) the other way round: does a URI come from a template,
 * and with which variables? Known are "{x}", one or more characters but "/", "?"
 * and "#", and "{+x}", one or more of any. A variable ends where what follows it
 * in the template first begins; so a template is matched in one pass.
 */
#ifndef MCP_URI_TEMPLATE_H
#define MCP_URI_TEMPLATE_H

#include "common/compiler.h"

#define URI_VARIABLES_MAX 16
/* Longer ones come from no template. */
#define URI_LENGTH_MAX 2048

struct uri_variable {
	struct slice name;    /* in the template */
	struct slice value;   /* in the URI, percent-encoded as it is there */
};

/* Is it one? Two variables side by side are not: where would one end? */
bool uri_template_ok(const char *uri_template) MUST_CHECK;
/*
 * Does uri match? Sets *count variables, which borrow from both; a template that
 * is not OK matches nothing.
 */
bool uri_template_match(const char *uri_template, struct slice uri,
    struct uri_variable out[static URI_VARIABLES_MAX],
    size_t *count) MUST_CHECK;

/*
 * May uri come from a template that somebody else takes apart? All of RFC 6570 is
 * known here, and read as servers' frameworks do ("{x*}" is one or more characters
 * of any, not a list); in doubt it may. Whatever matches is covered, too. Takes
 * time in proportion to both lengths.
 */
bool uri_template_covers(const char *uri_template,
    struct slice uri) MUST_CHECK;

#endif
