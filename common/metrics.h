/*
 * Counters and gauges of one event loop, and their Prometheus text.
 *
 * A program declares an enum and a table with one row per metric. Each loop
 * owns one array of values that only its own thread writes; any thread may read
 * them (relaxed atomics: a scrape may be a few events behind, never torn).
 */
#ifndef MCP_METRICS_H
#define MCP_METRICS_H

#include <stdatomic.h>

#include "common/compiler.h"
#include "common/strbuf.h"

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM   /* rendered by whoever has it */
};

struct metric_def {
	const char *name;    /* without a prefix such as "mcp_proxy_" */
	const char *labels;  /* `reason="slow"`, or NULL */
	enum metric_type type;
	const char *help;    /* one line; NULL: same family as the row before,
			      * with its name and type and other labels */
};

typedef _Atomic int64_t metric_value;

/* Only by the thread that owns v: a load and a store, no locked instruction. */
static inline void
metric_add(metric_value *v, int64_t delta)
{
	atomic_store_explicit(v,
	    atomic_load_explicit(v, memory_order_relaxed) + delta,
	    memory_order_relaxed);
}

static inline void
metric_set(metric_value *v, int64_t value)
{
	atomic_store_explicit(v, value, memory_order_relaxed);
}

static inline int64_t
metric_get(const metric_value *v)
{
	return atomic_load_explicit((metric_value *)v, memory_order_relaxed);
}

/* Appends the two lines that stand before a family's samples. */
void metrics_add_family(struct strbuf *sb, const char *prefix,
    const struct metric_def *def);

/*
 * Appends the Prometheus text exposition (version 0.0.4) of count metrics, each
 * the sum over the loops' arrays.
 */
void metrics_render(struct strbuf *sb, const char *prefix,
    const struct metric_def *defs, size_t count,
    metric_value *const *per_loop, size_t loops);

#endif
