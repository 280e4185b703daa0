#include "proxy/tally.h"

#include <stdlib.h>
#include <uthash.h>

#include "common/utf8.h"
#include "common/xalloc.h"

#define OTHER "(other)"

struct counter {
	UT_hash_handle hh;
	int64_t count;
	size_t kind_len;   /* the value begins behind the colon after it */
	size_t n;
	char name[];
};

struct tally {
	struct counter *table;
	size_t names_max;
};

static struct counter *
find(const struct tally *t, struct slice name)
{
	struct counter *c = NULL;

	HASH_FIND(hh, t->table, name.p, name.n, c);
	return c;
}

static void
drop(struct tally *t, struct counter *c)
{
	/* NOLINTNEXTLINE(clang-analyzer-core*,clang-analyzer-unix*): see HASH_ADD */
	HASH_DEL(t->table, c);
	free(c);
}

static void
add_counter(struct tally *t, struct slice name, int64_t delta)
{
	struct counter *c = xcalloc(1, sizeof(*c) + name.n + 1);
	const char *colon = memchr(name.p, ':', name.n);

	memcpy(c->name, name.p, name.n);
	c->n = name.n;
	c->kind_len = colon != NULL ? (size_t)(colon - name.p) : name.n;
	c->count = delta;
	HASH_ADD_KEYPTR(hh, t->table, c->name, c->n, c);
}

/* Spells a name; returns its length. */
static size_t
spell(char buf[static TALLY_NAME_MAX], const char *kind, struct slice value)
{
	size_t at = strlen(kind);

	value = utf8_cut(value, TALLY_NAME_MAX - at - 1);
	memcpy(buf, kind, at);
	buf[at++] = ':';
	if (value.n > 0)
		memcpy(buf + at, value.p, value.n);
	return at + value.n;
}

/* The counter that stands for all that have none of their own. */
static void
add_other(struct tally *t, struct slice name, int64_t delta)
{
	const char *colon = memchr(name.p, ':', name.n);
	size_t at = colon != NULL ? (size_t)(colon - name.p) + 1 : 0;
	char buf[TALLY_NAME_MAX + sizeof(OTHER)];
	struct counter *c;

	memcpy(buf, name.p, at);
	memcpy(buf + at, OTHER, sizeof(OTHER) - 1);
	name = slice_of(buf, at + sizeof(OTHER) - 1);
	c = find(t, name);
	if (c == NULL)
		add_counter(t, name, delta);
	else if ((c->count += delta) == 0)
		drop(t, c);
}

void
tally_add_name(struct tally *t, struct slice name, int64_t delta)
{
	struct counter *c;

	if (delta == 0 || name.n == 0 || name.n > TALLY_NAME_MAX)
		return;
	c = find(t, name);
	if (c != NULL) {
		c->count += delta;
		if (c->count == 0)
			drop(t, c);
	} else if (tally_count(t) < t->names_max) {
		add_counter(t, name, delta);
	} else {
		add_other(t, name, delta);
	}
}

void
tally_add(struct tally *t, const char *kind, struct slice value, int64_t delta)
{
	char buf[TALLY_NAME_MAX];

	tally_add_name(t, slice_of(buf, spell(buf, kind, value)), delta);
}

int64_t
tally_get(const struct tally *t, const char *name)
{
	const struct counter *c = find(t, slice_str(name));

	return c != NULL ? c->count : 0;
}

size_t
tally_count(const struct tally *t)
{
	return HASH_COUNT(t->table);
}

/* The largest first, then by name: a listing does not jump about. */
static int
by_count(const struct counter *a, const struct counter *b)
{
	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return strcmp(a->name, b->name);
}

void
tally_each(struct tally *t, const char *kind, tally_cb *cb, void *arg)
{
	size_t n = kind != NULL ? strlen(kind) : 0;

	if (kind != NULL)
		HASH_SORT(t->table, by_count);
	for (struct counter *c = t->table; c != NULL; c = c->hh.next) {
		if (kind == NULL)
			cb(slice_of(c->name, c->n), c->count, arg);
		else if (c->kind_len == n && c->n > n &&
		    memcmp(c->name, kind, n) == 0)
			cb(slice_of(c->name + n + 1, c->n - n - 1), c->count,
			    arg);
	}
}

void
tally_clear(struct tally *t)
{
	struct counter *c, *next;

	for (c = t->table; c != NULL; c = next) {
		next = c->hh.next;
		drop(t, c);
	}
}

struct tally *
tally_new(size_t names_max)
{
	struct tally *t = xcalloc(1, sizeof(*t));

	t->names_max = names_max;
	return t;
}

void
tally_free(struct tally *t)
{
	tally_clear(t);
	free(t);
}
