/*
 * A process with pipes for its standard streams, the leader of a process group of
 * its own, which inherits nothing else. The kernel sends it SIGTERM when this
 * process dies.
 */
#ifndef MCP_STDIO_SPAWN_H
#define MCP_STDIO_SPAWN_H

#include <sys/types.h>

#include "worker/stdio/command.h"

struct spawned {
	pid_t pid;
	/* Our ends of its standard streams, non-blocking, for the caller to close. */
	int in, out, err;
};

/*
 * Waits until the program has been found and begun, a matter of milliseconds.
 * False: why, in error.
 */
bool spawn(const struct command *command, struct spawned *out,
    struct strbuf *error) MUST_CHECK;

#endif
