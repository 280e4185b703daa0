/*
 * mcp-proxy: holds MCP clients' streams and forwards their calls to workers.
 */
#include <errno.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/ident.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/fetch.h"
#include "proxy/loop.h"

static const struct cli cli = {
	.program = "mcp-proxy",
	.summary = "holds MCP clients' streams, forwards their calls to workers",
	.tables = option_tables,
	.check = proxy_options_check,
};

/* Every stream is a file: take what the system grants. */
static void
raise_file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		log_warn("limit of open files not raised",
		    LF("error", strerror(errno)));
}

static void *
run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static bool
make_loops(struct process *p)
{
	for (unsigned i = 0; i < p->loop_count; i++) {
		p->loops[i] = loop_new(p, i);
		if (p->loops[i] == NULL)
			return false;
	}
	return true;
}

static void
free_loops(struct process *p)
{
	for (unsigned i = 0; i < p->loop_count; i++) {
		if (p->loops[i] != NULL)
			loop_free(p->loops[i]);
	}
	free(p->loops);
}

/* The first signal drains; a second one, by an impatient person, ends at once. */
static void
wait_for_stop(struct process *p, const sigset_t *signals)
{
	int signal_number;

	sigwait(signals, &signal_number);
	log_info("stopping", LF("signal", strsignal(signal_number)));
	atomic_store(&p->draining, true);
	for (unsigned i = 0; i < p->loop_count; i++)
		loop_stop(p->loops[i]);
	pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

static void
serve(struct process *p, const sigset_t *signals)
{
	pthread_t *threads = xcalloc(p->loop_count, sizeof(*threads));

	for (unsigned i = 0; i < p->loop_count; i++) {
		if (pthread_create(&threads[i], NULL, run_loop, p->loops[i]) != 0) {
			log_error("cannot start a thread");
			exit(1);
		}
	}
	log_info("serving", LF("version", MCP_VERSION),
	    LF("host", p->options->host), LF_N("port", p->options->port),
	    LF_N("loops", p->loop_count));
	log_info("API keys", LF("store",
	    p->options->database_url != NULL ?
		"PostgreSQL, by DATABASE_URL" : "Redis"));
	wait_for_stop(p, signals);
	for (unsigned i = 0; i < p->loop_count; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

static int
run(const struct options *options)
{
	struct process p = { .options = options };
	const char *reason;
	char id[IDENT_HEX_LEN + 1];
	sigset_t signals;
	bool ok;

	if (!redis_url_parse(options->common.redis_url, &p.redis_url, &reason)) {
		log_error("REDIS_URL is wrong", LF("reason", reason));
		return CLI_EXIT_USAGE;
	}
	ident_hex(id);
	memcpy(p.start_id, id, sizeof(p.start_id) - 1);
	p.loop_count = options->threads;
	p.loops = xcalloc(p.loop_count, sizeof(struct loop *));
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	ok = make_loops(&p);
	if (ok)
		serve(&p, &signals);
	free_loops(&p);
	redis_url_release(&p.redis_url);
	log_info("stopped");
	return ok ? 0 : 1;
}

int
main(int argc, char **argv)
{
	struct options options = { .port = 0 };
	int status = cli_start(&cli, argc, argv, &options);

	if (status != CLI_GO_ON)
		return status;
	log_setup("mcp-proxy", options.common.pod_name,
	    (enum log_level)options.common.log_level);
	signal(SIGPIPE, SIG_IGN);
	evthread_use_pthreads();
	fetch_setup();
	raise_file_limit();
	status = run(&options);
	config_release(option_tables, &options);
	return status;
}
