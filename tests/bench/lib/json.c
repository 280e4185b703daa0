#include "tests/bench/lib/json.h"

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

/* p is at the opening quote; returns what follows the closing one, or NULL. */
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

static const char *
skip_container(const char *p, const char *end)
{
	unsigned depth = 0;

	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
			if (p == NULL)
				return NULL;
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

static const char *
skip_value(const char *p, const char *end)
{
	if (p >= end)
		return NULL;
	if (*p == '"')
		return skip_string(p, end);
	if (*p == '{' || *p == '[')
		return skip_container(p, end);
	while (p < end && *p != ',' && *p != '}' && *p != ']' && !is_blank(*p))
		p++;
	return p;
}

/* Steps over one character that must be there, and the blanks around it. */
static const char *
expect(const char *p, const char *end, char c)
{
	p = skip_blanks(p, end);
	if (p >= end || *p != c)
		return NULL;
	return skip_blanks(p + 1, end);
}

bool
json_member(struct slice object, const char *name, struct slice *value)
{
	const char *end = object.p + object.n;
	const char *p = expect(object.p, end, '{');

	while (p != NULL && p < end && *p == '"') {
		const char *key = p + 1;
		const char *after = skip_string(p, end);
		const char *from, *to;

		if (after == NULL || (from = expect(after, end, ':')) == NULL ||
		    (to = skip_value(from, end)) == NULL)
			return false;
		if (slice_eq_str(slice_of(key, (size_t)(after - 1 - key)), name)) {
			*value = slice_of(from, (size_t)(to - from));
			return true;
		}
		p = expect(to, end, ',');
	}
	return false;
}

bool
json_first(struct slice array, struct slice *value)
{
	const char *end = array.p + array.n;
	const char *from = expect(array.p, end, '[');
	const char *to = from ? skip_value(from, end) : NULL;

	if (to == NULL || to == from)
		return false;
	*value = slice_of(from, (size_t)(to - from));
	return true;
}

bool
json_string(struct slice value, struct slice *text)
{
	if (value.n < 2 || value.p[0] != '"')
		return false;
	*text = slice_of(value.p + 1, value.n - 2);
	return true;
}
