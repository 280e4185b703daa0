#include "worker/runtime/worker_env.h"

#include <pthread.h>
#include <stdlib.h>

#include <event2/util.h>

#include "common/log.h"
#include "common/timer.h"
#include "common/xalloc.h"

/* Pauses between attempts double from the first to the last. */
#define PAUSE_FIRST_MS 1000
#define PAUSE_LAST_MS 30000
/* A start that waits is reported that often. */
#define SLOW_MS 30000
/* A line for the log and the heartbeat. */
#define ERROR_MAX 1024

enum env_state {
	STATE_IDLE,       /* worker_env_open() not called yet */
	STATE_STARTING,   /* start() was called, and waits for something */
	STATE_UP,         /* tools can run */
	STATE_FAILED,     /* until the timer starts it again */
	STATE_CLOSED      /* for good */
};

struct worker_env {
	struct worker_env_options options;
	enum env_state state;
	pthread_t loop;          /* the thread that made it */
	struct event *again;     /* of a failed start, or to look at a slow one */
	unsigned pause_ms;
	bool within_start;
	bool waits;              /* start() called worker_env_wait() */
	void *api_state;
	struct strbuf error;
};

static const char *const state_names[] = {
	[STATE_IDLE] = "starting",
	[STATE_STARTING] = "starting",
	[STATE_UP] = "up",
	[STATE_FAILED] = "failed",
	[STATE_CLOSED] = "closed",
};

static void
env_set_state(struct worker_env *env, enum env_state state)
{
	log_debug("api state", LF("from", state_names[env->state]),
	    LF("to", state_names[state]));
	env->state = state;
}

static void
changed(struct worker_env *env)
{
	if (env->state != STATE_CLOSED)
		env->options.on_change(env->options.arg);
}

/* Coming up, or not ------------------------------------------------------- */

/* Half of the pause at least: workers that failed together come back apart. */
static unsigned
next_pause_ms(struct worker_env *env)
{
	unsigned most = env->pause_ms, random;

	env->pause_ms = most * 2 < PAUSE_LAST_MS ? most * 2 : PAUSE_LAST_MS;
	evutil_secure_rng_get_bytes(&random, sizeof(random));
	return most / 2 + random % (most / 2);
}

static void
failed(struct worker_env *env)
{
	unsigned ms = next_pause_ms(env);

	if (env->error.n == 0)
		strbuf_add_str(&env->error, "it does not say why");
	log_error("API does not start", LF("api", env->options.name),
	    LF("reason", strbuf_str(&env->error)), LF_N("again_ms", ms));
	env->api_state = NULL;
	env_set_state(env, STATE_FAILED);
	timer_set(env->again, ms);
	changed(env);
}

static void
take_down(struct worker_env *env)
{
	if (env->options.api->stop != NULL)
		env->options.api->stop(env);
	env->api_state = NULL;
}

static void
come_up(struct worker_env *env)
{
	if (!catalogue_is_set(env->options.catalogue)) {
		take_down(env);
		strbuf_add_str(&env->error, "it offers nothing");
		failed(env);
		return;
	}
	event_del(env->again);
	strbuf_reset(&env->error);
	env->pause_ms = PAUSE_FIRST_MS;
	env_set_state(env, STATE_UP);
	log_info("API is up", LF("api", env->options.name));
	changed(env);
}

/* Whether the API may say now how its start ended; else it is told. */
static bool
may_end_start(const struct worker_env *env)
{
	if (env->within_start)
		log_error("API ends its start within start()",
		    LF("api", env->options.name));
	return env->state == STATE_STARTING && !env->within_start;
}

static bool
call_start(struct worker_env *env)
{
	bool ok = true;

	env->waits = false;
	env->within_start = true;
	if (env->options.api->start != NULL)
		ok = env->options.api->start(env, &env->error);
	env->within_start = false;
	return ok;
}

static void
start(struct worker_env *env)
{
	strbuf_reset(&env->error);
	env_set_state(env, STATE_STARTING);
	if (!call_start(env))
		failed(env);
	else if (!env->waits)
		come_up(env);
	else
		timer_set(env->again, SLOW_MS);
}

/* It may take as long as it needs, but should not do so unnoticed. */
static void
note_slow_start(struct worker_env *env)
{
	log_warn("API is still starting", LF("api", env->options.name));
	timer_set(env->again, SLOW_MS);
}

static void
on_again(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct worker_env *env = arg;

	if (env->state == STATE_STARTING)
		note_slow_start(env);
	else
		start(env);
}

void
worker_env_wait(struct worker_env *env)
{
	env->waits = true;
}

void
worker_env_ready(struct worker_env *env)
{
	if (may_end_start(env))
		come_up(env);
}

void
worker_env_fail(struct worker_env *env, const char *reason)
{
	if (!may_end_start(env))
		return;
	take_down(env);
	strbuf_reset(&env->error);
	strbuf_add_str(&env->error, reason);
	failed(env);
}

/* What the API asks -------------------------------------------------------- */

struct event_base *
worker_env_base(const struct worker_env *env)
{
	return env->options.base;
}

struct evdns_base *
worker_env_dns(const struct worker_env *env)
{
	return env->options.dns;
}

const void *
worker_env_settings(const struct worker_env *env)
{
	return env->options.settings;
}

const char *
worker_env_name(const struct worker_env *env)
{
	return env->options.name;
}

void *
worker_env_state(const struct worker_env *env)
{
	return env->api_state;
}

void
worker_env_set_state(struct worker_env *env, void *state)
{
	env->api_state = state;
}

bool
worker_env_set_tools(struct worker_env *env, const struct tool *tools,
    struct strbuf *error)
{
	return worker_env_set_offers(env, &(struct offers){ .tools = tools },
	    error);
}

bool
worker_env_set_offers(struct worker_env *env, const struct offers *offers,
    struct strbuf *error)
{
	if (!catalogue_set(env->options.catalogue, offers, error))
		return false;
	if (env->state == STATE_UP)
		changed(env);
	return true;
}

void
worker_env_resource_changed(struct worker_env *env, const char *uri)
{
	if (env->options.on_resource_changed != NULL)
		env->options.on_resource_changed(uri, env->options.arg);
}

void
worker_env_set_instructions(struct worker_env *env, const char *text)
{
	catalogue_set_instructions(env->options.catalogue, text);
}

/* What the worker asks ----------------------------------------------------- */

void
worker_env_watch(struct worker_env *env, const char *const *uris, size_t n)
{
	if (env->state == STATE_UP)
		env->options.api->watch(env, uris, n);
}

bool
worker_env_is_on_loop(const struct worker_env *env)
{
	return pthread_equal(env->loop, pthread_self());
}

bool
worker_env_is_up(const struct worker_env *env)
{
	return env->state == STATE_UP;
}

const char *
worker_env_state_name(const struct worker_env *env)
{
	return state_names[env->state];
}

const char *
worker_env_error(const struct worker_env *env)
{
	return strbuf_str(&env->error);
}

/* The object ----------------------------------------------------------------- */

struct worker_env *
worker_env_new(const struct worker_env_options *options)
{
	struct worker_env *env = xcalloc(1, sizeof(*env));

	env->options = *options;
	env->loop = pthread_self();
	env->pause_ms = PAUSE_FIRST_MS;
	strbuf_init(&env->error, ERROR_MAX);
	env->again = evtimer_new(options->base, on_again, env);
	if (env->again == NULL)
		abort();
	return env;
}

void
worker_env_free(struct worker_env *env)
{
	if (env == NULL)
		return;
	event_free(env->again);
	strbuf_release(&env->error);
	free(env);
}

void
worker_env_open(struct worker_env *env)
{
	start(env);
}

void
worker_env_close(struct worker_env *env)
{
	bool made = env->state == STATE_UP || env->state == STATE_STARTING;

	if (env->state == STATE_CLOSED)
		return;
	env_set_state(env, STATE_CLOSED);
	event_del(env->again);
	if (made)
		take_down(env);
}
