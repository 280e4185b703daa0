#include <stdlib.h>

#include <openssl/evp.h>

#include "common/ident.h"
#include "common/xalloc.h"
#include "worker/openapi/request.h"
#include "worker/openapi/style.h"
#include "worker/json/number.h"

static const char BASE64[] = ";base64,";

/* The value, and the parameter that says how it is written. */
struct field {
	const struct parameter *p;
	const char *name;
	const cJSON *value;
};

/* Bytes ------------------------------------------------------------------ */

/*
 * A text stands for its own bytes; data:<type>;base64,<data> (RFC 2397) for
 * what it encodes. *type is set to its media type, which the caller frees.
 */
static void
add_bytes(struct strbuf *sb, const cJSON *value, char **type)
{
	const char *text = cJSON_GetStringValue(value), *data;
	size_t n;
	char *to;
	int got;

	if (text == NULL || strncmp(text, "data:", 5) != 0 ||
	    (data = strstr(text, BASE64)) == NULL) {
		style_plain(sb, value);
		return;
	}
	*type = xstrdup_slice(slice_of(text + 5, (size_t)(data - text) - 5));
	data += strlen(BASE64);
	n = strlen(data);
	to = strbuf_reserve(sb, n / 4 * 3 + 3);
	got = to != NULL && n <= INT32_MAX
		  ? EVP_DecodeBlock((unsigned char *)to,
			(const unsigned char *)data, (int)n)
		  : -1;
	/* Padding decodes to zeros. */
	for (size_t i = n; got > 0 && i > 0 && data[i - 1] == '='; i--)
		got--;
	if (got >= 0)
		sb->n += (size_t)got;
	else
		sb->failed = true;
}

/* multipart/form-data (RFC 7578) ----------------------------------------- */

/* As browsers write a name (WHATWG HTML): it cannot end its quotes. */
static void
add_quoted(struct strbuf *sb, const char *text)
{
	strbuf_add_char(sb, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || (unsigned char)*text < ' ')
			strbuf_addf(sb, "%%%02X", (unsigned char)*text);
		else
			strbuf_add_char(sb, *text);
	}
	strbuf_add_char(sb, '"');
}

static bool
type_ok(const char *type)
{
	for (const char *p = type; p != NULL && *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	}
	return type != NULL && *type != '\0';
}

static void
add_part(struct strbuf *sb, const char *boundary, const struct field *f)
{
	struct strbuf bytes = STRBUF_INIT(sb->max);
	bool file = f->p != NULL && f->p->encoding.file;
	char *own = NULL;
	const char *type = f->p ? f->p->encoding.content_type : NULL;

	if (file)
		add_bytes(&bytes, f->value, &own);
	else
		style_plain(&bytes, f->value);
	if (type_ok(own))
		type = own;
	else if (type == NULL && file)
		type = "application/octet-stream";
	else if (type == NULL &&
		 (cJSON_IsObject(f->value) || cJSON_IsArray(f->value)))
		type = "application/json";
	strbuf_addf(
	    sb, "--%s\r\nContent-Disposition: form-data; name=", boundary);
	add_quoted(sb, f->name);
	if (file) {
		strbuf_add_str(sb, "; filename=");
		add_quoted(sb, f->name);
	}
	if (type != NULL)
		strbuf_addf(sb, "\r\nContent-Type: %s", type);
	strbuf_add_str(sb, "\r\n\r\n");
	strbuf_add_slice(sb, strbuf_slice(&bytes));
	strbuf_add_str(sb, "\r\n");
	sb->failed |= bytes.failed;
	strbuf_release(&bytes);
	free(own);
}

/* Elements of a list are parts of one name, unless they are JSON. */
static void
add_parts(struct strbuf *sb, const char *boundary, const struct field *f)
{
	const cJSON *item;

	if (!cJSON_IsArray(f->value) || (f->p && f->p->encoding.json)) {
		add_part(sb, boundary, f);
		return;
	}
	cJSON_ArrayForEach(item, f->value)
	{
		struct field one = { f->p, f->name, item };

		add_part(sb, boundary, &one);
	}
}

/* Fields ----------------------------------------------------------------- */

struct fields {
	struct field *p;
	size_t n;
};

static void
add_field(struct fields *all, struct field one)
{
	if (one.value == NULL)
		return;
	all->p = xrealloc(all->p, (all->n + 1) * sizeof(*all->p));
	all->p[all->n++] = one;
}

/* The body's properties: arguments of their own, or one argument's members. */
static void
collect(struct fields *all, const struct operation *op, const cJSON *args)
{
	const cJSON *member;

	for (size_t i = 0; i < op->parameter_count; i++) {
		const struct parameter *p = &op->parameters[i];

		if (p->in == IN_FIELD) {
			add_field(all, (struct field){ p, p->name,
					   request_value(p, args) });
		} else if (p->in == IN_BODY && op->body.kind != BODY_RAW &&
			   op->body.kind != BODY_JSON) {
			cJSON_ArrayForEach(member, request_value(p, args))
			{
				add_field(all, (struct field){ NULL,
						   member->string, member });
			}
		}
	}
}

static const struct parameter *
whole_parameter(const struct operation *op)
{
	for (size_t i = 0; i < op->parameter_count; i++) {
		if (op->parameters[i].in == IN_BODY)
			return &op->parameters[i];
	}
	return NULL;
}

static const cJSON *
whole(const struct operation *op, const cJSON *args)
{
	const struct parameter *p = whole_parameter(op);

	return p != NULL ? request_value(p, args) : NULL;
}

/* Forms and parts have names: of what is no object, there are none. */
static bool
has_names(
    const struct operation *op, const cJSON *args, struct strbuf *error)
{
	const struct parameter *p = whole_parameter(op);
	const cJSON *value = whole(op, args);

	if ((op->body.kind != BODY_FORM && op->body.kind != BODY_MULTIPART) ||
	    value == NULL || cJSON_IsObject(value))
		return true;
	strbuf_addf(error, "%s: must be an object",
	    p->argument ? p->argument : p->name);
	return false;
}

/* Kinds ------------------------------------------------------------------ */

static void
make_json(struct request *r, const struct operation *op, const cJSON *args,
    const struct fields *fields)
{
	if (!op->body.flat) {
		number_write_tree(&r->body, whole(op, args));
		return;
	}
	strbuf_add_char(&r->body, '{');
	for (size_t i = 0; i < fields->n; i++) {
		if (i > 0)
			strbuf_add_char(&r->body, ',');
		strbuf_add_json(&r->body, slice_str(fields->p[i].name));
		strbuf_add_char(&r->body, ':');
		number_write_tree(&r->body, fields->p[i].value);
	}
	strbuf_add_char(&r->body, '}');
}

static void
make_form(struct request *r, const struct fields *fields)
{
	for (size_t i = 0; i < fields->n; i++) {
		const struct field *f = &fields->p[i];
		const struct parameter plain = { .name = f->name,
			.encoding = { .style = STYLE_FORM, .explode = true } };

		style_pairs(&r->body, f->p ? f->p : &plain, f->value, "&");
	}
}

static void
make_multipart(
    struct request *r, const struct fields *fields, const char *boundary)
{
	for (size_t i = 0; i < fields->n; i++)
		add_parts(&r->body, boundary, &fields->p[i]);
	strbuf_addf(&r->body, "--%s--\r\n", boundary);
}

static void
make(struct request *r, const struct operation *op, const cJSON *args,
    const struct fields *fields, struct strbuf *type)
{
	char boundary[IDENT_HEX_LEN + 1];
	char *own = NULL;

	strbuf_add_str(type, op->body.media_type);
	switch (op->body.kind) {
	case BODY_NONE:
		break;
	case BODY_JSON:
		make_json(r, op, args, fields);
		break;
	case BODY_FORM:
		make_form(r, fields);
		break;
	case BODY_MULTIPART:
		/* 128 random bits: nothing that a value could hold. */
		ident_hex(boundary);
		strbuf_reset(type);
		strbuf_addf(type, "multipart/form-data; boundary=%s", boundary);
		make_multipart(r, fields, boundary);
		break;
	case BODY_RAW:
		add_bytes(&r->body, whole(op, args), &own);
		free(own);
		break;
	}
}

bool
request_make_body(struct request *r, const struct operation *op,
    const cJSON *args, struct strbuf *error)
{
	struct fields fields = { NULL, 0 };
	struct strbuf type = STRBUF_INIT(512);
	bool ok = true;

	if (op->body.kind == BODY_NONE)
		return true;
	if (!has_names(op, args, error))
		return false;
	collect(&fields, op, args);
	if (op->body.required || fields.n > 0 || whole(op, args) != NULL) {
		make(r, op, args, &fields, &type);
		r->has_body = true;
		ok = strbuf_ok(&r->body) && strbuf_ok(&type) &&
		     request_add_header(r, "Content-Type", strbuf_slice(&type));
		if (!ok)
			strbuf_addf(error,
			    "the request's body is larger than %zu bytes, or a "
			    "data: URL in it is not base64",
			    r->body.max);
	}
	free(fields.p);
	strbuf_release(&type);
	return ok;
}
