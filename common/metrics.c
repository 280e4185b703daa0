#include "common/metrics.h"

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
};

void
metrics_add_family(struct strbuf *sb, const char *prefix,
    const struct metric_def *def)
{
	strbuf_addf(sb, "# HELP %s%s %s\n", prefix, def->name, def->help);
	strbuf_addf(sb, "# TYPE %s%s %s\n", prefix, def->name,
	    type_names[def->type]);
}

/* Added as unsigned numbers: a sum that wraps is wrong, but not undefined. */
static int64_t
sum_of_loops(metric_value *const *per_loop, size_t loops, size_t metric)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < loops; i++)
		sum += (uint64_t)metric_get(&per_loop[i][metric]);
	return (int64_t)sum;
}

void
metrics_render(struct strbuf *sb, const char *prefix,
    const struct metric_def *defs, size_t count,
    metric_value *const *per_loop, size_t loops)
{
	const struct metric_def *family = defs;

	for (size_t i = 0; i < count; i++) {
		const char *labels = defs[i].labels;

		if (defs[i].help != NULL) {
			family = &defs[i];
			metrics_add_family(sb, prefix, family);
		}
		strbuf_addf(sb, "%s%s", prefix, family->name);
		if (labels != NULL)
			strbuf_addf(sb, "{%s}", labels);
		strbuf_addf(sb, " %lld\n",
		    (long long)sum_of_loops(per_loop, loops, i));
	}
}
