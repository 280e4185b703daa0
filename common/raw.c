#include "common/raw.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

/* From an opening quote to behind the closing one; NULL: there is none. */
static const char *
skip_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\')
			p++;
	}
	return NULL;
}

/* From an opening bracket to behind the one that closes it, or NULL. */
static const char *
skip_nested(const char *p, const char *end)
{
	size_t depth = 0;

	while (p != NULL && p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if ((*p == '}' || *p == ']') && --depth == 0)
			return p + 1;
		p++;
	}
	return NULL;
}

/* Behind the value at p, or NULL. A number or a literal ends where it may. */
static const char *
skip_value(const char *p, const char *end)
{
	const char *from = p;

	if (p == end)
		return NULL;
	if (*p == '"')
		return skip_string(p, end);
	if (*p == '{' || *p == '[')
		return skip_nested(p, end);
	while (p < end && strchr(",]} \t\r\n", *p) == NULL)
		p++;
	return p > from && p < end ? p : NULL;
}

bool
raw_enter(struct slice value, struct raw_walk *out)
{
	const char *p, *end;

	if (value.n == 0)
		return false;
	end = value.p + value.n;
	p = skip_blanks(value.p, end);
	if (p == end || (*p != '{' && *p != '['))
		return false;
	*out = (struct raw_walk){ p + 1, end };
	return true;
}

/* The end of a walk: nothing is left. */
static bool
finish(struct raw_walk *w)
{
	w->p = w->end;
	return false;
}

bool
raw_item(struct raw_walk *w, struct slice *value)
{
	const char *from = skip_blanks(w->p, w->end);
	const char *to = skip_value(from, w->end);

	if (to == NULL)
		return finish(w);
	*value = slice_of(from, (size_t)(to - from));
	w->p = skip_blanks(to, w->end);
	if (w->p < w->end && *w->p == ',')
		w->p++;
	return true;
}

bool
raw_member(struct raw_walk *w, struct slice *name, struct slice *value)
{
	const char *from = skip_blanks(w->p, w->end);
	const char *to;

	if (from == w->end || *from != '"')
		return finish(w);
	to = skip_string(from, w->end);
	if (to == NULL)
		return finish(w);
	*name = slice_of(from + 1, (size_t)(to - from) - 2);
	w->p = skip_blanks(to, w->end);
	if (w->p == w->end || *w->p != ':')
		return finish(w);
	w->p++;
	return raw_item(w, value);
}

struct slice
raw_find(struct slice object, const char *name)
{
	struct slice found, value;
	struct raw_walk w;

	if (!raw_enter(object, &w) || w.p[-1] != '{')
		return SLICE_NONE;
	while (raw_member(&w, &found, &value)) {
		if (slice_eq_str(found, name))
			return value;
	}
	return SLICE_NONE;
}

bool
raw_is(struct slice value, const char *literal)
{
	return slice_eq_str(value, literal);
}

/* Not by cJSON_Minify(): a string that ends in a backslash confuses it. */
void
raw_add_line(struct strbuf *sb, struct slice json)
{
	const char *p = json.p, *end = json.n > 0 ? p + json.n : p;

	while (p < end && (p = skip_blanks(p, end)) < end) {
		const char *from = p;

		while (p != NULL && p < end && !is_blank(*p))
			p = *p == '"' ? skip_string(p, end) : p + 1;
		p = p != NULL ? p : end;
		strbuf_add(sb, from, (size_t)(p - from));
	}
}
