#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/options.h"
#include "worker/runtime/tables.h"
#include "worker/runtime/worker.h"

static int
serve(const char *program, void *block)
{
	const struct worker_options *options = worker_settings_options(block);
	struct worker *w;

	log_setup(program, options->common.pod_name,
	    (enum log_level)options->common.log_level);
	signal(SIGPIPE, SIG_IGN);
	w = worker_new(&api, options, worker_settings_own(block));
	if (w == NULL)
		return EXIT_FAILURE;
	if (!worker_run(w)) {
		log_warn("process ends while a tool computes");
		_exit(EXIT_SUCCESS);
	}
	worker_free(w);
	return EXIT_SUCCESS;
}

static bool
check(void *block, struct strbuf *errors)
{
	bool ok = worker_options_check(worker_settings_options(block), errors);

	if (api.check != NULL && !api.check(worker_settings_own(block), errors))
		ok = false;
	return ok;
}

static int
lint(const void *block)
{
	const struct worker_options *options =
	    worker_settings_options((void *)block);

	if (api.lint != NULL)
		return api.lint(worker_settings_own((void *)block));
	log_setup(api.name, options->common.pod_name, LOG_LEVEL_WARN);
	return tables_check(&api, options);
}

/* Loading settings beyond the API's struct would be the end of the heap. */
static struct worker_settings *
settings_of_api(void)
{
	struct strbuf error = STRBUF_INIT(1024);
	bool ok = worker_settings_ok(&api, &error);

	if (!ok)
		fprintf(stderr, "mcp-worker-%s: %s\n", api.name,
		    strbuf_str(&error));
	strbuf_release(&error);
	if (!ok)
		exit(EXIT_FAILURE);
	return worker_settings_new(&api);
}

int
main(int argc, char **argv)
{
	struct worker_settings *settings = settings_of_api();
	void *block = worker_settings_block(settings);
	char *program = xasprintf("mcp-worker-%s", api.name);
	const struct cli cli = {
		.program = program,
		.summary = "Runs the calls of one API: reads them from Redis, "
		    "sends answers back.",
		.tables = worker_settings_tables(settings),
		.check = check,
		.lint = lint,
	};
	int status = cli_start(&cli, argc, argv, block);

	if (status == CLI_GO_ON) {
		status = serve(program, block);
		config_release(cli.tables, block);
	}
	free(program);
	worker_settings_free(settings);
	return status;
}
