/*
 * Child processes that speak in lines: started, listened to, ended, reaped.
 *
 *	RUNNING --child_end()--> CLOSED --2 s--> TERMINATED --2 s--> KILLED
 *	   `-------------- its process has ended ---------------------'--> GONE
 *
 * Each is the leader of a process group of its own, which is killed as a whole
 * when its leader has gone. Its standard input is closed first, as MCP has it for
 * stdio ("Lifecycle", shutdown), then SIGTERM, then SIGKILL. If the worker is
 * killed, the kernel terminates it.
 */
#ifndef MCP_STDIO_CHILD_H
#define MCP_STDIO_CHILD_H

#include <event2/event.h>

#include "worker/stdio/command.h"

/* All children of a process; it takes the signal SIGCHLD. */
struct family;
struct child;

struct family *family_new(struct event_base *base) MUST_CHECK;
/* Ends them all and waits until they have gone: at once, or in order. */
void family_free(struct family *f, bool at_once);

struct child_options {
	const struct command *command;   /* borrowed */
	unsigned number;                 /* for the log */
	size_t max_line;                 /* bytes of standard output */
	int stderr_level;                /* enum log_level */
	/* A line of standard output; cut: these are its first max_line bytes. */
	void (*on_line)(struct slice line, bool cut, void *arg);
	/* It has gone, and all of its lines were there; frees nothing. */
	void (*on_gone)(const char *how, void *arg);
	void *arg;
};

/* NULL: why it does not start, in error. */
struct child *child_start(struct family *f,
    const struct child_options *options, struct strbuf *error) MUST_CHECK;
/* Nothing is called back from here; what is left of it ends by itself. */
void child_leave(struct child *take_child);

/* Writes a line, LF added; false: it does not read, and this is not written. */
bool child_say(struct child *c, struct slice line) MUST_CHECK;
/* Is it not being ended? */
bool child_listens(const struct child *c);
/* Begins to end it; on_gone follows. */
void child_end(struct child *c, const char *why);
/* The same with SIGKILL, for one that is beyond listening. */
void child_kill(struct child *c, const char *why);

#endif
