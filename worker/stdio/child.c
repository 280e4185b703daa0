#include "worker/stdio/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/stdio/lines.h"
#include "worker/stdio/spawn.h"

/* Between closing its input, SIGTERM and SIGKILL. */
#define PATIENCE_MS 2000
/* Lines that wait to be read by it. */
#define UNREAD_MAX ((size_t)16 << 20)
#define READ_MAX 65536
/* What a pipe can hold: /proc/sys/fs/pipe-max-size, unless root has raised it. */
#define PIPE_MAX (1u << 20)
/* Standard error: a line, and lines a second of one child. */
#define STDERR_LINE_MAX 1024
#define STDERR_LINES_PER_S 20
#define HOW_MAX 96

enum child_state {
	CHILD_RUNNING,
	CHILD_CLOSED,       /* its input is closed */
	CHILD_TERMINATED,   /* SIGTERM was sent to its group */
	CHILD_KILLED,       /* SIGKILL was */
	CHILD_GONE          /* reaped */
};

static const char *const state_names[] = {
	[CHILD_RUNNING] = "running",
	[CHILD_CLOSED] = "closed",
	[CHILD_TERMINATED] = "terminated",
	[CHILD_KILLED] = "killed",
	[CHILD_GONE] = "gone",
};

struct child {
	LIST_ENTRY(child) link;      /* family's */
	struct family *family;
	struct child_options options;
	enum child_state state;
	bool left;                   /* nobody is told any more */
	pid_t pid;                   /* of its group as well */
	struct bufferevent *in;      /* to its standard input; NULL: closed */
	int out, err;
	struct event *on_out, *on_err;
	struct event *patience;
	struct lines out_lines, err_lines;
	uint64_t second;             /* of the lines counted */
	unsigned counted, dropped;
};

struct family {
	struct event_base *base;
	struct event *sigchld;
	LIST_HEAD(, child) children;
};

static void
child_set_state(struct child *c, enum child_state state)
{
	log_debug("child state", LF_N("child", c->options.number),
	    LF("from", state_names[c->state]), LF("to", state_names[state]));
	c->state = state;
}

/* Standard error --------------------------------------------------------------- */

static bool
may_log(struct child *c)
{
	uint64_t second = clock_mono_ms() / 1000;

	if (second != c->second && c->dropped > 0)
		log_warn("lines of a server left out",
		    LF_N("child", c->options.number), LF_N("lines", c->dropped));
	if (second != c->second) {
		c->second = second;
		c->counted = c->dropped = 0;
	}
	if (c->counted++ < STDERR_LINES_PER_S)
		return true;
	c->dropped++;
	return false;
}

static void
on_err_line(struct slice line, bool cut UNUSED, void *arg)
{
	struct child *c = arg;
	enum log_level level = (enum log_level)c->options.stderr_level;

	if (log_enabled(level) && may_log(c))
		log_at(level, "server says", LF_N("child", c->options.number),
		    LF_S("line", line));
}

/* Listening --------------------------------------------------------------------- */

static void
on_out_line(struct slice line, bool cut, void *arg)
{
	struct child *c = arg;

	if (!c->left)
		c->options.on_line(line, cut, c->options.arg);
}

/* One read; false: nothing more comes, for now or for ever. */
static bool
read_some(int fd, struct lines *lines, lines_fn *fn, struct child *c,
    bool *ended)
{
	char bytes[READ_MAX];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	if (n > 0)
		lines_feed(lines, slice_of(bytes, (size_t)n), fn, c);
	*ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	return n > 0;
}

static void
on_out(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct child *c = arg;
	bool ended;

	(void)!read_some(fd, &c->out_lines, on_out_line, c, &ended);
	if (!ended)
		return;
	event_del(c->on_out);
	child_end(c, "it has closed its standard output");
}

static void
on_err(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct child *c = arg;
	bool ended;

	(void)!read_some(fd, &c->err_lines, on_err_line, c, &ended);
	if (ended)
		event_del(c->on_err);
}

/* Speaking ---------------------------------------------------------------------- */

bool
child_say(struct child *c, struct slice line)
{
	struct evbuffer *output;

	if (c->in == NULL)
		return false;
	output = bufferevent_get_output(c->in);
	if (evbuffer_get_length(output) + line.n > UNREAD_MAX)
		return false;
	return evbuffer_add(output, line.p, line.n) == 0 &&
	    evbuffer_add(output, "\n", 1) == 0;
}

bool
child_listens(const struct child *c)
{
	return c->in != NULL;
}

static void
close_in(struct child *c)
{
	int fd;

	if (c->in == NULL)
		return;
	fd = bufferevent_getfd(c->in);
	bufferevent_free(c->in);
	close(fd);
	c->in = NULL;
}

/* Its end will be seen as such; what it had not read is lost. */
static void
on_in_event(struct bufferevent *bev UNUSED, short what UNUSED, void *arg)
{
	child_end(arg, "it has closed its standard input");
}

/* Ending ------------------------------------------------------------------------ */

static void
signal_group(const struct child *c, int number)
{
	if (kill(-c->pid, number) != 0 && errno != ESRCH)
		log_warn("child not signalled", LF_N("child", c->options.number),
		    LF("reason", strerror(errno)));
}

static void
wait_on(struct child *c)
{
	const struct timeval time = { .tv_sec = PATIENCE_MS / 1000 };

	event_add(c->patience, &time);
}

static void
end_further(struct child *c)
{
	switch (c->state) {
	case CHILD_RUNNING:
		child_set_state(c, CHILD_CLOSED);
		close_in(c);
		wait_on(c);
		break;
	case CHILD_CLOSED:
		child_set_state(c, CHILD_TERMINATED);
		signal_group(c, SIGTERM);
		wait_on(c);
		break;
	case CHILD_TERMINATED:
		child_set_state(c, CHILD_KILLED);
		close_in(c);
		signal_group(c, SIGKILL);
		break;
	case CHILD_KILLED:
	case CHILD_GONE:
		break;
	}
}

static void
on_patience(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	end_further(arg);
}

void
child_end(struct child *c, const char *why)
{
	if (c->state != CHILD_RUNNING)
		return;
	log_info("child is ended", LF_N("child", c->options.number),
	    LF("reason", why));
	end_further(c);
}

void
child_kill(struct child *c, const char *why)
{
	if (c->state == CHILD_KILLED || c->state == CHILD_GONE)
		return;
	log_warn("child is killed", LF_N("child", c->options.number),
	    LF("reason", why));
	c->state = CHILD_TERMINATED;
	end_further(c);
}

static void
child_free(struct child *c)
{
	LIST_REMOVE(c, link);
	close_in(c);
	event_free(c->on_out);
	event_free(c->on_err);
	event_free(c->patience);
	close(c->out);
	close(c->err);
	lines_release(&c->out_lines);
	lines_release(&c->err_lines);
	free(c);
}

void
child_leave(struct child *take_child)
{
	struct child *c = take_child;

	c->left = true;
	lines_stop(&c->out_lines);
	if (c->state == CHILD_GONE)
		child_free(c);
	else
		child_end(c, "it is not needed any more");
}

/*
 * What is in a pipe, and no more: somebody in a session of his own may have it, too,
 * and write for ever.
 */
static void
read_the_rest(int fd, struct lines *lines, lines_fn *fn, struct child *c)
{
	unsigned left = PIPE_MAX / READ_MAX;
	bool ended;

	while (left-- > 0 && read_some(fd, lines, fn, c, &ended))
		;
	lines_finish(lines, fn, c);
}

static void
gone(struct child *c, int status)
{
	char how[HOW_MAX];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal: %s",
		    strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "exit status %d",
		    WEXITSTATUS(status));
	/* Whom it started in its group may hold the pipes open. */
	signal_group(c, SIGKILL);
	read_the_rest(c->out, &c->out_lines, on_out_line, c);
	read_the_rest(c->err, &c->err_lines, on_err_line, c);
	child_set_state(c, CHILD_GONE);
	event_del(c->on_out);
	event_del(c->on_err);
	event_del(c->patience);
	close_in(c);
	log_info("child has gone", LF_N("child", c->options.number),
	    LF_N("pid", c->pid), LF("how", how));
	if (c->left)
		child_free(c);
	else
		c->options.on_gone(how, c->options.arg);
}

/* Reaps what there is, foreign processes that came to be ours included. */
static void
reap(struct family *f)
{
	struct child *c;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		LIST_FOREACH(c, &f->children, link) {
			/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): all live. */
			if (c->pid == pid && c->state != CHILD_GONE)
				break;
		}
		if (c != NULL)
			gone(c, status);
	}
}

static void
on_sigchld(evutil_socket_t number UNUSED, short what UNUSED, void *arg)
{
	reap(arg);
}

/* Starting ---------------------------------------------------------------------- */

static void
listen_to(struct child *c, const struct spawned *s)
{
	struct event_base *base = c->family->base;

	c->pid = s->pid;
	c->in = bufferevent_socket_new(base, s->in, 0);
	c->out = s->out;
	c->err = s->err;
	c->on_out = event_new(base, c->out, EV_READ | EV_PERSIST, on_out, c);
	c->on_err = event_new(base, c->err, EV_READ | EV_PERSIST, on_err, c);
	c->patience = evtimer_new(base, on_patience, c);
	if (c->in == NULL || c->on_out == NULL || c->on_err == NULL ||
	    c->patience == NULL)
		abort();
	bufferevent_setcb(c->in, NULL, NULL, on_in_event, c);
	bufferevent_disable(c->in, EV_READ);
	event_add(c->on_out, NULL);
	event_add(c->on_err, NULL);
}

struct child *
child_start(struct family *f, const struct child_options *options,
    struct strbuf *error)
{
	struct spawned spawned;
	struct child *c;

	if (!spawn(options->command, &spawned, error))
		return NULL;
	c = xcalloc(1, sizeof(*c));
	c->family = f;
	c->options = *options;
	lines_init(&c->out_lines, options->max_line);
	lines_init(&c->err_lines, STDERR_LINE_MAX);
	listen_to(c, &spawned);
	LIST_INSERT_HEAD(&f->children, c, link);
	log_info("child started", LF_N("child", options->number),
	    LF_N("pid", c->pid), LF("program", options->command->argv[0]));
	return c;
}

/* The family -------------------------------------------------------------------- */

struct family *
family_new(struct event_base *base)
{
	struct family *f = xcalloc(1, sizeof(*f));

	f->base = base;
	LIST_INIT(&f->children);
	f->sigchld = evsignal_new(base, SIGCHLD, on_sigchld, f);
	if (f->sigchld == NULL || event_add(f->sigchld, NULL) != 0)
		abort();
	/* What children leave behind comes to us, to be reaped. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return f;
}

/* The event loop may be over: so this waits by itself, up to that time. */
static void
wait_for_all(struct family *f, unsigned ms)
{
	uint64_t end = clock_mono_ms() + ms;

	for (;;) {
		reap(f);
		if (LIST_EMPTY(&f->children) || clock_mono_ms() >= end)
			return;
		poll(NULL, 0, 10);
	}
}

/* Takes each a step towards that state, unless it is there or beyond. */
static void
end_all(struct family *f, enum child_state state)
{
	struct child *c, *next;

	for (c = LIST_FIRST(&f->children); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		c->left = true;
		if (c->state == CHILD_GONE)
			child_free(c);
		else if (c->state < state)
			end_further(c);
	}
}

void
family_free(struct family *f, bool at_once)
{
	static const enum child_state steps[] = { CHILD_CLOSED,
		CHILD_TERMINATED, CHILD_KILLED };

	if (f == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		end_all(f, steps[i]);
		/* The kernel needs no patience for the last. */
		if (!at_once || steps[i] == CHILD_KILLED)
			wait_for_all(f, PATIENCE_MS);
	}
	while (!LIST_EMPTY(&f->children))
		/* It leaves the list: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		child_free(LIST_FIRST(&f->children));
	event_free(f->sigchld);
	free(f);
}
