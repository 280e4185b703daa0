/*
 * What is started as an MCP server: a program with its arguments, its environment
 * and its directory.
 *
 * A command is words as a shell would take them, without a shell: blanks separate,
 * '…' is taken as it is, in "…" a backslash escapes " and itself, elsewhere it
 * escapes anything. Nothing is expanded; who wants that says sh -c '…'.
 */
#ifndef MCP_STDIO_COMMAND_H
#define MCP_STDIO_COMMAND_H

#include "common/strbuf.h"

struct command {
	char **argv;             /* NULL-ended, at least one */
	char **env;              /* NULL-ended "NAME=value" */
	const char *directory;   /* borrowed; NULL: the worker's own */
};

/* The words; NULL and why, for people. To be freed with command_free_words(). */
char **command_words(const char *text, struct strbuf *error) MUST_CHECK;
void command_free_words(char **words);

/*
 * text in words; of the environment what every program needs (PATH, HOME, LANG
 * and the like) and the variables named in allowed ("A,B"; may be NULL): so
 * settings and secrets of the worker stay its own. One that is not set is logged.
 * False: why, in error.
 */
bool command_init(struct command *c, const char *text, const char *allowed,
    const char *directory, struct strbuf *error) MUST_CHECK;
void command_release(struct command *c);

#endif
