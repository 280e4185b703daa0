/*
 * What schema.c (compiling) and schema_check.c (checking) share. Nobody else
 * includes it.
 */
#ifndef MCP_WORKER_SCHEMA_PRIVATE_H
#define MCP_WORKER_SCHEMA_PRIVATE_H

#include "worker/runtime/schema.h"

enum type {
	TYPE_NULL = 1,
	TYPE_BOOLEAN = 2,
	TYPE_OBJECT = 4,
	TYPE_ARRAY = 8,
	TYPE_NUMBER = 16,
	TYPE_STRING = 32,
	TYPE_INTEGER = 64,
	TYPE_ANY = 127
};

#define SCHEMA_TYPES 7
/* What types are called in a schema, and in what is said of values. */
extern const struct schema_type {
	const char *name;
	enum type type;
} schema_types[SCHEMA_TYPES];

struct property {
	char *name;
	struct schema *schema;   /* NULL: named in "required" only */
	bool required;
};

enum limit {
	LIMIT_MINIMUM,
	LIMIT_MAXIMUM,
	LIMIT_ABOVE,             /* exclusiveMinimum */
	LIMIT_BELOW,             /* exclusiveMaximum */
	SCHEMA_LIMITS
};

struct schema {
	unsigned types;          /* enum type, or-ed */
	struct property *properties;
	size_t property_count;
	bool patterned;          /* patternProperties */
	bool closed;             /* additionalProperties: false */
	struct schema *others;   /* additionalProperties: a schema */
	struct schema *items;
	cJSON *choices;          /* enum, or a list of const alone */
	cJSON *limits[SCHEMA_LIMITS];  /* NULL: none */
	double min_length, max_length;
};

#endif
