/* The settings of an API that is described by OpenAPI. */
#ifndef MCP_OPENAPI_SETTINGS_H
#define MCP_OPENAPI_SETTINGS_H

#include "worker/runtime/upstream.h"

struct openapi_settings {
	char *spec;          /* file or URL */
	char *overlay;       /* file */
	size_t max_spec;     /* bytes, files that it refers to likewise */
	size_t max_response; /* bytes, where the overlay says nothing */
	struct upstream_settings upstream;
};

#endif
