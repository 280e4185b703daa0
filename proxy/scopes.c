#include "proxy/scopes.h"

#include <stdlib.h>

#include "common/xalloc.h"

struct scopes {
	unsigned refs;
	bool all;            /* "*" is among them */
	size_t n;
	char text[];
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',';
}

/* Cuts the next word off; false at the end. Commas part lists in settings. */
static bool
next_word(struct slice *rest, struct slice *word)
{
	while (rest->n > 0 && is_blank(rest->p[0])) {
		rest->p++;
		rest->n--;
	}
	*word = slice_of(rest->p, 0);
	while (rest->n > 0 && !is_blank(rest->p[0])) {
		word->n++;
		rest->p++;
		rest->n--;
	}
	return word->n > 0;
}

/* scope-token of RFC 6749: printable ASCII without quote and backslash. */
static bool
is_scope(struct slice word)
{
	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];

		if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\')
			return false;
	}
	return true;
}

struct scopes *
scopes_new(struct slice text)
{
	size_t room = text.n < SCOPES_TEXT_MAX ? text.n : SCOPES_TEXT_MAX;
	struct scopes *s = xcalloc(1, sizeof(*s) + room + 1);
	struct slice word;

	s->refs = 1;
	while (next_word(&text, &word)) {
		if (!is_scope(word) || s->n + (s->n > 0) + word.n > room)
			continue;
		if (s->n > 0)
			s->text[s->n++] = ' ';
		memcpy(s->text + s->n, word.p, word.n);
		s->n += word.n;
		s->all |= slice_eq_str(word, "*");
	}
	return s;
}

struct scopes *
scopes_ref(struct scopes *s)
{
	if (s != NULL)
		s->refs++;
	return s;
}

void
scopes_unref(struct scopes *s)
{
	if (s != NULL && --s->refs == 0)
		free(s);
}

/* "<api>" or "<api>:<tool>", without building either. */
static bool
covers(struct slice word, struct slice api, struct slice tool)
{
	if (word.n < api.n || memcmp(word.p, api.p, api.n) != 0)
		return false;
	if (word.n == api.n)
		return true;
	return word.p[api.n] == ':' &&
	    slice_eq(slice_of(word.p + api.n + 1, word.n - api.n - 1), tool);
}

bool
scopes_allow(const struct scopes *s, const char *api, const char *tool)
{
	struct slice rest = scopes_text(s), word;

	if (s == NULL || s->all)
		return true;
	while (next_word(&rest, &word)) {
		if (covers(word, slice_str(api), slice_str(tool)))
			return true;
	}
	return false;
}

bool
scopes_name(const struct scopes *s, struct slice wanted)
{
	struct slice rest = scopes_text(s), word;

	while (next_word(&rest, &word)) {
		if (slice_eq(word, wanted))
			return true;
	}
	return false;
}

bool
scopes_have(const struct scopes *s, struct slice wanted)
{
	return s == NULL || s->all || scopes_name(s, wanted);
}

struct slice
scopes_text(const struct scopes *s)
{
	return s != NULL ? slice_of(s->text, s->n) : SLICE("*");
}
