/*
 * The resources that clients have subscribed to, as the API's proxies write them
 * down in mcp_watched:{<api>}: read a few times a second, for an API that has to
 * ask somebody else to be told of changes (api.watch in tool.h).
 */
#ifndef MCP_WORKER_WATCHED_H
#define MCP_WORKER_WATCHED_H

#include "common/redis.h"

struct watched;

struct watched_options {
	struct redis *commands;      /* borrowed, like the name */
	struct slice api;            /* the API's name */
	/* All of them, each time some came or went; at first in any case. */
	void (*on_change)(const char *const *uris, size_t n, void *arg);
	void *arg;
};

struct watched *watched_new(const struct watched_options *options) MUST_CHECK;
/* The command connection has called back all of its commands before this. */
void watched_free(struct watched *w);
/* Asks for news. */
void watched_tick(struct watched *w);

#endif
