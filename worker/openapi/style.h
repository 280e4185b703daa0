/*
 * Values as text in a path, a query, a header, a cookie or a form: the styles of
 * OpenAPI 3.1 (section 4.8.12.3), which are those of RFC 6570, with deepObject
 * and Swagger's delimiters. Everything but unreserved characters is
 * percent-encoded (RFC 3986, section 2.3), headers excepted.
 */
#ifndef MCP_OPENAPI_STYLE_H
#define MCP_OPENAPI_STYLE_H

#include "worker/openapi/operation.h"

/* Appends text percent-encoded. */
void style_encode(struct strbuf *sb, struct slice text);
/* Appends a value as one piece of plain text: JSON unless it is a scalar. */
void style_plain(struct strbuf *sb, const cJSON *value);

/* A path parameter's value. */
void style_path(
    struct strbuf *sb, const struct parameter *p, const cJSON *value);
/*
 * Appends name=value, once or more often, each with separator before it unless sb
 * is empty. For queries and forms "&", for cookies "; ".
 */
void style_pairs(struct strbuf *sb, const struct parameter *p,
    const cJSON *value, const char *separator);
/* A header's value, not encoded. */
void style_header(
    struct strbuf *sb, const struct parameter *p, const cJSON *value);

#endif
