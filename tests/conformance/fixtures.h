/* What MCP's official conformance suite expects of a server. */
#ifndef MCP_CONFORMANCE_FIXTURES_H
#define MCP_CONFORMANCE_FIXTURES_H

#include "worker/runtime/tool.h"

/* Each ended by a row without a name. */
extern const struct tool fixture_tools[];
extern const struct resource fixture_resources[];
extern const struct resource_template fixture_templates[];
extern const struct prompt fixture_prompts[];

extern const struct slice fixture_png;

/* Tools: the watched resource changes; the lists change. */
void fixture_touch(struct call *call, const cJSON *args);
void fixture_change_lists(struct call *call, const cJSON *args);

#endif
