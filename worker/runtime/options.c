#include "worker/runtime/options.h"

#include <stdlib.h>

#include "common/envelope.h"
#include "common/xalloc.h"

#define FIELD(name) CONFIG_FIELD(struct worker_options, name)

_Static_assert(offsetof(struct worker_options, common) == 0,
    "the shared table counts from the start");

static const struct config_option worker_option_table[] = {
	{ "WORKER_BATCH", CONFIG_UINT, FIELD(batch), "64", 1, WORKER_BATCH_MAX,
	    NULL, "calls read from the queue at once" },
	{ "WORKER_CONCURRENCY", CONFIG_UINT, FIELD(concurrency), "256", 1,
	    65536, NULL, "calls that a worker runs at once" },
	{ "WORKER_USER_CONCURRENCY", CONFIG_UINT, FIELD(user_concurrency), "0",
	    0, 65536, NULL, "calls of one user that a worker runs at once, 0 "
	    "for no limit" },
	{ "WORKER_THREADS", CONFIG_UINT, FIELD(threads), "2", 1, 256, NULL,
	    "threads for tools that compute, one per core that the worker may "
	    "use; other tools need none" },
	{ "WORKER_RECLAIM_IDLE", CONFIG_UINT, FIELD(reclaim_idle_s), "10", 2,
	    3600, NULL, "seconds without a sign of life from its worker after "
	    "which a call is another worker's. The same for all workers of an "
	    "API" },
	{ "WORKER_DRAIN_TIMEOUT", CONFIG_UINT, FIELD(drain_timeout_s), "25", 0,
	    3600, NULL, "seconds that running calls get to finish after "
	    "SIGTERM" },
	{ "WORKER_CATALOGUE_TTL", CONFIG_UINT, FIELD(catalogue_ttl_s), "600", 0,
	    2592000, NULL, "seconds that an API's tools stay listed, and calls "
	    "wait for a worker, when its last worker is gone; 0: until it has "
	    "stopped" },
	{ "WORKER_PROGRESS_INTERVAL", CONFIG_UINT, FIELD(progress_interval_s),
	    "15", 0, 3600, NULL, "seconds after which the worker reports for a "
	    "running call that its tool is silent about, to clients that want "
	    "progress, 0 for never" },
	{ "SAFE_TOOLS", CONFIG_STRING, FIELD(safe_tools), NULL, 0, 0, NULL,
	    "tools that may run again when their worker was lost, whatever "
	    "their annotations say: names with commas between" },
	{ "UNSAFE_TOOLS", CONFIG_STRING, FIELD(unsafe_tools), NULL, 0, 0, NULL,
	    "tools that may not, likewise" },
	{ "TOOL_CONCURRENCY", CONFIG_STRING, FIELD(tool_concurrency), NULL, 0,
	    0, NULL, "calls of single tools that a worker runs at once: "
	    "<tool>=<number>, with commas between" },
	{ "TOOL_TIMEOUTS", CONFIG_STRING, FIELD(tool_timeouts), NULL, 0, 0,
	    NULL, "seconds that calls of single tools get instead of the "
	    "proxies' CALL_TIMEOUT: <tool>=<seconds>, with commas between" },
	{ "WORKER_READY_FILE", CONFIG_STRING, FIELD(ready_file), NULL, 0, 0,
	    NULL, "file that is there while the worker takes calls, for a "
	    "readiness probe" },
	{ "WORKER_LIVE_FILE", CONFIG_STRING, FIELD(live_file), NULL, 0, 0,
	    NULL, "file that is touched every second while the event loop "
	    "turns, for a liveness probe" },
	{ .env = NULL },
};

static const struct config_option name_option_table[] = {
	{ "API_NAME", CONFIG_STRING, FIELD(api_name), NULL, 0, 0, NULL,
	    "name of the API in paths, tool names and Redis: lower-case "
	    "letters, digits and hyphens" },
	{ .env = NULL },
};

struct block {
	struct worker_options options;
	_Alignas(max_align_t) char own[];
};

/* common, worker, name, the API's own, NULL */
#define TABLES_MAX 5

struct worker_settings {
	const struct config_option *tables[TABLES_MAX];
	struct config_option *own;
	struct block *block;
};

static const size_t field_sizes[] = {
	[CONFIG_STRING] = sizeof(char *),
	[CONFIG_SECRET] = sizeof(char *),
	[CONFIG_URL] = sizeof(char *),
	[CONFIG_UINT] = sizeof(unsigned),
	[CONFIG_BYTES] = sizeof(size_t),
	[CONFIG_BOOL] = sizeof(bool),
	[CONFIG_ENUM] = sizeof(int),
};

static bool
has_row(const struct config_option *rows, const struct config_option *end,
    const char *env)
{
	for (; rows != end && rows->env != NULL; rows++) {
		if (strcmp(rows->env, env) == 0)
			return true;
	}
	return false;
}

static bool
is_taken(const struct api *of, const struct config_option *o)
{
	return has_row(common_option_table, NULL, o->env) ||
	    has_row(worker_option_table, NULL, o->env) ||
	    has_row(name_option_table, NULL, o->env) ||
	    has_row(of->options, o, o->env);
}

/* NULL: nothing. */
static const char *
problem_of(const struct api *of, const struct config_option *o)
{
	if (o->offset + field_sizes[o->type] > of->options_size)
		return "its field lies outside of options_size";
	if (is_taken(of, o))
		return "the name is taken";
	if (o->type == CONFIG_ENUM && o->choices == NULL)
		return "it has no choices";
	return o->help == NULL ? "it has no help" : NULL;
}

bool
worker_settings_ok(const struct api *of, struct strbuf *error)
{
	const struct config_option *o;

	for (o = of->options; o != NULL && o->env != NULL; o++) {
		const char *problem = problem_of(of, o);

		if (problem == NULL)
			continue;
		strbuf_addf(error, "setting %s: %s", o->env, problem);
		return false;
	}
	return true;
}

/* The API's rows as they count from the block's start; ended alike. */
static struct config_option *
moved(const struct config_option *rows)
{
	struct config_option *to;
	size_t n = 0;

	while (rows[n].env != NULL)
		n++;
	to = xcalloc(n + 1, sizeof(*to));
	for (size_t i = 0; i < n; i++) {
		to[i] = rows[i];
		to[i].offset += offsetof(struct block, own);
	}
	return to;
}

struct worker_settings *
worker_settings_new(const struct api *of)
{
	struct worker_settings *s = xcalloc(1, sizeof(*s));
	size_t n = 0;

	s->block = xcalloc(1, sizeof(*s->block) + of->options_size);
	s->tables[n++] = common_option_table;
	s->tables[n++] = worker_option_table;
	if (of->named_by_operator)
		s->tables[n++] = name_option_table;
	if (of->options != NULL) {
		s->own = moved(of->options);
		s->tables[n++] = s->own;
	}
	return s;
}

void
worker_settings_free(struct worker_settings *s)
{
	free(s->own);
	free(s->block);
	free(s);
}

const struct config_option *const *
worker_settings_tables(const struct worker_settings *s)
{
	return s->tables;
}

void *
worker_settings_block(struct worker_settings *s)
{
	return s->block;
}

struct worker_options *
worker_settings_options(void *block)
{
	return &((struct block *)block)->options;
}

void *
worker_settings_own(void *block)
{
	return ((struct block *)block)->own;
}

struct policy_options
worker_options_policy(const struct worker_options *o)
{
	return (struct policy_options){
		.safe_tools = o->safe_tools,
		.unsafe_tools = o->unsafe_tools,
		.concurrency = o->tool_concurrency,
		.timeouts = o->tool_timeouts,
	};
}

unsigned
worker_options_reclaim_idle_ms(const struct worker_options *o)
{
	return o->reclaim_idle_s * 1000;
}

static bool
check_name(const struct worker_options *o, struct strbuf *errors)
{
	if (o->api_name == NULL || env_api_name_ok(slice_str(o->api_name)))
		return true;
	strbuf_addf(errors, "API_NAME: \"%s\" is not 1 to %d lower-case letters, "
	    "digits and inner hyphens, starting with a letter\n", o->api_name,
	    API_NAME_MAX);
	return false;
}

bool
worker_options_check(struct worker_options *o, struct strbuf *errors)
{
	struct policy_options of = worker_options_policy(o);
	struct policy *policy = policy_new(&of, errors);
	bool ok = policy != NULL;

	policy_free(policy);
	ok &= options_check(&o->common, errors);
	ok &= check_name(o, errors);
	return ok;
}
