/*
 * An HTTP server on a free port for tests of what stands behind it: its limits
 * are wide and its deadlines never come.
 */
#ifndef TESTS_SUPPORT_SERVE_H
#define TESTS_SUPPORT_SERVE_H

#include "proxy/http_server.h"

/* Such a server on the loop of wait.h, and where it listens. */
struct http_server *serve(http_handler *handler, void *arg,
    metric_value *stats, struct sockaddr_storage *address, socklen_t *len);

#endif
