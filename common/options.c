#include "common/options.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/redis.h"
#include "common/xalloc.h"

/* In the order of enum log_level. */
static const char *const log_levels[] = { "debug", "info", "warn", "error",
	NULL };

#define FIELD(name) CONFIG_FIELD(struct common_options, name)

const struct config_option common_option_table[] = {
	{ "REDIS_URL", CONFIG_URL, FIELD(redis_url),
	    "redis://127.0.0.1:6379/0", 0, 0, NULL,
	    "Redis: redis[s]://[[user]:password@]host[:port][/database]" },
	{ "REDIS_TLS_CA", CONFIG_STRING, FIELD(redis_tls_ca), NULL, 0, 0, NULL,
	    "file of CA certificates (PEM) for rediss://; "
	    "without it the system's" },
	{ "POD_NAME", CONFIG_STRING, FIELD(pod_name), NULL, 0, 0, NULL,
	    "name of this pod in Redis and in logs; without it the host name" },
	{ "LOG_LEVEL", CONFIG_ENUM, FIELD(log_level), "info", 0, 0, log_levels,
	    "least severe log lines to write" },
	{ .env = NULL },
};

/* Names become parts of Redis keys: no braces, no blanks. */
static bool
pod_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

static bool
pod_name_ok(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		if (!pod_char(name[i]))
			return false;
	}
	return n > 0 && n <= OPTIONS_POD_MAX;
}

/* The host name up to its first dot: a pod's host name is the pod's name. */
static char *
host_name(void)
{
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		return xstrdup("localhost");
	name[strcspn(name, ".")] = '\0';
	return xstrdup(name);
}

bool
options_check(struct common_options *options, struct strbuf *errors)
{
	struct redis_url url;
	const char *reason = NULL;
	bool ok = true;

	if (options->pod_name == NULL)
		options->pod_name = host_name();
	if (!pod_name_ok(options->pod_name)) {
		strbuf_add_str(errors, "POD_NAME: ");
		strbuf_add_json(errors, slice_str(options->pod_name));
		strbuf_addf(errors, " is not 1 to %d letters, digits, '-', "
		    "'.' and '_'\n", OPTIONS_POD_MAX);
		ok = false;
	}
	if (redis_url_parse(options->redis_url, &url, &reason)) {
		redis_url_release(&url);
	} else {
		strbuf_addf(errors, "REDIS_URL: %s\n", reason);
		ok = false;
	}
	return ok;
}
