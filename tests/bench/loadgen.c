/*
 * The load generator: MCP clients over HTTP+SSE, as many as asked for, in one
 * process and one thread, every answer checked.
 *
 * Prints one JSON object. Exit status: 0 all answers were right, 1 some were
 * not, 2 it could not run.
 */
#include "tests/bench/load/load.h"

int
main(int argc, char **argv)
{
	static struct load_options options;
	static struct load load;
	bool right;

	load_options_parse(&options, argc, argv);
	load_init(&load, &options);
	load_run(&load);
	load_print(&load, stdout);
	right = load.errors.total == 0;
	load_release(&load);
	return right ? 0 : 1;
}
