#include "proxy/forward.h"

#include <ctype.h>
#include <strings.h>

/* Far longer than any field's name. */
#define NAME_BYTES_MAX 128

/* Credentials for this server, and what concerns this connection only. */
static const char *const never[] = { "authorization", "proxy-authorization",
	"cookie", "x-api-key", "mcp-session-id", "mcp-client-id", "host",
	"connection", "content-length", "content-type", "content-encoding",
	"transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive",
	"accept", "accept-encoding", "origin" };

static bool
is_name(struct slice name)
{
	if (name.n >= NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (!isalnum(c) && (c == '\0' || !strchr("-_.", c)))
			return false;
	}
	return true;
}

static bool
may_go(struct slice name)
{
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (strlen(never[i]) == name.n &&
		    strncasecmp(never[i], name.p, name.n) == 0)
			return false;
	}
	return is_name(name);
}

/* The next word of *list, which moves behind it; empty at the end. */
static struct slice
next_word(const char **list)
{
	const char *from = *list + strspn(*list, ", \t");
	size_t n = strcspn(from, ", \t");

	*list = from + n;
	return slice_of(from, n);
}

bool
forward_list_ok(const char *list, struct strbuf *errors)
{
	struct slice name;
	bool ok = true;

	while (list != NULL && (name = next_word(&list)).n > 0) {
		if (may_go(name))
			continue;
		strbuf_addf(errors,
		    "FORWARD_HEADERS: \"%.*s\" is not a header that workers "
		    "may "
		    "see\n",
		    SLICE_ARG(name));
		ok = false;
	}
	return ok;
}

static void
write_field(struct slice word, const struct http_head *head, struct strbuf *sb)
{
	char name[NAME_BYTES_MAX];

	for (size_t i = 0; i < word.n; i++)
		name[i] = (char)tolower((unsigned char)word.p[i]);
	name[word.n] = '\0';
	if (http_head_field_count(head, name) != 1)
		return;
	strbuf_addf(sb, "%s: ", name);
	strbuf_add_slice(sb, http_head_field(head, name));
	strbuf_add_char(sb, '\n');
}

void
forward_write(const char *list, const struct http_head *head, struct strbuf *sb)
{
	struct slice name;

	while (list != NULL && (name = next_word(&list)).n > 0) {
		if (may_go(name))
			write_field(name, head, sb);
	}
}
