#include "common/cli.h"

#include <stdlib.h>

/* Far more than all settings can be wrong about. */
#define ERRORS_MAX 65536

enum action {
	ACTION_RUN,
	ACTION_HELP,
	ACTION_VERSION,
	ACTION_PRINT_CONFIG,
	ACTION_LINT,
	ACTION_REFUSE
};

static const struct {
	const char *argument;
	enum action action;
} arguments[] = {
	{ "--help", ACTION_HELP },
	{ "-h", ACTION_HELP },
	{ "--version", ACTION_VERSION },
	{ "--print-config", ACTION_PRINT_CONFIG },
	{ "--check", ACTION_LINT },
};

static enum action
action_of(const struct cli *cli, const char *argument)
{
	for (size_t i = 0; i < ARRAY_LEN(arguments); i++) {
		if (arguments[i].action == ACTION_LINT && cli->lint == NULL)
			continue;
		if (strcmp(arguments[i].argument, argument) == 0)
			return arguments[i].action;
	}
	return ACTION_REFUSE;
}

/* The last argument decides, but any unknown one is refused. */
static enum action
parse(const struct cli *cli, int argc, char **argv)
{
	enum action action = ACTION_RUN;

	for (int i = 1; i < argc; i++) {
		action = action_of(cli, argv[i]);
		if (action == ACTION_REFUSE) {
			fprintf(stderr, "%s: unknown argument '%s'; settings "
			    "come from the environment, see --help\n",
			    cli->program, argv[i]);
			return action;
		}
	}
	return action;
}

static void
help(const struct cli *cli)
{
	printf("usage: %s [--help | --version | --print-config%s]\n\n%s\n\n"
	    "Settings come from the environment and from the file .env in the "
	    "current\ndirectory; the environment wins.\n\n",
	    cli->program, cli->lint ? " | --check" : "", cli->summary);
	config_help(cli->tables, stdout);
}

static bool
load(const struct cli *cli, void *config)
{
	struct strbuf errors = STRBUF_INIT(ERRORS_MAX);
	bool ok = config_load(cli->tables, config, ".env", &errors);

	if (ok && cli->check != NULL)
		ok = cli->check(config, &errors);
	if (!ok)
		fprintf(stderr, "%s: wrong settings:\n%s", cli->program,
		    strbuf_str(&errors));
	strbuf_release(&errors);
	return ok;
}

static int
print_config(const struct cli *cli, const void *config)
{
	config_print(cli->tables, config, stdout);
	return EXIT_SUCCESS;
}

static int
start(const struct cli *cli, void *config, enum action action)
{
	int status;

	if (!load(cli, config)) {
		config_release(cli->tables, config);
		return CLI_EXIT_USAGE;
	}
	if (action == ACTION_RUN)
		return CLI_GO_ON;
	status = action == ACTION_LINT ? cli->lint(config) :
	    print_config(cli, config);
	config_release(cli->tables, config);
	return status;
}

int
cli_start(const struct cli *cli, int argc, char **argv, void *config)
{
	enum action action = parse(cli, argc, argv);

	switch (action) {
	case ACTION_HELP:
		help(cli);
		return EXIT_SUCCESS;
	case ACTION_VERSION:
		printf("%s %s\n", cli->program, MCP_VERSION);
		return EXIT_SUCCESS;
	case ACTION_REFUSE:
		return CLI_EXIT_USAGE;
	case ACTION_RUN:
	case ACTION_PRINT_CONFIG:
	case ACTION_LINT:
		break;
	}
	return start(cli, config, action);
}
