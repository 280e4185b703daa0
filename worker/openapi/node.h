/*
 * A value of a document, as JSON knows them: one tree type for what was read
 * from JSON and from YAML.
 *
 * Nodes are small and lie beside each other (16 bytes each, 32 with a name):
 * descriptions of large APIs have half a million of them. They live in the
 * document's arena, never change, and know the line they came from.
 */
#ifndef MCP_OPENAPI_NODE_H
#define MCP_OPENAPI_NODE_H

#include "common/compiler.h"
#include "common/strbuf.h"
#include "worker/openapi/arena.h"

enum node_type {
	NODE_NULL,
	NODE_BOOL,
	NODE_NUMBER,
	NODE_STRING,
	NODE_ARRAY,
	NODE_OBJECT
};

/* Read it by the functions below. */
struct node {
	const void *p; /* text, or the elements */
	uint32_t n;    /* of these; NODE_BOOL: 1 for true */
	unsigned line : 28;
	unsigned type : 4; /* enum node_type */
};

struct member {
	const char *p;
	uint32_t n;
	uint32_t hash;
	struct node value;
};

/* All of these take NULL for a node that is not there. */

static inline bool
node_is(const struct node *node, enum node_type type)
{
	return node != NULL && node->type == type;
}

static inline bool
node_is_true(const struct node *node)
{
	return node_is(node, NODE_BOOL) && node->n == 1;
}

/* A string's bytes, a number's as JSON has them; else p is NULL. */
static inline struct slice
node_text(const struct node *node)
{
	if (!node_is(node, NODE_STRING) && !node_is(node, NODE_NUMBER))
		return SLICE_NONE;
	return (struct slice){ node->p, node->n };
}

/* As node_text(), of strings alone. */
static inline struct slice
node_string(const struct node *node)
{
	return node_is(node, NODE_STRING) ? node_text(node) : SLICE_NONE;
}

static inline bool
node_eq(const struct node *node, const char *string)
{
	return node_is(node, NODE_STRING) &&
	       slice_eq_str(node_string(node), string);
}

/* Elements or members; 0 for what has none. */
static inline size_t
node_count(const struct node *node)
{
	bool has = node_is(node, NODE_ARRAY) || node_is(node, NODE_OBJECT);

	return has ? node->n : 0;
}

/* i is below node_count() of an array. */
static inline const struct node *
node_item(const struct node *array, size_t i)
{
	return (const struct node *)array->p + i;
}

/* i is below node_count() of an object; in the document's order. */
static inline const struct member *
node_member(const struct node *object, size_t i)
{
	return (const struct member *)object->p + i;
}

static inline struct slice
member_name(const struct member *m)
{
	return (struct slice){ m->p, m->n };
}

/* An object's member of that name, or NULL. */
const struct node *node_find(const struct node *object, struct slice name);
const struct node *node_get(const struct node *object, const char *name);

/* Appends the value as JSON on one line; numbers as they were written. */
void node_write(struct strbuf *sb, const struct node *node);

/* What reads a document builds its tree with this, from the top down. */
struct builder;

/* arena is where nodes and names go. */
struct builder *builder_new(struct arena *arena) MUST_CHECK;
void builder_free(struct builder *b);
/* The name of the value that comes next; its bytes are borrowed for good. */
void builder_name(struct builder *b, struct slice name);
/* A finished value: no array and no object, but for one that was built before. */
void builder_add(struct builder *b, struct node value);
void builder_open(struct builder *b, enum node_type type, unsigned line);
/*
 * Ends the innermost array or object. The last of several members of one name
 * counts; *twice becomes the later one (p NULL: there is none). Returns the node.
 */
struct node builder_close(struct builder *b, struct member *twice);
/*
 * Before builder_close() of an object: replaces its members named "<<" by those of
 * their values, an object or a list of some, where it has none of that name
 * itself (YAML's merge keys). False: there are more than it takes.
 */
bool builder_merge(struct builder *b) MUST_CHECK;
/* Arrays and objects that are open. */
size_t builder_depth(const struct builder *b);
/* Whether the whole value is there; then *root is it. */
bool builder_done(const struct builder *b, struct node *root);

#endif
