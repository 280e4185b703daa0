/*
 * One operation of a description: what it is called, where its values go, what
 * its body is. Swagger 2.0 and OpenAPI 3 look the same from here on.
 *
 * spec_new() fills in what a choice needs; operation_map() the rest, for those
 * that were chosen. Strings lie in the arena that they were read into; places
 * end with the description.
 */
#ifndef MCP_OPENAPI_OPERATION_H
#define MCP_OPENAPI_OPERATION_H

#include <cjson/cJSON.h>

#include "worker/openapi/refs.h"

struct spec;

enum parameter_in {
	IN_PATH,
	IN_QUERY,
	IN_HEADER,
	IN_COOKIE,
	IN_FIELD, /* a property of the body */
	IN_BODY   /* the whole body */
};

/* OpenAPI 3.1, section 4.8.12.3; tabs are of Swagger 2.0. */
enum style {
	STYLE_SIMPLE,
	STYLE_LABEL,
	STYLE_MATRIX,
	STYLE_FORM,
	STYLE_SPACE,
	STYLE_PIPE,
	STYLE_TAB,
	STYLE_DEEP
};

/* How one value becomes text. */
struct encoding {
	enum style style;
	bool explode;
	bool reserved;            /* allowReserved */
	bool json;                /* its text is JSON, whatever the style */
	bool file;                /* bytes: of a part with a filename */
	const char *content_type; /* of a part of a multipart body, or NULL */
};

struct parameter {
	enum parameter_in in;
	const char *name;        /* on the wire */
	const char *argument;    /* in the tool's input; NULL: the model
				     * does not give it */
	const char *description; /* or NULL */
	bool required;
	struct encoding encoding;
	struct place schema;  /* node NULL: anything */
	const char *fallback; /* JSON for "default"; NULL: the schema's */
	const cJSON *fixed;   /* sent with each call; or NULL */
};

enum body_kind {
	BODY_NONE,
	BODY_JSON,
	BODY_FORM,      /* application/x-www-form-urlencoded */
	BODY_MULTIPART, /* multipart/form-data */
	BODY_RAW        /* one string, as it is */
};

struct body {
	enum body_kind kind;
	const char *media_type;
	bool required;
	bool flat; /* its properties are IN_FIELD parameters */
};

struct operation {
	const char *id;      /* operationId; NULL: it has none */
	const char *method;  /* upper case */
	const char *path;    /* template, as in the description */
	const char *summary; /* these two: "" without one */
	const char *description;
	const char **tags; /* NULL-ended */
	bool deprecated;
	struct place item;   /* the path's object */
	struct place at;     /* the operation's */
	const char *skipped; /* why it cannot be a tool; NULL: it can */

	/* By operation_map(): */
	const char *server;    /* absolute URL without its last slash;
				     * NULL: the description names none */
	const char *server_named; /* as it names it, or "" */
	const char **security; /* schemes it may use, NULL-ended */
	struct parameter *parameters;
	size_t parameter_count;
	struct body body;
};

/* Reads what is at hand; op->path, method, item and at are set. */
void operation_read(struct operation *op, struct arena *arena);
/* Reads the rest into arena. False: op->skipped says why. */
bool operation_map(
    struct spec *s, struct operation *op, struct arena *arena) MUST_CHECK;

/*
 * Of a path as descriptions have it, the part that is a path: some add a query,
 * which belongs to each request, or a fragment, to tell operations apart.
 */
size_t operation_path_length(const char *path);

/* Shared by the files that map: */

/* Sets op->skipped; false. */
bool operation_skip(struct operation *op, struct arena *arena, const char *fmt,
    ...) PRINTF_LIKE(3, 4);
bool operation_map_parameters(
    struct spec *s, struct operation *op, struct arena *arena) MUST_CHECK;
bool operation_map_body(
    struct spec *s, struct operation *op, struct arena *arena) MUST_CHECK;
/* Room for n more parameters behind those there are; returns the first. */
struct parameter *operation_more(
    struct operation *op, struct arena *arena, size_t n) MUST_CHECK;
/*
 * A name for an argument, as models' APIs take them: at most 64 of
 * A-Za-z0-9_.-
 */
const char *operation_argument(
    struct arena *arena, struct slice name) MUST_CHECK;
/* Whether a parameter before that one already has its argument's name. */
bool operation_argument_taken(
    const struct operation *op, const struct parameter *but, const char *name);
/* How a Swagger 2.0 parameter's list is written. False: unknown. */
bool operation_collection(struct parameter *p, struct place at) MUST_CHECK;

#endif
