#include "worker/runtime/upstream.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

#include <curl/curl.h>
#include <openssl/rand.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "common/timer.h"
#include "common/xalloc.h"
#include "worker/runtime/breaker.h"

/* One attempt and two more: what two do not mend is not a hiccup. */
#define ATTEMPTS_MAX 3
/* A pause lies between 0 and this times 2, 4, …: all clients spread out. */
#define RETRY_BASE_MS 100
/* A server may ask for this much patience; more is for the caller to have. */
#define RETRY_AFTER_MAX_S 2
#define CONNECT_TIMEOUT_MS 10000L
/*
 * Of an answer's headers and trailers together, which libcurl keeps: of the latter
 * it would keep as many as come.
 */
#define HEADERS_MAX ((size_t)256 << 10)
/* Idle connections kept; what a burst opened beyond is closed after it. */
#define IDLE_CONNECTIONS 128L
#define MS_PER_S 1000
#define USER_AGENT "mcp-relay/" MCP_VERSION

/* What is known of a server: "https://host:port". */
struct host {
	SLIST_ENTRY(host) link;
	struct breaker breaker;
	char origin[];
};

enum transfer_state {
	TRANSFER_WAITING, /* its timer: begins, or begins again, or ends */
	TRANSFER_RUNNING  /* libcurl's */
};

struct upstream_transfer {
	LIST_ENTRY(upstream_transfer) link;
	struct upstream *upstream;
	struct host *host; /* NULL: not to be called */
	enum transfer_state state;
	CURL *easy;
	struct curl_slist *headers;
	struct strbuf body; /* of the answer */
	size_t header_bytes;
	char reason[CURL_ERROR_SIZE];
	char *name; /* of the host, for messages */
	struct event *timer;
	uint64_t end_ms; /* monotonic */
	unsigned attempts;
	bool idempotent;
	bool admitted; /* the breaker waits for the outcome */
	/* Of the host's addresses, in this attempt. */
	bool address_refused, address_taken;
	char *failed; /* told without being sent */
	void (*done)(const struct upstream_response *response, void *arg);
	void (*dropped)(void *arg);
	void *arg;
};

struct upstream {
	struct event_base *base;
	const struct upstream_settings *settings;
	const struct egress *egress;
	CURLM *multi;
	struct event *timer;
	SLIST_HEAD(, host) hosts; /* few: an API has one, or some */
	LIST_HEAD(, upstream_transfer) transfers;
};

static void begin(struct upstream_transfer *t);

static void
set_state(struct upstream_transfer *t, enum transfer_state state)
{
	static const char *const names[] = {
		[TRANSFER_WAITING] = "waiting",
		[TRANSFER_RUNNING] = "running",
	};

	log_debug("upstream state", LF("host", t->name),
	    LF("from", names[t->state]), LF("to", names[state]));
	t->state = state;
}

/* The end of a transfer -------------------------------------------------- */

/* It has left the list of transfers. */
static void
transfer_free(struct upstream_transfer *t)
{
	if (t->state == TRANSFER_RUNNING)
		curl_multi_remove_handle(t->upstream->multi, t->easy);
	event_free(t->timer);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	strbuf_release(&t->body);
	free(t->failed);
	free(t->name);
	free(t);
}

static void
finish(struct upstream_transfer *t, const struct upstream_response *response)
{
	log_debug("upstream answered", LF("host", t->name),
	    LF_N("status", response->status), LF_N("attempts", t->attempts),
	    LF("error", response->error));
	LIST_REMOVE(t, link);
	t->done(response, t->arg);
	transfer_free(t);
}

static void
finish_failed(struct upstream_transfer *t, const char *error)
{
	finish(t, &(struct upstream_response){
		      .error = error, .attempts = t->attempts, .transfer = t });
}

static void
finish_answered(struct upstream_transfer *t, int status)
{
	const char *header;
	curl_off_t after = 0;
	struct upstream_response response = {
		.status = status,
		.body = strbuf_slice(&t->body),
		.attempts = t->attempts,
		.transfer = t,
	};

	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after);
	header = upstream_header(&response, "Retry-After");
	/* libcurl says 0 also of what it does not understand. */
	response.retry_after_known =
	    after > 0 || (header != NULL && strcmp(header, "0") == 0);
	response.retry_after_s = after < UINT_MAX ? (unsigned)after : UINT_MAX;
	finish(t, &response);
}

/* Attempts --------------------------------------------------------------- */

static bool
is_outage(CURLcode result, long status)
{
	return result != CURLE_OK || status == 500 || status == 502 ||
	       status == 503 || status == 504;
}

/* Some may be refused, and the host still be reached at another. */
static bool
no_address(const struct upstream_transfer *t)
{
	return t->address_refused && !t->address_taken;
}

/* What libcurl says of an answer that we ourselves refused. */
static bool
is_our_doing(const struct upstream_transfer *t, CURLcode result)
{
	return no_address(t) || result == CURLE_WRITE_ERROR ||
	       result == CURLE_OUT_OF_MEMORY;
}

static void
tell_breaker(struct upstream_transfer *t, CURLcode result, long status)
{
	struct breaker *b;
	uint64_t now = clock_mono_ms();
	bool was_open;

	if (!t->admitted)
		return;
	b = &t->host->breaker;
	was_open = b->state == BREAKER_OPEN;
	t->admitted = false;
	if (is_our_doing(t, result))
		breaker_gave_up(b, now);
	else if (is_outage(result, status))
		breaker_failed(b, now);
	else
		breaker_succeeded(b);
	if (b->state == BREAKER_OPEN && !was_open)
		log_warn("upstream is left alone", LF("host", t->name),
		    LF_N("seconds", breaker_wait_s(b, now)));
}

/* A random number below n, which is small. */
static unsigned
random_below(unsigned n)
{
	uint32_t v = 0;

	if (n == 0 || RAND_bytes((unsigned char *)&v, sizeof(v)) != 1)
		return 0;
	return v % n;
}

/* Milliseconds until the next attempt; -1: there is none. */
static int64_t
retry_pause(const struct upstream_transfer *t, CURLcode result, long status)
{
	curl_off_t after = 0;
	uint64_t now = clock_mono_ms(), pause;

	if (!t->idempotent || t->attempts >= ATTEMPTS_MAX ||
	    is_our_doing(t, result) || !is_outage(result, status) ||
	    result == CURLE_PEER_FAILED_VERIFICATION)
		return -1;
	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after);
	if (after > RETRY_AFTER_MAX_S)
		return -1;
	pause = (uint64_t)after * MS_PER_S +
		random_below(RETRY_BASE_MS << t->attempts);
	return now + pause < t->end_ms ? (int64_t)pause : -1;
}

static const char *
failure_text(struct upstream_transfer *t, CURLcode result, struct strbuf *sb)
{
	strbuf_addf(sb, "%s: ", t->name);
	if (no_address(t))
		strbuf_add_str(sb,
		    "the name resolves to an address that is "
		    "not public and in no network of UPSTREAM_NETWORKS");
	else if (t->header_bytes > HEADERS_MAX)
		strbuf_addf(sb,
		    "the answer's headers are larger than %zu bytes",
		    HEADERS_MAX);
	else if (result == CURLE_WRITE_ERROR)
		strbuf_addf(sb,
		    "the answer is larger than %zu bytes "
		    "(UPSTREAM_MAX_BODY)",
		    t->body.max);
	else if (result == CURLE_OPERATION_TIMEDOUT)
		strbuf_add_str(sb, "no answer in time");
	else
		strbuf_add_str(sb, t->reason[0] != '\0'
				       ? t->reason
				       : curl_easy_strerror(result));
	return strbuf_str(sb);
}

static void
attempt_ended(struct upstream_transfer *t, CURLcode result)
{
	struct strbuf text = STRBUF_INIT(1024);
	long status = 0;
	int64_t pause;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(t->upstream->multi, t->easy);
	set_state(t, TRANSFER_WAITING);
	tell_breaker(t, result, status);
	pause = retry_pause(t, result, status);
	if (pause >= 0)
		timer_set(t->timer, (uint64_t)pause);
	else if (result == CURLE_OK)
		finish_answered(t, (int)status);
	else
		finish_failed(t, failure_text(t, result, &text));
	strbuf_release(&text);
}

static void
on_transfer_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct upstream_transfer *t = arg;

	if (t->failed != NULL)
		finish_failed(t, t->failed);
	else
		begin(t);
}

static void
begin(struct upstream_transfer *t)
{
	struct strbuf text = STRBUF_INIT(512);
	uint64_t now = clock_mono_ms();

	if (now >= t->end_ms) {
		strbuf_addf(&text, "%s: no answer in time", t->name);
		finish_failed(t, strbuf_str(&text));
	} else if (!breaker_admit(&t->host->breaker, now)) {
		strbuf_addf(&text,
		    "%s: failed repeatedly, so it is not asked "
		    "for now; try again in %u s",
		    t->name, breaker_wait_s(&t->host->breaker, now));
		finish_failed(t, strbuf_str(&text));
	} else {
		t->admitted = true;
		t->attempts++;
		t->address_refused = t->address_taken = false;
		strbuf_reset(&t->body);
		t->header_bytes = 0;
		t->reason[0] = '\0';
		curl_easy_setopt(
		    t->easy, CURLOPT_TIMEOUT_MS, (long)(t->end_ms - now));
		set_state(t, TRANSFER_RUNNING);
		if (curl_multi_add_handle(t->upstream->multi, t->easy) !=
		    CURLM_OK)
			abort();
	}
	strbuf_release(&text);
}

/* libcurl on the event loop ---------------------------------------------- */

static void
reap(struct upstream *u)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(u->multi, &left)) != NULL) {
		struct upstream_transfer *t = NULL;
		CURLcode result = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
		attempt_ended(t, result);
	}
}

static void
act(struct upstream *u, curl_socket_t fd, int what)
{
	int running;

	curl_multi_socket_action(u->multi, fd, what, &running);
	reap(u);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	act(arg, fd,
	    ((what & EV_READ) ? CURL_CSELECT_IN : 0) |
		((what & EV_WRITE) ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl wants to know of other events on fd. */
static int
watch_socket(
    CURL *easy UNUSED, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct upstream *u = arg;
	struct event *ev = socket_arg;
	short events = EV_PERSIST;

	if (ev != NULL)
		event_free(ev);
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(u->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	ev = event_new(u->base, fd, events, on_socket, u);
	if (ev == NULL || event_add(ev, NULL) != 0)
		abort();
	curl_multi_assign(u->multi, fd, ev);
	return 0;
}

static int
watch_time(CURLM *multi UNUSED, long ms, void *arg)
{
	struct upstream *u = arg;

	if (ms < 0)
		event_del(u->timer);
	else
		timer_set(u->timer, (uint64_t)ms);
	return 0;
}

/* After DNS: the address decides, before a byte is sent to it. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose UNUSED, struct curl_sockaddr *to)
{
	struct upstream_transfer *t = arg;

	if (!egress_address_ok(t->upstream->egress, &to->addr)) {
		t->address_refused = true;
		errno = EACCES;
		return CURL_SOCKET_BAD;
	}
	t->address_taken = true;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t
take_header(char *p UNUSED, size_t size, size_t count, void *arg)
{
	struct upstream_transfer *t = arg;

	t->header_bytes += size * count;
	return t->header_bytes <= HEADERS_MAX ? size * count : 0;
}

static size_t
take_body(char *p, size_t size, size_t count, void *arg)
{
	struct upstream_transfer *t = arg;

	strbuf_add(&t->body, p, size * count);
	return strbuf_ok(&t->body) ? size * count : 0;
}

/* Making a transfer ------------------------------------------------------ */

/* An option that libcurl refuses is a bug of ours, or no memory. */
#define SET(t, option, value) \
	do { \
		if (curl_easy_setopt((t)->easy, (option), (value)) != \
		    CURLE_OK) \
			abort(); \
	} while (0)

static void
set_body(struct upstream_transfer *t, const struct upstream_request *request)
{
	bool get = strcmp(request->method, "GET") == 0;
	bool head = strcmp(request->method, "HEAD") == 0;

	t->idempotent = request->idempotent || get || head;
	if (request->body.p != NULL) {
		SET(t, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)request->body.n);
		SET(t, CURLOPT_COPYPOSTFIELDS, request->body.p);
	}
	if (head)
		SET(t, CURLOPT_NOBODY, 1L);
	else if (!get || request->body.p != NULL)
		SET(t, CURLOPT_CUSTOMREQUEST, request->method);
}

static void
set_headers(struct upstream_transfer *t, const char *const *headers)
{
	/* Else libcurl would ask before it sends a large body, and wait. */
	t->headers = curl_slist_append(NULL, "Expect:");
	for (; headers != NULL && *headers != NULL; headers++) {
		struct curl_slist *more =
		    curl_slist_append(t->headers, *headers);

		if (more == NULL)
			abort();
		t->headers = more;
	}
	SET(t, CURLOPT_HTTPHEADER, t->headers);
}

static void
set_transport(struct upstream_transfer *t)
{
	const struct upstream_settings *s = t->upstream->settings;

	SET(t, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(t, CURLOPT_PROXY, "");
	SET(t, CURLOPT_NOSIGNAL, 1L);
	SET(t, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(t, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(t, CURLOPT_ACCEPT_ENCODING, "");
	SET(t, CURLOPT_USERAGENT, USER_AGENT);
	SET(t, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(t, CURLOPT_OPENSOCKETDATA, t);
	if (s->ca_file != NULL)
		SET(t, CURLOPT_CAINFO, s->ca_file);
}

static void
set_request(struct upstream_transfer *t, const struct upstream_request *request)
{
	SET(t, CURLOPT_URL, request->url);
	SET(t, CURLOPT_PRIVATE, t);
	SET(t, CURLOPT_ERRORBUFFER, t->reason);
	SET(t, CURLOPT_HEADERFUNCTION, take_header);
	SET(t, CURLOPT_HEADERDATA, t);
	SET(t, CURLOPT_WRITEFUNCTION, take_body);
	SET(t, CURLOPT_WRITEDATA, t);
	/* Wait to see whether a first connection is HTTP/2 and can be shared. */
	if (strncmp(request->url, "https:", 6) == 0)
		SET(t, CURLOPT_PIPEWAIT, 1L);
	set_transport(t);
	set_body(t, request);
	set_headers(t, request->headers);
}

static struct host *
find_host(struct upstream *u, const char *origin)
{
	struct host *host;
	size_t n = strlen(origin);

	SLIST_FOREACH(host, &u->hosts, link) {
		if (strcmp(host->origin, origin) == 0)
			return host;
	}
	host = xcalloc(1, sizeof(*host) + n + 1);
	memcpy(host->origin, origin, n);
	SLIST_INSERT_HEAD(&u->hosts, host, link);
	return host;
}

static char *
url_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;

	if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK)
		return NULL;
	return text;
}

/* The host in small letters, since case makes no other host of it. */
static char *
url_host(CURLU *url)
{
	char *host = url_part(url, CURLUPART_HOST);

	for (char *p = host; p != NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return host;
}

/* Fills in host and name, or what is wrong with the URL. */
static void
look_at_url(struct upstream_transfer *t, CURLU *url)
{
	char *scheme = url_part(url, CURLUPART_SCHEME);
	char *host = url_host(url);
	char *port = url_part(url, CURLUPART_PORT);
	char *user = url_part(url, CURLUPART_USER);
	char *password = url_part(url, CURLUPART_PASSWORD);

	if (scheme == NULL || host == NULL || port == NULL || user != NULL ||
	    password != NULL) {
		t->name = xstrdup("upstream");
		t->failed = xstrdup("upstream: the URL is not valid");
	} else if (!egress_host_ok(t->upstream->egress, host)) {
		t->name = xstrdup(host);
		t->failed =
		    xasprintf("%s: the host is not on the allow-list", host);
	} else {
		char *origin = xasprintf("%s://%s:%s", scheme, host, port);

		t->name = xstrdup(host);
		t->host = find_host(t->upstream, origin);
		free(origin);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_free(password);
}

static void
read_url(struct upstream_transfer *t, const char *text)
{
	CURLU *url = curl_url();

	if (url == NULL)
		abort();
	/* A URL that it refuses has no parts. */
	(void)curl_url_set(url, CURLUPART_URL, text, 0);
	look_at_url(t, url);
	curl_url_cleanup(url);
}

/* RFC 9110, section 5.6.2. */
static bool
is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!isalnum(c) &&
		    (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return s.n > 0;
}

/* libcurl sends what it is given, a line end and another header included. */
static bool
is_header(const char *line)
{
	if (!is_token(slice_of(line, strcspn(line, ":"))))
		return false;
	for (const char *p = line; *p != '\0'; p++) {
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return false;
	}
	return true;
}

static bool
is_sendable(const struct upstream_request *request)
{
	const char *const *header = request->headers;

	for (; header != NULL && *header != NULL; header++) {
		if (!is_header(*header))
			return false;
	}
	return is_token(slice_str(request->method));
}

struct upstream_transfer *
upstream_send(struct upstream *u, const struct upstream_request *request)
{
	struct upstream_transfer *t = xcalloc(1, sizeof(*t));
	uint64_t timeout = (uint64_t)u->settings->timeout_s * MS_PER_S;

	if (request->timeout_ms != 0 && request->timeout_ms < timeout)
		timeout = request->timeout_ms;
	t->upstream = u;
	t->done = request->done;
	t->dropped = request->dropped;
	t->arg = request->arg;
	t->end_ms = clock_mono_ms() + timeout;
	t->easy = curl_easy_init();
	t->timer = evtimer_new(u->base, on_transfer_timer, t);
	if (t->easy == NULL || t->timer == NULL)
		abort();
	strbuf_init(&t->body, u->settings->max_body);
	LIST_INSERT_HEAD(&u->transfers, t, link);
	read_url(t, request->url);
	if (t->failed == NULL && !is_sendable(request))
		t->failed = xasprintf("%s: the request has a method or a "
				      "header that HTTP does not have",
		    t->name);
	if (t->failed == NULL)
		set_request(t, request);
	timer_set(t->timer, 0);
	return t;
}

void
upstream_cancel(struct upstream_transfer *t)
{
	if (t->admitted)
		breaker_gave_up(&t->host->breaker, clock_mono_ms());
	LIST_REMOVE(t, link);
	transfer_free(t);
}

char *
upstream_url_host(const char *text)
{
	CURLU *url = curl_url();
	char *part, *host = NULL;

	if (url == NULL)
		abort();
	if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
		part = url_part(url, CURLUPART_HOST);
		host = part != NULL ? xstrdup(part) : NULL;
		curl_free(part);
	}
	curl_url_cleanup(url);
	return host;
}

const char *
upstream_header(const struct upstream_response *response, const char *name)
{
	struct curl_header *header;

	if (response->status == 0 ||
	    curl_easy_header(response->transfer->easy, name, 0, CURLH_HEADER,
		-1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

/* The module itself ------------------------------------------------------ */

/* Each connection is an open file: as many as the system lets us have. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("limit of open files not raised",
		    LF("error", strerror(errno)));
}

struct upstream *
upstream_new(struct event_base *base, const struct upstream_settings *settings,
    const struct egress *egress)
{
	struct upstream *u = xcalloc(1, sizeof(*u));

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	raise_file_limit();
	u->base = base;
	u->settings = settings;
	u->egress = egress;
	LIST_INIT(&u->transfers);
	SLIST_INIT(&u->hosts);
	u->multi = curl_multi_init();
	u->timer = evtimer_new(base, on_timer, u);
	if (u->multi == NULL || u->timer == NULL)
		abort();
	curl_multi_setopt(u->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(u->multi, CURLMOPT_SOCKETDATA, u);
	curl_multi_setopt(u->multi, CURLMOPT_TIMERFUNCTION, watch_time);
	curl_multi_setopt(u->multi, CURLMOPT_TIMERDATA, u);
	curl_multi_setopt(u->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    (long)settings->connections);
	curl_multi_setopt(u->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
	return u;
}

void
upstream_free(struct upstream *u)
{
	struct upstream_transfer *t, *after;
	struct host *host;

	if (u == NULL)
		return;
	for (t = LIST_FIRST(&u->transfers); t != NULL; t = after) {
		after = LIST_NEXT(t, link);
		if (t->dropped != NULL)
			t->dropped(t->arg);
		transfer_free(t);
	}
	curl_multi_cleanup(u->multi);
	event_free(u->timer);
	while ((host = SLIST_FIRST(&u->hosts)) != NULL) {
		SLIST_REMOVE_HEAD(&u->hosts, link);
		free(host);
	}
	free(u);
	curl_global_cleanup();
}
