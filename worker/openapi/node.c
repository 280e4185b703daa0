#include "worker/openapi/node.h"

#include <stdlib.h>

#include "common/xalloc.h"

/* From here on an object has an index; below, looking at all is quicker. */
#define INDEX_FROM 16
#define EMPTY UINT32_MAX

/* Finding ---------------------------------------------------------------- */

/* FNV-1a. */
static uint32_t
hash_of(struct slice name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)name.p[i]) * 16777619u;
	return h;
}

static bool
is_named(const struct member *m, struct slice name, uint32_t hash)
{
	return m->hash == hash && slice_eq(member_name(m), name);
}

/* Slots of the index behind n members: a power of two, at most half full. */
static size_t
slots_for(size_t n)
{
	size_t slots = 2 * INDEX_FROM;

	while (slots < 2 * n)
		slots *= 2;
	return slots;
}

/*
 * The slot that holds the member of that name, or the empty one where it belongs.
 */
static uint32_t *
slot_of(const struct member *members, uint32_t *index, size_t slots,
    struct slice name, uint32_t hash)
{
	size_t i = hash & (slots - 1);

	while (index[i] != EMPTY && !is_named(&members[index[i]], name, hash))
		i = (i + 1) & (slots - 1);
	return &index[i];
}

const struct node *
node_find(const struct node *object, struct slice name)
{
	const struct member *members;
	uint32_t hash = hash_of(name), *slot;

	if (!node_is(object, NODE_OBJECT))
		return NULL;
	members = object->p;
	if (object->n >= INDEX_FROM) {
		/* Behind the members, see close_object(); it is only read. */
		slot = slot_of(members, (uint32_t *)(members + object->n),
		    slots_for(object->n), name, hash);
		return *slot == EMPTY ? NULL : &members[*slot].value;
	}
	for (size_t i = 0; i < object->n; i++) {
		if (is_named(&members[i], name, hash))
			return &members[i].value;
	}
	return NULL;
}

const struct node *
node_get(const struct node *object, const char *name)
{
	return node_find(object, slice_str(name));
}

/* Writing ---------------------------------------------------------------- */

static void
write_array(struct strbuf *sb, const struct node *node)
{
	strbuf_add_char(sb, '[');
	for (size_t i = 0; i < node->n; i++) {
		if (i > 0)
			strbuf_add_char(sb, ',');
		node_write(sb, node_item(node, i));
	}
	strbuf_add_char(sb, ']');
}

static void
write_object(struct strbuf *sb, const struct node *node)
{
	strbuf_add_char(sb, '{');
	for (size_t i = 0; i < node->n; i++) {
		const struct member *m = node_member(node, i);

		if (i > 0)
			strbuf_add_char(sb, ',');
		strbuf_add_json(sb, member_name(m));
		strbuf_add_char(sb, ':');
		node_write(sb, &m->value);
	}
	strbuf_add_char(sb, '}');
}

void
node_write(struct strbuf *sb, const struct node *node)
{
	/* Aliases of YAML can make a tree of any size out of a few lines. */
	if (!strbuf_ok(sb))
		return;
	switch ((enum node_type)node->type) {
	case NODE_NULL:
		strbuf_add_str(sb, "null");
		break;
	case NODE_BOOL:
		strbuf_add_str(sb, node->n ? "true" : "false");
		break;
	case NODE_NUMBER:
		strbuf_add_slice(sb, node_text(node));
		break;
	case NODE_STRING:
		strbuf_add_json(sb, node_text(node));
		break;
	case NODE_ARRAY:
		write_array(sb, node);
		break;
	case NODE_OBJECT:
		write_object(sb, node);
		break;
	}
}

/* Building --------------------------------------------------------------- */

/* Members that merging may add to a document: a file of aliases is small. */
#define MERGED_MAX 100000

struct frame {
	size_t from;      /* its first value on the stack */
	struct member as; /* its own name and line */
};

/*
 * The values of all that is open lie on one stack: when an array or object ends,
 * its own are on top, and move to the arena as one piece.
 */
struct builder {
	struct arena *arena;
	struct member *values;
	size_t value_count, value_cap;
	struct frame *frames;
	size_t frame_count, frame_cap;
	struct slice name;
	size_t merged;
};

struct builder *
builder_new(struct arena *arena)
{
	struct builder *b = xcalloc(1, sizeof(*b));

	b->arena = arena;
	return b;
}

void
builder_free(struct builder *b)
{
	free(b->values);
	free(b->frames);
	free(b);
}

void
builder_name(struct builder *b, struct slice name)
{
	b->name = name;
}

static void
push(struct builder *b, struct member m)
{
	if (b->value_count == b->value_cap) {
		b->value_cap = b->value_cap * 2 + 64;
		b->values =
		    xrealloc(b->values, b->value_cap * sizeof(*b->values));
	}
	b->values[b->value_count++] = m;
}

static struct member
take_name(struct builder *b)
{
	struct slice name = b->name;

	b->name = SLICE_NONE;
	return (struct member){
		.p = name.p,
		.n = (uint32_t)name.n,
		.hash = hash_of(name),
	};
}

void
builder_add(struct builder *b, struct node value)
{
	struct member m = take_name(b);

	m.value = value;
	push(b, m);
}

void
builder_open(struct builder *b, enum node_type type, unsigned line)
{
	struct frame *frame;

	if (b->frame_count == b->frame_cap) {
		b->frame_cap = b->frame_cap * 2 + 16;
		b->frames =
		    xrealloc(b->frames, b->frame_cap * sizeof(*b->frames));
	}
	frame = &b->frames[b->frame_count++];
	frame->from = b->value_count;
	frame->as = take_name(b);
	frame->as.value = (struct node){ .type = type, .line = line };
}

static const void *
close_array(struct builder *b, const struct member *from, size_t n)
{
	struct node *items = arena_alloc(b->arena, n * sizeof(*items));

	for (size_t i = 0; i < n; i++)
		items[i] = from[i].value;
	return items;
}

/* Removes members that a later one of their name replaces. */
static size_t
unite(struct member *members, size_t n, struct member *twice)
{
	size_t slots = slots_for(n), kept = 0;
	uint32_t *index = xmalloc(slots * sizeof(*index));

	memset(index, 0xff, slots * sizeof(*index));
	for (size_t i = 0; i < n; i++) {
		struct slice name = member_name(&members[i]);
		uint32_t *slot =
		    slot_of(members, index, slots, name, members[i].hash);

		if (*slot == EMPTY) {
			*slot = (uint32_t)kept;
			members[kept++] = members[i];
		} else {
			*twice = members[i];
			members[*slot].value = members[i].value;
		}
	}
	free(index);
	return kept;
}

static const void *
close_object(struct builder *b, struct member *from, size_t n)
{
	size_t slots = n >= INDEX_FROM ? slots_for(n) : 0;
	struct member *members = arena_alloc(
	    b->arena, n * sizeof(*members) + slots * sizeof(uint32_t));
	uint32_t *index = (uint32_t *)(members + n);

	if (n > 0)
		memcpy(members, from, n * sizeof(*members));
	memset(index, 0xff, slots * sizeof(*index));
	for (size_t i = 0; slots > 0 && i < n; i++)
		*slot_of(members, index, slots, member_name(&members[i]),
		    members[i].hash) = (uint32_t)i;
	return members;
}

static bool
has_member(const struct builder *b, size_t from, const struct member *m)
{
	for (size_t i = from; i < b->value_count; i++) {
		if (is_named(&b->values[i], member_name(m), m->hash))
			return true;
	}
	return false;
}

static bool
merge_object(struct builder *b, size_t from, const struct node *object)
{
	for (size_t i = 0; i < node_count(object); i++) {
		const struct member *m = node_member(object, i);

		if (b->merged++ == MERGED_MAX)
			return false;
		if (!has_member(b, from, m))
			push(b, *m);
	}
	return true;
}

static bool
merge_value(struct builder *b, size_t from, struct node value)
{
	if (value.type == NODE_OBJECT)
		return merge_object(b, from, &value);
	for (size_t i = 0; value.type == NODE_ARRAY && i < value.n; i++) {
		struct node one = *node_item(&value, i);

		if (one.type == NODE_OBJECT && !merge_object(b, from, &one))
			return false;
	}
	return true;
}

bool
builder_merge(struct builder *b)
{
	size_t from = b->frames[b->frame_count - 1].from;
	size_t count = b->value_count - from;

	for (size_t i = from; count > 0; count--) {
		struct member m = b->values[i];

		if (!slice_eq(member_name(&m), SLICE("<<"))) {
			i++;
			continue;
		}
		/* What is added stands behind what is still to be looked at. */
		memmove(&b->values[i], &b->values[i + 1],
		    (b->value_count - i - 1) * sizeof(m));
		b->value_count--;
		if (!merge_value(b, from, m.value))
			return false;
	}
	return true;
}

struct node
builder_close(struct builder *b, struct member *twice)
{
	struct frame frame = b->frames[--b->frame_count];
	size_t n = b->value_count - frame.from;
	struct member *from = n > 0 ? b->values + frame.from : NULL;
	struct node *made = &frame.as.value;

	*twice = (struct member){ .p = NULL };
	if (n > 1 && made->type == NODE_OBJECT)
		n = unite(from, n, twice);
	if (n > 0)
		made->p = made->type == NODE_OBJECT ? close_object(b, from, n)
						    : close_array(b, from, n);
	made->n = (uint32_t)n;
	b->value_count = frame.from;
	push(b, frame.as);
	return *made;
}

size_t
builder_depth(const struct builder *b)
{
	return b->frame_count;
}

bool
builder_done(const struct builder *b, struct node *root)
{
	if (b->frame_count > 0 || b->value_count != 1)
		return false;
	*root = b->values[0].value;
	return true;
}
