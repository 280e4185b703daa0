/*
 * The HTTP server under test, with short limits, a frozen clock for its deadlines,
 * and a handler that answers with what it was sent:
 *
 * - /later is held until answer_held();
 * - /stream becomes a stream;
 * - /big is answered with the BIG bytes at big;
 * - all else with "<method> <target> <body>".
 */
#ifndef TESTS_SUPPORT_HTTP_ECHO_H
#define TESTS_SUPPORT_HTTP_ECHO_H

#include "proxy/http_server.h"
#include "tests/unit/support/client.h"

#define IDLE_MS 75000
#define HEAD_MS 10000
#define BODY_MS 30000
#define STUCK_MS 30000
#define LINGER_MS 2000       /* http_server.c's */
#define BODY_MAX (64 * 1024)
#define BIG ((size_t)768 * 1024)

extern struct http_server *echo_server;
extern struct sockaddr_storage echo_address;
extern socklen_t echo_address_len;
extern metric_value echo_stats[STAT_COUNT];
extern char *big;

/* For a checked fixture. */
void echo_setup(void);
void echo_teardown(void);
/* Another server in the place of one that was freed. */
void echo_start(unsigned max_connections);
/* Lets time pass for the server, which otherwise stands still. */
void echo_pass_ms(uint64_t ms);
void open_client(struct client *c);
int64_t echo_stat_of(enum stat which);

/* What the handler was given, and how often. */
extern unsigned handled;

#define HELD_MAX 8

extern struct http_conn *held[HELD_MAX];
extern char held_target[HELD_MAX][64];
extern unsigned held_count;

/* Answers the i-th held request with its target. */
void answer_held(unsigned i);

/* The stream that is open, or NULL, and what was told of it. */
extern struct http_conn *stream;
extern unsigned drained, closed;
extern char closed_reason[64];

/* Answers a request that was held. */
void echo_respond(struct http_conn *c, struct slice body);
/* Makes a stream of a connection that was held. */
void open_stream(struct http_conn *c);

#define GET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"
#define GET_CLOSE(target)                                                      \
	"GET " target " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
#define POST(target, length, body)                                             \
	"POST " target " HTTP/1.1\r\nHost: h\r\nContent-Length: " length       \
	"\r\n\r\n" body
#define POST_CHUNKED(target, body)                                             \
	"POST " target " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked"    \
	"\r\n\r\n" body

#endif
