/* What MCP's official conformance suite expects of a server. */
#ifndef MCP_CONFORMANCE_FIXTURES_H
#define MCP_CONFORMANCE_FIXTURES_H

#include "worker/runtime/tool.h"

/* Ended by a NULL name. */
extern const struct tool fixture_tools[];

#endif
