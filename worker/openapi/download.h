/*
 * A description from a URL, on the event loop: once, with the rules of
 * upstream.h (no redirects, private networks only where the operator says so).
 */
#ifndef MCP_OPENAPI_DOWNLOAD_H
#define MCP_OPENAPI_DOWNLOAD_H

#include "worker/runtime/upstream.h"

struct download;

struct download_options {
	struct event_base *base;                  /* borrowed */
	const struct upstream_settings *upstream; /* how; borrowed */
	const char *url;
	size_t max; /* bytes */
	/*
	 * Called once, from the event loop: the text, borrowed, or an error
	 * (text.p NULL). It may close the fetch.
	 */
	void (*done)(struct slice text, const char *error, void *arg);
	void *arg;
};

/* NULL and the reason: it is no URL to fetch. */
struct download *download_open(
    const struct download_options *options, struct strbuf *error) MUST_CHECK;
void download_close(struct download *f);
/* Whether it is the URL of a description rather than its file. */
bool download_is_url(const char *spec);

#endif
