/*
 * The proxy's settings; options.c has one row for each.
 */
#ifndef MCP_PROXY_OPTIONS_H
#define MCP_PROXY_OPTIONS_H

#include "common/options.h"

struct options {
	struct common_options common;
	char *host;
	unsigned port;
	unsigned threads;
	unsigned header_timeout_s;
	unsigned body_timeout_s;
	unsigned idle_timeout_s;
	unsigned max_connections;    /* 0: as many files as the process may open */
	size_t max_header;
	size_t max_uri;
	size_t max_body;
	unsigned ping_interval_s;
	unsigned retry_ms;
	unsigned stuck_timeout_s;
	size_t max_buffer;
	unsigned session_ttl_s;
	unsigned session_unused_s;
	unsigned redis_wait_s;
	unsigned redis_lost_s;
	unsigned list_page_size;
	unsigned call_timeout_s;
	unsigned queue_max;
	unsigned drain_timeout_s;
};

extern const struct config_option *const option_tables[];

#endif
