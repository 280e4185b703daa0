#include "worker/runtime/options.h"

#define FIELD(name) CONFIG_FIELD(struct worker_options, name)

_Static_assert(offsetof(struct worker_options, common) == 0,
    "the shared table counts from the start");

static const struct config_option worker_option_table[] = {
	{ "WORKER_BATCH", CONFIG_UINT, FIELD(batch), "64", 1, WORKER_BATCH_MAX,
	    NULL, "calls read from the queue at once" },
	{ "WORKER_DRAIN_TIMEOUT", CONFIG_UINT, FIELD(drain_timeout_s), "25", 0,
	    3600, NULL, "seconds that running calls get to finish after "
	    "SIGTERM" },
	{ .env = NULL },
};

const struct config_option *const worker_option_tables[] = {
	common_option_table,
	worker_option_table,
	NULL,
};

bool
worker_options_check(void *options, struct strbuf *errors)
{
	struct worker_options *o = options;

	return options_check(&o->common, errors);
}
