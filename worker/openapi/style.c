#include "worker/openapi/style.h"

#include <ctype.h>

#include "worker/json/number.h"

enum escape {
	ESCAPE_ALL,
	ESCAPE_RESERVED, /* allowReserved: these stay */
	ESCAPE_NONE
};

/* Text ------------------------------------------------------------------- */

/*
 * allowReserved lets a value have these as they are; never & = + # [ ] %, with
 * which it could end its parameter and begin another.
 */
static bool
stays(char c, enum escape escape)
{
	if (isalnum((unsigned char)c) || (c != '\0' && strchr("-._~", c)))
		return true;
	return escape == ESCAPE_NONE ||
	       (escape == ESCAPE_RESERVED && c != '\0' &&
		   strchr(":/?@!$'()*,;", c));
}

static void
encode(struct strbuf *sb, struct slice text, enum escape escape)
{
	for (size_t i = 0; i < text.n; i++) {
		if (stays(text.p[i], escape))
			strbuf_add_char(sb, text.p[i]);
		else
			strbuf_addf(sb, "%%%02X", (unsigned char)text.p[i]);
	}
}

void
style_encode(struct strbuf *sb, struct slice text)
{
	encode(sb, text, ESCAPE_ALL);
}

void
style_plain(struct strbuf *sb, const cJSON *value)
{
	if (cJSON_IsString(value))
		strbuf_add_str(sb, value->valuestring);
	else if (!cJSON_IsNull(value))
		number_write_tree(sb, value);
}

static void
add_value(struct strbuf *sb, const cJSON *value, enum escape escape)
{
	struct strbuf text = STRBUF_INIT(sb->max);

	style_plain(&text, value);
	encode(sb, strbuf_slice(&text), escape);
	if (!strbuf_ok(&text))
		sb->failed = true;
	strbuf_release(&text);
}

/* Lists ------------------------------------------------------------------ */

static bool
is_list(const cJSON *value)
{
	return cJSON_IsArray(value) || cJSON_IsObject(value);
}

/* Elements with separator between; of an object also names, with equals. */
static void
add_list(struct strbuf *sb, const cJSON *value, const char *separator,
    const char *equals, enum escape escape)
{
	const cJSON *item;
	bool first = true;

	if (!is_list(value)) {
		add_value(sb, value, escape);
		return;
	}
	cJSON_ArrayForEach(item, value)
	{
		if (!first)
			strbuf_add_str(sb, separator);
		first = false;
		if (cJSON_IsObject(value)) {
			encode(sb, slice_str(item->string), escape);
			strbuf_add_str(sb, equals);
		}
		add_value(sb, item, escape);
	}
}

static enum escape
escape_of(const struct parameter *p)
{
	return p->encoding.reserved ? ESCAPE_RESERVED : ESCAPE_ALL;
}

/* Paths ------------------------------------------------------------------ */

/* ;name=value, and ;name for an empty one (RFC 6570, section 3.2.7). */
static void
add_matrix(struct strbuf *sb, struct slice name, const cJSON *value)
{
	struct strbuf text = STRBUF_INIT(sb->max);

	add_list(&text, value, ",", ",", ESCAPE_ALL);
	strbuf_add_char(sb, ';');
	style_encode(sb, name);
	if (text.n > 0)
		strbuf_add_char(sb, '=');
	strbuf_add_slice(sb, strbuf_slice(&text));
	strbuf_release(&text);
}

static void
add_matrices(struct strbuf *sb, const struct parameter *p, const cJSON *value)
{
	const cJSON *item;

	if (!is_list(value) || !p->encoding.explode) {
		add_matrix(sb, slice_str(p->name), value);
		return;
	}
	cJSON_ArrayForEach(item, value)
	{
		add_matrix(sb,
		    slice_str(cJSON_IsObject(value) ? item->string : p->name),
		    item);
	}
}

void
style_path(struct strbuf *sb, const struct parameter *p, const cJSON *value)
{
	bool explode = p->encoding.explode;

	if (p->encoding.json) {
		add_value(sb, value, ESCAPE_ALL);
	} else if (p->encoding.style == STYLE_MATRIX) {
		add_matrices(sb, p, value);
	} else if (p->encoding.style == STYLE_LABEL) {
		strbuf_add_char(sb, '.');
		add_list(sb, value, explode ? "." : ",", explode ? "=" : ",",
		    ESCAPE_ALL);
	} else {
		add_list(sb, value, ",", explode ? "=" : ",", ESCAPE_ALL);
	}
}

void
style_header(struct strbuf *sb, const struct parameter *p, const cJSON *value)
{
	if (p->encoding.json && !cJSON_IsString(value))
		style_plain(sb, value);
	else
		add_list(sb, value, ",", p->encoding.explode ? "=" : ",",
		    ESCAPE_NONE);
}

/* Pairs ------------------------------------------------------------------ */

struct pairs {
	struct strbuf *sb;
	const char *separator;
	const struct parameter *p;
};

static void
add_name(struct pairs *to, struct slice name)
{
	if (to->sb->n > 0)
		strbuf_add_str(to->sb, to->separator);
	style_encode(to->sb, name);
	strbuf_add_char(to->sb, '=');
}

static void
add_exploded(struct pairs *to, const cJSON *value)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, value)
	{
		add_name(to, slice_str(cJSON_IsObject(value) ? item->string
							     : to->p->name));
		add_value(to->sb, item, escape_of(to->p));
	}
}

/* name[a][b]=value; elements of lists have their number for a name. */
static void
add_deep(struct pairs *to, struct slice name, const cJSON *value)
{
	const cJSON *item;
	unsigned i = 0;

	if (!is_list(value)) {
		add_name(to, name);
		add_value(to->sb, value, escape_of(to->p));
		return;
	}
	cJSON_ArrayForEach(item, value)
	{
		struct strbuf inner = STRBUF_INIT(to->sb->max);

		strbuf_add_slice(&inner, name);
		if (cJSON_IsObject(value))
			strbuf_addf(&inner, "[%s]", item->string);
		else
			strbuf_addf(&inner, "[%u]", i++);
		add_deep(to, strbuf_slice(&inner), item);
		strbuf_release(&inner);
	}
}

/* What stands between elements that share one name. */
static const char *
delimiter(enum style style)
{
	switch (style) {
	case STYLE_SPACE:
		return "%20";
	case STYLE_PIPE:
		return "%7C";
	case STYLE_TAB:
		return "%09";
	case STYLE_SIMPLE:
	case STYLE_LABEL:
	case STYLE_MATRIX:
	case STYLE_FORM:
	case STYLE_DEEP:
		break;
	}
	return ",";
}

void
style_pairs(struct strbuf *sb, const struct parameter *p, const cJSON *value,
    const char *separator)
{
	struct pairs to = { sb, separator, p };
	const char *between = delimiter(p->encoding.style);

	if (p->encoding.json) {
		struct strbuf text = STRBUF_INIT(sb->max);

		add_name(&to, slice_str(p->name));
		number_write_tree(&text, value);
		style_encode(sb, strbuf_slice(&text));
		strbuf_release(&text);
	} else if (p->encoding.style == STYLE_DEEP) {
		add_deep(&to, slice_str(p->name), value);
	} else if (is_list(value) && p->encoding.explode) {
		add_exploded(&to, value);
	} else if (!is_list(value) || value->child != NULL) {
		add_name(&to, slice_str(p->name));
		add_list(sb, value, between, between, escape_of(p));
	}
}
