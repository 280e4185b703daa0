#include "worker/openapi/toolbox.h"

#include <stdlib.h>

#include "common/utf8.h"
#include "common/xalloc.h"
#include "worker/openapi/input.h"
#include "worker/openapi/name.h"
#include "worker/json/number.h"
#include "worker/json/schema.h"

#define SCHEMA_MAX ((size_t)512 << 10)
/* Of what a description says; some clients refuse more. */
#define DESCRIPTION_MAX 1000
#define TITLE_MAX 100

struct maker {
	struct toolbox *box;
	const struct toolbox_options *options;
	struct names *names;
	struct overlay_tool *own; /* of this tool; NULL: nothing said */
};

/* Parameters ------------------------------------------------------------- */

/* By its argument's name, or by its own where that is no other's argument. */
static bool
is_called(
    const struct operation *op, const struct parameter *p, const char *name)
{
	if (p->argument != NULL && strcmp(p->argument, name) == 0)
		return true;
	return strcmp(p->name, name) == 0 &&
	       !operation_argument_taken(op, p, name);
}

static struct overlay_parameter *
find(struct overlay_tool *tool, const struct operation *op,
    const struct parameter *p)
{
	for (size_t i = 0; tool != NULL && i < tool->parameters.n; i++) {
		struct overlay_parameter *o = &tool->parameters.p[i];

		if (is_called(op, p, o->name)) {
			o->used = true;
			return o;
		}
	}
	return NULL;
}

/* Parsed JSON that lives as long as the toolbox. */
static const cJSON *
keep_json(struct toolbox *box, const char *json)
{
	cJSON *value = cJSON_Parse(json);

	number_keep_all(value, slice_str(json), NUMBER_AS_WRITTEN);
	if (value != NULL)
		cJSON_AddItemToArray(box->fixed, value);
	return value;
}

static bool
hide(struct maker *m, struct operation *op, struct parameter *p)
{
	if (p->required && (p->in != IN_FIELD || op->body.required))
		return operation_skip(op, &m->box->arena,
		    "parameter %s is required: it cannot be hidden, only fixed",
		    p->name);
	p->argument = NULL;
	return true;
}

static bool
rename_to(struct maker *m, struct operation *op, struct parameter *p,
    const char *name)
{
	const char *fit = operation_argument(&m->box->arena, slice_str(name));

	if (strcmp(fit, name) != 0 || *name == '\0' ||
	    operation_argument_taken(op, p, name))
		return operation_skip(op, &m->box->arena,
		    "parameter %s cannot be called \"%s\": the name is taken, "
		    "or not 1 to 64 of A-Za-z0-9_.-",
		    p->name, name);
	p->argument = fit;
	return true;
}

static bool
adjust(struct maker *m, struct operation *op, struct parameter *p,
    const struct overlay_parameter *o)
{
	struct arena *arena = &m->box->arena;

	if (o->required != CHOICE_OPEN && p->in != IN_PATH)
		p->required = o->required == CHOICE_YES;
	if (o->description != NULL)
		p->description = arena_dup(arena, slice_str(o->description));
	if (o->fallback != NULL)
		p->fallback = arena_dup(arena, slice_str(o->fallback));
	if (o->fixed != NULL) {
		p->fixed = keep_json(m->box, o->fixed);
		p->argument = NULL;
		return p->fixed != NULL ||
		       operation_skip(op, arena,
			   "parameter %s: its fixed value cannot be read",
			   p->name);
	}
	if (o->hidden)
		return hide(m, op, p);
	return o->rename == NULL || rename_to(m, op, p, o->rename);
}

static bool
adjust_all(struct maker *m, struct operation *op)
{
	struct overlay_tool *defaults = &m->options->overlay->defaults;

	for (size_t i = 0; i < op->parameter_count; i++) {
		struct parameter *p = &op->parameters[i];
		struct overlay_parameter *general = find(defaults, op, p);
		struct overlay_parameter *own = find(m->own, op, p);

		if (own == NULL)
			own = general;
		if (overlay_sets(m->options->overlay, p)) {
			p->argument = NULL;
			continue;
		}
		if (own != NULL && !adjust(m, op, p, own))
			return false;
	}
	return true;
}

/* What it promises ------------------------------------------------------- */

static const struct {
	const char *method;
	unsigned promises;
} promises[] = {
	{ "GET", TOOL_READ_ONLY | TOOL_NOT_DESTRUCTIVE | TOOL_IDEMPOTENT },
	{ "HEAD", TOOL_READ_ONLY | TOOL_NOT_DESTRUCTIVE | TOOL_IDEMPOTENT },
	{ "PUT", TOOL_IDEMPOTENT },
	{ "DELETE", TOOL_IDEMPOTENT },
};

static void
choose(unsigned *all, unsigned one, enum fields_choice choice,
    enum fields_choice sets)
{
	if (choice == CHOICE_OPEN)
		return;
	if (choice == sets)
		*all |= one;
	else
		*all &= ~one;
}

static unsigned
promises_of(const struct maker *m, const struct operation *op)
{
	const struct overlay_tool *o = m->own;
	unsigned all = 0;

	for (size_t i = 0; i < ARRAY_LEN(promises); i++) {
		if (strcmp(promises[i].method, op->method) == 0)
			all = promises[i].promises;
	}
	if (o == NULL)
		return all;
	choose(&all, TOOL_READ_ONLY, o->annotations.read_only, CHOICE_YES);
	choose(&all, TOOL_IDEMPOTENT, o->annotations.idempotent, CHOICE_YES);
	choose(
	    &all, TOOL_NOT_DESTRUCTIVE, o->annotations.destructive, CHOICE_NO);
	choose(&all, TOOL_CLOSED_WORLD, o->annotations.open_world, CHOICE_NO);
	return all;
}

/* Texts ------------------------------------------------------------------ */

static const char *
description_of(const struct maker *m, const struct operation *op)
{
	struct arena *arena = &m->box->arena;
	struct strbuf text = STRBUF_INIT((size_t)1 << 20);
	const char *out;
	size_t n;

	if (m->own != NULL && m->own->description != NULL)
		return arena_dup(arena, slice_str(m->own->description));
	strbuf_addf(&text, "%s%s%s%s", op->deprecated ? "(deprecated) " : "",
	    op->summary, *op->summary && *op->description ? "\n\n" : "",
	    op->description);
	if (text.n == 0)
		strbuf_addf(&text, "%s %s", op->method, op->path);
	n = utf8_cut(strbuf_slice(&text), DESCRIPTION_MAX).n;
	if (n < text.n) {
		text.n = n;
		strbuf_add_str(&text, "…");
	}
	out = arena_dup(arena, strbuf_slice(&text));
	strbuf_release(&text);
	return out;
}

static const char *
title_of(const struct maker *m, const struct operation *op)
{
	if (m->own != NULL && m->own->title != NULL)
		return arena_dup(&m->box->arena, slice_str(m->own->title));
	if (*op->summary == '\0' || strlen(op->summary) > TITLE_MAX)
		return NULL;
	return arena_dup(&m->box->arena, slice_str(op->summary));
}

/* Tools ------------------------------------------------------------------ */

static const char *
input_of(struct maker *m, struct operation *op)
{
	struct strbuf text = STRBUF_INIT(SCHEMA_MAX);
	struct strbuf error = STRBUF_INIT(512);
	const char *reason = NULL, *out = NULL;
	struct schema *schema;

	if (!input_write(m->options->spec, op, &text, &error)) {
		operation_skip(op, &m->box->arena, "%s", strbuf_str(&error));
	} else {
		schema = schema_new(strbuf_str(&text), &reason);
		if (schema == NULL)
			operation_skip(
			    op, &m->box->arena, "its input schema: %s", reason);
		else
			out = arena_dup(&m->box->arena, strbuf_slice(&text));
		schema_free(schema);
	}
	strbuf_release(&text);
	strbuf_release(&error);
	return out;
}

/* What the description's own memory holds, before it goes. */
static void
keep(struct arena *arena, struct operation *op)
{
	op->id = op->id ? arena_dup(arena, slice_str(op->id)) : NULL;
	op->path = arena_dup(arena, slice_str(op->path));
	op->summary = op->description = NULL;
	op->tags = NULL;
	op->item = op->at = (struct place){ NULL, NULL };
	for (size_t i = 0; i < op->parameter_count; i++)
		op->parameters[i].schema = (struct place){ NULL, NULL };
}

static void
bind_to(struct maker *m, struct binding *b, const struct operation *op)
{
	const struct toolbox_options *options = m->options;
	const struct overlay_tool *defaults = &options->overlay->defaults;
	const struct overlay_tool *own = m->own ? m->own : defaults;
	const char *server =
	    options->overlay->server ? options->overlay->server : op->server;

#define OWN_OR_DEFAULT(field) ((own->field) ? (own->field) : defaults->field)
	b->op = *op;
	b->server = arena_dup(&m->box->arena, slice_str(server));
	b->timeout_ms = OWN_OR_DEFAULT(timeout_s) * 1000;
	b->idempotency_header = OWN_OR_DEFAULT(idempotency_header);
	b->max_bytes = OWN_OR_DEFAULT(response.max_bytes);
	if (b->max_bytes == 0)
		b->max_bytes = options->max_bytes;
	b->projection = projection_new(OWN_OR_DEFAULT(response.select));
#undef OWN_OR_DEFAULT
}

static void
add_tool(struct maker *m, struct operation *op, const char *input)
{
	struct toolbox *box = m->box;
	struct tool *tool = &box->tools[box->count];
	struct binding *b = &box->bindings[box->count];

	bind_to(m, b, op);
	*tool = (struct tool){
		.name = names_take(m->names, &box->arena,
		    name_of(&box->arena, op, m->own ? m->own->name : NULL)),
		.title = title_of(m, op),
		.description = description_of(m, op),
		.input_schema = input,
		.may_overlap = true,
		.promises = promises_of(m, op),
		.timeout_ms = b->timeout_ms,
		.run = m->options->run,
		.data = b,
	};
	b->repeatable = (tool->promises & (TOOL_READ_ONLY | TOOL_IDEMPOTENT)) ||
			b->idempotency_header != NULL;
	keep(&box->arena, &b->op);
	box->count++;
}

static void
add_skipped(struct toolbox *box, const struct operation *op)
{
	box->skipped[box->skipped_count++] = (struct skipped){
		.id = op->id ? arena_dup(&box->arena, slice_str(op->id)) : NULL,
		.method = op->method,
		.path = arena_dup(&box->arena, slice_str(op->path)),
		.reason = arena_dup(&box->arena, slice_str(op->skipped)),
	};
}

static bool
map(struct maker *m, struct operation *op)
{
	struct arena *arena = &m->box->arena;
	const char *input;

	if (!operation_map(m->options->spec, op, arena) || !adjust_all(m, op))
		return false;
	if (op->server == NULL && m->options->overlay->server == NULL)
		return operation_skip(op, arena,
		    "its server (%s) is no http:// or https:// URL without "
		    "user, query, fragment and open variables: the overlay "
		    "must name one (server:)",
		    *op->server_named ? op->server_named : "none is named");
	input = input_of(m, op);
	if (input != NULL)
		add_tool(m, op, input);
	return input != NULL;
}

struct toolbox *
toolbox_new(const struct toolbox_options *options)
{
	struct toolbox *box = xcalloc(1, sizeof(*box));
	struct spec *spec = options->spec;
	struct maker m = { box, options, names_new(), NULL };
	size_t n = spec->operation_count + 1;

	box->fixed = cJSON_CreateArray();
	box->tools = arena_alloc(&box->arena, n * sizeof(*box->tools));
	box->bindings = arena_alloc(&box->arena, n * sizeof(*box->bindings));
	box->skipped = arena_alloc(&box->arena, n * sizeof(*box->skipped));
	for (size_t i = 0; i < spec->operation_count; i++) {
		struct operation op = spec->operations[i];

		if (!overlay_exposes(options->overlay, &op)) {
			box->hidden++;
			continue;
		}
		m.own = overlay_tool_of(options->overlay, &op);
		if (!map(&m, &op))
			add_skipped(box, &op);
	}
	names_free(m.names);
	return box;
}

void
toolbox_free(struct toolbox *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->count; i++)
		projection_free(t->bindings[i].projection);
	cJSON_Delete(t->fixed);
	arena_release(&t->arena);
	free(t);
}
