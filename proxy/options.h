/*
 * The proxy's settings; options.c has one row for each.
 */
#ifndef MCP_PROXY_OPTIONS_H
#define MCP_PROXY_OPTIONS_H

#include <sys/socket.h>

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
	unsigned session_reuse_s;
	unsigned session_recovery_max;
	unsigned redis_wait_s;
	unsigned redis_lost_s;
	unsigned list_page_size;
	unsigned call_timeout_s;
	unsigned queue_max;
	unsigned drain_delay_s;
	unsigned drain_timeout_s;
	unsigned stream_max_age_s;
	unsigned trusted_hops;
	unsigned user_rate;          /* limits.h; 0: none */
	unsigned user_burst;
	unsigned ip_rate;
	unsigned ip_burst;
	unsigned user_max_streams;
	unsigned user_max_sessions;
	unsigned user_max_calls;
	char *user_hash_secret;      /* NULL: shared through Redis */
	bool anonymous;              /* are requests without credential served? */
	char *anonymous_scopes;
	char *jwt_secret_key;        /* these are NULL when not set */
	char *jwt_public_key;        /* PEM text, or its file */
	char *jwt_jwks;              /* file or URL */
	char *jwt_jwks_ca;
	char *jwt_issuer;
	char *jwt_audience;
	char *jwt_default_scopes;
	char *database_url;          /* of API keys; NULL: in Redis */
	unsigned api_key_outage_s;
	char *public_url;
	char *authorization_servers;
	char *allowed_origins;
	char *allowed_hosts;
	char *forward_headers;
};

extern const struct config_option *const option_tables[];

/*
 * After config_load(): checks what a row alone cannot say. Returns false and one
 * line per problem in *errors. config is a struct options.
 */
bool proxy_options_check(void *config, struct strbuf *errors) MUST_CHECK;
/* The address to listen on; false when host is not a numeric one. */
bool proxy_options_address(const struct options *o,
    struct sockaddr_storage *addr, socklen_t *len) MUST_CHECK;

#endif
