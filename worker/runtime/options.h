/*
 * A worker's settings: the runtime's, and behind them those of its API.
 */
#ifndef MCP_WORKER_OPTIONS_H
#define MCP_WORKER_OPTIONS_H

#include "common/options.h"
#include "worker/runtime/policy.h"
#include "worker/runtime/tool.h"

/* Entries per read, at most: as many ids fit XACK and XDEL without a stall. */
#define WORKER_BATCH_MAX 1024

struct worker_options {
	struct common_options common;   /* first: see common/options.h */
	char *api_name;                 /* NULL: the program's */
	char *ready_file;               /* NULL: none */
	char *live_file;                /* likewise */
	unsigned batch;
	unsigned concurrency;
	unsigned user_concurrency;      /* 0: no cap */
	unsigned threads;               /* for tools that compute */
	unsigned reclaim_idle_s;
	unsigned drain_timeout_s;
	unsigned catalogue_ttl_s;       /* 0: none is kept */
	unsigned progress_interval_s;   /* 0: tools report for themselves */
	char *safe_tools;               /* these four as in policy.h */
	char *unsafe_tools;
	char *tool_concurrency;
	char *tool_timeouts;
};

/*
 * Rows and room for both in one block, so that one config_load() fills it. It
 * owns the block, not what config_release() frees.
 */
struct worker_settings;

/*
 * Whether the API's rows can be loaded. False and what is wrong with one: a field
 * that options_size does not cover, a name that is taken, choices or help missing.
 */
bool worker_settings_ok(const struct api *of, struct strbuf *error) MUST_CHECK;
struct worker_settings *worker_settings_new(const struct api *of) MUST_CHECK;
void worker_settings_free(struct worker_settings *s);
/* NULL-ended, for cli_start() and config_release(). */
const struct config_option *const *worker_settings_tables(
    const struct worker_settings *s);
/* What the tables' offsets count from. */
void *worker_settings_block(struct worker_settings *s);

/* The two parts of a block. */
struct worker_options *worker_settings_options(void *block);
void *worker_settings_own(void *block);

/* The part that policy.h reads; borrows from the options. */
struct policy_options worker_options_policy(const struct worker_options *o);
/* How long an entry rests before another worker may take it. */
unsigned worker_options_reclaim_idle_ms(const struct worker_options *o);
/* Completes the runtime's part and checks it; a line per problem in errors. */
bool worker_options_check(struct worker_options *options,
    struct strbuf *errors) MUST_CHECK;

#endif
