#include "proxy/caller.h"

#include <arpa/inet.h>

#include "proxy/http_query.h"
#include "proxy/http_text.h"

/* Longest: an IPv6 address with brackets and a port. */
#define ENTRY_MAX (INET6_ADDRSTRLEN + 8)
/* Of what a client may call itself: see transport_sse.c. */
#define NAME_MAX_BYTES 256

/* Cuts the last member off a comma-separated list; false at its beginning. */
static bool
take_last(struct slice *list, struct slice *out)
{
	const char *comma;

	if (list->p == NULL)
		return false;
	comma = memrchr(list->p, ',', list->n);
	if (comma == NULL) {
		*out = slice_trim(*list);
		*list = SLICE_NONE;
		return true;
	}
	*out = slice_trim(slice_of(comma + 1,
	    (size_t)(list->p + list->n - comma) - 1));
	list->n = (size_t)(comma - list->p);
	return true;
}

/* Removes what may surround an address: [v6], [v6]:port, v4:port. */
static struct slice
without_port(struct slice s)
{
	const char *end;

	if (s.n > 0 && s.p[0] == '[') {
		end = memchr(s.p, ']', s.n);
		return end == NULL ? SLICE_NONE :
				     slice_of(s.p + 1, (size_t)(end - s.p) - 1);
	}
	end = s.n > 0 ? memchr(s.p, ':', s.n) : NULL;
	if (end != NULL && end == memrchr(s.p, ':', s.n))
		return slice_of(s.p, (size_t)(end - s.p));
	return s;
}

static bool
read_address(struct slice entry, struct in6_addr *out)
{
	struct slice text = without_port(entry);
	char buf[ENTRY_MAX];
	struct in6_addr v6 = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	if (text.n == 0 || text.n >= sizeof(buf))
		return false;
	memcpy(buf, text.p, text.n);
	buf[text.n] = '\0';
	if (inet_pton(AF_INET, buf, &v6.s6_addr[12]) != 1 &&
	    inet_pton(AF_INET6, buf, &v6) != 1)
		return false;
	*out = v6;
	return true;
}

static bool
is_forwarded_for(const struct http_field *field)
{
	return http_same_word(field->name, SLICE("x-forwarded-for"));
}

/* Several fields of that name are one list, in their order. */
static bool
forwarded_for(const struct http_head *head, unsigned hops,
    struct in6_addr *out)
{
	struct slice entry;

	for (unsigned i = head->field_count; i > 0; i--) {
		struct slice list = head->fields[i - 1].value;

		if (!is_forwarded_for(&head->fields[i - 1]))
			continue;
		while (take_last(&list, &entry)) {
			if (--hops == 0)
				return read_address(entry, out);
		}
	}
	return false;
}

void
caller_read(struct caller *out, const struct http_head *head,
    const struct in6_addr *peer, unsigned hops)
{
	out->address = *peer;
	if (hops > 0)
		(void)forwarded_for(head, hops, &out->address);
	out->user_agent = http_head_field(head, "user-agent");
	if (out->user_agent.p == NULL)
		out->user_agent = SLICE("");
	if (out->user_agent.n > CALLER_AGENT_LEN)
		out->user_agent.n = CALLER_AGENT_LEN;
}

bool
caller_may_return(const struct http_head *head)
{
	static const char *const fields[] = { "mcp-protocol-version",
		"mcp-session-id", "mcp-client-id" };
	static const char *const params[] = { "client", "session_id",
		"sessionId" };
	char value[NAME_MAX_BYTES + 1];

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (http_head_field(head, fields[i]).n > 0)
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		if (http_query_param(head->query, params[i], value,
			sizeof(value)) > 0)
			return true;
	}
	return false;
}
