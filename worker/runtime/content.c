#include "worker/runtime/content.h"

#include <openssl/evp.h>

/* A multiple of 3, so that only the last piece is padded. */
#define PIECE_MAX ((size_t)3 << 16)

void
content_member(struct strbuf *sb, const char *name, const char *value)
{
	if (value == NULL)
		return;
	strbuf_addf(sb, ",\"%s\":", name);
	strbuf_add_json(sb, slice_str(value));
}

/*
 * JSON has line breaks only between its tokens; in an event stream, one would end
 * the message.
 */
void
content_raw(struct strbuf *sb, struct slice json)
{
	size_t at = sb->n;

	strbuf_add_slice(sb, json);
	for (; at < sb->n; at++) {
		if (sb->p[at] == '\n' || sb->p[at] == '\r')
			sb->p[at] = ' ';
	}
}

static void
add_base64(struct strbuf *sb, struct slice bytes)
{
	while (bytes.n > 0) {
		size_t n = bytes.n < PIECE_MAX ? bytes.n : PIECE_MAX;
		char *to = strbuf_reserve(sb, (n + 2) / 3 * 4);

		if (to == NULL)
			return;
		sb->n += (size_t)EVP_EncodeBlock((unsigned char *)to,
		    (const unsigned char *)bytes.p, (int)n);
		bytes = slice_of(bytes.p + n, bytes.n - n);
	}
}

void
content_text(struct strbuf *sb, struct slice text)
{
	strbuf_add_slice(sb, SLICE("{\"type\":\"text\",\"text\":"));
	strbuf_add_json(sb, text);
	strbuf_add_char(sb, '}');
}

void
content_data(struct strbuf *sb, const char *type, struct slice bytes,
    const char *mime_type)
{
	strbuf_addf(sb, "{\"type\":\"%s\",\"data\":\"", type);
	add_base64(sb, bytes);
	strbuf_add_char(sb, '"');
	content_member(sb, "mimeType", mime_type);
	strbuf_add_char(sb, '}');
}

void
content_contents(struct strbuf *sb, const struct contents *c)
{
	strbuf_add_slice(sb, SLICE("{\"uri\":"));
	strbuf_add_json(sb, slice_str(c->uri));
	content_member(sb, "mimeType", c->mime_type);
	if (c->blob.p != NULL) {
		strbuf_add_slice(sb, SLICE(",\"blob\":\""));
		add_base64(sb, c->blob);
		strbuf_add_char(sb, '"');
	} else {
		strbuf_add_slice(sb, SLICE(",\"text\":"));
		strbuf_add_json(sb, c->text);
	}
	strbuf_add_char(sb, '}');
}

void
content_link(struct strbuf *sb, const struct resource *to)
{
	strbuf_add_slice(sb, SLICE("{\"type\":\"resource_link\",\"uri\":"));
	strbuf_add_json(sb, slice_str(to->uri));
	content_member(sb, "name", to->name);
	content_member(sb, "title", to->title);
	content_member(sb, "description", to->description);
	content_member(sb, "mimeType", to->mime_type);
	strbuf_add_char(sb, '}');
}
