#include "proxy/http_query.h"

#include "proxy/http_text.h"

/* Takes one decoded byte off *s, which is not empty; -1 when badly encoded. */
static int
take_decoded(struct slice *s)
{
	char c = s->p[0];
	size_t used = 1;
	int byte = (unsigned char)c;

	if (c == '+') {
		byte = ' ';
	} else if (c == '%') {
		if (s->n < 3 || !http_is_class(s->p[1], CC_HEX) || !http_is_class(s->p[2], CC_HEX))
			return -1;
		byte = (int)(http_hex_value(s->p[1]) << 4 | http_hex_value(s->p[2]));
		used = 3;
	}
	*s = slice_of(s->p + used, s->n - used);
	return byte;
}

/* Compares decoded, so that "%61=2" cannot be a second, unseen "a". */
static bool
name_matches(struct slice encoded, const char *name)
{
	while (encoded.n > 0 && *name != '\0')
		if (take_decoded(&encoded) != (unsigned char)*name++)
			return false;
	return encoded.n == 0 && *name == '\0';
}

/* Finds the value, still encoded, of the one parameter with that name. */
static bool
find_param(struct slice query, const char *name, struct slice *value)
{
	struct slice pair, key;
	bool found = false;

	while (http_next_part(&query, '&', &pair)) {
		if (!http_next_part(&pair, '=', &key) || !name_matches(key, name))
			continue;
		if (found)
			return false;
		found = true;
		*value = pair;
	}
	return found;
}

int
http_query_param(struct slice query, const char *name, char *buf, size_t size)
{
	struct slice value = SLICE_NONE;
	size_t n = 0;

	if (size == 0 || !find_param(query, name, &value))
		return -1;
	while (value.n > 0) {
		int byte = take_decoded(&value);

		if (byte < ' ' || byte == 0x7f || n + 1 == size)
			return -1;
		buf[n++] = (char)byte;
	}
	buf[n] = '\0';
	return (int)n;
}
