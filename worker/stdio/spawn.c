#include "worker/stdio/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/util.h>

/* Ends of the pipes: ours and the child's. */
struct pipes {
	int in[2], out[2], err[2], failure[2];
};
#define PIPES (sizeof(struct pipes) / sizeof(int[2]))

static void
close_pipes(struct pipes *p)
{
	int *fds = &p->in[0];

	for (size_t i = 0; i < 2 * PIPES; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static bool
open_pipes(struct pipes *p)
{
	int (*each[])[2] = { &p->in, &p->out, &p->err, &p->failure };

	memset(p, 0xff, sizeof(*p));
	for (size_t i = 0; i < ARRAY_LEN(each); i++) {
		if (pipe2(*each[i], O_CLOEXEC) != 0) {
			close_pipes(p);
			return false;
		}
	}
	return true;
}

/* Within the child, where only what is safe in a signal handler may be called. */
NORETURN static void
become(const struct command *command, const struct pipes *p, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* It may have died before that. */
	if (getppid() != parent || setpgid(0, 0) != 0 ||
	    dup2(p->in[0], STDIN_FILENO) < 0 ||
	    dup2(p->out[1], STDOUT_FILENO) < 0 ||
	    dup2(p->err[1], STDERR_FILENO) < 0)
		goto fail;
	/* Not the libraries' sockets, of which some lack the flag. */
	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
		goto fail;
	if (command->directory != NULL && chdir(command->directory) != 0)
		goto fail;
	execvpe(command->argv[0], command->argv, command->env);
fail:
	{
		int error = errno;

		(void)!write(p->failure[1], &error, sizeof(error));
	}
	_exit(127);
}

/* 0, or the child's errno. Its end of that pipe closes with exec. */
static int
failure_of(struct pipes *p)
{
	int error = 0;
	ssize_t n;

	close(p->failure[1]);
	p->failure[1] = -1;
	do
		n = read(p->failure[0], &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(error) ? error : 0;
}

static pid_t
fork_into(const struct command *command, struct pipes *p, struct strbuf *error)
{
	pid_t parent = getpid(), pid = fork();
	int failed;

	if (pid == 0)
		become(command, p, parent);
	if (pid < 0) {
		strbuf_addf(error, "fork: %s", strerror(errno));
		return -1;
	}
	failed = failure_of(p);
	if (failed == 0)
		return pid;
	waitpid(pid, NULL, 0);
	strbuf_addf(error, "%s: %s", command->argv[0], strerror(failed));
	return -1;
}

static int
take_end(int *fd)
{
	int taken = *fd;

	*fd = -1;
	evutil_make_socket_nonblocking(taken);
	return taken;
}

bool
spawn(const struct command *command, struct spawned *out, struct strbuf *error)
{
	struct pipes pipes;
	pid_t pid;

	if (!open_pipes(&pipes)) {
		strbuf_addf(error, "pipe: %s", strerror(errno));
		return false;
	}
	pid = fork_into(command, &pipes, error);
	if (pid > 0)
		*out = (struct spawned){ .pid = pid,
			.in = take_end(&pipes.in[1]),
			.out = take_end(&pipes.out[0]),
			.err = take_end(&pipes.err[0]) };
	close_pipes(&pipes);
	return pid > 0;
}
