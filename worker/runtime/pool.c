#include "worker/runtime/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/work.h"

STAILQ_HEAD(work_queue, work);
LIST_HEAD(work_list, work);

struct pool {
	/* The loop's. */
	struct event *news;        /* on the eventfd: something is done */
	int fd;
	pthread_t *threads;
	unsigned most, made;
	struct work_list all;

	/* Everybody's, under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t more;       /* something to do, or to stop */
	pthread_cond_t fewer;      /* a thread has ended */
	struct work_queue todo, done;
	unsigned idle;             /* threads that wait for more */
	unsigned alive;
	bool stopping;
};

/* Threads ---------------------------------------------------------------------- */

/* The next work, or NULL to end. Under the lock. */
static struct work *
next_work(struct pool *p)
{
	struct work *work;

	p->idle++;
	while (!p->stopping && STAILQ_EMPTY(&p->todo))
		pthread_cond_wait(&p->more, &p->lock);
	p->idle--;
	if (p->stopping)
		return NULL;
	work = STAILQ_FIRST(&p->todo);
	STAILQ_REMOVE_HEAD(&p->todo, link);
	return work;
}

static void *
thread_main(void *arg)
{
	struct pool *p = arg;
	struct work *work;

	pthread_mutex_lock(&p->lock);
	while ((work = next_work(p)) != NULL) {
		pthread_mutex_unlock(&p->lock);
		work_run(work);
		pthread_mutex_lock(&p->lock);
		STAILQ_INSERT_TAIL(&p->done, work, link);
		/* The counter cannot be full: the loop empties it each time. */
		(void)eventfd_write(p->fd, 1);
	}
	p->alive--;
	pthread_cond_signal(&p->fewer);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Signals are the loop's to take: a new thread has them blocked. */
static void
make_thread(struct pool *p)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&p->threads[p->made], NULL, thread_main, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0) {
		p->made++;
		p->alive++;
	} else {
		log_error("thread not made", LF("reason", strerror(error)));
		if (p->made == 0)
			abort();
	}
}

/* The loop --------------------------------------------------------------------- */

static void
on_news(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct pool *p = arg;
	struct work_queue done = STAILQ_HEAD_INITIALIZER(done);
	struct work *work;
	eventfd_t count;

	(void)eventfd_read(fd, &count);
	pthread_mutex_lock(&p->lock);
	STAILQ_CONCAT(&done, &p->done);
	pthread_mutex_unlock(&p->lock);
	while ((work = STAILQ_FIRST(&done)) != NULL) {
		STAILQ_REMOVE_HEAD(&done, link);
		LIST_REMOVE(work, all);
		work_finish(work);
	}
}

void
pool_run(struct pool *p, struct call *call)
{
	struct work *work = work_new(call);

	LIST_INSERT_HEAD(&p->all, work, all);
	pthread_mutex_lock(&p->lock);
	STAILQ_INSERT_TAIL(&p->todo, work, link);
	if (p->idle == 0 && p->made < p->most)
		make_thread(p);
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
}

/* The object ------------------------------------------------------------------- */

struct pool *
pool_new(struct event_base *base, unsigned most)
{
	struct pool *p = xcalloc(1, sizeof(*p));
	pthread_condattr_t attr;

	p->most = most;
	p->threads = xcalloc(most, sizeof(*p->threads));
	LIST_INIT(&p->all);
	STAILQ_INIT(&p->todo);
	STAILQ_INIT(&p->done);
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->more, &attr);
	pthread_cond_init(&p->fewer, &attr);
	pthread_condattr_destroy(&attr);
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->news = event_new(base, p->fd, EV_READ | EV_PERSIST, on_news, p);
	if (p->fd < 0 || p->news == NULL || event_add(p->news, NULL) != 0)
		abort();
	return p;
}

/* Until that much monotonic time from now. */
static struct timespec
time_after(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

bool
pool_stop(struct pool *p, unsigned ms)
{
	struct timespec until = time_after(ms);
	struct work *work;
	unsigned left;
	int error = 0;

	LIST_FOREACH(work, &p->all, all)
		work_cancel(work);
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->more);
	while (p->alive > 0 && error == 0)
		error = pthread_cond_timedwait(&p->fewer, &p->lock, &until);
	left = p->alive;
	pthread_mutex_unlock(&p->lock);
	if (left > 0)
		return false;
	while (p->made > 0)
		pthread_join(p->threads[--p->made], NULL);
	return true;
}

void
pool_free(struct pool *p)
{
	struct work *work;

	if (p == NULL)
		return;
	while ((work = LIST_FIRST(&p->all)) != NULL) {
		LIST_REMOVE(work, all);
		work_free(work);
	}
	event_free(p->news);
	close(p->fd);
	pthread_cond_destroy(&p->more);
	pthread_cond_destroy(&p->fewer);
	pthread_mutex_destroy(&p->lock);
	free(p->threads);
	free(p);
}
