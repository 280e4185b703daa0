/*
 * What jsonschema.c (schemas, references), jsonschema_keywords.c (their table) and
 * jsonschema_properties.c share. Nobody else includes it.
 */
#ifndef MCP_OPENAPI_JSONSCHEMA_PRIVATE_H
#define MCP_OPENAPI_JSONSCHEMA_PRIVATE_H

#include "worker/openapi/jsonschema.h"

/* One schema that is being written. */
struct object {
	struct place at;
	bool nullable;  /* OpenAPI 3.0, Swagger 2.0 */
	bool empty;     /* nothing written yet */
	bool described; /* description is written already */
	bool has_default;
	bool unconditional; /* its "if" was left out */
};

static inline struct place
object_in(const struct object *o, const struct node *node)
{
	return (struct place){ o->at.document, node };
}

void object_add_name(struct jsonschema *w, struct object *o, const char *name);
void object_end(struct jsonschema *w, struct object *o);

/* Writes all keywords, but for the description and default that are there. */
void keywords_write(struct jsonschema *w, struct object *o);
/* The description and default alone. */
void keywords_annotate(struct jsonschema *w, struct object *o);
/* NULL for what JSON Schema does not know. */
const char *keywords_type(const struct node *node);
/* Is there a keyword that asks for something, other than a description? */
bool keywords_ask(const struct node *node);

/* Rows of the table of keywords. */
typedef void keyword_write_fn(struct jsonschema *w, struct object *o,
    const struct node *value, const char *as);
keyword_write_fn keywords_properties, keywords_required, keywords_dependent;

/* As jsonschema_write(), of a schema for the same value as the one around it. */
void jsonschema_write_part(
    struct jsonschema *w, struct place at, const struct parameter *says);

#endif
