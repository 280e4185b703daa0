#include <signal.h>
#include <stdlib.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/options.h"
#include "worker/runtime/worker.h"

static int
serve(const char *program, const struct worker_options *options)
{
	struct worker *w;

	log_setup(program, options->common.pod_name,
	    (enum log_level)options->common.log_level);
	signal(SIGPIPE, SIG_IGN);
	w = worker_new(&api, options);
	if (w == NULL)
		return EXIT_FAILURE;
	worker_run(w);
	worker_free(w);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct worker_options options;
	char *program = xasprintf("mcp-worker-%s", api.name);
	const struct cli cli = {
		.program = program,
		.summary = "Runs the calls of one API: reads them from Redis, "
		    "sends answers back.",
		.tables = worker_option_tables,
		.check = worker_options_check,
	};
	int status = cli_start(&cli, argc, argv, &options);

	if (status == CLI_GO_ON) {
		status = serve(program, &options);
		config_release(worker_option_tables, &options);
	}
	free(program);
	return status;
}
