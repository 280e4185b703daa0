/*
 * An API's life in its worker: brought up, and brought up again when that fails.
 * tool.h has the side that the API's author sees.
 *
 *	IDLE --open--> STARTING --start()--> UP --close--> CLOSED
 *	                  ^  `--fails--> FAILED
 *	                  `--after a pause--'
 *
 * Failing is no reason to end the process: one that starts over and over tells an
 * operator less than one that says what it lacks, and pauses grow here as well.
 */
#ifndef MCP_WORKER_WORKER_ENV_H
#define MCP_WORKER_WORKER_ENV_H

#include "worker/runtime/catalogue.h"

struct worker_env_options {
	struct event_base *base;      /* borrowed, like the rest */
	struct evdns_base *dns;
	const struct api *api;
	const char *name;
	const void *settings;         /* the API's own */
	struct catalogue *catalogue;
	/* It came up, it failed, or its tools changed. */
	void (*on_change)(void *arg);
	/* May be NULL. */
	void (*on_resource_changed)(const char *uri, void *arg);
	void *arg;
};

struct worker_env *worker_env_new(const struct worker_env_options *options)
    MUST_CHECK;
/* Closed before, or never opened. */
void worker_env_free(struct worker_env *env);

/* Brings the API up; on_change tells how it went, maybe before this returns. */
void worker_env_open(struct worker_env *env);
/* Takes it down for good; on_change is silent from here. */
void worker_env_close(struct worker_env *env);

/* Tells an API that is up what clients have subscribed to, see api.watch. */
void worker_env_watch(struct worker_env *env, const char *const *uris,
    size_t n);

/* Is this the thread that made it, which runs the event loop? Any may ask. */
bool worker_env_is_on_loop(const struct worker_env *env);

bool worker_env_is_up(const struct worker_env *env);
/* "starting", "up" or "failed", for the heartbeat. */
const char *worker_env_state_name(const struct worker_env *env);
/* Why it failed last, until it is up; "" for no reason. */
const char *worker_env_error(const struct worker_env *env);

#endif
