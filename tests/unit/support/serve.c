#include "tests/unit/support/serve.h"

#include <check.h>

#include "tests/unit/support/client.h"
#include "tests/unit/support/wait.h"

#define NEVER_MS 1000000

struct http_server *
serve(http_handler *handler, void *arg, metric_value *stats,
    struct sockaddr_storage *address, socklen_t *len)
{
	struct http_options options = {
		.limits = { .head_bytes = 4096, .uri_bytes = 1024,
		    .body_bytes = 65536 },
		.idle_timeout_ms = NEVER_MS,
		.head_timeout_ms = NEVER_MS,
		.body_timeout_ms = NEVER_MS,
		.stuck_timeout_ms = NEVER_MS,
		.max_connections = 1000,
		.handler = handler,
		.arg = arg,
		.stats = stats,
	};
	struct http_server *server;

	*address = free_address(len);
	server = http_server_new(base, (struct sockaddr *)address, *len,
	    &options);
	ck_assert_ptr_nonnull(server);
	return server;
}
