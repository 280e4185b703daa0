/*
 * Reads an object of an overlay into a struct, by a table of its keys. Every key
 * must be in the table, and every mistake is told with its file and line.
 */
#ifndef MCP_OPENAPI_FIELDS_H
#define MCP_OPENAPI_FIELDS_H

#include "worker/openapi/document.h"

struct fields {
	const struct document *document;
	struct arena *arena;   /* for what is read */
	struct strbuf *errors; /* a line per mistake */
	const char *key;       /* whose value is being read; NULL: none */
};

struct field {
	const char *name; /* NULL ends a table */
	/* Reads a value into to; false after fields_wrong(). */
	bool (*read)(struct fields *f, const struct node *node, void *to);
	size_t offset; /* of to in the struct */
};

/* yes or no or not said; the struct begins as zeros. */
enum fields_choice { CHOICE_OPEN, CHOICE_YES, CHOICE_NO };

/* "file:line: key: …", the key where its value is wrong; false. */
bool fields_wrong(struct fields *f, const struct node *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* what: the object's name in messages. All keys are read, whatever is wrong. */
bool fields_read(struct fields *f, const struct node *object, const char *what,
    const struct field *table, void *to) MUST_CHECK;

/* What values can be; to is: */
bool fields_string(
    struct fields *f, const struct node *node, void *to); /* const char * */
/* One string or a list of some: const char **, NULL-ended. */
bool fields_strings(struct fields *f, const struct node *node, void *to);
bool fields_bool(
    struct fields *f, const struct node *node, void *to); /* bool */
bool fields_choice(struct fields *f, const struct node *node,
    void *to); /* enum fields_choice */
/* unsigned, 1 to 86400 */
bool fields_seconds(struct fields *f, const struct node *node, void *to);
/* size_t, with k or m behind it */
bool fields_bytes(struct fields *f, const struct node *node, void *to);

#endif
