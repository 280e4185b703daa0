/*
 * What the operator has decided about single tools: which may run again, how many
 * at once, how long. Where he says nothing, the tool's author has spoken.
 */
#ifndef MCP_WORKER_POLICY_H
#define MCP_WORKER_POLICY_H

#include "common/strbuf.h"
#include "worker/runtime/tool.h"

struct policy;

/* Settings as text, NULL: none. */
struct policy_options {
	const char *safe_tools;     /* "a,b" */
	const char *unsafe_tools;
	const char *concurrency;    /* "a=2,b=10" */
	const char *timeouts;       /* "a=150", in seconds */
};

/* NULL and a line per problem, each naming its setting, in errors. */
struct policy *policy_new(const struct policy_options *options,
    struct strbuf *errors) MUST_CHECK;
void policy_free(struct policy *p);

/* p may be NULL: nothing is decided. */
/* Logs names of the settings that none of the tools has: typing errors, mostly. */
void policy_warn_unknown(const struct policy *p, const struct tool *tools);
/* May the tool run again after a worker died on it? */
bool policy_safe(const struct policy *p, const struct tool *tool);
/* Has the operator said so, or the contrary? */
bool policy_overrides_safe(const struct policy *p, const struct tool *tool);
/* Calls of the tool at once, 0: any number. */
unsigned policy_max_running(const struct policy *p, const struct tool *tool);
/* Time for a call from its queueing on, 0: what the proxies give each call. */
unsigned policy_timeout_ms(const struct policy *p, const struct tool *tool);

#endif
