#include "worker/openapi/input.h"

#include "worker/openapi/jsonschema.h"
#include "worker/openapi/spec.h"

/* What a model can be asked to read; beyond, more is cut. */
#define SCHEMA_GOAL ((size_t)24 << 10)
#define SCHEMA_MAX ((size_t)256 << 10)

/* References within references that are written out, less on each attempt. */
static const unsigned depths[] = { JSONSCHEMA_REFS_MAX, 6, 3, 1, 0 };

static void
write_required_arguments(struct jsonschema *w, const struct operation *op)
{
	const char *between = ",\"required\":[";
	bool any = false;

	for (size_t i = 0; i < op->parameter_count; i++) {
		const struct parameter *p = &op->parameters[i];
		/* A body that may be left out needs none of its properties. */
		bool needed =
		    p->required && (p->in != IN_FIELD || op->body.required);

		if (p->argument == NULL || !needed)
			continue;
		strbuf_add_str(w->sb, between);
		strbuf_add_json(w->sb, slice_str(p->argument));
		between = ",";
		any = true;
	}
	if (any)
		strbuf_add_char(w->sb, ']');
}

static void
write_input(struct jsonschema *w, const struct operation *op)
{
	const char *between = "";

	strbuf_add_str(w->sb, "{\"type\":\"object\",\"properties\":{");
	for (size_t i = 0; i < op->parameter_count; i++) {
		const struct parameter *p = &op->parameters[i];

		if (p->argument == NULL)
			continue;
		strbuf_add_str(w->sb, between);
		strbuf_add_json(w->sb, slice_str(p->argument));
		strbuf_add_char(w->sb, ':');
		jsonschema_write(w, p->schema, p);
		between = ",";
	}
	strbuf_add_char(w->sb, '}');
	write_required_arguments(w, op);
	strbuf_add_str(w->sb, ",\"additionalProperties\":false}");
}

bool
input_write(struct spec *s, const struct operation *op, struct strbuf *sb,
    struct strbuf *error)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(depths); i++) {
		bool last = i + 1 == ARRAY_LEN(depths);
		struct strbuf text =
		    STRBUF_INIT(last ? SCHEMA_MAX : SCHEMA_GOAL);
		struct jsonschema w = { .spec = s,
			.sb = &text,
			.error = error,
			.refs_max = depths[i] };
		bool fits;

		write_input(&w, op);
		fits = strbuf_ok(&text);
		if (fits && error->n == 0)
			strbuf_add_slice(sb, strbuf_slice(&text));
		strbuf_release(&text);
		if (fits || error->n > 0)
			break;
	}
	if (i == ARRAY_LEN(depths))
		strbuf_addf(error, "its input schema is larger than %zu bytes",
		    SCHEMA_MAX);
	return error->n == 0;
}
