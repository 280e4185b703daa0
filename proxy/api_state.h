/*
 * Questions to Redis about an API's queue and workers, and how to read the answers:
 * for whoever gathers them (health_check, /metrics).
 */
#ifndef MCP_API_STATE_H
#define MCP_API_STATE_H

#include "proxy/gather.h"

struct api_queue {
	uint64_t length;         /* calls queued and running */
	uint64_t oldest_ms;      /* since the oldest of them was queued; 0: none */
	uint64_t dead_letters;
};

/* The callbacks get target, and read with the function beside. */
void api_state_ask_queue(struct gather *g, const char *api,
    gather_reply_cb *cb, void *target);
bool api_state_read_queue(const redisReply *reply,
    struct api_queue *out) MUST_CHECK;

/* The names of those that beat, at most `most`: an array. */
void api_state_ask_workers(struct gather *g, const char *api, unsigned most,
    gather_reply_cb *cb, void *target);
/* The heartbeat of one of them: a hash. */
void api_state_ask_worker(struct gather *g, const char *api,
    struct slice worker, gather_reply_cb *cb, void *target);
/* Of a heartbeat, a worker's or a pod's. */
bool api_state_is_draining(const redisReply *hash) MUST_CHECK;

#endif
