#include "worker/openapi/lint.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/openapi/download.h"
#include "worker/openapi/toolbox.h"

/* What a token is of English and JSON, about. */
#define BYTES_PER_TOKEN 4

/* Sources ---------------------------------------------------------------- */

struct fetched {
	const struct openapi_settings *settings;
	struct event_base *base;
	struct spec *spec;
	struct strbuf *error;
};

static void
on_fetched(struct slice text, const char *error, void *arg)
{
	struct fetched *f = arg;

	if (text.p == NULL)
		strbuf_add_str(f->error, error);
	else
		f->spec = spec_of_text(
		    f->settings->spec, xstrdup_slice(text), text.n, f->error);
	event_base_loopbreak(f->base);
}

static struct spec *
fetch_spec(const struct openapi_settings *s, struct strbuf *error)
{
	struct fetched f = { .settings = s, .error = error };
	struct download *fetch;

	f.base = event_base_new();
	if (f.base == NULL)
		abort();
	fetch = download_open(&(struct download_options){ .base = f.base,
				  .upstream = &s->upstream,
				  .url = s->spec,
				  .max = s->max_spec,
				  .done = on_fetched,
				  .arg = &f },
	    error);
	if (fetch != NULL)
		event_base_dispatch(f.base);
	download_close(fetch);
	event_base_free(f.base);
	return f.spec;
}

static struct spec *
read_spec(const struct openapi_settings *s, struct strbuf *error)
{
	if (s->spec == NULL)
		strbuf_add_str(error, "OPENAPI_SPEC is not set");
	else if (download_is_url(s->spec))
		return fetch_spec(s, error);
	else
		return spec_open(s->spec, s->max_spec, error);
	return NULL;
}

/* Without an overlay everything is shown, to choose from. */
static struct overlay *
read_overlay(const struct openapi_settings *s, struct strbuf *error)
{
	static const char all[] = "expose: [{path: '*'}]\n"
				  "server: http://localhost\n";

	if (s->overlay != NULL)
		return overlay_open(s->overlay, error);
	return overlay_new("(no overlay)", xstrdup(all), strlen(all), error);
}

/* Printing --------------------------------------------------------------- */

static size_t
tokens_of(const struct tool *tool)
{
	size_t n = strlen(tool->name) + strlen(tool->description) +
		   strlen(tool->input_schema) +
		   (tool->title ? strlen(tool->title) : 0);

	return n / BYTES_PER_TOKEN + 1;
}

static void
print_tools(const struct toolbox *box)
{
	size_t total = 0;

	printf("tools: %zu\n", box->count);
	for (size_t i = 0; i < box->count; i++) {
		const struct tool *tool = &box->tools[i];
		const struct binding *b = tool->data;

		total += tokens_of(tool);
		printf("  %-56s %6zu tokens  %s %s%s%s\n", tool->name,
		    tokens_of(tool), b->op.method, b->op.path,
		    b->op.id ? "  " : "", b->op.id ? b->op.id : "");
	}
	printf("tokens of the listing: about %zu (bytes of names, "
	       "descriptions and schemas, by %d)\n",
	    total, BYTES_PER_TOKEN);
}

static void
print_skipped(const struct toolbox *box)
{
	printf("skipped: %zu\n", box->skipped_count);
	for (size_t i = 0; i < box->skipped_count; i++) {
		const struct skipped *s = &box->skipped[i];

		printf("  %s %s%s%s: %s\n", s->method, s->path,
		    s->id ? "  " : "", s->id ? s->id : "", s->reason);
	}
}

/* Servers, each once. */
static void
print_servers(const struct toolbox *box)
{
	for (size_t i = 0; i < box->count; i++) {
		size_t k = 0;

		while (strcmp(box->bindings[k].server,
			   box->bindings[i].server) != 0)
			k++;
		if (k == i)
			printf("server: %s\n", box->bindings[i].server);
	}
}

/* The description asks for credentials, and none are configured. */
static void
print_security(const struct toolbox *box, const struct overlay *overlay)
{
	for (size_t i = 0; overlay->auth.n == 0 && i < box->count; i++) {
		const char **schemes = box->bindings[i].op.security;

		if (*schemes == NULL)
			continue;
		printf("note: the description asks for credentials (%s), the "
		       "overlay has no auth\n",
		    *schemes);
		return;
	}
}

static int
print_all(const struct openapi_settings *s, struct spec *spec,
    struct overlay *overlay)
{
	struct toolbox *box = toolbox_new(&(struct toolbox_options){
	    .spec = spec, .overlay = overlay, .max_bytes = s->max_response });
	struct strbuf problems = STRBUF_INIT(64 << 10);
	bool ok = overlay_all_used(overlay, &problems);

	printf("%s: %s, %zu operations\n", s->spec, spec->title,
	    spec->operation_count);
	if (s->overlay == NULL) {
		printf("OPENAPI_OVERLAY is not set: no operation is exposed. "
		       "With all of them it would be:\n");
		ok = false;
	} else {
		print_servers(box);
		print_security(box, overlay);
	}
	print_tools(box);
	print_skipped(box);
	printf("not exposed: %zu\n", box->hidden);
	if (box->count == 0) {
		strbuf_add_str(&problems, "no operation became a tool\n");
		ok = false;
	}
	if (problems.n > 0)
		printf("problems:\n%s", strbuf_str(&problems));
	strbuf_release(&problems);
	toolbox_free(box);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
lint_print(const void *settings)
{
	const struct openapi_settings *s = settings;
	struct strbuf error = STRBUF_INIT(64 << 10);
	struct overlay *overlay = read_overlay(s, &error);
	struct spec *spec = overlay ? read_spec(s, &error) : NULL;
	int status = EXIT_FAILURE;

	if (spec != NULL)
		status = print_all(s, spec, overlay);
	else
		fprintf(stderr, "%s%s", strbuf_str(&error),
		    error.n > 0 && error.p[error.n - 1] == '\n' ? "" : "\n");
	spec_free(spec);
	overlay_free(overlay);
	strbuf_release(&error);
	return status;
}
