#include "common/config_value.h"

#include <limits.h>
#include <stdlib.h>
#include <strings.h>

#include "common/xalloc.h"

static bool
parse_string(const struct config_option *o UNUSED, const char *text,
    void *field)
{
	char **s = field;

	free(*s);
	*s = xstrdup(text);
	return true;
}

/* Digits only; returns where they end, or NULL when there are none, or more
 * than 64 bits hold. */
static const char *
parse_digits(const char *text, uint64_t *out)
{
	const char *at = text;
	uint64_t v = 0;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*at - '0'), &v))
			return NULL;
	*out = v;
	return at > text ? at : NULL;
}

static uint64_t
max_or(const struct config_option *o, uint64_t type_max)
{
	return o->max == 0 || o->max > type_max ? type_max : o->max;
}

static bool
parse_uint(const struct config_option *o, const char *text, void *field)
{
	uint64_t v;
	const char *rest = parse_digits(text, &v);

	if (rest == NULL || *rest != '\0' || v < o->min ||
	    v > max_or(o, UINT_MAX))
		return false;
	*(unsigned *)field = (unsigned)v;
	return true;
}

/* Powers of 1024, as Redis's and nginx's settings have them. */
static const struct {
	char letter;
	unsigned shift;
} units[] = { { 'g', 30 }, { 'm', 20 }, { 'k', 10 } };

/* The shift that a unit's letter stands for; 0 when it is none. */
static unsigned
unit_shift(char letter)
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if ((letter | 0x20) == units[i].letter)
			return units[i].shift;
	return 0;
}

static bool
parse_bytes(const struct config_option *o, const char *text, void *field)
{
	uint64_t v;
	const char *rest = parse_digits(text, &v);
	unsigned shift;

	if (rest == NULL)
		return false;
	shift = unit_shift(*rest);
	if (shift != 0)
		rest++;
	if (*rest != '\0' || v > (UINT64_MAX >> shift))
		return false;
	v <<= shift;
	if (v < o->min || v > max_or(o, SIZE_MAX))
		return false;
	*(size_t *)field = (size_t)v;
	return true;
}

static const char *const bool_words[] = {
	"false", "true", "no", "yes", "off", "on", "0", "1", NULL
};

static int
find_word(const char *const *words, const char *text)
{
	for (int i = 0; words[i] != NULL; i++)
		if (strcasecmp(words[i], text) == 0)
			return i;
	return -1;
}

static bool
parse_bool(const struct config_option *o UNUSED, const char *text, void *field)
{
	int i = find_word(bool_words, text);

	if (i < 0)
		return false;
	*(bool *)field = i % 2 == 1;
	return true;
}

static bool
parse_enum(const struct config_option *o, const char *text, void *field)
{
	int i = find_word(o->choices, text);

	if (i < 0)
		return false;
	*(int *)field = i;
	return true;
}

static void
add_size(struct strbuf *to, uint64_t v)
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		uint64_t unit = (uint64_t)1 << units[i].shift;

		if (v > 0 && v % unit == 0) {
			strbuf_add_u64(to, v / unit);
			strbuf_add_char(to, units[i].letter);
			return;
		}
	}
	strbuf_add_u64(to, v);
}

static const char *
string_of(const void *field)
{
	const char *s = *(char *const *)field;

	return s ? s : "";
}

static void
format_string(const struct config_option *o UNUSED, const void *field,
    struct strbuf *to)
{
	strbuf_add_str(to, string_of(field));
}

static void
format_secret(const struct config_option *o UNUSED, const void *field,
    struct strbuf *to)
{
	if (string_of(field)[0] != '\0')
		strbuf_add_str(to, "***");
}

/* The value of a password=… in a query, or in libpq's "key=value" form; or NULL. */
static const char *
password_in(const char *text)
{
	const char *word = strcasestr(text, "password");

	while (word != NULL) {
		const char *after = word + strlen("password");

		after += strspn(after, " ");
		if (*after == '=')
			return after + 1;
		word = strcasestr(after, "password");
	}
	return NULL;
}

/*
 * Hides all between the scheme and the last "@": a password that should have
 * been percent-encoded may hold "/", "?" or "@" itself. A scheme ends at the
 * first colon; without one all before the "@" is hidden. And all from a password
 * further on to the end.
 */
static void
format_url(const struct config_option *o UNUSED, const void *field,
    struct strbuf *to)
{
	const char *url = string_of(field);
	const char *at = strrchr(url, '@'), *password;
	size_t scheme = strcspn(url, ":");

	if (at != NULL) {
		if (url + scheme < at && strncmp(url + scheme, "://", 3) == 0)
			strbuf_add(to, url, scheme + 3);
		strbuf_add_str(to, "***");
		url = at;
	}
	password = password_in(url);
	if (password == NULL) {
		strbuf_add_str(to, url);
		return;
	}
	strbuf_add(to, url, (size_t)(password - url));
	strbuf_add_str(to, "***");
}

/* Below its minimum a number can only be one that was never set. */
static void
format_uint(const struct config_option *o, const void *field, struct strbuf *to)
{
	unsigned v = *(const unsigned *)field;

	if (v >= o->min)
		strbuf_add_u64(to, v);
}

static void
format_bytes(const struct config_option *o, const void *field,
    struct strbuf *to)
{
	size_t v = *(const size_t *)field;

	if (v >= o->min)
		add_size(to, v);
}

static void
format_bool(const struct config_option *o UNUSED, const void *field,
    struct strbuf *to)
{
	strbuf_add_str(to, *(const bool *)field ? "true" : "false");
}

static void
format_enum(const struct config_option *o, const void *field, struct strbuf *to)
{
	strbuf_add_str(to, o->choices[*(const int *)field]);
}

static void
allow_string(const struct config_option *o UNUSED, struct strbuf *to)
{
	strbuf_add_str(to, "text");
}

static void
allow_secret(const struct config_option *o UNUSED, struct strbuf *to)
{
	strbuf_add_str(to, "secret text");
}

static void
allow_url(const struct config_option *o UNUSED, struct strbuf *to)
{
	strbuf_add_str(to, "a URL");
}

static void
allow_uint(const struct config_option *o, struct strbuf *to)
{
	strbuf_add_str(to, "a number from ");
	strbuf_add_u64(to, o->min);
	strbuf_add_str(to, " to ");
	strbuf_add_u64(to, max_or(o, UINT_MAX));
}

static void
allow_bytes(const struct config_option *o, struct strbuf *to)
{
	strbuf_add_str(to, "a size in bytes from ");
	add_size(to, o->min);
	strbuf_add_str(to, " to ");
	add_size(to, max_or(o, SIZE_MAX));
}

static void
add_words(struct strbuf *to, const char *const *words)
{
	strbuf_add_str(to, "one of ");
	for (size_t i = 0; words[i] != NULL; i++) {
		strbuf_add_str(to, i > 0 ? ", " : "");
		strbuf_add_str(to, words[i]);
	}
}

static void
allow_bool(const struct config_option *o UNUSED, struct strbuf *to)
{
	add_words(to, bool_words);
}

static void
allow_enum(const struct config_option *o, struct strbuf *to)
{
	add_words(to, o->choices);
}

const struct config_value config_values[] = {
	[CONFIG_STRING] = { sizeof(char *), true, parse_string, format_string,
	    allow_string },
	[CONFIG_SECRET] = { sizeof(char *), true, parse_string, format_secret,
	    allow_secret },
	[CONFIG_URL] = { sizeof(char *), true, parse_string, format_url,
	    allow_url },
	[CONFIG_UINT] = { sizeof(unsigned), false, parse_uint, format_uint,
	    allow_uint },
	[CONFIG_BYTES] = { sizeof(size_t), false, parse_bytes, format_bytes,
	    allow_bytes },
	[CONFIG_BOOL] = { sizeof(bool), false, parse_bool, format_bool,
	    allow_bool },
	[CONFIG_ENUM] = { sizeof(int), false, parse_enum, format_enum,
	    allow_enum },
};
