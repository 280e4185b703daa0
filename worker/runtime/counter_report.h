/*
 * Adds what this worker has counted to what all workers of its API have
 * (common/api_counters.h), a few times a minute.
 *
 * What Redis did not confirm is sent again, and may then count twice: these are
 * figures to watch, not to bill by.
 */
#ifndef MCP_WORKER_COUNTER_REPORT_H
#define MCP_WORKER_COUNTER_REPORT_H

#include "common/api_counters.h"
#include "common/redis.h"

struct counter_report;

/* All borrowed; counters: since start, but for API_WORKERS_STARTED. */
struct counter_report *counter_report_new(struct redis *commands,
    struct slice api, const uint64_t *counters) MUST_CHECK;
/* The command connection has called back all of its commands before this. */
void counter_report_free(struct counter_report *r);
/* Sends what is new, if anything is. */
void counter_report_send(struct counter_report *r);

#endif
