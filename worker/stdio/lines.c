#include "worker/stdio/lines.h"

void
lines_init(struct lines *l, size_t max)
{
	*l = (struct lines){ .max = max };
	strbuf_init(&l->part, max);
}

void
lines_release(struct lines *l)
{
	strbuf_release(&l->part);
}

void
lines_stop(struct lines *l)
{
	l->stopped = true;
}

static void
hand_on(const struct lines *l, struct slice line, lines_fn *fn, void *arg)
{
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n > 0 && !l->stopped)
		fn(line, l->cut, arg);
}

/* Leaves of the part its first bytes and the last ones of it and what follows. */
static void
add_cut(struct lines *l, struct slice bytes)
{
	struct strbuf *sb = &l->part;
	size_t from = bytes.n < LINES_END ? bytes.n : LINES_END;
	char tail[2 * LINES_END];
	size_t n = sb->n - LINES_END;

	if (n > LINES_END)
		n = LINES_END;
	memcpy(tail, sb->p + sb->n - n, n);
	memcpy(tail + n, bytes.p + bytes.n - from, from);
	n += from;
	sb->n = LINES_END;
	from = n < LINES_END ? 0 : n - LINES_END;
	strbuf_add(sb, tail + from, n - from);
}

static void
add_part(struct lines *l, struct slice bytes)
{
	size_t room = l->max - l->part.n;

	if (!l->cut && bytes.n <= room) {
		strbuf_add_slice(&l->part, bytes);
		return;
	}
	if (!l->cut)
		strbuf_add_slice(&l->part, slice_of(bytes.p, room));
	if (!l->cut)
		bytes = slice_of(bytes.p + room, bytes.n - room);
	l->cut = true;
	add_cut(l, bytes);
}

/* The bytes up to an LF. Whole lines are not copied. */
static void
end_line(struct lines *l, struct slice bytes, lines_fn *fn, void *arg)
{
	if (l->part.n == 0 && bytes.n <= l->max) {
		hand_on(l, bytes, fn, arg);
		return;
	}
	add_part(l, bytes);
	hand_on(l, strbuf_slice(&l->part), fn, arg);
	if (l->cut)
		strbuf_release(&l->part);
	else
		strbuf_reset(&l->part);
	l->cut = false;
}

void
lines_feed(struct lines *l, struct slice bytes, lines_fn *fn, void *arg)
{
	while (bytes.n > 0 && !l->stopped) {
		const char *lf = memchr(bytes.p, '\n', bytes.n);
		size_t n = lf != NULL ? (size_t)(lf - bytes.p) : bytes.n;
		struct slice line = slice_of(bytes.p, n);

		if (lf != NULL)
			end_line(l, line, fn, arg);
		else
			add_part(l, line);
		n += lf != NULL;
		bytes = slice_of(bytes.p + n, bytes.n - n);
	}
}

void
lines_finish(struct lines *l, lines_fn *fn, void *arg)
{
	hand_on(l, strbuf_slice(&l->part), fn, arg);
	strbuf_release(&l->part);
	l->cut = false;
}
