#include "worker/openapi/refs.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/xalloc.h"

/* References to references: more is a circle, or as good as one. */
#define HOPS_MAX 32
#define PATH_BYTES_MAX 4096

struct file {
	struct document *document;
	char *path; /* without links and dots */
	SLIST_ENTRY(file) link;
};

struct refs {
	struct document *root;
	char *directory; /* the same way; NULL: no files */
	char *root_path;
	size_t left; /* bytes that files may still have */
	SLIST_HEAD(, file) files;
};

struct place
place_get(struct place at, const char *name)
{
	return (struct place){ at.document, node_get(at.node, name) };
}

/* JSON pointers ---------------------------------------------------------- */

static int
hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Percent-encoding off, as a URL's fragment has it (RFC 6901, section 6). */
static void
decode_percent(struct slice s, struct strbuf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && s.n - i > 2 &&
		    hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0) {
			strbuf_add_char(out, (char)(hex_digit(s.p[i + 1]) * 16 +
						    hex_digit(s.p[i + 2])));
			i += 2;
		} else {
			strbuf_add_char(out, s.p[i]);
		}
	}
}

/* ~1 is /, ~0 is ~ (section 4). */
static void
decode_token(struct slice s, struct strbuf *out)
{
	strbuf_reset(out);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '~' && i + 1 < s.n && s.p[i + 1] == '1') {
			strbuf_add_char(out, '/');
			i++;
		} else if (s.p[i] == '~' && i + 1 < s.n && s.p[i + 1] == '0') {
			strbuf_add_char(out, '~');
			i++;
		} else {
			strbuf_add_char(out, s.p[i]);
		}
	}
}

static const struct node *
element(const struct node *array, const char *digits)
{
	char *end;
	unsigned long i = strtoul(digits, &end, 10);

	if (digits[0] < '0' || digits[0] > '9' || *end != '\0' ||
	    i >= node_count(array))
		return NULL;
	return node_item(array, i);
}

static const struct node *
walk(const struct node *node, struct slice pointer)
{
	struct strbuf token = STRBUF_INIT(PATH_BYTES_MAX);

	while (node != NULL && pointer.n > 0) {
		const char *slash;
		size_t n;

		if (*pointer.p != '/') {
			node = NULL;
			break;
		}
		pointer = slice_of(pointer.p + 1, pointer.n - 1);
		slash = memchr(pointer.p, '/', pointer.n);
		n = slash ? (size_t)(slash - pointer.p) : pointer.n;
		decode_token(slice_of(pointer.p, n), &token);
		node = node_is(node, NODE_ARRAY)
			   ? element(node, strbuf_str(&token))
			   : node_find(node, strbuf_slice(&token));
		pointer = slice_of(pointer.p + n, pointer.n - n);
	}
	strbuf_release(&token);
	return node;
}

/* The first schema that calls itself so ($anchor). */
static const struct node *
find_anchor(const struct node *node, const char *name)
{
	const struct node *found = NULL;

	if (node_is(node, NODE_OBJECT) &&
	    node_eq(node_get(node, "$anchor"), name))
		return node;
	for (size_t i = 0; i < node_count(node) && found == NULL; i++)
		found = find_anchor(node_is(node, NODE_OBJECT) ?
		    &node_member(node, i)->value : node_item(node, i), name);
	return found;
}

/* Files ------------------------------------------------------------------ */

static bool
is_inside(const char *directory, const char *path)
{
	size_t n = strlen(directory);

	return strncmp(path, directory, n) == 0 &&
	       (path[n] == '/' || (n > 0 && directory[n - 1] == '/'));
}

static const struct document *
find_file(const struct refs *r, const char *path)
{
	const struct file *file;

	if (strcmp(path, r->root_path) == 0)
		return r->root;
	SLIST_FOREACH(file, &r->files, link) {
		if (strcmp(file->path, path) == 0)
			return file->document;
	}
	return NULL;
}

static const struct document *
add_file(struct refs *r, const char *path, struct strbuf *error)
{
	struct document *d =
	    document_open(path, r->left, DOCUMENT_LENIENT, error);
	struct file *file;

	if (d == NULL)
		return NULL;
	r->left -= d->size;
	file = xcalloc(1, sizeof(*file));
	file->document = d;
	file->path = xstrdup(path);
	SLIST_INSERT_HEAD(&r->files, file, link);
	return d;
}

/* name is relative to the document that refers to it. */
static const struct document *
open_file(struct refs *r, const struct document *from, const char *name,
    struct strbuf *error)
{
	const char *slash = strrchr(from->name, '/');
	char *joined, *path;
	const struct document *d = NULL;

	if (r->directory == NULL || strstr(name, "://") != NULL) {
		strbuf_addf(error,
		    "%s is another document than the "
		    "description, and no file beside it",
		    name);
		return NULL;
	}
	joined = name[0] == '/' || slash == NULL
		     ? xstrdup(name)
		     : xasprintf("%.*s/%s", (int)(slash - from->name),
			   from->name, name);
	path = realpath(joined, NULL);
	free(joined);
	if (path == NULL || !is_inside(r->directory, path))
		strbuf_addf(error,
		    path == NULL
			? "%s is not there"
			: "%s is outside of the description's directory",
		    name);
	else
		d = find_file(r, path);
	if (d == NULL && path != NULL && is_inside(r->directory, path))
		d = add_file(r, path, error);
	free(path);
	return d;
}

/* Following -------------------------------------------------------------- */

static bool
follow_once(
    struct refs *r, struct place *at, struct slice ref, struct strbuf *error)
{
	const char *hash = memchr(ref.p, '#', ref.n);
	size_t n = hash ? (size_t)(hash - ref.p) : ref.n;
	struct strbuf name = STRBUF_INIT(PATH_BYTES_MAX);
	struct strbuf pointer = STRBUF_INIT(PATH_BYTES_MAX);
	struct place to = { .document = at->document };

	decode_percent(slice_of(ref.p, n), &name);
	if (hash != NULL)
		decode_percent(slice_of(hash + 1, ref.n - n - 1), &pointer);
	if (name.n > 0)
		to.document =
		    open_file(r, at->document, strbuf_str(&name), error);
	if (to.document != NULL)
		to.node = pointer.n > 0 && *strbuf_str(&pointer) != '/' ?
		    find_anchor(to.document->root, strbuf_str(&pointer)) :
		    walk(to.document->root, strbuf_slice(&pointer));
	if (to.node != NULL)
		*at = to;
	else if (to.document != NULL)
		strbuf_addf(
		    error, "the reference %.*s leads nowhere", SLICE_ARG(ref));
	strbuf_release(&name);
	strbuf_release(&pointer);
	return to.node != NULL;
}

bool
refs_follow(struct refs *r, struct place *at, struct strbuf *error)
{
	struct place now = *at;

	for (unsigned hops = 0; hops < HOPS_MAX; hops++) {
		struct slice ref = node_string(node_get(now.node, "$ref"));

		if (ref.p == NULL) {
			*at = now;
			return true;
		}
		if (!follow_once(r, &now, ref, error))
			return false;
	}
	strbuf_addf(error, "the reference %.*s leads in a circle",
	    SLICE_ARG(node_string(node_get(at->node, "$ref"))));
	return false;
}

static struct place
followed(struct refs *r, struct place at)
{
	struct strbuf error = STRBUF_INIT(512);

	if (!refs_follow(r, &at, &error))
		at.node = NULL;
	strbuf_release(&error);
	return at;
}

struct place
refs_get(struct refs *r, struct place at, const char *name)
{
	return followed(r, place_get(at, name));
}

struct place
refs_item(struct refs *r, struct place at, size_t i)
{
	at.node = node_item(at.node, i);
	return followed(r, at);
}

/* The object ------------------------------------------------------------- */

struct refs *
refs_new(struct document *take_root, const char *directory, size_t max)
{
	struct refs *r = xcalloc(1, sizeof(*r));
	char *path = realpath(take_root->name, NULL);

	r->root = take_root;
	r->left = max;
	r->directory = directory ? realpath(directory, NULL) : NULL;
	r->root_path = path ? path : xstrdup("");
	SLIST_INIT(&r->files);
	return r;
}

void
refs_free(struct refs *r)
{
	struct file *file;

	if (r == NULL)
		return;
	while ((file = SLIST_FIRST(&r->files)) != NULL) {
		SLIST_REMOVE_HEAD(&r->files, link);
		document_free(file->document);
		free(file->path);
		free(file);
	}
	document_free(r->root);
	free(r->directory);
	free(r->root_path);
	free(r);
}

struct place
refs_root(const struct refs *r)
{
	return (struct place){ r->root, r->root->root };
}
