/*
 * What upstream.c (libcurl on the event loop, and the hosts), upstream_request.c
 * (what is asked of libcurl) and upstream_transfer.c (a request's attempts, to its
 * end) share. Nobody else includes it.
 */
#ifndef MCP_WORKER_UPSTREAM_PRIVATE_H
#define MCP_WORKER_UPSTREAM_PRIVATE_H

#include <curl/curl.h>
#include <sys/queue.h>

#include "common/strbuf.h"
#include "worker/runtime/breaker.h"
#include "worker/runtime/upstream.h"

#define MS_PER_S 1000
/*
 * Of an answer's headers and trailers together, which libcurl keeps: of the latter
 * it would keep as many as come.
 */
#define HEADERS_MAX ((size_t)256 << 10)

/* What is known of a server: "https://host:port". */
struct upstream_host {
	SLIST_ENTRY(upstream_host) link;
	struct breaker breaker;
	char origin[];
};

enum transfer_state {
	TRANSFER_WAITING, /* its timer: begins, or begins again, or ends */
	TRANSFER_RUNNING  /* libcurl's */
};

struct upstream_transfer {
	LIST_ENTRY(upstream_transfer) link;
	struct upstream *upstream;
	struct upstream_host *host; /* NULL: not to be called */
	enum transfer_state state;
	CURL *easy;
	struct curl_slist *headers;
	struct strbuf body; /* of the answer */
	size_t header_bytes;
	char reason[CURL_ERROR_SIZE];
	char *name; /* of the host, for messages */
	struct event *timer;
	uint64_t end_ms; /* monotonic */
	unsigned attempts;
	bool idempotent;
	bool admitted; /* the breaker waits for the outcome */
	/* Of the host's addresses, in this attempt. */
	bool address_refused, address_taken;
	char *failed; /* told without being sent */
	void (*done)(const struct upstream_response *response, void *arg);
	void (*dropped)(void *arg);
	void *arg;
};

struct upstream {
	struct event_base *base;
	const struct upstream_settings *settings;
	const struct egress *egress;
	CURLM *multi;
	struct event *timer;
	SLIST_HEAD(, upstream_host) hosts; /* few: an API has one, or some */
	LIST_HEAD(, upstream_transfer) transfers;
};

/* upstream.c */

/* What is known of that origin; made when it is new. */
struct upstream_host *upstream_find_host(struct upstream *u, const char *origin);

/* upstream_transfer.c */

/* It has left the list of transfers. */
void upstream_transfer_free(struct upstream_transfer *t);
/* libcurl is done with it, one way or the other. */
void upstream_attempt_ended(struct upstream_transfer *t, CURLcode result);
/* Its timer: begins, begins again, or tells what is wrong with it. */
void upstream_on_timer(evutil_socket_t fd, short what, void *arg);

#endif
