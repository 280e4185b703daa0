/*
 * MCP's content blocks, written as one line of JSON straight into a buffer: no
 * tree, and binary data is encoded where it goes.
 * (MCP 2025-11-25, "Tools", section "Tool Result"; "Resources", "Prompts".)
 */
#ifndef MCP_WORKER_CONTENT_H
#define MCP_WORKER_CONTENT_H

#include "common/strbuf.h"
#include "worker/runtime/tool.h"

/* {"type":"text","text":…} */
void content_text(struct strbuf *sb, struct slice text);
/* {"type":<type>,"data":<base64>,"mimeType":…}; type: "image" or "audio". */
void content_data(struct strbuf *sb, const char *type, struct slice bytes,
    const char *mime_type);
/* {"uri":…,"mimeType":…,"text":…}, or with "blob": what a resource holds. */
void content_contents(struct strbuf *sb, const struct contents *c);
/* {"type":"resource_link",…} */
void content_link(struct strbuf *sb, const struct resource *to);

/* Appends ,"<name>":<value as a JSON string>; nothing when value is NULL. */
void content_member(struct strbuf *sb, const char *name, const char *value);
/* Appends JSON of an author's making, its line breaks as blanks. */
void content_raw(struct strbuf *sb, struct slice json);

#endif
