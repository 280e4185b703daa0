#include "proxy/inbox_private.h"

#include <stdlib.h>

#include "common/xalloc.h"

/* An entry's id as numbers, to be compared, and its mark. */
struct inbox_known {
	uint64_t ms, seq, mark;
};

static bool
read_position(struct slice id, struct inbox_known *out)
{
	const char *dash = memchr(id.p, '-', id.n);

	return dash != NULL &&
	    env_number(slice_of(id.p, (size_t)(dash - id.p)), &out->ms) &&
	    env_number(slice_of(dash + 1, id.n - (size_t)(dash - id.p) - 1),
		&out->seq);
}

static uint64_t
mark_of(struct slice call)
{
	uint64_t mark = 0;

	memcpy(&mark, call.p != NULL ? call.p : "",
	    call.n < sizeof(mark) ? call.n : sizeof(mark));
	return mark;
}

uint64_t
inbox_entry_mark(const struct env_entry *entry)
{
	struct env_message message;
	unsigned malformed = 0;
	size_t at = 0;

	return env_message_next(entry->fields, &at, &message, &malformed) ?
	    mark_of(message.call) : 0;
}

static int
by_position(const void *a, const void *b)
{
	const struct inbox_known *x = a, *y = b;

	if (x->ms != y->ms)
		return x->ms < y->ms ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

void
inbox_end_rereading(struct inbox *in)
{
	in->rereading = false;
	free(in->known);
	in->known = NULL;
	in->known_count = 0;
}

void
inbox_begin_rereading(struct inbox *in)
{
	struct inbox_entry *e;
	size_t n = 0;

	inbox_end_rereading(in);
	for (size_t i = 0; i < ENTRY_STATES; i++)
		n += in->counts[i];
	in->known = xcalloc(n + 1, sizeof(*in->known));
	for (size_t i = 0; i < ENTRY_STATES; i++) {
		TAILQ_FOREACH(e, &in->entries[i], link) {
			struct inbox_known *k = &in->known[in->known_count];

			k->mark = e->mark;
			in->known_count +=
			    read_position(slice_of(e->id, e->id_len), k);
		}
	}
	qsort(in->known, in->known_count, sizeof(*in->known), by_position);
	memcpy(in->last_id, "0-0", sizeof("0-0"));
	in->rereading = true;
}

bool
inbox_is_known(const struct inbox *in, const struct env_entry *entry)
{
	struct inbox_known at, *found;

	if (in->known_count == 0 || !read_position(entry->id, &at))
		return false;
	found = bsearch(&at, in->known, in->known_count, sizeof(at), by_position);
	return found != NULL && found->mark == inbox_entry_mark(entry);
}
