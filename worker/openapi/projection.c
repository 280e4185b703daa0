#include "worker/openapi/projection.h"

#include <stdlib.h>

#include "common/xalloc.h"

#define SEGMENT_MAX 256

/* Paths with one beginning share it; no children: all of it. */
struct projection {
	char *name;
	struct projection *children;
	struct projection *next;
	bool whole;
};

static struct projection *
child(struct projection *p, const char *name)
{
	struct projection *c;

	for (c = p->children; c != NULL; c = c->next) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	c = xcalloc(1, sizeof(*c));
	c->name = xstrdup(name);
	c->next = p->children;
	p->children = c;
	return c;
}

/* The next segment, without its [], into name; returns what is behind it. */
static const char *
segment(const char *path, char name[static SEGMENT_MAX])
{
	size_t n = 0;

	for (; *path != '\0' && *path != '.'; path++) {
		if (path[0] == '\\' && path[1] != '\0')
			path++;
		if (n + 1 < SEGMENT_MAX)
			name[n++] = *path;
	}
	while (n >= 2 && name[n - 2] == '[' && name[n - 1] == ']')
		n -= 2;
	name[n] = '\0';
	return *path == '.' ? path + 1 : path;
}

struct projection *
projection_new(const char *const *paths)
{
	struct projection *root;
	char name[SEGMENT_MAX];

	if (paths == NULL || *paths == NULL)
		return NULL;
	root = xcalloc(1, sizeof(*root));
	for (; *paths != NULL; paths++) {
		struct projection *at = root;
		const char *left = *paths;

		while (*left != '\0') {
			left = segment(left, name);
			if (name[0] != '\0')
				at = child(at, name);
		}
		at->whole = true;
	}
	return root;
}

void
projection_free(struct projection *p)
{
	struct projection *next;

	for (; p != NULL; p = next) {
		next = p->next;
		projection_free(p->children);
		free(p->name);
		free(p);
	}
}

static const struct projection *
child_of(const struct projection *p, struct slice name)
{
	const struct projection *any = NULL;

	for (p = p->children; p != NULL; p = p->next) {
		if (slice_eq_str(name, p->name))
			return p;
		if (strcmp(p->name, "*") == 0)
			any = p;
	}
	return any;
}

/* Whether anything of it is left: a path goes on where there is only a scalar. */
static bool
has_any(const struct projection *p, const struct node *value)
{
	return p->whole || node_is(value, NODE_ARRAY) ||
	       node_is(value, NODE_OBJECT) || node_is(value, NODE_NULL);
}

static void
write_array(
    const struct projection *p, const struct node *value, struct strbuf *sb)
{
	const char *between = "";

	strbuf_add_char(sb, '[');
	for (size_t i = 0; i < node_count(value); i++) {
		if (!has_any(p, node_item(value, i)))
			continue;
		strbuf_add_str(sb, between);
		projection_write(p, node_item(value, i), sb);
		between = ",";
	}
	strbuf_add_char(sb, ']');
}

static void
write_object(
    const struct projection *p, const struct node *value, struct strbuf *sb)
{
	const char *between = "";

	strbuf_add_char(sb, '{');
	for (size_t i = 0; i < node_count(value); i++) {
		const struct member *m = node_member(value, i);
		const struct projection *c = child_of(p, member_name(m));

		if (c == NULL || !has_any(c, &m->value))
			continue;
		strbuf_add_str(sb, between);
		strbuf_add_json(sb, member_name(m));
		strbuf_add_char(sb, ':');
		projection_write(c, &m->value, sb);
		between = ",";
	}
	strbuf_add_char(sb, '}');
}

void
projection_write(
    const struct projection *p, const struct node *value, struct strbuf *sb)
{
	if (p == NULL || p->whole)
		node_write(sb, value);
	else if (node_is(value, NODE_ARRAY))
		write_array(p, value, sb);
	else if (node_is(value, NODE_OBJECT))
		write_object(p, value, sb);
	else
		strbuf_add_str(sb, "null");
}
