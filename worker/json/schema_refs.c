/* What $ref means: URI fragments are JSON pointers (RFC 6901) or anchors. */
#include "worker/json/schema_private.h"

#include <ctype.h>
#include <stdlib.h>

#include "common/jsonrpc.h"
#include "common/xalloc.h"

/* Longer references are unknown. */
#define REF_MAX 1024

/* A name for a place in the document: an anchor, or an absolute $id. */
struct anchor {
	enum { ANCHOR_ID, ANCHOR_PLAIN, ANCHOR_DYNAMIC } kind;
	struct slice name;       /* borrowed from the document */
	cJSON *resource, *json;
};

/* The document ----------------------------------------------------------------- */

static const struct {
	const char *part;        /* of $schema */
	const char *id;
} old_drafts[] = {
	{ "draft-04/", "id" },
	{ "draft-06/", "$id" },
	{ "draft-07/", "$id" },
};

void
schema_refs_init(struct schema_refs *refs, cJSON *root)
{
	const char *dialect = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(root, "$schema"));

	*refs = (struct schema_refs){ .root = root, .id = "$id" };
	for (size_t i = 0; dialect && i < ARRAY_LEN(old_drafts); i++) {
		if (strstr(dialect, old_drafts[i].part) == NULL)
			continue;
		refs->alone = true;
		refs->id = old_drafts[i].id;
	}
}

void
schema_refs_release(struct schema_refs *refs)
{
	free(refs->anchors);
}

/* NULL: none that counts. */
static const char *
id_of(const struct schema_refs *refs, const cJSON *json)
{
	if (refs->alone &&
	    cJSON_GetObjectItemCaseSensitive(json, "$ref") != NULL)
		return NULL;
	return cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(json, refs->id));
}

bool
schema_refs_is_resource(const struct schema_refs *refs, const cJSON *json)
{
	const char *id = id_of(refs, json);

	return id != NULL && id[0] != '#' && id[0] != '\0';
}

/* Anchors ---------------------------------------------------------------------- */

static void
add_anchor(struct schema_refs *refs, int kind, const char *name,
    cJSON *resource, cJSON *json)
{
	struct anchor *a;

	if (name == NULL || *name == '\0')
		return;
	refs->anchors = xrealloc(refs->anchors,
	    (refs->n + 1) * sizeof(*refs->anchors));
	a = &refs->anchors[refs->n++];
	*a = (struct anchor){ .kind = kind, .name = slice_str(name),
		.resource = resource, .json = json };
	/* An id's empty fragment says nothing. */
	if (kind == ANCHOR_ID && a->name.p[a->name.n - 1] == '#')
		a->name.n--;
}

static const char *
text_of(const cJSON *json, const char *name)
{
	return cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(json, name));
}

static void scan(struct schema_refs *refs, cJSON *json, cJSON *resource,
    unsigned depth);

static void
scan_member(struct schema_refs *refs, cJSON *member, cJSON *resource,
    unsigned depth)
{
	enum schema_shape shape = schema_shape_of(member);
	cJSON *item;

	if (shape == SHAPE_SCHEMA)
		scan(refs, member, resource, depth);
	if (shape != SHAPE_LIST && shape != SHAPE_MAP)
		return;
	cJSON_ArrayForEach(item, member) {
		scan(refs, item, resource, depth);
	}
}

/* Only where schemas are: what an enum holds names nothing. */
static void
scan(struct schema_refs *refs, cJSON *json, cJSON *resource, unsigned depth)
{
	const char *id;
	cJSON *member;

	if (!cJSON_IsObject(json) || depth > JSONRPC_DEPTH_MAX)
		return;
	id = id_of(refs, json);
	if (schema_refs_is_resource(refs, json)) {
		resource = json;
		add_anchor(refs, ANCHOR_ID, id, json, json);
	} else if (id != NULL && id[0] == '#') {
		add_anchor(refs, ANCHOR_PLAIN, id + 1, resource, json);
	}
	add_anchor(refs, ANCHOR_PLAIN, text_of(json, "$anchor"), resource, json);
	add_anchor(refs, ANCHOR_DYNAMIC, text_of(json, "$dynamicAnchor"),
	    resource, json);
	cJSON_ArrayForEach(member, json) {
		scan_member(refs, member, resource, depth + 1);
	}
}

static void
scan_once(struct schema_refs *refs)
{
	if (!refs->scanned)
		scan(refs, refs->root, refs->root, 0);
	refs->scanned = true;
}

static cJSON *
find_anchor(struct schema_refs *refs, const char *name, const cJSON *resource)
{
	scan_once(refs);
	for (size_t i = 0; i < refs->n; i++) {
		const struct anchor *a = &refs->anchors[i];

		if (a->kind != ANCHOR_ID && a->resource == resource &&
		    slice_eq_str(a->name, name))
			return a->json;
	}
	return NULL;
}

/* One end, wherever it is come from; else it depends on the way that was taken. */
static bool
has_one_end(struct schema_refs *refs, const char *name)
{
	size_t n = 0;

	scan_once(refs);
	for (size_t i = 0; i < refs->n; i++) {
		if (refs->anchors[i].kind == ANCHOR_DYNAMIC &&
		    slice_eq_str(refs->anchors[i].name, name))
			n++;
	}
	return n <= 1;
}

/*
 * Absolute ids alone: what relative ones mean depends on where they stand, and on
 * where the document came from.
 */
static cJSON *
find_resource(struct schema_refs *refs, struct slice uri)
{
	scan_once(refs);
	if (uri.n == 0 || memchr(uri.p, ':', uri.n) == NULL)
		return NULL;
	for (size_t i = 0; i < refs->n; i++) {
		if (refs->anchors[i].kind == ANCHOR_ID &&
		    slice_eq(refs->anchors[i].name, uri))
			return refs->anchors[i].json;
	}
	return NULL;
}

/* Pointers --------------------------------------------------------------------- */

static int
hex(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	return isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10 : -1;
}

/* False: too long, or not percent-encoding. */
static bool
decode(const char *text, char out[static REF_MAX])
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < REF_MAX; text++) {
		out[n] = *text;
		if (*text == '%') {
			int high = hex(text[1]);
			int low = high < 0 ? -1 : hex(text[2]);

			if (low < 0 || high + low == 0)
				return false;
			out[n] = (char)(high << 4 | low);
			text += 2;
		}
		n++;
	}
	out[n] = '\0';
	return *text == '\0';
}

/* Cuts the next token off at its slash and unescapes it in place. */
static char *
next_token(char **rest)
{
	char *token = *rest, *to = token, *p;

	for (p = token; *p != '\0' && *p != '/'; p++) {
		*to = *p;
		if (*p == '~' && (p[1] == '0' || p[1] == '1'))
			*to = *++p == '0' ? '~' : '/';
		to++;
	}
	*rest = *p == '/' ? p + 1 : NULL;
	*to = '\0';
	return token;
}

static cJSON *
element(const cJSON *array, const char *index)
{
	char *end;
	unsigned long i = strtoul(index, &end, 10);

	if (!isdigit((unsigned char)*index) || *end != '\0' || i > INT32_MAX)
		return NULL;
	return cJSON_GetArrayItem(array, (int)i);
}

static cJSON *
follow_pointer(const struct schema_refs *refs, char *pointer, cJSON **resource)
{
	cJSON *at = *resource;
	char *rest = pointer + 1;

	while (at != NULL && rest != NULL) {
		const char *token = next_token(&rest);

		at = cJSON_IsArray(at) ? element(at, token) :
		    cJSON_GetObjectItemCaseSensitive(at, token);
		if (at != NULL && schema_refs_is_resource(refs, at))
			*resource = at;
	}
	return at;
}

cJSON *
schema_refs_find(struct schema_refs *refs, const char *ref, bool dynamic,
    cJSON **resource)
{
	size_t n = strcspn(ref, "#");
	char fragment[REF_MAX];
	cJSON *target;

	if (n > 0)
		*resource = find_resource(refs, slice_of(ref, n));
	if (*resource == NULL ||
	    !decode(ref[n] == '#' ? ref + n + 1 : "", fragment))
		return NULL;
	if (fragment[0] == '\0')
		return *resource;
	if (fragment[0] == '/')
		return follow_pointer(refs, fragment, resource);
	target = find_anchor(refs, fragment, *resource);
	if (dynamic && !has_one_end(refs, fragment))
		return NULL;
	return target;
}
