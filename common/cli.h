/*
 * The command line that every program has: settings come from the environment,
 * so the only arguments are --help, --version, --print-config and, for a program
 * that can look at its settings without running, --check.
 */
#ifndef MCP_CLI_H
#define MCP_CLI_H

#include "common/config.h"

#define CLI_GO_ON (-1)
#define CLI_EXIT_USAGE 2   /* wrong arguments or settings */

struct cli {
	const char *program;
	const char *summary;   /* one line: what the program is for */
	const struct config_option *const *tables;   /* as config_load() */
	/*
	 * Checks (and completes) loaded settings beyond what rows can say;
	 * false and one line per problem in *errors. May be NULL.
	 */
	bool (*check)(void *config, struct strbuf *errors);
	/* For --check: the status to exit with. NULL: there is no such argument. */
	int (*lint)(const void *config);
};

/*
 * Reads the arguments and then the settings (environment and ./.env) into the
 * program's struct at config. Returns CLI_GO_ON, or the status to exit with
 * after having printed what was asked for or what is wrong; the struct is then
 * released.
 */
int cli_start(const struct cli *cli, int argc, char **argv,
    void *config) MUST_CHECK;

#endif
