/*
 * --check: what a description and an overlay would serve, told to an operator.
 */
#ifndef MCP_OPENAPI_LINT_H
#define MCP_OPENAPI_LINT_H

#include "worker/openapi/settings.h"

/* Of struct openapi_settings; the status to exit with: 0 when all is well. */
int lint_print(const void *settings);

#endif
