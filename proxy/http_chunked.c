#include "proxy/http_chunked.h"

#include "proxy/http_text.h"

/* Hexadecimal digits of a uint64_t: a chunk size of that many cannot wrap. */
#define CHUNK_DIGITS_MAX 16

/* What the next byte is to be. A zeroed decoder is at the first size. */
enum chunk_state {
	CHUNK_SIZE, /* a digit of the size, or the CR after it */
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_LAST_CR, /* where a trailer would begin */
	CHUNK_LAST_LF,
	CHUNK_DONE
};

/* A '+', "0x", blank or ';' before an extension is neither digit nor CR. */
static int
chunk_size_byte(struct http_chunked *c, char byte)
{
	if (http_is_class(byte, CC_HEX)) {
		if (c->digits++ == CHUNK_DIGITS_MAX)
			return -400;
		c->left = c->left << 4 | http_hex_value(byte);
		return 0;
	}
	if (byte != '\r' || c->digits == 0)
		return -400;
	c->state = CHUNK_SIZE_LF;
	return 0;
}

static int
chunk_size_end(struct http_chunked *c, uint64_t body_max)
{
	/* total never passes the limit, so the difference does not wrap. */
	if (c->left > body_max - c->total)
		return -413;
	c->digits = 0;
	c->state = c->left > 0 ? CHUNK_DATA : CHUNK_LAST_CR;
	return 0;
}

/* One byte between the stretches of data. */
static int
chunk_frame_byte(struct http_chunked *c, char byte, uint64_t body_max)
{
	/* Of the states that take one certain byte, and what follows it. */
	static const struct {
		char byte;
		enum chunk_state next;
	} fixed[] = {
		[CHUNK_DATA_CR] = { '\r', CHUNK_DATA_LF },
		[CHUNK_DATA_LF] = { '\n', CHUNK_SIZE },
		[CHUNK_LAST_CR] = { '\r', CHUNK_LAST_LF },
		[CHUNK_LAST_LF] = { '\n', CHUNK_DONE },
	};

	if (c->state == CHUNK_SIZE)
		return chunk_size_byte(c, byte);
	if (c->state == CHUNK_SIZE_LF)
		return byte == '\n' ? chunk_size_end(c, body_max) : -400;
	if (byte != fixed[c->state].byte)
		return -400;
	c->state = fixed[c->state].next;
	return 0;
}

/* Takes as much of the current chunk as the n bytes at p hold. */
static struct slice
chunk_take_data(struct http_chunked *c, const char *p, size_t n)
{
	struct slice data = { p, c->left < n ? (size_t)c->left : n };

	c->left -= data.n;
	c->total += data.n;
	if (c->left == 0)
		c->state = CHUNK_DATA_CR;
	return data;
}

int
http_chunked_feed(struct http_chunked *c, const char *p, size_t n,
    size_t body_max, size_t *consumed, struct slice *data)
{
	struct slice taken = SLICE_NONE;
	size_t i = 0;

	while (i < n && c->state != CHUNK_DONE) {
		if (c->state == CHUNK_DATA) {
			if (taken.n > 0)
				break;
			taken = chunk_take_data(c, p + i, n - i);
			i += taken.n;
		} else {
			int rc = chunk_frame_byte(c, p[i], body_max);

			if (rc < 0)
				return rc;
			i++;
		}
	}
	*consumed = i;
	*data = taken;
	return c->state == CHUNK_DONE;
}
