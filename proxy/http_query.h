/*
 * Query parameters of a request target (http_head.h's query slice).
 */
#ifndef MCP_HTTP_QUERY_H
#define MCP_HTTP_QUERY_H

#include "common/compiler.h"

/*
 * Copies the value of a query parameter, decoded as forms are (%XX, and '+' for
 * a blank), into buf with a NUL and returns its length; -1 when it is absent,
 * given twice, longer than size - 1, badly encoded, or holds a control
 * character; buf is unspecified then. Names are compared decoded, with case.
 */
int http_query_param(struct slice query, const char *name, char *buf, size_t size) MUST_CHECK;

#endif
