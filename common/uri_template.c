#include "common/uri_template.h"

/* A variable's place in a template, and what stands between it and the next. */
struct part {
	struct slice name;
	bool any;              /* {+x} */
	struct slice literal;  /* behind it */
};

/* The text up to the next variable, or to the end. */
static struct slice
read_literal(const char *p)
{
	return slice_of(p, strcspn(p, "{"));
}

/* At a "{"; returns what is behind its literal, or NULL. */
static const char *
read_part(const char *p, struct part *out)
{
	const char *end = strchr(p, '}');

	if (end == NULL)
		return NULL;
	out->any = p[1] == '+';
	p += 1 + out->any;
	out->name = slice_of(p, (size_t)(end - p));
	/* Operators and modifiers of RFC 6570 that are not known here. */
	if (out->name.n == 0 || strcspn(p, "{+#./;?&=,!@|:*}") < out->name.n)
		return NULL;
	out->literal = read_literal(end + 1);
	return out->literal.p + out->literal.n;
}

/* How much of the URI is the variable's; 0: it does not match. */
static size_t
value_length(const struct part *part, struct slice uri)
{
	const char *end = part->literal.n == 0 ? uri.p + uri.n :
	    memmem(uri.p, uri.n, part->literal.p, part->literal.n);
	size_t n = end != NULL ? (size_t)(end - uri.p) : 0;

	for (size_t i = 0; i < n && !part->any; i++) {
		if (uri.p[i] == '/' || uri.p[i] == '?' || uri.p[i] == '#')
			return 0;
	}
	return n;
}

static bool
starts_with(struct slice s, struct slice with)
{
	return s.n >= with.n && (with.n == 0 ||
	    memcmp(s.p, with.p, with.n) == 0);
}

static struct slice
without(struct slice s, size_t n)
{
	return slice_of(s.p + n, s.n - n);
}

bool
uri_template_ok(const char *uri_template)
{
	const char *p = uri_template + strcspn(uri_template, "{");
	size_t count = 0;
	struct part part;

	while (*p != '\0') {
		p = read_part(p, &part);
		if (p == NULL || ++count > URI_VARIABLES_MAX ||
		    (part.literal.n == 0 && *p != '\0'))
			return false;
	}
	return true;
}

bool
uri_template_match(const char *uri_template, struct slice uri,
    struct uri_variable out[static URI_VARIABLES_MAX], size_t *count)
{
	struct slice literal = read_literal(uri_template);
	const char *p = literal.p + literal.n;
	struct part part;
	size_t n = 0;

	if (!uri_template_ok(uri_template) || !starts_with(uri, literal))
		return false;
	uri = without(uri, literal.n);
	while (*p != '\0') {
		size_t length;

		p = read_part(p, &part);
		if (p == NULL)
			return false;
		length = uri.n > 0 ? value_length(&part, uri) : 0;
		if (length == 0)
			return false;
		out[n++] = (struct uri_variable){ part.name,
			slice_of(uri.p, length) };
		uri = without(uri, length + part.literal.n);
	}
	*count = n;
	return uri.n == 0;
}

/* Templates of others ------------------------------------------------------------- */

/* What an expression may stand for. */
struct extent {
	const char *stops;     /* characters that are not in it */
	char first;            /* it may be empty, or begins so; 0: neither */
};

/* RFC 6570, section 3.2: the operator, and the modifier at the end. */
static struct extent
extent_of(struct slice expression)
{
	static const char ending[] = "/?#", none[] = "";
	char operator = expression.p[0];

	if (strchr("#./;?&", operator) != NULL)
		return (struct extent){ none, operator };
	if (operator == '+' || expression.p[expression.n - 1] == '*')
		return (struct extent){ none, 0 };
	return (struct extent){ ending, 0 };
}

/* at[i]: the first i characters of the URI are accounted for. */
static void
pass_expression(bool *at, struct slice uri, struct extent extent)
{
	bool inside = false, before;

	for (size_t i = 0; i <= uri.n; i++) {
		before = at[i];
		at[i] = inside || (extent.first != 0 && before);
		if (i == uri.n)
			break;
		inside = (inside || (before && (extent.first == 0 ||
		    extent.first == uri.p[i]))) &&
		    memchr(extent.stops, uri.p[i], strlen(extent.stops)) == NULL;
	}
}

static void
pass_literal(bool *at, struct slice uri, struct slice literal)
{
	for (size_t i = uri.n + 1; i-- > 0;)
		at[i] = i >= literal.n && at[i - literal.n] &&
		    memcmp(uri.p + i - literal.n, literal.p, literal.n) == 0;
}

bool
uri_template_covers(const char *uri_template, struct slice uri)
{
	struct slice literal = read_literal(uri_template);
	const char *p = literal.p + literal.n;
	bool at[URI_LENGTH_MAX + 1];

	if (uri.n > URI_LENGTH_MAX || !starts_with(uri, literal))
		return false;
	memset(at, 0, uri.n + 1);
	at[0] = true;
	pass_literal(at, uri, literal);
	while (*p != '\0') {
		const char *end = strchr(p, '}');

		if (end == NULL || end == p + 1)
			return false;
		pass_expression(at, uri, extent_of(slice_of(p + 1,
		    (size_t)(end - p) - 1)));
		literal = read_literal(end + 1);
		if (literal.n > 0)
			pass_literal(at, uri, literal);
		p = literal.p + literal.n;
	}
	return at[uri.n];
}
