#include "worker/openapi/fields.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_MAX 512
#define SECONDS_MAX 86400

bool
fields_wrong(struct fields *f, const struct node *at, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	strbuf_addf(f->errors, "%s:%u: %s%s%s\n", f->document->name,
	    at ? at->line : 1, f->key ? f->key : "", f->key ? ": " : "", text);
	return false;
}

/* Keys ------------------------------------------------------------------- */

static const struct field *
find(const struct field *table, struct slice name)
{
	for (; table->name != NULL; table++) {
		if (slice_eq_str(name, table->name))
			return table;
	}
	return NULL;
}

static bool
unknown(struct fields *f, const struct member *m, const char *what,
    const struct field *table)
{
	struct strbuf names = STRBUF_INIT(MESSAGE_MAX);

	for (const struct field *at = table; at->name != NULL; at++)
		strbuf_addf(&names, "%s%s", at == table ? "" : ", ", at->name);
	fields_wrong(f, &m->value, "unknown key \"%.*s\" of %s; known: %s",
	    SLICE_ARG(member_name(m)), what, strbuf_str(&names));
	strbuf_release(&names);
	return false;
}

bool
fields_read(struct fields *f, const struct node *object, const char *what,
    const struct field *table, void *to)
{
	bool ok = true;

	if (!node_is(object, NODE_OBJECT))
		return fields_wrong(
		    f, object, "%s must be an object (key: value)", what);
	for (size_t i = 0; i < node_count(object); i++) {
		const struct member *m = node_member(object, i);
		const struct field *field = find(table, member_name(m));

		f->key = field != NULL ? field->name : NULL;
		if (field == NULL)
			ok = unknown(f, m, what, table);
		else
			ok &= field->read(
			    f, &m->value, (char *)to + field->offset);
	}
	f->key = NULL;
	return ok;
}

/* Values ----------------------------------------------------------------- */

/* A text without the NUL that would end it early. */
static const char *
string_of(struct fields *f, const struct node *node)
{
	struct slice text = node_string(node);

	if (text.p == NULL || memchr(text.p, '\0', text.n) != NULL) {
		fields_wrong(f, node, "must be a string");
		return NULL;
	}
	return arena_dup(f->arena, text);
}

bool
fields_string(struct fields *f, const struct node *node, void *to)
{
	const char *text = string_of(f, node);

	if (text != NULL)
		*(const char **)to = text;
	return text != NULL;
}

bool
fields_strings(struct fields *f, const struct node *node, void *to)
{
	size_t n = node_is(node, NODE_ARRAY) ? node_count(node) : 1;
	const char **out = arena_alloc(f->arena, (n + 1) * sizeof(*out));

	for (size_t i = 0; i < n; i++) {
		out[i] = string_of(
		    f, node_is(node, NODE_ARRAY) ? node_item(node, i) : node);
		if (out[i] == NULL)
			return false;
	}
	*(const char ***)to = out;
	return true;
}

bool
fields_bool(struct fields *f, const struct node *node, void *to)
{
	if (!node_is(node, NODE_BOOL))
		return fields_wrong(f, node, "must be true or false");
	*(bool *)to = node_is_true(node);
	return true;
}

bool
fields_choice(struct fields *f, const struct node *node, void *to)
{
	bool yes = false;

	if (!fields_bool(f, node, &yes))
		return false;
	*(enum fields_choice *)to = yes ? CHOICE_YES : CHOICE_NO;
	return true;
}

bool
fields_seconds(struct fields *f, const struct node *node, void *to)
{
	char text[16] = "";
	struct slice number = node_text(node);
	char *end;
	unsigned long v;

	if (node_is(node, NODE_NUMBER) && number.n < sizeof(text))
		memcpy(text, number.p, number.n);
	v = strtoul(text, &end, 10);
	if (text[0] == '\0' || *end != '\0' || v < 1 || v > SECONDS_MAX)
		return fields_wrong(
		    f, node, "must be a number from 1 to %d", SECONDS_MAX);
	*(unsigned *)to = (unsigned)v;
	return true;
}

bool
fields_bytes(struct fields *f, const struct node *node, void *to)
{
	char text[16] = "";
	struct slice number = node_text(node);
	char *end;
	unsigned long long v;
	unsigned shift = 0;

	if (number.n < sizeof(text) && number.n > 0)
		memcpy(text, number.p, number.n);
	v = strtoull(text, &end, 10);
	if (*end == 'k' || *end == 'm')
		shift = *end++ == 'k' ? 10 : 20;
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || v == 0 ||
	    v > ((unsigned long long)1 << 30) >> shift)
		return fields_wrong(f, node,
		    "must be a size in bytes such as 65536, 64k or 1m");
	*(size_t *)to = (size_t)v << shift;
	return true;
}
