/*
 * The settings that every program shares: where Redis is, who this pod is, how
 * much to log.
 *
 * A program's own struct starts with a struct common_options, so that the rows
 * of common_option_table fit it unchanged:
 *
 *	struct options {
 *		struct common_options common;
 *		unsigned batch;
 *	};
 *	const struct config_option *const tables[] = {
 *		common_option_table, own_table, NULL
 *	};
 */
#ifndef MCP_OPTIONS_H
#define MCP_OPTIONS_H

#include "common/config.h"
#include "common/log.h"

/* A pod's name as Kubernetes allows it for a host (RFC 1123 label). */
#define OPTIONS_POD_MAX 63

struct common_options {
	char *redis_url;
	char *redis_tls_ca;   /* NULL: the system's store */
	char *pod_name;       /* never NULL after options_check() */
	int log_level;        /* enum log_level */
};

extern const struct config_option common_option_table[];

/*
 * After config_load(): fills in the host name for a missing POD_NAME and checks
 * what a row alone cannot. Returns false and one line per problem in *errors.
 */
bool options_check(struct common_options *options,
    struct strbuf *errors) MUST_CHECK;

#endif
