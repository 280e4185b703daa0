#include "worker/stdio/watches.h"

#include <stdlib.h>

#include <uthash.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/raw.h"
#include "common/uri.h"
#include "common/utf8.h"
#include "common/xalloc.h"
#include "worker/stdio/text.h"

/* {"uri":…}, all of it escaped. */
#define PARAMS_MAX (6 * WATCHES_URI_MAX + 16)

/* So many servers may be lost that were being asked for it. */
#define LOSSES_MAX 3

/* Refusals of one server that are logged, and of their reason. */
#define REFUSALS_PER_S 20
#define REASON_MAX 256

/* A resource. */
struct watch {
	UT_hash_handle hh;       /* of watches->all, by URI */
	char *uri;
	bool wanted;             /* somebody has subscribed to it */
	bool late;               /* since the first that were wanted */
	unsigned losses;         /* of servers that were being asked */
	unsigned holders;        /* servers that were asked to watch it, */
	bool held[];             /* and which */
};

/* What goes on with one server. */
struct watcher {
	struct watches *watches;
	unsigned number;
	struct server *server;   /* NULL: it cannot, or is not there */
	bool asking;
	struct watch *asked;     /* to begin; NULL: to end it */
	bool again;              /* it is not the first of that number */
	uint64_t refused_second; /* monotonic: of what it refused last, */
	unsigned refused;        /* and how much in that */
};

struct watches {
	void (*on_change)(const char *uri, void *arg);
	void *arg;
	struct watch *all;       /* uthash */
	bool begun;              /* watches_want() was called */
	unsigned count;
	struct watcher watchers[];
};

static struct watch *
find(const struct watches *w, const char *uri)
{
	struct watch *watch;

	HASH_FIND_STR(w->all, uri, watch);
	return watch;
}

static void
watch_add(struct watches *w, const char *uri)
{
	struct watch *watch = xcalloc(1, sizeof(*watch) +
	    w->count * sizeof(watch->held[0]));

	watch->uri = xstrdup(uri);
	watch->wanted = true;
	watch->late = w->begun;
	HASH_ADD_KEYPTR(hh, w->all, watch->uri, strlen(uri), watch);
}

/* It goes when nobody wants it and no server watches it. */
static void
watch_settle(struct watches *w, struct watch *watch)
{
	if (watch->wanted || watch->holders > 0)
		return;
	HASH_DEL(w->all, watch);
	free(watch->uri);
	free(watch);
}

static bool
is_to_be_held(const struct watch *watch)
{
	return watch->wanted && watch->losses < LOSSES_MAX;
}

static void
set_held(struct watcher *of, struct watch *watch, bool held)
{
	watch->held[of->number] = held;
	if (held)
		watch->holders++;
	else
		watch->holders--;
}

/*
 * Once for each resource and server, unless the server starts again. The clients'
 * subscriptions have been answered long since; and other servers may watch it.
 */
static void
note_refusal(struct watcher *of, struct slice error)
{
	uint64_t second = clock_mono_ms() / 1000;
	char *why;

	if (second != of->refused_second)
		of->refused = 0;
	of->refused_second = second;
	if (++of->refused > REFUSALS_PER_S)
		return;
	why = text_copy(raw_find(error, "message"));
	log_info("subscription refused by a server",
	    LF_N("child", of->number + 1), LF("uri", of->asked->uri),
	    LF_S("reason", utf8_cut(slice_str(why), REASON_MAX)));
	free(why);
}

static void go_on(struct watcher *of);

static void
on_answer(const struct server_answer *answer, void *arg)
{
	struct watcher *of = arg;
	struct watches *w = of->watches;

	if (answer->dropped)
		return;
	of->asking = false;
	if (of->asked != NULL && answer->error.n > 0)
		note_refusal(of, answer->error);
	if (of->asked != NULL && answer->result.n > 0 &&
	    (of->asked->late || of->again))
		w->on_change(of->asked->uri, w->arg);
	/* Clients choose what they subscribe to: it must not keep servers down. */
	if (of->asked != NULL && answer->result.n == 0 && answer->error.n == 0)
		of->asked->losses++;
	go_on(of);
}

static void
ask(struct watcher *of, struct watch *watch)
{
	struct strbuf params = STRBUF_INIT(PARAMS_MAX);
	bool begin = is_to_be_held(watch);

	strbuf_add_str(&params, "{\"uri\":");
	strbuf_add_json(&params, slice_str(watch->uri));
	strbuf_add_char(&params, '}');
	of->asking = server_ask(of->server, begin ? "resources/subscribe" :
	    "resources/unsubscribe", strbuf_slice(&params), on_answer,
	    of) != 0;
	strbuf_release(&params);
	if (!of->asking)
		return;
	set_held(of, watch, begin);
	of->asked = begin ? watch : NULL;
	watch_settle(of->watches, watch);
}

/* The next resource that the server watches in vain, or is to. */
static void
go_on(struct watcher *of)
{
	struct watch *watch = of->watches->all;

	if (of->server == NULL || of->asking)
		return;
	while (watch != NULL &&
	    is_to_be_held(watch) == watch->held[of->number])
		watch = watch->hh.next;
	if (watch != NULL)
		ask(of, watch);
}

void
watches_want(struct watches *w, const char *const *uris, size_t n)
{
	struct watch *watch, *next;

	for (watch = w->all; watch != NULL; watch = watch->hh.next)
		watch->wanted = false;
	for (size_t i = 0; i < n; i++) {
		watch = find(w, uris[i]);
		if (watch != NULL)
			watch->wanted = true;
		else if (strlen(uris[i]) <= WATCHES_URI_MAX)
			watch_add(w, uris[i]);
	}
	w->begun = true;
	for (watch = w->all; watch != NULL; watch = next) {
		next = watch->hh.next;
		watch_settle(w, watch);
	}
	for (unsigned i = 0; i < w->count; i++)
		go_on(&w->watchers[i]);
}

static void
forget_server(struct watcher *of)
{
	struct watch *watch = of->watches->all, *next;

	if (of->server != NULL)
		of->again = true;
	of->server = NULL;
	of->asking = false;
	of->asked = NULL;
	for (; watch != NULL; watch = next) {
		next = watch->hh.next;
		if (watch->held[of->number])
			set_held(of, watch, false);
		watch_settle(of->watches, watch);
	}
}

void
watches_server(struct watches *w, unsigned number, struct server *s)
{
	struct watcher *of = &w->watchers[number];

	if (s == NULL) {
		forget_server(of);
	} else if ((server_can(s) & SERVER_SUBSCRIBE) != 0) {
		of->server = s;
		go_on(of);
	}
}

bool
watches_concern(const struct watches *w, const char *uri)
{
	const struct watch *watch = find(w, uri);

	if (watch != NULL && watch->wanted)
		return true;
	for (watch = w->all; watch != NULL; watch = watch->hh.next) {
		if (watch->wanted &&
		    uri_is_part(slice_str(uri), slice_str(watch->uri)))
			return true;
	}
	return false;
}

struct watches *
watches_new(unsigned servers, void (*on_change)(const char *uri, void *arg),
    void *arg)
{
	struct watches *w = xcalloc(1, sizeof(*w) +
	    servers * sizeof(w->watchers[0]));

	w->on_change = on_change;
	w->arg = arg;
	w->count = servers;
	for (unsigned i = 0; i < servers; i++) {
		w->watchers[i].watches = w;
		w->watchers[i].number = i;
	}
	return w;
}

void
watches_free(struct watches *w)
{
	struct watch *watch = w->all, *next;

	/* The table goes first; what is in it stays linked. */
	HASH_CLEAR(hh, w->all);
	for (; watch != NULL; watch = next) {
		next = watch->hh.next;
		free(watch->uri);
		free(watch);
	}
	free(w);
}
