/*
 * A redis-server for one test, on a free port, with nothing in it; and a second
 * way to it (blocking) that the code under test knows nothing of.
 */
#ifndef TESTS_SUPPORT_REDIS_SERVER_H
#define TESTS_SUPPORT_REDIS_SERVER_H

#include "common/redis.h"

/* For a checked fixture, between wait_setup() and wait_teardown(). */
void server_setup(void);
void server_teardown(void);
/* Stops it from answering anybody, and lets it go on. */
void server_freeze(void);
void server_thaw(void);
/* Ends all connections but our own blocking one. */
void server_cut_connections(void);
/*
 * After server_freeze(): lets it go on, and ends the connections before they
 * get an answer. What they had sent may have been done or not.
 */
void server_thaw_and_cut(void);
/* Kills it and starts an empty one in its place. */
void server_restart(void);

/*
 * The blocking way. format is hiredis's (%s, %d, %b and so on). An error reply
 * fails the test.
 */
void server_do(const char *format, ...);
long long server_int(const char *format, ...);
/* A string or status reply, "" for nil; good until the next call. */
const char *server_text(const char *format, ...);
/* How many elements an array reply has. */
size_t server_count(const char *format, ...);

/* Settings of a connection of the project's own, for a test to change. */
struct redis_options server_options(void);
/* Such a connection, once it is ready. NULL: with the settings as they are. */
struct redis *server_connect(const struct redis_options *options);

#endif
