#include "worker/openapi/download.h"

#include <stdlib.h>

#include "common/xalloc.h"

struct download {
	struct download_options options;
	struct upstream_settings settings;
	struct egress *egress;
	struct upstream *upstream;
	struct event *ended;
	struct strbuf text, error;
};

bool
download_is_url(const char *spec)
{
	return strncmp(spec, "https://", 8) == 0 ||
	       strncmp(spec, "http://", 7) == 0;
}

/* On a turn of its own: upstream must not be freed from its callback. */
static void
on_ended(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct download *f = arg;
	struct slice text = slice_of(strbuf_str(&f->text), f->text.n);

	f->options.done(f->error.n > 0 ? SLICE_NONE : text,
	    strbuf_str(&f->error), f->options.arg);
}

static void
on_response(const struct upstream_response *response, void *arg)
{
	struct download *f = arg;

	if (response->status == 0)
		strbuf_addf(&f->error, "OPENAPI_SPEC: %s", response->error);
	else if (response->status != 200)
		strbuf_addf(&f->error, "OPENAPI_SPEC: %s answered %d",
		    f->options.url, response->status);
	else
		strbuf_add_slice(&f->text, response->body);
	event_active(f->ended, EV_TIMEOUT, 0);
}

static bool
allow(struct download *f, struct strbuf *error)
{
	char *host = upstream_url_host(f->options.url);
	bool ok = host != NULL && egress_add_hosts(f->egress, host, error) &&
		  egress_add_networks(f->egress, f->settings.networks, error);

	if (host == NULL)
		strbuf_addf(
		    error, "OPENAPI_SPEC: %s is no URL", f->options.url);
	free(host);
	return ok;
}

struct download *
download_open(const struct download_options *options, struct strbuf *error)
{
	struct download *f = xcalloc(1, sizeof(*f));

	f->options = *options;
	f->settings = *options->upstream;
	f->settings.max_body = options->max;
	strbuf_init(&f->text, options->max + 1);
	strbuf_init(&f->error, 1024);
	f->ended = evtimer_new(options->base, on_ended, f);
	if (f->ended == NULL)
		abort();
	f->egress = egress_new();
	if (!allow(f, error)) {
		download_close(f);
		return NULL;
	}
	f->upstream = upstream_new(options->base, &f->settings, f->egress);
	/* It ends with its upstream. */
	(void)!upstream_send(f->upstream, &(struct upstream_request){
					      .method = "GET",
					      .url = options->url,
					      .done = on_response,
					      .arg = f,
					  });
	return f;
}

void
download_close(struct download *f)
{
	if (f == NULL)
		return;
	upstream_free(f->upstream);
	egress_free(f->egress);
	event_free(f->ended);
	strbuf_release(&f->text);
	strbuf_release(&f->error);
	free(f);
}
