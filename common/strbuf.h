/*
 * A growing byte buffer that is told its maximum at birth.
 *
 * Appending past the maximum (or out of memory) appends nothing, marks the
 * buffer as failed and makes every later append a no-op, so that a writer may
 * append a whole message and check once, with strbuf_ok(). The bytes are always
 * NUL-terminated, but may hold NULs themselves.
 */
#ifndef MCP_STRBUF_H
#define MCP_STRBUF_H

#include "common/compiler.h"

struct strbuf {
	char *p;      /* owned; NULL until the first byte */
	size_t n;     /* bytes held, without the NUL */
	size_t cap;   /* bytes allocated */
	size_t max;   /* bytes that it may ever hold */
	bool failed;
};

#define STRBUF_INIT(max_bytes) { .max = (max_bytes) }

void strbuf_init(struct strbuf *sb, size_t max_bytes);
/* Frees the bytes; the buffer is empty and usable again. */
void strbuf_release(struct strbuf *sb);
/* Empties it and clears the failure, keeping the allocation. */
void strbuf_reset(struct strbuf *sb);
/* Removes n bytes (at most all) from the front. */
void strbuf_drain(struct strbuf *sb, size_t n);
/* Makes room for n more bytes and returns where they go, or NULL (failed). */
char *strbuf_reserve(struct strbuf *sb, size_t n) MUST_CHECK;

void strbuf_add(struct strbuf *sb, const void *p, size_t n);
void strbuf_add_slice(struct strbuf *sb, struct slice s);
void strbuf_add_str(struct strbuf *sb, const char *s);
void strbuf_add_char(struct strbuf *sb, char c);
void strbuf_add_u64(struct strbuf *sb, uint64_t v);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Appends s as a JSON string with its quotes (RFC 8259, section 7). */
void strbuf_add_json(struct strbuf *sb, struct slice s);

/* Appends a finite number as double_decimal() writes it. */
void strbuf_add_number(struct strbuf *sb, double v);

/* Writes v in decimal into buf (20 bytes suffice) and returns its length. */
size_t u64_decimal(char buf[static 20], uint64_t v);
/* The same as a slice, which borrows buf. */
static inline struct slice
u64_slice(char buf[static 20], uint64_t v)
{
	return slice_of(buf, u64_decimal(buf, v));
}

/* Any double with 17 digits fits: "-1.2345678901234567e-308". */
#define DOUBLE_DECIMAL_MAX 32
/* The same for a finite number: the shortest text that reads back as it. */
size_t double_decimal(char buf[static DOUBLE_DECIMAL_MAX], double v);

static inline bool
strbuf_ok(const struct strbuf *sb)
{
	return !sb->failed;
}

static inline struct slice
strbuf_slice(const struct strbuf *sb)
{
	return (struct slice){ sb->p, sb->n };
}

/* The bytes as a C string, "" when empty. Owned by the buffer. */
static inline const char *
strbuf_str(const struct strbuf *sb)
{
	return sb->p ? sb->p : "";
}

#endif
