/*
 * Header fields of a client's POST that workers get to see: those that the
 * operator lists (FORWARD_HEADERS), and never what a client shows this server to be
 * let in.
 */
#ifndef MCP_FORWARD_H
#define MCP_FORWARD_H

#include "common/strbuf.h"
#include "proxy/http_head.h"

/*
 * Whether a list (names, commas or blanks between) may be forwarded; else false
 * and a line that says which name may not. NULL is an empty list.
 */
bool forward_list_ok(const char *list, struct strbuf *errors) MUST_CHECK;
/*
 * Appends the listed fields of a request as lines "name: value", names in lower
 * case; a field that came more than once is ambiguous and left out.
 */
void forward_write(
    const char *list, const struct http_head *head, struct strbuf *sb);

#endif
