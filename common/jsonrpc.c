#include "common/jsonrpc.h"

#include "common/json_text.h"

/* The objects whose members are looked at; all others are only validated. */
enum place { ELSEWHERE, TOP, PARAMS, META, CLIENT_INFO, PLACES };

enum member {
	MEMBER_JSONRPC, MEMBER_ID, MEMBER_METHOD, MEMBER_PARAMS, MEMBER_RESULT,
	MEMBER_ERROR, MEMBER_NAME, MEMBER_URI, MEMBER_CURSOR, MEMBER_PROTOCOL,
	MEMBER_CLIENT_INFO, MEMBER_CLIENT_NAME, MEMBER_CLIENT_VERSION,
	MEMBER_REQUEST_ID, MEMBER_META, MEMBER_PROGRESS_TOKEN,
	MEMBER_TRACEPARENT
};

/* A set of members. */
#define BIT(member) (1u << (member))

enum kind { BAD, STRING, NUMBER, LITERAL, OBJECT, ARRAY };
#define KIND(kind) (1u << (kind))

/* One value as scanned; raw is all of it, quotes and brackets included. */
struct value {
	enum kind kind;
	bool escaped;
	struct slice raw;
};

/*
 * What to take from where. A value that the row does not want leaves the field
 * absent and the member's bit unset in scan.usable.
 */
struct row {
	const char *name;
	size_t length;
	size_t field;      /* of the slice in struct jsonrpc_msg */
	enum member member;
	enum place opens;  /* where the members of this object belong */
	unsigned wanted;   /* KIND() bits */
	bool raw;          /* as sent; without, what a string says is wanted */
};

#define NAME(lit) .name = (lit), .length = sizeof(lit) - 1
#define NO_FIELD SIZE_MAX
#define FIELD(f) offsetof(struct jsonrpc_msg, f)
#define TEXT(lit, m, f)                                                      \
	{ NAME(lit), .member = (m), .wanted = KIND(STRING), .field = (f) }
#define TOKEN(lit, m, f)                                                     \
	{ NAME(lit), .member = (m), .wanted = KIND(STRING) | KIND(NUMBER),   \
	    .raw = true, .field = (f) }
#define INSIDE(lit, m, place)                                                \
	{ NAME(lit), .member = (m), .field = NO_FIELD, .opens = (place) }
#define BODY(lit, m, f)                                                      \
	{ NAME(lit), .member = (m), .wanted = KIND(OBJECT), .raw = true,     \
	    .field = (f) }

static const struct row top_rows[] = {
	{ NAME("jsonrpc"), .member = MEMBER_JSONRPC, .wanted = KIND(STRING),
	    .field = NO_FIELD },
	TOKEN("id", MEMBER_ID, FIELD(id)),
	TEXT("method", MEMBER_METHOD, FIELD(method)),
	{ NAME("params"), .member = MEMBER_PARAMS,
	    .wanted = KIND(OBJECT) | KIND(ARRAY), .raw = true,
	    .field = FIELD(params), .opens = PARAMS },
	BODY("result", MEMBER_RESULT, FIELD(result)),
	BODY("error", MEMBER_ERROR, FIELD(error)),
};

static const struct row params_rows[] = {
	TEXT("name", MEMBER_NAME, FIELD(name)),
	TEXT("uri", MEMBER_URI, FIELD(uri)),
	TEXT("cursor", MEMBER_CURSOR, FIELD(cursor)),
	TEXT("protocolVersion", MEMBER_PROTOCOL, FIELD(protocol_version)),
	TOKEN("requestId", MEMBER_REQUEST_ID, FIELD(request_id)),
	INSIDE("clientInfo", MEMBER_CLIENT_INFO, CLIENT_INFO),
	INSIDE("_meta", MEMBER_META, META),
};

static const struct row meta_rows[] = {
	TOKEN("progressToken", MEMBER_PROGRESS_TOKEN, FIELD(progress_token)),
	TEXT("traceparent", MEMBER_TRACEPARENT, FIELD(traceparent)),
};

static const struct row client_info_rows[] = {
	TEXT("name", MEMBER_CLIENT_NAME, FIELD(client_name)),
	TEXT("version", MEMBER_CLIENT_VERSION, FIELD(client_version)),
};

#define ROWS(rows) { (rows), ARRAY_LEN(rows) }
static const struct {
	const struct row *rows;
	size_t count;
} places[PLACES] = {
	[ELSEWHERE] = { NULL, 0 },
	[TOP] = ROWS(top_rows),
	[PARAMS] = ROWS(params_rows),
	[META] = ROWS(meta_rows),
	[CLIENT_INFO] = ROWS(client_info_rows),
};

/* The member names of one place so far, to find duplicates. */
struct names {
	unsigned count;
	uint64_t filter;  /* a bit per hash; most new names need no compare */
	struct slice list[JSONRPC_MEMBERS_MAX];
};

struct scan {
	const unsigned char *p;
	const unsigned char *end;
	unsigned depth;
	unsigned given;   /* BIT()s of the members that were there */
	unsigned usable;  /* and of those that were as their row wants them */
	struct jsonrpc_msg *out;
	size_t text_used;            /* of out->text */
	struct names names[PLACES];  /* each set up when its place opens */
};

static bool scan_value(struct scan *s, enum place place, struct value *v);

/* Characters -------------------------------------------------------------- */

/* What a value is, by its first byte. */
static const unsigned char kind_by_byte[256] = {
	['"'] = STRING,
	['-'] = NUMBER,
	['0' ... '9'] = NUMBER,
	['t'] = LITERAL,
	['f'] = LITERAL,
	['n'] = LITERAL,
	['{'] = OBJECT,
	['['] = ARRAY,
};

static const bool is_blank[256] = {
	[' '] = true,
	['\t'] = true,
	['\n'] = true,
	['\r'] = true,
};

static inline void
skip_blanks(struct scan *s)
{
	while (s->p < s->end && is_blank[*s->p])
		s->p++;
}

/* Takes c, blanks before it included. */
static inline bool
take(struct scan *s, unsigned char c)
{
	skip_blanks(s);
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* Words ------------------------------------------------------------------- */

/* At the opening quote. */
static bool
scan_string(struct scan *s, bool *escaped)
{
	const unsigned char *end = json_string_end(s->p + 1, s->end, escaped);

	if (end != NULL)
		s->p = end;
	return end != NULL;
}

static inline struct slice
without_quotes(struct slice raw)
{
	return slice_of(raw.p + 1, raw.n - 2);
}

/* At the first byte. */
static bool
scan_number(struct scan *s)
{
	const unsigned char *end = json_number_end(s->p, s->end);

	if (end != NULL)
		s->p = end;
	return end != NULL;
}

static bool
scan_literal(struct scan *s)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]);

		if ((size_t)(s->end - s->p) >= n &&
		    memcmp(s->p, words[i], n) == 0) {
			s->p += n;
			return true;
		}
	}
	return false;
}

/* Members ----------------------------------------------------------------- */

static const struct row *
find_row(enum place place, struct slice name)
{
	const struct row *row = places[place].rows;
	const struct row *end = row + places[place].count;

	for (; row < end; row++)
		if (row->length == name.n &&
		    memcmp(row->name, name.p, name.n) == 0)
			return row;
	return NULL;
}

static uint64_t
name_hash_bit(struct slice name)
{
	unsigned hash = (unsigned)name.n;

	if (name.n > 0)
		hash += 7u * (unsigned char)name.p[0] +
		    31u * (unsigned char)name.p[name.n - 1];
	return UINT64_C(1) << (hash % 64);
}

/* False when the name is there already, or there are too many. */
static bool
add_name(struct names *names, struct slice name)
{
	uint64_t bit = name_hash_bit(name);

	if ((names->filter & bit) != 0)
		for (unsigned i = 0; i < names->count; i++)
			if (slice_eq(names->list[i], name))
				return false;
	if (names->count == JSONRPC_MEMBERS_MAX)
		return false;
	names->filter |= bit;
	names->list[names->count++] = name;
	return true;
}

/* What the contents of a string say: mostly they are that, without a copy. */
static bool
text_of(struct scan *s, struct slice contents, bool escaped, struct slice *text)
{
	char *to = s->out->text + s->text_used;
	ssize_t n;

	*text = contents;
	if (!escaped)
		return true;
	n = json_unescape(contents, to, sizeof(s->out->text) - s->text_used);
	if (n < 0)
		return false;
	s->text_used += (size_t)n;
	*text = slice_of(to, (size_t)n);
	return true;
}

static void
keep_value(struct scan *s, const struct row *row, const struct value *v)
{
	struct slice kept = v->raw;

	s->given |= BIT(row->member);
	if ((row->wanted & KIND(v->kind)) == 0)
		return;
	if (!row->raw &&
	    !text_of(s, without_quotes(kept), v->escaped, &kept))
		return;
	if (row->member == MEMBER_JSONRPC && !slice_eq(kept, SLICE("2.0")))
		return;
	s->usable |= BIT(row->member);
	if (row->field != NO_FIELD)
		memcpy((char *)s->out + row->field, &kept, sizeof(kept));
}

/* The rest of a member whose name was scanned. */
static bool
scan_known_place(struct scan *s, enum place place, struct slice name)
{
	const struct row *row = find_row(place, name);
	struct value v;

	if (!add_name(&s->names[place], name)) {
		/* Which of two ids would be meant? */
		if (row != NULL && row->member == MEMBER_ID)
			s->out->id = SLICE_NONE;
		return false;
	}
	if (!take(s, ':') || !scan_value(s, row ? row->opens : ELSEWHERE, &v))
		return false;
	/* The 0 of {"id":01} is no id: a value counts once it has ended. */
	skip_blanks(s);
	if (s->p == s->end || (*s->p != ',' && *s->p != '}'))
		return false;
	if (row != NULL)
		keep_value(s, row, &v);
	return true;
}

static bool
scan_member(struct scan *s, enum place place)
{
	struct value v;
	const unsigned char *from;
	struct slice name;
	bool escaped;

	skip_blanks(s);
	from = s->p;
	if (from == s->end || *from != '"' || !scan_string(s, &escaped))
		return false;
	if (place == ELSEWHERE)
		return take(s, ':') && scan_value(s, ELSEWHERE, &v);
	name = slice_of((const char *)from + 1, (size_t)(s->p - from) - 2);
	return text_of(s, name, escaped, &name) &&
	    scan_known_place(s, place, name);
}

/* Values ------------------------------------------------------------------ */

/* These two are at the opening bracket; their depth is bounded by MAX. */
static bool
scan_object(struct scan *s, enum place place)
{
	s->p++;
	if (++s->depth > JSONRPC_DEPTH_MAX)
		return false;
	s->names[place].count = 0;
	s->names[place].filter = 0;
	if (!take(s, '}')) {
		do {
			if (!scan_member(s, place))
				return false;
		} while (take(s, ','));
		if (!take(s, '}'))
			return false;
	}
	s->depth--;
	return true;
}

static bool
scan_array(struct scan *s)
{
	struct value v;

	s->p++;
	if (++s->depth > JSONRPC_DEPTH_MAX)
		return false;
	if (!take(s, ']')) {
		do {
			if (!scan_value(s, ELSEWHERE, &v))
				return false;
		} while (take(s, ','));
		if (!take(s, ']'))
			return false;
	}
	s->depth--;
	return true;
}

static bool
scan_by_kind(struct scan *s, enum place place, struct value *v)
{
	switch (v->kind) {
	case STRING:
		return scan_string(s, &v->escaped);
	case NUMBER:
		return scan_number(s);
	case LITERAL:
		return scan_literal(s);
	case OBJECT:
		return scan_object(s, place);
	case ARRAY:
		return scan_array(s);
	case BAD:
		break;
	}
	return false;
}

static bool
scan_value(struct scan *s, enum place place, struct value *v)
{
	const unsigned char *from;

	skip_blanks(s);
	from = s->p;
	v->kind = from < s->end ? (enum kind)kind_by_byte[*from] : BAD;
	v->escaped = false;
	if (!scan_by_kind(s, place, v))
		return false;
	v->raw = slice_of((const char *)from, (size_t)(s->p - from));
	return true;
}

/* Messages ---------------------------------------------------------------- */

static int
classify(const struct scan *s, struct jsonrpc_msg *out)
{
	const unsigned outcome = BIT(MEMBER_RESULT) | BIT(MEMBER_ERROR);
	const unsigned envelope = BIT(MEMBER_JSONRPC) | BIT(MEMBER_ID) |
	    BIT(MEMBER_METHOD) | BIT(MEMBER_PARAMS);
	unsigned broken = s->given & ~s->usable;

	out->has_result = (s->given & BIT(MEMBER_RESULT)) != 0;
	out->has_error = (s->given & BIT(MEMBER_ERROR)) != 0;
	out->name_invalid = (broken & BIT(MEMBER_NAME)) != 0;
	out->uri_invalid = (broken & BIT(MEMBER_URI)) != 0;
	out->cursor_invalid = (broken & BIT(MEMBER_CURSOR)) != 0;
	if ((broken & envelope) != 0 || (s->given & BIT(MEMBER_JSONRPC)) == 0)
		return JSONRPC_INVALID_REQUEST;
	if (out->method.p != NULL) {
		out->kind = out->id.p ? JSONRPC_REQUEST : JSONRPC_NOTIFICATION;
		return (s->given & outcome) != 0 ? JSONRPC_INVALID_REQUEST : 0;
	}
	out->kind = JSONRPC_RESPONSE;
	if (out->id.p == NULL || out->has_result == out->has_error)
		return JSONRPC_INVALID_REQUEST;
	return 0;
}

/* The value that begins at p, with nothing but blanks behind it. */
static bool
scan_all(struct scan *s, const char *p, size_t n, enum place place,
    struct value *v)
{
	s->p = (const unsigned char *)p;
	s->end = s->p + n;
	s->depth = s->given = s->usable = 0;
	s->text_used = 0;
	if (!scan_value(s, place, v))
		return false;
	skip_blanks(s);
	return s->p == s->end;
}

int
jsonrpc_peek(const char *p, size_t n, struct jsonrpc_msg *out)
{
	struct scan s;
	struct value v;

	memset(out, 0, offsetof(struct jsonrpc_msg, text));
	s.out = out;
	if (n == 0 || !scan_all(&s, p, n, TOP, &v))
		return JSONRPC_PARSE_ERROR;
	return v.kind == OBJECT ? classify(&s, out) : JSONRPC_INVALID_REQUEST;
}

bool
jsonrpc_is_json(struct slice text)
{
	struct scan s;
	struct value v;

	s.out = NULL;
	return text.n > 0 && scan_all(&s, text.p, text.n, ELSEWHERE, &v);
}

static void
open_reply(struct strbuf *sb, struct slice id)
{
	strbuf_add_str(sb, "{\"jsonrpc\":\"2.0\",\"id\":");
	strbuf_add_slice(sb, id.p ? id : SLICE("null"));
}

void
jsonrpc_error(struct strbuf *sb, struct slice id, int code, const char *message)
{
	open_reply(sb, id);
	strbuf_addf(sb, ",\"error\":{\"code\":%d,\"message\":", code);
	strbuf_add_json(sb, slice_str(message));
	strbuf_add_str(sb, "}}");
}

void
jsonrpc_result_open(struct strbuf *sb, struct slice id)
{
	open_reply(sb, id);
	strbuf_add_str(sb, ",\"result\":");
}
