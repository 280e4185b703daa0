#include "proxy/client_name.h"

#include <stdlib.h>
#include <uthash.h>

#include "common/utf8.h"
#include "common/xalloc.h"

struct client_name {
	UT_hash_handle hh;
	struct client_names *all;
	unsigned refs;
	size_t name_len;
	size_t n;
	char text[];        /* name, a NUL, version */
};

struct client_names {
	struct client_name *table;
};

static size_t
spell(char *buf, struct slice name, struct slice version)
{
	if (name.n > 0)
		memcpy(buf, name.p, name.n);
	buf[name.n] = '\0';
	if (version.n > 0)
		memcpy(buf + name.n + 1, version.p, version.n);
	return name.n + 1 + version.n;
}

struct client_name *
client_name_get(struct client_names *all, struct slice name,
    struct slice version)
{
	char text[CLIENT_NAME_MAX + 1 + CLIENT_VERSION_MAX];
	struct client_name *cn = NULL;
	size_t n;

	if (name.n == 0 && version.n == 0)
		return NULL;
	name = utf8_cut(name, CLIENT_NAME_MAX);
	n = spell(text, name, utf8_cut(version, CLIENT_VERSION_MAX));
	HASH_FIND(hh, all->table, text, n, cn);
	if (cn == NULL && HASH_COUNT(all->table) >= CLIENT_NAMES_MAX) {
		name = SLICE("(other)");
		n = spell(text, name, SLICE_NONE);
		HASH_FIND(hh, all->table, text, n, cn);
	}
	if (cn == NULL) {
		cn = xcalloc(1, sizeof(*cn) + n);
		cn->all = all;
		cn->name_len = name.n;
		cn->n = n;
		memcpy(cn->text, text, n);
		HASH_ADD_KEYPTR(hh, all->table, cn->text, n, cn);
	}
	cn->refs++;
	return cn;
}

void
client_name_unref(struct client_name *cn)
{
	if (cn == NULL || --cn->refs > 0)
		return;
	/* NOLINTNEXTLINE(clang-analyzer-core*): each one is in the table. */
	HASH_DEL(cn->all->table, cn);
	free(cn);
}

struct slice
client_name_text(const struct client_name *cn)
{
	return cn != NULL ? slice_of(cn->text, cn->name_len) : SLICE("");
}

struct slice
client_name_version(const struct client_name *cn)
{
	if (cn == NULL)
		return SLICE("");
	return slice_of(cn->text + cn->name_len + 1, cn->n - cn->name_len - 1);
}

struct client_names *
client_names_new(void)
{
	return xcalloc(1, sizeof(struct client_names));
}

void
client_names_free(struct client_names *all)
{
	free(all);
}
