/*
 * HTTP requests to upstream systems, asynchronous on the worker's event loop.
 *
 * It owns a libcurl multi handle: connections are kept and shared by all
 * requests (HTTP/2 where the server speaks it), a request that changes nothing
 * is sent again after a failure that may pass, and a host that keeps failing is
 * left alone for a while (breaker.h). Where requests may go is egress.h's to
 * say: the host's name before, its address when the connection is made.
 *
 * Answers are bounded: bodies by settings, also those that a few compressed bytes
 * become, headers with trailers by 256 KiB. Redirects are answers like others, not
 * followed; proxies in the environment are not used; https verifies certificate
 * and name. A method or a header with bytes that HTTP does not allow there is not
 * sent, and told like a failure.
 */
#ifndef MCP_WORKER_UPSTREAM_H
#define MCP_WORKER_UPSTREAM_H

#include <event2/event.h>

#include "common/compiler.h"
#include "common/config.h"
#include "worker/runtime/egress.h"

struct upstream;
/* One request until its answer. */
struct upstream_transfer;

/* Settings that every API with an upstream has, a field of its own settings. */
struct upstream_settings {
	char *networks;       /* for egress_add_networks() */
	char *ca_file;        /* NULL: the system's */
	unsigned timeout_s;   /* of a request, all attempts together */
	unsigned connections; /* at once per host */
	size_t max_body;      /* bytes of an answer */
};

/* clang-format off */
/* The rows of these settings; at: the offset of the API's field of that type. */
#define UPSTREAM_OPTION_ROWS(at)					\
	{ "UPSTREAM_NETWORKS", CONFIG_STRING,				\
	    (at) + CONFIG_FIELD(struct upstream_settings, networks),	\
	    NULL, 0, 0, NULL,						\
	    "networks that are not public to which upstream hosts may "	\
	    "resolve, with commas: 10.0.0.0/8,fd00::/8" },		\
	{ "UPSTREAM_CA", CONFIG_STRING,					\
	    (at) + CONFIG_FIELD(struct upstream_settings, ca_file),	\
	    NULL, 0, 0, NULL,						\
	    "file of CA certificates (PEM) for upstream hosts; without "	\
	    "it the system's" },					\
	{ "UPSTREAM_TIMEOUT", CONFIG_UINT,				\
	    (at) + CONFIG_FIELD(struct upstream_settings, timeout_s),	\
	    "30", 1, 3600, NULL,					\
	    "seconds that an upstream request may take, repeats included" },	\
	{ "UPSTREAM_CONNECTIONS", CONFIG_UINT,				\
	    (at) + CONFIG_FIELD(struct upstream_settings, connections),	\
	    "1024", 1, 65535, NULL,					\
	    "connections at once to one upstream host" },		\
	{ "UPSTREAM_MAX_BODY", CONFIG_BYTES,				\
	    (at) + CONFIG_FIELD(struct upstream_settings, max_body),	\
	    "4m", 1024, (size_t)64 << 20, NULL,				\
	    "bytes of an upstream's answer" }
/* clang-format on */

/*
 * For an API's check(): whether the networks can be read, and the file. False and
 * a line per problem, with the setting's name.
 */
bool upstream_settings_ok(const struct upstream_settings *settings,
    struct strbuf *errors) MUST_CHECK;

/*
 * settings and egress are borrowed. The event loop must not have ended when it
 * is freed.
 */
struct upstream *upstream_new(struct event_base *base,
    const struct upstream_settings *settings,
    const struct egress *egress) MUST_CHECK;
/* Drops what is on its way: dropped() is called for it, and not done(). */
void upstream_free(struct upstream *u);

struct upstream_response {
	int status;        /* HTTP's; 0: there is none, see error */
	const char *error; /* for people, names the host; or NULL */
	struct slice body; /* decoded */
	bool retry_after_known; /* the server said so, and so that it is clear */
	unsigned retry_after_s;
	unsigned attempts;
	const struct upstream_transfer *transfer;
};

struct upstream_request {
	const char *method;
	const char *url;            /* absolute, without user and fragment */
	/* "Name: value", or "Name;" for an empty one, NULL-ended; may be NULL */
	const char *const *headers;
	struct slice body;          /* sent if its p is not NULL */
	bool idempotent;            /* may be sent again; GET and HEAD are */
	unsigned timeout_ms; /* 0 or more than the setting: the setting */
	/* Called once, from the event loop; the response lives for the call. */
	void (*done)(const struct upstream_response *response, void *arg);
	/* upstream_free() took it along: for releasing arg; may be NULL. */
	void (*dropped)(void *arg);
	void *arg;
};

/* Everything is copied. done() is never called from within. */
struct upstream_transfer *upstream_send(
    struct upstream *u, const struct upstream_request *request) MUST_CHECK;
/* Ends it without done() and dropped(). */
void upstream_cancel(struct upstream_transfer *t);

/* The host in a URL, for egress_add_hosts(); the caller frees it. NULL: none. */
char *upstream_url_host(const char *url) MUST_CHECK;

/* The value of that header, the first of several; NULL: none. */
const char *upstream_header(
    const struct upstream_response *response, const char *name);

#endif
