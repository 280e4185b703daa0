/*
 * One HTTP GET at a time on an event base, by libcurl's multi interface: for
 * documents that a proxy needs off the request path.
 *
 * https verifies certificate and host name, against the system's store or a file
 * of CA certificates. At most three redirects, never from https to http; at most FETCH_MAX bytes; FETCH_TIMEOUT_MS
 * in all.
 */
#ifndef MCP_FETCH_H
#define MCP_FETCH_H

#include <event2/event.h>

#include "common/compiler.h"

#define FETCH_MAX (1024u * 1024)
#define FETCH_TIMEOUT_MS 10000

struct fetch;

/* Once per process, before any thread. */
void fetch_setup(void);

/* body is gone when this returns; error is NULL when it came with status 200. */
typedef void fetch_cb(struct slice body, const char *error, void *arg);

/* ca_file (PEM), NULL: the system's store. It and url are borrowed. */
struct fetch *fetch_new(struct event_base *base, const char *url,
    const char *ca_file, fetch_cb *cb, void *arg) MUST_CHECK;
/* No callback comes after this. */
void fetch_free(struct fetch *f);
/* Begins a GET; does nothing while one is on its way. */
void fetch_start(struct fetch *f);
bool fetch_is_busy(const struct fetch *f);

#endif
