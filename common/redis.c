#include "common/redis_private.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/bufferevent_ssl.h>
#include <event2/util.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/redis_handshake.h"
#include "common/redis_lookup.h"
#include "common/redis_tls.h"
#include "common/resp_reader.h"
#include "common/timer.h"
#include "common/xalloc.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000

/* A dead peer is noticed within 30 s even when nothing is being sent. */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 3

/* Longer than between two heartbeats of a pod, which are refused as well. */
#define REFUSING_MS 2000

/* Room for the handshake above the cap that users' commands have. */
#define HANDSHAKE_BYTES ((size_t)16 << 10)

static const char *const state_names[] = {
	[REDIS_IDLE] = "IDLE",
	[REDIS_CONNECTING] = "CONNECTING",
	[REDIS_HANDSHAKE] = "HANDSHAKE",
	[REDIS_READY] = "READY",
	[REDIS_BACKOFF] = "BACKOFF",
};

static void on_address(const struct sockaddr *address, int length,
    const char *error, void *arg);
static void handshake_start(struct redis *r);

/* States ---------------------------------------------------------------- */

static void
set_state(struct redis *r, enum redis_state next)
{
	enum redis_state last = r->state;

	log_debug("redis state", LF("name", r->opt.client_name),
	    LF("from", state_names[last]), LF("to", state_names[next]));
	r->state = next;
	r->since_ms = clock_mono_ms();
	if ((last == REDIS_READY) != (next == REDIS_READY) &&
	    r->opt.on_state != NULL)
		r->opt.on_state(r, next == REDIS_READY, r->opt.arg);
}

/* Drops the connection and what was on its way; the state stays. */
static void
disconnect(struct redis *r)
{
	redis_lookup_close(&r->lookup);
	evtimer_del(r->timer);
	event_del(r->flush);
	if (r->bev != NULL)
		bufferevent_free(r->bev);
	r->bev = NULL;
	resp_reader_free(r->reader);
	r->reader = NULL;
	strbuf_release(&r->out);
}

/* Full jitter: many clients of one server must not come back in step. */
static uint64_t
backoff_ms(unsigned attempt)
{
	uint64_t limit = BACKOFF_MIN_MS;
	uint32_t random;

	while (attempt-- > 1 && limit < BACKOFF_MAX_MS)
		limit *= 2;
	if (limit > BACKOFF_MAX_MS)
		limit = BACKOFF_MAX_MS;
	evutil_secure_rng_get_bytes(&random, sizeof(random));
	return random % (limit + 1);
}

/* Warns once per outage and reason; repeated attempts are for debugging. */
static void
log_loss(struct redis *r, const char *reason, uint64_t retry_ms)
{
	bool news = strcmp(reason, r->logged) != 0;

	log_at(news ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG,
	    r->state == REDIS_READY ? "redis lost" : "redis not reached",
	    LF("name", r->opt.client_name), LF("host", r->opt.url->host),
	    LF_N("port", r->opt.url->port), LF("reason", reason),
	    LF_N("pending", r->pending.count), LF_N("attempt", r->attempt),
	    LF_N("retry_ms", retry_ms));
	snprintf(r->logged, sizeof(r->logged), "%s", reason);
}

void
redis_lose(struct redis *r, const char *reason)
{
	uint64_t delay;

	if (r->state == REDIS_READY &&
	    clock_mono_ms() - r->since_ms >= BACKOFF_MAX_MS)
		r->attempt = 0;
	r->attempt++;
	r->silent = false;
	delay = backoff_ms(r->attempt);
	log_loss(r, reason, delay);
	disconnect(r);
	r->reason[0] = '\0';
	set_state(r, REDIS_BACKOFF);
	timer_set(r->timer, delay);
	redis_fail_pending(r);
}

void
redis_doom(struct redis *r, const char *fmt, ...)
{
	va_list ap;

	if (r->reason[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(r->reason, sizeof(r->reason), fmt, ap);
	va_end(ap);
}

static void
connect_start(struct redis *r)
{
	const struct redis_url *url = r->opt.url;

	set_state(r, REDIS_CONNECTING);
	timer_set(r->timer, r->opt.connect_timeout_ms);
	redis_lookup_open(&r->lookup, r->dns, url->host, url->port, r->attempt,
	    on_address, r);
}

static void
lose_by_timeout(struct redis *r, const char *reason)
{
	redis_lose(r, reason);
	r->silent = true;
}

static void
check_oldest(struct redis *r)
{
	const struct redis_call *oldest = redis_pending_head(&r->pending);
	uint64_t age;

	if (oldest == NULL)
		return;
	age = clock_mono_ms() - oldest->sent_ms;
	if (age >= r->opt.command_timeout_ms)
		lose_by_timeout(r, "command timeout");
	else
		timer_set(r->timer, r->opt.command_timeout_ms - age);
}

static void
on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct redis *r = arg;

	switch (r->state) {
	case REDIS_IDLE:
		break;
	case REDIS_CONNECTING:
		lose_by_timeout(r, r->lookup != NULL ?
			"host name: no answer in time" : r->opt.url->tls ?
			"connect timeout (TCP or TLS)" : "connect timeout");
		break;
	case REDIS_HANDSHAKE:
		lose_by_timeout(r, "handshake timeout");
		break;
	case REDIS_READY:
		check_oldest(r);
		break;
	case REDIS_BACKOFF:
		connect_start(r);
		break;
	}
}

/* Connecting ------------------------------------------------------------ */

static void
set_socket_options(evutil_socket_t fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT },
	};

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (setsockopt(fd, options[i].level, options[i].name,
		    &options[i].value, sizeof(options[i].value)) != 0)
			log_warn("redis socket option refused",
			    LF_N("option", options[i].name));
	}
}

static void
lose_by_event(struct redis *r, short what)
{
	int error = EVUTIL_SOCKET_ERROR();
	char why[REASON_BYTES];

	if (what & BEV_EVENT_EOF)
		redis_lose(r, "closed by the server");
	else if (r->opt.url->tls && redis_tls_error(r->bev, why, sizeof(why)))
		redis_lose(r, why);
	else
		redis_lose(r, error ? evutil_socket_error_to_string(error) :
			"connection failed");
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct redis *r = arg;

	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
		lose_by_event(r, what);
	} else if (what & BEV_EVENT_CONNECTED) {
		set_socket_options(bufferevent_getfd(bev));
		handshake_start(r);
	}
}

static struct bufferevent *
bufferevent_for(struct redis *r, char *why, size_t why_size)
{
	const struct redis_url *url = r->opt.url;
	struct bufferevent *bev;
	SSL *ssl;

	if (!url->tls)
		return bufferevent_socket_new(r->base, -1,
		    BEV_OPT_CLOSE_ON_FREE);
	ssl = redis_tls_new(url->host, r->opt.tls_ca_file, why, why_size);
	if (ssl == NULL)
		return NULL;
	bev = bufferevent_openssl_socket_new(r->base, -1, ssl,
	    BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		SSL_free(ssl);
	return bev;
}

static void
on_address(const struct sockaddr *address, int length, const char *error,
    void *arg)
{
	struct redis *r = arg;
	char why[REASON_BYTES] = "out of memory";

	if (address == NULL) {
		snprintf(why, sizeof(why), "host name: %s", error);
		redis_lose(r, why);
		return;
	}
	r->bev = bufferevent_for(r, why, sizeof(why));
	if (r->bev == NULL) {
		redis_lose(r, why);
		return;
	}
	r->reader = resp_reader_new();
	bufferevent_setcb(r->bev, redis_on_read, NULL, on_event, r);
	bufferevent_enable(r->bev, EV_READ | EV_WRITE);
	/* It may have called on_event() already, which ends the connection. */
	if (bufferevent_socket_connect(r->bev, address, length) != 0 &&
	    r->state == REDIS_CONNECTING)
		lose_by_event(r, BEV_EVENT_ERROR);
}

/* Handshake ------------------------------------------------------------- */

static void
handshake_finish(struct redis *r)
{
	evtimer_del(r->timer);
	log_info("redis connected", LF("name", r->opt.client_name),
	    LF("host", r->opt.url->host), LF_N("port", r->opt.url->port),
	    LF("tls", r->opt.url->tls ? "yes" : "no"),
	    LF_N("attempt", r->attempt + 1));
	r->logged[0] = '\0';
	set_state(r, REDIS_READY);
}

static void
on_handshake(struct redis *r, const redisReply *reply, void *arg)
{
	const struct redis_handshake_step *step = arg;
	char why[REASON_BYTES];

	if (reply == NULL)
		return;
	if (!redis_handshake_accept(step, reply, why, sizeof(why)))
		redis_doom(r, "%s", why);
	else if (redis_handshake_next(step, &r->opt) == NULL)
		handshake_finish(r);
}

/* All steps in one go; their answers come in the same order. */
static void
handshake_start(struct redis *r)
{
	const struct redis_handshake_step *step = NULL;
	struct redis_handshake_argv a;

	set_state(r, REDIS_HANDSHAKE);
	while ((step = redis_handshake_next(step, &r->opt)) != NULL) {
		size_t argc = redis_handshake_words(step, &r->opt, &a);

		if (!redis_queue(r, a.argv, argc, on_handshake, (void *)step)) {
			redis_lose(r, "REDIS_URL: user or password too long");
			return;
		}
	}
	redis_flush(r);
}

/* Interface ------------------------------------------------------------- */

struct redis *
redis_new(struct event_base *base, struct evdns_base *dns,
    const struct redis_options *options)
{
	struct redis *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->dns = dns;
	r->opt = *options;
	strbuf_init(&r->out, options->max_output_bytes + HANDSHAKE_BYTES);
	r->flush = event_new(base, -1, 0, redis_on_flush, r);
	r->timer = evtimer_new(base, on_timer, r);
	if (r->flush == NULL || r->timer == NULL)
		abort();
	return r;
}

void
redis_open(struct redis *r)
{
	if (r->state == REDIS_IDLE)
		connect_start(r);
}

void
redis_free(struct redis *r)
{
	if (r == NULL)
		return;
	assert(!r->answering);
	disconnect(r);
	set_state(r, REDIS_IDLE);
	redis_fail_pending(r);
	event_free(r->flush);
	event_free(r->timer);
	free(r);
}

bool
redis_is_silent(const struct redis *r)
{
	return r->silent;
}

bool
redis_is_refusing(const struct redis *r)
{
	return r->refused_ms != 0 &&
	    clock_mono_ms() - r->refused_ms < REFUSING_MS;
}

bool
redis_is_ready(const struct redis *r)
{
	return r->state == REDIS_READY;
}

enum redis_state
redis_get_state(const struct redis *r)
{
	return r->state;
}

size_t
redis_pending_count(const struct redis *r)
{
	return r->pending.count;
}

uint64_t
redis_commands_sent(const struct redis *r)
{
	return r->commands;
}
