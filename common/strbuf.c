#include "common/strbuf.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MIN_CAP 64
/* Up to here every integer is exact, and prints as one. */
#define EXACT_MAX 9007199254740992.0

void
strbuf_init(struct strbuf *sb, size_t max_bytes)
{
	*sb = (struct strbuf)STRBUF_INIT(max_bytes);
}

void
strbuf_release(struct strbuf *sb)
{
	free(sb->p);
	strbuf_init(sb, sb->max);
}

void
strbuf_reset(struct strbuf *sb)
{
	sb->n = 0;
	sb->failed = false;
	if (sb->p != NULL)
		sb->p[0] = '\0';
}

void
strbuf_drain(struct strbuf *sb, size_t n)
{
	if (n >= sb->n) {
		sb->n = 0;
	} else if (n > 0) {
		sb->n -= n;
		memmove(sb->p, sb->p + n, sb->n);
	}
	if (sb->p != NULL)
		sb->p[sb->n] = '\0';
}

static bool
grow(struct strbuf *sb, size_t need)
{
	size_t cap = sb->cap ? sb->cap : MIN_CAP;
	char *p;

	while (cap < need)
		cap *= 2;
	p = realloc(sb->p, cap);
	if (p == NULL)
		return false;
	sb->p = p;
	sb->cap = cap;
	return true;
}

char *
strbuf_reserve(struct strbuf *sb, size_t n)
{
	if (sb->failed)
		return NULL;
	if (n > sb->max - sb->n ||
	    (sb->n + n + 1 > sb->cap && !grow(sb, sb->n + n + 1))) {
		sb->failed = true;
		return NULL;
	}
	return sb->p + sb->n;
}

void
strbuf_add(struct strbuf *sb, const void *p, size_t n)
{
	char *to = strbuf_reserve(sb, n);

	if (to == NULL)
		return;
	if (n > 0)
		memcpy(to, p, n);
	sb->n += n;
	sb->p[sb->n] = '\0';
}

void
strbuf_add_slice(struct strbuf *sb, struct slice s)
{
	strbuf_add(sb, s.p, s.n);
}

void
strbuf_add_str(struct strbuf *sb, const char *s)
{
	strbuf_add(sb, s, strlen(s));
}

void
strbuf_add_char(struct strbuf *sb, char c)
{
	strbuf_add(sb, &c, 1);
}

size_t
u64_decimal(char buf[static 20], uint64_t v)
{
	char tmp[20];
	size_t n = 0;

	do {
		tmp[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	for (size_t i = 0; i < n; i++)
		buf[i] = tmp[n - 1 - i];
	return n;
}

void
strbuf_add_u64(struct strbuf *sb, uint64_t v)
{
	char digits[20];

	strbuf_add(sb, digits, u64_decimal(digits, v));
}

void
strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		sb->failed = true;
		return;
	}
	to = strbuf_reserve(sb, (size_t)n);
	if (to == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	sb->n += (size_t)n;
}

/* The short escape of c, or 0 where \u00XX is the only one. */
static char
short_escape(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	}
	return 0;
}

void
strbuf_add_json(struct strbuf *sb, struct slice s)
{
	size_t from = 0;

	strbuf_add_char(sb, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char e;

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		strbuf_add(sb, s.p + from, i - from);
		from = i + 1;
		e = short_escape(c);
		if (e != 0)
			strbuf_add(sb, (char[]){ '\\', e }, 2);
		else
			strbuf_addf(sb, "\\u%04x", c);
	}
	if (from < s.n)
		strbuf_add(sb, s.p + from, s.n - from);
	strbuf_add_char(sb, '"');
}

size_t
double_decimal(char buf[static DOUBLE_DECIMAL_MAX], double v)
{
	/* 15 digits always survive, but for subnormals, which hold fewer. */
	int digits = fabs(v) < DBL_MIN ? 1 : DBL_DIG, n = 0;

	if (v == floor(v) && fabs(v) < EXACT_MAX)
		return (size_t)snprintf(buf, DOUBLE_DECIMAL_MAX, "%lld",
		    (long long)v);
	for (; digits <= DBL_DECIMAL_DIG; digits++) {
		n = snprintf(buf, DOUBLE_DECIMAL_MAX, "%.*g", digits, v);
		if (strtod(buf, NULL) == v)
			break;
	}
	return (size_t)n;
}

void
strbuf_add_number(struct strbuf *sb, double v)
{
	char text[DOUBLE_DECIMAL_MAX];

	strbuf_add(sb, text, double_decimal(text, v));
}
