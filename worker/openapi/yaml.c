#include <ctype.h>
#include <stdlib.h>

#include <uthash.h>
#include <yaml.h>

#include "common/xalloc.h"
#include "worker/openapi/reader.h"

/* What "&name" named, for "*name". */
struct anchor {
	UT_hash_handle hh;
	struct node node;
	char name[];
};

/* The anchors of arrays and objects that are open. */
struct pending {
	char *anchor; /* NULL: none */
	bool object;
	bool wants_name; /* the next scalar is one */
};

struct yaml {
	struct reading *reading;
	struct builder *builder;
	struct anchor *anchors;
	struct pending pending[READER_DEPTH_MAX];
};

static bool
fail(struct yaml *y, size_t line, const char *what)
{
	y->reading->line = (unsigned)line + 1;
	if (y->reading->error->n == 0)
		strbuf_add_str(y->reading->error, what);
	return false;
}

/* Anchors ---------------------------------------------------------------- */

static void
set_anchor(struct yaml *y, const char *name, struct node node)
{
	struct anchor *a;

	if (name == NULL)
		return;
	HASH_FIND_STR(y->anchors, name, a);
	if (a == NULL) {
		size_t n = strlen(name);

		a = xcalloc(1, sizeof(*a) + n + 1);
		memcpy(a->name, name, n);
		HASH_ADD_KEYPTR(hh, y->anchors, a->name, n, a);
	}
	a->node = node;
}

static void
release_anchors(struct yaml *y)
{
	struct anchor *a = y->anchors, *next;

	HASH_CLEAR(hh, y->anchors);
	for (; a != NULL; a = next) {
		next = a->hh.next;
		free(a);
	}
}

/* Scalars ---------------------------------------------------------------- */

static const char *
skip_digits(const char *p)
{
	while (isdigit((unsigned char)*p))
		p++;
	return p;
}

/* Whether a plain scalar is a number as JSON writes them. */
static bool
is_number(const char *p)
{
	const char *digits;

	p += *p == '-';
	digits = p;
	p = skip_digits(p);
	if (p == digits || (digits[0] == '0' && p > digits + 1))
		return false;
	if (*p == '.') {
		if (!isdigit((unsigned char)p[1]))
			return false;
		p = skip_digits(p + 1);
	}
	if (*p == 'e' || *p == 'E') {
		p += 1 + (p[1] == '+' || p[1] == '-');
		if (!isdigit((unsigned char)*p))
			return false;
		p = skip_digits(p);
	}
	return *p == '\0';
}

/* YAML 1.2, section 10.3.2. */
static const struct {
	const char *text;
	enum node_type type;
	uint32_t n;
} words[] = {
	{ "", NODE_NULL, 0 },
	{ "~", NODE_NULL, 0 },
	{ "null", NODE_NULL, 0 },
	{ "Null", NODE_NULL, 0 },
	{ "NULL", NODE_NULL, 0 },
	{ "true", NODE_BOOL, 1 },
	{ "True", NODE_BOOL, 1 },
	{ "TRUE", NODE_BOOL, 1 },
	{ "false", NODE_BOOL, 0 },
	{ "False", NODE_BOOL, 0 },
	{ "FALSE", NODE_BOOL, 0 },
};

/* Hexadecimal and octal numbers, and those that JSON writes otherwise. */
static bool
other_number(const char *text, struct strbuf *as)
{
	char *end;
	unsigned long long v;

	if (strncmp(text, "0x", 2) == 0 && isxdigit((unsigned char)text[2]))
		v = strtoull(text + 2, &end, 16);
	else if (strncmp(text, "0o", 2) == 0 && isdigit((unsigned char)text[2]))
		v = strtoull(text + 2, &end, 8);
	else if (text[0] == '+' && is_number(text + 1) && text[1] != '-') {
		strbuf_add_str(as, text + 1);
		return true;
	} else
		return false;
	strbuf_add_u64(as, v);
	return *end == '\0';
}

static struct node
plain(struct yaml *y, const char *text, struct node as)
{
	struct strbuf number = STRBUF_INIT(64);

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(text, words[i].text) == 0)
			return (struct node){ .n = words[i].n,
				.line = as.line,
				.type = words[i].type };
	}
	if (is_number(text)) {
		as.type = NODE_NUMBER;
	} else if (other_number(text, &number) && strbuf_ok(&number)) {
		as.type = NODE_NUMBER;
		as.p = arena_dup(y->reading->arena, strbuf_slice(&number));
		as.n = (uint32_t)number.n;
	}
	strbuf_release(&number);
	return as;
}

static struct node
scalar(struct yaml *y, const yaml_event_t *event)
{
	struct slice text = { (const char *)event->data.scalar.value,
		event->data.scalar.length };
	const char *tag = (const char *)event->data.scalar.tag;
	char *copy = arena_dup(y->reading->arena, text);
	struct node as = { .p = copy,
		.n = (uint32_t)text.n,
		.line = (unsigned)event->start_mark.line + 1,
		.type = NODE_STRING };

	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
	    (tag != NULL && strcmp(tag, YAML_STR_TAG) == 0) ||
	    strlen(copy) != text.n)
		return as;
	return plain(y, copy, as);
}

/* Events ----------------------------------------------------------------- */

static struct pending *
innermost(struct yaml *y)
{
	size_t depth = builder_depth(y->builder);

	return depth > 0 ? &y->pending[depth - 1] : NULL;
}

/* Behind a value. */
static void
value_done(struct yaml *y)
{
	struct pending *in = innermost(y);

	if (in != NULL)
		in->wants_name = in->object;
}

static bool
is_name(const struct pending *in)
{
	return in != NULL && in->wants_name;
}

static bool
on_scalar(struct yaml *y, const yaml_event_t *event)
{
	struct pending *in = innermost(y);
	struct node node = scalar(y, event);

	if (is_name(in)) {
		/* 200: is a name too, in the words it was written with. */
		builder_name(y->builder,
		    slice_of(
			arena_dup(y->reading->arena,
			    slice_of((const char *)event->data.scalar.value,
				event->data.scalar.length)),
			event->data.scalar.length));
		in->wants_name = false;
		return true;
	}
	set_anchor(y, (const char *)event->data.scalar.anchor, node);
	builder_add(y->builder, node);
	value_done(y);
	return true;
}

static bool
on_alias(struct yaml *y, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct anchor *a;

	HASH_FIND_STR(y->anchors, name, a);
	if (a == NULL || is_name(innermost(y)))
		return fail(y, event->start_mark.line,
		    "an alias of something that does not stand before it");
	builder_add(y->builder, a->node);
	value_done(y);
	return true;
}

static bool
open_one(struct yaml *y, const yaml_event_t *event, enum node_type type,
    const yaml_char_t *anchor)
{
	struct pending *in = innermost(y);

	if (is_name(in))
		return fail(y, event->start_mark.line,
		    "a name that is a list or an object");
	if (builder_depth(y->builder) == READER_DEPTH_MAX)
		return fail(y, event->start_mark.line, "nested too deeply");
	builder_open(y->builder, type, (unsigned)event->start_mark.line + 1);
	in = innermost(y);
	in->anchor = anchor ? xstrdup((const char *)anchor) : NULL;
	in->object = in->wants_name = type == NODE_OBJECT;
	return true;
}

static bool
close_one(struct yaml *y)
{
	char *anchor = innermost(y)->anchor;
	struct member twice;
	bool merged = !innermost(y)->object || builder_merge(y->builder);
	struct node made;

	innermost(y)->anchor = NULL;
	made = builder_close(y->builder, &twice);
	set_anchor(y, anchor, made);
	free(anchor);
	value_done(y);
	if (!merged)
		return fail(y, made.line - 1, "too many merge keys");
	if (twice.p == NULL || !y->reading->unique)
		return true;
	strbuf_addf(y->reading->error, "\"%.*s\" is given twice",
	    SLICE_ARG(member_name(&twice)));
	return fail(y, twice.value.line - 1, "");
}

static bool
on_event(struct yaml *y, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(y, event);
	case YAML_ALIAS_EVENT:
		return on_alias(y, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_one(
		    y, event, NODE_ARRAY, event->data.sequence_start.anchor);
	case YAML_MAPPING_START_EVENT:
		return open_one(
		    y, event, NODE_OBJECT, event->data.mapping_start.anchor);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_one(y);
	case YAML_DOCUMENT_START_EVENT:
		/* The first is all that is read: it is the whole. */
		if (builder_done(y->builder, &(struct node){ 0 }))
			return fail(
			    y, event->start_mark.line, "a second document");
		return true;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return true;
}

/* The module itself ------------------------------------------------------ */

static bool
read_events(struct yaml *y, yaml_parser_t *parser)
{
	yaml_event_t event;
	bool ok = true, last = false;

	while (ok && !last) {
		if (!yaml_parser_parse(parser, &event))
			return fail(y,
			    parser->problem_mark.line > 0
				? parser->problem_mark.line
				: parser->mark.line,
			    parser->problem ? parser->problem : "not YAML");
		last = event.type == YAML_STREAM_END_EVENT;
		ok = on_event(y, &event);
		yaml_event_delete(&event);
	}
	return ok;
}

bool
yaml_read(struct reading *r, const char *text, size_t n, struct node *root)
{
	struct yaml y = { .reading = r };
	yaml_parser_t parser;
	bool ok;

	if (!yaml_parser_initialize(&parser))
		abort();
	y.builder = builder_new(r->arena);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
	ok = read_events(&y, &parser);
	if (ok && !builder_done(y.builder, root))
		ok = fail(&y, 0, "it is empty");
	while (!ok && builder_depth(y.builder) > 0) {
		struct member twice;

		free(innermost(&y)->anchor);
		(void)builder_close(y.builder, &twice);
	}
	yaml_parser_delete(&parser);
	release_anchors(&y);
	builder_free(y.builder);
	return ok;
}
