#include "common/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "common/xalloc.h"

/* A .env file is typed by a person: a larger one is some other file. */
#define DOTENV_MAX_BYTES ((size_t)1 << 20)
/* Enough of a wrong value to find it, in a message that holds others too. */
#define VALUE_SHOWN_BYTES 80
/* Lines for people, made of text that the operator chose: no need for a cap. */
#define LINE_MAX_BYTES (SIZE_MAX / 4)

/* o is a const struct config_option * of the caller's. */
#define FOR_EACH_OPTION(o, tables)                                           \
	for (const struct config_option *const *table_ = (tables);           \
	    *table_ != NULL; table_++)                                       \
		for ((o) = *table_; (o)->env != NULL; (o)++)

/* The .env file ----------------------------------------------------------- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice
trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_of(s.p + 1, s.n - 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* "export KEY=…" is what shells read: the word is passed over. */
static struct slice
without_export(struct slice line)
{
	const struct slice word = SLICE("export");

	if (line.n > word.n && is_blank(line.p[word.n]) &&
	    memcmp(line.p, word.p, word.n) == 0)
		return trim(slice_of(line.p + word.n, line.n - word.n));
	return line;
}

/* A # opens a comment only after a blank: URLs and passwords hold it too. */
static struct slice
without_comment(struct slice s)
{
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] == '#' && is_blank(s.p[i - 1]))
			return slice_of(s.p, i);
	return s;
}

static bool
is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') || c == '_';

		if (!letter && (i == 0 || c < '0' || c > '9'))
			return false;
	}
	return s.n > 0;
}

/* Escapes in double quotes, as typed and as meant. */
static const char escape_typed[] = "nrt\"\\";
static const char escape_meant[] = "\n\r\t\"\\";

/*
 * These three append a value to *to and return NULL, or what is wrong. Reasons
 * never quote the line: it may hold a password.
 */
static const char *
add_bare(struct strbuf *to, struct slice s)
{
	strbuf_add_slice(to, trim(without_comment(s)));
	return NULL;
}

static const char *
check_after_quote(struct slice rest)
{
	if (trim(without_comment(rest)).n > 0)
		return "text after the closing quote";
	return NULL;
}

static const char *
add_single_quoted(struct strbuf *to, struct slice s)
{
	const char *quote = memchr(s.p, '\'', s.n);

	if (quote == NULL)
		return "the quote is not closed in the line";
	strbuf_add(to, s.p, (size_t)(quote - s.p));
	return check_after_quote(
	    slice_of(quote + 1, (size_t)(s.p + s.n - quote - 1)));
}

static const char *
add_double_quoted(struct strbuf *to, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		const char *known;

		if (s.p[i] == '"')
			return check_after_quote(
			    slice_of(s.p + i + 1, s.n - i - 1));
		if (s.p[i] != '\\') {
			strbuf_add_char(to, s.p[i]);
			continue;
		}
		if (++i == s.n)
			break;
		known = strchr(escape_typed, s.p[i]);
		if (known == NULL)
			return "an escape other than \\n \\r \\t \\\" \\\\";
		strbuf_add_char(to, escape_meant[known - escape_typed]);
	}
	return "the quote is not closed in the line";
}

/* s is all that follows the "=". */
static const char *
add_value(struct strbuf *to, struct slice s)
{
	struct slice text = trim(s);
	struct slice inner;

	if (text.n == 0)
		return NULL;
	inner = slice_of(text.p + 1, text.n - 1);
	if (text.p[0] == '\'')
		return add_single_quoted(to, inner);
	if (text.p[0] == '"')
		return add_double_quoted(to, inner);
	return add_bare(to, s);
}

/* Appends what the line sets, as KEY NUL VALUE NUL. */
static const char *
add_line(struct strbuf *pairs, struct slice line)
{
	const char *equals;
	const char *reason;
	struct slice name;

	line = trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return NULL;
	if (memchr(line.p, '\0', line.n) != NULL)
		return "a NUL byte in the line";
	line = without_export(line);
	equals = memchr(line.p, '=', line.n);
	if (equals == NULL)
		return "no \"=\" in the line";
	name = trim(slice_of(line.p, (size_t)(equals - line.p)));
	if (!is_name(name))
		return "the name before \"=\" must be letters, digits and _, "
		       "not starting with a digit";
	strbuf_add_slice(pairs, name);
	strbuf_add_char(pairs, '\0');
	reason = add_value(pairs,
	    slice_of(equals + 1, (size_t)(line.p + line.n - equals - 1)));
	strbuf_add_char(pairs, '\0');
	return reason;
}

/* Removes the first line from *text and returns it without LF or CRLF. */
static struct slice
next_line(struct slice *text)
{
	const char *lf = memchr(text->p, '\n', text->n);
	struct slice line = *text;

	if (lf != NULL)
		line.n = (size_t)(lf - text->p);
	*text = lf ? slice_of(lf + 1, text->n - line.n - 1) : SLICE_NONE;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static bool
parse_dotenv(struct slice text, const char *path, struct strbuf *pairs,
    struct strbuf *errors)
{
	const struct slice mark = SLICE("\xef\xbb\xbf");
	bool ok = true;

	/* Some editors put a byte order mark in front. */
	if (text.n >= mark.n && memcmp(text.p, mark.p, mark.n) == 0)
		text = slice_of(text.p + mark.n, text.n - mark.n);
	for (unsigned number = 1; text.n > 0; number++) {
		const char *reason = add_line(pairs, next_line(&text));

		if (reason == NULL && !strbuf_ok(pairs))
			reason = "out of memory";
		if (reason == NULL)
			continue;
		ok = false;
		strbuf_addf(errors, "%s:%u: %s\n", path, number, reason);
	}
	return ok;
}

/* Returns 0 or an errno. */
static int
read_fd(int fd, struct strbuf *to)
{
	const size_t step = 4096;

	for (;;) {
		char *room = strbuf_reserve(to, step);
		ssize_t got;

		if (room == NULL)
			return EFBIG;
		got = read(fd, room, step);
		if (got > 0)
			to->n += (size_t)got;
		else if (got == 0 || errno != EINTR)
			return got == 0 ? 0 : errno;
	}
}

static int
read_file(const char *path, struct strbuf *to)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return errno;
	error = read_fd(fd, to);
	close(fd);
	return error;
}

/* Fills pairs from the file; one that is not there is as good as empty. */
static bool
load_dotenv(const char *path, struct strbuf *pairs, struct strbuf *errors)
{
	struct strbuf text = STRBUF_INIT(DOTENV_MAX_BYTES);
	bool ok = true;
	int error;

	if (path == NULL)
		return true;
	error = read_file(path, &text);
	if (error == 0) {
		ok = parse_dotenv(strbuf_slice(&text), path, pairs, errors);
	} else if (error != ENOENT) {
		strbuf_addf(errors, "%s: %s\n", path, strerror(error));
		ok = false;
	}
	strbuf_release(&text);
	return ok;
}

/* The last line that names the setting counts, as in a shell. */
static const char *
find_pair(const struct strbuf *pairs, const char *name)
{
	const char *at = strbuf_str(pairs);
	const char *end = at + pairs->n;
	const char *found = NULL;

	while (at < end) {
		const char *value = at + strlen(at) + 1;

		if (strcmp(at, name) == 0)
			found = value;
		at = value + strlen(value) + 1;
	}
	return found;
}

/* Types ------------------------------------------------------------------- */

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

/*
 * Hides all between the scheme and the last "@": a password that should have
 * been percent-encoded may hold "/", "?" or "@" itself. A scheme ends at the
 * first colon; without one all before the "@" is hidden.
 */
static void
format_url(const struct config_option *o UNUSED, const void *field,
    struct strbuf *to)
{
	const char *url = string_of(field);
	const char *at = strrchr(url, '@');
	size_t scheme = strcspn(url, ":");

	if (at != NULL) {
		if (url + scheme < at && strncmp(url + scheme, "://", 3) == 0)
			strbuf_add(to, url, scheme + 3);
		strbuf_add_str(to, "***");
		url = at;
	}
	strbuf_add_str(to, url);
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

/*
 * parse sets the field or refuses the text; format is its inverse, but for what
 * must not be shown; allow completes "… is not".
 */
static const struct type {
	size_t size;
	bool owned;   /* a char * to be freed */
	bool (*parse)(const struct config_option *, const char *, void *);
	void (*format)(const struct config_option *, const void *,
	    struct strbuf *);
	void (*allow)(const struct config_option *, struct strbuf *);
} types[] = {
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

/* Loading ----------------------------------------------------------------- */

static bool
is_set(const char *text)
{
	return text != NULL && text[0] != '\0';
}

static const char *
find_text(const struct config_option *o, const struct strbuf *pairs)
{
	const char *text = getenv(o->env);

	if (!is_set(text))
		text = find_pair(pairs, o->env);
	if (!is_set(text))
		text = o->fallback;
	return is_set(text) ? text : NULL;
}

static void
add_refusal(struct strbuf *errors, const struct config_option *o,
    const char *text)
{
	size_t shown = strnlen(text, VALUE_SHOWN_BYTES);

	strbuf_addf(errors, "%s: ", o->env);
	strbuf_add_json(errors, slice_of(text, shown));
	strbuf_add_str(errors, text[shown] != '\0' ? "... is not " : " is not ");
	types[o->type].allow(o, errors);
	strbuf_add_char(errors, '\n');
}

static bool
set_field(const struct config_option *o, const struct strbuf *pairs,
    void *config, struct strbuf *errors)
{
	const char *text = find_text(o, pairs);

	if (text == NULL ||
	    types[o->type].parse(o, text, (char *)config + o->offset))
		return true;
	add_refusal(errors, o, text);
	return false;
}

bool
config_load(const struct config_option *const *tables, void *config,
    const char *dotenv_path, struct strbuf *errors)
{
	/* A line's "=" and end become NULs; the last may lack its end. */
	struct strbuf pairs = STRBUF_INIT(DOTENV_MAX_BYTES + 1);
	struct strbuf unread = STRBUF_INIT(0);
	const struct config_option *o;
	bool ok;

	if (errors == NULL)
		errors = &unread;
	FOR_EACH_OPTION (o, tables)
		memset((char *)config + o->offset, 0, types[o->type].size);
	ok = load_dotenv(dotenv_path, &pairs, errors);
	FOR_EACH_OPTION (o, tables)
		if (!set_field(o, &pairs, config, errors))
			ok = false;
	strbuf_release(&pairs);
	if (!ok)
		config_release(tables, config);
	return ok;
}

void
config_release(const struct config_option *const *tables, void *config)
{
	const struct config_option *o;

	FOR_EACH_OPTION (o, tables) {
		char **s = (char **)(void *)((char *)config + o->offset);

		if (!types[o->type].owned)
			continue;
		free(*s);
		*s = NULL;
	}
}

/* Showing ----------------------------------------------------------------- */

/* Safe without quotes, here and in a shell's assignment. */
static bool
is_bare(const char *text)
{
	static const char bare[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789_./:@,+=%*-";

	return text[strspn(text, bare)] == '\0';
}

/* Single quotes hold all but themselves, line ends and control characters. */
static bool
fits_single_quotes(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '\'' || (unsigned char)*text < ' ')
			return false;
	return true;
}

static void
add_quoted(struct strbuf *to, const char *text)
{
	if (is_bare(text)) {
		strbuf_add_str(to, text);
		return;
	}
	if (fits_single_quotes(text)) {
		strbuf_addf(to, "'%s'", text);
		return;
	}
	strbuf_add_char(to, '"');
	for (; *text != '\0'; text++) {
		const char *known = strchr(escape_meant, *text);

		if (known != NULL)
			strbuf_addf(to, "\\%c",
			    escape_typed[known - escape_meant]);
		else
			strbuf_add_char(to, *text);
	}
	strbuf_add_char(to, '"');
}

void
config_print(const struct config_option *const *tables, const void *config,
    FILE *to)
{
	struct strbuf value = STRBUF_INIT(LINE_MAX_BYTES);
	struct strbuf line = STRBUF_INIT(LINE_MAX_BYTES);
	const struct config_option *o;

	FOR_EACH_OPTION (o, tables) {
		strbuf_reset(&value);
		types[o->type].format(o, (const char *)config + o->offset,
		    &value);
		strbuf_reset(&line);
		add_quoted(&line, strbuf_str(&value));
		fprintf(to, "%s=%s\n", o->env, strbuf_str(&line));
	}
	strbuf_release(&value);
	strbuf_release(&line);
}

void
config_help(const struct config_option *const *tables, FILE *to)
{
	struct strbuf allowed = STRBUF_INIT(LINE_MAX_BYTES);
	const struct config_option *o;

	FOR_EACH_OPTION (o, tables) {
		strbuf_reset(&allowed);
		types[o->type].allow(o, &allowed);
		fprintf(to, "%s (%s; ", o->env, strbuf_str(&allowed));
		if (is_set(o->fallback))
			fprintf(to, "default %s)\n", o->fallback);
		else
			fprintf(to, "not set by default)\n");
		fprintf(to, "    %s\n\n", o->help);
	}
	strbuf_release(&allowed);
}
