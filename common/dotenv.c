#include "common/dotenv.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Reading ------------------------------------------------------------------- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "export KEY=…" is what shells read: the word is passed over. */
static struct slice
without_export(struct slice line)
{
	const struct slice word = SLICE("export");

	if (line.n > word.n && is_blank(line.p[word.n]) &&
	    memcmp(line.p, word.p, word.n) == 0)
		return slice_trim(slice_of(line.p + word.n, line.n - word.n));
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
	strbuf_add_slice(to, slice_trim(without_comment(s)));
	return NULL;
}

static const char *
check_after_quote(struct slice rest)
{
	if (slice_trim(without_comment(rest)).n > 0)
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
	struct slice text = slice_trim(s);
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

	line = slice_trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return NULL;
	if (memchr(line.p, '\0', line.n) != NULL)
		return "a NUL byte in the line";
	line = without_export(line);
	equals = memchr(line.p, '=', line.n);
	if (equals == NULL)
		return "no \"=\" in the line";
	name = slice_trim(slice_of(line.p, (size_t)(equals - line.p)));
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

bool
dotenv_load(const char *path, struct strbuf *pairs, struct strbuf *errors)
{
	struct strbuf text = STRBUF_INIT(DOTENV_MAX_BYTES);
	bool ok = true;
	int error;

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

const char *
dotenv_find(const struct strbuf *pairs, const char *name)
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

/* Writing ------------------------------------------------------------------- */

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

void
dotenv_quote(struct strbuf *to, const char *text)
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
