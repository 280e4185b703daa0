/*
 * A worker's settings.
 */
#ifndef MCP_WORKER_OPTIONS_H
#define MCP_WORKER_OPTIONS_H

#include "common/options.h"

/* Entries per read, at most: as many ids fit XACK and XDEL without a stall. */
#define WORKER_BATCH_MAX 1024

struct worker_options {
	struct common_options common;   /* first: see common/options.h */
	unsigned batch;
	unsigned drain_timeout_s;
};

/* NULL-ended, for cli_start() and config_release(). */
extern const struct config_option *const worker_option_tables[];

/* For struct cli: completes and checks. */
bool worker_options_check(void *options, struct strbuf *errors) MUST_CHECK;

#endif
