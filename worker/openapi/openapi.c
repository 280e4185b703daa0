/*
 * Any REST API without code: tools made of the operations of an OpenAPI
 * description that an overlay exposes. docs/apis/openapi.md is for its users.
 */
#include <malloc.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "worker/openapi/exchange.h"
#include "worker/openapi/download.h"
#include "worker/openapi/lint.h"
#include "worker/openapi/settings.h"
#include "worker/openapi/toolbox.h"

#define FIELD(name) CONFIG_FIELD(struct openapi_settings, name)

static const struct config_option options[] = {
	{ "OPENAPI_SPEC", CONFIG_STRING, FIELD(spec), NULL, 0, 0, NULL,
	    "the API's description, OpenAPI 3 or Swagger 2.0 in JSON or YAML: "
	    "a "
	    "file, http:// or https://" },
	{ "OPENAPI_OVERLAY", CONFIG_STRING, FIELD(overlay), NULL, 0, 0, NULL,
	    "YAML file that says which operations become tools, and how: "
	    "without it none" },
	{ "OPENAPI_MAX_SPEC", CONFIG_BYTES, FIELD(max_spec), "32m", 1024,
	    (size_t)64 << 20, NULL,
	    "bytes of the description, and of the files that it refers to" },
	{ "OPENAPI_MAX_RESPONSE", CONFIG_BYTES, FIELD(max_response), "100k",
	    1024, (size_t)512 << 10, NULL,
	    "bytes of an answer that the model gets to see, where the overlay "
	    "does not say; the rest is cut, and said so" },
	UPSTREAM_OPTION_ROWS(FIELD(upstream)),
	{ .env = NULL },
};

struct openapi {
	struct worker_env *env;
	const struct openapi_settings *settings;
	struct overlay *overlay;
	struct toolbox *toolbox;
	struct download *fetch;
	struct egress *egress;
	struct upstream *upstream;
	struct auth *auth;
	struct exchanges *exchanges;
};

static bool
check(void *settings, struct strbuf *errors)
{
	const struct openapi_settings *s = settings;

	return upstream_settings_ok(&s->upstream, errors);
}

static void
run(struct call *call, const cJSON *args)
{
	struct openapi *o = call_state(call);

	exchanges_run(o->exchanges, call, args);
}

/* Coming up -------------------------------------------------------------- */

static bool
allow_host(struct openapi *o, const char *url,
    bool (*add)(struct egress *, const char *, struct strbuf *),
    struct strbuf *error)
{
	char *host = upstream_url_host(url);
	bool ok = host != NULL && add(o->egress, host, error);

	if (host == NULL)
		strbuf_addf(error, "%s is no URL", url);
	free(host);
	return ok;
}

/*
 * Where requests may go: the servers of tools, and token servers. What a
 * description names is not the operator's word that an address may be private.
 */
static bool
allow_hosts(struct openapi *o, struct strbuf *error)
{
	const char *last = o->overlay->server;

	if (last != NULL && !allow_host(o, last, egress_add_hosts, error))
		return false;
	for (size_t i = 0; i < o->toolbox->count; i++) {
		const char *server = o->toolbox->bindings[i].server;

		if ((last == NULL || strcmp(server, last) != 0) &&
		    !allow_host(o, server, egress_add_foreign_hosts, error))
			return false;
		last = server;
	}
	for (size_t i = 0; i < o->overlay->auth.n; i++) {
		const char *url = o->overlay->auth.p[i].token_url;

		if (url != NULL &&
		    !allow_host(o, url, egress_add_hosts, error))
			return false;
	}
	return egress_add_networks(
	    o->egress, o->settings->upstream.networks, error);
}

static void
log_toolbox(const struct openapi *o)
{
	struct strbuf problems = STRBUF_INIT(16 << 10);

	for (size_t i = 0; i < o->toolbox->skipped_count; i++) {
		const struct skipped *s = &o->toolbox->skipped[i];

		log_warn("operation skipped", LF("method", s->method),
		    LF("path", s->path), LF("reason", s->reason));
	}
	if (!overlay_all_used(o->overlay, &problems))
		log_warn("overlay concerns nothing",
		    LF("where", strbuf_str(&problems)));
	log_info("description read", LF_N("tools", o->toolbox->count),
	    LF_N("skipped", o->toolbox->skipped_count),
	    LF_N("not_exposed", o->toolbox->hidden));
	strbuf_release(&problems);
}

/* Frees the description: calls need nothing of it. */
static bool
serve(struct openapi *o, struct spec *take_spec, struct strbuf *error)
{
	o->toolbox = toolbox_new(&(struct toolbox_options){ .spec = take_spec,
	    .overlay = o->overlay,
	    .max_bytes = o->settings->max_response,
	    .run = run });
	spec_free(take_spec);
	malloc_trim(0);
	log_toolbox(o);
	if (o->toolbox->count == 0) {
		strbuf_addf(error,
		    "no operation became a tool (%zu skipped, %zu not exposed)",
		    o->toolbox->skipped_count, o->toolbox->hidden);
		return false;
	}
	o->egress = egress_new();
	if (!allow_hosts(o, error))
		return false;
	o->upstream = upstream_new(
	    worker_env_base(o->env), &o->settings->upstream, o->egress);
	o->auth = auth_new(o->overlay, o->upstream, error);
	if (o->auth == NULL)
		return false;
	o->exchanges =
	    exchanges_new(o->upstream, o->auth, &o->overlay->headers);
	return worker_env_set_tools(o->env, o->toolbox->tools, error);
}

static void
on_fetched(struct slice text, const char *why, void *arg)
{
	struct openapi *o = arg;
	struct worker_env *env = o->env;
	struct strbuf error = STRBUF_INIT(1024);
	struct spec *spec = NULL;

	if (text.p == NULL)
		strbuf_add_str(&error, why);
	else
		spec = spec_of_text(
		    o->settings->spec, xstrdup_slice(text), text.n, &error);
	if (spec != NULL && serve(o, spec, &error))
		worker_env_ready(env);
	else
		worker_env_fail(env, strbuf_str(&error));
	strbuf_release(&error);
}

static bool
begin_fetch(struct openapi *o, struct strbuf *error)
{
	o->fetch = download_open(
	    &(struct download_options){ .base = worker_env_base(o->env),
		.upstream = &o->settings->upstream,
		.url = o->settings->spec,
		.max = o->settings->max_spec,
		.done = on_fetched,
		.arg = o },
	    error);
	if (o->fetch != NULL)
		worker_env_wait(o->env);
	return o->fetch != NULL;
}

static bool
bring_up(struct openapi *o, struct strbuf *error)
{
	const struct openapi_settings *s = o->settings;
	struct spec *spec;

	if (s->spec == NULL || s->overlay == NULL) {
		strbuf_addf(error, "%s is not set",
		    s->spec ? "OPENAPI_OVERLAY" : "OPENAPI_SPEC");
		return false;
	}
	o->overlay = overlay_open(s->overlay, error);
	if (o->overlay == NULL)
		return false;
	if (download_is_url(s->spec))
		return begin_fetch(o, error);
	spec = spec_open(s->spec, s->max_spec, error);
	return spec != NULL && serve(o, spec, error);
}

static void
stop(struct worker_env *env)
{
	struct openapi *o = worker_env_state(env);

	exchanges_free(o->exchanges);
	auth_free(o->auth);
	upstream_free(o->upstream);
	egress_free(o->egress);
	download_close(o->fetch);
	toolbox_free(o->toolbox);
	overlay_free(o->overlay);
	free(o);
	worker_env_set_state(env, NULL);
}

static bool
start(struct worker_env *env, struct strbuf *error)
{
	struct openapi *o = xcalloc(1, sizeof(*o));
	bool ok;

	o->env = env;
	o->settings = worker_env_settings(env);
	worker_env_set_state(env, o);
	ok = bring_up(o, error);
	if (!ok)
		stop(env);
	return ok;
}

const struct api api = {
	.name = "openapi",
	.named_by_operator = true,
	.options = options,
	.options_size = sizeof(struct openapi_settings),
	.check = check,
	.lint = lint_print,
	.start = start,
	.stop = stop,
};
