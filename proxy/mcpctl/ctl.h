/*
 * mcpctl: what operators do by hand. One file per noun, one row per command.
 *
 * A command talks to Redis through ctl_call(), which waits for the reply; the
 * connection is the proxies' own (TLS, AUTH), not hiredis's blocking one, which
 * has neither. It is made when it is needed.
 */
#ifndef MCP_CTL_H
#define MCP_CTL_H

#include <hiredis/hiredis.h>

#include "common/compiler.h"

struct ctl;

struct ctl_command {
	const char *noun;
	const char *verb;
	const char *arguments;   /* for the usage text */
	const char *help;
	/* Arguments behind the verb. Returns the program's exit status. */
	int (*run)(struct ctl *ctl, int argc, char **argv);
};

/*
 * Sends one command and waits. The reply is a copy of what came, to be freed
 * with ctl_reply_free(); NULL when Redis is away or answered with an error,
 * which has then been said on standard error.
 */
struct ctl_reply;
const struct ctl_reply *ctl_call(struct ctl *ctl, const struct slice *argv,
    size_t argc) MUST_CHECK;
/* What came: integers as they are, strings and arrays flattened to texts. */
size_t ctl_reply_count(const struct ctl_reply *reply);
/* "" for one that is not there. */
const char *ctl_reply_text(const struct ctl_reply *reply, size_t i);
/* The same for what may hold NULs. */
struct slice ctl_reply_slice(const struct ctl_reply *reply, size_t i);
void ctl_reply_free(const struct ctl_reply *reply);

/* PostgreSQL with the API keys; NULL: they are in Redis. */
const char *ctl_database_url(const struct ctl *ctl);

/* The commands of each noun, ended by a NULL noun. */
extern const struct ctl_command ctl_key_commands[];
extern const struct ctl_command ctl_session_commands[];

/* print.c: a point of time, "never" for 0 or none, padded to 20 columns. */
void ctl_print_time(uint64_t ms);
/* Texts of others: a terminal may act on control characters. */
void ctl_print_text(struct slice text);

#endif
