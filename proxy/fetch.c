#include "proxy/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "common/strbuf.h"
#include "common/timer.h"
#include "common/xalloc.h"

struct fetch {
	struct event_base *base;
	const char *url;
	const char *ca_file;     /* NULL: the system's store */
	fetch_cb *cb;
	void *arg;
	CURLM *multi;
	CURL *easy;              /* NULL: none on its way */
	struct event *timer;
	struct strbuf body;
	char error[CURL_ERROR_SIZE];
};

/* A socket that libcurl wants to be told about. */
struct watched {
	struct fetch *fetch;
	struct event *event;
};

static void finish(struct fetch *f);

/* Sockets and time ---------------------------------------------------------- */

static void
act(struct fetch *f, curl_socket_t fd, int what)
{
	int running = 0;

	curl_multi_socket_action(f->multi, fd, what, &running);
	if (running == 0)
		finish(f);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct watched *w = arg;

	act(w->fetch, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) |
	    (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void
watch(struct fetch *f, struct watched *w, curl_socket_t fd, int what)
{
	short events = EV_PERSIST;

	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	if (w == NULL) {
		w = xcalloc(1, sizeof(*w));
		w->fetch = f;
		curl_multi_assign(f->multi, fd, w);
	} else {
		event_free(w->event);
	}
	w->event = event_new(f->base, fd, events, on_socket, w);
	event_add(w->event, NULL);
}

static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	struct watched *w = of_socket;

	(void)easy;
	if (what != CURL_POLL_REMOVE) {
		watch(arg, w, fd, what);
	} else if (w != NULL) {
		event_free(w->event);
		free(w);
	}
	return 0;
}

static int
want_timer(CURLM *multi, long ms, void *arg)
{
	struct fetch *f = arg;

	(void)multi;
	if (ms < 0)
		event_del(f->timer);
	else
		timer_set(f->timer, (uint64_t)ms);
	return 0;
}

/* One GET ------------------------------------------------------------------- */

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;

	strbuf_add(&f->body, p, size * n);
	return strbuf_ok(&f->body) ? size * n : 0;
}

static const char *
problem_of(struct fetch *f, CURLcode code)
{
	long status = 0;

	if (code != CURLE_OK)
		return f->error[0] != '\0' ? f->error : curl_easy_strerror(code);
	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	return status == 200 ? NULL : "the status is not 200";
}

static void
drop(struct fetch *f)
{
	if (f->easy == NULL)
		return;
	curl_multi_remove_handle(f->multi, f->easy);
	curl_easy_cleanup(f->easy);
	f->easy = NULL;
}

static void
finish(struct fetch *f)
{
	struct strbuf body = f->body;
	const char *problem;
	CURLMsg *message;
	int left;

	do {
		message = curl_multi_info_read(f->multi, &left);
		if (message == NULL)
			return;
	} while (message->msg != CURLMSG_DONE);
	problem = problem_of(f, message->data.result);
	drop(f);
	strbuf_init(&f->body, FETCH_MAX);
	f->cb(strbuf_slice(&body), problem, f->arg);
	strbuf_release(&body);
}

static CURL *
new_get(struct fetch *f)
{
	CURL *easy = curl_easy_init();
	bool secure = strncmp(f->url, "https://", 8) == 0;

	if (easy == NULL)
		abort();
	curl_easy_setopt(easy, CURLOPT_URL, f->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR,
	    secure ? "https" : "http,https");
	if (f->ca_file != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, f->ca_file);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 3L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)FETCH_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "mcp-relay/" MCP_VERSION);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, f->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, f);
	return easy;
}

void
fetch_start(struct fetch *f)
{
	if (f->easy != NULL)
		return;
	f->error[0] = '\0';
	f->easy = new_get(f);
	curl_multi_add_handle(f->multi, f->easy);
}

bool
fetch_is_busy(const struct fetch *f)
{
	return f->easy != NULL;
}

void
fetch_setup(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct fetch *
fetch_new(struct event_base *base, const char *url, const char *ca_file,
    fetch_cb *cb, void *arg)
{
	struct fetch *f = xcalloc(1, sizeof(*f));

	f->base = base;
	f->url = url;
	f->ca_file = ca_file;
	f->cb = cb;
	f->arg = arg;
	strbuf_init(&f->body, FETCH_MAX);
	f->timer = event_new(base, -1, 0, on_timer, f);
	f->multi = curl_multi_init();
	if (f->multi == NULL)
		abort();
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	return f;
}

void
fetch_free(struct fetch *f)
{
	if (f == NULL)
		return;
	drop(f);
	curl_multi_cleanup(f->multi);
	event_free(f->timer);
	strbuf_release(&f->body);
	free(f);
}
