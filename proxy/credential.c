#include "proxy/credential.h"

#include "proxy/http_text.h"

static const struct {
	const char *scheme;
	enum credential_kind kind;
} schemes[] = {
	{ "bearer", CREDENTIAL_TOKEN },
	{ "apikey", CREDENTIAL_API_KEY },
};

/* scheme SP value (RFC 9110, section 11.4). */
static struct credential
of_authorization(struct slice field)
{
	const char *blank = field.n > 0 ? memchr(field.p, ' ', field.n) : NULL;
	struct slice scheme = field, value = SLICE("");

	if (blank != NULL) {
		scheme.n = (size_t)(blank - field.p);
		while (blank < field.p + field.n && *blank == ' ')
			blank++;
		value = slice_of(blank, (size_t)(field.p + field.n - blank));
	}
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		if (http_same_word(scheme, slice_str(schemes[i].scheme)))
			return (struct credential){ schemes[i].kind, value };
	}
	return (struct credential){ CREDENTIAL_UNKNOWN, value };
}

/* RFC 6750, section 2.3, which this server does not follow. */
static bool
has_token_in_query(struct slice query)
{
	static const char name[] = "access_token=";
	size_t n = sizeof(name) - 1;
	const char *at = query.n < n ? NULL :
				       memmem(query.p, query.n, name, n);

	return at != NULL && (at == query.p || at[-1] == '&');
}

void
credential_read(struct credential *out, const struct http_head *head)
{
	unsigned count = 0;

	*out = (struct credential){ CREDENTIAL_NONE, SLICE("") };
	for (unsigned i = 0; i < head->field_count; i++) {
		const struct http_field *f = &head->fields[i];

		if (http_same_word(f->name, SLICE("authorization")))
			*out = of_authorization(f->value);
		else if (http_same_word(f->name, SLICE("x-api-key")))
			*out = (struct credential){ CREDENTIAL_API_KEY,
				f->value };
		else
			continue;
		count++;
	}
	if (has_token_in_query(head->query))
		out->kind = CREDENTIAL_IN_QUERY;
	else if (count > 1)
		out->kind = CREDENTIAL_SEVERAL;
}
