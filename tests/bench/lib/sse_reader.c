#include "tests/bench/lib/sse_reader.h"

#define EVENT_MAX_BYTES (4u << 20)

void
sse_reader_init(struct sse_reader *r)
{
	*r = (struct sse_reader){ .used = 0 };
	strbuf_init(&r->text, EVENT_MAX_BYTES);
}

void
sse_reader_release(struct sse_reader *r)
{
	strbuf_release(&r->text);
}

bool
sse_reader_add(struct sse_reader *r, struct slice bytes)
{
	strbuf_add_slice(&r->text, bytes);
	return strbuf_ok(&r->text);
}

/* A line of text from *at on, without its end; false when it is not whole. */
static bool
next_line(struct slice text, size_t *at, struct slice *line)
{
	const char *from = text.p + *at;
	const char *nl = memchr(from, '\n', text.n - *at);

	if (nl == NULL)
		return false;
	*line = slice_of(from, (size_t)(nl - from));
	*at += line->n + 1;
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

/* Looks for the blank line that ends an event; *end is what follows it. */
static bool
find_end(struct sse_reader *r, size_t *end)
{
	struct slice line;

	if (r->text.n == 0)
		return false;
	while (next_line(strbuf_slice(&r->text), &r->scanned, &line)) {
		if (line.n > 0)
			continue;
		*end = r->scanned;
		r->scanned = 0;
		return true;
	}
	return false;
}

/* The value of "name: value" when the line is that field. */
static bool
field_value(struct slice line, const char *name, struct slice *value)
{
	size_t n = strlen(name);

	if (line.n <= n || line.p[n] != ':' || memcmp(line.p, name, n) != 0)
		return false;
	n++;
	if (n < line.n && line.p[n] == ' ')
		n++;
	*value = slice_of(line.p + n, line.n - n);
	return true;
}

/*
 * Joins a further data line to the first ones, in place: what is joined is
 * always shorter than the lines that it was made of.
 */
static void
join(struct sse_reader *r, struct slice *data, struct slice more)
{
	char *to = r->text.p + (data->p - r->text.p) + data->n;

	*to++ = '\n';
	memmove(to, more.p, more.n);
	data->n += 1 + more.n;
}

/* Reads the lines of the event that ends at end; false when it has no data. */
static bool
read_event(struct sse_reader *r, size_t end, struct sse_event *out)
{
	struct sse_event event = { SLICE("message"), SLICE_NONE };
	struct slice text = slice_of(r->text.p, end);
	struct slice line, value;
	size_t at = 0;

	while (next_line(text, &at, &line)) {
		if (field_value(line, "event", &value))
			event.name = value;
		else if (!field_value(line, "data", &value))
			continue;
		else if (event.data.p == NULL)
			event.data = value;
		else
			join(r, &event.data, value);
	}
	*out = event;
	return event.data.p != NULL;
}

bool
sse_reader_next(struct sse_reader *r, struct sse_event *out)
{
	size_t end;

	for (;;) {
		strbuf_drain(&r->text, r->used);
		r->used = 0;
		if (!find_end(r, &end))
			return false;
		r->used = end;
		if (read_event(r, end, out))
			return true;
	}
}
