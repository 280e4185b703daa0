#include "worker/openapi/name.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <uthash.h>

#include "common/ident.h"
#include "common/xalloc.h"

/* What a long name ends in, so that two of one beginning stay two. */
#define DIGEST_LEN 8

static bool
is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* Every run of other characters becomes one _; none at either end. */
static void
add_clean(struct strbuf *sb, const char *text)
{
	bool gap = false;

	for (; *text != '\0'; text++) {
		if (!is_name_char(*text)) {
			gap = true;
			continue;
		}
		if (gap && sb->n > 0)
			strbuf_add_char(sb, '_');
		gap = false;
		strbuf_add_char(sb, *text);
	}
}

static void
add_lower(struct strbuf *sb, const char *text)
{
	for (; *text != '\0'; text++)
		strbuf_add_char(sb, (char)tolower((unsigned char)*text));
}

static void
add_route(struct strbuf *sb, const struct operation *op)
{
	add_lower(sb, op->method);
	add_clean(sb, op->path);
}

static const char *
fit(struct arena *arena, const struct strbuf *name)
{
	char digest[SHA256_HEX_LEN + 1];
	char text[NAME_MAX_BYTES + 1];

	if (name->n <= NAME_MAX_BYTES)
		return arena_dup(arena, strbuf_slice(name));
	ident_sha256_hex(digest, strbuf_slice(name));
	snprintf(text, sizeof(text), "%.*s_%.*s",
	    NAME_MAX_BYTES - DIGEST_LEN - 1, name->p, DIGEST_LEN, digest);
	return arena_dup(arena, slice_str(text));
}

const char *
name_of(struct arena *arena, const struct operation *op, const char *wanted)
{
	struct strbuf name = STRBUF_INIT(4096);
	const char *out;

	add_clean(&name, wanted ? wanted : op->id ? op->id : "");
	if (name.n == 0)
		add_route(&name, op);
	out = fit(arena, &name);
	strbuf_release(&name);
	return out;
}

/* One of each -------------------------------------------------------------- */

struct taken {
	UT_hash_handle hh;
	unsigned next; /* all numbers before it are taken */
};

struct names {
	struct taken *all;
};

struct names *
names_new(void)
{
	return xcalloc(1, sizeof(struct names));
}

void
names_free(struct names *names)
{
	struct taken *t = names->all, *next;

	HASH_CLEAR(hh, names->all);
	for (; t != NULL; t = next) {
		next = t->hh.next;
		free(t);
	}
	free(names);
}

static struct taken *
find(const struct names *names, const char *name)
{
	struct taken *t;

	HASH_FIND_STR(names->all, name, t);
	return t;
}

static const char *
add(struct names *names, const char *name)
{
	struct taken *t = xcalloc(1, sizeof(*t));

	t->next = 2;
	HASH_ADD_KEYPTR(hh, names->all, name, strlen(name), t);
	return name;
}

/* It stays within the length that names may have. */
static const char *
numbered(struct arena *arena, const char *name, unsigned n)
{
	char end[16], text[NAME_MAX_BYTES + 1];
	int room;

	snprintf(end, sizeof(end), "_%u", n);
	room = NAME_MAX_BYTES - (int)strlen(end);
	snprintf(text, sizeof(text), "%.*s%s", room, name, end);
	return arena_dup(arena, slice_str(text));
}

const char *
names_take(struct names *names, struct arena *arena, const char *name)
{
	struct taken *t = find(names, name);
	const char *other;

	if (t == NULL)
		return add(names, name);
	do {
		other = numbered(arena, name, t->next++);
	} while (find(names, other) != NULL);
	return add(names, other);
}
