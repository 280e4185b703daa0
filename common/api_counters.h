/*
 * What the workers of an API count together, for as long as the API is known.
 *
 * Each worker adds what is new to the hash ENV_COUNTERS of its API with its
 * heartbeat, so that no count goes back when a worker goes; proxies add what they
 * answered in workers' stead (proxy/janitor.h), and show the sums
 * (proxy/api_metrics.h). Fields that a program does not know it leaves alone.
 */
#ifndef MCP_API_COUNTERS_H
#define MCP_API_COUNTERS_H

#include "common/compiler.h"

enum api_counter {
	/* What became of calls, one of these for each that ended here. */
	API_CALLS_OK,
	API_CALLS_TOOL_ERROR,    /* a result with isError */
	API_CALLS_REFUSED,       /* another JSON-RPC error than the next three */
	API_CALLS_TIMEOUT,
	API_CALLS_UNKNOWN,       /* their outcome is */
	API_CALLS_GIVEN_UP,      /* dead letters */
	API_CALLS_CANCELLED,     /* no answer */
	API_CALLS_REPEATED,      /* begun again after a worker was lost */
	API_CALLS_EXPIRED,       /* the proxies': no worker answered in time */
	API_WORKERS_STARTED,
	API_CALL_MS,             /* from queueing to the end, of all calls */
	API_CALL_LE,             /* API_BUCKETS of them: calls by that time */
#define API_BUCKETS 9
	API_COUNTERS = API_CALL_LE + API_BUCKETS
};

/* As long as dead letters: what nobody has used for a month is nobody's. */
#define API_COUNTERS_TTL_MS "2592000000"
#define API_CALLS_EXPIRED_FIELD "expired"

/* As fields of the hash. */
extern const char *const api_counter_fields[API_COUNTERS];
/* Upper bounds of the buckets in ms; what takes longer is in none. */
extern const unsigned api_bucket_ms[API_BUCKETS];

/* Counts the end of a call: outcome is one of API_CALLS_OK to _CANCELLED. */
void api_counters_note(uint64_t counters[static API_COUNTERS],
    enum api_counter outcome, uint64_t ms);

#endif
